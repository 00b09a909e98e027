package e2e

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	v1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"berth.dev/e2e/harness"
)

// Gangs of 64 whose members need more of a node than GPUs, one host each or the
// zone of a volume, are bound whole; one that a quota keeps from being complete
// holds nothing and says what it misses.

const needySize = 64

// whole waits until the namespace has so many pods, all bound, and looks at what
// must hold then: nothing over-committed, and no room held beside.
func (s *stack) whole(t *testing.T, patience time.Duration, namespace string, count int) *harness.Snapshot {
	t.Helper()
	eventually(t, patience, func() []string {
		pods := fresh(t).Of(namespace)
		if len(pods) != count {
			return []string{fmt.Sprintf("%d pods are there, %d should be", len(pods), count)}
		}
		return harness.Unbound(pods)
	})
	snapshot := fresh(t)
	if wrong := snapshot.Overcommitted(); len(wrong) > 0 {
		t.Errorf("over-committed: %s", brief(wrong))
	}
	must(t, s.berth.MatchesFreshList(t.Context(), plane, 40*time.Second))
	return snapshot
}

// apart keeps a pod from hosts on which pods with the label stand.
func apart(key, value string) *v1.Affinity {
	return &v1.Affinity{PodAntiAffinity: &v1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []v1.PodAffinityTerm{{
		LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{key: value}}, TopologyKey: v1.LabelHostname,
	}}}}
}

func TestGangsWithOneMemberToAHost(t *testing.T) {
	s := newStack(t, wants{nodes: [][]*v1.Node{harness.Nodes(harness.H100, needySize+1, 8)}, policy: gangPolicy})
	namespace := namespaceOf(t)
	// Both gangs keep away from this one too: they have just the hosts they need.
	single := harness.Pod(namespace, "single", 1, harness.Labelled(map[string]string{"of-gated": "yes", "of-bare": "yes"}))
	must(t, plane.CreatePods(t.Context(), single))
	boundCount(t, namespace, 1)
	taken := podNamed(t, namespace, "single").Spec.NodeName
	for _, name := range []string{"gated", "bare"} {
		gangJob(t, namespace, name, map[string]string{"berth.dev/class": "wide"}, needySize, 2, func(template *v1.PodTemplateSpec) {
			template.Labels = map[string]string{"of-" + name: "yes"}
			template.Spec.Affinity = apart("of-"+name, "yes")
			if name == "gated" {
				template.Spec.SchedulingGates = planGate
			}
		})
	}
	hosts := map[string]map[string]bool{"gated": {}, "bare": {}}
	for _, pod := range s.whole(t, 60*time.Second, namespace, 1+2*needySize).Of(namespace) {
		if job := pod.Labels[batchv1.JobNameLabel]; job != "" {
			hosts[job][pod.Spec.NodeName] = true
		}
	}
	for name, on := range hosts {
		if len(on) != needySize || on[taken] {
			t.Errorf("%s stands on %d hosts; on %s, which is taken: %v", name, len(on), taken, on[taken])
		}
	}
}

// zonedNodes are in zones by their number.
func zonedNodes(count int, zone func(i int) int) []*v1.Node {
	nodes := harness.Nodes(harness.H100, count, 8)
	for i, node := range nodes {
		node.Labels[v1.LabelTopologyZone] = fmt.Sprintf("zone-%d", zone(i))
	}
	return nodes
}

// zonalVolumes makes a StorageClass without a provisioner, and volumes of it in
// zones by their number.
func zonalVolumes(t *testing.T, class string, mode storagev1.VolumeBindingMode, count int, zone func(i int) int) {
	t.Helper()
	classes := plane.Client.StorageV1().StorageClasses()
	_, err := classes.Create(t.Context(), &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{Name: class}, Provisioner: "kubernetes.io/no-provisioner", VolumeBindingMode: &mode,
	}, metav1.CreateOptions{})
	must(t, err)
	t.Cleanup(func() { _ = classes.Delete(context.Background(), class, metav1.DeleteOptions{}) })
	for i := range count {
		inZone := v1.NodeSelectorRequirement{Key: v1.LabelTopologyZone, Operator: v1.NodeSelectorOpIn, Values: []string{fmt.Sprintf("zone-%d", zone(i))}}
		name := fmt.Sprintf("%s-%02d", class, i)
		_, err := plane.Client.CoreV1().PersistentVolumes().Create(t.Context(), &v1.PersistentVolume{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: v1.PersistentVolumeSpec{
				Capacity:                      v1.ResourceList{v1.ResourceStorage: resource.MustParse("1Gi")},
				AccessModes:                   []v1.PersistentVolumeAccessMode{v1.ReadWriteOnce},
				PersistentVolumeReclaimPolicy: v1.PersistentVolumeReclaimRetain,
				StorageClassName:              class,
				PersistentVolumeSource:        v1.PersistentVolumeSource{HostPath: &v1.HostPathVolumeSource{Path: "/data/" + name}},
				NodeAffinity:                  &v1.VolumeNodeAffinity{Required: &v1.NodeSelector{NodeSelectorTerms: []v1.NodeSelectorTerm{{MatchExpressions: []v1.NodeSelectorRequirement{inZone}}}}},
			},
		}, metav1.CreateOptions{})
		must(t, err)
	}
}

