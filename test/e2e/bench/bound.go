package bench

import (
	"context"
	"fmt"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	watchapi "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

// boundWatch counts the pods of a namespace that have a node. It is shown
// bound pods only, so that it costs both sides the same.
type boundWatch struct {
	cancel context.CancelFunc

	mu   sync.Mutex
	seen map[types.UID]bool
	last time.Time     // when the newest of them came
	more chan struct{} // holds one token once there was news
}

func (f *Fleet) watchBound(ctx context.Context, namespace string) (*boundWatch, error) {
	pods := f.Plane.Client.CoreV1().Pods(namespace)
	list, err := pods.List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(list.Items) > 0 {
		return nil, fmt.Errorf("namespace %s is not empty", namespace)
	}
	ctx, cancel := context.WithCancel(ctx)
	watch, err := watchtools.NewRetryWatcherWithContext(ctx, list.ResourceVersion, &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watchapi.Interface, error) {
			options.FieldSelector = "spec.nodeName!="
			return pods.Watch(ctx, options)
		},
	})
	if err != nil {
		cancel()
		return nil, err
	}
	b := &boundWatch{cancel: cancel, seen: map[types.UID]bool{}, more: make(chan struct{}, 1)}
	go func() {
		defer watch.Stop()
		for event := range watch.ResultChan() {
			if pod, ok := event.Object.(*v1.Pod); ok && event.Type != watchapi.Deleted {
				b.note(pod.UID)
			}
		}
	}()
	return b, nil
}

func (b *boundWatch) note(uid types.UID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.seen[uid] {
		return
	}
	b.seen[uid] = true
	b.last = time.Now()
	select {
	case b.more <- struct{}{}:
	default:
	}
}

func (b *boundWatch) state() (count int, last time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.seen), b.last
}

// await returns when the last of so many pods was shown bound.
func (b *boundWatch) await(ctx context.Context, count int) (time.Time, error) {
	late := time.After(boundWithin)
	for {
		seen, last := b.state()
		if seen >= count {
			return last, nil
		}
		select {
		case <-b.more:
		case <-ctx.Done():
			return last, ctx.Err()
		case <-late:
			return last, fmt.Errorf("%d of %d pods were bound within %s", seen, count, boundWithin)
		}
	}
}

func (b *boundWatch) stop() { b.cancel() }
