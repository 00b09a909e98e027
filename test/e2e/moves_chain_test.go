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

// below makes a pod of a node under an owner.
func (c *chain) below(name string, owner *metav1.OwnerReference, labels map[string]string) {
	c.t.Helper()
	must(c.t, plane.CreatePods(c.t.Context(), harness.Pod(c.namespace, name, 8, func(pod *v1.Pod) {
		pod.OwnerReferences = []metav1.OwnerReference{*owner}
		pod.Labels = labels
		pod.Spec.TerminationGracePeriodSeconds = ptr.To[int64](1)
	})))
}

// train makes a TrainJob with all that is below it, its pod by the Job
// controller, as its JobSet would.
func (c *chain) train() {
	c.t.Helper()
	set := c.object("JobSet", "train", c.object("TrainJob", "train", nil, map[string]any{}), map[string]any{})
	spec := harness.PodSpec(8)
	spec.RestartPolicy = v1.RestartPolicyNever
	spec.TerminationGracePeriodSeconds = ptr.To[int64](1)
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "job", OwnerReferences: []metav1.OwnerReference{*set}},
		Spec: batchv1.JobSpec{Template: v1.PodTemplateSpec{Spec: spec, ObjectMeta: metav1.ObjectMeta{
			Labels:      map[string]string{"jobset.sigs.k8s.io/jobset-name": "train"},
			Annotations: map[string]string{"berth.dev/no-gang": ""}}}}}
	_, err := plane.Client.BatchV1().Jobs(c.namespace).Create(c.t.Context(), job, metav1.CreateOptions{})
	must(c.t, err)
}

// follow does to what is below the TrainJob and the RayJob "ends" what their
// operators do.
func (c *chain) follow(suspend bool) {
	c.t.Helper()
	_, err := plane.Client.BatchV1().Jobs(c.namespace).Patch(c.t.Context(), "job", types.MergePatchType,
		fmt.Appendf(nil, `{"spec":{"suspend":%t}}`, suspend), metav1.PatchOptions{})
	must(c.t, err)
	if suspend {
		must(c.t, plane.Client.CoreV1().Pods(c.namespace).Delete(c.t.Context(), "pod-ends", metav1.DeleteOptions{}))
	}
}

// newChain is a fleet with those kinds; they go with the test.
func newChain(t *testing.T, nodes int, names ...string) (*peaks, *chain, []suspendable) {
	t.Helper()
	var kinds []suspendable
	for _, name := range names {
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
	p := newPeaks(t, movesPolicy, nodes)
	client, err := dynamic.NewForConfig(plane.Admin)
	must(t, err)
	return p, &chain{t, p.namespace, client}, kinds
}

func (p *peaks) bound(count int) {
	p.t.Helper()
	eventually(p.t, 60*time.Second, func() []string {
		if bound := boundOf(fresh(p.t).Of(p.namespace)); bound != count {
			return []string{fmt.Sprintf("%d of %d pods are bound", bound, count)}
		}
		return nil
	})
}

// Of a chain of owners the topmost alone is written, and of those that KubeRay
// would refuse to suspend, or another controller manages, none.
func TestTheTopmostOwnerIsSuspendedForAMove(t *testing.T) {
	p, c, kinds := newChain(t, 5, "TrainJob", "JobSet", "RayJob", "RayCluster", "PyTorchJob")
	c.train()
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
		c.below("pod-"+name, owner, nil)
	}
	p.bound(5)

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
	c.follow(true)
	p.serve(movesPeak, 2)
	is(time.Second, "TrainJob train true", "RayJob ends true")
	p.scale(0)
	is(30 * time.Second)
	c.follow(false)
}

// What was suspended returns once all of its old pods are gone, by its mark
// alone, too: there is one checkpoint, and one writer.
func TestOfALostRecordTheOldPodsAreWaitedFor(t *testing.T) {
	p, c, kinds := newChain(t, 2, "TrainJob", "JobSet", "RayJob", "RayCluster")
	c.train()
	job := c.object("RayJob", "ends", nil, map[string]any{"shutdownAfterJobFinishes": true})
	c.below("pod-ends", c.object("RayCluster", "ends-x7", job, map[string]any{}),
		map[string]string{"ray.io/originated-from-cr-name": "ends"})
	p.bound(2)
	old := fresh(t).Of(p.namespace)
	kubelets.Linger(func(*v1.Pod) time.Duration { return 10 * time.Second })
	t.Cleanup(func() { kubelets.Linger(nil) })

	p.deploy("serving", 2, 8)
	both := []string{"TrainJob train true", "RayJob ends true"}
	eventually(t, 30*time.Second, func() []string {
		if found := c.suspended(kinds); !slices.Equal(found, both) {
			return []string{fmt.Sprintf("suspended %v, not %v", found, both), p.moves()}
		}
		return nil
	})
	c.follow(true)
	p.berth.Kill()
	must(t, plane.Client.CoreV1().ConfigMaps("default").Delete(t.Context(), "berth-moves", metav1.DeleteOptions{}))
	p.scale(0)
	must(t, p.berth.Restart(t.Context()))
	eventually(t, 40*time.Second, func() []string {
		suspended := c.suspended(kinds)
		for _, pod := range old {
			left, err := plane.Client.CoreV1().Pods(p.namespace).Get(t.Context(), pod.Name, metav1.GetOptions{})
			if err == nil && left.UID == pod.UID && len(suspended) < 2 {
				t.Fatalf("%s is there yet, and of those suspended there are left %v", pod.Name, suspended)
			}
		}
		return suspended
	})
	c.follow(false)
}
