package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"berth.dev/e2e/harness"
)

const (
	migConfig, migState                 = "nvidia.com/mig.config", "nvidia.com/mig.config.state"
	migSlice            v1.ResourceName = "nvidia.com/mig-1g.10gb"
	repartitionKey                      = "berth.dev/repartition"
	poolH100                            = "- {name: h100, gpu: H100}\n"
	poolH100WithMIG                     = "- {name: h100, gpu: H100, mig: {configs: [{name: all-1g.10gb, perGPU: {1g.10gb: 7}}], after: 1s, idleFor: 1s}}\n"
)

// migManager plays NVIDIA's MIG manager, and the device plugin behind it, on
// the nodes named: it works off each change of a node's label.
type migManager struct {
	seen  map[string]string
	gpus  int64
	ended chan struct{}
	done  sync.WaitGroup
}

func startMIGManager(t *testing.T, gpus int64, nodes ...string) {
	t.Helper()
	m := &migManager{seen: map[string]string{}, gpus: gpus, ended: make(chan struct{})}
	for _, node := range nodes {
		patchNode(t, node, fmt.Sprintf(`{"metadata":{"labels":{%q:"all-disabled",%q:"success","nvidia.com/mig.strategy":"mixed"}}}`, migConfig, migState))
		m.seen[node] = "all-disabled"
	}
	m.done.Go(m.run)
	t.Cleanup(func() {
		close(m.ended)
		m.done.Wait()
	})
}

func (m *migManager) run() {
	for {
		select {
		case <-m.ended:
			return
		case <-time.After(100 * time.Millisecond):
		}
		for name := range m.seen {
			node, err := plane.Client.CoreV1().Nodes().Get(context.Background(), name, metav1.GetOptions{})
			if err != nil || node.Labels[migConfig] == m.seen[name] {
				continue
			}
			m.seen[name] = node.Labels[migConfig]
			m.work(name, node.Labels[migConfig])
		}
	}
}

// work cuts the GPUs of a node; the device plugin shows it a moment after the
// manager has said so.
func (m *migManager) work(node, config string) {
	say := func(state string) {
		m.patch(node, fmt.Sprintf(`{"metadata":{"labels":{%q:%q}}}`, migState, state))
	}
	show := func(whole, slices int64) {
		amounts := fmt.Sprintf(`{%q:"%d",%q:"%d"}`, harness.GPU, whole, migSlice, slices)
		m.patch(node, fmt.Sprintf(`{"status":{"capacity":%s,"allocatable":%s}}`, amounts, amounts), "status")
	}
	say("pending")
	time.Sleep(300 * time.Millisecond)
	show(0, 0)
	say("success")
	time.Sleep(300 * time.Millisecond)
	if config == "all-1g.10gb" {
		show(0, 7*m.gpus)
	} else {
		show(m.gpus, 0)
	}
}

func (m *migManager) patch(node, patch string, subresource ...string) {
	_, _ = plane.Client.CoreV1().Nodes().Patch(context.Background(), node, types.MergePatchType, []byte(patch), metav1.PatchOptions{}, subresource...)
}

// slicePod asks for so many slices.
func slicePod(namespace, name string, slices int64) *v1.Pod {
	pod := harness.Pod(namespace, name, 0)
	amount := *resource.NewQuantity(slices, resource.DecimalSI)
	pod.Spec.Containers[0].Resources.Requests[migSlice] = amount
	pod.Spec.Containers[0].Resources.Limits[migSlice] = amount
	return pod
}

// withMIG is a policy of the tests whose H100 nodes may be cut.
func withMIG(t *testing.T, text string) string {
	t.Helper()
	if !strings.Contains(text, poolH100) {
		t.Fatalf("the policy no longer says %q", poolH100)
	}
	return strings.Replace(text, poolH100, poolH100WithMIG, 1)
}

