// Package e2e sees berth from the outside: a real kube-apiserver, etcd,
// kube-controller-manager and kube-scheduler, and what they show of berth.
package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"berth.dev/e2e/harness"
)

// What all tests of this package share: one control plane and its kubelets.
var (
	plane    *harness.ControlPlane
	kubelets *harness.Kubelets
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "berth-e2e-")
	if err != nil {
		return fail("make a directory", err)
	}
	binary, err := filepath.Abs(setting("CONTROLPLANE_BIN", "../../build/test/controlplane"))
	if err != nil {
		return fail("find the control plane", err)
	}
	fmt.Printf("control plane %s, logs in %s\n", binary, dir)
	// One that is named and there is taken as it is: to build it takes minutes.
	if _, err := os.Stat(binary); err != nil || os.Getenv("CONTROLPLANE_BIN") == "" {
		if output, err := harness.BuildControlPlane(".", binary); err != nil {
			return fail("build the control plane", fmt.Errorf("%w\n%s", err, output))
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if plane, err = harness.StartControlPlane(ctx, binary, dir); err != nil {
		return fail("start the control plane", err)
	}
	defer plane.Stop()
	kubelets = harness.StartKubelets(ctx, plane.Client)
	code := m.Run()
	// The players stop before what they talk to.
	cancel()
	time.Sleep(100 * time.Millisecond)
	if code == 0 {
		os.RemoveAll(dir)
	}
	return code
}

func fail(what string, err error) int {
	fmt.Fprintf(os.Stderr, "e2e: %s: %v\n", what, err)
	return 1
}

// setting is an environment variable, or what stands for it.
func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}
