/* A v1.Pod's JSON → struct pod, in one pass of the pull reader. */
#ifndef CLUSTER_POD_H
#define CLUSTER_POD_H

#include "base/err.h"
#include "berth/pod.h"
#include "berth/resources.h"

/* What makes the decoded pod cheap to keep: of a pod with a node only identity, demand, owner, labels and the
 * berth.dev annotations are kept, unless `whole`; selectors and tolerations are not. Requests that cannot be read leave
 * trouble = BAD_REQUEST, bad berth.dev annotations BAD_ANNOTATION: the pod is still decoded, since a pod that runs
 * counts whatever it says. NULL only for text that is no pod (bad JSON, no name or UID). */
BERTH_MUST_CHECK struct pod *cluster_pod_decode(
    struct slice json, struct resource_names *names, bool whole, struct err *err);

/* The demand alone, as component-helpers' PodRequests with kube-scheduler 1.36's options; RESOURCE_PODS = 1 is not in
 * it. */
BERTH_MUST_CHECK int cluster_pod_demand(
    struct slice json, struct resource_names *names, struct resource_list *demand, struct err *err);

#endif
