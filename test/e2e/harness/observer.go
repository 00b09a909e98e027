package harness

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

// AnnotationWake changes when berth wakes a pod that it had rejected.
const AnnotationWake = "berth.dev/wake"

// Story is what a watch has shown of one pod, with the times at which it did.
type Story struct {
	Name    string
	Seen    time.Time
	Hints   []string    // each new status.nominatedNodeName before the binding
	Wakes   []time.Time // each change of the annotation berth.dev/wake
	Node    string
	Bound   time.Time
	Deleted bool

	wake, hint string
}

// Observer follows the pods of one namespace by a watch of its own. Unlike a
// later list, a watch shows what was only there for a moment.
type Observer struct {
	mu      sync.Mutex
	stories map[types.UID]*Story
	err     error
}

// Observe begins to follow a namespace that has no pods yet.
func (c *ControlPlane) Observe(ctx context.Context, namespace string) (*Observer, error) {
	pods := c.Client.CoreV1().Pods(namespace)
	list, err := pods.List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	// The API server may end the watch of a slow client; it is taken up again
	// where it ended.
	watch, err := watchtools.NewRetryWatcherWithContext(ctx, list.ResourceVersion, &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watchapi.Interface, error) {
			return pods.Watch(ctx, options)
		},
	})
	if err != nil {
		return nil, err
	}
	o := &Observer{stories: map[types.UID]*Story{}}
	go func() {
		defer watch.Stop()
		for event := range watch.ResultChan() {
			if pod, ok := event.Object.(*v1.Pod); ok {
				o.note(pod, event.Type == watchapi.Deleted)
			}
		}
		if ctx.Err() == nil {
			o.fail(fmt.Errorf("the watch on %s ended", namespace))
		}
	}()
	return o, nil
}

func (o *Observer) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.err = err
}

func (o *Observer) note(pod *v1.Pod, deleted bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	story := o.stories[pod.UID]
	if story == nil {
		story = &Story{Name: pod.Name, Seen: now}
		o.stories[pod.UID] = story
	}
	story.Deleted = deleted
	if wake := pod.Annotations[AnnotationWake]; wake != story.wake {
		story.wake = wake
		story.Wakes = append(story.Wakes, now)
	}
	if story.Node != "" {
		return
	}
	if hint := pod.Status.NominatedNodeName; hint != story.hint && pod.Spec.NodeName == "" {
		story.hint = hint
		if hint != "" {
			story.Hints = append(story.Hints, hint)
		}
	}
	if pod.Spec.NodeName != "" {
		story.Node, story.Bound = pod.Spec.NodeName, now
	}
}

// Stories returns what was seen so far, one story a pod. A watch that ended
// before its time is an error: what it missed is not known.
func (o *Observer) Stories() ([]Story, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := make([]Story, 0, len(o.stories))
	for _, story := range o.stories {
		all = append(all, *story)
	}
	return all, o.err
}

// Story returns what was seen so far of the pod with that name.
func (o *Observer) Story(name string) (Story, error) {
	all, err := o.Stories()
	for _, story := range all {
		if story.Name == name {
			return story, err
		}
	}
	return Story{Name: name}, err
}
