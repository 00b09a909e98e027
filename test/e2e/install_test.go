package e2e

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	v1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"berth.dev/e2e/harness"
)

const installBase = "../../deploy/base/"

func TestInstallHasTheFilesOfConfig(t *testing.T) {
	for file, change := range map[string]*strings.Replacer{
		"policy.yaml": strings.NewReplacer(),
		"kube-scheduler.yaml": strings.NewReplacer(
			"resourceNamespace: kube-system", "resourceNamespace: "+harness.InstallNamespace),
	} {
		source, err := os.ReadFile("../../config/" + file)
		must(t, err)
		copied, err := os.ReadFile(installBase + file)
		must(t, err)
		if string(copied) != change.Replace(string(source)) {
			t.Errorf("deploy/base/%s is not what config/%s would be there: copy it again", file, file)
		}
	}
}

func TestInstallRolesNameWhatTheyGrant(t *testing.T) {
	rights, err := rendered(t).Rights()
	must(t, err)
	if len(rights) == 0 {
		t.Fatal("the manifests grant nothing at all")
	}
	if wrong := harness.Wildcards(rights); len(wrong) > 0 {
		t.Errorf("wildcards:\n%s", brief(wrong))
	}
}

func TestInstallChecksFindWhatIsTooMuch(t *testing.T) {
	rule := func(verb, group, resource, name string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{Verbs: []string{"get", verb}, APIGroups: []string{"", group}, Resources: []string{"pods", resource}, ResourceNames: []string{"a", name}}
	}
	for name, wide := range map[string]rbacv1.PolicyRule{
		"verb": rule("*", "apps", "nodes", "b"), "group": rule("list", "*", "nodes", "b"),
		"resource": rule("list", "apps", "*", "b"), "subresource": rule("list", "apps", "*/status", "b"),
		"URL": {Verbs: []string{"get"}, NonResourceURLs: []string{"/debug/*"}},
	} {
		if len(harness.Wildcards(harness.RightsOf("r", "", []rbacv1.PolicyRule{wide}))) == 0 {
			t.Errorf("a wildcard as %s is not found", name)
		}
	}
	rights := harness.RightsOf("r", "here", []rbacv1.PolicyRule{rule("list", "apps", "pods/status", "b")})
	if wrong := harness.Wildcards(rights); len(wrong) > 0 {
		t.Errorf("there is no wildcard in\n%s", brief(wrong))
	}
	var request harness.Request
	request.Verb = "get"
	request.ObjectRef.Resource, request.ObjectRef.Namespace, request.ObjectRef.Name = "pods", "here", "a"
	if unused := harness.Unused(rights, []harness.Request{request}); len(unused) != len(rights)-1 {
		t.Errorf("one of %d rights was used, and these count as unused:\n%s", len(rights), brief(unused))
	}
	for _, other := range []func(*harness.Request){
		func(r *harness.Request) { r.Verb = "patch" },
		func(r *harness.Request) { r.ObjectRef.Name = "c" },
		func(r *harness.Request) { r.ObjectRef.Namespace = "there" },
		func(r *harness.Request) { r.ObjectRef.Subresource = "log" },
		func(r *harness.Request) { r.ObjectRef.APIGroup = "batch" },
	} {
		changed := request
		other(&changed)
		if len(harness.NotGranted(rights, []harness.Request{request, changed})) != 1 {
			t.Errorf("%s: the rights do not allow it", changed.String())
		}
	}
}

func TestInstallIsAdmittedAndRunsWithExactlyItsRights(t *testing.T) {
	binary := berthBinary(t)
	manifests := rendered(t)
	prepare(t, installFleet()...)
	withKinds(t, kindsWithGangs()...)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		must(t, plane.Remove(ctx, manifests))
	})
	must(t, plane.Apply(t.Context(), manifests))
	admitted(t, manifests)

	dir := logDir(t)
	installed, err := plane.StartInstalled(t.Context(), dir, binary, manifests)
	if installed != nil && installed.Scheduler != nil {
		t.Cleanup(installed.Scheduler.Kill)
		harness.LogTailsOnFailure(t, installed.Scheduler)
	}
	if installed != nil && installed.Guard != nil {
		t.Cleanup(installed.Guard.Kill)
		harness.LogTailsOnFailure(t, installed.Guard)
	}
	if installed != nil && installed.Berth != nil {
		t.Cleanup(installed.Berth.Kill)
		harness.LogTailsOnFailure(t, installed.Berth.Process)
	}
	must(t, err)
	s := &stack{berth: installed.Berth, scheduler: installed.Scheduler, policy: installed.Policy}

	namespace, dev := namespaceOf(t), namespaceOf(t, "-dev")
	wakesARejectedPod(t, s, namespace+"-wake-dev")
	takesTheNewerOfTwoAPIs(t, s)
	hintsAndBindsAMix(t, s, namespace, dev)
	saysThatAPolicyIsBad(t, s)
	readsAPodItDoesNotKnow(t, s)
	keepsWhatTeamsSpend(t, s)
	promisesAStart(t, s, namespaceOf(t, "-promised"))
	undoesGangs(t, namespaceOf(t, "-gangs"))
	quarantinesANode(t, namespaceOf(t, "-refused"), "berth-system", "l4-000")
	movesAJob(t, s, namespaceOf(t, "-moves"))
	cutsANode(t, s, namespaceOf(t, "-slices"))
	goesOnWithAnotherToken(t, installed)
	must(t, s.berth.MatchesFreshList(t.Context(), plane, 15*time.Second))

	// Both end in good order, and so give back the lease.
	s.scheduler.Stop()
	endBerth(t, s.berth)
	guardLetsGo(t, installed)
	resumedByTheGuard(t, namespaceOf(t, "-moves"))
	givenBackByTheGuard(t)
	exactlyTheRights(t, manifests)
	removed(t, manifests, namespace)
}

