package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"

	"berth.dev/e2e/harness"
)

func TestHintedRoadCarries500PodsUnderABacklog(t *testing.T) {
	s := newStack(t, wants{nodes: fleet()})
	namespace := namespaceOf(t)
	observer, err := plane.Observe(t.Context(), namespace)
	must(t, err)
	var pods []*v1.Pod
	for i := range 500 {
		pods = append(pods, harness.Pod(namespace, fmt.Sprintf("p-%03d", i), 1, ofClass("batch")))
	}
	// A scheduler that stands still for a moment leaves a backlog, however fast
	// the machine is; the last pods come while it works that off.
	s.scheduler.Pause()
	must(t, plane.CreatePods(t.Context(), pods[:400]...))
	s.scheduler.Resume()
	began := time.Now()
	must(t, plane.CreatePods(t.Context(), pods[400:]...))
	s.settled(t, 90*time.Second, 500, namespace)
	t.Logf("all were bound %s after the scheduler went on", time.Since(began).Round(time.Millisecond))
	stories, err := observer.Stories()
	must(t, err)
	if len(stories) != 500 {
		t.Errorf("%d pods were seen, 500 were made", len(stories))
	}
	hinted, followed := 0, 0
	for _, story := range stories {
		if len(story.Hints) > 0 {
			hinted++
		}
		if slices.Contains(story.Hints, story.Node) {
			followed++
		}
	}
	t.Logf("%d pods got a hint, %d went where it said", hinted, followed)
	if followed <= 250 {
		t.Errorf("%d of 500 pods went where a hint said: that is not most of them", followed)
	}
}
