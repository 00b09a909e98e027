package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"berth.dev/e2e/harness"
)

// The gang of a StatefulSet that does without one of its four: its last
// member is evicted for a replica, the one that the StatefulSet makes in its
// place pends until the replica is gone, whatever room there is, and the
// others never notice.
func TestAMemberBeyondTheQuorumIsLentAndTheOneMadeInItsPlaceIsHeldBack(t *testing.T) {
	const size, quorum, last = 4, 3, "trainer-3"
	p := &peaks{t: t, namespace: namespaceOf(t), stack: newStack(t, wants{
		nodes: [][]*v1.Node{harness.Nodes(harness.H100, size, 8)}, policy: "testdata/policy-moves-surplus.yaml"})}
	gangStatefulSet(t, p.namespace, "trainer", "training", size, 8, func(set *appsv1.StatefulSetSpec) {
		set.Template.Annotations["berth.dev/gang-size"] = fmt.Sprint(quorum)
	})
	uids := map[string]types.UID{}
	eventually(t, 30*time.Second, func() []string {
		for _, pod := range fresh(t).Of(p.namespace) {
			if pod.Status.Phase == v1.PodRunning {
				uids[pod.Name] = pod.UID
			}
		}
		if len(uids) < size {
			return []string{fmt.Sprintf("%d members run", len(uids))}
		}
		return nil
	})
	p.deploy("serving", 1, 8)
	eventually(t, movesPeak, func() []string {
		if p.serving() != 1 {
			return []string{"the replica does not run", p.moves()}
		}
		return nil
	})
	must(t, plane.CreateNodes(t.Context(), harness.Nodes(harness.H100, size+1, 8)[size:]))
	eventually(t, 20*time.Second, func() []string {
		pod := podNamed(t, p.namespace, last)
		for _, condition := range pod.Status.Conditions {
			if condition.Type == v1.PodScheduled && strings.Contains(condition.Message, "is lent until a peak is over") {
				return nil
			}
		}
		return []string{fmt.Sprintf("%s: %v", last, pod.Status.Conditions), p.moves()}
	})
	othersAreThere := func() {
		t.Helper()
		for name, uid := range uids {
			if pod := podNamed(t, p.namespace, name); name != last && (pod.UID != uid || pod.DeletionTimestamp != nil) {
				t.Errorf("%s was ended", name)
			}
		}
	}
	othersAreThere()
	if pod := podNamed(t, p.namespace, last); pod.UID == uids[last] || pod.Spec.NodeName != "" {
		t.Errorf("%s of UID %s is on %q", last, pod.UID, pod.Spec.NodeName)
	}
	p.scale(0)
	eventually(t, 40*time.Second, func() []string {
		if pod := podNamed(t, p.namespace, last); pod.Status.Phase != v1.PodRunning {
			return []string{last + " does not run", p.moves()}
		}
		return nil
	})
	othersAreThere()
	p.noMoves(20 * time.Second)
	must(t, p.berth.MatchesFreshList(t.Context(), plane, 40*time.Second))
}
