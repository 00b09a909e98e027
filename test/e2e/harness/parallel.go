package harness

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// InParallel runs do over all items on a few workers and joins the errors.
func InParallel[T any](workers int, items []T, do func(T) error) error {
	var (
		mu     sync.Mutex
		failed []error
		group  sync.WaitGroup
	)
	queue := make(chan T)
	for range workers {
		group.Go(func() {
			for item := range queue {
				if err := do(item); err != nil {
					mu.Lock()
					failed = append(failed, err)
					mu.Unlock()
				}
			}
		})
	}
	for _, item := range items {
		queue <- item
	}
	close(queue)
	group.Wait()
	return errors.Join(failed...)
}

// poll asks until nothing is wrong any more; the last complaint is the error.
// An error of the asking itself counts as a complaint: it may pass.
func poll(ctx context.Context, patience time.Duration, ask func() (wrong string, err error)) error {
	deadline := time.Now().Add(patience)
	for {
		wrong, err := ask()
		if err != nil {
			wrong = err.Error()
		}
		if wrong == "" {
			return nil
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			return fmt.Errorf("after %s: %s", patience, wrong)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// CreatePods creates the pods on a few connections at once, in order, and
// fills in what the API server answered.
func (c *ControlPlane) CreatePods(ctx context.Context, pods ...*v1.Pod) error {
	return InParallel(16, pods, func(pod *v1.Pod) error {
		made, err := c.Client.CoreV1().Pods(pod.Namespace).Create(ctx, pod, metav1.CreateOptions{})
		if err != nil {
			return fmt.Errorf("create pod %s/%s: %w", pod.Namespace, pod.Name, err)
		}
		*pod = *made
		return nil
	})
}
