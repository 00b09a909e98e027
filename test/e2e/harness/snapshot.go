package harness

import (
	"context"
	"fmt"
	"sort"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	resourcehelper "k8s.io/component-helpers/resource"
	"k8s.io/kubernetes/pkg/features"
)

var everything = labels.Everything()

// Snapshot is a fresh list of nodes and pods: the truth berth is held against.
type Snapshot struct {
	Nodes map[string]*v1.Node
	Pods  []v1.Pod
}

// Snapshot lists nodes and pods with a quorum read.
func (c *ControlPlane) Snapshot(ctx context.Context) (*Snapshot, error) {
	nodes, err := c.Client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	pods, err := c.Client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	s := &Snapshot{Nodes: map[string]*v1.Node{}, Pods: pods.Items}
	for i := range nodes.Items {
		s.Nodes[nodes.Items[i].Name] = &nodes.Items[i]
	}
	return s, nil
}

// Requests is what a pod takes from a node, in base units (milli-CPU, bytes,
// counts), by the options and gates with which kube-scheduler counts it.
func Requests(pod *v1.Pod) map[string]int64 {
	gates := utilfeature.DefaultFeatureGate
	list := resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{
		UseStatusResources: gates.Enabled(features.InPlacePodVerticalScaling),
		InPlacePodLevelResourcesVerticalScalingEnabled: gates.Enabled(features.InPlacePodLevelResourcesVerticalScaling),
		SkipPodLevelResources:                          !gates.Enabled(features.PodLevelResources),
		UseDRANodeAllocatableResourceClaimStatus:       gates.Enabled(features.DRANodeAllocatableResources),
	})
	return baseUnits(list)
}

func baseUnits(list v1.ResourceList) map[string]int64 {
	units := map[string]int64{}
	for name, quantity := range list {
		value := quantity.Value()
		if name == v1.ResourceCPU {
			value = quantity.MilliValue()
		}
		if value != 0 {
			units[string(name)] = value
		}
	}
	return units
}

// counts says whether the pod takes room on the node it is bound to.
func counts(pod *v1.Pod) bool {
	return pod.Spec.NodeName != "" && pod.Status.Phase != v1.PodSucceeded && pod.Status.Phase != v1.PodFailed
}

// Used sums the requests of each node's pods, the pods themselves included.
func (s *Snapshot) Used() map[string]map[string]int64 {
	used := map[string]map[string]int64{}
	for name := range s.Nodes {
		used[name] = map[string]int64{}
	}
	for i := range s.Pods {
		pod := &s.Pods[i]
		node := used[pod.Spec.NodeName]
		if node == nil || !counts(pod) {
			continue
		}
		for resource, amount := range Requests(pod) {
			node[resource] += amount
		}
		node[string(v1.ResourcePods)]++
	}
	return used
}

// Overcommitted names every node and resource where pods ask for more than
// the node can allocate.
func (s *Snapshot) Overcommitted() []string {
	var wrong []string
	for name, used := range s.Used() {
		room := baseUnits(s.Nodes[name].Status.Allocatable)
		for resource, amount := range used {
			if amount > room[resource] {
				wrong = append(wrong, fmt.Sprintf("node %s: %s %d of %d", name, resource, amount, room[resource]))
			}
		}
	}
	sort.Strings(wrong)
	return wrong
}

// Of selects the pods of a namespace.
func (s *Snapshot) Of(namespace string) []*v1.Pod {
	var found []*v1.Pod
	for i := range s.Pods {
		if s.Pods[i].Namespace == namespace {
			found = append(found, &s.Pods[i])
		}
	}
	return found
}

// Unbound names the pods that have no node yet.
func Unbound(pods []*v1.Pod) []string {
	var wrong []string
	for _, pod := range pods {
		if pod.Spec.NodeName == "" {
			wrong = append(wrong, pod.Namespace+"/"+pod.Name)
		}
	}
	return wrong
}
