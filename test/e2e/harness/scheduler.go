package harness

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"sigs.k8s.io/yaml"
)

// StartScheduler starts kube-scheduler with the configuration in file, of
// which only three things are changed: where berth listens, which kubeconfig
// is used, and that no lease is fought for.
func (c *ControlPlane) StartScheduler(dir, name, file, berth string) (*Process, error) {
	source, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return c.StartSchedulerFrom(dir, name, source, berth)
}

// StartSchedulerFrom does the same with the text of a configuration.
func (c *ControlPlane) StartSchedulerFrom(dir, name string, source []byte, berth string) (*Process, error) {
	kubeconfig, err := c.Kubeconfig(userScheduler)
	if err != nil {
		return nil, err
	}
	rendered, err := RenderSchedulerConfig(source, kubeconfig, berth)
	if err != nil {
		return nil, fmt.Errorf("the configuration of %s: %w", name, err)
	}
	path := filepath.Join(dir, name+".yaml")
	if err := os.WriteFile(path, rendered, 0o644); err != nil {
		return nil, err
	}
	args := []string{"kube-scheduler", "--config=" + path, "--secure-port=0", "--authentication-skip-lookup", "--v=2"}
	return StartProcess(dir, name, c.binary, append(args, c.gateArgs()...)...)
}

// CacheDiffers asks a kube-scheduler to compare its cache with its own lists,
// which it does on SIGUSR2, and returns what it then says of differences, and
// of its queue.
func CacheDiffers(ctx context.Context, scheduler *Process) (differences, queue string, err error) {
	const asked, done = `"Dump of cached NodeInfo"`, `"Dump of scheduling queue"`
	before, err := os.ReadFile(scheduler.Log)
	if err != nil {
		return "", "", err
	}
	_ = scheduler.cmd.Process.Signal(syscall.SIGUSR2)
	err = poll(ctx, 5*time.Second, func() (string, error) {
		text, err := os.ReadFile(scheduler.Log)
		if err != nil {
			return "", err
		}
		said := string(text[len(before):])
		end := strings.Index(said, done)
		if end < 0 || !strings.HasSuffix(said, "\n") {
			return "kube-scheduler has not compared its cache", nil
		}
		differences, queue = "", said[end:]
		for line := range strings.Lines(said[:max(strings.Index(said, asked), 0)]) {
			if strings.Contains(line, `"Cache mismatch"`) {
				differences += line
			}
		}
		return "", nil
	})
	return differences, queue, err
}

// StartDefaultScheduler starts a stock kube-scheduler for foreign pods.
func (c *ControlPlane) StartDefaultScheduler(dir string) (*Process, error) {
	stock := "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n" +
		"clientConnection: {qps: 1000, burst: 2000}\n"
	return c.StartSchedulerFrom(dir, "default-scheduler", []byte(stock), "")
}

// RenderSchedulerConfig returns a KubeSchedulerConfiguration with the host and
// port of every extender, the kubeconfig and leader election replaced. The
// rest stays as written, so that what is tested is what is shipped.
func RenderSchedulerConfig(source []byte, kubeconfig, berth string) ([]byte, error) {
	config := map[string]any{}
	if err := yaml.UnmarshalStrict(source, &config); err != nil {
		return nil, err
	}
	section(config, "clientConnection")["kubeconfig"] = kubeconfig
	section(config, "leaderElection")["leaderElect"] = false
	extenders, _ := config["extenders"].([]any)
	for i, entry := range extenders {
		extender, ok := entry.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("extenders[%d] is not a mapping", i)
		}
		prefix, _ := extender["urlPrefix"].(string)
		address, err := url.Parse(prefix)
		if err != nil || address.Host == "" {
			return nil, fmt.Errorf("extenders[%d].urlPrefix %q is not a URL with a host", i, prefix)
		}
		address.Host = berth
		extender["urlPrefix"] = address.String()
	}
	return yaml.Marshal(config)
}

func section(config map[string]any, key string) map[string]any {
	if found, ok := config[key].(map[string]any); ok {
		return found
	}
	made := map[string]any{}
	config[key] = made
	return made
}
