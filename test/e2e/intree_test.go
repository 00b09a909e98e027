package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	scheduling "k8s.io/api/scheduling/v1alpha2"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"berth.dev/e2e/harness"
)

// Kubernetes' own gangs, which are alpha: kube-scheduler takes all members of a
// PodGroup in one cycle, in which berth is asked for each of them, and throws
// that away if not all have a place; then it asks anew. berth plans the gang as
// it plans any other.

const (
	ownGates = "GenericWorkload=true,GangScheduling=true"
	ownAPIs  = "scheduling.k8s.io/v1alpha2=true"
)

// onPlaneOfItsOwn lets the test run on another control plane than the others.
func onPlaneOfItsOwn(t *testing.T, gates, apis string) {
	t.Helper()
	berthBinary(t)
	binary, err := filepath.Abs(setting("CONTROLPLANE_BIN", "../../build/test/controlplane"))
	must(t, err)
	dir, err := os.MkdirTemp("", "berth-e2e-gates-")
	must(t, err)
	shared := plane
	own, err := harness.StartBareControlPlaneWith(t.Context(), binary, dir, gates, apis)
	if err != nil {
		t.Fatalf("a control plane with %s, logs in %s: %v", gates, dir, err)
	}
	plane = own
	t.Cleanup(func() {
		plane = shared
		own.Stop()
		if !t.Failed() {
			os.RemoveAll(dir)
		}
	})
}

// podGroup makes one of Kubernetes' own, and its pods.
func podGroup(t *testing.T, namespace, name string, minCount int32, gpus int64, options ...harness.PodOption) []*v1.Pod {
	t.Helper()
	group := &scheduling.PodGroup{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: scheduling.PodGroupSpec{
			SchedulingPolicy: scheduling.PodGroupSchedulingPolicy{Gang: &scheduling.GangSchedulingPolicy{MinCount: minCount}},
		},
	}
	_, err := plane.Client.SchedulingV1alpha2().PodGroups(namespace).Create(t.Context(), group, metav1.CreateOptions{})
	must(t, err)
	options = append([]harness.PodOption{harness.Annotated(map[string]string{"berth.dev/class": "wide"}), func(pod *v1.Pod) {
		pod.Labels = map[string]string{"group": name}
		pod.Spec.SchedulingGroup = &v1.PodSchedulingGroup{PodGroupName: ptr.To(name)}
	}}, options...)
	var pods []*v1.Pod
	for i := range minCount {
		pods = append(pods, harness.Pod(namespace, fmt.Sprintf("%s-%d", name, i), gpus, options...))
	}
	return pods
}

func ofGroup(snapshot *harness.Snapshot, namespace, name string) []*v1.Pod {
	var members []*v1.Pod
	for _, pod := range snapshot.Of(namespace) {
		if pod.Labels["group"] == name {
			members = append(members, pod)
		}
	}
	return members
}

// scheduledAsGroup waits until kube-scheduler itself has said of the group as
// a whole whether it was scheduled.
func scheduledAsGroup(t *testing.T, namespace, name string, want metav1.ConditionStatus) {
	t.Helper()
	eventually(t, 20*time.Second, func() []string {
		group, err := plane.Client.SchedulingV1alpha2().PodGroups(namespace).Get(t.Context(), name, metav1.GetOptions{})
		must(t, err)
		condition := meta.FindStatusCondition(group.Status.Conditions, scheduling.PodGroupScheduled)
		if condition == nil || condition.Status != want {
			return []string{fmt.Sprintf("kube-scheduler says of PodGroup %s: %v, not %s", name, condition, want)}
		}
		return nil
	})
}

// knownAs compares what berth knows of the gangs.
func knownAs(t *testing.T, berth *harness.Berth, name, want string) {
	t.Helper()
	state, err := berth.State()
	must(t, err)
	for _, gang := range state.Gangs {
		if gang.Name != name {
			continue
		}
		if gang.State != want || gang.Quorum != 4 || gang.Present != 4 {
			t.Errorf("berth knows %+v, not 4 of 4 members, %s", gang, want)
		}
		return
	}
	t.Errorf("berth knows no gang %s", name)
}

// nothingHeld says what the ledger holds for pods that are not bound.
func nothingHeld(t *testing.T, berth *harness.Berth) []string {
	t.Helper()
	state, err := berth.State()
	must(t, err)
	var wrong []string
	for _, entry := range state.Ledger {
		if entry.State != "bound" {
			wrong = append(wrong, fmt.Sprintf("%s holds room on %s (%s)", entry.Pod, entry.Node, entry.State))
		}
	}
	return wrong
}

func TestKubernetesOwnGangsAreWholeOrHoldNothing(t *testing.T) {
	onPlaneOfItsOwn(t, ownGates, ownAPIs)
	s := newStack(t, wants{nodes: [][]*v1.Node{harness.Nodes(harness.H100, 7, 8)}, policy: gangPolicy})
	namespace := namespaceOf(t)

	pods := podGroup(t, namespace, "fits", 4, 8)
	must(t, plane.CreatePods(t.Context(), pods...))
	if kept := podNamed(t, namespace, pods[0].Name).Spec.SchedulingGroup; kept == nil {
		t.Fatal("the API server has dropped spec.schedulingGroup: its feature gate is off")
	}
	eventually(t, 60*time.Second, func() []string { return harness.Unbound(ofGroup(fresh(t), namespace, "fits")) })
	scheduledAsGroup(t, namespace, "fits", metav1.ConditionTrue)
	knownAs(t, s.berth, "fits", "whole")

	// Three nodes are left. Neither gang has room, and none of them takes any.
	short := map[string][]harness.PodOption{"bare": nil, "gated": {behindGate}}
	for name, options := range short {
		must(t, plane.CreatePods(t.Context(), podGroup(t, namespace, name, 4, 8, options...)...))
	}
	// It tries such a group again at once, for as long as it takes: that is not
	// to slow down other tests.
	must(t, s.scheduler.Nice(10))
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(time.Second) {
		snapshot := fresh(t)
		for name := range short {
			if bound := boundOf(ofGroup(snapshot, namespace, name)); bound > 0 {
				t.Fatalf("%d of 4 members of %s are bound, with room for 3", bound, name)
			}
		}
	}
	if wrong := nothingHeld(t, s.berth); len(wrong) > 0 {
		t.Fatalf("after 60 s: %s", brief(wrong))
	}
	scheduledAsGroup(t, namespace, "bare", metav1.ConditionFalse)
	knownAs(t, s.berth, "bare", "queued")
	knownAs(t, s.berth, "gated", "queued")

	// With five more nodes there is room for both.
	_ = s.scheduler.Nice(0) // root alone may
	must(t, plane.CreateNodes(t.Context(), harness.Nodes(harness.H100, 12, 8)[7:]))
	eventually(t, 60*time.Second, func() []string { return harness.Unbound(fresh(t).Of(namespace)) })
	if wrong := fresh(t).Overcommitted(); len(wrong) > 0 {
		t.Errorf("over-committed: %s", brief(wrong))
	}
	must(t, s.berth.MatchesFreshList(t.Context(), plane, 40*time.Second))
}
