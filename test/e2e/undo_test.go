package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"berth.dev/e2e/harness"
)

// A commit that breaks is undone without a counted failure, by way of the
// controller of the pods, and the gang is bound afterwards.

// saysGang is what the pods of a template say of their gang.
func saysGang(name, class string, size int32) map[string]string {
	said := map[string]string{"berth.dev/gang": name, "berth.dev/gang-size": strconv.Itoa(int(size))}
	if class != "" {
		said["berth.dev/class"] = class
	}
	return said
}

// gangJob makes an Indexed Job, whose pods are one gang of that size by that
// alone; `said` is what they say beside.
func gangJob(t *testing.T, namespace, name string, said map[string]string, size int32, gpus int64, options ...func(*v1.PodTemplateSpec)) {
	t.Helper()
	spec := harness.PodSpec(gpus)
	spec.RestartPolicy = v1.RestartPolicyNever
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: batchv1.JobSpec{
			Parallelism: &size, Completions: &size, BackoffLimit: ptr.To[int32](0),
			CompletionMode: ptr.To(batchv1.IndexedCompletion),
			Template: v1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Annotations: said},
				Spec:       spec,
			},
		},
	}
	for _, option := range options {
		option(&job.Spec.Template)
	}
	_, err := plane.Client.BatchV1().Jobs(namespace).Create(t.Context(), job, metav1.CreateOptions{})
	must(t, err)
}

func jobNamed(t *testing.T, namespace, name string) *batchv1.Job {
	t.Helper()
	job, err := plane.Client.BatchV1().Jobs(namespace).Get(t.Context(), name, metav1.GetOptions{})
	must(t, err)
	return job
}

// letThrough passes the first so many Bindings on, and holds the rest.
func letThrough(t *testing.T, proxy *harness.Proxy, first int64) *holder {
	t.Helper()
	h := &holder{held: make(chan string, 1000), released: make(chan struct{})}
	var passed atomic.Int64
	proxy.SetHook(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/binding") && passed.Add(1) > first {
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(body))
			h.held <- r.URL.Path
			<-h.released
		}
		return r.Context().Err() != nil
	})
	t.Cleanup(func() { proxy.SetHook(nil); h.release() })
	return h
}

// boundNode is a node on which a pod of the namespace stands.
func boundNode(t *testing.T, namespace string) string {
	t.Helper()
	for _, pod := range fresh(t).Of(namespace) {
		if pod.Spec.NodeName != "" {
			return pod.Spec.NodeName
		}
	}
	t.Fatal("no pod is bound")
	return ""
}

func TestGangOfAJobBrokenByADeletedNodeIsUndoneUncountedAndThenBound(t *testing.T) {
	const size = 64
	s := newStack(t, wants{nodes: [][]*v1.Node{harness.Nodes(harness.H100, 24, 8)}, policy: gangPolicy, api: true})
	namespace := namespaceOf(t)
	bindings := letThrough(t, s.api, 20)
	gangJob(t, namespace, "trainer", map[string]string{"berth.dev/class": "wide"}, size, 2)
	bindings.wait(t, 1)
	eventually(t, 20*time.Second, func() []string {
		if bound := boundOf(fresh(t).Of(namespace)); bound != 20 {
			return []string{fmt.Sprintf("%d pods are bound, 20 are to be", bound)}
		}
		return nil
	})
	must(t, plane.Client.CoreV1().Nodes().Delete(t.Context(), boundNode(t, namespace), metav1.DeleteOptions{}))
	broken := time.Now()
	eventually(t, 10*time.Second, func() []string {
		if job := jobNamed(t, namespace, "trainer"); !ptr.Deref(job.Spec.Suspend, false) || job.Labels["berth.dev/suspended-by"] != "berth" {
			return []string{"the Job is not suspended"}
		}
		return nil
	})
	s.api.SetHook(nil)
	bindings.release()
	eventually(t, 90*time.Second, func() []string {
		job := jobNamed(t, namespace, "trainer")
		pods := fresh(t).Of(namespace)
		if job.Status.Failed > 0 {
			t.Fatalf("%d pods are counted as failed", job.Status.Failed)
		}
		if ptr.Deref(job.Spec.Suspend, false) || job.Labels["berth.dev/suspended-by"] != "" {
			return []string{"the Job is suspended"}
		}
		standing := 0
		for _, pod := range pods {
			if pod.DeletionTimestamp == nil && pod.Spec.NodeName != "" {
				standing++
			}
		}
		if standing != size {
			return []string{fmt.Sprintf("%d of %d pods stand", standing, size)}
		}
		return nil
	})
	t.Logf("bound %s after the node was deleted", time.Since(broken).Round(100*time.Millisecond))
	// What is left of the first try is collected with its node, and counts as little.
	eventually(t, 120*time.Second, func() []string {
		if pods := fresh(t).Of(namespace); len(pods) != size {
			return []string{fmt.Sprintf("%d pods are there", len(pods))}
		}
		return nil
	})
	eventually(t, 20*time.Second, func() []string {
		if job := jobNamed(t, namespace, "trainer"); job.Status.Failed > 0 || job.Status.Active != size {
			return []string{fmt.Sprintf("%d pods are counted as failed, %d as active", job.Status.Failed, job.Status.Active)}
		}
		return nil
	})
	must(t, s.berth.MatchesFreshList(t.Context(), plane, 40*time.Second))
}

