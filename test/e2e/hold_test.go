package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
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
func smallJobs(ctx context.Context, t *testing.T, namespace string, count int, options ...func(number int) harness.PodOption) {
	made := 0
	since, life := map[string]time.Time{}, map[string]time.Duration{}
	for ctx.Err() == nil {
		list, err := plane.Client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: "small=yes"})
		if err != nil {
			break
		}
		for len(list.Items) < count {
			with := []harness.PodOption{harness.Labelled(map[string]string{"small": "yes"})}
			for _, option := range options {
				with = append(with, option(made))
			}
			pod := harness.Pod(namespace, fmt.Sprintf("small-%04d", made), 1, with...)
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

// saysItsLife is what a small job says of its run: its life, and what passes
// until its end is seen.
func saysItsLife(number int) harness.PodOption {
	return harness.Annotated(map[string]string{"berth.dev/expected-runtime": (lifeOf(number) + 2*time.Second).String()})
}

// promised is what /v1/queue says of the one gang in line.
type promised struct {
	Start, Promised *time.Time
}

func (s *stack) promised(t *testing.T) promised {
	t.Helper()
	var queue struct{ Gangs []promised }
	response, err := http.Get(s.berth.Ops + "/v1/queue")
	must(t, err)
	defer response.Body.Close()
	must(t, json.NewDecoder(response.Body).Decode(&queue))
	if len(queue.Gangs) != 1 {
		return promised{}
	}
	return queue.Gangs[0]
}

func TestABigGangIsPromisedAStartAndSmallJobsThatEndBeforeItComeMeanwhile(t *testing.T) {
	const size = 3 // of 4 nodes, whole
	s := newStack(t, wants{nodes: [][]*v1.Node{harness.Nodes(harness.H100, 4, 8)}, policy: "testdata/reserve.yaml"})
	namespace := namespaceOf(t)
	ctx, cancel := context.WithCancel(t.Context())
	var stream sync.WaitGroup
	stream.Add(1)
	go func() { defer stream.Done(); smallJobs(ctx, t, namespace, 48, saysItsLife) }()
	defer func() { cancel(); stream.Wait() }()
	eventually(t, 60*time.Second, func() []string {
		if bound := boundOf(fresh(t).Of(namespace)); bound < 32 {
			return []string{fmt.Sprintf("%d of 32 GPUs are taken", bound)}
		}
		return nil
	})
	must(t, plane.CreatePods(t.Context(), gang(namespace, "big", "training", size, 8, behindGate)...))
	began := time.Now()
	var first time.Time
	eventually(t, startBound, func() []string {
		if told := s.promised(t).Promised; told != nil && first.IsZero() {
			first = *told
		}
		return harness.Unbound(membersOf(fresh(t), namespace, "big"))
	})
	if first.IsZero() {
		t.Fatal("no start was promised")
	}
	seen, told := time.Since(began), first.Sub(began)
	t.Logf("promised after %s, bound after %s", told.Round(100*time.Millisecond), seen.Round(100*time.Millisecond))
	if told > seen*3/2 {
		t.Errorf("promised %s after it was there, and bound after %s", told, seen)
	}
	if wrong := fresh(t).Overcommitted(); len(wrong) > 0 {
		t.Errorf("over-committed: %s", brief(wrong))
	}
}
