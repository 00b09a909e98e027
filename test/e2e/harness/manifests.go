package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	v1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
)

// Manifests are objects as people write them, in the order of applying.
type Manifests []*unstructured.Unstructured

// Render renders a kustomize folder, given relative to renderer, which is the
// folder of the program that does it.
func Render(renderer, folder string) (Manifests, error) {
	run := exec.Command("go", "run", "-buildvcs=false", ".", folder)
	run.Dir = renderer
	var complaints bytes.Buffer
	run.Stderr = &complaints
	text, err := run.Output()
	if err != nil {
		return nil, fmt.Errorf("render %s: %w\n%s", folder, err, &complaints)
	}
	return Decode(text)
}

// Decode reads YAML with one object a document.
func Decode(text []byte) (Manifests, error) {
	var all Manifests
	documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		object := &unstructured.Unstructured{}
		if err := documents.Decode(object); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, object)
	}
}

// resource is the API server's own place for an object.
func (c *ControlPlane) resource(object *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	client, err := dynamic.NewForConfig(c.Admin)
	if err != nil {
		return nil, err
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(c.Client.Discovery()))
	kind := object.GroupVersionKind()
	mapping, err := mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return nil, err
	}
	if namespace := object.GetNamespace(); namespace != "" {
		return client.Resource(mapping.Resource).Namespace(namespace), nil
	}
	return client.Resource(mapping.Resource), nil
}

// Apply applies all objects on the server's side, in their order, and lets no
// unknown or repeated field pass.
func (c *ControlPlane) Apply(ctx context.Context, all Manifests) error {
	for _, object := range all {
		resource, err := c.resource(object)
		if err != nil {
			return err
		}
		text, err := object.MarshalJSON()
		if err != nil {
			return err
		}
		_, err = resource.Patch(ctx, object.GetName(), types.ApplyPatchType, text,
			metav1.PatchOptions{FieldManager: "e2e", FieldValidation: metav1.FieldValidationStrict})
		if err != nil {
			return fmt.Errorf("apply %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}

// Remove deletes all objects, the last first, and waits until none is left.
func (c *ControlPlane) Remove(ctx context.Context, all Manifests) error {
	for _, object := range slices.Backward(all) {
		resource, err := c.resource(object)
		if err != nil {
			return err
		}
		if err := resource.Delete(ctx, object.GetName(), metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	return poll(ctx, 60*time.Second, func() (string, error) {
		for _, object := range all {
			resource, err := c.resource(object)
			if err != nil {
				return "", err
			}
			if _, err := resource.Get(ctx, object.GetName(), metav1.GetOptions{}); err == nil {
				return fmt.Sprintf("%s %s is left", object.GetKind(), object.GetName()), nil
			} else if !apierrors.IsNotFound(err) {
				return "", err
			}
		}
		return "", nil
	})
}

// Deployment is the Deployment of that name among the objects.
func (all Manifests) Deployment(name string) (*appsv1.Deployment, error) {
	deployment := &appsv1.Deployment{}
	return deployment, all.read("Deployment", name, deployment)
}

// ConfigMap is the ConfigMap of that name among the objects.
func (all Manifests) ConfigMap(name string) (*v1.ConfigMap, error) {
	config := &v1.ConfigMap{}
	return config, all.read("ConfigMap", name, config)
}

// read reads the one object of a kind and a name.
func (all Manifests) read(kind, name string, into any) error {
	found := slices.DeleteFunc(slices.Clone(all), func(object *unstructured.Unstructured) bool {
		return object.GetKind() != kind || object.GetName() != name
	})
	if len(found) != 1 {
		return fmt.Errorf("there are %d objects %s %s, one is due", len(found), kind, name)
	}
	return runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(found[0].Object, into, true)
}

// Rights are all rights that the roles among the objects grant.
func (all Manifests) Rights() ([]Right, error) {
	var rights []Right
	for _, object := range all {
		if kind := object.GetKind(); kind != "ClusterRole" && kind != "Role" {
			continue
		}
		var role rbacv1.ClusterRole // a Role has the same rules
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &role); err != nil {
			return nil, err
		}
		rights = append(rights, RightsOf(role.Name, role.Namespace, role.Rules)...)
	}
	return rights, nil
}
