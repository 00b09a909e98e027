package e2e

import (
	"fmt"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"berth.dev/e2e/harness"
)

// Pods with soft preferences among each other go by advise mode: they are
// bound as fast as any, nothing is over-committed, and they stand as far apart
// as they asked to, though berth would have packed them.

const adviseNodes, adviseZones = 30, 3

// zonedFleet is 30 H100 nodes over three zones, and three A100 nodes for the
// pods beside.
func zonedFleet() [][]*v1.Node {
	nodes := harness.Nodes(harness.H100, adviseNodes, 8)
	for i, node := range nodes {
		node.Labels[v1.LabelTopologyZone] = fmt.Sprintf("zone-%d", i%adviseZones)
	}
	return [][]*v1.Node{nodes, harness.Nodes(harness.A100, 3, 8)}
}

// evenOver asks for an even spread over the domains of a label, if it can be.
func evenOver(key string) harness.PodOption {
	return func(pod *v1.Pod) {
		pod.Spec.TopologySpreadConstraints = []v1.TopologySpreadConstraint{{
			MaxSkew: 1, TopologyKey: key, WhenUnsatisfiable: v1.ScheduleAnyway,
			LabelSelector: &metav1.LabelSelector{MatchLabels: pod.Labels},
		}}
	}
}

// apartOnHosts prefers hosts without others of the pod's labels.
func apartOnHosts(pod *v1.Pod) {
	pod.Spec.Affinity = &v1.Affinity{PodAntiAffinity: &v1.PodAntiAffinity{
		PreferredDuringSchedulingIgnoredDuringExecution: []v1.WeightedPodAffinityTerm{{
			Weight: 100,
			PodAffinityTerm: v1.PodAffinityTerm{
				TopologyKey: v1.LabelHostname, LabelSelector: &metav1.LabelSelector{MatchLabels: pod.Labels},
			},
		}},
	}}
}

func onH100(pod *v1.Pod) {
	pod.Spec.NodeSelector = map[string]string{harness.LabelPool: harness.H100.Pool}
}

func TestAdviseSpreadsOverZonesByScheduleAnyway(t *testing.T) {
	s := newStack(t, wants{nodes: zonedFleet()})
	spread := createAdvised(t, s, v1.LabelTopologyZone, evenOver(v1.LabelTopologyZone), onH100)
	checkEven(t, spread, adviseZones, 1)
}

func TestAdviseSpreadsOverHostsByPreferredAntiAffinity(t *testing.T) {
	s := newStack(t, wants{nodes: zonedFleet()})
	spread := createAdvised(t, s, v1.LabelHostname, apartOnHosts, onH100)
	checkEven(t, spread, adviseNodes, 1)
}

// What the class prefers goes before the spread, which then holds inside the
// pool that the class prefers.
func TestAdviseKeepsToThePoolThatTheClassPrefers(t *testing.T) {
	s := newStack(t, wants{nodes: append(zonedFleet(), harness.Nodes(harness.T4, 20, 8))})
	spread := createAdvised(t, s, v1.LabelHostname, evenOver(v1.LabelHostname))
	checkEven(t, spread, 20, 1)
	nodes := fresh(t).Nodes
	for host, pods := range spread {
		if nodes[host].Labels[harness.LabelPool] != harness.T4.Pool {
			t.Errorf("%d pods are on %s, which is not of the pool preferred", pods, host)
		}
	}
}

// Advised and decided pods compete for a fleet that has just room for all of
// them: what filter has told one may be gone when its bind comes.
func TestAdviseAndDecideFillAFleetToTheLastGPU(t *testing.T) {
	s := newStack(t, wants{nodes: [][]*v1.Node{harness.Nodes(harness.H100, 20, 8)}})
	namespace := namespaceOf(t)
	var pods []*v1.Pod
	for i := range 160 {
		options := []harness.PodOption{harness.Labelled(map[string]string{"app": "advised"})}
		if i%8 < 5 {
			options = append(options, apartOnHosts)
		}
		pods = append(pods, batchPod(namespace, fmt.Sprintf("p-%03d", i), options...))
	}
	must(t, plane.CreatePods(t.Context(), pods...))
	s.settled(t, 90*time.Second, 160, namespace)
}

// createAdvised makes 100 pods that go by advise mode while others, which go
// by decide mode, fill nodes of their own; waits until all are bound, and
// counts the advised by the label of their nodes.
func createAdvised(t *testing.T, s *stack, key string, options ...harness.PodOption) map[string]int {
	t.Helper()
	namespace, beside := namespaceOf(t), namespaceOf(t, "-beside")
	options = append([]harness.PodOption{harness.Labelled(map[string]string{"app": "advised"})}, options...)
	for i := range 100 {
		must(t, plane.CreatePods(t.Context(), batchPod(namespace, fmt.Sprintf("p-%03d", i), options...)))
		if i%5 == 0 {
			must(t, plane.CreatePods(t.Context(),
				batchPod(beside, fmt.Sprintf("b-%03d", i), harness.OnPool(harness.A100.Pool))))
		}
	}
	s.settled(t, 90*time.Second, 120, namespace, beside)
	snapshot, count := fresh(t), map[string]int{}
	for _, pod := range snapshot.Of(namespace) {
		count[snapshot.Nodes[pod.Spec.NodeName].Labels[key]]++
	}
	return count
}

// checkEven wants every domain taken, and none with more than skew pods above
// another.
func checkEven(t *testing.T, count map[string]int, domains, skew int) {
	t.Helper()
	least, most := 1<<30, 0
	for _, pods := range count {
		least, most = min(least, pods), max(most, pods)
	}
	t.Logf("%d domains with %d to %d pods", len(count), least, most)
	if len(count) != domains || most-least > skew {
		t.Errorf("100 pods are not spread evenly over %d domains: %v", domains, count)
	}
}
