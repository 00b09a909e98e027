package harness

import (
	"context"
	"fmt"
	"sync"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	watchapi "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

// History replays every change of every pod, in the order in which the API
// server made them, and adds up at each what the pods take from each node. So
// it sees an over-commitment that lasted for one revision only.
type History struct {
	mu    sync.Mutex
	room  map[string]map[string]int64 // allocatable, by node
	used  map[string]map[string]int64
	last  map[types.UID]*v1.Pod // as last shown, deleted ones too
	ended map[types.UID]bool    // deleted
	bound int
	wrong []string
}

// Follow begins a History; the nodes stay as they are while it runs.
func (c *ControlPlane) Follow(ctx context.Context) (*History, error) {
	begin, err := c.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	all := c.Client.CoreV1().Pods(metav1.NamespaceAll)
	list, err := all.List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	h := &History{room: map[string]map[string]int64{}, used: map[string]map[string]int64{},
		last: map[types.UID]*v1.Pod{}, ended: map[types.UID]bool{}}
	for name, node := range begin.Nodes {
		h.room[name], h.used[name] = baseUnits(node.Status.Allocatable), map[string]int64{}
	}
	for i := range list.Items {
		h.note(&list.Items[i], false)
	}
	watch, err := watchtools.NewRetryWatcherWithContext(ctx, list.ResourceVersion, &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watchapi.Interface, error) {
			return all.Watch(ctx, options)
		},
	})
	if err != nil {
		return nil, err
	}
	go func() {
		defer watch.Stop()
		for event := range watch.ResultChan() {
			if pod, ok := event.Object.(*v1.Pod); ok {
				h.note(pod, event.Type == watchapi.Deleted)
			}
		}
		if ctx.Err() == nil {
			h.mu.Lock()
			h.wrong = append(h.wrong, "the watch has ended: what it missed is not known")
			h.mu.Unlock()
		}
	}()
	return h, nil
}

func (h *History) note(pod *v1.Pod, deleted bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.last[pod.UID]
	if before != nil && !h.ended[pod.UID] {
		h.add(before, -1)
	}
	h.last[pod.UID], h.ended[pod.UID] = pod, deleted
	if !deleted {
		h.add(pod, 1)
	}
	if before != nil && before.Spec.NodeName == pod.Spec.NodeName || pod.Spec.NodeName == "" {
		return
	}
	h.bound++
	if before != nil && before.Spec.NodeName != "" {
		h.wrong = append(h.wrong, fmt.Sprintf("%s was bound to %s, then to %s", pod.Name, before.Spec.NodeName, pod.Spec.NodeName))
	}
	used, room := h.used[pod.Spec.NodeName], h.room[pod.Spec.NodeName]
	for resource, amount := range used {
		if amount > room[resource] {
			h.wrong = append(h.wrong, fmt.Sprintf("revision %s: with %s node %s has %d of %d %s",
				pod.ResourceVersion, pod.Name, pod.Spec.NodeName, amount, room[resource], resource))
		}
	}
}

func (h *History) add(pod *v1.Pod, sign int64) {
	used := h.used[pod.Spec.NodeName]
	if used == nil || !counts(pod) {
		return
	}
	for resource, amount := range Requests(pod) {
		used[resource] += sign * amount
	}
	used[string(v1.ResourcePods)] += sign
}

// Wrong says what should never have been: a node given more than it has, a
// pod given to two nodes, a watch that ended.
func (h *History) Wrong() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.wrong...)
}

// Bound counts the bindings seen so far.
func (h *History) Bound() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.bound
}

// Pod is the pod as last shown, nil if it never was.
func (h *History) Pod(uid types.UID) *v1.Pod {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last[uid]
}

// Over says whether the pod was there and takes no room any more.
func (h *History) Over(uid types.UID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	pod := h.last[uid]
	return pod != nil && (h.ended[uid] || !counts(pod))
}

// Victims are the pods that a scheduler has evicted for others, ended or not.
func (h *History) Victims() []*v1.Pod {
	h.mu.Lock()
	defer h.mu.Unlock()
	var found []*v1.Pod
	for _, pod := range h.last {
		if IsVictim(pod) {
			found = append(found, pod)
		}
	}
	return found
}

// IsVictim says whether a scheduler has evicted the pod for another one.
func IsVictim(pod *v1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == v1.DisruptionTarget && condition.Status == v1.ConditionTrue &&
			condition.Reason == v1.PodReasonPreemptionByScheduler {
			return true
		}
	}
	return false
}
