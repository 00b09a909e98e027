package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"berth.dev/e2e/harness"
)

const (
	// Up to four gangs of up to 24 pods with 4 GPUs, 12 nodes each: with five
	// blocks of 16 one that must stay inside a block always has its room, though
	// each of the others takes from another block and two nodes are deleted.
	chaosNodes   = 80
	chaosMembers = 20 * time.Second // membersWithin of testdata/chaos.yaml
	// A gang is whole, or none of it is bound, within the commit deadline or
	// membersWithin, whichever is longer, and half a minute.
	chaosPartial = 60 * time.Second
	// All of them have room: at the end each is whole. kube-scheduler backs off
	// up to 10 s, PodGC takes a minute for what stood on a deleted node.
	chaosWhole = 180 * time.Second
)

// chaos strikes one stack in the middle of the commits of its gangs.
type chaos struct {
	*stack
	t         *testing.T
	random    *rand.Rand
	namespace string
	sizes     map[string]int32 // gangs of this round
	stopped   time.Duration    // how long the API server was in this round
	gone      []*v1.Node       // deleted in this round
	partial   map[string]time.Time
	whole     map[string]bool
	faults    map[string]int
	undone    map[string]bool
}

var chaosFaults = []struct {
	name   string
	strike func(*chaos)
}{
	{"berth killed", func(c *chaos) { c.kill(c.berth.Process) }},
	{"kube-scheduler killed", func(c *chaos) { c.kill(c.scheduler) }},
	{"both killed", func(c *chaos) { c.kill(c.berth.Process, c.scheduler) }},
	{"berth killed twice", func(c *chaos) { c.kill(c.berth.Process); c.nap(500); c.kill(c.berth.Process) }},
	{"API server stopped for a moment", func(c *chaos) { c.stopServer(time.Duration(500+c.random.IntN(3500)) * time.Millisecond) }},
	{"API server stopped for 12 s", func(c *chaos) { c.stopServer(12 * time.Second) }},
	{"members deleted", func(c *chaos) { c.deleteMembers(1 + c.random.IntN(3)) }},
	{"members deleted, berth killed", func(c *chaos) { c.deleteMembers(1 + c.random.IntN(3)); c.kill(c.berth.Process) }},
	{"a node deleted", func(c *chaos) { c.deleteNodes(1) }},
	{"nodes deleted and made anew", func(c *chaos) { c.deleteNodes(2); c.nap(2000); c.restoreNodes() }},
	{"a node deleted, berth killed", func(c *chaos) { c.deleteNodes(1); c.nap(200); c.kill(c.berth.Process) }},
	{"a node deleted, the API server stopped", func(c *chaos) { c.deleteNodes(1); c.stopServer(3 * time.Second) }},
}

func (c *chaos) nap(most int) { time.Sleep(time.Duration(c.random.IntN(most+1)) * time.Millisecond) }

// kill ends the programs, which a supervisor starts again within a second.
func (c *chaos) kill(programs ...*harness.Process) {
	c.t.Helper()
	for _, p := range programs {
		if !p.Running() {
			c.t.Fatalf("%s has ended by itself, with exit code %d", p.Name, p.ExitCode())
		}
		p.Kill()
	}
	for _, p := range programs {
		c.nap(1000)
		if p == c.berth.Process {
			must(c.t, c.berth.Restart(c.t.Context()))
		} else {
			must(c.t, p.Start())
		}
	}
}

func (c *chaos) stopServer(duration time.Duration) {
	plane.APIServer.Pause()
	time.Sleep(duration)
	plane.APIServer.Resume()
	c.stopped += duration
}

// targets are the pods of gangs that are bound in part, or of all if none is.
func (c *chaos) targets(snapshot *harness.Snapshot) []*v1.Pod {
	bound := map[string]int32{}
	for _, pod := range snapshot.Of(c.namespace) {
		if pod.Spec.NodeName != "" {
			bound[pod.Annotations["berth.dev/gang"]]++
		}
	}
	var pods []*v1.Pod
	for _, pod := range snapshot.Of(c.namespace) {
		if name := pod.Annotations["berth.dev/gang"]; bound[name] > 0 && bound[name] < c.sizes[name] {
			pods = append(pods, pod)
		}
	}
	if len(pods) == 0 {
		return snapshot.Of(c.namespace)
	}
	return pods
}

// deleteMembers deletes pods, whatever they have reached.
func (c *chaos) deleteMembers(count int) {
	pods := c.targets(fresh(c.t))
	for i := 0; i < count && len(pods) > 0; i++ {
		at := c.random.IntN(len(pods))
		_ = plane.Client.CoreV1().Pods(c.namespace).Delete(c.t.Context(), pods[at].Name, metav1.DeleteOptions{})
		pods = append(pods[:at], pods[at+1:]...)
	}
}

