package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sort"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
)

// Berth is one berth daemon under the harness.
type Berth struct {
	*Process
	Verbs string // http://127.0.0.1:PORT, what kube-scheduler calls
	Ops   string // http://127.0.0.1:PORT, health, metrics and state

	client *http.Client
}

// State is what /v1/state answers.
type State struct {
	Nodes []struct {
		Name        string           `json:"name"`
		Pool        string           `json:"pool"`
		Ready       bool             `json:"ready"`
		Allocatable map[string]int64 `json:"allocatable"`
		Used        map[string]int64 `json:"used"`
		Free        map[string]int64 `json:"free"`
		Codes       []string         `json:"codes"`
	} `json:"nodes"`
	Ledger []struct {
		UID      string           `json:"uid"`
		Pod      string           `json:"pod"`
		Node     string           `json:"node"`
		State    string           `json:"state"`
		Expires  *time.Time       `json:"expires"`
		Requests map[string]int64 `json:"requests"`
	} `json:"ledger"`
	Waiting []struct {
		UID  string `json:"uid"`
		Pod  string `json:"pod"`
		Code string `json:"code"`
	} `json:"waiting"`
	Gangs []struct {
		Namespace string `json:"namespace"`
		Name      string `json:"name"`
		State     string `json:"state"`
		Code      string `json:"code"`
		Quorum    int    `json:"quorum"`
		Present   int    `json:"present"`
	} `json:"gangs"`
	Lease struct {
		Role     string `json:"role"`
		Identity string `json:"identity"`
		Holder   string `json:"holder"`
	} `json:"lease"`
	Policy struct {
		Hash  string `json:"hash"`
		Error string `json:"error"`
	} `json:"policy"`
}

// StartBerth starts the daemon and waits until it is ready.
func StartBerth(ctx context.Context, dir, binary, policy, kubeconfig string, flags ...string) (*Berth, error) {
	return startBerth(ctx, dir, "berth", []string{binary}, policy, kubeconfig, flags...)
}

// startBerth does so by a command that the daemon's arguments are put behind.
func startBerth(ctx context.Context, dir, name string, command []string, policy, kubeconfig string, flags ...string) (*Berth, error) {
	addresses, err := freeAddresses(2)
	if err != nil {
		return nil, err
	}
	args := append([]string{}, command[1:]...)
	args = append(append(args, []string{"serve", "--policy", policy, "--kubeconfig", kubeconfig,
		"--listen", addresses[0], "--listen-ops", addresses[1]}...), flags...)
	process, err := StartProcess(dir, name, command[0], args...)
	if err != nil {
		return nil, err
	}
	b := &Berth{
		Process: process,
		Verbs:   "http://" + addresses[0],
		Ops:     "http://" + addresses[1],
		client:  &http.Client{Timeout: 10 * time.Second},
	}
	return b, b.WaitReady(ctx)
}

// WaitReady waits until /readyz answers 200.
func (b *Berth) WaitReady(ctx context.Context) error {
	return waitOK(ctx, b.client, b.Ops+"/readyz", b.Process, 30*time.Second)
}

// Checks is what /readyz says, a line each.
func (b *Berth) Checks() (string, error) {
	response, err := b.client.Get(b.Ops + "/readyz")
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return string(text), err
}

// Restart starts a killed daemon again on its addresses.
func (b *Berth) Restart(ctx context.Context) error {
	if err := b.Start(); err != nil {
		return err
	}
	return b.WaitReady(ctx)
}

// State asks /v1/state.
func (b *Berth) State() (*State, error) {
	response, err := b.client.Get(b.Ops + "/v1/state")
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	state := &State{}
	return state, decode(response, state)
}

// Filter asks the filter verb as kube-scheduler does, and returns the names
// answered.
func (b *Berth) Filter(pod *v1.Pod, nodes ...string) ([]string, error) {
	body, err := json.Marshal(map[string]any{"Pod": pod, "Nodes": nil, "NodeNames": nodes})
	if err != nil {
		return nil, err
	}
	response, err := b.client.Post(b.Verbs+"/v1/filter", "application/json", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var answer struct {
		NodeNames []string
		Error     string
	}
	if err := decode(response, &answer); err != nil {
		return nil, err
	}
	if answer.Error != "" {
		return nil, fmt.Errorf("filter: %s", answer.Error)
	}
	return answer.NodeNames, nil
}

func decode(response *http.Response, into any) error {
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", response.Status, data)
	}
	return json.Unmarshal(data, into)
}

// Differences says where berth's state is not that of the fresh list: a node
// too many or too few, or a sum that differs in any resource. Reservations
// count as used, so it is only empty once nothing is on its way.
func (state *State) Differences(fresh *Snapshot) []string {
	var wrong []string
	used := fresh.Used()
	seen := map[string]bool{}
	for _, node := range state.Nodes {
		seen[node.Name] = true
		want, known := used[node.Name]
		if !known {
			wrong = append(wrong, fmt.Sprintf("node %s: in /v1/state, not on the API server", node.Name))
			continue
		}
		for _, resource := range union(node.Used, want) {
			if node.Used[resource] != want[resource] {
				wrong = append(wrong, fmt.Sprintf("node %s: %s used %d, by a fresh list %d", node.Name, resource, node.Used[resource], want[resource]))
			}
		}
	}
	for name := range used {
		if !seen[name] {
			wrong = append(wrong, fmt.Sprintf("node %s: on the API server, not in /v1/state", name))
		}
	}
	sort.Strings(wrong)
	return wrong
}

func union(a, b map[string]int64) []string {
	names := []string{}
	for name := range a {
		names = append(names, name)
	}
	for name := range b {
		if _, both := a[name]; !both {
			names = append(names, name)
		}
	}
	return names
}

// MatchesFreshList waits until berth's state equals a fresh list.
func (b *Berth) MatchesFreshList(ctx context.Context, c *ControlPlane, patience time.Duration) error {
	return poll(ctx, patience, func() (string, error) {
		state, err := b.State()
		if err != nil {
			return "", err
		}
		fresh, err := c.Snapshot(ctx)
		if err != nil {
			return "", err
		}
		return strings.Join(state.Differences(fresh), "\n"), nil
	})
}
