package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
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

// peaks is a fleet full of training gangs, and a Deployment beside them.
type peaks struct {
	*stack
	t         *testing.T
	namespace string
	jobs      int
	size      int32
}

func newPeaks(t *testing.T, nodes, jobs int, size int32) *peaks {
	t.Helper()
	p := &peaks{t: t, jobs: jobs, size: size, namespace: namespaceOf(t),
		stack: newStack(t, wants{nodes: [][]*v1.Node{harness.Nodes(harness.H100, nodes, 8)}, policy: movesPolicy})}
	for i := range jobs {
		gangJob(t, p.namespace, p.job(i), nil, size, 8)
	}
	p.deploy("serving", 0)
	p.allTrain(60 * time.Second)
	return p
}

// deploy makes a Deployment of replicas that take a node each.
func (p *peaks) deploy(name string, replicas int32) {
	p.t.Helper()
	labels := map[string]string{"app": name}
	spec := harness.PodSpec(8)
	spec.TerminationGracePeriodSeconds = ptr.To[int64](1)
	_, err := plane.Client.AppsV1().Deployments(p.namespace).Create(p.t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: v1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: spec},
		},
	}, metav1.CreateOptions{})
	must(p.t, err)
}

func (p *peaks) job(i int) string { return fmt.Sprintf("train-%02d", i) }

func (p *peaks) scale(replicas int32) {
	p.t.Helper()
	patch := fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas)
	_, err := plane.Client.AppsV1().Deployments(p.namespace).Patch(
		p.t.Context(), "serving", "application/merge-patch+json", patch, metav1.PatchOptions{})
	must(p.t, err)
}

// serving counts the replicas that run.
func (p *peaks) serving() (running int) {
	for _, pod := range fresh(p.t).Of(p.namespace) {
		if pod.Labels["app"] == "serving" && pod.Status.Phase == v1.PodRunning && pod.DeletionTimestamp == nil {
			running++
		}
	}
	return running
}

func (p *peaks) serves(patience time.Duration, replicas int) {
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

// wholeUnits fails the test if a pod of a Job that goes on was ended, or a
// failure was counted.
func (p *peaks) wholeUnits() {
	p.t.Helper()
	for i := range p.jobs {
		job := jobNamed(p.t, p.namespace, p.job(i))
		if job.Status.Failed > 0 {
			p.t.Fatalf("%d pods of %s are counted as failed", job.Status.Failed, job.Name)
		}
	}
}

func (p *peaks) suspended() (count int) {
	for i := range p.jobs {
		if ptr.Deref(jobNamed(p.t, p.namespace, p.job(i)).Spec.Suspend, false) {
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
		for _, pod := range fresh(p.t).Of(p.namespace) {
			if pod.Status.Phase == v1.PodRunning && pod.DeletionTimestamp == nil {
				running[pod.Labels["batch.kubernetes.io/job-name"]]++
			}
		}
		for i := range p.jobs {
			job := jobNamed(p.t, p.namespace, p.job(i))
			if ptr.Deref(job.Spec.Suspend, false) || job.Labels["berth.dev/suspended-by"] != "" {
				wrong = append(wrong, job.Name+" is suspended")
			} else if running[job.Name] != p.size {
				wrong = append(wrong, fmt.Sprintf("%d of %d pods of %s run", running[job.Name], p.size, job.Name))
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
		if len(record.Data) > 0 {
			return []string{fmt.Sprint(record.Data)}
		}
		return nil
	})
}

func TestPeaksOfInferenceTakeWholeGangsOfTrainingAndGiveThemBack(t *testing.T) {
	p := newPeaks(t, 16, 8, 2)
	p.scale(6)
	p.serves(movesPeak, 6)
	if suspended := p.suspended(); suspended != 3 {
		t.Errorf("%d Jobs are suspended for 6 nodes, 3 would have done", suspended)
	}
	p.scale(2)
	time.Sleep(5 * time.Second)
	p.scale(8) // a second peak while room is given back
	p.serves(movesPeak+20*time.Second, 8)
	p.scale(0)
	p.allTrain(60 * time.Second)
	p.noMoves(90 * time.Second)
	must(t, p.berth.MatchesFreshList(t.Context(), plane, 40*time.Second))
}

func TestBerthKilledInTheMiddleOfMovesForgetsNobody(t *testing.T) {
	rounds, seed := number(t, "MOVES_ROUNDS", 3), uint64(number(t, "MOVES_SEED", int(time.Now().UnixNano()%1e6)))
	t.Logf("%d rounds, MOVES_SEED=%d", rounds, seed)
	random := rand.New(rand.NewPCG(seed, 3))
	p := newPeaks(t, 8, 4, 2)
	strike := func(within int) {
		wait := time.Duration(random.IntN(within)) * time.Millisecond
		time.Sleep(wait)
		t.Logf("killed after %s: %s", wait, p.moves())
		p.berth.Kill()
		must(t, p.berth.Restart(t.Context()))
	}
	for range rounds {
		p.scale(4)
		strike(6000)
		p.serves(movesPeak+40*time.Second, 4)
		p.scale(0)
		strike(9000)
		p.allTrain(90 * time.Second)
	}
	p.noMoves(90 * time.Second)
	must(t, p.berth.MatchesFreshList(t.Context(), plane, 40*time.Second))
}

// The replicas of a Deployment of a lower class are evicted, and only as many
// as their disruption budget allows.
func TestReplicasAreEvictedWithinTheirBudget(t *testing.T) {
	s := newStack(t, wants{nodes: [][]*v1.Node{harness.Nodes(harness.H100, 3, 8)}, policy: "testdata/policy-moves-evict.yaml"})
	p := &peaks{t: t, stack: s, namespace: namespaceOf(t)}
	p.deploy("cheap", 3)
	p.deploy("serving", 0)
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
	p.serves(movesPeak, 1)
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
