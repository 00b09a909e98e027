package e2e

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"berth.dev/e2e/harness"
)

// The tests of this file need no berth: they show that what the others stand
// on is real.

func TestDefaultSchedulerPlacesForeignPodsAndKubeletsRunThem(t *testing.T) {
	ctx := t.Context()
	prepare(t, harness.Nodes(harness.L4, 4, 4))
	startDefaultScheduler(t)
	namespace := namespaceOf(t)
	var pods []*v1.Pod
	for i := range 12 {
		pods = append(pods, harness.Pod(namespace, fmt.Sprintf("foreign-%02d", i), 1, harness.Foreign))
	}
	must(t, plane.CreatePods(ctx, pods...))
	eventually(t, 20*time.Second, func() []string { return notRunning(fresh(t).Of(namespace)) })
	if wrong := fresh(t).Overcommitted(); len(wrong) > 0 {
		t.Errorf("over-committed: %q", wrong)
	}
	must(t, plane.Client.CoreV1().Pods(namespace).Delete(ctx, "foreign-00", metav1.DeleteOptions{}))
	eventually(t, 10*time.Second, func() []string {
		if left := len(fresh(t).Of(namespace)); left != 11 {
			return []string{fmt.Sprintf("%d pods are there, 11 should be", left)}
		}
		return nil
	})
}

func TestKubeletsDelayAndReject(t *testing.T) {
	prepare(t, harness.Nodes(harness.L4, 1, 4))
	startDefaultScheduler(t)
	namespace := namespaceOf(t)
	kubelets.Delay(func(*v1.Pod) time.Duration { return 3 * time.Second })
	kubelets.Reject(func(pod *v1.Pod) string {
		if pod.Name == "refused" {
			return "OutOfnvidia.com/gpu"
		}
		return ""
	})
	t.Cleanup(func() { kubelets.Delay(nil); kubelets.Reject(nil) })
	began := time.Now()
	must(t, plane.CreatePods(t.Context(),
		harness.Pod(namespace, "run", 1, harness.Foreign), harness.Pod(namespace, "refused", 1, harness.Foreign)))
	eventually(t, 15*time.Second, func() []string {
		if pod := podNamed(t, namespace, "run"); pod.Status.Phase != v1.PodRunning {
			return []string{"run is " + string(pod.Status.Phase)}
		}
		pod := podNamed(t, namespace, "refused")
		if pod.Status.Phase != v1.PodFailed || pod.Status.Reason != "OutOfnvidia.com/gpu" {
			return []string{fmt.Sprintf("refused is %s, %s", pod.Status.Phase, pod.Status.Reason)}
		}
		return nil
	})
	// The condition that the delay counts from has whole seconds.
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("the pods were started after %s in spite of the delay", took)
	}
}

func TestProxyDelaysWatchesAndNothingElse(t *testing.T) {
	proxy, client := proxied(t)
	proxy.DelayWatches(2 * time.Second)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	namespace := namespaceOf(t)
	list, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	must(t, err)
	watch, err := client.CoreV1().Pods(namespace).Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	must(t, err)
	defer watch.Stop()
	prepare(t)
	for i := range 3 {
		must(t, plane.CreatePods(ctx, harness.Pod(namespace, fmt.Sprintf("p%d", i), 0)))
		made := time.Now()
		_, err = client.CoreV1().Pods(namespace).Get(ctx, fmt.Sprintf("p%d", i), metav1.GetOptions{})
		must(t, err)
		if took := time.Since(made); took > 2*time.Second {
			t.Errorf("a get took %s through the proxy", took)
		}
		if _, open := <-watch.ResultChan(); !open {
			t.Fatal("the watch ended")
		}
		if took := time.Since(made); took < 1900*time.Millisecond || took > 6*time.Second {
			t.Errorf("the event came %s after the pod was made, 2 s are due", took)
		}
	}
}

func TestProxyCutsWatchesAndCompactedHistoryIsGone(t *testing.T) {
	proxy, client := proxied(t)
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	namespace := namespaceOf(t)
	list, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	must(t, err)
	from := metav1.ListOptions{ResourceVersion: list.ResourceVersion}
	watch, err := client.CoreV1().Pods(namespace).Watch(ctx, from)
	must(t, err)
	proxy.CutWatches()
	if event, open := <-watch.ResultChan(); open {
		t.Fatalf("the watch still shows %v", event)
	}
	soon, stop := context.WithTimeout(ctx, time.Second)
	defer stop()
	if _, err := client.CoreV1().Pods(namespace).Watch(soon, from); err == nil {
		t.Fatal("a watch is let through while watches are cut")
	}
	prepare(t)
	must(t, plane.CreatePods(ctx, harness.Pod(namespace, "meanwhile", 0)))
	must(t, plane.RestartAPIServer(ctx, func() error { return plane.CompactHistory(ctx) }))
	proxy.MendWatches()
	eventually(t, 20*time.Second, func() []string {
		if watch, err := client.CoreV1().Pods(namespace).Watch(ctx, from); err == nil {
			<-watch.ResultChan()
			watch.Stop()
		}
		if proxy.Gone() == 0 {
			return []string{"no watch was answered 410"}
		}
		return nil
	})
}

// proxied is a client that reaches the API server through a proxy, as berth.
func proxied(t *testing.T) (*harness.Proxy, kubernetes.Interface) {
	t.Helper()
	proxy, err := plane.StartAPIProxy()
	must(t, err)
	t.Cleanup(proxy.Close)
	// JSON, as berth speaks it: the proxy reads a watch's errors on their way.
	client, err := kubernetes.NewForConfig(&rest.Config{Host: proxy.URL, QPS: -1,
		ContentConfig: rest.ContentConfig{ContentType: "application/json", AcceptContentTypes: "application/json"}})
	must(t, err)
	return proxy, client
}

func TestProxyHooksSeeRequestsFirst(t *testing.T) {
	proxy, client := proxied(t)
	proxy.SetHook(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet {
			return false
		}
		http.Error(w, "not now", http.StatusServiceUnavailable)
		return true
	})
	if _, err := client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{}); err == nil {
		t.Error("the hook's answer did not reach the client")
	}
	proxy.SetHook(nil)
	_, err := client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	must(t, err)
	if calls := proxy.Calls("nodes"); calls != 2 {
		t.Errorf("%d calls were counted, 2 were made", calls)
	}
}
