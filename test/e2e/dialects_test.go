package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"berth.dev/e2e/harness"
)

// Gangs of every dialect, with what the operators put on objects and pods:
// each is bound whole, inside the level that its class requires.

// The operators' kinds. In-tree groups are another test's: they need feature
// gates of the API server.
var (
	kindPodGroup      = harness.Kind{Group: "scheduling.x-k8s.io", Version: "v1alpha1", Kind: "PodGroup", Plural: "podgroups"}
	kindVolcanoGroup  = harness.Kind{Group: "scheduling.volcano.sh", Version: "v1beta1", Kind: "PodGroup", Plural: "podgroups"}
	kindKaiGroup      = harness.Kind{Group: "scheduling.run.ai", Version: "v2alpha2", Kind: "PodGroup", Plural: "podgroups"}
	kindJobSet        = harness.Kind{Group: "jobset.x-k8s.io", Version: "v1alpha2", Kind: "JobSet", Plural: "jobsets"}
	kindLWS           = harness.Kind{Group: "leaderworkerset.x-k8s.io", Version: "v1", Kind: "LeaderWorkerSet", Plural: "leaderworkersets"}
	kindPyTorchJob    = harness.Kind{Group: "kubeflow.org", Version: "v1", Kind: "PyTorchJob", Plural: "pytorchjobs"}
	kindTFJob         = harness.Kind{Group: "kubeflow.org", Version: "v1", Kind: "TFJob", Plural: "tfjobs"}
	kindXGBoostJob    = harness.Kind{Group: "kubeflow.org", Version: "v1", Kind: "XGBoostJob", Plural: "xgboostjobs"}
	kindJAXJob        = harness.Kind{Group: "kubeflow.org", Version: "v1", Kind: "JAXJob", Plural: "jaxjobs"}
	kindPaddleJob     = harness.Kind{Group: "kubeflow.org", Version: "v1", Kind: "PaddleJob", Plural: "paddlejobs"}
	kindMPIJob        = harness.Kind{Group: "kubeflow.org", Version: "v2beta1", Kind: "MPIJob", Plural: "mpijobs"}
	kindRayCluster    = harness.Kind{Group: "ray.io", Version: "v1", Kind: "RayCluster", Plural: "rayclusters"}
	kindsOfOperators  = []harness.Kind{kindPodGroup, kindVolcanoGroup, kindKaiGroup, kindJobSet, kindLWS, kindPyTorchJob, kindTFJob, kindXGBoostJob, kindJAXJob, kindPaddleJob, kindMPIJob, kindRayCluster}
	labelOfGangInTest = "e2e.berth.dev/gang"
)

// dialectGang is one gang under construction; pods that a controller makes are
// not among its pods.
type dialectGang struct {
	t               *testing.T
	namespace, name string
	size            int
	gpus            int64  // of a member; 0 is one
	class           string // "training" if empty
	options         []harness.PodOption
	pods            []*v1.Pod
	after           []*v1.Pod // what the operator makes only once the gang runs
}

func (g *dialectGang) object(kind harness.Kind, spec map[string]any) *metav1.OwnerReference {
	g.t.Helper()
	owner, err := plane.CreateObject(g.t.Context(), kind, g.namespace, g.name, spec)
	must(g.t, err)
	return owner
}

func (g *dialectGang) labels(labels map[string]string) map[string]string {
	all := map[string]string{labelOfGangInTest: g.name}
	maps.Copy(all, labels)
	return all
}

// pod makes a member; owner may be nil.
func (g *dialectGang) pod(name string, owner *metav1.OwnerReference, labels, annotations map[string]string) *v1.Pod {
	class := g.class
	if class == "" {
		class = "training"
	}
	options := slices.Concat([]harness.PodOption{
		harness.Labelled(g.labels(labels)),
		harness.Annotated(map[string]string{"berth.dev/class": class}),
		harness.Annotated(annotations),
		func(pod *v1.Pod) {
			if owner != nil {
				pod.OwnerReferences = []metav1.OwnerReference{*owner}
			}
		},
	}, g.options)
	return harness.Pod(g.namespace, name, max(g.gpus, 1), options...)
}

