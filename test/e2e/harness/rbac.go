package harness

import (
	"context"
	"net"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
)

// roleBerth is the harness's own: the installed role is called berth.
const roleBerth = "e2e:berth"

// berthRole lets berth read everything and write only what the main road
// needs, so that any other write of its shows as a refusal in its log.
func berthRole() *rbacv1.ClusterRole {
	rule := func(group, resource string, verbs ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{resource}, Verbs: verbs}
	}
	return &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: roleBerth},
		Rules: []rbacv1.PolicyRule{
			rule("*", "*", "get", "list", "watch"),
			rule("", "pods", "patch"),
			rule("", "nodes", "patch"),
			rule("", "pods/status", "patch"),
			rule("", "pods/binding", "create"),
			rule("", "pods/eviction", "create"),
			rule("batch", "jobs", "patch"),
			rule("jobset.x-k8s.io", "*", "patch"),
			rule("trainer.kubeflow.org", "*", "patch"),
			rule("kubeflow.org", "*", "patch"),
			rule("ray.io", "*", "patch"),
			rule("kueue.x-k8s.io", "workloads", "patch"),
			rule("coordination.k8s.io", "leases", "create", "patch"),
			rule("", "configmaps", "create", "patch"),
			rule("", "events", "create", "patch"),
			rule("events.k8s.io", "events", "create", "patch"),
		},
	}
}

func (c *ControlPlane) grantBerth(ctx context.Context) error {
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: roleBerth},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: roleBerth},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: userBerth}},
	}
	// A fresh API server may refuse its first writes for a moment.
	return wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, 20*time.Second, true, func(ctx context.Context) (bool, error) {
		_, err := c.Client.RbacV1().ClusterRoles().Create(ctx, berthRole(), metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return false, nil
		}
		_, err = c.Client.RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{})
		return err == nil || apierrors.IsAlreadyExists(err), nil
	})
}

// splitAddress splits an address that freeAddresses has made.
func splitAddress(address string) (host, port string) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		panic(err)
	}
	return host, port
}
