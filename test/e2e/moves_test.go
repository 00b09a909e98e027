package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	v1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"berth.dev/e2e/harness"
)

const (
	movesPolicy = "testdata/policy-moves.yaml"
	movesPeak   = 31 * time.Second // from the peak to the last Binding, the victims' notice of 1 s included
)

// peaks is a fleet full of training gangs, and Deployments beside them.
type peaks struct {
	*stack
	t         *testing.T
	namespace string
	gangs     []training
	serves    string // the Deployment that is scaled
}

// training is a gang of pods that take a node each.
type training struct {
	namespace, name string
	size            int32
}

func newPeaks(t *testing.T, policy string, nodes int, sizes ...int32) *peaks {
	t.Helper()
	p := &peaks{t: t, namespace: namespaceOf(t),
		stack: newStack(t, wants{nodes: [][]*v1.Node{harness.Nodes(harness.H100, nodes, 8)}, policy: policy})}
	for _, size := range sizes {
		p.train(p.namespace, size)
	}
	return p
}

// train adds a gang. Of three, the first has never written a checkpoint, the
// second just now, and the third long before it began.
func (p *peaks) train(namespace string, size int32) {
	p.t.Helper()
	gang := training{namespace, fmt.Sprintf("train-%02d", len(p.gangs)), size}
	var said map[string]string
	if nth := len(p.gangs) % 3; nth > 0 {
		age := time.Duration(nth-1) * time.Hour
		said = map[string]string{"berth.dev/last-checkpoint": time.Now().Add(-age).UTC().Format(time.RFC3339)}
	}
	gangJob(p.t, namespace, gang.name, said, size, 8)
	p.gangs = append(p.gangs, gang)
}

// deploy makes a Deployment, the one that is scaled from now on.
func (p *peaks) deploy(name string, replicas int32, gpus int64) {
	p.t.Helper()
	p.deployAs(name, replicas, gpus, nil)
}

// crew makes a Deployment whose replicas, of a node each, are one gang.
func (p *peaks) crew(name string, size int32) {
	p.t.Helper()
	p.deployAs(name, 0, 8, map[string]string{"berth.dev/gang": name, "berth.dev/gang-size": fmt.Sprint(size)})
}

func (p *peaks) deployAs(name string, replicas int32, gpus int64, said map[string]string) {
	p.t.Helper()
	p.deployPods(name, replicas, harness.PodSpec(gpus), said)
}

func (p *peaks) deployPods(name string, replicas int32, spec v1.PodSpec, said map[string]string) {
	p.t.Helper()
	p.serves = name
	labels := map[string]string{"app": name}
	spec.TerminationGracePeriodSeconds = ptr.To[int64](1)
	_, err := plane.Client.AppsV1().Deployments(p.namespace).Create(p.t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: v1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels, Annotations: said}, Spec: spec},
		},
	}, metav1.CreateOptions{})
	must(p.t, err)
}

func (p *peaks) scale(replicas int32) {
	p.t.Helper()
	p.patch(fmt.Sprintf(`{"spec":{"replicas":%d}}`, replicas))
}

func (p *peaks) patch(patch string) {
	p.t.Helper()
	_, err := plane.Client.AppsV1().Deployments(p.namespace).Patch(
		p.t.Context(), p.serves, "application/merge-patch+json", []byte(patch), metav1.PatchOptions{})
	must(p.t, err)
}

// serving counts the replicas that run.
func (p *peaks) serving() (running int) {
	for _, pod := range fresh(p.t).Of(p.namespace) {
		if pod.Labels["app"] == p.serves && pod.Status.Phase == v1.PodRunning && pod.DeletionTimestamp == nil {
			running++
		}
	}
	return running
}

func (p *peaks) serve(patience time.Duration, replicas int) {
	p.t.Helper()
	began := time.Now()
	eventually(p.t, patience, func() []string {
		p.wholeUnits()
		if running := p.serving(); running != replicas {
			return []string{fmt.Sprintf("%d replicas run, %d are to, %s", running, replicas, p.moves())}
		}
		return nil
	})
	p.t.Logf("%d replicas run after %s", replicas, time.Since(began).Round(100*time.Millisecond))
}

