package e2e

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"berth.dev/e2e/harness"
)

// loadPools are the pools where testdata/policy-kill.yaml lets each class go.
var loadPools = map[string][]string{
	"urgent": {"l4", "t4"}, "small": {"t4"}, "steady": {"l4", "t4"}, "batch": {"l4", "t4"},
}

const sharedNodes = 10

// loadFleet is 60 nodes. On the last ten foreign pods come and go while berth
// places its own: there cpu, of which foreign pods ask for none, keeps half of
// the 16 GPUs from berth's pods, so that the two never want the same one.
func loadFleet() [][]*v1.Node {
	l4, t4 := harness.Nodes(harness.L4, 48, 8), harness.Nodes(harness.T4, 12, 8)
	for _, node := range l4[len(l4)-sharedNodes:] {
		node.Labels["nvidia.com/gpu.count"] = "16"
		for _, room := range []v1.ResourceList{node.Status.Capacity, node.Status.Allocatable} {
			room[harness.GPU] = resource.MustParse("16")
			room[v1.ResourceCPU] = resource.MustParse("8")
		}
	}
	return [][]*v1.Node{l4, t4}
}

// load makes pods come and go on loadFleet, about as many as there is room
// for, so that some always wait. What it does follows from its seed; when it
// does it, from the clock.
type load struct {
	namespace string
	history   *harness.History
	random    *rand.Rand
	names     atomic.Int64

	mu      sync.Mutex
	live    []*v1.Pod            // made and not yet ended, as made
	done    []*v1.Pod            // finished: their objects are still there
	foreign map[string][]*v1.Pod // by shared node
	demand  int64                // GPUs of berth's pods in live
	target  int64
	urgent  int64 // GPUs of all pods of class urgent so far
	made    int
	err     error
}

const loadRoom = 60 * 8 // GPUs for berth's pods

func newLoad(t *testing.T, seed uint64, history *harness.History) *load {
	t.Helper()
	l := &load{namespace: namespaceOf(t), history: history, random: rand.New(rand.NewPCG(seed, 1)),
		foreign: map[string][]*v1.Pod{}, target: loadRoom}
	priorityClass(t, "e2e-high", 100000)
	priorityClass(t, "e2e-lowest", -10)
	// Nearly full from the beginning; what runs already may have come from anywhere.
	var pods []*v1.Pod
	for node := range 60 {
		for free := int64(8); free > 0; {
			gpus := min(free, 1<<l.random.IntN(4))
			name, pool := fmt.Sprintf("first-%03d-%d", node, free), "l4"
			if free -= gpus; l.random.IntN(10) == 0 {
				continue
			}
			at := node
			if node >= 48 {
				at, pool = node-48, "t4"
			}
			pods = append(pods, l.own(name, gpus, "batch", bound(fmt.Sprintf("%s-%03d", pool, at))))
		}
	}
	must(t, l.create(t.Context(), pods...))
	// These two fit on no node; they wait, and harm nobody.
	must(t, l.create(t.Context(), l.own("too-large", 17, "batch"), l.own("too-large-for-t4", 16, "small")))
	return l
}

// own makes a pod of berth's: one cpu for each GPU, as loadFleet counts on.
func (l *load) own(name string, gpus int64, class string, options ...harness.PodOption) *v1.Pod {
	pod := harness.Pod(l.namespace, name, gpus, append(options, inClass(class), ofClass(class))...)
	pod.Spec.Containers[0].Resources.Requests[v1.ResourceCPU] = *resource.NewQuantity(gpus, resource.DecimalSI)
	if class == "urgent" {
		pod.Spec.PriorityClassName = "e2e-high"
	}
	return pod
}

func gpusOf(pod *v1.Pod) int64 { return harness.Requests(pod)[string(harness.GPU)] }

func (l *load) create(ctx context.Context, pods ...*v1.Pod) error {
	if err := plane.CreatePods(ctx, pods...); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.made += len(pods)
	for _, pod := range pods {
		l.live = append(l.live, pod)
		if pod.Spec.SchedulerName == harness.SchedulerName && gpusOf(pod) <= 8 {
			l.demand += gpusOf(pod)
		}
		if pod.Labels[labelClass] == "urgent" {
			l.urgent += gpusOf(pod)
		}
	}
	return nil
}

// name is one that no pod has had.
func (l *load) name(kind string) string { return fmt.Sprintf("%s-%05d", kind, l.names.Add(1)) }

// run goes on until stop is closed.
func (l *load) run(ctx context.Context, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(15+l.random.IntN(60)) * time.Millisecond):
		}
		if err := l.step(ctx); err != nil && ctx.Err() == nil {
			l.mu.Lock()
			l.err = err
			l.mu.Unlock()
			return
		}
	}
}

