package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"berth.dev/e2e/harness"
)

// A pod's victims are ending when berth goes, and with it what it had promised
// the pod. kube-scheduler's nomination stands in for that: nobody else may be
// evicted for the pod, and the room stays its own.
func TestKilledBetweenPreemptAndTheVictimsEnd(t *testing.T) {
	for name, programs := range map[string]func(*stack) []*harness.Process{
		"berth":          func(s *stack) []*harness.Process { return []*harness.Process{s.berth.Process} },
		"kube-scheduler": func(s *stack) []*harness.Process { return []*harness.Process{s.scheduler} },
		"both":           func(s *stack) []*harness.Process { return []*harness.Process{s.berth.Process, s.scheduler} },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStack(t, wants{nodes: [][]*v1.Node{harness.Nodes(harness.L4, 4, 2)}, policy: "testdata/policy-preempt.yaml",
				flags: []string{"--reservation-ttl", "2s"}})
			killedUnderVictims(t, s, programs(s))
		})
	}
}

func killedUnderVictims(t *testing.T, s *stack, programs []*harness.Process) {
	namespace := namespaceOf(t)
	priorityClass(t, "e2e-high", 100000)
	var ran []string
	for i := range 8 {
		name := fmt.Sprintf("low-%d", i)
		ran = append(ran, name)
		must(t, plane.CreatePods(t.Context(), batchPod(namespace, name, bound(fmt.Sprintf("l4-%03d", i/2)), func(pod *v1.Pod) {
			pod.Finalizers = []string{slow}
		})))
	}
	t.Cleanup(func() { // when the test's own context has ended
		for _, name := range ran {
			_ = letGo(context.Background(), namespace, name)
		}
	})
	eventually(t, 20*time.Second, func() []string { return notRunning(fresh(t).Of(namespace)) })
	must(t, s.berth.MatchesFreshList(t.Context(), plane, 20*time.Second))
	// Pods that would take any room that is left for a moment, hinted or not.
	for i := range 8 {
		must(t, plane.CreatePods(t.Context(), batchPod(namespace, fmt.Sprintf("waiting-%d", i))))
	}
	must(t, plane.CreatePods(t.Context(), harness.Pod(namespace, "urgent", 2, inClass("urgent"), harness.Priority("e2e-high"))))
	var victims []string
	eventually(t, 10*time.Second, func() []string {
		if victims = ending(t, namespace, ran); len(victims) != 2 {
			return []string{fmt.Sprintf("%v make way, two are to", victims)}
		}
		return nil
	})
	began := time.Now()
	for _, program := range programs {
		program.Kill()
		if program == s.berth.Process {
			must(t, s.berth.Restart(t.Context()))
		} else {
			must(t, program.Start())
		}
	}
	onlyThese := func(until time.Duration) {
		t.Helper()
		for ; time.Since(began) < until; time.Sleep(200 * time.Millisecond) {
			if all := ending(t, namespace, ran); len(all) != 2 {
				t.Fatalf("%v end %s after the kill, where %v make way already", all, time.Since(began), victims)
			}
			for _, pod := range fresh(t).Of(namespace) {
				if pod.Spec.NodeName != "" && strings.HasPrefix(pod.Name, "waiting-") {
					t.Fatalf("%s took the room on %s", pod.Name, pod.Spec.NodeName)
				}
			}
		}
	}
	// Longer than reservations live, and than pods may wait unasked. The first
	// victim ends long before the second.
	onlyThese(3 * time.Second)
	must(t, letGo(t.Context(), namespace, victims[0]))
	onlyThese(9 * time.Second)
	gone := time.Now()
	must(t, letGo(t.Context(), namespace, victims[1]))
	eventually(t, 5*time.Second, func() []string {
		return harness.Unbound([]*v1.Pod{podNamed(t, namespace, "urgent")})
	})
	t.Logf("urgent is bound %s after its last victim was gone", time.Since(gone).Round(time.Millisecond))
	began = time.Now()
	onlyThese(3 * time.Second)
	if wrong := fresh(t).Overcommitted(); len(wrong) > 0 {
		t.Errorf("over-committed: %s", brief(wrong))
	}
	must(t, s.berth.MatchesFreshList(t.Context(), plane, 40*time.Second))
}