// each makes all members alike, but for what `differs` gives the i-th.
func (g *dialectGang) each(owner *metav1.OwnerReference, labels, annotations map[string]string, differs func(i int) map[string]string) {
	for i := range g.size {
		all := maps.Clone(labels)
		if all == nil {
			all = map[string]string{}
		}
		if differs != nil {
			maps.Copy(all, differs(i))
		}
		g.pods = append(g.pods, g.pod(fmt.Sprintf("%s-%d", g.name, i), owner, all, annotations))
	}
}

// job is an Indexed Job, whose pods the real controller makes.
func (g *dialectGang) job(name string, size int, owner *metav1.OwnerReference, labels map[string]string, options ...func(*batchv1.Job)) {
	g.t.Helper()
	spec := harness.PodSpec(1)
	spec.RestartPolicy = v1.RestartPolicyNever
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: batchv1.JobSpec{
			Parallelism: ptr.To(int32(size)), Completions: ptr.To(int32(size)), BackoffLimit: ptr.To[int32](0),
			CompletionMode: ptr.To(batchv1.IndexedCompletion),
			Template: v1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: g.labels(labels), Annotations: map[string]string{"berth.dev/class": "training"}},
				Spec:       spec,
			},
		},
	}
	if owner != nil {
		job.OwnerReferences = []metav1.OwnerReference{*owner}
	}
	for _, option := range options {
		option(job)
	}
	_, err := plane.Client.BatchV1().Jobs(g.namespace).Create(g.t.Context(), job, metav1.CreateOptions{})
	must(g.t, err)
}

// kubeflow is a job of the training operator; all members are workers but the
// first, where the kind has one that leads.
func (g *dialectGang) kubeflow(kind harness.Kind, specs, leader string) {
	g.t.Helper()
	replicas := map[string]any{"Worker": map[string]any{"replicas": int64(g.size)}}
	leaders := 0
	if leader != "" {
		leaders = 1
		replicas[leader] = map[string]any{"replicas": int64(1)}
		replicas["Worker"] = map[string]any{"replicas": int64(g.size - 1)}
	}
	owner := g.object(kind, map[string]any{specs: replicas})
	g.each(owner, map[string]string{"training.kubeflow.org/job-name": g.name}, nil, func(i int) map[string]string {
		role, index := "worker", i-leaders
		if i < leaders {
			role, index = strings.ToLower(leader), 0
		}
		return map[string]string{"training.kubeflow.org/replica-type": role, "training.kubeflow.org/replica-index": strconv.Itoa(index)}
	})
}

func indexLabel(key string) func(int) map[string]string {
	return func(i int) map[string]string { return map[string]string{key: strconv.Itoa(i)} }
}

