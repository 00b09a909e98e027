package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"berth.dev/e2e/harness"
)

// wakesARejectedPod lets a pod wait for a pool that its class may not use, and
// then lets it in by the mounted file. Of that kube-scheduler knows nothing.
func wakesARejectedPod(t *testing.T, s *stack, namespace string) {
	t.Helper()
	must(t, plane.Namespace(t.Context(), namespace))
	observer, err := plane.Observe(t.Context(), namespace)
	must(t, err)
	createWaiting(t, s, namespace, harness.Pod(namespace, "let-in", 1, harness.OnPool("l4")))
	text, err := os.ReadFile(s.policy)
	must(t, err)
	const before, after = "only: [t4, a100]", "only: [t4, a100, l4]"
	if !strings.Contains(string(text), before) {
		t.Fatalf("the shipped policy no longer says %q", before)
	}
	must(t, os.WriteFile(s.policy, []byte(strings.Replace(string(text), before, after, 1)), 0o644))
	woken(t, observer, time.Now(), 2*time.Second+wakeLimit, "let-in")
	eventually(t, 10*time.Second, func() []string { return harness.Unbound(fresh(t).Of(namespace)) })
}

// hintsAndBindsAMix lets 50 pods of four classes of the shipped policy wait in
// line for a moment, so that berth writes hints.
func hintsAndBindsAMix(t *testing.T, s *stack, namespace, dev string) {
	t.Helper()
	observer, err := plane.Observe(t.Context(), namespace)
	must(t, err)
	s.scheduler.Pause()
	var pods []*v1.Pod
	for i := range 10 {
		pods = append(pods, harness.Pod(dev, fmt.Sprintf("dev-%d", i), 1),
			harness.Pod(namespace, fmt.Sprintf("plain-%d", i), 1))
		if i%2 == 0 {
			pods = append(pods, harness.Pod(namespace, fmt.Sprintf("tune-%d", i), 1, harness.Labelled(map[string]string{"workload": "finetune"})))
		}
	}
	must(t, plane.CreatePods(t.Context(), pods...))
	must(t, createDeployment(t.Context(), namespace, "serve", 15))
	must(t, createJob(t.Context(), namespace, "sweep", 10))
	eventually(t, 8*time.Second, func() []string {
		snapshot := fresh(t)
		pods := append(snapshot.Of(namespace), snapshot.Of(dev)...)
		if len(pods) != 50 {
			return []string{"not all of 50 pods are there"}
		}
		// Hints come once nobody has asked for a while.
		if !slices.ContainsFunc(pods, func(pod *v1.Pod) bool { return pod.Status.NominatedNodeName != "" }) {
			return []string{"no pod in line got a hint"}
		}
		return nil
	})
	// Pods of a small fleet are hinted once nobody has asked about them for a while.
	eventually(t, 5*time.Second, func() []string {
		if hintsGiven(t, observer) == 0 {
			return []string{"no pod in line got a hint"}
		}
		return nil
	})
	s.scheduler.Resume()
	boundCount(t, namespace, 40)
	boundCount(t, dev, 10)
	snapshot := fresh(t)
	if wrong := snapshot.Overcommitted(); len(wrong) > 0 {
		t.Errorf("over-committed: %s", brief(wrong))
	}
	classes := map[string]int{}
	for _, pod := range append(snapshot.Of(namespace), snapshot.Of(dev)...) {
		var decision struct{ Class string }
		must(t, json.Unmarshal([]byte(pod.Annotations["berth.dev/decision"]), &decision))
		classes[decision.Class]++
	}
	if want := map[string]int{"dev": 10, "inference": 15, "finetune": 5, "batch": 20}; !maps.Equal(classes, want) {
		t.Errorf("the pods' classes are %v, not %v", classes, want)
	}
	t.Logf("50 pods were bound, with %d hints", hintsGiven(t, observer))
}

func hintsGiven(t *testing.T, observer *harness.Observer) (hinted int) {
	t.Helper()
	stories, err := observer.Stories()
	must(t, err)
	for _, story := range stories {
		hinted += len(story.Hints)
	}
	return hinted
}

