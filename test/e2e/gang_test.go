package e2e

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"berth.dev/e2e/harness"
)

// Gangs are bound whole, inside the level that their class requires, or hold
// nothing; with berth's gate and without it.

const gangPolicy = "testdata/gangs.yaml"

var planGate = []v1.PodSchedulingGate{{Name: "berth.dev/plan"}}

// behindGate is how the admission policy would make the pod.
func behindGate(pod *v1.Pod) { pod.Spec.SchedulingGates = planGate }

// gang makes members of one gang, by berth's own annotations.
func gang(namespace, name, class string, size int, gpus int64, options ...harness.PodOption) []*v1.Pod {
	options = append([]harness.PodOption{harness.Annotated(map[string]string{
		"berth.dev/gang": name, "berth.dev/gang-size": strconv.Itoa(size), "berth.dev/class": class,
	})}, options...)
	var pods []*v1.Pod
	for i := range size {
		pods = append(pods, harness.Pod(namespace, fmt.Sprintf("%s-%02d", name, i), gpus, options...))
	}
	return pods
}

// interleaved deals from the piles in turn.
func interleaved(piles ...[]*v1.Pod) []*v1.Pod {
	var pods []*v1.Pod
	for i := 0; len(slices.Concat(piles...)) > 0; i = (i + 1) % len(piles) {
		if len(piles[i]) > 0 {
			pods, piles[i] = append(pods, piles[i][0]), piles[i][1:]
		}
	}
	return pods
}

// scheduledAt is when the API server noted the Binding, in whole seconds.
func scheduledAt(pod *v1.Pod) time.Time {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == v1.PodScheduled {
			return condition.LastTransitionTime.Time
		}
	}
	return time.Time{}
}

func membersOf(snapshot *harness.Snapshot, namespace, name string) []*v1.Pod {
	var members []*v1.Pod
	for _, pod := range snapshot.Of(namespace) {
		if pod.Annotations["berth.dev/gang"] == name {
			members = append(members, pod)
		}
	}
	return members
}

func boundOf(pods []*v1.Pod) int { return len(pods) - len(harness.Unbound(pods)) }

func TestGangsAmongSinglesAreWholeWithinTheirLevel(t *testing.T) {
	s := newStack(t, wants{nodes: [][]*v1.Node{harness.Nodes(harness.H100, 96, 8)}, policy: gangPolicy})
	namespace := namespaceOf(t)
	sizes := map[string]int{}
	var piles [][]*v1.Pod
	for _, size := range []int{2, 8, 32} {
		for road, options := range map[string][]harness.PodOption{"gated": {behindGate}, "bare": nil} {
			name := fmt.Sprintf("%s-%d", road, size)
			sizes[name] = size
			piles = append(piles, gang(namespace, name, "training", size, 2, options...))
		}
	}
	var singles []*v1.Pod
	for i := range 20 {
		singles = append(singles, harness.Pod(namespace, fmt.Sprintf("single-%02d", i), 1))
	}
	pods := interleaved(append(piles, singles)...)
	must(t, plane.CreatePods(t.Context(), pods...))
	eventually(t, 60*time.Second, func() []string { return harness.Unbound(fresh(t).Of(namespace)) })
	snapshot := fresh(t)
	if wrong := snapshot.Overcommitted(); len(wrong) > 0 {
		t.Errorf("over-committed: %s", brief(wrong))
	}
	blocks := map[string]string{}
	for _, node := range snapshot.Nodes {
		blocks[node.Name] = node.Labels[harness.LabelBlock]
	}
	for name, size := range sizes {
		members := membersOf(snapshot, namespace, name)
		if len(members) != size {
			t.Fatalf("%s has %d members, not %d", name, len(members), size)
		}
		first, last := scheduledAt(members[0]), scheduledAt(members[0])
		for _, member := range members {
			if block := blocks[member.Spec.NodeName]; block != blocks[members[0].Spec.NodeName] {
				t.Errorf("%s stands in %s and in %s", name, block, blocks[members[0].Spec.NodeName])
			}
			at := scheduledAt(member)
			if at.Before(first) {
				first = at
			}
			if at.After(last) {
				last = at
			}
		}
		t.Logf("%s: %s from the first Binding to the last", name, last.Sub(first))
		if last.Sub(first) > 5*time.Second {
			t.Errorf("%s took %s from the first Binding to the last", name, last.Sub(first))
		}
	}
	must(t, s.berth.MatchesFreshList(t.Context(), plane, 40*time.Second))
}

func TestTwoGangsThatDoNotFitSideBySideRunOneAfterTheOther(t *testing.T) {
	t.Run("gated", func(t *testing.T) { twoOfSixtyPercent(t, behindGate) })
	t.Run("bare", func(t *testing.T) { twoOfSixtyPercent(t) })
}

func twoOfSixtyPercent(t *testing.T, options ...harness.PodOption) {
	const size = 12
	s := newStack(t, wants{nodes: [][]*v1.Node{harness.Nodes(harness.H100, 10, 8)}, policy: gangPolicy})
	namespace := namespaceOf(t)
	must(t, plane.CreatePods(t.Context(), interleaved(
		gang(namespace, "a", "wide", size, 4, options...), gang(namespace, "b", "wide", size, 4, options...))...))
	first, second := "", ""
	eventually(t, 30*time.Second, func() []string {
		snapshot := fresh(t)
		a, b := boundOf(membersOf(snapshot, namespace, "a")), boundOf(membersOf(snapshot, namespace, "b"))
		if a == size {
			first, second = "a", "b"
		} else if b == size {
			first, second = "b", "a"
		} else {
			return []string{fmt.Sprintf("%d and %d of %d are bound", a, b, size)}
		}
		return nil
	})
	if count := boundOf(membersOf(fresh(t), namespace, second)); count > 0 {
		t.Fatalf("%d members of the gang that has no room are bound", count)
	}
	// The answer of the last Binding may be on its way.
	eventually(t, 10*time.Second, func() []string { return nothingHeld(t, s.berth) })
	var filler []*v1.Pod
	for i := range 8 {
		filler = append(filler, harness.Pod(namespace, fmt.Sprintf("filler-%d", i), 4))
	}
	must(t, plane.CreatePods(t.Context(), filler...))
	eventually(t, 30*time.Second, func() []string {
		var singles []*v1.Pod
		for _, pod := range fresh(t).Of(namespace) {
			if pod.Annotations["berth.dev/gang"] == "" {
				singles = append(singles, pod)
			}
		}
		return harness.Unbound(singles)
	})
	for _, pod := range membersOf(fresh(t), namespace, first) {
		must(t, plane.Client.CoreV1().Pods(namespace).Delete(t.Context(), pod.Name, metav1.DeleteOptions{}))
	}
	ended := time.Now()
	eventually(t, 40*time.Second, func() []string {
		snapshot := fresh(t)
		if len(membersOf(snapshot, namespace, first)) > 0 {
			ended = time.Now()
		}
		return harness.Unbound(membersOf(snapshot, namespace, second))
	})
	t.Logf("the second gang was bound %s after the first had ended", time.Since(ended).Round(time.Millisecond))
	if time.Since(ended) > 30*time.Second {
		t.Error("that is too long")
	}
	must(t, s.berth.MatchesFreshList(t.Context(), plane, 40*time.Second))
}
