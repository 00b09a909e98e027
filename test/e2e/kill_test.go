package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"berth.dev/e2e/harness"
)

const (
	// Every so many rounds the load stands still, and whatever can have a place
	// must have it.
	roundsPerSettling = 5
	// For that: kube-scheduler backs off up to 10 s, a wake-up that is lost is
	// repeated after 5 s, a reservation lives killTTL, its victims' grace longer.
	settlingLimit = 60 * time.Second
	killTTL       = 5 * time.Second
)

// killer strikes one stack, by the dice of its own seed.
type killer struct {
	*stack
	t       *testing.T
	random  *rand.Rand
	load    *load
	history *harness.History
	kills   map[string]int
}

// faults are what can happen in a round. Each ends with both programs running.
var faults = []struct {
	name   string
	strike func(*killer)
}{
	{"berth killed", func(k *killer) { k.kill(k.berth.Process) }},
	{"kube-scheduler killed", func(k *killer) { k.kill(k.scheduler) }},
	{"both killed", func(k *killer) { k.kill(k.berth.Process, k.scheduler) }},
	{"berth killed twice", func(k *killer) {
		k.kill(k.berth.Process)
		k.nap(500)
		k.kill(k.berth.Process)
	}},
	{"berth killed during its first list", (*killer).duringList},
	{"berth killed before bind calls reach it", func(k *killer) { k.holding(k.verbs, "/bind", k.berth.Process) }},
	{"berth killed before its Bindings leave", func(k *killer) { k.holding(k.api, "/binding", k.berth.Process) }},
	{"berth killed as its Binding leaves", func(k *killer) { k.asBindingLeaves(k.berth.Process) }},
	{"kube-scheduler killed under bind calls", func(k *killer) { k.holding(k.api, "/binding", k.scheduler) }},
	{"both killed as a Binding leaves", func(k *killer) { k.asBindingLeaves(k.berth.Process, k.scheduler) }},
	{"berth killed while victims end", func(k *killer) { k.whileVictimsEnd(k.berth.Process) }},
	{"berth killed as victims are asked for", (*killer).asVictimsAreAskedFor},
	{"both killed while victims end", func(k *killer) { k.whileVictimsEnd(k.berth.Process, k.scheduler) }},
	{"berth stopped", func(k *killer) {
		k.berth.Stop()
		if code := k.berth.ExitCode(); code != 0 {
			k.t.Errorf("berth ended with exit code %d after SIGTERM", code)
		}
		k.nap(2000)
		must(k.t, k.berth.Restart(k.t.Context()))
	}},
}

// nap sleeps for up to so many milliseconds.
func (k *killer) nap(most int) { time.Sleep(time.Duration(k.random.IntN(most+1)) * time.Millisecond) }

// kill ends the programs and starts each again within two seconds.
func (k *killer) kill(programs ...*harness.Process) {
	k.t.Helper()
	for _, p := range programs {
		if !p.Running() {
			k.t.Fatalf("%s has ended by itself, with exit code %d", p.Name, p.ExitCode())
		}
		p.Kill()
		k.kills[p.Name]++
	}
	k.start(programs...)
}

func (k *killer) start(programs ...*harness.Process) {
	k.t.Helper()
	for _, p := range programs {
		k.nap(2000)
		if p == k.berth.Process {
			must(k.t, k.berth.Restart(k.t.Context()))
		} else {
			must(k.t, p.Start())
		}
	}
}

// holding kills the programs while requests are held, which then go on.
func (k *killer) holding(proxy *harness.Proxy, suffix string, programs ...*harness.Process) {
	h := hold(k.t, proxy, suffix)
	select {
	case <-h.held:
		k.nap(300)
	case <-time.After(3 * time.Second):
		k.t.Logf("no %s came in 3 s", suffix)
	}
	k.kill(programs...)
	k.nap(500)
	proxy.SetHook(nil)
	h.release()
}

// seen waits until a request that is meant has come to the proxy.
func (k *killer) seen(proxy *harness.Proxy, meant func(*http.Request) bool) {
	seen := make(chan struct{}, 1)
	proxy.SetHook(func(_ http.ResponseWriter, r *http.Request) bool {
		if meant(r) {
			select {
			case seen <- struct{}{}:
			default:
			}
		}
		return false
	})
	select {
	case <-seen:
	case <-time.After(3 * time.Second):
		k.t.Log("what was to be struck did not come in 3 s")
	}
	proxy.SetHook(nil)
}

func (k *killer) asBindingLeaves(programs ...*harness.Process) {
	k.seen(k.api, func(r *http.Request) bool {
		return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/binding")
	})
	k.nap(6)
	k.kill(programs...)
}

