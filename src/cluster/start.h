/* How a pod's start went on the node that it was bound to, read off its status. A start has failed for reasons of the
 * node where
 *
 *   - the kubelet did not take the pod for want of devices or room: UnexpectedAdmissionError (a device plugin's
 *     Allocate failed), TopologyAffinityError, OutOf… (kubernetes/pkg/kubelet/lifecycle/predicate.go,
 *     cm/topologymanager); or
 *   - a container was not made or started, CreateContainerError or RunContainerError
 *     (pkg/kubelet/kuberuntime/kuberuntime_container.go, container/sync_result.go), StartError (containerd,
 *     internal/cri/server/container_start.go) or ContainerCannotRun (cri-dockerd), or it ended badly within
 *     START_SECONDS, and what is said of it names the GPU runtime or driver: start.c has the words.
 *
 * Images that cannot be pulled, configuration that is missing, and programs that crash are their owner's own. */
#ifndef CLUSTER_START_H
#define CLUSTER_START_H

#include "base/reader.h"
#include "berth/pod.h"

#define START_SECONDS 10

struct start {
	enum pod_start how;
	int64_t at_ns; /* wall clock; 0 = not said */
	int64_t restarts;
	int64_t finished_ns; /* when the last of its containers that ended did; wall clock, 0 = not said */
};

/* status.containerStatuses or initContainerStatuses: what failed goes before what went well, then the later. */
void start_read_containers(struct reader json, struct start *start);
/* status.reason of a pod that failed. */
bool start_is_refusal(struct slice reason);

#endif
