package harness

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"
)

// Kubelets plays the kubelet of every node: it runs what is bound, finishes
// what is deleted, and keeps the nodes alive.
type Kubelets struct {
	client kubernetes.Interface
	pods   corelisters.PodLister
	nodes  corelisters.NodeLister
	queue  workqueue.TypedRateLimitingInterface[string]

	mu     sync.Mutex
	delay  func(*v1.Pod) time.Duration
	linger func(*v1.Pod) time.Duration
	reject func(*v1.Pod) string
}

// StartKubelets runs until ctx ends.
func StartKubelets(ctx context.Context, client kubernetes.Interface) *Kubelets {
	factory := informers.NewSharedInformerFactory(client, 0)
	k := &Kubelets{
		client: client,
		pods:   factory.Core().V1().Pods().Lister(),
		nodes:  factory.Core().V1().Nodes().Lister(),
		queue: workqueue.NewTypedRateLimitingQueue(
			workqueue.NewTypedItemExponentialFailureRateLimiter[string](50*time.Millisecond, 2*time.Second)),
	}
	enqueue := func(object any) {
		if key, err := cache.MetaNamespaceKeyFunc(object); err == nil {
			k.queue.Add(key)
		}
	}
	// Only fails on an informer that has been stopped.
	_, _ = factory.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    enqueue,
		UpdateFunc: func(_, object any) { enqueue(object) },
	})
	// A node that comes again finds the pods that were left on it.
	_, _ = factory.Core().V1().Nodes().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(object any) {
			node, isNode := object.(*v1.Node)
			pods, err := k.pods.List(labels.Everything())
			for i := 0; isNode && err == nil && i < len(pods); i++ {
				if pods[i].Spec.NodeName == node.Name {
					enqueue(pods[i])
				}
			}
		},
	})
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	for range 8 {
		go k.work(ctx)
	}
	go k.every(ctx, 10*time.Second, k.renewLease)
	go k.every(ctx, 60*time.Second, k.heartbeat)
	context.AfterFunc(ctx, k.queue.ShutDown)
	return k
}

// Delay sets how long after its binding a pod starts; nil is at once.
func (k *Kubelets) Delay(delay func(*v1.Pod) time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.delay = delay
}

// Linger sets how long a deleted pod takes to end; nil is at once.
func (k *Kubelets) Linger(linger func(*v1.Pod) time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.linger = linger
}

// Reject sets which pods are refused at admission: a reason such as
// "OutOfnvidia.com/gpu" makes the pod Failed, as a kubelet does it.
func (k *Kubelets) Reject(reject func(*v1.Pod) string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reject = reject
}

func (k *Kubelets) orders(pod *v1.Pod) (delay time.Duration, reason string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.delay != nil {
		delay = k.delay(pod)
	}
	if k.reject != nil {
		reason = k.reject(pod)
	}
	return delay, reason
}

// toLinger is how much longer a deleted pod is to be there.
func (k *Kubelets) toLinger(pod *v1.Pod) time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.linger == nil {
		return 0
	}
	grace := time.Duration(ptr.Deref(pod.DeletionGracePeriodSeconds, 0)) * time.Second
	return time.Until(pod.DeletionTimestamp.Add(k.linger(pod) - grace))
}

func (k *Kubelets) work(ctx context.Context) {
	for {
		key, down := k.queue.Get()
		if down {
			return
		}
		if err := k.sync(ctx, key); err != nil {
			k.queue.AddRateLimited(key)
		} else {
			k.queue.Forget(key)
		}
		k.queue.Done(key)
	}
}

