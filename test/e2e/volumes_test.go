package e2e

import (
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"berth.dev/e2e/harness"
)

// slowClass is a StorageClass whose provisioner is played by the test.
const (
	slowClass        = "slow"
	annSelectedNode  = "volume.kubernetes.io/selected-node"
	provisioningTime = 60 * time.Second // twice as long as a reservation without volumes lives
)

func TestPodWithSlowVolumeKeepsItsRoomFor60Seconds(t *testing.T) {
	s := newStack(t, wants{nodes: [][]*v1.Node{harness.Nodes(harness.L4, 1, 1)}})
	namespace := namespaceOf(t)
	createSlowClaim(t, namespace, "data")
	must(t, plane.CreatePods(t.Context(), batchPod(namespace, "owner", withClaim("data"))))
	node := selectedNode(t, namespace, "data")
	must(t, plane.CreatePods(t.Context(), batchPod(namespace, "competitor")))
	// kube-scheduler keeps the room in its cache as well and does not ask for
	// the competitor; a scheduler that had forgotten would ask like this.
	ghost := batchPod(namespace, "ghost")
	for end := time.Now().Add(provisioningTime); time.Now().Before(end); time.Sleep(4 * time.Second) {
		ghost.UID = "a-competitor-that-only-asks"
		nodes, err := s.berth.Filter(ghost, node)
		must(t, err)
		if len(nodes) > 0 {
			t.Fatalf("the room was given away %s before the volume was there", time.Until(end).Round(time.Second))
		}
	}
	if owner := podNamed(t, namespace, "owner"); owner.Spec.NodeName != "" {
		t.Fatal("the pod was bound before its volume was there: nothing was tested")
	}
	provision(t, namespace, "data", node)
	eventually(t, 30*time.Second, func() []string {
		if owner := podNamed(t, namespace, "owner"); owner.Spec.NodeName != node {
			return []string{"owner is not on " + node}
		}
		return nil
	})
	if competitor := podNamed(t, namespace, "competitor"); competitor.Spec.NodeName != "" {
		t.Errorf("the competitor is on %s", competitor.Spec.NodeName)
	}
	if wrong := fresh(t).Overcommitted(); len(wrong) > 0 {
		t.Errorf("over-committed: %s", brief(wrong))
	}
	must(t, s.berth.MatchesFreshList(t.Context(), plane, 10*time.Second))
}

func withClaim(name string) harness.PodOption {
	return func(pod *v1.Pod) {
		pod.Spec.Volumes = []v1.Volume{{Name: "data", VolumeSource: v1.VolumeSource{
			PersistentVolumeClaim: &v1.PersistentVolumeClaimVolumeSource{ClaimName: name}}}}
	}
}

func createSlowClaim(t *testing.T, namespace, name string) {
	t.Helper()
	_, err := plane.Client.StorageV1().StorageClasses().Create(t.Context(), &storagev1.StorageClass{
		ObjectMeta:        metav1.ObjectMeta{Name: slowClass},
		Provisioner:       "e2e.berth.dev/slow",
		VolumeBindingMode: ptr.To(storagev1.VolumeBindingWaitForFirstConsumer),
	}, metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		must(t, err)
	}
	_, err = plane.Client.CoreV1().PersistentVolumeClaims(namespace).Create(t.Context(), &v1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1.PersistentVolumeClaimSpec{
			StorageClassName: ptr.To(slowClass),
			AccessModes:      []v1.PersistentVolumeAccessMode{v1.ReadWriteOnce},
			Resources:        v1.VolumeResourceRequirements{Requests: v1.ResourceList{v1.ResourceStorage: resource.MustParse("1Gi")}},
		},
	}, metav1.CreateOptions{})
	must(t, err)
}

// selectedNode waits until kube-scheduler's PreBind has asked the provisioner
// for a volume on a node.
func selectedNode(t *testing.T, namespace, claim string) string {
	t.Helper()
	node := ""
	eventually(t, 20*time.Second, func() []string {
		pvc, err := plane.Client.CoreV1().PersistentVolumeClaims(namespace).Get(t.Context(), claim, metav1.GetOptions{})
		must(t, err)
		if node = pvc.Annotations[annSelectedNode]; node == "" {
			return []string{"no node is selected for the claim"}
		}
		return nil
	})
	return node
}

// provision does what a provisioner does: it makes a volume for the claim.
func provision(t *testing.T, namespace, claim, node string) {
	t.Helper()
	pvc, err := plane.Client.CoreV1().PersistentVolumeClaims(namespace).Get(t.Context(), claim, metav1.GetOptions{})
	must(t, err)
	onNode := v1.NodeSelectorRequirement{Key: v1.LabelHostname, Operator: v1.NodeSelectorOpIn, Values: []string{node}}
	_, err = plane.Client.CoreV1().PersistentVolumes().Create(t.Context(), &v1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "pv-" + string(pvc.UID), Annotations: map[string]string{"pv.kubernetes.io/provisioned-by": "e2e.berth.dev/slow"}},
		Spec: v1.PersistentVolumeSpec{
			Capacity:                      v1.ResourceList{v1.ResourceStorage: resource.MustParse("1Gi")},
			AccessModes:                   []v1.PersistentVolumeAccessMode{v1.ReadWriteOnce},
			PersistentVolumeReclaimPolicy: v1.PersistentVolumeReclaimRetain,
			StorageClassName:              slowClass,
			PersistentVolumeSource:        v1.PersistentVolumeSource{Local: &v1.LocalVolumeSource{Path: "/data"}},
			NodeAffinity:                  &v1.VolumeNodeAffinity{Required: &v1.NodeSelector{NodeSelectorTerms: []v1.NodeSelectorTerm{{MatchExpressions: []v1.NodeSelectorRequirement{onNode}}}}},
			ClaimRef:                      &v1.ObjectReference{APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: namespace, Name: claim, UID: types.UID(pvc.UID)},
		},
	}, metav1.CreateOptions{})
	must(t, err)
}
