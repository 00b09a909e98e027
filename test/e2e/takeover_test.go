package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"berth.dev/e2e/harness"
)

// Two pairs of kube-scheduler and berth; the active one goes in the middle of
// what it does, the other finishes it, and nobody else writes.

const (
	// A gang's commit is bounded by 30 s; a takeover begins when the Lease has
	// run out, and reads the cluster anew.
	commitLimit   = 30 * time.Second
	takeoverLimit = 15 * time.Second
)

// Shorter than shipped, so that a takeover is.
var quick = harness.Election{Duration: 6 * time.Second, Renew: 4 * time.Second, Retry: time.Second}

// seen is a request of a berth, as it came to its proxy.
type seen struct {
	at           time.Time
	method, path string
	list         bool
}

// holding is a time at which the Lease passed to a host: when its holder began
// to take it, and when a watch showed it.
type holding struct {
	host         string
	begun, shown time.Time
}

// takeover is the pairs of one test, and what they were seen to do.
type takeover struct {
	t         *testing.T
	random    *rand.Rand
	namespace string
	pairs     []*harness.Pair
	history   *harness.History

	mu       sync.Mutex
	requests map[string][]seen // by host
	holders  []holding
	strike   func(*harness.Pair, *http.Request) // sees each request before it is passed on
}

func newTakeover(t *testing.T, seed uint64) *takeover {
	t.Helper()
	binary := berthBinary(t)
	prepare(t, harness.Nodes(harness.H100, 32, 8))
	k := &takeover{t: t, random: rand.New(rand.NewPCG(seed, 8)), namespace: namespaceOf(t), requests: map[string][]seen{}}
	election := quick
	election.Namespace = k.namespace
	k.watchLease()
	var err error
	k.history, err = plane.Follow(t.Context())
	must(t, err)
	for _, host := range []string{"pair-a", "pair-b"} {
		pair, err := plane.StartPair(t.Context(), logDir(t), host, binary, copyPolicy(t, gangPolicy), schedulerConfig, election,
			"--active-lease", k.namespace+"/berth-active")
		if pair.API != nil {
			t.Cleanup(pair.API.Close)
		}
		if pair.Berth != nil {
			t.Cleanup(pair.Berth.Kill)
			harness.LogTailsOnFailure(t, pair.Berth.Process)
		}
		if pair.Scheduler != nil {
			t.Cleanup(pair.Scheduler.Kill)
			harness.LogTailsOnFailure(t, pair.Scheduler)
		}
		must(t, err)
		pair.API.SetHook(func(_ http.ResponseWriter, r *http.Request) bool { k.note(pair, r); return false })
		k.pairs = append(k.pairs, pair)
	}
	return k
}

func (k *takeover) note(pair *harness.Pair, r *http.Request) {
	query := r.URL.Query()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.strike != nil {
		k.strike(pair, r)
	}
	k.requests[pair.Host] = append(k.requests[pair.Host], seen{time.Now(), r.Method, r.URL.Path,
		r.Method == http.MethodGet && !query.Has("watch") && !query.Has("resourceVersion")})
}

// watchLease notes each time that the Lease passes to a host.
func (k *takeover) watchLease() {
	k.t.Helper()
	only := fields.OneTermEqualSelector("metadata.name", "kube-scheduler").String()
	watch, err := plane.Client.CoordinationV1().Leases(k.namespace).Watch(k.t.Context(), metav1.ListOptions{FieldSelector: only})
	must(k.t, err)
	go func() {
		for event := range watch.ResultChan() {
			lease, ok := event.Object.(*coordinationv1.Lease)
			if !ok || lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity == "" {
				continue
			}
			host := (*lease.Spec.HolderIdentity)[:strings.LastIndex(*lease.Spec.HolderIdentity, "_")]
			k.mu.Lock()
			if len(k.holders) == 0 || k.holders[len(k.holders)-1].host != host {
				k.holders = append(k.holders, holding{host, lease.Spec.AcquireTime.Time, time.Now()})
			}
			k.mu.Unlock()
		}
	}()
}

// active waits for the one pair that is active, the other standing by.
func (k *takeover) active() (active, standby *harness.Pair) {
	k.t.Helper()
	eventually(k.t, takeoverLimit+10*time.Second, func() []string {
		roles := []string{k.pairs[0].Role(), k.pairs[1].Role()}
		for i, role := range roles {
			if role == "active" && roles[1-i] == "standby" {
				active, standby = k.pairs[i], k.pairs[1-i]
				return nil
			}
		}
		return []string{fmt.Sprintf("the roles are %q", roles)}
	})
	return active, standby
}