var dialects = map[string]func(*dialectGang){
	"berth-annotations": func(g *dialectGang) {
		g.each(nil, nil, map[string]string{"berth.dev/gang": g.name, "berth.dev/gang-size": strconv.Itoa(g.size)}, nil)
	},
	"berth-labels": func(g *dialectGang) {
		g.each(nil, map[string]string{"berth.dev/gang": g.name, "berth.dev/gang-size": strconv.Itoa(g.size)}, nil, indexLabel("berth.dev/rank"))
	},
	"coscheduling": func(g *dialectGang) {
		g.each(nil, map[string]string{"scheduling.x-k8s.io/pod-group": g.name}, nil, nil)
		g.object(kindPodGroup, map[string]any{"minMember": int64(g.size)})
	},
	"coscheduling-old": func(g *dialectGang) {
		g.each(nil, map[string]string{"pod-group.scheduling.sigs.k8s.io/name": g.name,
			"pod-group.scheduling.sigs.k8s.io/min-available": strconv.Itoa(g.size)}, nil, nil)
	},
	"volcano": func(g *dialectGang) {
		g.object(kindVolcanoGroup, map[string]any{"minMember": int64(g.size)})
		g.each(nil, map[string]string{"volcano.sh/task-spec": "worker"}, map[string]string{"scheduling.k8s.io/group-name": g.name}, indexLabel("volcano.sh/task-index"))
	},
	"kai": func(g *dialectGang) {
		g.object(kindKaiGroup, map[string]any{"minMember": int64(g.size)})
		g.each(nil, nil, map[string]string{"pod-group-name": g.name}, nil)
	},
	"koordinator": func(g *dialectGang) {
		g.each(nil, nil, map[string]string{"gang.scheduling.koordinator.sh/name": g.name,
			"gang.scheduling.koordinator.sh/min-available": strconv.Itoa(g.size)}, nil)
	},
	"kueue": func(g *dialectGang) {
		g.each(nil, map[string]string{"kueue.x-k8s.io/pod-group-name": g.name},
			map[string]string{"kueue.x-k8s.io/pod-group-total-count": strconv.Itoa(g.size)}, nil)
	},
	"jobset": func(g *dialectGang) {
		const jobs = 2
		owner := g.object(kindJobSet, map[string]any{"replicatedJobs": []any{map[string]any{"name": "work", "replicas": int64(jobs),
			"template": map[string]any{"spec": map[string]any{"parallelism": int64(g.size / jobs), "completions": int64(g.size / jobs)}}}}})
		for i := range jobs {
			g.job(fmt.Sprintf("%s-work-%d", g.name, i), g.size/jobs, owner, map[string]string{
				"jobset.sigs.k8s.io/jobset-name": g.name, "jobset.sigs.k8s.io/replicatedjob-name": "work",
				"jobset.sigs.k8s.io/job-index": strconv.Itoa(i)})
		}
	},
	"lws": func(g *dialectGang) {
		g.object(kindLWS, map[string]any{"replicas": int64(1), "leaderWorkerTemplate": map[string]any{"size": int64(g.size)}, "startupPolicy": "LeaderCreated"})
		g.each(nil, map[string]string{"leaderworkerset.sigs.k8s.io/name": g.name, "leaderworkerset.sigs.k8s.io/group-index": "0"},
			map[string]string{"leaderworkerset.sigs.k8s.io/size": strconv.Itoa(g.size)}, indexLabel("leaderworkerset.sigs.k8s.io/worker-index"))
	},
	"pytorch":   func(g *dialectGang) { g.kubeflow(kindPyTorchJob, "pytorchReplicaSpecs", "Master") },
	"tfjob":     func(g *dialectGang) { g.kubeflow(kindTFJob, "tfReplicaSpecs", "Chief") },
	"xgboost":   func(g *dialectGang) { g.kubeflow(kindXGBoostJob, "xgbReplicaSpecs", "Master") },
	"jaxjob":    func(g *dialectGang) { g.kubeflow(kindJAXJob, "jaxReplicaSpecs", "") },
	"paddlejob": func(g *dialectGang) { g.kubeflow(kindPaddleJob, "paddleReplicaSpecs", "Master") },
	"mpi": func(g *dialectGang) {
		owner := g.object(kindMPIJob, map[string]any{"mpiReplicaSpecs": map[string]any{
			"Launcher": map[string]any{"replicas": int64(1)}, "Worker": map[string]any{"replicas": int64(g.size)}}})
		labels := map[string]string{"training.kubeflow.org/job-name": g.name, "training.kubeflow.org/job-role": "worker",
			"training.kubeflow.org/operator-name": "mpi-operator"}
		g.each(owner, labels, nil, indexLabel("training.kubeflow.org/replica-index"))
		// The launcher is made once the workers run.
		launcher := g.pod(g.name+"-launcher", owner, map[string]string{"training.kubeflow.org/job-name": g.name,
			"training.kubeflow.org/job-role": "launcher", labelOfGangInTest: g.name + "-launcher"}, nil)
		g.after = append(g.after, launcher)
	},
	"ray": func(g *dialectGang) {
		// One worker more than the least may come.
		owner := g.object(kindRayCluster, map[string]any{"enableInTreeAutoscaling": true, "workerGroupSpecs": []any{
			map[string]any{"groupName": "work", "replicas": int64(g.size), "minReplicas": int64(g.size - 1), "maxReplicas": int64(g.size)}}})
		g.each(owner, map[string]string{"ray.io/cluster": g.name, "ray.io/is-ray-node": "yes"}, nil, func(i int) map[string]string {
			if i == 0 {
				return map[string]string{"ray.io/node-type": "head", "ray.io/group": "headgroup"}
			}
			return map[string]string{"ray.io/node-type": "worker", "ray.io/group": "work"}
		})
		extra := g.pod(g.name+"-extra", owner, map[string]string{"ray.io/cluster": g.name, "ray.io/node-type": "worker", "ray.io/group": "work",
			labelOfGangInTest: g.name + "-extra"}, nil)
		g.after = append(g.after, extra)
	},
	"indexed-job": func(g *dialectGang) { g.job(g.name, g.size, nil, nil) },
}