func (k *killer) duringList() {
	k.berth.Kill()
	must(k.t, k.berth.Start())
	k.seen(k.api, func(r *http.Request) bool { return r.URL.Path == "/api/v1/pods" })
	k.nap(8)
	k.kill(k.berth.Process)
}

func (k *killer) whileVictimsEnd(programs ...*harness.Process) {
	before := len(k.history.Victims())
	must(k.t, k.load.create(k.t.Context(), k.load.own(k.load.name("urgent"), 4<<k.random.IntN(2), "urgent")))
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end) && len(k.history.Victims()) == before; {
		time.Sleep(5 * time.Millisecond)
	}
	k.nap(100)
	k.kill(programs...)
}

func (k *killer) asVictimsAreAskedFor() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		k.seen(k.verbs, func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/preempt") })
	}()
	must(k.t, k.load.create(k.t.Context(), k.load.own(k.load.name("urgent"), 8, "urgent")))
	<-done
	k.nap(2)
	k.kill(k.berth.Process)
}

func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	n, err := strconv.Atoi(setting(name, strconv.Itoa(otherwise)))
	must(t, err)
	return n
}

func TestKilledAtRandomNothingIsLostOrBookedTwiceOrStuck(t *testing.T) {
	rounds, seed := number(t, "KILL_ROUNDS", 10), uint64(number(t, "KILL_SEED", int(time.Now().UnixNano()%1e6)))
	t.Logf("%d rounds, KILL_SEED=%d", rounds, seed)
	s := newStack(t, wants{nodes: loadFleet(), policy: "testdata/policy-kill.yaml", verbs: true, api: true,
		flags: []string{"--reservation-ttl", killTTL.String(), "--log-level", "debug"}})
	kubelets.Linger(lingering)
	t.Cleanup(func() { kubelets.Linger(nil) })
	history, err := plane.Follow(t.Context())
	must(t, err)
	k := &killer{stack: s, t: t, random: rand.New(rand.NewPCG(seed, 2)), history: history, kills: map[string]int{},
		load: newLoad(t, seed, history)}
	order := k.random.Perm(len(faults))
	for round := 0; round < rounds; {
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() { k.load.run(t.Context(), stop); close(stopped) }()
		for last := min(round+roundsPerSettling, rounds); round < last; round++ {
			if round%len(faults) == 0 {
				order = k.random.Perm(len(faults))
			}
			fault := faults[order[round%len(faults)]]
			k.nap(1500)
			began := time.Now()
			fault.strike(k)
			t.Logf("round %d: %s, over after %s", round+1, fault.name, time.Since(began).Round(time.Millisecond))
			k.check()
		}
		struck := time.Now()
		close(stop)
		<-stopped
		k.settle(struck)
	}
	k.load.mu.Lock()
	defer k.load.mu.Unlock()
	t.Logf("%d pods made, %d bindings, %d victims for %d GPUs of class urgent; berth killed %d times, kube-scheduler %d times",
		k.load.made, history.Bound(), len(history.Victims()), k.load.urgent, k.kills[s.berth.Name], k.kills[s.scheduler.Name])
}

// check is for what must hold at any moment.
func (k *killer) check() {
	k.t.Helper()
	wrong := slices.Concat(k.history.Wrong(), k.load.wrong())
	if len(wrong) > 0 {
		k.t.Fatal(brief(wrong))
	}
}

// settle waits until nothing is left to do, and looks at everything.
func (k *killer) settle(struck time.Time) {
	k.t.Helper()
	must(k.t, k.load.tidy(k.t.Context()))
	ask := struck.Add(settlingLimit / 4)
	for end := struck.Add(settlingLimit); ; time.Sleep(200 * time.Millisecond) {
		wrong, unasked := k.unsettled()
		if len(wrong)+len(unasked) == 0 {
			break
		}
		k.check()
		if len(wrong) == 0 && time.Now().After(ask) {
			ask = time.Now().Add(settlingLimit / 4)
			k.t.Logf("a pod ends, for kube-scheduler to ask again: %s", brief(unasked))
			must(k.t, k.load.endRunning(k.t.Context()))
		}
		if time.Now().After(end) {
			wrong = append(wrong, unasked...)
			_, queue, _ := harness.CacheDiffers(k.t.Context(), k.scheduler)
			k.t.Fatalf("%s after the last kill: %s\nkube-scheduler's queue: %s", settlingLimit, brief(wrong), queue)
		}
	}
	snapshot := fresh(k.t)
	var free int64
	for name, used := range snapshot.Used() {
		gpus := snapshot.Nodes[name].Status.Allocatable[harness.GPU]
		free += gpus.Value() - used[string(harness.GPU)]
	}
	k.t.Logf("settled %s after the last round: %d pods wait, %d GPUs are free", time.Since(struck).Round(time.Millisecond),
		len(harness.Unbound(snapshot.Of(k.load.namespace))), free)
	// A pod in the middle of its cycle is in neither the cache nor the queue.
	eventually(k.t, 20*time.Second, func() []string {
		differences, _, err := harness.CacheDiffers(k.t.Context(), k.scheduler)
		must(k.t, err)
		if differences != "" {
			return []string{"kube-scheduler's cache is not what it has listed: " + differences}
		}
		return nil
	})
	k.check()
}

