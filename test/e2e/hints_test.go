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
	hinted, followed := 0, 0
	for _, story := range boundStories(t, observer, 500) {
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

// boundStories waits for the observer's own watch to have shown so many pods,
// each of them bound: it may be behind the list that settled has read.
func boundStories(t *testing.T, observer *harness.Observer, count int) []harness.Story {
	t.Helper()
	var stories []harness.Story
	eventually(t, 20*time.Second, func() []string {
		var err error
		stories, err = observer.Stories()
		must(t, err)
		bound := 0
		for _, story := range stories {
			if story.Node != "" {
				bound++
			}
		}
		if bound != count || len(stories) != count {
			return []string{fmt.Sprintf("%d pods were seen, %d of them bound, %d were made", len(stories), bound, count)}
		}
		return nil
	})
	return stories
}