// withVolumes gives each pod of a StatefulSet a claim of its own.
func withVolumes(class string) func(*appsv1.StatefulSetSpec) {
	return func(set *appsv1.StatefulSetSpec) {
		set.VolumeClaimTemplates = []v1.PersistentVolumeClaim{{
			ObjectMeta: metav1.ObjectMeta{Name: "data"},
			Spec: v1.PersistentVolumeClaimSpec{
				StorageClassName: &class,
				AccessModes:      []v1.PersistentVolumeAccessMode{v1.ReadWriteOnce},
				Resources:        v1.VolumeResourceRequirements{Requests: v1.ResourceList{v1.ResourceStorage: resource.MustParse("1Gi")}},
			},
		}}
	}
}

// inTheirZones checks that each pod stands where its volume is, and that the
// volumes of the gang are in so many zones.
func inTheirZones(t *testing.T, snapshot *harness.Snapshot, namespace string, zones int) {
	t.Helper()
	volumes, err := plane.Client.CoreV1().PersistentVolumes().List(t.Context(), metav1.ListOptions{})
	must(t, err)
	zoneOf := map[string]string{}
	for _, volume := range volumes.Items {
		if claim := volume.Spec.ClaimRef; claim != nil && volume.Status.Phase == v1.VolumeBound {
			zoneOf[claim.Namespace+"/"+claim.Name] = volume.Spec.NodeAffinity.Required.NodeSelectorTerms[0].MatchExpressions[0].Values[0]
		}
	}
	seen := map[string]int{}
	for _, pod := range snapshot.Of(namespace) {
		want := zoneOf[namespace+"/data-"+pod.Name]
		if stands := snapshot.Nodes[pod.Spec.NodeName].Labels[v1.LabelTopologyZone]; want == "" || stands != want {
			t.Errorf("%s stands in %s, and its volume is in %q", pod.Name, stands, want)
		}
		seen[want]++
	}
	t.Logf("members by zone: %v", seen)
	if len(seen) != zones {
		t.Errorf("volumes are in %d zones, not in %d: nothing was tested", len(seen), zones)
	}
}

func TestGangsWhoseVolumesAreInZones(t *testing.T) {
	const zones = 4
	inTurn := func(i int) int { return i % zones }
	// The claims are bound while berth plans.
	t.Run("bound at once", func(t *testing.T) {
		gangWithVolumes(t, "wide", storagev1.VolumeBindingImmediate, zonedNodes(needySize, inTurn), inTurn, zones)
	})
	// They are bound when kube-scheduler has taken a node for each pod. Of that
	// berth sees nothing: kube-scheduler refuses all nodes of a block that it
	// plans, until all members are in the one that has volumes.
	t.Run("bound late", func(t *testing.T) {
		blocks := zonedNodes(needySize, func(i int) int { return i * zones / needySize })
		gangWithVolumes(t, "training", storagev1.VolumeBindingWaitForFirstConsumer, blocks, func(int) int { return 2 }, 1)
	})
}

func gangWithVolumes(t *testing.T, class string, mode storagev1.VolumeBindingMode, nodes []*v1.Node, zone func(i int) int, zones int) {
	s := newStack(t, wants{nodes: [][]*v1.Node{nodes}, policy: gangPolicy})
	namespace := namespaceOf(t)
	storage := "zonal-" + strings.ToLower(string(mode))
	zonalVolumes(t, storage, mode, needySize, zone)
	began := time.Now()
	gangStatefulSet(t, namespace, "trainer", class, needySize, 2, withVolumes(storage), func(set *appsv1.StatefulSetSpec) {
		set.Template.Spec.SchedulingGates = planGate
	})
	snapshot := s.whole(t, 60*time.Second, namespace, needySize)
	t.Logf("bound after %s", time.Since(began).Round(100*time.Millisecond))
	inTheirZones(t, snapshot, namespace, zones)
}

