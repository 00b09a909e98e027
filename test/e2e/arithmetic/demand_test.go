package arithmetic

import (
	"encoding/json"
	"testing"

	v1 "k8s.io/api/core/v1"

	"berth.dev/e2e/harness"
)

func TestDemandOfRandomPodsIsThatOfPodRequests(t *testing.T) {
	const cases = 10000
	seed := seed(t)
	documents, wanted := make([]any, cases), make([]any, cases)
	for i := range cases {
		document := encode(t, randomPod(source(seed, i)))
		// What is compared is the document: it is read back as the API
		// machinery reads it.
		pod := &v1.Pod{}
		if err := json.Unmarshal(document, pod); err != nil {
			t.Fatal(err)
		}
		documents[i], wanted[i] = json.RawMessage(document), harness.Requests(pod)
	}
	compare(t, "demand", seed, documents, wanted)
}

// The generator is of no use if what it makes hides the hard cases.
func TestRandomPodsCoverTheHardCases(t *testing.T) {
	seen := map[string]int{}
	for i := range 1000 {
		pod := randomPod(source(defaultSeed, i))
		for name, is := range map[string]bool{
			"init containers":     len(pod.Spec.InitContainers) > 0,
			"sidecars":            hasSidecar(pod),
			"pod-level resources": pod.Spec.Resources != nil,
			"overhead":            pod.Spec.Overhead != nil,
			"resize":              len(pod.Status.ContainerStatuses) > 0,
			"pod-level resize":    pod.Status.Resources != nil,
			"conditions":          len(pod.Status.Conditions) > 0,
		} {
			if is {
				seen[name]++
			}
		}
	}
	for _, name := range []string{"init containers", "sidecars", "pod-level resources", "overhead", "resize", "pod-level resize", "conditions"} {
		if seen[name] < 50 {
			t.Errorf("only %d of 1000 pods have %s", seen[name], name)
		}
	}
}

func hasSidecar(pod *v1.Pod) bool {
	for _, container := range pod.Spec.InitContainers {
		if container.RestartPolicy != nil && *container.RestartPolicy == v1.ContainerRestartPolicyAlways {
			return true
		}
	}
	return false
}
