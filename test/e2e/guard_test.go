package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"

	"berth.dev/e2e/harness"
)

// No pod stays behind berth's gate when berth is gone.

// stillGated names the pods of a namespace that carry berth's gate.
func stillGated(t *testing.T, namespace string) []string {
	t.Helper()
	var gated []string
	for _, pod := range fresh(t).Of(namespace) {
		for _, gate := range pod.Spec.SchedulingGates {
			if gate.Name == "berth.dev/plan" {
				gated = append(gated, pod.Name+" is gated")
			}
		}
	}
	return gated
}

// midFlight has a gang of which one member is missing, and one that is too
// large, wait behind the gate, and one bound beside them.
func midFlight(t *testing.T, namespace string) {
	t.Helper()
	held := func(pod *v1.Pod) {
		pod.Spec.SchedulingGates = append(pod.Spec.SchedulingGates, v1.PodSchedulingGate{Name: "example.com/hold"})
	}
	waiting := gang(namespace, "waiting", "training", 8, 8, behindGate)[:7]
	large := gang(namespace, "large", "training", 40, 8, behindGate)
	must(t, plane.CreatePods(t.Context(), gang(namespace, "bound", "training", 4, 8, behindGate)...))
	must(t, plane.CreatePods(t.Context(), append(waiting, large...)...))
	must(t, plane.CreatePods(t.Context(), gang(namespace, "foreign", "training", 2, 1, behindGate, held)...))
	eventually(t, 30*time.Second, func() []string {
		if bound := boundOf(membersOf(fresh(t), namespace, "bound")); bound != 4 {
			return []string{fmt.Sprintf("%d of 4 are bound", bound)}
		}
		return nil
	})
	if count := len(stillGated(t, namespace)); count != 7+40+2 {
		t.Fatalf("%d pods wait behind the gate", count)
	}
}

// goneWithout looks at what is left: every gate of berth's is gone, all others
// are there, and what was bound stays.
func goneWithout(t *testing.T, namespace string) {
	t.Helper()
	snapshot := fresh(t)
	for _, pod := range membersOf(snapshot, namespace, "foreign") {
		if gates := pod.Spec.SchedulingGates; len(gates) != 1 || gates[0].Name != "example.com/hold" {
			t.Errorf("%s has the gates %v", pod.Name, gates)
		}
	}
	if bound := boundOf(snapshot.Of(namespace)); bound != 4 {
		t.Errorf("%d pods are bound, four were", bound)
	}
}

// remove ends the daemon and its kube-scheduler, as an uninstallation does.
func remove(t *testing.T, s *stack) {
	t.Helper()
	s.scheduler.Stop()
	endBerth(t, s.berth)
	s.removed = true
}

// releaseAfter is longer than berth's Lease holds, which bounds it from below.
const releaseAfter = 35 * time.Second

func TestUninstalledMidFlightTheGuardLetsGo(t *testing.T) {
	binary := berthBinary(t)
	namespace := namespaceOf(t)
	lease := namespace + "/berth-active"
	text, err := os.ReadFile(gangPolicy)
	must(t, err)
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	must(t, os.WriteFile(policy, []byte(strings.Replace(string(text), "wide]}", "wide], releaseAfter: "+releaseAfter.String()+"}", 1)), 0o644))
	s := newStack(t, wants{nodes: [][]*v1.Node{harness.Nodes(harness.H100, 16, 8)}, policy: policy, flags: []string{"--active-lease", lease}})
	kubeconfig, err := plane.Kubeconfig("berth")
	must(t, err)
	for _, name := range []string{"guard-1", "guard-2"} {
		guard, err := harness.StartProcess(logDir(t), name, binary, "guard", "--kubeconfig", kubeconfig, "--lease", lease,
			"--policy", policy, "--listen", "127.0.0.1:0")
		must(t, err)
		t.Cleanup(func() {
			guard.Stop()
			if code := guard.ExitCode(); code != 0 {
				t.Errorf("%s ended with exit code %d after SIGTERM", guard.Name, code)
			}
		})
		harness.LogTailsOnFailure(t, guard)
	}
	midFlight(t, namespace)
	// Older than releaseAfter, and berth is active: they wait on.
	time.Sleep(releaseAfter + 5*time.Second)
	if count := len(stillGated(t, namespace)); count != 7+40+2 {
		t.Fatalf("%d pods wait behind the gate while berth is active", count)
	}
	remove(t, s)
	removed := time.Now()
	late := harness.Pod(namespace, "late", 1, behindGate)
	must(t, plane.CreatePods(t.Context(), late))
	eventually(t, releaseAfter, func() []string {
		return slices.DeleteFunc(stillGated(t, namespace), func(line string) bool { return strings.HasPrefix(line, "late ") })
	})
	t.Logf("all that was gated is let go %s after berth was removed", time.Since(removed).Round(time.Second))
	eventually(t, 10*time.Second, func() []string { return stillGated(t, namespace) })
	goneWithout(t, namespace)
}

func TestUninstalledMidFlightReleaseLetsGo(t *testing.T) {
	binary := berthBinary(t)
	namespace := namespaceOf(t)
	s := newStack(t, wants{nodes: [][]*v1.Node{harness.Nodes(harness.H100, 16, 8)}, policy: gangPolicy})
	midFlight(t, namespace)
	remove(t, s)
	kubeconfig, err := plane.Kubeconfig("berth")
	must(t, err)
	release := func(wanted, lines int, flags ...string) {
		t.Helper()
		command := exec.CommandContext(t.Context(), binary, append([]string{"release", "-A", "--kubeconfig", kubeconfig}, flags...)...)
		output, err := command.Output()
		if code := command.ProcessState.ExitCode(); code != wanted || strings.Count(string(output), "\n") != lines {
			t.Errorf("berth release %v: exit code %d (%v), %d lines", flags, code, err, strings.Count(string(output), "\n"))
		}
	}
	release(1, 7+40+2, "--dry-run")
	if count := len(stillGated(t, namespace)); count != 7+40+2 {
		t.Fatalf("%d pods wait behind the gate", count)
	}
	release(0, 7+40+2)
	if wrong := stillGated(t, namespace); len(wrong) > 0 {
		t.Error(brief(wrong))
	}
	release(0, 0)
	goneWithout(t, namespace)
}
