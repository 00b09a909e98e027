package e2e

import (
	"errors"
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

// What the tests of takeovers share: two pairs, their Lease, and what each berth
// was seen to write.

const (
	// A gang's commit is bounded by 30 s. A takeover begins when the Lease has
	// run out, and reads the cluster anew: 10 s, and more on a busy machine.
	commitLimit   = 30 * time.Second
	takeoverLimit = 30 * time.Second
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

// renewal is one of the Lease, by its holder's clock, which is the test's.
type renewal struct {
	host string
	at   time.Time
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
	renewals []renewal
	strike   func(*harness.Pair, *http.Request) // sees each request before it is passed on

	supervised bool // a kube-scheduler that ends is started again at once
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
		if errors.Is(err, harness.ErrNoHosts) {
			t.Skip(err)
		}
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
			k.renewals = append(k.renewals, renewal{host, lease.Spec.RenewTime.Time})
			if len(k.holders) == 0 || k.holders[len(k.holders)-1].host != host {
				k.holders = append(k.holders, holding{host, lease.Spec.AcquireTime.Time, time.Now()})
			}
			k.mu.Unlock()
		}
	}()
}

// active waits for the one pair that is active, the other standing by with a
// kube-scheduler that can take over: on a busy machine one may have lost its
// Lease, and so ended, since it was started.
func (k *takeover) active() (active, standby *harness.Pair) {
	k.t.Helper()
	eventually(k.t, takeoverLimit+10*time.Second, func() []string {
		if !k.supervised {
			k.revive()
		}
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

// late are the writes that came later than renewDeadline after the last renewal
// for their host.
func (k *takeover) late() []string {
	// From the moment that a berth looks at its clock to the proxy's note: less
	// than it takes until another may have the Lease.
	onTheWay := quick.Duration - quick.Renew - 500*time.Millisecond
	k.mu.Lock()
	defer k.mu.Unlock()
	var wrong []string
	for host, requests := range k.requests {
		for _, request := range requests {
			renewed := slices.ContainsFunc(k.renewals, func(r renewal) bool {
				since := request.at.Sub(r.at)
				return r.host == host && since >= 0 && since < quick.Renew+onTheWay
			})
			if request.method != http.MethodGet && !renewed {
				wrong = append(wrong, fmt.Sprintf("%s wrote %s %s at %s, and its Lease had not been renewed for %s", host,
					request.method, request.path, request.at.Format(time.StampMilli), quick.Renew))
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

// lastTaken is when the Lease passed to its holder, or since if that is later.
func (k *takeover) lastTaken(since time.Time) time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, taken := range k.holders {
		if taken.shown.After(since) {
			since = taken.shown
		}
	}
	return since
}

// whole waits until all pods are bound and nothing else is promised. Where the
// machine is so busy that the Lease passes once more, time begins anew.
func (k *takeover) whole(struck time.Time) {
	k.t.Helper()
	for {
		wrong, since := harness.Unbound(fresh(k.t).Of(k.namespace)), k.lastTaken(struck)
		if len(wrong) == 0 {
			break
		}
		if time.Since(since) > takeoverLimit+commitLimit {
			k.t.Fatalf("%s after the strike, %s after the Lease has passed last: %s", time.Since(struck).Round(time.Second),
				time.Since(since).Round(time.Second), brief(wrong))
		}
		time.Sleep(100 * time.Millisecond)
	}
	k.t.Logf("all is bound %s after the strike", time.Since(struck).Round(100*time.Millisecond))
	for _, pair := range k.pairs {
		if !pair.Berth.Running() {
			k.t.Fatalf("%s has ended by itself, with exit code %d", pair.Berth.Name, pair.Berth.ExitCode())
		}
	}
	active, _ := k.active()
	must(k.t, active.Berth.MatchesFreshList(k.t.Context(), plane, 20*time.Second))
	eventually(k.t, 10*time.Second, func() []string { return nothingHeld(k.t, active.Berth) })
	if wrong := slices.Concat(k.history.Wrong(), k.trespasses(), k.late(), split(fresh(k.t), k.namespace)); len(wrong) > 0 {
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
	eventually(k.t, 45*time.Second, func() []string {
		if left := len(fresh(k.t).Of(k.namespace)); left > 0 {
			return []string{fmt.Sprintf("%d pods are left", left)}
		}
		return nil
	})
}

// supervise starts a kube-scheduler again that has ended by itself, as kubelet
// does, until the test ends.
func (k *takeover) supervise() {
	k.supervised = true
	over := make(chan struct{})
	var watching sync.WaitGroup
	for _, pair := range k.pairs {
		watching.Go(func() {
			for {
				select {
				case <-over:
					return
				case <-pair.Scheduler.Exited():
				}
				time.Sleep(500 * time.Millisecond)
				if err := pair.Scheduler.Start(); err != nil {
					k.t.Errorf("start %s: %v", pair.Scheduler.Name, err)
					return
				}
			}
		})
	}
	k.t.Cleanup(func() { close(over); watching.Wait() })
}

// revive does so once, for those that have ended by now.
func (k *takeover) revive() {
	k.t.Helper()
	for _, pair := range k.pairs {
		select {
		case <-pair.Scheduler.Exited():
			k.t.Logf("%s is started again", pair.Scheduler.Name)
			must(k.t, pair.Scheduler.Start())
		default:
		}
	}
}

func (k *takeover) restart(pair *harness.Pair) {
	k.t.Helper()
	must(k.t, pair.Berth.Restart(k.t.Context()))
	must(k.t, pair.Scheduler.Start())
}
