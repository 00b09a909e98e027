package harness

import (
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// Right is one verb on one resource, as a role grants it.
type Right struct {
	Role      string
	Namespace string // empty in a ClusterRole
	Group     string
	Resource  string // with its subresource; a URL where it is none
	Verb      string
	Names     []string // empty for every name
}

func (r Right) String() string {
	resource := schema.GroupResource{Group: r.Group, Resource: r.Resource}
	return fmt.Sprintf("%s %s, role %s", r.Verb, resource, types.NamespacedName{Namespace: r.Namespace, Name: r.Role})
}

// Allows says whether this right alone suffices for the request.
func (r Right) Allows(request *Request) bool {
	return r.Verb == request.Verb && r.Group == request.ObjectRef.APIGroup && r.Resource == request.Resource() &&
		(r.Namespace == "" || r.Namespace == request.ObjectRef.Namespace) &&
		(len(r.Names) == 0 || slices.Contains(r.Names, request.ObjectRef.Name))
}

// RightsOf takes the rules of a role apart. namespace is empty for a
// ClusterRole.
func RightsOf(role, namespace string, rules []rbacv1.PolicyRule) []Right {
	var rights []Right
	for _, rule := range rules {
		for _, verb := range rule.Verbs {
			for _, url := range rule.NonResourceURLs {
				rights = append(rights, Right{Role: role, Resource: url, Verb: verb})
			}
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					rights = append(rights, Right{role, namespace, group, resource, verb, rule.ResourceNames})
				}
			}
		}
	}
	return rights
}

// Wildcards are the rights that name everything of a kind.
func Wildcards(rights []Right) []string {
	var wrong []string
	for _, right := range rights {
		if strings.Contains(right.Verb+right.Group+right.Resource+strings.Join(right.Names, ""), "*") {
			wrong = append(wrong, right.String())
		}
	}
	return wrong
}

// Unused are the rights that no request needed.
func Unused(rights []Right, requests []Request) []string {
	var unused []string
	for _, right := range rights {
		if !slices.ContainsFunc(requests, func(r Request) bool { return right.Allows(&r) }) {
			unused = append(unused, right.String())
		}
	}
	return unused
}

// NotGranted are the requests for resources that none of the rights allows.
func NotGranted(rights []Right, requests []Request) []string {
	var wrong []string
	for i := range requests {
		allows := func(right Right) bool { return right.Allows(&requests[i]) }
		if requests[i].ObjectRef.Resource != "" && !slices.ContainsFunc(rights, allows) {
			wrong = append(wrong, requests[i].String())
		}
	}
	return wrong
}
