package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/utils/ptr"

	"berth.dev/e2e/harness"
)

// kindPodMetrics is what a metrics server would serve: written by the test, it
// lets the real controller of autoscalers see the load that the test wants.
var kindPodMetrics = harness.Kind{Group: "metrics.k8s.io", Version: "v1beta1", Kind: "PodMetrics", Plural: "pods"}

// autoscaled is a Deployment with an autoscaler, and what each replica uses of its memory.
type autoscaled struct {
	*peaks
	client dynamic.ResourceInterface
	usage  string
	told   map[string]string
}

// tell writes the metrics of the replicas that have none of this load yet.
func (l *autoscaled) tell() {
	l.t.Helper()
	for _, pod := range fresh(l.t).Of(l.namespace) {
		if pod.Labels["app"] != "serving" || l.told[pod.Name] == l.usage {
			continue
		}
		object := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "metrics.k8s.io/v1beta1", "kind": "PodMetrics",
			"metadata":  map[string]any{"name": pod.Name, "labels": map[string]any{"app": "serving"}},
			"timestamp": time.Now().UTC().Format(time.RFC3339), "window": "10s",
			"containers": []any{map[string]any{"name": "main", "usage": map[string]any{"memory": l.usage}}},
		}}
		_, err := l.client.Apply(l.t.Context(), pod.Name, object, metav1.ApplyOptions{FieldManager: "test", Force: true})
		must(l.t, err)
		l.told[pod.Name] = l.usage
	}
}

func (l *autoscaled) autoscale(most int32) {
	l.t.Helper()
	average := resource.MustParse("1Gi")
	_, err := plane.Client.AutoscalingV2().HorizontalPodAutoscalers(l.namespace).Create(l.t.Context(), &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: "serving"},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "serving"},
			MaxReplicas:    most,
			Metrics: []autoscalingv2.MetricSpec{{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{
				Name: v1.ResourceMemory, Target: autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: &average}}}},
			Behavior: &autoscalingv2.HorizontalPodAutoscalerBehavior{
				ScaleDown: &autoscalingv2.HPAScalingRules{StabilizationWindowSeconds: ptr.To[int32](0)}},
		},
	}, metav1.CreateOptions{})
	must(l.t, err)
}

type headroom struct {
	Due, Held, Used int
	Follow          struct{ Floor int }
}

