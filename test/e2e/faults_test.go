package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"berth.dev/e2e/harness"
)

// holder keeps the requests whose path ends in a word until it is released;
// those whose client has gone by then get no further.
type holder struct {
	held     chan string
	released chan struct{}
}

func hold(t *testing.T, proxy *harness.Proxy, suffix string) *holder {
	t.Helper()
	h := &holder{held: make(chan string, 1000), released: make(chan struct{})}
	proxy.SetHook(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, suffix) {
			// Only once all of a request is read does the server see its client go.
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(body))
			h.held <- r.URL.Path
			<-h.released
		}
		return r.Context().Err() != nil
	})
	t.Cleanup(func() { proxy.SetHook(nil); h.release() })
	return h
}

// wait returns when count requests are held.
func (h *holder) wait(t *testing.T, count int) {
	t.Helper()
	for i := range count {
		select {
		case <-h.held:
		case <-time.After(15 * time.Second):
			t.Fatalf("%d of %d requests came", i, count)
		}
	}
}

func (h *holder) release() {
	select {
	case <-h.released:
	default:
		close(h.released)
	}
}

func TestPodDeletedWhileItsBindIsInFlightLeavesNothingBehind(t *testing.T) {
	s := newStack(t, wants{nodes: [][]*v1.Node{harness.Nodes(harness.L4, 1, 1)}, api: true})
	namespace := namespaceOf(t)
	bindings := hold(t, s.api, "/binding")
	first := batchPod(namespace, "same-name")
	must(t, plane.CreatePods(t.Context(), first))
	bindings.wait(t, 1)
	deletePod(t, namespace, "same-name")
	eventually(t, 10*time.Second, func() []string {
		_, err := plane.Client.CoreV1().Pods(namespace).Get(t.Context(), "same-name", metav1.GetOptions{})
		if !apierrors.IsNotFound(err) {
			return []string{"the pod is still there"}
		}
		return nil
	})
	// Another pod of that name must not get the first one's Binding.
	second := batchPod(namespace, "same-name")
	must(t, plane.CreatePods(t.Context(), second))
	s.api.SetHook(nil)
	bindings.release()
	s.settled(t, 30*time.Second, 1, namespace)
	if pod := podNamed(t, namespace, "same-name"); pod.UID != second.UID {
		t.Errorf("the pod is %s, %s was made last", pod.UID, second.UID)
	}
	state, err := s.berth.State()
	must(t, err)
	for _, entry := range state.Ledger {
		if entry.UID == string(first.UID) {
			t.Errorf("the ledger still has the deleted pod: %+v", entry)
		}
	}
}

func TestNodeRemovedWhileChosenGetsNoPod(t *testing.T) {
	s := newStack(t, wants{nodes: [][]*v1.Node{harness.Nodes(harness.L4, 2, 1)}, verbs: true})
	namespace := namespaceOf(t)
	binds := hold(t, s.verbs, "/bind")
	pod := batchPod(namespace, "p")
	must(t, plane.CreatePods(t.Context(), pod))
	binds.wait(t, 1)
	chosen := ledgerNode(t, s, pod)
	must(t, plane.Client.CoreV1().Nodes().Delete(t.Context(), chosen, metav1.DeleteOptions{}))
	eventually(t, 10*time.Second, func() []string {
		state, err := s.berth.State()
		must(t, err)
		for _, node := range state.Nodes {
			if node.Name == chosen {
				return []string{"berth still has node " + chosen}
			}
		}
		return nil
	})
	s.verbs.SetHook(nil)
	binds.release()
	s.settled(t, 40*time.Second, 1, namespace)
	if bound := podNamed(t, namespace, "p"); bound.UID != pod.UID || bound.Spec.NodeName == chosen {
		t.Errorf("pod %s is on %s; the node that went was %s", bound.UID, bound.Spec.NodeName, chosen)
	}
}

// ledgerNode is where berth has reserved room for the pod.
func ledgerNode(t *testing.T, s *stack, pod *v1.Pod) string {
	t.Helper()
	state, err := s.berth.State()
	must(t, err)
	for _, entry := range state.Ledger {
		if entry.UID == string(pod.UID) {
			return entry.Node
		}
	}
	t.Fatalf("the ledger has no room for pod %s", pod.Name)
	return ""
}

// The fleets of the next tests are filled to the last GPU: room that were
// lost anywhere would leave a pod without a place.
func TestKubeSchedulerRestartedMidStreamLosesNothing(t *testing.T) {
	s := newStack(t, wants{nodes: [][]*v1.Node{harness.Nodes(harness.L4, 30, 4)}})
	namespace := namespaceOf(t)
	wait := stream(t, namespace, 120, 15*time.Millisecond)
	boundCount(t, namespace, 30)
	s.scheduler.Kill()
	time.Sleep(200 * time.Millisecond)
	must(t, s.scheduler.Start())
	wait()
	s.settled(t, 60*time.Second, 120, namespace)
}

func TestBerthKilledMidStreamLosesNothing(t *testing.T) {
	s := newStack(t, wants{nodes: [][]*v1.Node{harness.Nodes(harness.L4, 30, 4)}})
	namespace := namespaceOf(t)
	wait := stream(t, namespace, 120, 15*time.Millisecond)
	boundCount(t, namespace, 30)
	s.berth.Kill()
	time.Sleep(200 * time.Millisecond)
	must(t, s.berth.Restart(t.Context()))
	wait()
	s.settled(t, 60*time.Second, 120, namespace)
}

func TestBerthKilledBetweenFilterAndBindBooksNothingTwice(t *testing.T) {
	s := newStack(t, wants{nodes: [][]*v1.Node{harness.Nodes(harness.L4, 2, 4)}, verbs: true})
	namespace := namespaceOf(t)
	binds := hold(t, s.verbs, "/bind")
	for i := range 8 {
		must(t, plane.CreatePods(t.Context(), batchPod(namespace, fmt.Sprintf("p-%d", i))))
	}
	binds.wait(t, 8)
	s.berth.Kill()
	must(t, s.berth.Restart(t.Context()))
	s.verbs.SetHook(nil)
	binds.release()
	s.settled(t, 60*time.Second, 8, namespace)
}
