package e2e

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"berth.dev/e2e/harness"
)

var kindWorkload = harness.Kind{Group: "kueue.x-k8s.io", Version: "v1beta2", Kind: "Workload", Plural: "workloads"}

// kueue is played: each Job is suspended exactly while its Workload is not
// active.
type kueue struct {
	workloads dynamic.ResourceInterface
}

func newKueue(t *testing.T, p *peaks) *kueue {
	t.Helper()
	client, err := dynamic.NewForConfig(plane.Admin)
	must(t, err)
	k := &kueue{client.Resource(schema.GroupVersionResource{
		Group: kindWorkload.Group, Version: kindWorkload.Version, Resource: kindWorkload.Plural}).Namespace(p.namespace)}
	for _, job := range p.jobs() {
		if job.Namespace != p.namespace {
			continue
		}
		_, err := k.workloads.Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": kindWorkload.Group + "/" + kindWorkload.Version, "kind": kindWorkload.Kind,
			"metadata": map[string]any{"name": job.Name, "labels": map[string]any{"kueue.x-k8s.io/job-uid": string(job.UID)}},
			"spec":     map[string]any{"queueName": "q", "active": true},
		}}, metav1.CreateOptions{})
		must(t, err)
		_, err = plane.Client.BatchV1().Jobs(p.namespace).Patch(t.Context(), job.Name, types.MergePatchType,
			[]byte(`{"metadata":{"labels":{"kueue.x-k8s.io/queue-name":"q"}}}`), metav1.PatchOptions{})
		must(t, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		for ctx.Err() == nil {
			k.follow(ctx, p.namespace)
			time.Sleep(100 * time.Millisecond)
		}
	}()
	t.Cleanup(func() { stop(); <-over })
	return k
}

func (k *kueue) follow(ctx context.Context, namespace string) {
	list, err := k.workloads.List(ctx, metav1.ListOptions{})
	if err != nil {
		return // asked again soon
	}
	for _, workload := range list.Items {
		active, _, _ := unstructured.NestedBool(workload.Object, "spec", "active")
		_, _ = plane.Client.BatchV1().Jobs(namespace).Patch(ctx, workload.GetName(), types.MergePatchType,
			fmt.Appendf(nil, `{"spec":{"suspend":%t}}`, !active), metav1.PatchOptions{})
	}
}

// inactive are the Workloads that are, each with its mark.
func (k *kueue) inactive(t *testing.T) (found []string) {
	t.Helper()
	list, err := k.workloads.List(t.Context(), metav1.ListOptions{})
	must(t, err)
	for _, workload := range list.Items {
		if active, _, _ := unstructured.NestedBool(workload.Object, "spec", "active"); !active {
			found = append(found, workload.GetName()+" "+workload.GetLabels()["berth.dev/suspended-by"])
		}
	}
	return found
}

func writtenByBerth(object metav1.Object) bool {
	return slices.ContainsFunc(object.GetManagedFields(), func(by metav1.ManagedFieldsEntry) bool {
		return by.Manager == "berth"
	})
}

// What Kueue manages makes room by its Workload, and comes back by it; its Job
// is never written by berth.
func TestKueuesJobsAreMovedByTheirWorkloads(t *testing.T) {
	text, err := os.ReadFile(movesPolicy)
	must(t, err)
	policy := t.TempDir() + "/policy.yaml"
	must(t, os.WriteFile(policy, []byte(strings.Replace(string(text), "mode: act,", "mode: act, kueue: workload,", 1)), 0o644))
	must(t, plane.AddKind(t.Context(), kindWorkload))
	t.Cleanup(func() { must(t, plane.RemoveKind(context.Background(), kindWorkload)) })
	p := newPeaks(t, policy, 3, 2, 1)
	p.deploy("serving", 0, 8)
	p.allTrain(60 * time.Second)
	k := newKueue(t, p)
	p.scale(1)
	p.serve(movesPeak, 1)
	found := k.inactive(t)
	if len(found) != 1 || !strings.Contains(found[0], " move-") {
		t.Fatalf("one Workload is to be deactivated, for a move: %v", found)
	}
	p.scale(0)
	p.allTrain(60 * time.Second)
	if found := k.inactive(t); len(found) > 0 {
		t.Errorf("still deactivated: %v", found)
	}
	workload, err := k.workloads.Get(t.Context(), strings.Fields(found[0])[0], metav1.GetOptions{})
	must(t, err)
	if !writtenByBerth(workload) {
		t.Errorf("berth is not known to have written the Workload: %v", workload.GetManagedFields())
	}
	for _, job := range p.jobs() {
		if writtenByBerth(job) {
			t.Errorf("berth has written the Job %s: %v", job.Name, job.ManagedFields)
		}
	}
	p.noMoves(90 * time.Second)
}
