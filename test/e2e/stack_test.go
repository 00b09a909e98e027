package e2e

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"

	"berth.dev/e2e/harness"
)

// schedulerConfig is the file that is shipped; only addresses are changed.
const schedulerConfig = "../../config/kube-scheduler.yaml"

// stack is what one test runs on the shared control plane: berth, the
// kube-scheduler in front of it, and the proxies where the test asked for them.
type stack struct {
	berth     *harness.Berth
	scheduler *harness.Process
	policy    string         // the policy file in force
	verbs     *harness.Proxy // between kube-scheduler and berth
	api       *harness.Proxy // between berth and the API server
	removed   bool           // by the test, before its end
}

// wants says how a stack is to be.
type wants struct {
	nodes  [][]*v1.Node
	policy string // a file; testdata/policy.yaml if empty
	verbs  bool   // a proxy before berth
	api    bool   // a proxy behind berth
	flags  []string
}

// newStack makes the fleet and starts berth and kube-scheduler; all of it is
// gone when the test has ended. Without a berth to test the test is skipped.
func newStack(t *testing.T, w wants) *stack {
	t.Helper()
	binary := berthBinary(t)
	prepare(t, w.nodes...)
	s := &stack{policy: copyPolicy(t, w.policy)}
	kubeconfig, err := plane.Kubeconfig("berth")
	must(t, err)
	if w.api {
		s.api, err = plane.StartAPIProxy()
		must(t, err)
		t.Cleanup(s.api.Close)
		kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
		must(t, harness.WritePlainKubeconfig(kubeconfig, s.api.URL))
	}
	dir := logDir(t)
	s.berth, err = harness.StartBerth(t.Context(), dir, binary, s.policy, kubeconfig, w.flags...)
	if s.berth != nil {
		harness.LogTailsOnFailure(t, s.berth.Process)
		t.Cleanup(func() {
			if !s.removed {
				endBerth(t, s.berth)
			}
		})
	}
	must(t, err)
	extender := strings.TrimPrefix(s.berth.Verbs, "http://")
	if w.verbs {
		s.verbs, err = harness.StartProxy(s.berth.Verbs, nil)
		must(t, err)
		t.Cleanup(s.verbs.Close)
		extender = strings.TrimPrefix(s.verbs.URL, "http://")
	}
	s.scheduler, err = plane.StartScheduler(dir, "kube-scheduler", schedulerConfig, extender)
	must(t, err)
	t.Cleanup(func() { s.scheduler.Kill() })
	harness.LogTailsOnFailure(t, s.scheduler)
	return s
}

// endBerth ends the daemon as a cluster does: it must still be there, and go
// in good order. A sanitizer's complaint shows here as well.
func endBerth(t *testing.T, berth *harness.Berth) {
	t.Helper()
	if !berth.Running() {
		t.Errorf("berth ended by itself, with exit code %d", berth.ExitCode())
		return
	}
	berth.Stop()
	if code := berth.ExitCode(); code != 0 {
		t.Errorf("berth ended with exit code %d after SIGTERM", code)
	}
}

// berthBinary is the program under test.
func berthBinary(t *testing.T) string {
	t.Helper()
	binary, err := filepath.Abs(setting("BERTH_BIN", "../../build/berth"))
	must(t, err)
	if _, err := os.Stat(binary); errors.Is(err, fs.ErrNotExist) {
		t.Skipf("no berth at %s: build it, or set BERTH_BIN", binary)
	}
	return binary
}

// prepare makes the fleet of a test, and leaves nothing of it behind.
func prepare(t *testing.T, nodes ...[]*v1.Node) {
	t.Helper()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		if err := plane.Clean(ctx); err != nil {
			t.Errorf("clean up: %v", err)
		}
	})
	harness.LogTailsOnFailure(t, plane.Processes()...)
	must(t, plane.CreateNodes(t.Context(), nodes...))
}

func startDefaultScheduler(t *testing.T) *harness.Process {
	t.Helper()
	scheduler, err := plane.StartDefaultScheduler(logDir(t))
	must(t, err)
	t.Cleanup(scheduler.Kill)
	harness.LogTailsOnFailure(t, scheduler)
	return scheduler
}

// logDir keeps each test's logs apart, beside those of the control plane.
func logDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(plane.Dir, strings.ReplaceAll(t.Name(), "/", "_"))
	must(t, os.MkdirAll(dir, 0o755))
	return dir
}

// copyPolicy gives the test a policy file of its own, which it may rewrite.
func copyPolicy(t *testing.T, source string) string {
	t.Helper()
	if source == "" {
		source = "testdata/policy.yaml"
	}
	text, err := os.ReadFile(source)
	must(t, err)
	path := filepath.Join(t.TempDir(), "policy.yaml")
	must(t, os.WriteFile(path, text, 0o644))
	return path
}