// saysThatAPolicyIsBad breaks the mounted file for a moment.
func saysThatAPolicyIsBad(t *testing.T, s *stack) {
	t.Helper()
	good, err := os.ReadFile(s.policy)
	must(t, err)
	must(t, os.WriteFile(s.policy, bytes.Replace(good, []byte("kind: PlacementPolicy"), []byte("kind: Harbour"), 1), 0o644))
	eventually(t, 10*time.Second, func() []string {
		events, err := plane.Client.EventsV1().Events(harness.InstallNamespace).List(t.Context(), metav1.ListOptions{})
		must(t, err)
		for _, event := range events.Items {
			if event.Reason == "PolicyNotReloaded" && strings.Contains(event.Note, "Harbour") {
				return nil
			}
		}
		return []string{"no Event says that the policy is bad"}
	})
	must(t, os.WriteFile(s.policy, good, 0o644))
	eventually(t, 5*time.Second, func() []string {
		state, err := s.berth.State()
		must(t, err)
		if state.Policy.Error != "" {
			return []string{state.Policy.Error}
		}
		return nil
	})
}

// keepsWhatTeamsSpend gives the mounted policy a team: what it spends is kept in
// a ConfigMap of berth's own from then on.
func keepsWhatTeamsSpend(t *testing.T, s *stack) {
	t.Helper()
	text, err := os.ReadFile(s.policy)
	must(t, err)
	must(t, os.WriteFile(s.policy, append(text, "teams: [{name: everyone, namespaces: [\"*\"]}]\n"...), 0o644))
	eventually(t, 15*time.Second, func() []string {
		kept, err := plane.Client.CoreV1().ConfigMaps(harness.InstallNamespace).Get(t.Context(), "berth-usage", metav1.GetOptions{})
		if err != nil {
			return []string{err.Error()}
		}
		if !strings.Contains(kept.Data["usage"], `"everyone"`) {
			return []string{"kept is " + kept.Data["usage"]}
		}
		return nil
	})
}

// promisesAStart lets a gang wait for a node of its own that runs out at a time
// that is told: what it is promised is kept in a ConfigMap of berth's own.
func promisesAStart(t *testing.T, s *stack, namespace string) {
	t.Helper()
	text, err := os.ReadFile(s.policy)
	must(t, err)
	const before, after = "- name: batch\n", "- name: batch\n  gang: {reserveAfter: 1s}\n"
	if !strings.Contains(string(text), before) {
		t.Fatalf("the shipped policy no longer says %q", before)
	}
	must(t, os.WriteFile(s.policy, []byte(strings.Replace(string(text), before, after, 1)), 0o644))
	must(t, plane.Namespace(t.Context(), namespace))
	nodes := harness.Nodes(harness.H100, 1, 8)
	nodes[0].Name = "h100-promised"
	nodes[0].Labels[v1.LabelHostname] = nodes[0].Name
	must(t, plane.CreateNodes(t.Context(), nodes))
	there := func(pod *v1.Pod) { pod.Spec.NodeSelector = map[string]string{v1.LabelHostname: nodes[0].Name} }
	must(t, plane.CreatePods(t.Context(), harness.Pod(namespace, "runs", 8, there,
		harness.Annotated(map[string]string{"berth.dev/expected-runtime": "1h"}))))
	boundCount(t, namespace, 1)
	gang := harness.Annotated(map[string]string{"berth.dev/gang": "waits", "berth.dev/gang-size": "2"})
	must(t, plane.CreatePods(t.Context(), harness.Pod(namespace, "waits-0", 4, there, gang), harness.Pod(namespace, "waits-1", 4, there, gang)))
	eventually(t, 20*time.Second, func() []string {
		kept, err := plane.Client.CoreV1().ConfigMaps(harness.InstallNamespace).Get(t.Context(), "berth-promises", metav1.GetOptions{})
		if err != nil {
			return []string{err.Error()}
		}
		if !strings.Contains(kept.Data["promises"], `"waits"`) {
			return []string{"kept is " + kept.Data["promises"]}
		}
		return nil
	})
	for _, name := range []string{"waits-0", "waits-1", "runs"} {
		must(t, plane.Client.CoreV1().Pods(namespace).Delete(t.Context(), name, metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)}))
	}
	// Nothing that is given back later is to find room there.
	must(t, plane.Client.CoreV1().Nodes().Delete(t.Context(), nodes[0].Name, metav1.DeleteOptions{}))
}

// readsAPodItDoesNotKnow asks for a bind that no watch has announced: berth
// looks for the pod before it answers.
func readsAPodItDoesNotKnow(t *testing.T, s *stack) {
	t.Helper()
	body, err := json.Marshal(map[string]string{"PodName": "never-was", "PodNamespace": "default", "PodUID": "never-was", "Node": "t4-000"})
	must(t, err)
	response, err := http.Post(s.berth.Verbs+"/v1/bind", "application/json", bytes.NewReader(body))
	must(t, err)
	defer response.Body.Close()
	var answer struct{ Error string }
	must(t, json.NewDecoder(response.Body).Decode(&answer))
	if response.StatusCode != http.StatusOK || answer.Error == "" {
		t.Errorf("a pod that never was is bound: %s %q", response.Status, answer.Error)
	}
}

