/* Which pods wait for what an API object says of their gang, so that a change of the object costs these pods alone.
 * Pods stand here by UID, objects by namespace and name: a pod may wait for one of several kinds. */
#ifndef SCHEDULER_GANG_SOURCE_H
#define SCHEDULER_GANG_SOURCE_H

#include "berth/map.h"

struct gang_sources {
	struct map by_uid;  /* struct gang_follower */
	struct map by_path; /* struct gang_source: "namespace/name" */
};

/* The pod follows this object from now on, and no other. */
void gang_source_follow(struct gang_sources *sources, const char *uid, const char *namespace_, const char *name);
void gang_source_leave(struct gang_sources *sources, struct slice uid);
/* Calls `visit` for each pod that follows the object; it may follow and leave. */
typedef void gang_source_visit(void *ctx, struct slice uid);
void gang_source_each(
    const struct gang_sources *sources, const char *namespace_, const char *name, gang_source_visit *visit, void *ctx);
/* For each pod that follows any. */
void gang_source_all(const struct gang_sources *sources, gang_source_visit *visit, void *ctx);
void gang_source_free(struct gang_sources *sources);

#endif