// likeAnother have the same shape as another one, and one gang is enough.
var likeAnother = []string{"tfjob", "xgboost", "jaxjob", "paddlejob"}

// withKinds defines what the operators would, and takes it away at the end.
func withKinds(t *testing.T, kinds ...harness.Kind) {
	t.Helper()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		for _, kind := range kinds {
			must(t, plane.RemoveKind(ctx, kind))
		}
	})
	for _, kind := range kinds {
		must(t, plane.AddKind(t.Context(), kind))
	}
}

func labelledMembers(snapshot *harness.Snapshot, namespace, name string) []*v1.Pod {
	var members []*v1.Pod
	for _, pod := range snapshot.Of(namespace) {
		if pod.Labels[labelOfGangInTest] == name {
			members = append(members, pod)
		}
	}
	return members
}

func notAll(snapshot *harness.Snapshot, g *dialectGang, name string, size int) []string {
	if bound := boundOf(labelledMembers(snapshot, g.namespace, name)); bound != size {
		return []string{fmt.Sprintf("%s: %d of %d are bound", name, bound, size)}
	}
	return nil
}

func TestGangsOfEveryDialect(t *testing.T) {
	withKinds(t, kindsOfOperators...)
	s := newStack(t, wants{nodes: [][]*v1.Node{harness.Nodes(harness.H100, 200, 8)}, policy: gangPolicy})
	namespace := namespaceOf(t)
	sizes := []int{2, 8, 12, 20, 32, 64}
	var gangs []*dialectGang
	var piles [][]*v1.Pod
	for at, dialect := range slices.Sorted(maps.Keys(dialects)) {
		count := 3
		if slices.Contains(likeAnother, dialect) {
			count = 1
		}
		for k := range count {
			size := sizes[(at+2*k)%len(sizes)]
			g := &dialectGang{t: t, namespace: namespace, name: fmt.Sprintf("%s-%d", dialect, size), size: size}
			if k%2 == 1 {
				g.options = []harness.PodOption{behindGate}
			}
			dialects[dialect](g)
			gangs, piles = append(gangs, g), append(piles, g.pods)
		}
	}
	var singles []*v1.Pod
	for i := range 60 {
		singles = append(singles, harness.Pod(namespace, fmt.Sprintf("single-%02d", i), 1))
	}
	// Neither a plain Job is a gang, nor an Indexed one whose pods need not run
	// at the same time.
	must(t, createJob(t.Context(), namespace, "plain", 5))
	sweep := &dialectGang{t: t, namespace: namespace, name: "sweep"}
	sweep.job("sweep", 5, nil, nil, func(job *batchv1.Job) { job.Spec.Completions = ptr.To[int32](50) })
	pods := interleaved(append(piles, singles)...)
	must(t, plane.CreatePods(t.Context(), pods...))
	eventually(t, 120*time.Second, func() []string {
		snapshot := fresh(t)
		wrong := harness.Unbound(snapshot.Of(namespace))
		for _, g := range gangs {
			wrong = append(wrong, notAll(snapshot, g, g.name, g.size)...)
		}
		return append(wrong, notAll(snapshot, sweep, "sweep", 5)...)
	})
	snapshot := fresh(t)
	if wrong := snapshot.Overcommitted(); len(wrong) > 0 {
		t.Errorf("over-committed: %s", brief(wrong))
	}
	blocks := map[string]string{}
	for _, node := range snapshot.Nodes {
		blocks[node.Name] = node.Labels[harness.LabelBlock]
	}
	for _, g := range gangs {
		wholeWithin(t, g.name, labelledMembers(snapshot, namespace, g.name), blocks)
	}
	for _, pod := range labelledMembers(snapshot, namespace, "sweep") {
		if pod.Annotations["berth.dev/plan"] != "" {
			t.Errorf("%s was planned as a member of a gang", pod.Name)
		}
	}
	must(t, s.berth.MatchesFreshList(t.Context(), plane, 40*time.Second))
	state, err := s.berth.State()
	must(t, err)
	if len(state.Waiting) > 0 {
		t.Errorf("%d pods wait", len(state.Waiting))
	}
}