// kindsWithGangs are all that tell how many members gangs have, so that every
// right to read one is needed, but for the in-tree ones: no definition can add
// them to an API server without their feature gate.
func kindsWithGangs() []harness.Kind {
	kinds := slices.DeleteFunc(slices.Clone(kindsOfOperators), func(kind harness.Kind) bool { return kind == kindPodGroup })
	older := kindPodGroup
	older.Group = "scheduling.sigs.k8s.io"
	return append(kinds, older)
}

// takesTheNewerOfTwoAPIs adds an API of groups that berth has watched by its
// older name.
func takesTheNewerOfTwoAPIs(t *testing.T, s *stack) {
	t.Helper()
	watched(t, s, "podgroups.scheduling.sigs.k8s.io")
	withKinds(t, kindPodGroup)
	watched(t, s, "podgroups.scheduling.x-k8s.io")
}

// watched waits until berth says that it watches these objects.
func watched(t *testing.T, s *stack, name string) {
	t.Helper()
	eventually(t, 30*time.Second, func() []string {
		text, err := s.berth.Checks()
		must(t, err)
		if !strings.Contains(text, name+": watched") {
			return []string{text}
		}
		return nil
	})
}

// rendered are the manifests as kubectl would send them.
func rendered(t *testing.T) harness.Manifests {
	t.Helper()
	manifests, err := harness.Render("render", "../"+installBase)
	must(t, err)
	return manifests
}

// installFleet is 72 GPUs for 51 pods: every class finds room, even if all the
// others went first to the pools that it may use.
func installFleet() [][]*v1.Node {
	return [][]*v1.Node{
		harness.Nodes(harness.A100, 5, 8), harness.Nodes(harness.L4, 4, 4), harness.Nodes(harness.T4, 4, 4),
	}
}

// admitted waits for the pods of the Deployments, which the API server only lets
// in if it keeps to what the namespace enforces; a pod that does not is kept out.
func admitted(t *testing.T, manifests harness.Manifests) {
	t.Helper()
	for name, replicas := range map[string]int{"berth": 2, "berth-guard": 1} {
		deployment, err := manifests.Deployment(name)
		must(t, err)
		admittedPods(t, deployment, replicas)
	}
}

func admittedPods(t *testing.T, deployment *appsv1.Deployment, replicas int) {
	t.Helper()
	for _, container := range deployment.Spec.Template.Spec.Containers {
		// The one thing that the standard does not ask for.
		if !ptr.Deref(container.SecurityContext.ReadOnlyRootFilesystem, false) {
			t.Errorf("the root of %s may be written to", container.Name)
		}
	}
	pods := plane.Client.CoreV1().Pods(harness.InstallNamespace)
	eventually(t, 60*time.Second, func() []string {
		list, err := pods.List(t.Context(), metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(deployment.Spec.Selector)})
		must(t, err)
		if len(list.Items) != replicas {
			return []string{fmt.Sprintf("the Deployment %s has %d pods of %d: %s", deployment.Name, len(list.Items), replicas, brief(quarrels(t)))}
		}
		if class := list.Items[0].Spec.PriorityClassName; class != "system-cluster-critical" {
			t.Errorf("the pod's priority class is %q", class)
		}
		return nil
	})
	loose := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "loose-" + deployment.Name}, Spec: *deployment.Spec.Template.Spec.DeepCopy()}
	loose.Spec.SecurityContext.RunAsNonRoot = nil
	_, err := pods.Create(t.Context(), loose, metav1.CreateOptions{})
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "PodSecurity") {
		t.Errorf("a pod that may run as root was not kept out: %v", err)
	}
}

// quarrels are the warnings in the namespace, which say why there is no pod.
func quarrels(t *testing.T) []string {
	t.Helper()
	events, err := plane.Client.CoreV1().Events(harness.InstallNamespace).List(t.Context(), metav1.ListOptions{})
	must(t, err)
	var notes []string
	for _, event := range events.Items {
		if event.Type == v1.EventTypeWarning {
			notes = append(notes, event.Message)
		}
	}
	return notes
}

// removed takes everything away again: nothing stays, and no pod that was
// placed is touched.
func removed(t *testing.T, manifests harness.Manifests, namespace string) {
	t.Helper()
	must(t, plane.Remove(t.Context(), manifests))
	part := metav1.ListOptions{LabelSelector: "app.kubernetes.io/part-of=berth"}
	roles, err := plane.Client.RbacV1().ClusterRoles().List(t.Context(), part)
	must(t, err)
	bindings, err := plane.Client.RbacV1().RoleBindings(metav1.NamespaceAll).List(t.Context(), part)
	must(t, err)
	if left := len(roles.Items) + len(bindings.Items); left > 0 {
		t.Errorf("%d roles and bindings are left", left)
	}
	if wrong := harness.Unbound(fresh(t).Of(namespace)); len(wrong) > 0 {
		t.Errorf("after berth was removed: %s", brief(wrong))
	}
}