// jobs are the gangs' own, by namespace and name.
func (p *peaks) jobs() map[string]*batchv1.Job {
	p.t.Helper()
	list, err := plane.Client.BatchV1().Jobs("").List(p.t.Context(), metav1.ListOptions{})
	must(p.t, err)
	jobs := map[string]*batchv1.Job{}
	for i := range list.Items {
		jobs[list.Items[i].Namespace+"/"+list.Items[i].Name] = &list.Items[i]
	}
	return jobs
}

func isSuspended(job *batchv1.Job) bool { return ptr.Deref(job.Spec.Suspend, false) }

// wholeUnits fails the test if a pod ends of a Job that goes on, or a failure
// was counted. What is suspended is resumed once its last pod is gone.
func (p *peaks) wholeUnits() {
	p.t.Helper()
	before := p.jobs()
	pods := fresh(p.t).Pods
	jobs := p.jobs()
	for _, pod := range pods {
		key := pod.Namespace + "/" + pod.Labels[batchv1.JobNameLabel]
		job, past := jobs[key], before[key]
		if job != nil && past != nil && pod.DeletionTimestamp != nil && !isSuspended(job) && !isSuspended(past) {
			p.t.Fatalf("%s ends, %s goes on", pod.Name, job.Name)
		}
	}
	for _, job := range jobs {
		if job.Status.Failed > 0 {
			p.t.Fatalf("%d pods of %s are counted as failed", job.Status.Failed, job.Name)
		}
	}
}

// suspended counts the gangs of a namespace that are.
func (p *peaks) suspended(namespace string) (count int) {
	for _, job := range p.jobs() {
		if job.Namespace == namespace && isSuspended(job) {
			count++
		}
	}
	return count
}

// allTrain waits until every gang stands whole and nothing is suspended or
// marked.
func (p *peaks) allTrain(patience time.Duration) {
	p.t.Helper()
	began := time.Now()
	eventually(p.t, patience, func() []string {
		var wrong []string
		p.wholeUnits()
		running := map[string]int32{}
		for _, pod := range fresh(p.t).Pods {
			if pod.Status.Phase == v1.PodRunning && pod.DeletionTimestamp == nil {
				running[pod.Namespace+"/"+pod.Labels[batchv1.JobNameLabel]]++
			}
		}
		jobs := p.jobs()
		for _, gang := range p.gangs {
			key := gang.namespace + "/" + gang.name
			if job := jobs[key]; isSuspended(job) || job.Labels["berth.dev/suspended-by"] != "" {
				wrong = append(wrong, key+" is suspended")
			} else if running[key] != gang.size {
				wrong = append(wrong, fmt.Sprintf("%d of %d pods of %s run", running[key], gang.size, key))
			}
		}
		if len(wrong) > 0 {
			wrong = append(wrong, p.moves())
		}
		return wrong
	})
	p.t.Logf("all gangs run after %s", time.Since(began).Round(100*time.Millisecond))
}

// moves is what berth says of them, for the report of a failure.
func (p *peaks) moves() string {
	answer, err := http.Get(p.berth.Ops + "/v1/moves")
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	return string(text)
}

// noMoves waits until nothing is left of any, in berth or on record.
func (p *peaks) noMoves(patience time.Duration) {
	p.t.Helper()
	eventually(p.t, patience, func() []string {
		var said struct{ Moves []any }
		if err := json.Unmarshal([]byte(p.moves()), &said); err != nil || len(said.Moves) > 0 {
			return []string{p.moves()}
		}
		record, err := plane.Client.CoreV1().ConfigMaps("default").Get(p.t.Context(), "berth-moves", metav1.GetOptions{})
		must(p.t, err)
		for key, text := range record.Data {
			if strings.HasPrefix(key, "move-") {
				return []string{text}
			}
		}
		return nil
	})
}

