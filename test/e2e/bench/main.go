package bench

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// Run is a benchmark: the paths of the control plane, of berth, of its policy
// and of kube-scheduler's configuration.
type Run func(ctx context.Context, controlPlane, berth, policy, config string) error

// Main runs the benchmark of that name with what the command line says, and
// ends the process where it fails.
func Main(name string, run Run) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) != 5 {
		fmt.Fprintf(os.Stderr, "usage: %s CONTROLPLANE BERTH POLICY SCHEDULER-CONFIG\n", name)
		os.Exit(2)
	}
	if err := run(ctx, os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n") // many workers tell of one fault
		fmt.Fprintf(os.Stderr, "bench/%s: %s\n", name, first)
		os.Exit(1)
	}
}
