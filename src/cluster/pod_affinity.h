/* What a pod asks of other pods: required pod affinity and anti-affinity, and topology spread constraints that may not
 * be broken; and whether it has such wishes that may. Defaults and meaning as in k8s.io/api v0.36.3 (core/v1). */
#ifndef CLUSTER_POD_AFFINITY_H
#define CLUSTER_POD_AFFINITY_H

#include "base/reader.h"
#include "berth/pod.h"

/* Each passes the value of the field that it is named after; strings and arrays go into `arena`. The pod's labels have
 * been read: matchLabelKeys take their values from them. */
void pod_affinity_read(struct reader *json, struct arena *arena, struct pod *pod);
void pod_anti_affinity_read(struct reader *json, struct arena *arena, struct pod *pod);
void pod_spread_read(struct reader *json, struct arena *arena, struct pod *pod);

/* A metav1.LabelSelector; false where there is none, which selects nothing. */
bool pod_affinity_read_selector(struct reader *json, struct arena *arena, struct selector *selector);

#endif