// goesOnWithAnotherToken changes the mounted token, and binds pods when the API
// server has come to refuse the one that both programs began with.
func goesOnWithAnotherToken(t *testing.T, installed *harness.Installed) {
	t.Helper()
	must(t, installed.RotateToken(t.Context()))
	namespace := namespaceOf(t, "-rotated")
	var pods []*v1.Pod
	for i := range 4 {
		pods = append(pods, harness.Pod(namespace, fmt.Sprintf("late-%d", i), 1))
	}
	must(t, plane.CreatePods(t.Context(), pods...))
	boundCount(t, namespace, len(pods))
}

// guardLetsGo leaves a pod behind the gate with no berth there: the guard takes
// it away once berth's Lease is stale.
func guardLetsGo(t *testing.T, installed *harness.Installed) {
	t.Helper()
	text, err := os.ReadFile(installed.Policy)
	must(t, err)
	must(t, os.WriteFile(installed.Policy, append(text, "gate: {classes: [training], releaseAfter: 1s}\n"...), 0o644))
	namespace := namespaceOf(t, "-left")
	must(t, plane.CreatePods(t.Context(), harness.Pod(namespace, "left", 1, behindGate)))
	began := time.Now()
	eventually(t, 60*time.Second, func() []string { return stillGated(t, namespace) })
	t.Logf("let go %s after the pod was left", time.Since(began).Round(time.Second))
}

// exactlyTheRights holds what the API server has noted against the roles:
// nothing was refused, berth and the guard live on their own roles alone,
// kube-scheduler needs its lease, and nothing is granted that none of them used.
func exactlyTheRights(t *testing.T, manifests harness.Manifests) {
	t.Helper()
	rights, err := manifests.Rights()
	must(t, err)
	requests, err := plane.Requests()
	must(t, err)
	var berth, guard, scheduler []harness.Request
	for _, request := range requests {
		if code := request.ResponseStatus.Code; code == http.StatusForbidden || code == http.StatusUnauthorized {
			t.Errorf("refused: %s", request.String())
		}
		switch program, _, _ := strings.Cut(request.Agent, "/"); program {
		case "berth":
			if strings.HasSuffix(request.User.Username, ":berth-guard") {
				guard = append(guard, request)
			} else {
				berth = append(berth, request)
			}
		case "kube-scheduler":
			scheduler = append(scheduler, request)
		default:
			t.Errorf("from none of the three: %s", request.String())
		}
	}
	var ofBerth, ofUndo, ofGuard, ofScheduler []harness.Right
	for _, right := range rights {
		if right.Group == "scheduling.k8s.io" {
			continue // this API server does not have its groups of pods
		}
		switch right.Role {
		case "berth":
			ofBerth = append(ofBerth, right)
		case "berth:moves", "berth:signals", "berth:repartition":
			if right.Group == "kueue.x-k8s.io" {
				ofUndo = append(ofUndo, right) // TestMovesRoleNamesKueuesWorkloads
			} else {
				ofBerth = append(ofBerth, right)
			}
		case "berth:undo":
			if right.Group == "" || right.Group == "batch" {
				ofBerth = append(ofBerth, right)
			} else {
				ofUndo = append(ofUndo, right) // operators' kinds are suspended in a test of their own
			}
		case "berth-guard":
			if right.Group == "" || right.Group == "batch" || right.Group == "coordination.k8s.io" {
				ofGuard = append(ofGuard, right)
			} else {
				ofUndo = append(ofUndo, right)
			}
		default:
			ofScheduler = append(ofScheduler, right)
		}
	}
	t.Logf("berth used %d rights in %d requests; the guard %d in %d; kube-scheduler %d beside those of the system's roles, in %d",
		len(ofBerth), len(berth), len(ofGuard), len(guard), len(ofScheduler), len(scheduler))
	if wrong := harness.NotGranted(slices.Concat(ofBerth, ofUndo), berth); len(wrong) > 0 {
		t.Errorf("berth lives on kube-scheduler's rights:\n%s", brief(wrong))
	}
	if wrong := harness.NotGranted(slices.Concat(ofGuard, ofUndo), guard); len(wrong) > 0 {
		t.Errorf("the guard lives on others' rights:\n%s", brief(wrong))
	}
	if unused := slices.Concat(harness.Unused(ofBerth, berth), harness.Unused(ofGuard, guard), harness.Unused(ofScheduler, scheduler)); len(unused) > 0 {
		t.Errorf("granted and not used:\n%s", brief(unused))
	}
}
