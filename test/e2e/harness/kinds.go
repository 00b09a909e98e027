package harness

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// Kind is a namespaced kind of API object that an operator's definition adds,
// here with a schema that takes anything.
type Kind struct {
	Group, Version, Kind, Plural string
}

func (k Kind) resource() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: k.Group, Version: k.Version, Resource: k.Plural}
}

var definitions = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

func (k Kind) definition() *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{
			"name": k.Plural + "." + k.Group,
			// The API server wants to see it on groups of the community.
			"annotations": map[string]any{"api-approved.kubernetes.io": "unapproved, a test's own"},
		},
		"spec": map[string]any{
			"group": k.Group, "scope": "Namespaced",
			"names": map[string]any{"kind": k.Kind, "plural": k.Plural},
			"versions": []any{map[string]any{
				"name": k.Version, "served": true, "storage": true,
				"schema": map[string]any{"openAPIV3Schema": map[string]any{
					"type": "object", "x-kubernetes-preserve-unknown-fields": true,
				}},
			}},
		},
	}}
}

// AddKind defines the kind, and waits until the API server serves it.
func (c *ControlPlane) AddKind(ctx context.Context, kind Kind) error {
	client, err := dynamic.NewForConfig(c.Admin)
	if err != nil {
		return err
	}
	if _, err := client.Resource(definitions).Create(ctx, kind.definition(), metav1.CreateOptions{}); err != nil {
		return err
	}
	return poll(ctx, 30*time.Second, func() (string, error) {
		if _, err := client.Resource(kind.resource()).List(ctx, metav1.ListOptions{Limit: 1}); err != nil {
			return fmt.Sprintf("%s is not served: %v", kind.Kind, err), nil
		}
		return "", nil
	})
}

// RemoveKind takes the kind and all its objects away, if it is there.
func (c *ControlPlane) RemoveKind(ctx context.Context, kind Kind) error {
	client, err := dynamic.NewForConfig(c.Admin)
	if err != nil {
		return err
	}
	name := kind.Plural + "." + kind.Group
	return poll(ctx, 30*time.Second, func() (string, error) {
		err := client.Resource(definitions).Delete(ctx, name, metav1.DeleteOptions{})
		if apierrors.IsNotFound(err) {
			return "", nil
		}
		return name + " is still there", err
	})
}

// CreateObject makes an object of the kind; what comes back owns pods.
func (c *ControlPlane) CreateObject(ctx context.Context, kind Kind, namespace, name string, spec map[string]any) (*metav1.OwnerReference, error) {
	client, err := dynamic.NewForConfig(c.Admin)
	if err != nil {
		return nil, err
	}
	controller := true
	made, err := client.Resource(kind.resource()).Namespace(namespace).Create(ctx, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": kind.Group + "/" + kind.Version, "kind": kind.Kind,
		"metadata": map[string]any{"name": name, "namespace": namespace},
		"spec":     spec,
	}}, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	return &metav1.OwnerReference{APIVersion: made.GetAPIVersion(), Kind: kind.Kind, Name: name, UID: made.GetUID(), Controller: &controller}, nil
}
