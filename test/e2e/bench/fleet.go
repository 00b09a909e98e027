// Package bench is the frame of the benchmarks that need a real control plane:
// a fleet of fake GPU nodes on it, and runs of the same work by different
// schedulers, in turn.
package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"berth.dev/e2e/harness"
)

// GPUs is what each node of a fleet has.
const GPUs = 8

// Fleet is a control plane without controllers, and the nodes on it.
type Fleet struct {
	Plane *harness.ControlPlane
	Nodes int

	names []string // of the nodes
	runs  int
}

// StartFleet starts a control plane of its own for the fleet: etcd of a run
// before would not be as small. The nodes are of four models, in equal parts.
func StartFleet(ctx context.Context, binary string, nodes int) (*Fleet, error) {
	dir, err := os.MkdirTemp("", "berth-bench-")
	if err != nil {
		return nil, err
	}
	plane, err := harness.StartBareControlPlane(ctx, binary, dir)
	if err != nil {
		return nil, fmt.Errorf("start the control plane, logs in %s: %w", dir, err)
	}
	f := &Fleet{Plane: plane, Nodes: nodes}
	models := []harness.Model{harness.H100, harness.A100, harness.L4, harness.T4}
	for i, model := range models {
		count := (nodes + len(models) - 1 - i) / len(models)
		made := harness.Nodes(model, count, GPUs)
		if err := plane.CreateNodes(ctx, made); err != nil {
			f.Close()
			return nil, fmt.Errorf("create the nodes: %w", err)
		}
		for _, node := range made {
			f.names = append(f.names, node.Name)
		}
	}
	return f, nil
}

// Close ends the control plane and removes what it has written.
func (f *Fleet) Close() {
	f.Plane.Stop()
	os.RemoveAll(f.Plane.Dir)
}

// runDir is the folder of one run's logs.
func (f *Fleet) runDir(side string) (string, error) {
	f.runs++
	dir := filepath.Join(f.Plane.Dir, fmt.Sprintf("run-%02d-%s", f.runs, side))
	return dir, os.MkdirAll(dir, 0o755)
}
