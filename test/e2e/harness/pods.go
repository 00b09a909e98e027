package harness

import (
	"maps"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// SchedulerName is what pods say to be placed by berth.
const SchedulerName = "berth"

// PodOption changes a pod under construction.
type PodOption func(*v1.Pod)

// Pod makes a pod of berth's that asks for whole GPUs.
func Pod(namespace, name string, gpus int64, options ...PodOption) *v1.Pod {
	pod := &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       PodSpec(gpus),
	}
	for _, option := range options {
		option(pod)
	}
	return pod
}

// PodSpec is the spec of Pod, for templates of Deployments and Jobs.
func PodSpec(gpus int64) v1.PodSpec {
	requests := v1.ResourceList{
		v1.ResourceCPU:    resource.MustParse("500m"),
		v1.ResourceMemory: resource.MustParse("1Gi"),
	}
	limits := v1.ResourceList{}
	if gpus > 0 {
		requests[GPU] = *resource.NewQuantity(gpus, resource.DecimalSI)
		limits[GPU] = requests[GPU]
	}
	return v1.PodSpec{
		SchedulerName:                 SchedulerName,
		RestartPolicy:                 v1.RestartPolicyAlways,
		TerminationGracePeriodSeconds: ptr.To[int64](5),
		Containers: []v1.Container{{
			Name: "main", Image: "e2e.invalid/work",
			Resources: v1.ResourceRequirements{Requests: requests, Limits: limits},
		}},
	}
}

// Foreign hands the pod to the default scheduler.
func Foreign(pod *v1.Pod) { pod.Spec.SchedulerName = v1.DefaultSchedulerName }

// OnPool keeps the pod on the nodes of the named pools, by required affinity.
func OnPool(pools ...string) PodOption {
	return func(pod *v1.Pod) {
		pod.Spec.Affinity = &v1.Affinity{NodeAffinity: &v1.NodeAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: &v1.NodeSelector{NodeSelectorTerms: []v1.NodeSelectorTerm{{
				MatchExpressions: []v1.NodeSelectorRequirement{{Key: LabelPool, Operator: v1.NodeSelectorOpIn, Values: pools}},
			}}},
		}}
	}
}

// Labelled adds labels to the pod.
func Labelled(labels map[string]string) PodOption {
	return func(pod *v1.Pod) {
		pod.Labels = merged(pod.Labels, labels)
	}
}

// Annotated adds annotations to the pod.
func Annotated(annotations map[string]string) PodOption {
	return func(pod *v1.Pod) {
		pod.Annotations = merged(pod.Annotations, annotations)
	}
}

// Priority names the pod's PriorityClass.
func Priority(class string) PodOption {
	return func(pod *v1.Pod) { pod.Spec.PriorityClassName = class }
}

func merged(into, from map[string]string) map[string]string {
	if into == nil {
		into = map[string]string{}
	}
	maps.Copy(into, from)
	return into
}
