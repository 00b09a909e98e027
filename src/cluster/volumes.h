/* From where the PersistentVolumes can be reached that claims are bound to, fed by a watch on PersistentVolumes; one
 * says itself which claim it is bound to. A claim that is not bound yet says nothing of nodes. */
#ifndef CLUSTER_VOLUMES_H
#define CLUSTER_VOLUMES_H

#include "base/err.h"
#include "berth/pod.h"

struct volumes;

struct volumes *volumes_new(void);
void volumes_free(struct volumes *volumes);
/* A list begins; volumes_synced forgets what was not put since. */
void volumes_begin(struct volumes *volumes);
void volumes_synced(struct volumes *volumes);
BERTH_MUST_CHECK int volumes_put(struct volumes *volumes, struct slice json, struct err *err);
BERTH_MUST_CHECK int volumes_remove(struct volumes *volumes, struct slice json, struct err *err);
/* Puts onto the pod what is known by now of the volumes of its claims. */
void volumes_resolve(const struct volumes *volumes, struct pod *pod);

#endif