// deleteNodes deletes nodes on which members stand, or any.
func (c *chaos) deleteNodes(count int) {
	snapshot := fresh(c.t)
	for _, pod := range c.targets(snapshot) {
		node := snapshot.Nodes[pod.Spec.NodeName]
		if count == 0 || node == nil {
			continue
		}
		count--
		delete(snapshot.Nodes, node.Name)
		c.gone = append(c.gone, node)
		must(c.t, plane.Client.CoreV1().Nodes().Delete(c.t.Context(), node.Name, metav1.DeleteOptions{}))
	}
}

func (c *chaos) restoreNodes() {
	for _, node := range c.gone {
		node = node.DeepCopy()
		node.ResourceVersion, node.UID = "", ""
		must(c.t, plane.CreateNodes(c.t.Context(), []*v1.Node{node}))
	}
	c.gone = nil
}

// begin makes the gangs of a round: Indexed Jobs, behind the gate or not.
func (c *chaos) begin(round int) {
	c.sizes, c.partial, c.whole, c.undone = map[string]int32{}, map[string]time.Time{}, map[string]bool{}, map[string]bool{}
	c.stopped = 0
	for i := range 2 + c.random.IntN(3) {
		name := fmt.Sprintf("round-%d-%d", round, i)
		class, size := []string{"training", "near", "batch"}[c.random.IntN(3)], int32(2+c.random.IntN(23))
		spec := harness.PodSpec(int64(1 + c.random.IntN(4)))
		spec.RestartPolicy = v1.RestartPolicyNever
		if class != "batch" {
			spec.SchedulingGates = planGate
		}
		c.sizes[name] = size
		_, err := plane.Client.BatchV1().Jobs(c.namespace).Create(c.t.Context(), &batchv1.Job{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: batchv1.JobSpec{
				Parallelism: &size, Completions: &size, BackoffLimit: ptr.To[int32](1000),
				CompletionMode: ptr.To(batchv1.IndexedCompletion),
				Template: v1.PodTemplateSpec{
					ObjectMeta: metav1.ObjectMeta{Annotations: saysGang(name, class, size)}, Spec: spec,
				},
			},
		}, metav1.CreateOptions{})
		must(c.t, err)
	}
}

// standing counts the members that are bound to a node that is there; a gang
// was whole once when all were bound, wherever, or berth has marked it so.
func (c *chaos) standing() map[string]int32 {
	snapshot, count, bound := fresh(c.t), map[string]int32{}, map[string]int32{}
	for _, pod := range snapshot.Of(c.namespace) {
		name := pod.Annotations["berth.dev/gang"]
		if pod.Spec.NodeName == "" {
			continue
		}
		if bound[name]++; bound[name] == c.sizes[name] || pod.Annotations["berth.dev/gang-whole"] != "" {
			c.whole[name] = true
		}
		if pod.DeletionTimestamp == nil && snapshot.Nodes[pod.Spec.NodeName] != nil {
			count[name]++
		}
	}
	if wrong := snapshot.Overcommitted(); len(wrong) > 0 {
		c.t.Fatalf("over-committed: %s", brief(wrong))
	}
	return count
}

// look fails where a gang that never was whole is bound in part for too long,
// and gives those that are not whole now.
func (c *chaos) look() []string {
	var wrong []string
	standing := c.standing()
	for name, size := range c.sizes {
		bound, now := standing[name], time.Now()
		if bound != size {
			wrong = append(wrong, fmt.Sprintf("%d of %d members of %s stand", bound, size, name))
		}
		if since, known := c.partial[name]; bound == 0 || bound == size || c.whole[name] {
			delete(c.partial, name)
		} else if !known {
			c.partial[name] = now
		} else if now.Sub(since) > chaosPartial+c.stopped {
			c.t.Fatalf("%s has been bound in part for %s: %s", name, now.Sub(since).Round(time.Second), brief(wrong))
		}
	}
	jobs, err := plane.Client.BatchV1().Jobs(c.namespace).List(c.t.Context(), metav1.ListOptions{})
	must(c.t, err)
	for _, job := range jobs.Items {
		for _, condition := range job.Status.Conditions {
			if condition.Type == batchv1.JobSuspended {
				c.undone[job.Name] = true
			}
		}
		if ptr.Deref(job.Spec.Suspend, false) {
			wrong = append(wrong, job.Name+" is suspended")
		}
	}
	return wrong
}

