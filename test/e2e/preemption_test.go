package e2e

import (
	"fmt"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"berth.dev/e2e/harness"
)

func TestHighPriorityPodOnAFullFleetEvictsNothing(t *testing.T) {
	s := newStack(t, wants{nodes: [][]*v1.Node{harness.Nodes(harness.L4, 2, 2)}, verbs: true})
	namespace := namespaceOf(t)
	priorityClass(t, "e2e-high", 100000)
	running := map[types.UID]bool{}
	for i := range 4 {
		pod := batchPod(namespace, fmt.Sprintf("low-%d", i))
		must(t, plane.CreatePods(t.Context(), pod))
		running[pod.UID] = true
	}
	s.settled(t, 30*time.Second, 4, namespace)
	must(t, plane.CreatePods(t.Context(), batchPod(namespace, "high", harness.Priority("e2e-high"))))
	eventually(t, 15*time.Second, func() []string {
		if s.verbs.Calls("preempt") == 0 {
			return []string{"kube-scheduler has not proposed any victims"}
		}
		return nil
	})
	// Long enough for evictions that follow later proposals.
	for end := time.Now().Add(8 * time.Second); time.Now().Before(end); time.Sleep(250 * time.Millisecond) {
		untouched := 0
		for _, pod := range fresh(t).Of(namespace) {
			if running[pod.UID] && pod.DeletionTimestamp == nil {
				untouched++
			}
		}
		if untouched != 4 {
			t.Fatalf("%d of 4 pods are left as they were", untouched)
		}
	}
	if high := podNamed(t, namespace, "high"); high.Spec.NodeName != "" {
		t.Fatalf("the pod is on %s, where no GPU is free", high.Spec.NodeName)
	}
	deletePod(t, namespace, "low-0")
	s.settled(t, 20*time.Second, 4, namespace)
}

func priorityClass(t *testing.T, name string, value int32) {
	t.Helper()
	_, err := plane.Client.SchedulingV1().PriorityClasses().Create(t.Context(),
		&schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Value: value}, metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		must(t, err)
	}
}
