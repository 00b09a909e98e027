package harness

import (
	"context"
	"fmt"
	"strconv"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// GPU is the resource that every fake node offers.
const GPU v1.ResourceName = "nvidia.com/gpu"

// The labels that name a node's place in the fabric, as the policy reads them.
const (
	LabelRack  = "fabric.topograph.run/tier-0"
	LabelBlock = "fabric.topograph.run/tier-1"
	LabelPool  = "e2e.berth.dev/pool" // the harness's own; no policy reads it
)

// Model is a GPU model as gpu-feature-discovery labels it.
type Model struct {
	Pool, Product, Family, Major, Minor string
	MemoryMiB                           int
	Labels                              map[string]string // further labels of its nodes
}

// The four models of the test fleets.
var (
	H100 = Model{Pool: "h100", Product: "NVIDIA-H100-80GB-HBM3", Family: "hopper", Major: "9", Minor: "0", MemoryMiB: 81559}
	A100 = Model{Pool: "a100", Product: "NVIDIA-A100-SXM4-80GB", Family: "ampere", Major: "8", Minor: "0", MemoryMiB: 81920}
	L4   = Model{Pool: "l4", Product: "NVIDIA-L4", Family: "ada-lovelace", Major: "8", Minor: "9", MemoryMiB: 23034}
	T4   = Model{Pool: "t4", Product: "Tesla-T4", Family: "turing", Major: "7", Minor: "5", MemoryMiB: 15360, Labels: map[string]string{"accelerator": "nvidia-t4"}}
)

// Nodes makes count node objects of one model, four to a rack and four racks
// to a block. Each has room for far more cpu and memory than its GPUs need.
func Nodes(m Model, count, gpus int) []*v1.Node {
	nodes := make([]*v1.Node, count)
	for i := range nodes {
		nodes[i] = node(m, i, gpus)
	}
	return nodes
}

func node(m Model, i, gpus int) *v1.Node {
	name := fmt.Sprintf("%s-%03d", m.Pool, i)
	labels := map[string]string{
		v1.LabelHostname:                  name,
		v1.LabelOSStable:                  "linux",
		v1.LabelArchStable:                "amd64",
		LabelPool:                         m.Pool,
		LabelRack:                         fmt.Sprintf("%s-rack-%d", m.Pool, i/4),
		LabelBlock:                        fmt.Sprintf("%s-block-%d", m.Pool, i/16),
		"nvidia.com/gpu.present":          "true",
		"nvidia.com/gpu.product":          m.Product,
		"nvidia.com/gpu.family":           m.Family,
		"nvidia.com/gpu.memory":           strconv.Itoa(m.MemoryMiB),
		"nvidia.com/gpu.count":            strconv.Itoa(gpus),
		"nvidia.com/gpu.replicas":         "1",
		"nvidia.com/gpu.compute.major":    m.Major,
		"nvidia.com/gpu.compute.minor":    m.Minor,
		"nvidia.com/mig.capable":          strconv.FormatBool(m.Family == "hopper" || m.Family == "ampere"),
		"nvidia.com/gpu.sharing-strategy": "none",
	}
	for key, value := range m.Labels {
		labels[key] = value
	}
	room := v1.ResourceList{
		v1.ResourceCPU:              resource.MustParse("96"),
		v1.ResourceMemory:           resource.MustParse("768Gi"),
		v1.ResourceEphemeralStorage: resource.MustParse("1Ti"),
		v1.ResourcePods:             resource.MustParse("110"),
		GPU:                         *resource.NewQuantity(int64(gpus), resource.DecimalSI),
	}
	return &v1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Status: v1.NodeStatus{
			Capacity:    room,
			Allocatable: room.DeepCopy(),
			Conditions:  healthyConditions(),
			NodeInfo:    v1.NodeSystemInfo{OperatingSystem: "linux", Architecture: "amd64", KubeletVersion: "v1.36.3"},
		},
	}
}

func healthyConditions() []v1.NodeCondition {
	now := metav1.NewTime(time.Now())
	condition := func(kind v1.NodeConditionType, status v1.ConditionStatus, reason string) v1.NodeCondition {
		return v1.NodeCondition{Type: kind, Status: status, Reason: reason, LastHeartbeatTime: now, LastTransitionTime: now}
	}
	return []v1.NodeCondition{
		condition(v1.NodeReady, v1.ConditionTrue, "KubeletReady"),
		condition(v1.NodeMemoryPressure, v1.ConditionFalse, "KubeletHasSufficientMemory"),
		condition(v1.NodeDiskPressure, v1.ConditionFalse, "KubeletHasNoDiskPressure"),
		condition(v1.NodePIDPressure, v1.ConditionFalse, "KubeletHasSufficientPID"),
	}
}

// CreateNodes creates the nodes and waits until none is tainted not-ready any
// more: admission taints new nodes, and the node controller takes that off.
func (c *ControlPlane) CreateNodes(ctx context.Context, groups ...[]*v1.Node) error {
	var all []*v1.Node
	for _, group := range groups {
		all = append(all, group...)
	}
	err := InParallel(16, all, func(n *v1.Node) error {
		_, err := c.Client.CoreV1().Nodes().Create(ctx, n, metav1.CreateOptions{})
		return err
	})
	if err != nil {
		return err
	}
	return poll(ctx, 60*time.Second, func() (string, error) {
		list, err := c.Client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return "", err
		}
		tainted := 0
		for i := range list.Items {
			if len(list.Items[i].Spec.Taints) > 0 {
				tainted++
			}
		}
		if tainted > 0 {
			return fmt.Sprintf("%d nodes are still tainted", tainted), nil
		}
		return "", nil
	})
}
