package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"berth.dev/e2e/harness"
)

// A commit that breaks is undone without a counted failure, by way of the
// controller of the pods, and the gang is bound afterwards.

// gangJob makes an Indexed Job whose pods are one gang of that size.
func gangJob(t *testing.T, namespace, name, class string, size int32, gpus int64) {
	t.Helper()
	spec := harness.PodSpec(gpus)
	spec.RestartPolicy = v1.RestartPolicyNever
	_, err := plane.Client.BatchV1().Jobs(namespace).Create(t.Context(), &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: batchv1.JobSpec{
			Parallelism: &size, Completions: &size, BackoffLimit: ptr.To[int32](0),
			CompletionMode: ptr.To(batchv1.IndexedCompletion),
			Template: v1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{
					"berth.dev/gang": name, "berth.dev/gang-size": strconv.Itoa(int(size)), "berth.dev/class": class,
				}},
				Spec: spec,
			},
		},
	}, metav1.CreateOptions{})
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
	gangJob(t, namespace, "trainer", "wide", size, 2)
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
	job := jobNamed(t, namespace, "trainer")
	if job.Status.Failed > 0 || job.Status.Active != size {
		t.Errorf("%d pods are counted as failed, %d as active", job.Status.Failed, job.Status.Active)
	}
	must(t, s.berth.MatchesFreshList(t.Context(), plane, 40*time.Second))
}
