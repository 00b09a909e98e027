package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"berth.dev/e2e/harness"
)

const quarantineMap = "berth-quarantine"

// refusesOn makes the kubelet of one node refuse every pod, as it does where a
// device plugin's Allocate fails, until the returned function is called.
func refusesOn(t *testing.T, node string) func() {
	t.Helper()
	kubelets.Reject(func(pod *v1.Pod) string {
		if pod.Spec.NodeName == node {
			return "UnexpectedAdmissionError"
		}
		return ""
	})
	end := func() { kubelets.Reject(nil) }
	t.Cleanup(end)
	return end
}

// quarantinesANode puts one node in quarantine by the pods of two owners, and
// has it released by a person's word.
func quarantinesANode(t *testing.T, namespace, mapNamespace, node string) {
	t.Helper()
	end := refusesOn(t, node)
	for _, owner := range []string{"first", "second"} {
		pod := harness.Pod(namespace, owner+"-refused", 1, controlledBy(owner))
		pod.Spec.NodeName = node
		must(t, plane.CreatePods(t.Context(), pod))
	}
	kept := func() string {
		found, err := plane.Client.CoreV1().ConfigMaps(mapNamespace).Get(t.Context(), quarantineMap, metav1.GetOptions{})
		if err != nil {
			return ""
		}
		return found.Data[node]
	}
	eventually(t, 20*time.Second, func() []string {
		if kept() == "" {
			return []string{node + " is not in quarantine"}
		}
		return nil
	})
	end()
	release(t, node)
	eventually(t, 20*time.Second, func() []string {
		if kept() != "" {
			return []string{node + " is still in quarantine"}
		}
		return nil
	})
}

func release(t *testing.T, node string) {
	t.Helper()
	patchNode(t, node, fmt.Sprintf(`{"metadata":{"annotations":{"berth.dev/quarantine-released":%q}}}`, time.Now().UTC().Format(time.RFC3339Nano)))
}

func controlledBy(name string) harness.PodOption {
	return func(pod *v1.Pod) {
		pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "example.com/v1", Kind: "Run", Name: name, UID: types.UID("uid-of-" + name), Controller: ptr.To(true)}}
	}
}

// createRetryingJob makes a Job of one pod with one GPU that may fail often.
func createRetryingJob(ctx context.Context, namespace, name string) error {
	spec := harness.PodSpec(1)
	spec.RestartPolicy = v1.RestartPolicyNever
	_, err := plane.Client.BatchV1().Jobs(namespace).Create(ctx, &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       batchv1.JobSpec{BackoffLimit: ptr.To[int32](20), Template: v1.PodTemplateSpec{Spec: spec}},
	}, metav1.CreateOptions{})
	return err
}

// Four Jobs run one after the other; the node that packing prefers refuses
// every pod. The Job controller makes each refused pod anew.
func TestANodeThatKillsPodsIsQuarantinedBeforeTheThirdOwnerIsHit(t *testing.T) {
	text, err := os.ReadFile("testdata/policy.yaml")
	must(t, err)
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	must(t, os.WriteFile(policy, append(text, []byte("  quarantine: {release: 25s}\n")...), 0o644))
	s := newStack(t, wants{nodes: [][]*v1.Node{harness.Nodes(harness.L4, 2, 8)}, policy: policy})
	namespace := namespaceOf(t)
	const sick = "l4-000"
	filler := harness.Pod(namespace, "filler", 2)
	filler.Spec.NodeName = sick
	must(t, plane.CreatePods(t.Context(), filler))
	eventually(t, 20*time.Second, func() []string { return notRunning([]*v1.Pod{podNamed(t, namespace, "filler")}) })
	time.Sleep(1100 * time.Millisecond) // so that what fails is later by the second than what ran
	end := refusesOn(t, sick)
	owners := func() map[string]int {
		refused := map[string]int{}
		for _, pod := range fresh(t).Of(namespace) {
			if pod.Status.Phase == v1.PodFailed && pod.Spec.NodeName == sick {
				refused[pod.OwnerReferences[0].Name]++
			}
		}
		return refused
	}
	runs := func(name string) []string {
		for _, pod := range fresh(t).Of(namespace) {
			if strings.HasPrefix(pod.Name, name+"-") && pod.Status.Phase == v1.PodRunning {
				return nil
			}
		}
		return []string{"no pod of " + name + " runs"}
	}
	for _, name := range []string{"one", "two", "three", "four"} {
		must(t, createRetryingJob(t.Context(), namespace, name))
		if name == "one" {
			eventually(t, 20*time.Second, func() []string {
				if owners()["one"] == 0 {
					return []string{"the sick node was not tried"}
				}
				return nil
			})
			continue
		}
		eventually(t, 60*time.Second, func() []string { return runs(name) })
	}
	eventually(t, 60*time.Second, func() []string { return runs("one") })
	if hit := owners(); len(hit) != 2 {
		t.Errorf("pods of %v were refused, two owners are to be hit", hit)
	}
	told := func(reason string) []v1.Event {
		events, err := plane.Client.CoreV1().Events("default").List(t.Context(), metav1.ListOptions{
			FieldSelector: fields.Set{"reason": reason, "involvedObject.name": sick, "involvedObject.uid": sick}.String()})
		must(t, err)
		return events.Items
	}
	eventually(t, 10*time.Second, func() []string {
		if len(told("NodeQuarantined")) == 0 {
			return []string{"no Event says that " + sick + " is in quarantine"}
		}
		return nil
	})
	end()
	eventually(t, 40*time.Second, func() []string {
		if len(told("NodeReleased")) == 0 {
			return []string{sick + " is not released"}
		}
		return nil
	})
	must(t, createRetryingJob(t.Context(), namespace, "later"))
	eventually(t, 60*time.Second, func() []string { return runs("later") })
	must(t, s.berth.MatchesFreshList(t.Context(), plane, 15*time.Second))
}
