package e2e

import (
	"fmt"
	"sync"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"berth.dev/e2e/harness"
)

// settled waits until the namespaces' pods are count, all bound, and then
// checks what must hold whatever has happened: nothing over-committed, each
// pod where its class may be, and berth's state that of a fresh list.
func (s *stack) settled(t *testing.T, patience time.Duration, count int, namespaces ...string) {
	t.Helper()
	var pods []*v1.Pod
	eventually(t, patience, func() []string {
		pods = nil
		snapshot := fresh(t)
		for _, namespace := range namespaces {
			pods = append(pods, snapshot.Of(namespace)...)
		}
		if len(pods) != count {
			return []string{fmt.Sprintf("%d pods are there, %d should be", len(pods), count)}
		}
		return harness.Unbound(pods)
	})
	snapshot := fresh(t)
	if wrong := snapshot.Overcommitted(); len(wrong) > 0 {
		t.Errorf("over-committed: %s", brief(wrong))
	}
	if wrong := misplaced(snapshot, pods); len(wrong) > 0 {
		t.Errorf("where their class may not be: %s", brief(wrong))
	}
	must(t, s.berth.MatchesFreshList(t.Context(), plane, 40*time.Second))
}

// stream makes pods of one GPU at a steady rate; wait returns when all are made.
func stream(t *testing.T, namespace string, count int, gap time.Duration) (wait func()) {
	t.Helper()
	var group sync.WaitGroup
	ctx := t.Context()
	group.Go(func() {
		for i := range count {
			if err := plane.CreatePods(ctx, batchPod(namespace, fmt.Sprintf("p-%03d", i))); err != nil {
				t.Error(err)
				return
			}
			time.Sleep(gap)
		}
	})
	t.Cleanup(group.Wait)
	return group.Wait
}

func batchPod(namespace, name string, options ...harness.PodOption) *v1.Pod {
	return harness.Pod(namespace, name, 1, append(options, ofClass("batch"))...)
}

// boundCount waits until at least count pods of the namespace have a node.
func boundCount(t *testing.T, namespace string, count int) {
	t.Helper()
	eventually(t, 30*time.Second, func() []string {
		pods := fresh(t).Of(namespace)
		if bound := len(pods) - len(harness.Unbound(pods)); bound < count {
			return []string{fmt.Sprintf("%d pods are bound, %d are waited for", bound, count)}
		}
		return nil
	})
}

func deletePod(t *testing.T, namespace, name string) {
	t.Helper()
	must(t, plane.Client.CoreV1().Pods(namespace).Delete(t.Context(), name, metav1.DeleteOptions{}))
}
