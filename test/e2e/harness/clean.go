package harness

import (
	"context"
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// Namespace makes sure that a namespace is there.
func (c *ControlPlane) Namespace(ctx context.Context, name string) error {
	_, err := c.Client.CoreV1().Namespaces().Create(ctx,
		&v1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// Clean removes every workload, pod, claim and node, and waits until none is
// left, so that the next test begins on an empty fleet.
func (c *ControlPlane) Clean(ctx context.Context) error {
	namespaces, err := c.Client.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	now := metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0), PropagationPolicy: ptr.To(metav1.DeletePropagationBackground)}
	all := metav1.ListOptions{}
	return poll(ctx, 60*time.Second, func() (string, error) {
		for i := range namespaces.Items {
			if err := c.cleanNamespace(ctx, namespaces.Items[i].Name, now); err != nil {
				return "", err
			}
		}
		if err := c.Client.CoreV1().Nodes().DeleteCollection(ctx, now, all); err != nil {
			return "", err
		}
		if err := c.Client.CoreV1().PersistentVolumes().DeleteCollection(ctx, now, all); err != nil {
			return "", err
		}
		left, err := c.Snapshot(ctx)
		if err != nil {
			return "", err
		}
		if len(left.Pods)+len(left.Nodes) > 0 {
			return fmt.Sprintf("%d pods and %d nodes are left", len(left.Pods), len(left.Nodes)), nil
		}
		return "", nil
	})
}

// cleanNamespace deletes owners before what they own: a controller would
// replace its pods.
func (c *ControlPlane) cleanNamespace(ctx context.Context, namespace string, now metav1.DeleteOptions) error {
	all := metav1.ListOptions{}
	for _, remove := range []func(context.Context, metav1.DeleteOptions, metav1.ListOptions) error{
		c.Client.AppsV1().Deployments(namespace).DeleteCollection,
		c.Client.AppsV1().StatefulSets(namespace).DeleteCollection,
		c.Client.AppsV1().ReplicaSets(namespace).DeleteCollection,
		c.Client.BatchV1().Jobs(namespace).DeleteCollection,
		c.Client.CoreV1().Pods(namespace).DeleteCollection,
		c.Client.CoreV1().PersistentVolumeClaims(namespace).DeleteCollection,
	} {
		if err := remove(ctx, now, all); err != nil {
			return err
		}
	}
	return nil
}
