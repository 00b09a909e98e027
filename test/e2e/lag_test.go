package e2e

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"

	"berth.dev/e2e/harness"
)

// berth sees everything two seconds after kube-scheduler does. A full fleet
// stays full: whenever a pod has gone, another is made, for which there is
// room from its first moment on.
func TestWithLaggingWatchNoPodPendsOver5SecondsWhileRoomIsFree(t *testing.T) {
	const gpus, lag, limit = 16, 2 * time.Second, 5 * time.Second
	s := newStack(t, wants{nodes: [][]*v1.Node{harness.Nodes(harness.L4, 4, 4)}, api: true})
	namespace := namespaceOf(t)
	observer, err := plane.Observe(t.Context(), namespace)
	must(t, err)
	s.api.DelayWatches(lag)
	var present []string
	made := 0
	add := func() {
		name := fmt.Sprintf("p-%03d", made)
		made++
		must(t, plane.CreatePods(t.Context(), batchPod(namespace, name)))
		present = append(present, name)
	}
	for range gpus {
		add()
	}
	boundCount(t, namespace, gpus)
	random := rand.New(rand.NewPCG(1, 2))
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(300 * time.Millisecond) {
		i := random.IntN(len(present))
		name := present[i]
		if pod := podNamed(t, namespace, name); pod.Status.Phase != v1.PodRunning {
			continue
		}
		present = append(present[:i], present[i+1:]...)
		deletePod(t, namespace, name)
		gone(t, observer, name)
		add()
	}
	s.settled(t, 20*time.Second, gpus, namespace)
	checkPending(t, observer, made, limit)
}

// gone waits until the pod has left the API server, and its node with it.
func gone(t *testing.T, observer *harness.Observer, name string) {
	t.Helper()
	eventually(t, 10*time.Second, func() []string {
		story, err := observer.Story(name)
		must(t, err)
		if !story.Deleted {
			return []string{name + " is still there"}
		}
		return nil
	})
}

func checkPending(t *testing.T, observer *harness.Observer, made int, limit time.Duration) {
	t.Helper()
	stories, err := observer.Stories()
	must(t, err)
	if len(stories) != made || made < 40 {
		t.Errorf("%d pods were seen and %d made; fewer than 40 show nothing", len(stories), made)
	}
	longest := time.Duration(0)
	for _, story := range stories {
		pended := story.Bound.Sub(story.Seen)
		if story.Node == "" || pended > limit {
			t.Errorf("%s pended %s while room was free", story.Name, pended.Round(time.Millisecond))
		}
		longest = max(longest, pended)
	}
	t.Logf("%d pods, none pended longer than %s", len(stories), longest.Round(time.Millisecond))
}
