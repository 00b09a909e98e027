package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/utils/ptr"

	"berth.dev/e2e/harness"
)

// What a gang waits for and what became of it stands where people look: on its
// Job and its first pod as Events, on each gated pod as one line.

const waitingLine = "berth.dev/waiting"

// saidOf are berth's Events on an object, oldest first, as `kubectl describe`
// looks for them: "Reason: note".
func saidOf(t *testing.T, namespace, kind, name, uid string) []string {
	t.Helper()
	events, err := plane.Client.CoreV1().Events(namespace).List(t.Context(), metav1.ListOptions{FieldSelector: fields.Set{
		"involvedObject.kind": kind, "involvedObject.name": name, "involvedObject.uid": uid,
	}.String()})
	must(t, err)
	slices.SortFunc(events.Items, func(a, b v1.Event) int { return a.EventTime.Compare(b.EventTime.Time) })
	var said []string
	for _, event := range events.Items {
		if event.ReportingController == "berth.dev/berth" {
			said = append(said, event.Reason+": "+event.Message)
		}
	}
	return said
}

func TestWhatBecomesOfAGangIsTold(t *testing.T) {
	newStack(t, wants{nodes: [][]*v1.Node{harness.Nodes(harness.H100, 3, 8)}, policy: gangPolicy})
	namespace := namespaceOf(t)
	spec := harness.PodSpec(8)
	spec.RestartPolicy = v1.RestartPolicyNever
	spec.SchedulingGates = planGate
	job, err := plane.Client.BatchV1().Jobs(namespace).Create(t.Context(), &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: "train"},
		Spec: batchv1.JobSpec{
			Parallelism: ptr.To[int32](4), Completions: ptr.To[int32](4), CompletionMode: ptr.To(batchv1.IndexedCompletion),
			Template: v1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Annotations: saysGang("train", "training", 4)},
				Spec:       spec,
			},
		},
	}, metav1.CreateOptions{})
	must(t, err)

	prefix := "gang " + namespace + "/train: "
	const short = "best block h100-block-0 holds 3 of 4 pods, lacks 8 nvidia.com/gpu"
	waiting := func() []string {
		var wrong []string
		pods := fresh(t).Of(namespace)
		for _, pod := range pods {
			if line := pod.Annotations[waitingLine]; line != prefix+"queued 1st: "+short {
				wrong = append(wrong, fmt.Sprintf("%s says %q", pod.Name, line))
			}
		}
		if len(pods) != 4 {
			wrong = append(wrong, fmt.Sprintf("%d pods", len(pods)))
		}
		return wrong
	}
	eventually(t, 30*time.Second, waiting)

	must(t, plane.CreateNodes(t.Context(), harness.Nodes(harness.H100, 4, 8)[3:]))
	eventually(t, 30*time.Second, func() []string { return harness.Unbound(fresh(t).Of(namespace)) })
	pods := fresh(t).Of(namespace)
	first := pods[slices.IndexFunc(pods, func(pod *v1.Pod) bool { return strings.HasPrefix(pod.Name, "train-0-") })]
	want := []string{
		"GangWaiting: " + prefix + "GangNoRoom: " + short,
		"GangPlanned: " + prefix + "4 of 4 pods have their place within rack h100-block-0/h100-rack-0",
		"GangWhole: " + prefix + "4 of 4 pods are bound within rack h100-block-0/h100-rack-0",
	}
	eventually(t, 10*time.Second, func() []string {
		var wrong []string
		for _, said := range [][]string{
			saidOf(t, namespace, "Job", job.Name, string(job.UID)), saidOf(t, namespace, "Pod", first.Name, string(first.UID)),
		} {
			if !slices.Equal(said, want) {
				wrong = append(wrong, fmt.Sprintf("said is %q, not %q", said, want))
			}
		}
		return wrong
	})
	for _, pod := range pods {
		if line, found := pod.Annotations[waitingLine]; found {
			t.Errorf("%s, which is bound, still says %q", pod.Name, line)
		}
		if said := saidOf(t, namespace, "Pod", pod.Name, string(pod.UID)); pod.Name != first.Name && len(said) > 0 {
			t.Errorf("of %s is said %q", pod.Name, said)
		}
	}
}