// gangStatefulSet makes one whose pods, all made at once, are one gang.
func gangStatefulSet(t *testing.T, namespace, name, class string, size int32, gpus int64, options ...func(*appsv1.StatefulSetSpec)) {
	t.Helper()
	labels := map[string]string{"app": name}
	set := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.StatefulSetSpec{
			Replicas: &size, PodManagementPolicy: appsv1.ParallelPodManagement,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: v1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels, Annotations: saysGang(name, class, size)},
				Spec:       harness.PodSpec(gpus),
			},
		},
	}
	for _, option := range options {
		option(&set.Spec)
	}
	_, err := plane.Client.AppsV1().StatefulSets(namespace).Create(t.Context(), set, metav1.CreateOptions{})
	must(t, err)
}

// refuseBindings lets the API server refuse the Bindings of pods whose name
// begins so, and gives what ends that.
func refuseBindings(t *testing.T, prefix string) (end func()) {
	t.Helper()
	policies := plane.Client.AdmissionregistrationV1()
	meta := metav1.ObjectMeta{Name: "refuse-" + strings.Trim(prefix, "-")}
	_, err := policies.ValidatingAdmissionPolicies().Create(t.Context(), &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: meta,
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			FailurePolicy: ptr.To(admissionv1.Fail),
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{
				RuleWithOperations: admissionv1.RuleWithOperations{
					Operations: []admissionv1.OperationType{admissionv1.Create},
					Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods/binding"}},
				},
			}}},
			Validations: []admissionv1.Validation{{Expression: fmt.Sprintf("!object.metadata.name.startsWith('%s')", prefix)}},
		},
	}, metav1.CreateOptions{})
	must(t, err)
	_, err = policies.ValidatingAdmissionPolicyBindings().Create(t.Context(), &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: meta,
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: meta.Name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
		},
	}, metav1.CreateOptions{})
	must(t, err)
	eventually(t, 30*time.Second, func() []string {
		err := plane.Client.CoreV1().Pods("default").Bind(t.Context(), &v1.Binding{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: prefix + "probe"},
			Target:     v1.ObjectReference{Kind: "Node", Name: "none"},
		}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err == nil || !strings.Contains(err.Error(), meta.Name) {
			return []string{fmt.Sprintf("the API server does not go by it yet: %v", err)}
		}
		return nil
	})
	ended := false
	end = func() {
		if !ended {
			ended = true
			_ = policies.ValidatingAdmissionPolicyBindings().Delete(context.Background(), meta.Name, metav1.DeleteOptions{})
			_ = policies.ValidatingAdmissionPolicies().Delete(context.Background(), meta.Name, metav1.DeleteOptions{})
		}
	}
	t.Cleanup(end)
	return end
}

// undoesGangs breaks the commits of two gangs, by a member whose Binding is
// refused and a node that goes under another: one of a Job, one of a
// StatefulSet.
func undoesGangs(t *testing.T, namespace string) {
	t.Helper()
	away := metav1.DeleteOptions{PropagationPolicy: ptr.To(metav1.DeletePropagationBackground)}
	undoes := func(name string, create, remove func()) {
		t.Helper()
		end := refuseBindings(t, name+"-2")
		create()
		eventually(t, 30*time.Second, func() []string {
			if bound := boundOf(membersOf(fresh(t), namespace, name)); bound != 2 {
				return []string{fmt.Sprintf("%d pods of %s are bound, 2 are to be", bound, name)}
			}
			return nil
		})
		first, snapshot := map[string]bool{}, fresh(t)
		var node *v1.Node
		for _, pod := range membersOf(snapshot, namespace, name) {
			if pod.Spec.NodeName != "" {
				first[string(pod.UID)], node = true, snapshot.Nodes[pod.Spec.NodeName]
			}
		}
		must(t, plane.Client.CoreV1().Nodes().Delete(t.Context(), node.Name, metav1.DeleteOptions{}))
		end()
		eventually(t, 120*time.Second, func() []string {
			standing := 0
			for _, pod := range membersOf(fresh(t), namespace, name) {
				if pod.DeletionTimestamp == nil && pod.Spec.NodeName != "" && !first[string(pod.UID)] {
					standing++
				}
			}
			if standing != 3 {
				return []string{fmt.Sprintf("%d of 3 pods of %s stand anew", standing, name)}
			}
			return nil
		})
		again := node.DeepCopy()
		again.ResourceVersion, again.UID = "", ""
		must(t, plane.CreateNodes(t.Context(), []*v1.Node{again}))
		remove() // its room is for what comes after, and the next node to go is to be none of its own
		eventually(t, 60*time.Second, func() []string {
			if left := len(fresh(t).Of(namespace)); left > 0 {
				return []string{fmt.Sprintf("%d pods of %s are left", left, name)}
			}
			return nil
		})
	}
	undoes("trainer", func() { gangJob(t, namespace, "trainer", saysGang("trainer", "", 3), 3, 1) }, func() {
		if job := jobNamed(t, namespace, "trainer"); job.Status.Failed > 0 {
			t.Errorf("%d pods of the Job are counted as failed", job.Status.Failed)
		}
		must(t, plane.Client.BatchV1().Jobs(namespace).Delete(t.Context(), "trainer", away))
	})
	undoes("server", func() { gangStatefulSet(t, namespace, "server", "", 3, 1) }, func() {
		must(t, plane.Client.AppsV1().StatefulSets(namespace).Delete(t.Context(), "server", away))
	})
}
