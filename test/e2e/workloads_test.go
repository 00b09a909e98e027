package e2e

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"berth.dev/e2e/harness"
)

// createDeployment makes inference servers of one GPU each; the controller
// manager makes the pods.
func createDeployment(ctx context.Context, namespace, name string, replicas int32) error {
	labels := map[string]string{"app": name, labelClass: "inference"}
	_, err := plane.Client.AppsV1().Deployments(namespace).Create(ctx, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}},
			Template: v1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: harness.PodSpec(1)},
		},
	}, metav1.CreateOptions{})
	return err
}

// createJob makes training workers of one GPU each.
func createJob(ctx context.Context, namespace, name string, workers int32) error {
	spec := harness.PodSpec(1)
	spec.RestartPolicy = v1.RestartPolicyNever
	_, err := plane.Client.BatchV1().Jobs(namespace).Create(ctx, &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: batchv1.JobSpec{
			Parallelism: &workers, Completions: &workers, BackoffLimit: ptr.To[int32](0),
			Template: v1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"workload": "training", labelClass: "training"}},
				Spec:       spec,
			},
		},
	}, metav1.CreateOptions{})
	return err
}