// The call in which victims would have been chosen dies with berth. Where
// kube-scheduler's own filters have rejected the pod, no write to it makes
// kube-scheduler ask again; the next pod that ends, anywhere, does.
func TestBerthKilledAsPreemptIsAskedForgetsNobody(t *testing.T) {
	s := newStack(t, wants{nodes: [][]*v1.Node{harness.Nodes(harness.L4, 2, 2)}, policy: "testdata/policy-preempt.yaml", verbs: true})
	namespace := namespaceOf(t)
	priorityClass(t, "e2e-high", 100000)
	for i := range 4 {
		must(t, plane.CreatePods(t.Context(), batchPod(namespace, fmt.Sprintf("low-%d", i), bound(fmt.Sprintf("l4-%03d", i/2)))))
	}
	eventually(t, 20*time.Second, func() []string { return notRunning(fresh(t).Of(namespace)) })
	must(t, s.berth.MatchesFreshList(t.Context(), plane, 20*time.Second))
	calls := hold(t, s.verbs, "/preempt")
	must(t, plane.CreatePods(t.Context(), harness.Pod(namespace, "urgent", 2, inClass("urgent"), harness.Priority("e2e-high"))))
	calls.wait(t, 1)
	s.berth.Kill()
	s.verbs.SetHook(nil)
	calls.release()
	time.Sleep(100 * time.Millisecond) // the call ends before there is a berth again
	must(t, s.berth.Restart(t.Context()))
	deletePod(t, namespace, "low-0")
	eventually(t, 15*time.Second, func() []string {
		return harness.Unbound([]*v1.Pod{podNamed(t, namespace, "urgent")})
	})
	if left := len(fresh(t).Of(namespace)); left != 3 && left != 2 {
		t.Errorf("%d pods are left of five; one was deleted, one or two were to make way", left)
	}
	must(t, s.berth.MatchesFreshList(t.Context(), plane, 40*time.Second))
}

// What berth had promised dies with it, and kube-scheduler learns nothing of
// that: only berth can wake the pods which that promise had kept out.
func TestBerthKilledWakesThePodsItHadRejected(t *testing.T) {
	s := newStack(t, wants{nodes: [][]*v1.Node{harness.Nodes(harness.L4, 1, 1)}, flags: []string{"--reservation-ttl", "600s"}})
	namespace := namespaceOf(t)
	ghost := batchPod(namespace, "abandoned")
	ghost.UID = types.UID("abandoned-" + namespace)
	nodes, err := s.berth.Filter(ghost, "l4-000")
	must(t, err)
	if !slices.Equal(nodes, []string{"l4-000"}) {
		t.Fatalf("filter answered %q", nodes)
	}
	createWaiting(t, s, namespace, batchPod(namespace, "kept-out"))
	s.berth.Kill()
	must(t, s.berth.Restart(t.Context()))
	began := time.Now()
	boundTo(t, namespace, "kept-out", "l4-000")
	t.Logf("bound %s after berth was back", time.Since(began).Round(time.Millisecond))
}

// Bindings are under way when kube-scheduler goes. The next one knows nothing
// of them, and offers their room to pods that come before.
func TestSchedulerKilledUnderBindsLeavesThemTheirRoom(t *testing.T) {
	s := newStack(t, wants{nodes: [][]*v1.Node{harness.Nodes(harness.L4, 2, 4)}, api: true, flags: []string{"--reservation-ttl", "2s"}})
	namespace := namespaceOf(t)
	priorityClass(t, "e2e-high", 100000)
	history, err := plane.Follow(t.Context())
	must(t, err)
	bindings := hold(t, s.api, "/binding")
	for i := range 8 {
		must(t, plane.CreatePods(t.Context(), batchPod(namespace, fmt.Sprintf("first-%d", i))))
	}
	bindings.wait(t, 8)
	s.scheduler.Kill()
	for i := range 8 {
		must(t, plane.CreatePods(t.Context(), batchPod(namespace, fmt.Sprintf("second-%d", i), harness.Priority("e2e-high"))))
	}
	must(t, s.scheduler.Start())
	eventually(t, 10*time.Second, func() []string {
		state, err := s.berth.State()
		must(t, err)
		if len(state.Waiting) < 8 {
			return []string{fmt.Sprintf("%d pods wait, eight have no place", len(state.Waiting))}
		}
		return nil
	})
	s.api.SetHook(nil)
	bindings.release()
	boundCount(t, namespace, 8)
	time.Sleep(time.Second)
	for _, pod := range fresh(t).Of(namespace) {
		if first := strings.HasPrefix(pod.Name, "first-"); first != (pod.Spec.NodeName != "") {
			t.Errorf("%s is on %q", pod.Name, pod.Spec.NodeName)
		}
	}
	if wrong := history.Wrong(); len(wrong) > 0 {
		t.Error(brief(wrong))
	}
	must(t, s.berth.MatchesFreshList(t.Context(), plane, 20*time.Second))
}
