package harness

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// Election is how long kube-scheduler's Lease holds.
type Election struct {
	Namespace              string
	Duration, Renew, Retry time.Duration
}

// electionLease is the Lease that a kube-scheduler's role lets it use.
const electionLease = "kube-scheduler"

// Pair is a berth and the kube-scheduler beside it, on a host of their own
// name, as replicas are. The berth speaks with the API server by a proxy.
type Pair struct {
	Host      string
	Berth     *Berth
	Scheduler *Process
	API       *Proxy
}

// ErrNoHosts says that the machine gives programs no host's name of their own.
var ErrNoHosts = errors.New("no UTS namespaces can be made on this machine")

// onHost is how a program is started under another host's name, nil where the
// machine does not allow it.
func onHost(host string) []string {
	const as = `hostname "$0" && exec "$@"`
	for _, flags := range [][]string{{"--uts"}, {"--map-root-user", "--uts"}} {
		try := append(append([]string{"unshare"}, flags...), "sh", "-c", as, host)
		if exec.Command(try[0], append(try[1:], "true")...).Run() == nil {
			return try
		}
	}
	return nil
}

// StartPair starts both; what was started until an error came is in the result.
func (c *ControlPlane) StartPair(ctx context.Context, dir, host, binary, policy, schedulerFile string, election Election, flags ...string) (*Pair, error) {
	p := &Pair{Host: host}
	command := onHost(host)
	if command == nil {
		return p, ErrNoHosts
	}
	var err error
	if p.API, err = c.StartAPIProxy(); err != nil {
		return p, err
	}
	kubeconfig := filepath.Join(dir, host+".kubeconfig")
	if err := WritePlainKubeconfig(kubeconfig, p.API.URL); err != nil {
		return p, err
	}
	flags = append([]string{"--lease", election.Namespace + "/" + electionLease, "--renew-deadline", election.Renew.String()}, flags...)
	if p.Berth, err = startBerth(ctx, dir, "berth-"+host, append(command[:len(command):len(command)], binary), policy, kubeconfig, flags...); err != nil {
		return p, err
	}
	p.Scheduler, err = c.startElected(dir, command, host, schedulerFile, strings.TrimPrefix(p.Berth.Verbs, "http://"), election)
	return p, err
}

func (c *ControlPlane) startElected(dir string, command []string, host, file, berth string, election Election) (*Process, error) {
	source, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	kubeconfig, err := c.Kubeconfig(userScheduler)
	if err != nil {
		return nil, err
	}
	rendered, err := RenderSchedulerConfig(source, kubeconfig, berth)
	if err != nil {
		return nil, err
	}
	config := map[string]any{}
	if err := yaml.Unmarshal(rendered, &config); err != nil {
		return nil, err
	}
	config["leaderElection"] = map[string]any{"leaderElect": true, "resourceName": electionLease,
		"resourceNamespace": election.Namespace, "leaseDuration": election.Duration.String(),
		"renewDeadline": election.Renew.String(), "retryPeriod": election.Retry.String()}
	if rendered, err = yaml.Marshal(config); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "kube-scheduler-"+host+".yaml")
	if err := os.WriteFile(path, rendered, 0o644); err != nil {
		return nil, err
	}
	args := append(append([]string{}, command[1:]...), c.binary, "kube-scheduler",
		"--config="+path, "--secure-port=0", "--authentication-skip-lookup", "--v=2")
	return StartProcess(dir, "kube-scheduler-"+host, command[0], args...)
}

// Role is what the berth says of itself: active, standby or fenced; "" while it
// does not answer.
func (p *Pair) Role() string {
	state, err := p.Berth.State()
	if err != nil {
		return ""
	}
	return state.Lease.Role
}
