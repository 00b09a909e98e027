package e2e

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"berth.dev/e2e/harness"
)

const (
	holdAfter = 5 * time.Second // of testdata/hold.yaml
	smallLife = 8 * time.Second // at most
	// What runs when the nodes are held is over after a life; wake-ups,
	// kube-scheduler's backoff and the gang's own road come on top.
	startBound = holdAfter + smallLife + 20*time.Second
)

// lifeOf differs from pod to pod, so that a GPU here and there is free at any
// time, and many at once never.
func lifeOf(number int) time.Duration {
	return smallLife/2 + time.Duration(number*7%10)*smallLife/20
}

// smallJobs keeps more pods of one GPU there than there is room for; each ends
// some time after it was bound, and another one comes.
func smallJobs(ctx context.Context, t *testing.T, namespace string, count int) {
	made := 0
	since, life := map[string]time.Time{}, map[string]time.Duration{}
	for ctx.Err() == nil {
		list, err := plane.Client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: "small=yes"})
		if err != nil {
			break
		}
		for len(list.Items) < count {
			pod := harness.Pod(namespace, fmt.Sprintf("small-%04d", made), 1, harness.Labelled(map[string]string{"small": "yes"}))
			life[pod.Name] = lifeOf(made)
			made++
			if err := plane.CreatePods(ctx, pod); err != nil {
				break
			}
			list.Items = append(list.Items, *pod)
		}
		for i := range list.Items {
			pod := &list.Items[i]
			switch began, known := since[pod.Name]; {
			case pod.Spec.NodeName == "" || pod.DeletionTimestamp != nil:
			case !known:
				since[pod.Name] = time.Now()
			case time.Since(began) > life[pod.Name]:
				_ = plane.Client.CoreV1().Pods(namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{})
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Logf("%d small pods were made", made)
}

func TestABigGangBesideAStreamOfSmallJobsStartsInTime(t *testing.T) {
	const size = 20
	newStack(t, wants{nodes: [][]*v1.Node{harness.Nodes(harness.H100, 8, 8)}, policy: "testdata/hold.yaml"})
	namespace := namespaceOf(t)
	ctx, cancel := context.WithCancel(t.Context())
	var stream sync.WaitGroup
	stream.Add(1)
	go func() { defer stream.Done(); smallJobs(ctx, t, namespace, 90) }()
	defer func() { cancel(); stream.Wait() }()
	eventually(t, 60*time.Second, func() []string {
		if bound := boundOf(fresh(t).Of(namespace)); bound < 64 {
			return []string{fmt.Sprintf("%d of 64 GPUs are taken", bound)}
		}
		return nil
	})
	must(t, plane.CreatePods(t.Context(), gang(namespace, "big", "training", size, 2, behindGate)...))
	began := time.Now()
	eventually(t, startBound, func() []string { return harness.Unbound(membersOf(fresh(t), namespace, "big")) })
	t.Logf("bound %s after it was there; bound stated %s", time.Since(began).Round(100*time.Millisecond), startBound)
	if wrong := fresh(t).Overcommitted(); len(wrong) > 0 {
		t.Errorf("over-committed: %s", brief(wrong))
	}
}
