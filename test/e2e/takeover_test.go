package e2e

import (
	"fmt"
	"testing"
	"time"
)

// Two pairs of kube-scheduler and berth; the active one goes in the middle of
// what it does, the other finishes it, and nobody else writes.

// takeovers is what a test begins with, and how many rounds it goes: one of so
// many of those that are asked for.
func takeovers(t *testing.T, share int) (*takeover, int) {
	t.Helper()
	rounds, seed := number(t, "TAKEOVER_ROUNDS", 5), uint64(number(t, "TAKEOVER_SEED", int(time.Now().UnixNano()%1e6)))
	rounds = (rounds + share - 1) / share
	t.Logf("%d rounds, TAKEOVER_SEED=%d", rounds, seed)
	return newTakeover(t, seed), rounds
}

func TestTheActivePairIsKilledMidBurst(t *testing.T) {
	k, rounds := takeovers(t, 1)
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
	k, rounds := takeovers(t, 2)
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
		select {
		case <-active.Scheduler.Exited():
		case <-time.After(20 * time.Second):
			t.Fatal("the kube-scheduler that was stopped goes on without its Lease")
		}
		must(t, active.Scheduler.Start())
		k.whole(struck)
		k.clear()
	}
}

// With the API server the Lease stands still, too: for less than renewDeadline
// that harms nobody, for longer the active pair is fenced, its kube-scheduler
// ends, and whoever gets the Lease then finishes.
func TestTheAPIServerStandsStillMidBurst(t *testing.T) {
	k, rounds := takeovers(t, 2)
	k.supervise()
	for round := range rounds {
		active, _ := k.active()
		still := time.Duration(500+k.random.IntN(2000)) * time.Millisecond
		if round%2 == 0 {
			still = quick.Duration + time.Duration(k.random.IntN(3000))*time.Millisecond
		}
		t.Logf("round %d: %s is active, the API server stands still for %s", round+1, active.Host, still)
		var struck time.Time
		k.midBurst(active, k.gangs(round), func() {
			plane.APIServer.Pause()
			time.Sleep(still)
			plane.APIServer.Resume()
			struck = time.Now()
		})
		k.whole(struck)
		k.clear()
	}
}