// Pods that ask for slices wait on a fleet of whole GPUs: a node is cut for
// them, with berth killed meanwhile, and made whole again for pods that ask
// for whole GPUs once they are gone.
func TestANodeIsCutIntoSlicesAndMadeWholeAgain(t *testing.T) {
	text, err := os.ReadFile("testdata/policy.yaml")
	must(t, err)
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	must(t, os.WriteFile(policy, []byte(withMIG(t, string(text))), 0o644))
	s := newStack(t, wants{nodes: [][]*v1.Node{harness.Nodes(harness.H100, 2, 2)}, policy: policy})
	startMIGManager(t, 2, "h100-000", "h100-001")
	namespace := namespaceOf(t)
	var small []*v1.Pod
	for i := range 3 {
		small = append(small, slicePod(namespace, fmt.Sprintf("small-%d", i), 4))
	}
	must(t, plane.CreatePods(t.Context(), small...))
	tainted := func() string {
		for name, node := range fresh(t).Nodes {
			for _, taint := range node.Spec.Taints {
				if taint.Key == repartitionKey {
					return name
				}
			}
		}
		return ""
	}
	eventually(t, 20*time.Second, func() []string {
		if tainted() == "" {
			return []string{"no node is tainted"}
		}
		return nil
	})
	cut := tainted()
	s.berth.Kill()
	must(t, s.berth.Restart(t.Context()))
	eventually(t, 30*time.Second, func() []string {
		var waiting []string
		for _, pod := range small {
			if at := podNamed(t, namespace, pod.Name).Spec.NodeName; at == "" {
				waiting = append(waiting, pod.Name+" is not bound")
			} else if at != cut {
				t.Fatalf("%s is on %s, %s was cut", pod.Name, at, cut)
			}
		}
		return waiting
	})
	must(t, plane.CreatePods(t.Context(), harness.Pod(namespace, "whole-0", 2), harness.Pod(namespace, "whole-1", 2)))
	for _, pod := range small {
		must(t, plane.Client.CoreV1().Pods(namespace).Delete(t.Context(), pod.Name, metav1.DeleteOptions{}))
	}
	eventually(t, 30*time.Second, func() []string {
		var waiting []string
		for _, name := range []string{"whole-0", "whole-1"} {
			if podNamed(t, namespace, name).Spec.NodeName == "" {
				waiting = append(waiting, name+" is not bound")
			}
		}
		return waiting
	})
	node := fresh(t).Nodes[cut]
	if node.Annotations[repartitionKey] != "" || len(node.Spec.Taints) > 0 || node.Labels[migConfig] != "all-disabled" {
		t.Errorf("%s is not as it was: %v %v %v", cut, node.Annotations, node.Spec.Taints, node.Labels)
	}
	must(t, s.berth.MatchesFreshList(t.Context(), plane, 15*time.Second))
}

// No node is idle, and replicas wait for slices that they may preempt gangs
// for: one gang is ended, with berth killed meanwhile, and its node cut; it
// returns once the replicas are gone.
func TestANodeIsEmptiedAndCutIntoSlicesAndTheGangReturns(t *testing.T) {
	text, err := os.ReadFile(movesPolicy)
	must(t, err)
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	must(t, os.WriteFile(policy, []byte(withMIG(t, string(text))), 0o644))
	p := newPeaks(t, policy, 2, 1, 1)
	startMIGManager(t, 8, "h100-000", "h100-001")
	p.allTrain(20 * time.Second)
	spec := harness.PodSpec(0)
	for _, amounts := range []v1.ResourceList{spec.Containers[0].Resources.Requests, spec.Containers[0].Resources.Limits} {
		amounts[migSlice] = *resource.NewQuantity(4, resource.DecimalSI)
	}
	p.deployPods("small", 3, spec, nil)
	eventually(t, 20*time.Second, func() []string {
		p.wholeUnits()
		if p.suspended(p.namespace) == 0 {
			return []string{"no gang is suspended, " + p.moves()}
		}
		return nil
	})
	p.berth.Kill()
	must(t, p.berth.Restart(t.Context()))
	p.serve(30*time.Second, 3)
	if suspended := p.suspended(p.namespace); suspended != 1 {
		t.Errorf("%d gangs are suspended for the slices of one node", suspended)
	}
	p.scale(0)
	p.allTrain(40 * time.Second)
	p.noMoves(20 * time.Second)
	for name, node := range fresh(t).Nodes {
		if node.Annotations[repartitionKey] != "" || len(node.Spec.Taints) > 0 || node.Labels[migConfig] != "all-disabled" {
			t.Errorf("%s is not as it was: %v %v %v", name, node.Annotations, node.Spec.Taints, node.Labels)
		}
	}
	must(t, p.berth.MatchesFreshList(t.Context(), plane, 15*time.Second))
}

const cutNode = "h100-cut"

// cutsANode lets berth begin with a node of its own, on which no MIG manager
// answers: what is under way when berth ends is left to the guard.
func cutsANode(t *testing.T, s *stack, namespace string) {
	t.Helper()
	text, err := os.ReadFile(s.policy)
	must(t, err)
	must(t, os.WriteFile(s.policy, []byte(withMIG(t, string(text))), 0o644))
	nodes := harness.Nodes(harness.H100, 1, 1)
	nodes[0].Name = cutNode
	nodes[0].Labels[v1.LabelHostname] = cutNode
	nodes[0].Labels[migConfig] = "all-disabled"
	must(t, plane.CreateNodes(t.Context(), nodes))
	must(t, plane.CreatePods(t.Context(), slicePod(namespace, "small", 1)))
	eventually(t, 30*time.Second, func() []string {
		if label := fresh(t).Nodes[cutNode].Labels[migConfig]; label != "all-1g.10gb" {
			return []string{cutNode + " is asked to be " + label}
		}
		return nil
	})
	must(t, plane.Client.CoreV1().Pods(namespace).Delete(t.Context(), "small", metav1.DeleteOptions{}))
}

// givenBackByTheGuard waits for what cutsANode left.
func givenBackByTheGuard(t *testing.T) {
	t.Helper()
	eventually(t, 60*time.Second, func() []string {
		node := fresh(t).Nodes[cutNode]
		if len(node.Spec.Taints) > 0 || node.Annotations[repartitionKey] != "" || node.Labels[migConfig] != "all-disabled" {
			return []string{fmt.Sprintf("%s is not given back: %v, %s", cutNode, node.Spec.Taints, node.Labels[migConfig])}
		}
		return nil
	})
}