// trespasses are the writes of berths beside which no kube-scheduler led: while
// the Lease was another's, or before the pods were listed since it is theirs.
func (k *takeover) trespasses() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var wrong []string
	for _, pair := range k.pairs {
		for i := range k.holders {
			last := i+1 == len(k.holders)
			for _, request := range k.requests[pair.Host] {
				after := !last && request.at.After(k.holders[i+1].begun)
				if k.holders[i].host == pair.Host || request.method == http.MethodGet || request.at.Before(k.holders[i].shown) || after {
					continue
				}
				wrong = append(wrong, fmt.Sprintf("%s wrote %s %s %s after %s had taken the Lease", pair.Host, request.method,
					request.path, request.at.Sub(k.holders[i].shown), k.holders[i].host))
			}
			if k.holders[i].host == pair.Host {
				wrong = append(wrong, unread(pair.Host, k.requests[pair.Host], k.holders[i].begun)...)
			}
		}
	}
	return wrong
}

// unread says that a berth wrote before it had listed the pods since then.
func unread(host string, requests []seen, since time.Time) []string {
	for _, request := range requests {
		if request.at.Before(since) {
			continue
		}
		if request.list && request.path == "/api/v1/pods" {
			return nil
		}
		if request.method != http.MethodGet {
			return []string{fmt.Sprintf("%s wrote %s %s before it had listed the pods", host, request.method, request.path)}
		}
	}
	return nil
}

// gangs makes a round's gangs, gated or not, and singles among them; together
// they have room.
func (k *takeover) gangs(round int) []*v1.Pod {
	var piles [][]*v1.Pod
	for i := range 2 + k.random.IntN(3) {
		size, gpus := 2+k.random.IntN(30), int64(1)
		if size <= 8 {
			gpus = 4
		}
		options := []harness.PodOption{behindGate}
		if k.random.IntN(2) == 0 {
			options = nil
		}
		piles = append(piles, gang(k.namespace, fmt.Sprintf("r%d-g%d", round, i), "training", size, gpus, options...))
	}
	var singles []*v1.Pod
	for i := range k.random.IntN(10) {
		singles = append(singles, harness.Pod(k.namespace, fmt.Sprintf("r%d-single-%d", round, i), 1))
	}
	return interleaved(append(piles, singles)...)
}

// midBurst creates the pods, and calls do as the active pair's n-th write of a
// kind drawn by the dice leaves its berth.
func (k *takeover) midBurst(active *harness.Pair, pods []*v1.Pod, do func()) {
	k.t.Helper()
	kind, n := "/binding", 1+k.random.IntN(max(len(pods)*3/4, 1))
	if k.random.IntN(4) == 0 {
		kind, n = "/pods/", 1+k.random.IntN(8)
	}
	nap := time.Duration(k.random.IntN(8)) * time.Millisecond
	came := make(chan struct{})
	k.mu.Lock()
	k.strike = func(pair *harness.Pair, r *http.Request) {
		if pair == active && r.Method != http.MethodGet && strings.Contains(r.URL.Path, kind) {
			if n--; n == 0 {
				close(came)
			}
		}
	}
	k.mu.Unlock()
	k.t.Logf("%d pods, struck at write %d of %s", len(pods), n, kind)
	must(k.t, plane.CreatePods(k.t.Context(), pods...))
	select {
	case <-came:
	case <-time.After(10 * time.Second):
		k.t.Log("what was to be struck did not come in 10 s")
	}
	time.Sleep(nap)
	do()
	k.mu.Lock()
	k.strike = nil
	k.mu.Unlock()
}

// whole waits until all pods are bound and nothing else is promised.
func (k *takeover) whole(struck time.Time) {
	k.t.Helper()
	eventually(k.t, time.Until(struck.Add(takeoverLimit+commitLimit)), func() []string {
		return harness.Unbound(fresh(k.t).Of(k.namespace))
	})
	k.t.Logf("all is bound %s after the strike", time.Since(struck).Round(100*time.Millisecond))
	active, _ := k.active()
	must(k.t, active.Berth.MatchesFreshList(k.t.Context(), plane, 20*time.Second))
	state, err := active.Berth.State()
	must(k.t, err)
	for _, entry := range state.Ledger {
		if entry.State != "bound" {
			k.t.Errorf("%s holds room on %s: %s", entry.Pod, entry.Node, entry.State)
		}
	}
	if wrong := slices.Concat(k.history.Wrong(), k.trespasses(), split(fresh(k.t), k.namespace)); len(wrong) > 0 {
		k.t.Fatal(brief(wrong))
	}
}

