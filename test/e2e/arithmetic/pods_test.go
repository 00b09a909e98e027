package arithmetic

import (
	"fmt"
	"math/rand/v2"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// amounts are what containers ask for, by resource. Fractions of the base
// unit are there because sums are rounded once, at the end.
var amounts = map[v1.ResourceName][]string{
	v1.ResourceCPU:                   {"0", "1", "2", "100m", "250m", "1500m", "0.5", "1.25", "33m", "64", "500u", "1500u", "999999n", "1e1"},
	v1.ResourceMemory:                {"0", "1Gi", "512Mi", "1500M", "1G", "100Ki", "12345678", "1.5Gi", "500m", "1500m", "2Ti", "1e9"},
	v1.ResourceEphemeralStorage:      {"0", "1Gi", "20G", "100Mi", "1", "2500m"},
	"hugepages-2Mi":                  {"0", "2Mi", "64Mi", "1Gi"},
	"hugepages-1Gi":                  {"1Gi", "4Gi"},
	"nvidia.com/gpu":                 {"0", "1", "2", "4", "8"},
	"nvidia.com/mig-1g.10gb":         {"1", "3", "7"},
	"nvidia.com/gpu.shared":          {"1", "10"},
	"amd.com/gpu":                    {"1", "8"},
	"gpu.intel.com/xe":               {"1", "2"},
	"gpu-vendor.example/example-gpu": {"1", "1k"},
}

// names in a fixed order: a map's order is not seeded.
var names = []v1.ResourceName{
	v1.ResourceCPU, v1.ResourceMemory, v1.ResourceEphemeralStorage, "hugepages-2Mi", "hugepages-1Gi", "nvidia.com/gpu",
	"nvidia.com/mig-1g.10gb", "nvidia.com/gpu.shared", "amd.com/gpu", "gpu.intel.com/xe", "gpu-vendor.example/example-gpu",
}

// maybe is true in one of n cases.
func maybe(r *rand.Rand, n int) bool { return r.IntN(n) == 0 }

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// randomList picks amounts for some of the first most names; nil at times.
func randomList(r *rand.Rand, most int) v1.ResourceList {
	if maybe(r, 6) {
		return nil
	}
	list := v1.ResourceList{}
	for _, name := range names[:most] {
		common := name == v1.ResourceCPU || name == v1.ResourceMemory
		if (common && !maybe(r, 4)) || (!common && maybe(r, 5)) {
			list[name] = resource.MustParse(pick(r, amounts[name]))
		}
	}
	return list
}

func randomRequirements(r *rand.Rand) v1.ResourceRequirements {
	return v1.ResourceRequirements{Requests: randomList(r, len(names)), Limits: randomList(r, len(names))}
}

func randomPod(r *rand.Rand) *v1.Pod {
	pod := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "n", UID: "u"}}
	for i := range 1 + r.IntN(3) {
		pod.Spec.Containers = append(pod.Spec.Containers, v1.Container{
			Name: fmt.Sprintf("c%d", i), Image: "i", Resources: randomRequirements(r)})
	}
	if maybe(r, 2) {
		addInitContainers(r, pod)
	}
	if maybe(r, 4) {
		pod.Spec.EphemeralContainers = []v1.EphemeralContainer{{EphemeralContainerCommon: v1.EphemeralContainerCommon{
			Name: "debug", Image: "i", Resources: randomRequirements(r)}}}
	}
	if maybe(r, 3) {
		pod.Spec.Resources = &v1.ResourceRequirements{Requests: randomList(r, 5), Limits: randomList(r, 5)}
	}
	if maybe(r, 4) {
		pod.Spec.Overhead = v1.ResourceList{
			v1.ResourceCPU:    resource.MustParse(pick(r, amounts[v1.ResourceCPU])),
			v1.ResourceMemory: resource.MustParse(pick(r, amounts[v1.ResourceMemory])),
		}
	}
	if maybe(r, 2) {
		addResize(r, pod)
	}
	return pod
}

func addInitContainers(r *rand.Rand, pod *v1.Pod) {
	for i := range 1 + r.IntN(4) {
		container := v1.Container{Name: fmt.Sprintf("i%d", i), Image: "i", Resources: randomRequirements(r)}
		switch r.IntN(5) {
		case 0, 1:
			always := v1.ContainerRestartPolicyAlways
			container.RestartPolicy = &always
		case 2:
			never := v1.ContainerRestartPolicyNever
			container.RestartPolicy = &never
		}
		pod.Spec.InitContainers = append(pod.Spec.InitContainers, container)
	}
}

// addResize makes a status as an in-place resize leaves it: what is in force,
// what the node has allocated, and how a pending resize stands.
func addResize(r *rand.Rand, pod *v1.Pod) {
	status := func(name string) v1.ContainerStatus {
		s := v1.ContainerStatus{Name: name, AllocatedResources: randomList(r, len(names))}
		if !maybe(r, 4) {
			requirements := randomRequirements(r)
			s.Resources = &requirements
		}
		return s
	}
	for _, container := range pod.Spec.Containers {
		if !maybe(r, 5) {
			pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, status(container.Name))
		}
	}
	for _, container := range pod.Spec.InitContainers {
		if !maybe(r, 3) {
			pod.Status.InitContainerStatuses = append(pod.Status.InitContainerStatuses, status(container.Name))
		}
	}
	if maybe(r, 2) {
		pod.Status.Resources = &v1.ResourceRequirements{Requests: randomList(r, 5), Limits: randomList(r, 5)}
		pod.Status.AllocatedResources = randomList(r, 5)
	}
	kinds := []v1.PodConditionType{v1.PodResizePending, v1.PodResizePending, v1.PodResizeInProgress, v1.PodReady}
	reasons := []string{v1.PodReasonInfeasible, v1.PodReasonInfeasible, v1.PodReasonDeferred, ""}
	for range r.IntN(3) {
		pod.Status.Conditions = append(pod.Status.Conditions, v1.PodCondition{
			Type: pick(r, kinds), Reason: pick(r, reasons), Status: pick(r, []v1.ConditionStatus{v1.ConditionTrue, v1.ConditionFalse})})
	}
}