// fill gives gangs of 1 to 16 nodes that take so many together.
func fill(nodes int32) (sizes []int32) {
	for i := 0; nodes > 0; i++ {
		if size := []int32{2, 1, 4, 8, 16, 1}[i%6]; size <= nodes {
			sizes = append(sizes, size)
			nodes -= size
		}
	}
	return sizes
}

// A Deployment grows from four replicas to as many as there are nodes, of 1, 2
// and 8 GPUs in turn; in the end the whole fleet is its.
func TestPeaksOfInferenceTakeWholeGangsOfTrainingAndGiveThemBack(t *testing.T) {
	nodes, turns := number(t, "MOVES_NODES", 16), []int64{1, 2, 8}
	if nodes <= 16 {
		turns = []int64{2, 8}
	}
	p := newPeaks(t, "testdata/policy-peaks.yaml", nodes, fill(int32(nodes-4))...)
	owed := namespaceOf(t, "-owed")
	for range 3 {
		p.train(owed, 1)
	}
	for _, gpus := range turns {
		if gpus == 8 {
			p.end(owed) // no node is left to them
		}
		p.deploy(fmt.Sprintf("serving-%d", gpus), 4, gpus)
		p.allTrain(90 * time.Second)
		p.serve(30*time.Second, 4)
		p.peak(nodes)
		if suspended := p.suspended(owed); suspended > 0 {
			t.Errorf("%d gangs of a team within its guarantee are suspended", suspended)
		}
		p.scale(int32(nodes / 2))
		time.Sleep(5 * time.Second)
		p.peak(nodes) // while room is given back
		p.scale(0)
		p.allTrain(90 * time.Second)
	}
	size := min(nodes/2, 16) // a block
	p.crew("crew", int32(size))
	p.peak(size)
	p.within(harness.LabelBlock)
	p.scale(0)
	p.allTrain(90 * time.Second)
	p.noMoves(90 * time.Second)
	must(t, p.berth.MatchesFreshList(t.Context(), plane, 40*time.Second))
}

// within fails the test if the replicas stand in more than one domain.
func (p *peaks) within(label string) {
	p.t.Helper()
	all, domains := fresh(p.t), map[string]bool{}
	for _, pod := range all.Of(p.namespace) {
		if pod.Labels["app"] == p.serves {
			domains[all.Nodes[pod.Spec.NodeName].Labels[label]] = true
		}
	}
	if len(domains) != 1 {
		p.t.Errorf("%s stands in %v", p.serves, domains)
	}
}

func (p *peaks) peak(replicas int) {
	p.t.Helper()
	p.scale(int32(replicas))
	p.serve(movesPeak, replicas)
	p.t.Logf("%d of %d gangs are suspended", p.suspended(p.namespace), len(p.gangs))
}

// end ends the training in a namespace for good.
func (p *peaks) end(namespace string) {
	p.t.Helper()
	must(p.t, plane.Client.BatchV1().Jobs(namespace).DeleteCollection(p.t.Context(),
		metav1.DeleteOptions{PropagationPolicy: ptr.To(metav1.DeletePropagationBackground)}, metav1.ListOptions{}))
	p.gangs = slices.DeleteFunc(p.gangs, func(gang training) bool { return gang.namespace == namespace })
	eventually(p.t, 30*time.Second, func() (left []string) {
		for _, pod := range fresh(p.t).Of(namespace) {
			left = append(left, pod.Name+" is left")
		}
		return left
	})
}

