package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/utils/ptr"

	"berth.dev/e2e/harness"
)

// chain is objects of operators above pods, which nobody acts upon but the test.
type chain struct {
	t         *testing.T
	namespace string
	client    dynamic.Interface
}

func (c *chain) resource(kind suspendable) dynamic.ResourceInterface {
	return c.client.Resource(schema.GroupVersionResource{Group: kind.Group, Version: kind.Version, Resource: kind.Plural}).Namespace(c.namespace)
}

func kindNamed(name string) suspendable {
	return suspendables[slices.IndexFunc(suspendables, func(k suspendable) bool { return k.Kind.Kind == name })]
}

// object makes one, below another where there is one.
func (c *chain) object(kind, name string, above *metav1.OwnerReference, spec map[string]any) *metav1.OwnerReference {
	c.t.Helper()
	made, err := plane.CreateObject(c.t.Context(), kindNamed(kind).Kind, c.namespace, name, spec)
	must(c.t, err)
	if above != nil {
		patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"ownerReferences": []any{above}}})
		must(c.t, err)
		_, err = c.resource(kindNamed(kind)).Patch(c.t.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{})
		must(c.t, err)
	}
	return made
}

// suspended are the objects that are, by kind and name, each with whether it bears the mark of a move.
func (c *chain) suspended(kinds []suspendable) (found []string) {
	c.t.Helper()
	for _, kind := range kinds {
		list, err := c.resource(kind).List(c.t.Context(), metav1.ListOptions{})
		must(c.t, err)
		for _, object := range list.Items {
			suspended, _, _ := unstructured.NestedBool(object.Object, kind.field...)
			_, marked := object.GetLabels()["berth.dev/suspended-by"]
			if suspended || marked {
				found = append(found, fmt.Sprintf("%s %s %v", kind.Kind.Kind, object.GetName(), suspended && marked))
			}
		}
	}
	return found
}

// Of a chain of owners the topmost alone is written, and of those that KubeRay
// would refuse to suspend, or another controller manages, none.
func TestTheTopmostOwnerIsSuspendedForAMove(t *testing.T) {
	var kinds []suspendable
	for _, name := range []string{"TrainJob", "JobSet", "RayJob", "RayCluster", "PyTorchJob"} {
		kinds = append(kinds, kindNamed(name))
	}
	t.Cleanup(func() {
		for _, kind := range kinds {
			must(t, plane.RemoveKind(context.Background(), kind.Kind))
		}
	})
	for _, kind := range kinds {
		must(t, plane.AddKind(t.Context(), kind.Kind))
	}
	p := newPeaks(t, movesPolicy, 5)
	client, err := dynamic.NewForConfig(plane.Admin)
	must(t, err)
	c := &chain{t, p.namespace, client}

	set := c.object("JobSet", "set", c.object("TrainJob", "train", nil, map[string]any{}), map[string]any{})
	spec := harness.PodSpec(8)
	spec.RestartPolicy = v1.RestartPolicyNever
	spec.TerminationGracePeriodSeconds = ptr.To[int64](1)
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "job", OwnerReferences: []metav1.OwnerReference{*set}},
		Spec: batchv1.JobSpec{Template: v1.PodTemplateSpec{Spec: spec}}}
	_, err = plane.Client.BatchV1().Jobs(p.namespace).Create(t.Context(), job, metav1.CreateOptions{})
	must(t, err)
	rays := map[string]map[string]any{
		"ends":   {"shutdownAfterJobFinishes": true},
		"stays":  {"shutdownAfterJobFinishes": false},
		"shared": {"shutdownAfterJobFinishes": true, "clusterSelector": map[string]any{"ray.io/cluster": "other"}},
	}
	under := map[string]*metav1.OwnerReference{"torch": c.object("PyTorchJob", "torch", nil, map[string]any{
		"runPolicy": map[string]any{"managedBy": "kueue.x-k8s.io/multikueue"}})}
	for name, spec := range rays {
		under[name] = c.object("RayCluster", name, c.object("RayJob", name, nil, spec), map[string]any{})
	}
	for name, owner := range under {
		must(t, plane.CreatePods(t.Context(), harness.Pod(p.namespace, "pod-"+name, 8, func(pod *v1.Pod) {
			pod.OwnerReferences = []metav1.OwnerReference{*owner}
			pod.Spec.TerminationGracePeriodSeconds = ptr.To[int64](1)
		})))
	}
	eventually(t, 60*time.Second, func() []string {
		if bound := boundOf(fresh(t).Of(p.namespace)); bound != 5 {
			return []string{fmt.Sprintf("%d of 5 pods are bound", bound)}
		}
		return nil
	})

	p.deploy("serving", 2, 8)
	is := func(patience time.Duration, wanted ...string) {
		t.Helper()
		eventually(t, patience, func() []string {
			if found := c.suspended(kinds); !slices.Equal(found, wanted) {
				return []string{fmt.Sprintf("suspended %v, not %v", found, wanted), p.moves()}
			}
			return nil
		})
	}
	is(30*time.Second, "TrainJob train true", "RayJob ends true")
	if job := jobNamed(t, p.namespace, "job"); ptr.Deref(job.Spec.Suspend, false) || writtenByBerth(job) {
		t.Error("berth has written the Job below")
	}
	// As the operators do then.
	follow := func(suspend bool) {
		_, err := plane.Client.BatchV1().Jobs(p.namespace).Patch(t.Context(), "job", types.MergePatchType,
			fmt.Appendf(nil, `{"spec":{"suspend":%t}}`, suspend), metav1.PatchOptions{})
		must(t, err)
	}
	follow(true)
	must(t, plane.Client.CoreV1().Pods(p.namespace).Delete(t.Context(), "pod-ends", metav1.DeleteOptions{}))
	p.serve(movesPeak, 2)
	is(time.Second, "TrainJob train true", "RayJob ends true")
	p.scale(0)
	is(30 * time.Second)
	follow(false)
}
