package e2e

import (
	"fmt"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"berth.dev/e2e/harness"
)

// repairs are three ways in which a node is of no use for a while, as patches.
var repairs = []struct {
	name          string
	breaks, mends string
	subresource   []string
}{
	{name: "Uncordon", breaks: `{"spec":{"unschedulable":true}}`, mends: `{"spec":{"unschedulable":null}}`},
	{name: "TaintRemoved", breaks: `{"spec":{"taints":[{"key":"nvidia.com/gpu-error","effect":"NoSchedule"}]}}`, mends: `{"spec":{"taints":null}}`},
	{name: "AllocatableBack", subresource: []string{"status"},
		breaks: `{"status":{"allocatable":{"nvidia.com/gpu":"0"}}}`, mends: `{"status":{"allocatable":{"nvidia.com/gpu":"1"}}}`},
}

// kube-scheduler sees a node's repair at once, berth a second later: the try
// that follows the repair is rejected, and without berth's own wake-up the pod
// would sleep for minutes.
func TestNodeRepairWakesTheOnePodThatFits(t *testing.T) {
	const lag = time.Second
	for _, repair := range repairs {
		t.Run(repair.name, func(t *testing.T) {
			s := newStack(t, wants{nodes: [][]*v1.Node{harness.Nodes(harness.L4, 1, 1), harness.Nodes(harness.T4, 1, 1)}, api: true})
			namespace := namespaceOf(t)
			observer, err := plane.Observe(t.Context(), namespace)
			must(t, err)
			patchNode(t, "l4-000", repair.breaks, repair.subresource...)
			time.Sleep(time.Second) // until the node controller has done its part, and all have seen it
			s.api.DelayWatches(lag)
			// The T4 node is free all the time, so that berth is asked; it has no bf16.
			createWaiting(t, s, namespace,
				batchPod(namespace, "first", bf16), batchPod(namespace, "second", bf16),
				batchPod(namespace, "elsewhere", bf16, harness.OnPool("t4")))
			patchNode(t, "l4-000", repair.mends, repair.subresource...)
			repaired := usable(t, "l4-000")
			wokenOrBound(t, observer, repaired, lag+wakeLimit, "first")
			boundTo(t, namespace, "first", "l4-000")
			time.Sleep(2 * time.Second)
			onlyWoken(t, observer, "first")
		})
	}
}

func patchNode(t *testing.T, name, patch string, subresource ...string) {
	t.Helper()
	_, err := plane.Client.CoreV1().Nodes().Patch(t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}, subresource...)
	must(t, err)
}

// usable waits until nothing stands against the node, and says when that was:
// the taint of a cordon is taken off by the node controller.
func usable(t *testing.T, name string) time.Time {
	t.Helper()
	eventually(t, 10*time.Second, func() []string {
		node := fresh(t).Nodes[name]
		if gpus := node.Status.Allocatable[harness.GPU]; node.Spec.Unschedulable || len(node.Spec.Taints) > 0 || gpus.IsZero() {
			return []string{fmt.Sprintf("%s is not usable: %v", name, node.Spec)}
		}
		return nil
	})
	return time.Now()
}

// wokenOrBound is woken, but content with a pod that kube-scheduler happened
// to try again at the right moment by itself.
func wokenOrBound(t *testing.T, observer *harness.Observer, since time.Time, limit time.Duration, name string) {
	t.Helper()
	eventually(t, limit+10*time.Second, func() []string {
		story, err := observer.Story(name)
		must(t, err)
		if len(story.Wakes) == 0 && story.Node == "" {
			return []string{name + " is neither woken nor bound"}
		}
		return nil
	})
	story, err := observer.Story(name)
	must(t, err)
	moment, how := story.Bound, "bound"
	if len(story.Wakes) > 0 {
		moment, how = story.Wakes[0], "woken"
	}
	took := moment.Sub(since)
	t.Logf("%s was %s %s after the repair", name, how, took.Round(time.Millisecond))
	if took > limit+slack {
		t.Errorf("%s was %s after %s, %s is the limit", name, how, took, limit)
	}
}
