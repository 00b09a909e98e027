package bench

import (
	"context"
	"fmt"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"berth.dev/e2e/harness"
)

const writesInFlight = 32 // as many as berth has

// Writes is no scheduler: a client that knows each pod's node before, and does
// nothing but the writes that a pod takes on its way behind a gate: the
// nomination, the gate's end, the Binding. What this costs is no scheduler's
// doing; the client's own part, which berth and kube-scheduler share, is in it.
func Writes() *Side {
	return &Side{Name: "writes", Scheduler: "nobody",
		start:  func(context.Context, *Fleet, string) ([]*harness.Process, error) { return nil, nil },
		commit: write}
}

func write(ctx context.Context, f *Fleet, pods []*v1.Pod) error {
	places := map[types.UID]string{}
	for i, pod := range pods {
		places[pod.UID] = f.names[i/GPUs%len(f.names)]
	}
	return harness.InParallel(writesInFlight, pods, func(pod *v1.Pod) error { return writeOne(ctx, f, pod, places[pod.UID]) })
}

func writeOne(ctx context.Context, f *Fleet, pod *v1.Pod, node string) error {
	client := f.Plane.Client.CoreV1().Pods(pod.Namespace)
	patch := func(text string, subresources ...string) error {
		_, err := client.Patch(ctx, pod.Name, types.StrategicMergePatchType, []byte(text), metav1.PatchOptions{}, subresources...)
		return err
	}
	for _, gate := range pod.Spec.SchedulingGates {
		if err := patch(fmt.Sprintf(`{"status":{"nominatedNodeName":%q}}`, node), "status"); err != nil {
			return err
		}
		if err := patch(fmt.Sprintf(`{"spec":{"schedulingGates":[{"$patch":"delete","name":%q}]}}`, gate.Name)); err != nil {
			return err
		}
	}
	return client.Bind(ctx, &v1.Binding{
		ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace, UID: pod.UID},
		Target:     v1.ObjectReference{Kind: "Node", Name: node},
	}, metav1.CreateOptions{})
}
