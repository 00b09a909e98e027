package e2e

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"berth.dev/e2e/harness"
)

const berthGate = "berth.dev/plan"

// ownedBy gives the pod an owner; the first option of a test that needs a chain
// is its controller.
func ownedBy(kind string, controller bool) harness.PodOption {
	return func(pod *v1.Pod) {
		pod.OwnerReferences = append(pod.OwnerReferences, metav1.OwnerReference{
			APIVersion: "e2e.berth.dev/v1", Kind: kind, Name: "owner", UID: types.UID(fmt.Sprintf("%s-%s", pod.Name, kind)),
			Controller: ptr.To(controller),
		})
	}
}

func gatedBy(names ...string) harness.PodOption {
	return func(pod *v1.Pod) {
		for _, name := range names {
			pod.Spec.SchedulingGates = append(pod.Spec.SchedulingGates, v1.PodSchedulingGate{Name: name})
		}
	}
}

// applyGate applies what berth writes for a policy, and takes it away again.
func applyGate(t *testing.T, policy string, options ...string) {
	t.Helper()
	command := exec.Command(berthBinary(t), append([]string{"policy", "gate", "--policy", policy}, options...)...)
	text, err := command.Output()
	must(t, err)
	manifests, err := harness.Decode(text)
	must(t, err)
	if len(manifests) != 2 {
		t.Fatalf("%d objects, a policy and a binding are due", len(manifests))
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		must(t, plane.Remove(ctx, manifests))
	})
	must(t, plane.Apply(t.Context(), manifests))
}

func created(t *testing.T, pod *v1.Pod, options metav1.CreateOptions) *v1.Pod {
	t.Helper()
	made, err := plane.Client.CoreV1().Pods(pod.Namespace).Create(t.Context(), pod, options)
	if err != nil {
		t.Fatalf("%s: %v", pod.Name, err)
	}
	return made
}

func gatesOf(pod *v1.Pod) []string {
	var names []string
	for _, gate := range pod.Spec.SchedulingGates {
		names = append(names, gate.Name)
	}
	slices.Sort(names)
	return names
}

func TestGateTakesExactlyTheClassesNamed(t *testing.T) {
	prepare(t)
	here, dev, outside := namespaceOf(t), namespaceOf(t, "-dev"), namespaceOf(t, "-outside")
	applyGate(t, "testdata/policy-gate.yaml", "--namespace-selector", "kubernetes.io/metadata.name!="+outside)

	train := ownedBy("PyTorchJob", true)
	label := func(key, value string) harness.PodOption { return harness.Labelled(map[string]string{key: value}) }
	work := func(value string) harness.PodOption {
		return harness.Labelled(map[string]string{"workload": value, "team": "x"})
	}
	eventually(t, time.Minute, func() []string {
		made := created(t, harness.Pod(here, "probe", 1, train), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if len(gatesOf(made)) == 0 {
			return []string{"the admission policy has no effect yet"}
		}
		return nil
	})

	gated, free := []string{berthGate}, []string(nil)
	for _, c := range []struct {
		name      string
		namespace string
		options   []harness.PodOption
		gates     []string
	}{
		{"by-its-controller", here, []harness.PodOption{train}, gated},
		{"class-before-by-namespace", dev, []harness.PodOption{train}, free},
		{"namespace-not-selected", outside, []harness.PodOption{train}, free},
		{"owner-but-no-controller", here, []harness.PodOption{ownedBy("PyTorchJob", false)}, free},
		{"kind-above-by-label", here, []harness.PodOption{ownedBy("Job", true), label("jobset.sigs.k8s.io/jobset-name", "j")}, gated},
		{"job-alone", here, []harness.PodOption{ownedBy("Job", true)}, free},
		{"label-alone", here, []harness.PodOption{label("jobset.sigs.k8s.io/jobset-name", "j")}, free},
		{"class-before-by-owner", here, []harness.PodOption{ownedBy("ReplicaSet", true), work("train-1.x")}, free},
		{"class-before-by-label", here, []harness.PodOption{ownedBy("StatefulSet", true), label("leaderworkerset.sigs.k8s.io/name", "l"), work("train-1.x")}, free},
		{"stateful-set-alone", here, []harness.PodOption{ownedBy("StatefulSet", true), work("train-1.x")}, gated},
		{"pattern", here, []harness.PodOption{work("train-1.0-a")}, gated},
		{"pattern-one-character", here, []harness.PodOption{work("train-10.x")}, free},
		{"pattern-dot", here, []harness.PodOption{work("train-1xx")}, free},
		{"pattern-whole-value", here, []harness.PodOption{work("a-train-1.x")}, free},
		{"pattern-other-label-missing", here, []harness.PodOption{label("workload", "train-1.x")}, free},
		{"named", here, []harness.PodOption{inClass("called")}, gated},
		{"named-by-label", here, []harness.PodOption{label("berth.dev/class", "called")}, gated},
		{"named-and-met", here, []harness.PodOption{inClass("training"), train}, gated},
		{"named-not-met", here, []harness.PodOption{inClass("training")}, free},
		{"named-annotation-first", here, []harness.PodOption{inClass("batch"), label("berth.dev/class", "called")}, free},
		{"named-another", here, []harness.PodOption{inClass("batch"), train}, free},
		{"fallback", here, nil, free},
		{"on-a-node", here, []harness.PodOption{train, bound("nowhere")}, free},
		{"other-scheduler", here, []harness.PodOption{train, harness.Foreign}, free},
		{"gated-already", here, []harness.PodOption{train, gatedBy(berthGate)}, gated},
		{"gated-by-others", here, []harness.PodOption{train, gatedBy("e2e.berth.dev/quota")}, []string{berthGate, "e2e.berth.dev/quota"}},
		{"opted-out", here, []harness.PodOption{train, harness.Annotated(map[string]string{"berth.dev/no-gang": "true"})}, free},
		{"opted-out-by-label", here, []harness.PodOption{train, label("berth.dev/no-gang", "")}, free},
		{"not-opted-out", here, []harness.PodOption{train, harness.Annotated(map[string]string{"berth.dev/no-gang": "false"})}, gated},
	} {
		made := created(t, harness.Pod(c.namespace, c.name, 1, c.options...), metav1.CreateOptions{})
		if gates := gatesOf(made); !slices.Equal(gates, c.gates) {
			t.Errorf("%s: gates %v, %v are due", c.name, gates, c.gates)
		}
	}
}