// wholeWithin looks at one gang: in one block, and bound in one burst.
func wholeWithin(t *testing.T, name string, members []*v1.Pod, blocks map[string]string) {
	t.Helper()
	first, last := scheduledAt(members[0]), scheduledAt(members[0])
	for _, member := range members {
		if block := blocks[member.Spec.NodeName]; block != blocks[members[0].Spec.NodeName] {
			t.Errorf("%s stands in %s and in %s", name, block, blocks[members[0].Spec.NodeName])
		}
		at := scheduledAt(member)
		if at.Before(first) {
			first = at
		}
		if at.After(last) {
			last = at
		}
		if member.Annotations["berth.dev/plan"] == "" {
			t.Errorf("%s was bound without a plan", member.Name)
		}
	}
	if last.Sub(first) > 5*time.Second {
		t.Errorf("%s took %s from the first Binding to the last", name, last.Sub(first))
	}
}

// What operators make only when others run is not waited for, and has its
// place when it comes.
func TestMembersThatComeLate(t *testing.T) {
	withKinds(t, kindMPIJob, kindRayCluster, kindLWS, kindJobSet)
	s := newStack(t, wants{nodes: [][]*v1.Node{harness.Nodes(harness.H100, 16, 8)}, policy: gangPolicy})
	namespace := namespaceOf(t)
	make := map[string]func(*dialectGang){
		"mpi": dialects["mpi"],
		"ray": dialects["ray"],
		"leader-ready": func(g *dialectGang) {
			g.object(kindLWS, map[string]any{"leaderWorkerTemplate": map[string]any{"size": int64(g.size)}, "startupPolicy": "LeaderReady"})
			g.each(nil, map[string]string{"leaderworkerset.sigs.k8s.io/name": g.name, "leaderworkerset.sigs.k8s.io/group-index": "0"},
				map[string]string{"leaderworkerset.sigs.k8s.io/size": strconv.Itoa(g.size)}, indexLabel("leaderworkerset.sigs.k8s.io/worker-index"))
			g.after, g.pods, g.size = g.pods[1:], g.pods[:1], 1
		},
	}
	var gangs []*dialectGang
	for name, dialect := range make {
		g := &dialectGang{t: t, namespace: namespace, name: name, size: 4}
		dialect(g)
		gangs = append(gangs, g)
		must(t, plane.CreatePods(t.Context(), g.pods...))
	}
	// Of a JobSet, the job that others wait for.
	owner, err := plane.CreateObject(t.Context(), kindJobSet, namespace, "set", map[string]any{"replicatedJobs": []any{
		map[string]any{"name": "data", "template": map[string]any{"spec": map[string]any{"parallelism": int64(2), "completions": int64(2)}}},
		map[string]any{"name": "work", "dependsOn": []any{map[string]any{"name": "data", "status": "Complete"}},
			"template": map[string]any{"spec": map[string]any{"parallelism": int64(4), "completions": int64(4)}}}}})
	must(t, err)
	set := &dialectGang{t: t, namespace: namespace, name: "set"}
	job := func(name string, size int) {
		set.job("set-"+name+"-0", size, owner, map[string]string{"jobset.sigs.k8s.io/jobset-name": "set",
			"jobset.sigs.k8s.io/replicatedjob-name": name, "jobset.sigs.k8s.io/job-index": "0"})
	}
	job("data", 2)
	early := func(jobs int) {
		t.Helper()
		eventually(t, 30*time.Second, func() []string {
			snapshot := fresh(t)
			wrong := append(harness.Unbound(snapshot.Of(namespace)), notAll(snapshot, set, "set", jobs)...)
			for _, g := range gangs {
				wrong = append(wrong, notAll(snapshot, g, g.name, g.size)...)
			}
			return wrong
		})
	}
	early(2)
	for _, pod := range labelledMembers(fresh(t), namespace, "set") {
		finish(t, pod)
	}
	job("work", 4)
	for _, g := range gangs {
		must(t, plane.CreatePods(t.Context(), g.after...))
		if g.name == "leader-ready" {
			g.size += len(g.after)
		}
	}
	early(6)
	must(t, s.berth.MatchesFreshList(t.Context(), plane, 40*time.Second))
}

