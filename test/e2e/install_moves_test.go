package e2e

import (
	"os"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"berth.dev/e2e/harness"
)

// movesAJob lets a Job make room on a node of their own for a replica that
// may preempt it.
func movesAJob(t *testing.T, s *stack, namespace string) {
	t.Helper()
	text, err := os.ReadFile(s.policy)
	must(t, err)
	policy := string(text)
	for before, after := range map[string]string{
		"# mayPreempt: [dev, batch]": "mayPreempt: [batch]",
		"# moves: {mode: observe, cooldown: 1h, perUnitAndDay: 2, giveBackAfter: 10m}": "moves: {mode: act, giveBackAfter: 1s}\n" +
			"signals: {load: [{name: scaling, for: inference, from: autoscalers}]}",
	} {
		if !strings.Contains(policy, before) {
			t.Fatalf("the shipped policy no longer says %q", before)
		}
		policy = strings.Replace(policy, before, after, 1)
	}
	must(t, os.WriteFile(s.policy, []byte(policy), 0o644))
	watched(t, s, "horizontalpodautoscalers.autoscaling")
	nodes := harness.Nodes(harness.H100, 1, 8)
	nodes[0].Name = "h100-moved"
	nodes[0].Labels[v1.LabelHostname] = nodes[0].Name
	must(t, plane.CreateNodes(t.Context(), nodes))
	spec := harness.PodSpec(8)
	spec.NodeSelector = map[string]string{v1.LabelHostname: nodes[0].Name}
	labels := map[string]string{"app": "peak"}
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "makes-room"},
		Spec: batchv1.JobSpec{Template: v1.PodTemplateSpec{Spec: *spec.DeepCopy()}}}
	job.Spec.Template.Spec.RestartPolicy = v1.RestartPolicyNever
	_, err = plane.Client.BatchV1().Jobs(namespace).Create(t.Context(), job, metav1.CreateOptions{})
	must(t, err)
	boundCount(t, namespace, 1)
	_, err = plane.Client.AppsV1().Deployments(namespace).Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "peak"},
		Spec: appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: v1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: spec}},
	}, metav1.CreateOptions{})
	must(t, err)
	eventually(t, 60*time.Second, func() []string {
		pods, err := plane.Client.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "app=peak"})
		must(t, err)
		if len(pods.Items) != 1 || pods.Items[0].Spec.NodeName == "" {
			return []string{"the replica is not bound"}
		}
		return nil
	})
	// Whoever suspended it is gone before it can be given back: that is left to the guard.
	job = jobNamed(t, namespace, "makes-room")
	if !ptr.Deref(job.Spec.Suspend, false) || !strings.HasPrefix(job.Labels["berth.dev/suspended-by"], "move-") {
		t.Errorf("the Job is not suspended for a move: %v", job.Labels)
	}
}

// resumedByTheGuard waits for what movesAJob left.
func resumedByTheGuard(t *testing.T, namespace string) {
	t.Helper()
	eventually(t, 60*time.Second, func() []string {
		if job := jobNamed(t, namespace, "makes-room"); ptr.Deref(job.Spec.Suspend, false) || job.Labels["berth.dev/suspended-by"] != "" {
			return []string{"the Job is suspended"}
		}
		return nil
	})
}