// limitPods lets a namespace have so many pods, and waits until admission goes
// by it.
func limitPods(t *testing.T, namespace string, count int) {
	t.Helper()
	quotas := plane.Client.CoreV1().ResourceQuotas(namespace)
	hard := v1.ResourceList{v1.ResourcePods: *resource.NewQuantity(int64(count), resource.DecimalSI)}
	quota, err := quotas.Get(t.Context(), "pods", metav1.GetOptions{})
	if err == nil {
		quota.Spec.Hard = hard
		_, err = quotas.Update(t.Context(), quota, metav1.UpdateOptions{})
	} else {
		_, err = quotas.Create(t.Context(), &v1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "pods"}, Spec: v1.ResourceQuotaSpec{Hard: hard}}, metav1.CreateOptions{})
	}
	must(t, err)
	eventually(t, 20*time.Second, func() []string {
		quota, err := quotas.Get(t.Context(), "pods", metav1.GetOptions{})
		must(t, err)
		if stands := quota.Status.Hard[v1.ResourcePods]; stands.Value() != int64(count) {
			return []string{fmt.Sprintf("the quota's status says %s pods", stands.String())}
		}
		return nil
	})
}

// ranksMissing are the indices of a Job's pods that are not there, as berth
// writes them; and as many as are there.
func ranksMissing(pods []*v1.Pod, size int) (ranks string, present int) {
	there := map[string]bool{}
	for _, pod := range pods {
		there[pod.Annotations[batchv1.JobCompletionIndexAnnotation]] = true
	}
	var gaps []string
	for i := 0; i < size; i++ {
		first := i
		for i < size && !there[strconv.Itoa(i)] {
			i++
		}
		if i-first > 1 {
			gaps = append(gaps, fmt.Sprintf("%d-%d", first, i-1))
		} else if i > first {
			gaps = append(gaps, strconv.Itoa(first))
		}
	}
	return strings.Join(gaps, ", "), len(pods)
}

// A quota lets the controller make five pods of eight, whichever come first.
func TestGangsThatAQuotaKeepsIncompleteHoldNothingAndSayWhatTheyMiss(t *testing.T) {
	const size, allowed = 8, 5
	s := newStack(t, wants{nodes: [][]*v1.Node{harness.Nodes(harness.H100, 4, 8)}, policy: gangPolicy})
	gates := map[string][]v1.PodSchedulingGate{namespaceOf(t, "-gated"): planGate, namespaceOf(t, "-bare"): nil}
	for namespace, gate := range gates {
		limitPods(t, namespace, allowed)
		gangJob(t, namespace, "trainer", map[string]string{"berth.dev/class": "training"}, size, 2, func(template *v1.PodTemplateSpec) {
			template.Spec.SchedulingGates = gate
		})
	}
	eventually(t, 25*time.Second, func() []string {
		var wrong []string
		for namespace, gate := range gates {
			state, err := s.berth.State()
			must(t, err)
			if len(state.Ledger) > 0 { // at no moment
				t.Fatalf("%s holds room on %s", state.Ledger[0].Pod, state.Ledger[0].Node)
			}
			pods := fresh(t).Of(namespace)
			ranks, present := ranksMissing(pods, size)
			if present != allowed {
				return []string{fmt.Sprintf("%d pods", present)}
			}
			short := fmt.Sprintf("gang %s/trainer: %d of %d members present, missing ranks %s", namespace, allowed, size, ranks)
			for _, pod := range pods {
				if line := pod.Annotations[waitingLine]; gate != nil && line != short {
					wrong = append(wrong, fmt.Sprintf("%s says %q, not %q", pod.Name, line, short))
				}
			}
			job := jobNamed(t, namespace, "trainer")
			if said := saidOf(t, namespace, "Job", job.Name, string(job.UID)); !slices.Equal(said, []string{"GangIncomplete: " + short}) {
				wrong = append(wrong, fmt.Sprintf("of the Job is said %q, not %q", said, short))
			}
		}
		return wrong
	})
	state, err := s.berth.State()
	must(t, err)
	if len(state.Gangs) != len(gates) {
		t.Errorf("gangs in /v1/state: %+v", state.Gangs)
	}
	for _, gang := range state.Gangs {
		if gang.Code != "GangIncomplete" || gang.Present != allowed || gang.Quorum != size {
			t.Errorf("gang in /v1/state: %+v", gang)
		}
	}
	for namespace := range gates {
		pods := fresh(t).Of(namespace)
		ranks, _ := ranksMissing(pods, size)
		explain := exec.Command(berthBinary(t), "explain", namespace+"/"+pods[0].Name, "--ops", strings.TrimPrefix(s.berth.Ops, "http://"))
		text, _ := explain.Output() // it exits with 1: the pod is not placed
		for _, words := range []string{"GangIncomplete: ", fmt.Sprintf("members: %d of %d present, %d missing (rank %s)", allowed, size, size-allowed, ranks)} {
			if !strings.Contains(string(text), words) {
				t.Errorf("explain does not say %q:\n%s", words, text)
			}
		}
		limitPods(t, namespace, size)
	}
	raised := time.Now()
	for namespace := range gates {
		s.whole(t, 60*time.Second, namespace, size)
	}
	t.Logf("bound %s after the quota was raised", time.Since(raised).Round(100*time.Millisecond))
}
