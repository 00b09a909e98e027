/* What scales the pod: the object whose replica it is, by which people and autoscalers know it. A Deployment makes a
 * new ReplicaSet with each roll-out, and an Argo Rollout, too: where the ReplicaSet's name ends in the hash of the
 * pod's template it is them; for a replica of a LeaderWorkerSet, that; else the pod's controller. */
#ifndef CLUSTER_SCALED_H
#define CLUSTER_SCALED_H

#include <stdbool.h>

#include "berth/pod.h"

#define SCALED_KEY_MAX 1024

/* False: nobody controls it. The texts are the pod's own. */
bool scaled_by(const struct pod *pod, const char **kind, struct slice *name);
/* "NAMESPACE/KIND/NAME" */
void scaled_key(char key[SCALED_KEY_MAX], const char *namespace_, const char *kind, struct slice name);

#endif