// split names gangs that stand in several domains of their level.
func split(snapshot *harness.Snapshot, namespace string) []string {
	blocks, wrong := map[string]string{}, []string{}
	for _, pod := range snapshot.Of(namespace) {
		name, block := pod.Annotations["berth.dev/gang"], snapshot.Nodes[pod.Spec.NodeName].Labels[harness.LabelBlock]
		if name == "" {
			continue
		}
		if first, known := blocks[name]; known && first != block {
			wrong = append(wrong, fmt.Sprintf("%s stands in %s and in %s", name, first, block))
		}
		blocks[name] = block
	}
	return wrong
}

// clear ends all pods of the round.
func (k *takeover) clear() {
	k.t.Helper()
	must(k.t, plane.Client.CoreV1().Pods(k.namespace).DeleteCollection(k.t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}))
	eventually(k.t, 20*time.Second, func() []string {
		if left := len(fresh(k.t).Of(k.namespace)); left > 0 {
			return []string{fmt.Sprintf("%d pods are left", left)}
		}
		return nil
	})
}

func (k *takeover) restart(pair *harness.Pair) {
	k.t.Helper()
	must(k.t, pair.Berth.Restart(k.t.Context()))
	must(k.t, pair.Scheduler.Start())
}

func TestTheActivePairIsKilledMidBurst(t *testing.T) {
	rounds, seed := number(t, "TAKEOVER_ROUNDS", 5), uint64(number(t, "TAKEOVER_SEED", int(time.Now().UnixNano()%1e6)))
	t.Logf("%d rounds, TAKEOVER_SEED=%d", rounds, seed)
	k := newTakeover(t, seed)
	for round := range rounds {
		active, standby := k.active()
		t.Logf("round %d: %s is active", round+1, active.Host)
		var struck time.Time
		k.midBurst(active, k.gangs(round), func() {
			active.Berth.Kill()
			active.Scheduler.Kill()
			struck = time.Now()
		})
		eventually(t, takeoverLimit, func() []string {
			if role := standby.Role(); role != "active" {
				return []string{fmt.Sprintf("%s is %s", standby.Host, role)}
			}
			return nil
		})
		t.Logf("%s took over after %s", standby.Host, time.Since(struck).Round(100*time.Millisecond))
		k.restart(active)
		k.whole(struck)
		k.clear()
	}
}

// A pair that stands still for longer than its Lease holds goes on where it
// was, with writes that it had decided on: none may come.
func TestTheActivePairIsStoppedMidBurstAndGoesOn(t *testing.T) {
	rounds, seed := number(t, "TAKEOVER_ROUNDS", 5), uint64(number(t, "TAKEOVER_SEED", int(time.Now().UnixNano()%1e6)))
	rounds = (rounds + 1) / 2
	t.Logf("%d rounds, TAKEOVER_SEED=%d", rounds, seed)
	k := newTakeover(t, seed)
	for round := range rounds {
		active, standby := k.active()
		t.Logf("round %d: %s is active", round+1, active.Host)
		var struck time.Time
		k.midBurst(active, k.gangs(round), func() {
			active.Berth.Pause()
			active.Scheduler.Pause()
			struck = time.Now()
		})
		eventually(t, takeoverLimit, func() []string {
			if role := standby.Role(); role != "active" {
				return []string{fmt.Sprintf("%s is %s", standby.Host, role)}
			}
			return nil
		})
		time.Sleep(time.Duration(k.random.IntN(500)) * time.Millisecond)
		active.Berth.Resume()
		active.Scheduler.Resume()
		// kube-scheduler ends when it finds that it has lost its Lease.
		ended, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		select {
		case <-active.Scheduler.Exited():
		case <-ended.Done():
			t.Fatal("the kube-scheduler that was stopped goes on without its Lease")
		}
		cancel()
		if !active.Berth.Running() {
			t.Fatal("the berth that was stopped has ended")
		}
		must(t, active.Scheduler.Start())
		k.whole(struck)
		k.clear()
	}
}
