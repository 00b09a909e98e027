/* Where a pod may go, as its spec says it: node selector, node affinity, tolerations, claims of volumes. */
#ifndef CLUSTER_PLACEMENT_H
#define CLUSTER_PLACEMENT_H

#include "base/reader.h"
#include "berth/pod.h"

/* Each passes the value of the field that it is named after; strings and arrays go into `arena`. */
void placement_read_node_selector(struct reader *json, struct arena *arena, struct pod *pod);
/* Node affinity, and by pod_affinity.h that to pods. */
void placement_read_affinity(struct reader *json, struct arena *arena, struct pod *pod);
void placement_read_tolerations(struct reader *json, struct arena *arena, struct pod *pod);
/* spec.volumes: the PersistentVolumeClaims among them, that of an ephemeral volume by the name that it gets. The pod's
 * own names are known. */
void placement_read_claims(struct reader *json, struct arena *arena, struct pod *pod);
/* NoSchedule, PreferNoSchedule, NoExecute; false for another name. */
bool placement_effect(struct slice name, enum taint_effect *effect);

#endif
