/* Writes to pods and nodes that more than one player of the cluster makes. */
#ifndef SIM_PODWRITE_H
#define SIM_PODWRITE_H

#include "sim/store.h"

/* Sets status.conditions[type] in the tree; reason and message may be NULL. lastTransitionTime moves with the status
 * only. Returns whether anything changed. */
bool sim_condition_set(json_t *object, const char *type, const char *status, const char *reason, const char *message);
/* The member of that name, made an empty object if it is none. */
json_t *sim_member_object(json_t *object, const char *key);
/* Gives the pod its node, merges the annotations (an object or NULL) and says PodScheduled, in one write. */
BERTH_MUST_CHECK int sim_pod_bind(
    struct sim_store *store, json_t *pod, const char *node, const json_t *annotations, struct err *err);
/* Deletes as the API does: a bound pod that has not ended is marked, and its kubelet ends it; any other goes at once.
 */
BERTH_MUST_CHECK int sim_pod_delete(
    struct sim_store *store, const struct sim_version *version, int64_t grace_s, struct err *err);

#endif
