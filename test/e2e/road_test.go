package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"berth.dev/e2e/harness"
)

// fleet is 200 nodes with 1,200 GPUs. Every class finds room, even if all the
// others went first to the pools that it may use.
func fleet() [][]*v1.Node {
	return [][]*v1.Node{
		harness.Nodes(harness.H100, 60, 8), harness.Nodes(harness.A100, 40, 8),
		harness.Nodes(harness.L4, 50, 4), harness.Nodes(harness.T4, 50, 4),
	}
}

// labelShared marks the nodes of sharedFleet where foreign pods may come while
// berth places its own.
const labelShared = "e2e.berth.dev/shared"

// sharedFleet is fleet with ten nodes on which two schedulers may place pods
// at the same moment. Neither sees what the other has under way, so no care of
// berth's could keep the last GPU of a node from being given twice; there cpu
// runs out at 8 pods that ask for it, long before the 16 GPUs do.
func sharedFleet() [][]*v1.Node {
	groups := fleet()
	for _, node := range groups[3][40:] {
		node.Labels[labelShared] = "true"
		node.Labels["nvidia.com/gpu.count"] = "16"
		for _, room := range []v1.ResourceList{node.Status.Capacity, node.Status.Allocatable} {
			room[harness.GPU] = resource.MustParse("16")
			room[v1.ResourceCPU] = resource.MustParse("4")
		}
	}
	return groups
}

// labelClass says which class a pod of these tests is meant to be in; only
// the tests read it.
const labelClass = "e2e.berth.dev/class"

// allowed are the pools where the policy lets each class go. A T4 knows no
// bf16, which the inference class assumes.
var allowed = map[string][]string{
	"dev":       {"t4", "a100"},
	"inference": {"h100", "a100", "l4"},
	"training":  {"h100"},
	"batch":     {"h100", "a100", "l4", "t4"},
	"big-batch": {"h100", "a100", "l4"}, // asks for more memory than a T4 has
}

func TestRoadCarries500PodsOfFourClassesBeside200ForeignOnes(t *testing.T) {
	s := newStack(t, wants{nodes: sharedFleet()})
	startDefaultScheduler(t)
	namespace, dev, foreign := namespaceOf(t), namespaceOf(t, "-dev"), namespaceOf(t, "-foreign")
	must(t, createForeign(t.Context(), foreign, "early", 150, 0))
	boundCount(t, foreign, 150)
	began := time.Now()
	done := make(chan error, 1)
	go func() { done <- createForeign(t.Context(), foreign, "late", 50, 40*time.Millisecond, besideBerth) }()
	createFourClasses(t, namespace, dev)
	must(t, <-done)
	var own, others []*v1.Pod
	eventually(t, 120*time.Second, func() []string {
		snapshot := fresh(t)
		own, others = slices.Concat(snapshot.Of(namespace), snapshot.Of(dev)), snapshot.Of(foreign)
		if len(own) != 500 || len(others) != 200 {
			return []string{fmt.Sprintf("%d of 500 and %d of 200 pods are there", len(own), len(others))}
		}
		return harness.Unbound(slices.Concat(own, others))
	})
	t.Logf("500 pods and 200 foreign ones were bound %s after the first was made", time.Since(began).Round(time.Millisecond))
	eventually(t, 30*time.Second, func() []string {
		return notRunning(slices.Concat(fresh(t).Of(namespace), fresh(t).Of(dev), fresh(t).Of(foreign)))
	})
	snapshot := fresh(t)
	if wrong := snapshot.Overcommitted(); len(wrong) > 0 {
		t.Errorf("over-committed: %s", brief(wrong))
	}
	if wrong := misplaced(snapshot, own); len(wrong) > 0 {
		t.Errorf("where their class may not be: %s", brief(wrong))
	}
	if wrong := undecided(snapshot, own); len(wrong) > 0 {
		t.Errorf("decisions: %s", brief(wrong))
	}
	must(t, s.berth.MatchesFreshList(t.Context(), plane, 15*time.Second))
}