// finish is what a kubelet says of a pod whose programs are done.
func finish(t *testing.T, pod *v1.Pod) {
	t.Helper()
	patch := []byte(`{"status":{"phase":"Succeeded"}}`)
	_, err := plane.Client.CoreV1().Pods(pod.Namespace).Patch(t.Context(), pod.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	must(t, err)
}

func TestAKindThatAppearsWhileGangsWaitForIt(t *testing.T) {
	s := newStack(t, wants{nodes: [][]*v1.Node{harness.Nodes(harness.H100, 16, 8)}, policy: gangPolicy})
	namespace := namespaceOf(t)
	g := &dialectGang{t: t, namespace: namespace, name: "late", size: 4}
	g.each(nil, map[string]string{"scheduling.x-k8s.io/pod-group": g.name}, nil, nil)
	must(t, plane.CreatePods(t.Context(), g.pods...))
	single := harness.Pod(namespace, "single", 1)
	must(t, plane.CreatePods(t.Context(), single))
	eventually(t, 20*time.Second, func() []string {
		if podNamed(t, namespace, "single").Spec.NodeName == "" {
			return []string{"the single is not bound"}
		}
		return nil
	})
	if bound := boundOf(labelledMembers(fresh(t), namespace, g.name)); bound > 0 {
		t.Fatalf("%d members were bound as singles", bound)
	}
	withKinds(t, kindPodGroup)
	g.object(kindPodGroup, map[string]any{"minMember": int64(g.size)})
	eventually(t, 30*time.Second, func() []string { return harness.Unbound(fresh(t).Of(namespace)) })
	must(t, s.berth.MatchesFreshList(t.Context(), plane, 40*time.Second))
}

// Where a gang is to stand, as its dialect says it. Members are whole nodes, so
// that four fill a rack; the class asks for nothing. With runs of four each
// gang has its place; with runs of five it has none, though there is room.
func TestPlacesThatDialectsAskFor(t *testing.T) {
	withKinds(t, kindVolcanoGroup, kindKaiGroup)
	s := newStack(t, wants{nodes: [][]*v1.Node{harness.Nodes(harness.H100, 128, 8)}, policy: gangPolicy})
	namespace := namespaceOf(t)
	inRack := map[string]any{"requiredTopologyLevel": "rack"}
	type place struct {
		runs int // of the members, each in one rack
		make func(g *dialectGang, run int)
	}
	places := map[string]place{
		"kai-object": {1, func(g *dialectGang, _ int) {
			g.object(kindKaiGroup, map[string]any{"minMember": int64(g.size), "topologyConstraint": map[string]any{"requiredTopologyLevel": harness.LabelRack}})
			g.each(nil, nil, map[string]string{"pod-group-name": g.name}, nil)
		}},
		"kai-annotation": {1, func(g *dialectGang, _ int) {
			g.object(kindKaiGroup, map[string]any{"minMember": int64(g.size)})
			g.each(nil, nil, map[string]string{"pod-group-name": g.name, "kai.scheduler/topology-required-placement": "rack"}, nil)
		}},
		"kai-sub-groups": {2, func(g *dialectGang, run int) {
			g.object(kindKaiGroup, map[string]any{"minMember": int64(g.size), "subGroups": []any{
				map[string]any{"name": "a", "minMember": int64(run), "topologyConstraint": inRack},
				map[string]any{"name": "b", "minMember": int64(run), "topologyConstraint": inRack}}})
			g.each(nil, nil, map[string]string{"pod-group-name": g.name}, func(i int) map[string]string {
				return map[string]string{"kai.scheduler/subgroup-name": []string{"a", "b"}[i/run]}
			})
		}},
		"kueue": {1, func(g *dialectGang, _ int) {
			g.each(nil, map[string]string{"kueue.x-k8s.io/pod-group-name": g.name}, map[string]string{
				"kueue.x-k8s.io/pod-group-total-count": strconv.Itoa(g.size), "kueue.x-k8s.io/podset-required-topology": harness.LabelRack}, nil)
		}},
		"kueue-slices": {3, func(g *dialectGang, run int) {
			g.each(nil, map[string]string{"kueue.x-k8s.io/pod-group-name": g.name}, map[string]string{
				"kueue.x-k8s.io/pod-group-total-count":          strconv.Itoa(g.size),
				"kueue.x-k8s.io/podset-required-topology":       harness.LabelBlock,
				"kueue.x-k8s.io/podset-slice-required-topology": harness.LabelRack,
				"kueue.x-k8s.io/podset-slice-size":              strconv.Itoa(run),
			}, indexLabel("kueue.x-k8s.io/pod-group-pod-index"))
		}},
		"volcano": {1, func(g *dialectGang, _ int) {
			g.object(kindVolcanoGroup, map[string]any{"minMember": int64(g.size), "networkTopology": map[string]any{"mode": "hard", "highestTierName": "rack"}})
			g.each(nil, nil, map[string]string{"scheduling.k8s.io/group-name": g.name}, nil)
		}},
	}
	create := func(run int) {
		var piles [][]*v1.Pod
		for name, place := range places {
			g := &dialectGang{t: t, namespace: namespace, name: fmt.Sprintf("%s-of-%d", name, run), size: run * place.runs, gpus: 8, class: "wide"}
			place.make(g, run)
			piles = append(piles, g.pods)
		}
		must(t, plane.CreatePods(t.Context(), interleaved(piles...)...))
	}
	create(5)
	create(4)
	eventually(t, 60*time.Second, func() []string {
		var wrong []string
		for name, place := range places {
			name += "-of-4"
			if bound := boundOf(labelledMembers(fresh(t), namespace, name)); bound != 4*place.runs {
				wrong = append(wrong, fmt.Sprintf("%s: %d of %d are bound", name, bound, 4*place.runs))
			}
		}
		return wrong
	})
	snapshot := fresh(t)
	racks := map[string]string{}
	for _, node := range snapshot.Nodes {
		racks[node.Name] = node.Labels[harness.LabelRack]
	}
	for name, place := range places {
		if bound := boundOf(labelledMembers(snapshot, namespace, name+"-of-5")); bound > 0 {
			t.Errorf("%s: %d members are bound, and no rack holds five", name, bound)
		}
		for i := range 4 * place.runs {
			pod := podNamed(t, namespace, fmt.Sprintf("%s-of-4-%d", name, i))
			first := podNamed(t, namespace, fmt.Sprintf("%s-of-4-%d", name, i/4*4))
			if racks[pod.Spec.NodeName] != racks[first.Spec.NodeName] {
				t.Errorf("%s stands in %s, and %s in %s", pod.Name, racks[pod.Spec.NodeName], first.Name, racks[first.Spec.NodeName])
			}
		}
	}
	must(t, s.berth.MatchesFreshList(t.Context(), plane, 40*time.Second))
}