func TestBerthKilledInTheMiddleOfMovesForgetsNobody(t *testing.T) {
	rounds, seed := number(t, "MOVES_ROUNDS", 10), uint64(number(t, "MOVES_SEED", int(time.Now().UnixNano()%1e6)))
	t.Logf("%d rounds, MOVES_SEED=%d", rounds, seed)
	random := rand.New(rand.NewPCG(seed, 3))
	p := newPeaks(t, movesPolicy, 8, 2, 2, 2, 2)
	p.deploy("serving", 0, 8)
	p.crew("crew", 4)
	p.allTrain(60 * time.Second)
	strike := func(within int) {
		wait := time.Duration(random.IntN(within)) * time.Millisecond
		time.Sleep(wait)
		t.Logf("killed after %s: %s", wait, p.moves())
		p.berth.Kill()
		must(t, p.berth.Restart(t.Context()))
	}
	for round := range rounds {
		p.serves = []string{"serving", "crew"}[round%2]
		p.scale(4)
		strike(3500)
		p.serve(movesPeak+40*time.Second, 4)
		p.scale(0)
		strike(5000)
		p.allTrain(90 * time.Second)
	}
	p.noMoves(90 * time.Second)
	must(t, p.berth.MatchesFreshList(t.Context(), plane, 40*time.Second))
}

// A new replica comes as the old one begins to end, and takes its room.
func TestARollOutIntoItsOwnRoomMovesNobody(t *testing.T) {
	p := newPeaks(t, movesPolicy, 4, 1, 2)
	p.deploy("serving", 1, 8)
	p.serve(30*time.Second, 1)
	p.allTrain(60 * time.Second)
	kubelets.Linger(func(*v1.Pod) time.Duration { return 5 * time.Second })
	t.Cleanup(func() { kubelets.Linger(nil) })
	p.patch(`{"spec":{"strategy":{"rollingUpdate":{"maxSurge":0,"maxUnavailable":1}},
		"template":{"metadata":{"annotations":{"version":"2"}}}}}`)
	eventually(t, 40*time.Second, func() []string {
		for _, pod := range fresh(t).Of(p.namespace) {
			if pod.Annotations["version"] == "2" && pod.Status.Phase == v1.PodRunning {
				return nil
			}
		}
		return []string{"the new replica does not run", p.moves()}
	})
	events, err := plane.Client.EventsV1().Events(p.namespace).List(t.Context(), metav1.ListOptions{})
	must(t, err)
	for _, event := range events.Items {
		if event.Reason == "GPUsTakenFor" {
			t.Error(event.Note)
		}
	}
}

// The replicas of a Deployment of a lower class are evicted, and only as many
// as their disruption budget allows.
func TestReplicasAreEvictedWithinTheirBudget(t *testing.T) {
	s := newStack(t, wants{nodes: [][]*v1.Node{harness.Nodes(harness.H100, 3, 8)}, policy: "testdata/policy-moves-evict.yaml"})
	p := &peaks{t: t, stack: s, namespace: namespaceOf(t)}
	p.deploy("cheap", 3, 8)
	p.deploy("serving", 0, 8)
	boundCount(t, p.namespace, 3)
	budget := &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "cheap"},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MinAvailable: ptr.To(intstr.FromInt32(2)),
			Selector:     &metav1.LabelSelector{MatchLabels: map[string]string{"app": "cheap"}},
		},
	}
	_, err := plane.Client.PolicyV1().PodDisruptionBudgets(p.namespace).Create(t.Context(), budget, metav1.CreateOptions{})
	must(t, err)
	eventually(t, 20*time.Second, func() []string {
		budget, err := plane.Client.PolicyV1().PodDisruptionBudgets(p.namespace).Get(t.Context(), "cheap", metav1.GetOptions{})
		must(t, err)
		if budget.Status.DisruptionsAllowed != 1 {
			return []string{fmt.Sprintf("%d disruptions are allowed", budget.Status.DisruptionsAllowed)}
		}
		return nil
	})
	p.scale(1)
	p.serve(movesPeak, 1)
	p.scale(2)
	eventually(t, 20*time.Second, func() []string {
		if said := p.moves(); !strings.Contains(said, "a disruption budget does not allow it") {
			return []string{said}
		}
		return nil
	})
	if running := p.serving(); running != 1 {
		t.Errorf("%d replicas run, the budget leaves room for one", running)
	}
}