func (l *load) step(ctx context.Context) error {
	if l.random.IntN(20) == 0 {
		// The room wanted swings about the room there is.
		l.target = loadRoom * int64(100+l.random.IntN(40)) / 100
	}
	l.mu.Lock()
	grow := 25
	if l.demand < l.target {
		grow = 80
	}
	l.mu.Unlock()
	switch dice := l.random.IntN(100); {
	case l.random.IntN(10) == 0:
		return l.comeForeign(ctx)
	case dice < grow:
		pods := make([]*v1.Pod, 1)
		if l.random.IntN(4) == 0 {
			pods = make([]*v1.Pod, 2+l.random.IntN(7)) // a backlog
		}
		for i := range pods {
			pods[i] = l.next()
		}
		return l.create(ctx, pods...)
	default:
		return l.endOne(ctx)
	}
}

// next makes one of berth's pods by the dice.
func (l *load) next() *v1.Pod {
	gpus := []int64{1, 1, 1, 1, 2, 2, 4, 8}[l.random.IntN(8)]
	var options []harness.PodOption
	class := "batch"
	switch l.random.IntN(20) {
	case 0, 1:
		class = "urgent"
	case 2, 3:
		class, gpus = "small", min(gpus, 4)
	case 4, 5:
		class = "steady"
	case 6, 7, 8, 9:
		options = append(options, harness.Priority("e2e-lowest"))
	}
	return l.own(l.name(class), gpus, class, options...)
}

// comeForeign puts a pod of no scheduler of ours on a shared node.
func (l *load) comeForeign(ctx context.Context) error {
	node := fmt.Sprintf("l4-%03d", 47-l.random.IntN(sharedNodes))
	gpus := int64(1 + l.random.IntN(2))
	taken := gpus
	for _, pod := range l.foreign[node] {
		if !l.history.Over(pod.UID) {
			taken += gpusOf(pod)
		}
	}
	if taken > 8 {
		return nil
	}
	pod := harness.Pod(l.namespace, l.name("foreign"), gpus, harness.Foreign, bound(node))
	delete(pod.Spec.Containers[0].Resources.Requests, v1.ResourceCPU)
	l.foreign[node] = append(l.foreign[node], pod)
	return l.create(ctx, pod)
}

// endOne deletes or finishes a pod: one that runs, is on its way, or waits.
func (l *load) endOne(ctx context.Context) error {
	l.mu.Lock()
	var pod *v1.Pod
	if i := l.random.IntN(len(l.live)); gpusOf(l.live[i]) <= 8 {
		pod = l.live[i]
		l.live = slices.Delete(l.live, i, i+1)
		if pod.Spec.SchedulerName == harness.SchedulerName {
			l.demand -= gpusOf(pod)
		}
	}
	l.mu.Unlock()
	if pod == nil {
		return nil
	}
	pods := plane.Client.CoreV1().Pods(l.namespace)
	now := l.history.Pod(pod.UID)
	if now != nil && now.Status.Phase == v1.PodRunning && now.DeletionTimestamp == nil && l.random.IntN(2) == 0 {
		l.done = append(l.done, pod)
		_, err := pods.Patch(ctx, pod.Name, types.MergePatchType, []byte(`{"status":{"phase":"Succeeded"}}`), metav1.PatchOptions{}, "status")
		return ignoreGone(err)
	}
	return ignoreGone(pods.Delete(ctx, pod.Name, metav1.DeleteOptions{}))
}

// endRunning deletes the first pod of class batch that runs.
func (l *load) endRunning(ctx context.Context) error {
	for i, pod := range l.live {
		now := l.history.Pod(pod.UID)
		if pod.Labels[labelClass] == "batch" && now != nil && now.Status.Phase == v1.PodRunning {
			l.live = slices.Delete(l.live, i, i+1)
			l.demand -= gpusOf(pod)
			return ignoreGone(plane.Client.CoreV1().Pods(l.namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{}))
		}
	}
	return nil
}

// tidy deletes the objects of pods that have finished, while run stands still.
func (l *load) tidy(ctx context.Context) error {
	for _, pod := range l.done {
		if err := ignoreGone(plane.Client.CoreV1().Pods(l.namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{})); err != nil {
			return err
		}
	}
	l.done = nil
	return nil
}

// wrong says which pods have gone though nobody was to take them: only a pod
// of class batch may be gone without the load's doing, and only as a victim.
func (l *load) wrong() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var wrong []string
	if l.err != nil {
		wrong = append(wrong, "the load has ended: "+l.err.Error())
	}
	left := l.live[:0]
	for _, pod := range l.live {
		now := l.history.Pod(pod.UID)
		if now == nil || now.DeletionTimestamp == nil {
			left = append(left, pod)
			continue
		}
		if !harness.IsVictim(now) || pod.Labels[labelClass] != "batch" {
			wrong = append(wrong, fmt.Sprintf("%s of class %q was deleted, and not by its user", pod.Name, pod.Labels[labelClass]))
		}
		l.demand -= gpusOf(pod)
	}
	l.live = left
	return wrong
}

// lingering lets a deleted pod take up to three seconds to end.
func lingering(pod *v1.Pod) time.Duration {
	sum := fnv.New32a()
	sum.Write([]byte(pod.UID))
	return time.Duration(sum.Sum32()%3000) * time.Millisecond
}