// end takes the gangs of a round away, and nothing of them may be left.
func (c *chaos) end() {
	c.t.Helper()
	c.restoreNodes()
	must(c.t, plane.Client.BatchV1().Jobs(c.namespace).DeleteCollection(c.t.Context(),
		metav1.DeleteOptions{PropagationPolicy: ptr.To(metav1.DeletePropagationBackground)}, metav1.ListOptions{}))
	eventually(c.t, 90*time.Second, func() []string {
		var wrong []string
		for _, pod := range fresh(c.t).Of(c.namespace) {
			wrong = append(wrong, pod.Name+" is still there")
		}
		state, err := c.berth.State()
		must(c.t, err)
		for _, entry := range state.Ledger {
			wrong = append(wrong, fmt.Sprintf("room of %s on %s is still %s", entry.Pod, entry.Node, entry.State))
		}
		return wrong
	})
}

// slowBindings lets one Binding after the other through, with pauses, so that
// what is struck is mostly in the middle.
func slowBindings(proxy *harness.Proxy, seed uint64) {
	var turn sync.Mutex
	random := rand.New(rand.NewPCG(seed, 4))
	proxy.SetHook(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/binding") {
			turn.Lock()
			defer turn.Unlock()
			time.Sleep(time.Duration(random.IntN(40)) * time.Millisecond)
		}
		return r.Context().Err() != nil
	})
}

func TestChaosEachGangIsWholeOrUndone(t *testing.T) {
	rounds, seed := number(t, "CHAOS_ROUNDS", 10), uint64(number(t, "CHAOS_SEED", int(time.Now().UnixNano()%1e6)))
	t.Logf("%d rounds, CHAOS_SEED=%d", rounds, seed)
	c := &chaos{t: t, random: rand.New(rand.NewPCG(seed, 3)), faults: map[string]int{},
		stack: newStack(t, wants{nodes: [][]*v1.Node{harness.Nodes(harness.H100, chaosNodes, 8)}, policy: "testdata/chaos.yaml", api: true})}
	slowBindings(c.api, seed)
	c.namespace = namespaceOf(t)
	t.Cleanup(func() { plane.APIServer.Resume() })
	gangs, undone := 0, 0
	var order []int
	for round := range rounds {
		if len(order) == 0 {
			order = c.random.Perm(len(chaosFaults))
		}
		fault := chaosFaults[order[0]]
		order = order[1:]
		c.begin(round)
		struck := c.awaitCommit()
		fault.strike(c)
		c.faults[fault.name]++
		began := time.Now()
		for wrong := c.look(); len(wrong) > 0; wrong = c.look() {
			if len(c.whole) == len(c.sizes) {
				c.restoreNodes() // what is left is PodGC's, which takes its time
			}
			if time.Since(began) > chaosWhole {
				t.Fatalf("round %d, %s at %d Bindings: after %s %s", round+1, fault.name, struck, chaosWhole, brief(wrong))
			}
			time.Sleep(100 * time.Millisecond)
		}
		// A gang holds no room beside what is bound.
		eventually(t, 60*time.Second, func() []string {
			state, err := c.berth.State()
			must(t, err)
			var wrong []string
			for _, entry := range state.Ledger {
				if entry.State != "bound" {
					wrong = append(wrong, fmt.Sprintf("room of %s on %s is still %s", entry.Pod, entry.Node, entry.State))
				}
			}
			return wrong
		})
		gangs += len(c.sizes)
		undone += len(c.undone)
		t.Logf("round %d: %s at %d of %d Bindings; %d gangs whole %s later, %d undone meanwhile", round+1, fault.name, struck,
			c.members(), len(c.sizes), time.Since(began).Round(100*time.Millisecond), len(c.undone))
		c.end()
	}
	must(t, c.berth.MatchesFreshList(context.WithoutCancel(t.Context()), plane, 40*time.Second))
	t.Logf("%d rounds, %d gangs, %d undone; faults: %v", rounds, gangs, undone, c.faults)
}

// members is how many pods the gangs have.
func (c *chaos) members() int {
	all := 0
	for _, size := range c.sizes {
		all += int(size)
	}
	return all
}

// awaitCommit returns at a random point of the commits: after so many
// Bindings, or shortly after the gangs were made.
func (c *chaos) awaitCommit() int {
	wanted, patience := c.random.IntN(c.members()), time.Now().Add(20*time.Second)
	if c.random.IntN(4) == 0 {
		c.nap(1500)
		patience = time.Now()
	}
	for {
		bound := boundOf(fresh(c.t).Of(c.namespace))
		if bound >= wanted || time.Now().After(patience) {
			return bound
		}
		time.Sleep(5 * time.Millisecond)
	}
}
