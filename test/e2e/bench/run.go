package bench

import (
	"context"
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"berth.dev/e2e/harness"
)

const (
	warmPods     = 100 // before the clock starts: connections, heaps, the pods' first pages in etcd
	boundWithin  = 5 * time.Minute
	pauseBetween = time.Second
)

// Result is what one run took, from the first creation to the last Binding
// that a watch has shown.
type Result struct {
	Pods    int
	Created time.Duration // until the last creation was answered
	Bound   time.Duration
	CPU     []Share // of each program, the API server's and etcd's first
}

// Share is one program's part in a run.
type Share struct {
	Program string
	CPU     time.Duration
}

// PerSecond is the rate of the run.
func (r *Result) PerSecond() float64 { return float64(r.Pods) / r.Bound.Seconds() }

// Afterwards is the time from the last creation to the last Binding. The
// answer to that creation may come later than the Binding.
func (r *Result) Afterwards() time.Duration { return max(r.Bound-r.Created, time.Millisecond) }

// Work makes the pods that a side is to place.
type Work func(namespace string) []*v1.Pod

// Run starts the side's programs, lets them place the pods that each work
// makes, one after the other, and leaves the fleet as empty as it was.
func (f *Fleet) Run(ctx context.Context, side *Side, works ...Work) ([]*Result, error) {
	dir, err := f.runDir(side.Name)
	if err != nil {
		return nil, err
	}
	processes, err := side.start(ctx, f, dir)
	defer func() {
		for _, p := range processes {
			p.Stop()
		}
	}()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", side.Name, err)
	}
	var warm []*v1.Pod
	for i := range warmPods {
		warm = append(warm, harness.Pod("warm-up", fmt.Sprintf("warm-%03d", i), 1))
	}
	if _, err := f.place(ctx, side, warm, nil); err != nil {
		return nil, fmt.Errorf("warm-up of %s: %w", side.Name, err)
	}
	var results []*Result
	for _, work := range works {
		result, err := f.place(ctx, side, work("bench"), append([]*harness.Process{f.Plane.APIServer, f.Plane.Etcd}, processes...))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", side.Name, err)
		}
		results = append(results, result)
	}
	return results, nil
}

// place creates the pods as fast as the API server takes them and waits until
// each of them is bound; then it removes them.
func (f *Fleet) place(ctx context.Context, side *Side, pods []*v1.Pod, processes []*harness.Process) (*Result, error) {
	namespace := pods[0].Namespace
	if err := f.Plane.Namespace(ctx, namespace); err != nil {
		return nil, err
	}
	for _, pod := range pods {
		pod.Spec.SchedulerName = side.Scheduler
	}
	bound, err := f.watchBound(ctx, namespace)
	if err != nil {
		return nil, err
	}
	defer bound.stop()
	before, err := cpuOf(processes)
	if err != nil {
		return nil, err
	}
	result := &Result{Pods: len(pods)}
	began := time.Now()
	if err := f.Plane.CreatePods(ctx, pods...); err != nil {
		return nil, err
	}
	result.Created = time.Since(began)
	if side.commit != nil {
		if err := side.commit(ctx, f, pods); err != nil {
			return nil, err
		}
	}
	last, err := bound.await(ctx, len(pods))
	if err != nil {
		return nil, err
	}
	result.Bound = last.Sub(began)
	after, err := cpuOf(processes)
	if err != nil {
		return nil, err
	}
	for i, p := range processes {
		result.CPU = append(result.CPU, Share{p.Name, after[i] - before[i]})
	}
	return result, f.remove(ctx, namespace)
}

func cpuOf(processes []*harness.Process) ([]time.Duration, error) {
	all := make([]time.Duration, len(processes))
	for i, p := range processes {
		var err error
		if all[i], err = p.CPU(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// remove deletes the pods at once, as no kubelet would finish a gentle end,
// and waits until they are gone and everybody has heard of it.
func (f *Fleet) remove(ctx context.Context, namespace string) error {
	pods := f.Plane.Client.CoreV1().Pods(namespace)
	now := metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)}
	for range 100 {
		if err := pods.DeleteCollection(ctx, now, metav1.ListOptions{}); err != nil {
			return err
		}
		left, err := pods.List(ctx, metav1.ListOptions{Limit: 1})
		if err != nil {
			return err
		}
		if len(left.Items) == 0 {
			time.Sleep(pauseBetween)
			return nil
		}
	}
	return fmt.Errorf("pods of %s cannot be removed", namespace)
}
