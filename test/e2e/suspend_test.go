package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"berth.dev/e2e/harness"
)

// suspendable is a kind of an operator whose suspension ends its pods.
type suspendable struct {
	harness.Kind
	field []string
}

var (
	inSpec       = []string{"spec", "suspend"}
	inRunPolicy  = []string{"spec", "runPolicy", "suspend"}
	suspendables = []suspendable{
		{harness.Kind{Group: "jobset.x-k8s.io", Version: "v1alpha2", Kind: "JobSet", Plural: "jobsets"}, inSpec},
		{harness.Kind{Group: "trainer.kubeflow.org", Version: "v1alpha1", Kind: "TrainJob", Plural: "trainjobs"}, inSpec},
		{harness.Kind{Group: "kubeflow.org", Version: "v1", Kind: "PyTorchJob", Plural: "pytorchjobs"}, inRunPolicy},
		{harness.Kind{Group: "kubeflow.org", Version: "v1", Kind: "TFJob", Plural: "tfjobs"}, inRunPolicy},
		{harness.Kind{Group: "kubeflow.org", Version: "v1", Kind: "XGBoostJob", Plural: "xgboostjobs"}, inRunPolicy},
		{harness.Kind{Group: "kubeflow.org", Version: "v1", Kind: "JAXJob", Plural: "jaxjobs"}, inRunPolicy},
		{harness.Kind{Group: "kubeflow.org", Version: "v1", Kind: "PaddleJob", Plural: "paddlejobs"}, inRunPolicy},
		{harness.Kind{Group: "kubeflow.org", Version: "v2beta1", Kind: "MPIJob", Plural: "mpijobs"}, inRunPolicy},
		{harness.Kind{Group: "ray.io", Version: "v1", Kind: "RayCluster", Plural: "rayclusters"}, inSpec},
		{harness.Kind{Group: "ray.io", Version: "v1", Kind: "RayJob", Plural: "rayjobs"}, inSpec},
	}
)

// marked says whether the object is suspended, and whether by berth.
func (k suspendable) marked(t *testing.T, client dynamic.Interface, namespace string) (suspended, ours bool) {
	t.Helper()
	resource := schema.GroupVersionResource{Group: k.Group, Version: k.Version, Resource: k.Plural}
	object, err := client.Resource(resource).Namespace(namespace).Get(t.Context(), k.name(), metav1.GetOptions{})
	must(t, err)
	suspended, _, err = unstructured.NestedBool(object.Object, k.field...)
	must(t, err)
	return suspended, object.GetLabels()["berth.dev/suspended-by"] == "berth"
}

func (k suspendable) name() string { return strings.ToLower(k.Kind.Kind) }

// The operators themselves are played: nobody but berth writes to the objects,
// and their pods are deleted by the test.
func TestGangsOfOperatorsAreUndoneByWayOfTheirObjects(t *testing.T) {
	kinds := slices.Clone(suspendables)
	t.Cleanup(func() {
		for _, kind := range kinds {
			must(t, plane.RemoveKind(context.Background(), kind.Kind))
		}
	})
	for _, kind := range kinds {
		must(t, plane.AddKind(t.Context(), kind.Kind))
	}
	client, err := dynamic.NewForConfig(plane.Admin)
	must(t, err)
	s := newStack(t, wants{nodes: [][]*v1.Node{harness.Nodes(harness.H100, 36, 8)}, policy: gangPolicy})
	namespace := namespaceOf(t)
	refuseBindings(t, "refused-")
	owned := map[string]func(*v1.Pod){}
	for _, kind := range kinds {
		owner, err := plane.CreateObject(t.Context(), kind.Kind, namespace, kind.name(), map[string]any{"shutdownAfterJobFinishes": true})
		must(t, err)
		owned[kind.name()] = func(pod *v1.Pod) { pod.OwnerReferences = []metav1.OwnerReference{*owner} }
		for i := range 3 {
			name := fmt.Sprintf("%s-%d", kind.name(), i)
			if i == 2 {
				name = "refused-" + name
			}
			must(t, plane.CreatePods(t.Context(), harness.Pod(namespace, name, 5,
				harness.Annotated(saysGang(kind.name(), "wide", 3)), owned[kind.name()])))
		}
	}
	eventually(t, 60*time.Second, func() []string {
		var wrong []string
		for _, kind := range kinds {
			if bound := boundOf(membersOf(fresh(t), namespace, kind.name())); bound != 2 {
				wrong = append(wrong, fmt.Sprintf("%d pods of %s are bound, 2 are to be", bound, kind.name()))
			}
		}
		return wrong
	})
	for _, kind := range kinds {
		for _, pod := range membersOf(fresh(t), namespace, kind.name()) {
			if pod.Spec.NodeName != "" {
				must(t, plane.Client.CoreV1().Nodes().Delete(t.Context(), pod.Spec.NodeName, metav1.DeleteOptions{}))
				break
			}
		}
	}
	each := func(patience time.Duration, wanted bool) {
		t.Helper()
		eventually(t, patience, func() []string {
			var wrong []string
			for _, kind := range kinds {
				if suspended, ours := kind.marked(t, client, namespace); suspended != wanted || ours != wanted {
					wrong = append(wrong, fmt.Sprintf("%s: suspended %v, by berth %v", kind.name(), suspended, ours))
				}
			}
			return wrong
		})
	}
	each(30*time.Second, true)
	// What is killed now does not forget.
	s.berth.Kill()
	must(t, s.berth.Restart(t.Context()))
	time.Sleep(2 * time.Second)
	each(time.Second, true)
	must(t, plane.Client.CoreV1().Pods(namespace).DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}))
	each(60*time.Second, false)
}

// The role that lets berth do so names these kinds and no others.
func TestUndoRoleNamesTheKindsThatAreSuspended(t *testing.T) {
	rights, err := rendered(t).Rights()
	must(t, err)
	granted := map[string]bool{}
	for _, right := range rights {
		if right.Role == "berth:undo" && right.Group != "" && right.Group != "batch" {
			granted[right.Verb+" "+right.Group+"/"+right.Resource] = true
		}
	}
	for _, kind := range suspendables {
		for _, verb := range []string{"get", "list", "patch"} {
			if right := verb + " " + kind.Group + "/" + kind.Plural; !granted[right] {
				t.Errorf("not granted: %s", right)
			} else {
				delete(granted, right)
			}
		}
	}
	if len(granted) > 0 {
		t.Errorf("granted and not used: %v", granted)
	}
}

// Kueue's Workloads are written for moves alone, and by the guard where no
// berth is left; nothing else of Kueue's is granted to anybody.
func TestMovesRoleNamesKueuesWorkloads(t *testing.T) {
	rights, err := rendered(t).Rights()
	must(t, err)
	granted := map[string]bool{}
	for _, right := range rights {
		if right.Group == "kueue.x-k8s.io" {
			granted[right.Role+" "+right.Verb+" "+right.Resource] = true
		}
	}
	wanted := []string{"berth:moves get", "berth:moves list", "berth:moves patch", "berth-guard list", "berth-guard patch"}
	for _, right := range wanted {
		if !granted[right+" workloads"] {
			t.Errorf("not granted: %s workloads", right)
		}
	}
	if len(granted) > len(wanted) {
		t.Errorf("more is granted than used: %v", granted)
	}
}
