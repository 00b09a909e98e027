package e2e

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"berth.dev/e2e/harness"
)

// slow keeps a deleted pod until the test lets it go.
const slow = "e2e.berth.dev/slow"

// inClass names the class that the pod asks for.
func inClass(class string) harness.PodOption {
	return harness.Annotated(map[string]string{"berth.dev/class": class})
}

// bound makes the pod stand on a node from the beginning.
func bound(node string) harness.PodOption {
	return func(pod *v1.Pod) { pod.Spec.NodeName = node }
}

// fullOfLowPods fills nodes of two GPUs each with two pods: of another
// scheduler, in a gang, of a class that nobody may evict, and of class batch.
// All but the last two make the cheaper victims by priority.
func fullOfLowPods(t *testing.T, namespace string) {
	t.Helper()
	priorityClass(t, "e2e-lowest", -10)
	lowest := harness.Priority("e2e-lowest")
	gang := harness.Labelled(map[string]string{"scheduling.x-k8s.io/pod-group": "g"})
	for i := range 2 {
		must(t, plane.CreatePods(t.Context(),
			harness.Pod(namespace, fmt.Sprintf("foreign-%d", i), 1, harness.Foreign, bound("l4-000"), lowest),
			batchPod(namespace, fmt.Sprintf("gang-%d", i), gang, bound("l4-001"), lowest),
			harness.Pod(namespace, fmt.Sprintf("steady-%d", i), 1, inClass("steady"), bound("l4-002"), lowest),
			batchPod(namespace, fmt.Sprintf("victim-%d", i), bound("l4-003"), func(pod *v1.Pod) {
				pod.Finalizers = []string{slow}
			})))
	}
}

// ending names the pods that are deleted or gone of those that ran.
func ending(t *testing.T, namespace string, ran []string) []string {
	t.Helper()
	var names []string
	left := map[string]bool{}
	for _, pod := range fresh(t).Of(namespace) {
		left[pod.Name] = pod.DeletionTimestamp == nil
	}
	for _, name := range ran {
		if !left[name] {
			names = append(names, name)
		}
	}
	return names
}

func letGo(ctx context.Context, namespace, name string) error {
	_, err := plane.Client.CoreV1().Pods(namespace).Patch(ctx, name, types.MergePatchType,
		[]byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	return err
}

func TestPreemptTakesOnlyWhatTheClassMayEvict(t *testing.T) {
	s := newStack(t, wants{nodes: [][]*v1.Node{harness.Nodes(harness.L4, 4, 2)}, policy: "testdata/policy-preempt.yaml", verbs: true})
	namespace := namespaceOf(t)
	priorityClass(t, "e2e-high", 100000)
	fullOfLowPods(t, namespace)
	t.Cleanup(func() { // when the test's own context has ended
		for _, name := range []string{"victim-0", "victim-1"} {
			_ = letGo(context.Background(), namespace, name)
		}
	})
	eventually(t, 20*time.Second, func() []string { return notRunning(fresh(t).Of(namespace)) })
	must(t, s.berth.MatchesFreshList(t.Context(), plane, 20*time.Second))
	var ran []string
	for _, pod := range fresh(t).Of(namespace) {
		ran = append(ran, pod.Name)
	}
	// Pods that would take any room that is left for a moment.
	for i := range 3 {
		must(t, plane.CreatePods(t.Context(), batchPod(namespace, fmt.Sprintf("waiting-%d", i))))
	}
	must(t, plane.CreatePods(t.Context(), harness.Pod(namespace, "urgent", 1, inClass("urgent"), harness.Priority("e2e-high"))))
	var victims []string
	eventually(t, 10*time.Second, func() []string {
		if victims = ending(t, namespace, ran); len(victims) == 0 {
			return []string{"nobody makes way"}
		}
		return nil
	})
	if len(victims) != 1 || !slices.Contains([]string{"victim-0", "victim-1"}, victims[0]) {
		t.Fatalf("%v end, where one pod of class batch would do", victims)
	}
	// While the victim ends nobody else is evicted, and nobody gets its room.
	for end := time.Now().Add(6 * time.Second); time.Now().Before(end); time.Sleep(250 * time.Millisecond) {
		if more := ending(t, namespace, ran); len(more) != 1 {
			t.Fatalf("%v end, where one makes way already", more)
		}
	}
	gone := time.Now()
	must(t, letGo(t.Context(), namespace, victims[0]))
	eventually(t, 5*time.Second, func() []string {
		return harness.Unbound([]*v1.Pod{podNamed(t, namespace, "urgent")})
	})
	t.Logf("%s made way; urgent is bound %s after it was gone", victims[0], time.Since(gone).Round(time.Millisecond))
	if node := podNamed(t, namespace, "urgent").Spec.NodeName; node != "l4-003" {
		t.Errorf("urgent is on %s, its victim was on l4-003", node)
	}
	time.Sleep(3 * time.Second)
	if all := ending(t, namespace, ran); len(all) != 1 {
		t.Errorf("%v have ended, where one was to", all)
	}
	if wrong := fresh(t).Overcommitted(); len(wrong) > 0 {
		t.Errorf("over-committed: %s", brief(wrong))
	}
	must(t, s.berth.MatchesFreshList(t.Context(), plane, 40*time.Second))
}

func TestPreemptBindsWithinItsVictimsGrace(t *testing.T) {
	const grace = 5 * time.Second // of harness.PodSpec
	s := newStack(t, wants{nodes: [][]*v1.Node{harness.Nodes(harness.L4, 4, 2)}, policy: "testdata/policy-preempt.yaml"})
	namespace := namespaceOf(t)
	priorityClass(t, "e2e-high", 100000)
	for i := range 8 {
		must(t, plane.CreatePods(t.Context(), batchPod(namespace, fmt.Sprintf("low-%d", i))))
	}
	s.settled(t, 30*time.Second, 8, namespace)
	for i := range 4 {
		must(t, plane.CreatePods(t.Context(), batchPod(namespace, fmt.Sprintf("waiting-%d", i))))
	}
	for i := range 3 {
		name := fmt.Sprintf("urgent-%d", i)
		began := time.Now()
		must(t, plane.CreatePods(t.Context(), harness.Pod(namespace, name, int64(i%2+1), inClass("urgent"), harness.Priority("e2e-high"))))
		eventually(t, grace+5*time.Second, func() []string {
			return harness.Unbound([]*v1.Pod{podNamed(t, namespace, name)})
		})
		t.Logf("%s is bound after %s", name, time.Since(began).Round(time.Millisecond))
	}
	if wrong := fresh(t).Overcommitted(); len(wrong) > 0 {
		t.Errorf("over-committed: %s", brief(wrong))
	}
	must(t, s.berth.MatchesFreshList(t.Context(), plane, 40*time.Second))
}
