package bench

import (
	"context"
	"fmt"
	"os"
	"strings"

	v1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"berth.dev/e2e/harness"
)

// Side is one of those that are compared: the programs that place pods.
type Side struct {
	Name      string
	Scheduler string // schedulerName of its pods

	start func(ctx context.Context, f *Fleet, dir string) ([]*harness.Process, error)
	// Where the benchmark itself places the pods, once all are created; or nil.
	commit func(ctx context.Context, f *Fleet, pods []*v1.Pod) error
}

const plainName = "plain"

// plainConfig is a stock kube-scheduler that packs GPUs, as a cluster without
// berth would have it: it looks at a sample of the nodes, by its own default.
const plainConfig = `
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
profiles:
- schedulerName: ` + plainName + `
  pluginConfig:
  - name: NodeResourcesFit
    args:
      scoringStrategy:
        type: MostAllocated
        resources: [{name: nvidia.com/gpu, weight: 10}, {name: cpu, weight: 1}, {name: memory, weight: 1}]
`

// Plain is kube-scheduler alone. Its rate limits toward the API server are
// those of the configuration in file, so that neither side is throttled more.
func Plain(file string) *Side {
	return &Side{Name: plainName, Scheduler: plainName,
		start: func(_ context.Context, f *Fleet, dir string) ([]*harness.Process, error) {
			config, err := withClientOf(file, plainConfig)
			if err != nil {
				return nil, err
			}
			scheduler, err := f.Plane.StartSchedulerFrom(dir, "kube-scheduler", config, "")
			return []*harness.Process{scheduler}, err
		}}
}

// withClientOf gives a configuration the clientConnection of the one in file.
func withClientOf(file, text string) ([]byte, error) {
	source, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var shipped, config map[string]any
	if err := yaml.Unmarshal(source, &shipped); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if err := yaml.Unmarshal([]byte(text), &config); err != nil {
		return nil, err
	}
	config["clientConnection"] = shipped["clientConnection"]
	return yaml.Marshal(config)
}

// Berth is the daemon and kube-scheduler with the configuration in file.
func Berth(binary, policy, file string) *Side {
	return &Side{Name: "berth", Scheduler: harness.SchedulerName,
		start: func(ctx context.Context, f *Fleet, dir string) ([]*harness.Process, error) {
			kubeconfig, err := f.Plane.Kubeconfig("berth")
			if err != nil {
				return nil, err
			}
			berth, err := harness.StartBerth(ctx, dir, binary, policy, kubeconfig)
			if err != nil {
				return nil, err
			}
			scheduler, err := f.Plane.StartScheduler(dir, "kube-scheduler", file, strings.TrimPrefix(berth.Verbs, "http://"))
			return []*harness.Process{scheduler, berth.Process}, err
		}}
}