// sync brings one pod a step further, if its node is there to do so.
func (k *Kubelets) sync(ctx context.Context, key string) error {
	namespace, name, err := cache.SplitMetaNamespaceKey(key)
	if err != nil {
		return nil
	}
	pod, err := k.pods.Pods(namespace).Get(name)
	if err != nil || pod.Spec.NodeName == "" {
		return nil
	}
	if _, err := k.nodes.Get(pod.Spec.NodeName); err != nil {
		return nil
	}
	if pod.DeletionTimestamp != nil {
		if wait := k.toLinger(pod); wait > 0 {
			k.queue.AddAfter(key, wait)
			return nil
		}
		return ignoreGone(k.client.CoreV1().Pods(namespace).Delete(ctx, name, metav1.DeleteOptions{
			GracePeriodSeconds: ptr.To[int64](0),
			Preconditions:      &metav1.Preconditions{UID: &pod.UID},
		}))
	}
	if pod.Status.Phase != v1.PodPending {
		return nil
	}
	delay, reason := k.orders(pod)
	if wait := time.Until(boundAt(pod).Add(delay)); delay > 0 && wait > 0 {
		k.queue.AddAfter(key, wait)
		return nil
	}
	status := running(pod)
	if reason != "" {
		status = v1.PodStatus{Phase: v1.PodFailed, Reason: reason, Message: "Pod was rejected: " + reason}
	}
	return k.patchStatus(ctx, pod, status)
}

// boundAt is when the pod's PodScheduled condition became true; it has whole
// seconds, so a delay is up to a second short.
func boundAt(pod *v1.Pod) time.Time {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == v1.PodScheduled && condition.Status == v1.ConditionTrue {
			return condition.LastTransitionTime.Time
		}
	}
	return time.Time{}
}

func running(pod *v1.Pod) v1.PodStatus {
	now := metav1.Now()
	status := v1.PodStatus{Phase: v1.PodRunning, StartTime: &now}
	for _, kind := range []v1.PodConditionType{v1.PodInitialized, v1.ContainersReady, v1.PodReady} {
		status.Conditions = append(status.Conditions, v1.PodCondition{Type: kind, Status: v1.ConditionTrue, LastTransitionTime: now})
	}
	for _, container := range pod.Spec.Containers {
		status.ContainerStatuses = append(status.ContainerStatuses, v1.ContainerStatus{
			Name: container.Name, Image: container.Image, Ready: true,
			State: v1.ContainerState{Running: &v1.ContainerStateRunning{StartedAt: now}},
		})
	}
	return status
}

func (k *Kubelets) patchStatus(ctx context.Context, pod *v1.Pod, status v1.PodStatus) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": pod.UID}, "status": status})
	if err != nil {
		return err
	}
	_, err = k.client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	return ignoreGone(err)
}

// ignoreGone drops the errors that say the pod is no longer the one meant.
func ignoreGone(err error) error {
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

func (k *Kubelets) every(ctx context.Context, period time.Duration, do func(context.Context, *v1.Node) error) {
	for {
		nodes, err := k.nodes.List(everything)
		if err == nil {
			// What fails now is done again in the next round.
			_ = InParallel(4, nodes, func(node *v1.Node) error { return do(ctx, node) })
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(period):
		}
	}
}

func (k *Kubelets) renewLease(ctx context.Context, node *v1.Node) error {
	leases := k.client.CoordinationV1().Leases(v1.NamespaceNodeLease)
	now := metav1.NowMicro()
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"renewTime": now}})
	if err != nil {
		return err
	}
	_, err = leases.Patch(ctx, node.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	if !apierrors.IsNotFound(err) {
		return err
	}
	_, err = leases.Create(ctx, &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: node.Name, OwnerReferences: []metav1.OwnerReference{
			{APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID},
		}},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: &node.Name, LeaseDurationSeconds: ptr.To[int32](40), RenewTime: &now},
	}, metav1.CreateOptions{})
	return err
}

// heartbeat moves only the heartbeat times: what a test has made of a node's
// conditions stays.
func (k *Kubelets) heartbeat(ctx context.Context, node *v1.Node) error {
	now := metav1.Now()
	var conditions []map[string]any
	for _, condition := range node.Status.Conditions {
		conditions = append(conditions, map[string]any{"type": condition.Type, "lastHeartbeatTime": now})
	}
	patch, err := json.Marshal(map[string]any{"status": map[string]any{"conditions": conditions}})
	if err != nil {
		return err
	}
	_, err = k.client.CoreV1().Nodes().PatchStatus(ctx, node.Name, patch)
	return err
}