// headroom is how the policy's one rule stands, and all that berth says.
func (p *peaks) headroom() (headroom, string) {
	p.t.Helper()
	answer, err := http.Get(p.berth.Ops + "/v1/status")
	must(p.t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	must(p.t, err)
	var said struct{ Headroom []headroom }
	must(p.t, json.Unmarshal(text, &said))
	return said.Headroom[0], string(text)
}

// floor waits until so many GPUs are due to the class, while the replicas are
// told of as they come.
func (l *autoscaled) floor(due int, replicas int, limited v1.ConditionStatus) {
	l.t.Helper()
	began := time.Now()
	eventually(l.t, 30*time.Second, func() []string {
		l.tell()
		rule, text := l.headroom()
		scaler, err := plane.Client.AutoscalingV2().HorizontalPodAutoscalers(l.namespace).Get(l.t.Context(), "serving", metav1.GetOptions{})
		must(l.t, err)
		status := v1.ConditionUnknown
		for _, condition := range scaler.Status.Conditions {
			if condition.Type == autoscalingv2.ScalingLimited {
				status = condition.Status
			}
		}
		if running := l.serving(); rule.Due != due || rule.Held+rule.Used < due || running != replicas || status != limited {
			return []string{fmt.Sprintf("%+v, and %d replicas run, with ScalingLimited=%s; %d GPUs, %d and %s are waited for: %s; %v",
				rule, running, status, due, replicas, limited, text, scaler.Status.Conditions)}
		}
		return nil
	})
	l.t.Logf("%d GPUs with %d replicas after %s", due, replicas, time.Since(began).Round(100*time.Millisecond))
}

// A rollout that makes the new before it ends the old goes on where the pool is
// full and others wait for it, and what was scaled to nothing comes back.
func TestRolloutsOnAFullPoolAndScalesFromZero(t *testing.T) {
	p := newPeaks(t, "testdata/policy-signals.yaml", 3)
	p.deploy("serving", 3, 8)
	p.serve(30*time.Second, 3)
	eventually(t, 5*time.Second, func() []string {
		if rule, text := p.headroom(); rule.Follow.Floor != 24 {
			return []string{"headroom does not follow: " + text}
		}
		return nil
	})
	for i := range 3 {
		must(t, plane.CreatePods(t.Context(), harness.Pod(p.namespace, fmt.Sprintf("batch-%d", i), 8)))
	}
	_, err := plane.Client.AppsV1().Deployments(p.namespace).Patch(t.Context(), "serving", "application/merge-patch+json",
		[]byte(`{"spec":{"strategy":{"rollingUpdate":{"maxSurge":1,"maxUnavailable":1}},"template":{"metadata":{"annotations":{"version":"2"}}}}}`),
		metav1.PatchOptions{})
	must(t, err)
	eventually(t, 60*time.Second, func() []string {
		deployment, err := plane.Client.AppsV1().Deployments(p.namespace).Get(t.Context(), "serving", metav1.GetOptions{})
		must(t, err)
		if status := deployment.Status; status.ObservedGeneration < deployment.Generation || status.UpdatedReplicas != 3 || status.Replicas != 3 || p.serving() != 3 {
			return []string{fmt.Sprintf("the rollout is not done: %+v", status)}
		}
		return nil
	})
	if waiting := harness.Unbound(fresh(t).Of(p.namespace)); len(waiting) != 3 {
		t.Errorf("%d pods have no node, the three of batch were to wait", len(waiting))
	}
	p.scale(0)
	boundCount(t, p.namespace, 2)
	p.scale(1)
	p.serve(10*time.Second, 1)
}

// The autoscaler, its controller and the Deployment are real; what replicas use
// is told by the test.
func TestHeadroomFollowsAnAutoscaler(t *testing.T) {
	withKinds(t, kindPodMetrics)
	metrics, err := dynamic.NewForConfig(plane.Admin)
	must(t, err)
	p := newPeaks(t, "testdata/policy-signals.yaml", 4)
	l := &autoscaled{peaks: p, told: map[string]string{},
		client: metrics.Resource(schema.GroupVersionResource{Group: kindPodMetrics.Group, Version: kindPodMetrics.Version, Resource: kindPodMetrics.Plural}).Namespace(p.namespace)}
	p.deploy("serving", 1, 4)
	l.usage = "1Gi"
	l.autoscale(2)
	l.floor(8, 1, v1.ConditionFalse)

	// More than it may have: it says so, and its class gets all that the policy allows.
	l.usage = "12Gi"
	l.floor(24, 2, v1.ConditionTrue)
	for i := range 2 {
		must(t, plane.CreatePods(t.Context(), harness.Pod(p.namespace, fmt.Sprintf("batch-%d", i), 8)))
	}
	boundCount(t, p.namespace, 3)

	// It may have more: its replicas find the room that was kept.
	_, err = plane.Client.AutoscalingV2().HorizontalPodAutoscalers(p.namespace).Patch(
		t.Context(), "serving", "application/merge-patch+json", []byte(`{"spec":{"maxReplicas":5}}`), metav1.PatchOptions{})
	must(t, err)
	l.floor(24, 5, v1.ConditionTrue)
	if waiting := harness.Unbound(fresh(t).Of(p.namespace)); len(waiting) != 1 {
		t.Errorf("%d pods have no node, one of batch is not to have one", len(waiting))
	}

	// The peak is over: what is not needed any more goes to who waits.
	l.usage = "10Mi"
	l.floor(8, 1, v1.ConditionFalse)
	boundCount(t, p.namespace, 3)
	if waiting := harness.Unbound(fresh(t).Of(p.namespace)); len(waiting) > 0 {
		t.Errorf("%d pods have no node", len(waiting))
	}
}
