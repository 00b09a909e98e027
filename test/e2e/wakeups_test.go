package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"berth.dev/e2e/harness"
)

// slack is what a watch event and a loaded machine may take on top of the
// second within which berth is to wake a pod.
const (
	wakeLimit = time.Second
	slack     = time.Second
)

var bf16 = harness.Annotated(map[string]string{"berth.dev/dtype": "bf16"})

func TestExpiredReservationWakesTheOnePodThatFits(t *testing.T) {
	s := newStack(t, wants{nodes: [][]*v1.Node{harness.Nodes(harness.L4, 1, 1), harness.Nodes(harness.T4, 1, 1)},
		flags: []string{"--reservation-ttl", "8s"}})
	namespace := namespaceOf(t)
	observer, err := plane.Observe(t.Context(), namespace)
	must(t, err)
	// A cycle that was abandoned without a word: filter was asked, bind never is.
	ghost := batchPod(namespace, "abandoned", harness.OnPool("l4"))
	ghost.UID = types.UID("abandoned-" + namespace)
	nodes, err := s.berth.Filter(ghost, "l4-000")
	must(t, err)
	if !slices.Equal(nodes, []string{"l4-000"}) {
		t.Fatalf("filter answered %q", nodes)
	}
	createWaiting(t, s, namespace,
		batchPod(namespace, "first", harness.OnPool("l4")),
		batchPod(namespace, "second", harness.OnPool("l4")),
		batchPod(namespace, "elsewhere", harness.OnPool("t4"), bf16))
	expires := expiry(t, s, string(ghost.UID))
	time.Sleep(time.Until(expires))
	woken(t, observer, expires, wakeLimit, "first")
	boundTo(t, namespace, "first", "l4-000")
	time.Sleep(2 * time.Second)
	onlyWoken(t, observer, "first")
}

func TestPolicyReloadWakesThePodsItLetsIn(t *testing.T) {
	s := newStack(t, wants{nodes: [][]*v1.Node{harness.Nodes(harness.A100, 1, 1), harness.Nodes(harness.T4, 1, 1)},
		policy: "testdata/policy-dev-on-a100.yaml"})
	dev := namespaceOf(t, "-dev")
	observer, err := plane.Observe(t.Context(), dev)
	must(t, err)
	must(t, plane.CreatePods(t.Context(), harness.Pod(dev, "on-a100", 1, harness.OnPool("a100"), ofClass("dev"))))
	boundTo(t, dev, "on-a100", "a100-000")
	createWaiting(t, s, dev,
		harness.Pod(dev, "let-in", 1, ofClass("dev")),
		harness.Pod(dev, "kept-out", 1, ofClass("dev"), bf16))
	text, err := os.ReadFile("testdata/policy.yaml")
	must(t, err)
	next := filepath.Join(t.TempDir(), "policy.yaml")
	must(t, os.WriteFile(next, text, 0o644))
	must(t, os.Rename(next, s.policy))
	// A changed file is in force within two seconds.
	woken(t, observer, time.Now(), 2*time.Second+wakeLimit, "let-in")
	boundTo(t, dev, "let-in", "t4-000")
	time.Sleep(2 * time.Second)
	onlyWoken(t, observer, "let-in")
}

// createWaiting makes pods that berth has to reject, a second apart so that
// their order in the queue is certain, and waits until it says they wait.
func createWaiting(t *testing.T, s *stack, namespace string, pods ...*v1.Pod) {
	t.Helper()
	for i, pod := range pods {
		if i > 0 {
			time.Sleep(1100 * time.Millisecond)
		}
		must(t, plane.CreatePods(t.Context(), pod))
	}
	eventually(t, 5*time.Second, func() []string {
		state, err := s.berth.State()
		must(t, err)
		var wrong []string
		for _, pod := range pods {
			waits := false
			for _, entry := range state.Waiting {
				waits = waits || entry.UID == string(pod.UID) && entry.Code != ""
			}
			if !waits {
				wrong = append(wrong, pod.Name+" does not wait with a code")
			}
		}
		return wrong
	})
}

// expiry is when the reservation of the pod runs out.
func expiry(t *testing.T, s *stack, uid string) time.Time {
	t.Helper()
	state, err := s.berth.State()
	must(t, err)
	for _, entry := range state.Ledger {
		if entry.UID == uid && entry.Expires != nil {
			return *entry.Expires
		}
	}
	t.Fatalf("the ledger has no reservation of %s that runs out: it was not to before the pods wait", uid)
	return time.Time{}
}

// woken waits until the pod's annotation has changed, which must be within
// limit of since.
func woken(t *testing.T, observer *harness.Observer, since time.Time, limit time.Duration, name string) {
	t.Helper()
	var story harness.Story
	eventually(t, limit+10*time.Second, func() []string {
		var err error
		story, err = observer.Story(name)
		must(t, err)
		if len(story.Wakes) == 0 {
			return []string{name + " is not woken"}
		}
		return nil
	})
	took := story.Wakes[0].Sub(since)
	t.Logf("%s was woken after %s", name, took.Round(time.Millisecond))
	if took > limit+slack {
		t.Errorf("%s was woken after %s, %s is the limit", name, took, limit)
	}
}

// onlyWoken checks that no pod but those named was ever woken.
func onlyWoken(t *testing.T, observer *harness.Observer, names ...string) {
	t.Helper()
	stories, err := observer.Stories()
	must(t, err)
	for _, story := range stories {
		if len(story.Wakes) > 0 && !slices.Contains(names, story.Name) {
			t.Errorf("%s was woken, and there was no room for it", story.Name)
		}
	}
}

func boundTo(t *testing.T, namespace, name, node string) {
	t.Helper()
	eventually(t, 10*time.Second, func() []string {
		if pod := podNamed(t, namespace, name); pod.Spec.NodeName != node {
			return []string{name + " is on " + pod.Spec.NodeName + ", not on " + node}
		}
		return nil
	})
}
