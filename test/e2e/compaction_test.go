package e2e

import (
	"fmt"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"berth.dev/e2e/harness"
)

func TestCompactedHistoryIsReadAnewWithNothingLost(t *testing.T) {
	nodes := harness.Nodes(harness.L4, 9, 4)
	s := newStack(t, wants{nodes: [][]*v1.Node{nodes[:7]}, api: true})
	namespace := namespaceOf(t)
	for i := range 12 {
		must(t, plane.CreatePods(t.Context(), batchPod(namespace, fmt.Sprintf("before-%02d", i))))
	}
	s.settled(t, 30*time.Second, 12, namespace)

	s.api.CutWatches()
	changeUnseen(t, namespace, nodes)
	must(t, plane.RestartAPIServer(t.Context(), func() error { return plane.CompactHistory(t.Context()) }))
	s.api.MendWatches()
	eventually(t, 40*time.Second, func() []string {
		if s.api.Gone() == 0 {
			return []string{"no watch of berth's was answered 410"}
		}
		return nil
	})

	// 8 nodes of 4 GPUs: 8 pods are left, 6 were put on nodes by hand.
	for i := range 32 - 14 {
		must(t, plane.CreatePods(t.Context(), batchPod(namespace, fmt.Sprintf("after-%02d", i))))
	}
	s.settled(t, 60*time.Second, 32, namespace)
}

// changeUnseen changes the fleet while berth sees nothing: pods go, pods come
// by nobody's scheduler, nodes come, and an empty one goes.
func changeUnseen(t *testing.T, namespace string, nodes []*v1.Node) {
	t.Helper()
	for i := range 4 {
		deletePod(t, namespace, fmt.Sprintf("before-%02d", i))
	}
	eventually(t, 10*time.Second, func() []string {
		if left := len(fresh(t).Of(namespace)); left != 8 {
			return []string{fmt.Sprintf("%d pods are left", left)}
		}
		return nil
	})
	must(t, plane.CreateNodes(t.Context(), nodes[7:]))
	must(t, plane.Client.CoreV1().Nodes().Delete(t.Context(), emptyNode(t), metav1.DeleteOptions{}))
	for i := range 6 {
		pod := batchPod(namespace, fmt.Sprintf("by-hand-%d", i), harness.Foreign)
		pod.Spec.NodeName = nodes[7+i%2].Name
		must(t, plane.CreatePods(t.Context(), pod))
	}
}

// emptyNode is one of the nodes berth knows that no pod is on.
func emptyNode(t *testing.T) string {
	t.Helper()
	snapshot := fresh(t)
	for i := range 7 {
		name := fmt.Sprintf("%s-%03d", harness.L4.Pool, i)
		if snapshot.Used()[name][string(v1.ResourcePods)] == 0 {
			return name
		}
	}
	t.Fatal("no node is empty: the pods were not packed")
	return ""
}