// unsettled says what is still on its way, or will never be; and, apart, which
// pods could have a place if victims were asked for. A call for victims that
// dies with berth is not repeated: kube-scheduler asks again once a pod ends.
func (k *killer) unsettled() (wrong, unasked []string) {
	snapshot := fresh(k.t)
	state, err := k.berth.State()
	must(k.t, err)
	wrong = state.Differences(snapshot)
	batch := onlyBatch(snapshot)
	ledger := map[string]string{}
	for _, entry := range state.Ledger {
		ledger[entry.UID] = entry.Node
		if entry.State != "bound" {
			wrong = append(wrong, fmt.Sprintf("%s holds room on %s: %s until %v", entry.Pod, entry.Node, entry.State, entry.Expires))
		}
	}
	used := snapshot.Used()
	for i := range snapshot.Pods {
		pod := &snapshot.Pods[i]
		switch {
		case pod.DeletionTimestamp != nil || pod.Status.Phase == v1.PodSucceeded:
			wrong = append(wrong, pod.Name+" has not ended yet")
		case pod.Spec.NodeName == "":
			if node := placeFor(snapshot, used, nil, pod); node != "" {
				wrong = append(wrong, fmt.Sprintf("%s has no node, and %s has room for it", pod.Name, node))
			} else if node := placeFor(snapshot, used, batch, pod); node != "" && pod.Labels[labelClass] == "urgent" {
				unasked = append(unasked, fmt.Sprintf("%s has no node, and %s would have room without its batch pods", pod.Name, node))
			}
		case ledger[string(pod.UID)] != pod.Spec.NodeName:
			wrong = append(wrong, fmt.Sprintf("%s is on %s, by the ledger on %q", pod.Name, pod.Spec.NodeName, ledger[string(pod.UID)]))
		case pod.Spec.SchedulerName == harness.SchedulerName && !slices.Contains(loadPools[pod.Labels[labelClass]], snapshot.Nodes[pod.Spec.NodeName].Labels[harness.LabelPool]):
			wrong = append(wrong, fmt.Sprintf("%s of class %s is on %s", pod.Name, pod.Labels[labelClass], pod.Spec.NodeName))
		}
	}
	return wrong, unasked
}

// placeFor names a node where the pod could be: as it is, or without what is
// said to be spare there.
func placeFor(snapshot *harness.Snapshot, used, spare map[string]map[string]int64, pod *v1.Pod) string {
	asks, pools := harness.Requests(pod), loadPools[pod.Labels[labelClass]]
	for name, node := range snapshot.Nodes {
		fits := slices.Contains(pools, node.Labels[harness.LabelPool])
		for resource, amount := range asks {
			room := node.Status.Allocatable[v1.ResourceName(resource)]
			has := room.Value()
			if resource == string(v1.ResourceCPU) {
				has = room.MilliValue()
			}
			fits = fits && has-used[name][resource]+spare[name][resource] >= amount
		}
		if fits {
			return name
		}
	}
	return ""
}

// onlyBatch sums the requests of nodes where nothing stands but pods of the
// classes batch and urgent: those of the first, any of which may be evicted.
func onlyBatch(snapshot *harness.Snapshot) map[string]map[string]int64 {
	sums := map[string]map[string]int64{}
	mixed := map[string]bool{}
	for i := range snapshot.Pods {
		pod := &snapshot.Pods[i]
		switch pod.Labels[labelClass] {
		case "batch":
			if sums[pod.Spec.NodeName] == nil {
				sums[pod.Spec.NodeName] = map[string]int64{}
			}
			for resource, amount := range harness.Requests(pod) {
				sums[pod.Spec.NodeName][resource] += amount
			}
		case "urgent":
		default:
			mixed[pod.Spec.NodeName] = true
		}
	}
	for name := range mixed {
		delete(sums, name)
	}
	return sums
}

// ignoreGone drops the error that says the pod has ended meanwhile.
func ignoreGone(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