// misplaced names the pods on a node that their class does not allow.
func misplaced(s *harness.Snapshot, pods []*v1.Pod) []string {
	var wrong []string
	for _, pod := range pods {
		node := s.Nodes[pod.Spec.NodeName]
		if node == nil {
			wrong = append(wrong, fmt.Sprintf("%s on %s, which does not exist", pod.Name, pod.Spec.NodeName))
			continue
		}
		pool := node.Labels[harness.LabelPool]
		if class := pod.Labels[labelClass]; !slices.Contains(allowed[class], pool) {
			wrong = append(wrong, fmt.Sprintf("%s of class %s on %s", pod.Name, class, pod.Spec.NodeName))
		}
	}
	return wrong
}

// undecided names the pods whose annotation berth.dev/decision does not say
// the class and the pool that they have.
func undecided(s *harness.Snapshot, pods []*v1.Pod) []string {
	var wrong []string
	for _, pod := range pods {
		var decision struct{ Class, Pool string }
		text := pod.Annotations["berth.dev/decision"]
		if err := json.Unmarshal([]byte(text), &decision); err != nil {
			wrong = append(wrong, fmt.Sprintf("%s: %q is no JSON object", pod.Name, text))
			continue
		}
		class := pod.Labels[labelClass]
		if class == "big-batch" {
			class = "batch"
		}
		if pool := s.Nodes[pod.Spec.NodeName].Labels[harness.LabelPool]; decision.Class != class || decision.Pool != pool {
			wrong = append(wrong, fmt.Sprintf("%s of class %s in pool %s says %s", pod.Name, class, pool, text))
		}
	}
	return wrong
}

// createFourClasses makes 500 pods: 100 for dev, a fifth of them with two
// GPUs, 150 of Deployments, 100 of Jobs, and 150 that nothing but the fallback
// class takes.
func createFourClasses(t *testing.T, namespace, dev string) {
	t.Helper()
	var pods []*v1.Pod
	for i := range 100 {
		pods = append(pods, harness.Pod(dev, fmt.Sprintf("dev-%03d", i), 1+int64(i%5/4), ofClass("dev")),
			harness.Pod(namespace, fmt.Sprintf("batch-%03d", i), 1, ofClass("batch")))
		if i%2 == 0 {
			pods = append(pods, harness.Pod(namespace, fmt.Sprintf("big-batch-%03d", i), 1, ofClass("big-batch"),
				harness.Annotated(map[string]string{"berth.dev/gpu-memory": "20Gi"})))
		}
	}
	for i := range 10 {
		must(t, createDeployment(t.Context(), namespace, fmt.Sprintf("serve-%d", i), 15))
	}
	for i := range 25 {
		must(t, createJob(t.Context(), namespace, fmt.Sprintf("train-%02d", i), 4))
	}
	must(t, plane.CreatePods(t.Context(), pods...))
}

func ofClass(class string) harness.PodOption {
	return harness.Labelled(map[string]string{labelClass: class})
}

func createForeign(ctx context.Context, namespace, name string, count int, gap time.Duration, options ...harness.PodOption) error {
	for i := range count {
		pod := harness.Pod(namespace, fmt.Sprintf("%s-%03d", name, i), 1, append(options, harness.Foreign)...)
		if err := plane.CreatePods(ctx, pod); err != nil {
			return err
		}
		time.Sleep(gap)
	}
	return nil
}

// besideBerth sends a foreign pod evenly to the shared nodes, and lets it ask
// for no cpu there.
func besideBerth(pod *v1.Pod) {
	pod.Labels = map[string]string{"app": "late"}
	delete(pod.Spec.Containers[0].Resources.Requests, v1.ResourceCPU)
	pod.Spec.NodeSelector = map[string]string{labelShared: "true"}
	pod.Spec.TopologySpreadConstraints = []v1.TopologySpreadConstraint{{
		MaxSkew: 1, TopologyKey: v1.LabelHostname, WhenUnsatisfiable: v1.DoNotSchedule,
		LabelSelector: &metav1.LabelSelector{MatchLabels: pod.Labels},
	}}
}
