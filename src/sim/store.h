/* The objects of the embedded cluster: what etcd and the storage layer of an API server are to a real one. Every write
 * makes a new version with a resourceVersion of one counter, enters the history of its resource (a ring: what falls out
 * can no longer be watched) and is told to the observers, synchronously and in order.
 *
 * Objects passed as json_t stay the caller's. Versions returned are borrowed: valid until the next write, unless a
 * reference is taken. Observers must not write; they note what they have to do and do it on a later turn of the loop.
 */
#ifndef SIM_STORE_H
#define SIM_STORE_H

#include <jansson.h>

#include "sim/version.h"

enum sim_resource {
	SIM_NODES,
	SIM_PODS,
	SIM_JOBS,
	SIM_EVENTS,
	SIM_CONFIGMAPS,
	SIM_AUTOSCALERS,
	SIM_BUDGETS,
	SIM_WORKLOADS,
	SIM_PYTORCH_JOBS,
	SIM_RAY_CLUSTERS,
	SIM_RESOURCE_COUNT
};

#define SIM_OBJECTS_MAX 1000000 /* of one resource */
#define SIM_EVENTS_MAX 10000    /* of events: the oldest go, as a real server's do by their time to live */
#define SIM_HISTORY_MAX 20000   /* changes kept of one resource, by default */

struct sim_resource_info {
	const char *plural, *kind, *group_version;
	bool namespaced;
};
extern const struct sim_resource_info sim_resources[SIM_RESOURCE_COUNT];

enum sim_change_type { SIM_ADDED, SIM_MODIFIED, SIM_DELETED };
struct sim_change {
	enum sim_resource resource;
	enum sim_change_type type;
	uint64_t rv;
	int64_t at_ns;                    /* clock_now of the write */
	struct sim_version *now, *before; /* before is NULL with ADDED; with DELETED now is the last state */
};
typedef void sim_observer(void *ctx, const struct sim_change *change);

struct sim_store;

struct sim_store *sim_store_new(size_t history_max);
void sim_store_free(struct sim_store *store);
/* At most 8 observers; each is known by its ctx. */
void sim_store_observe(struct sim_store *store, sim_observer *observer, void *ctx);
void sim_store_unobserve(struct sim_store *store, const void *ctx);

uint64_t sim_store_rv(const struct sim_store *store);
size_t sim_store_count(const struct sim_store *store, enum sim_resource resource);
/* namespace_ "" or NULL for resources without. */
struct sim_version *sim_store_get(
    const struct sim_store *store, enum sim_resource resource, const char *namespace_, const char *name);
/* Parses the text of a version; the caller owns the tree. */
json_t *sim_store_tree(const struct sim_version *version);

/* A new object: gets uid, creationTimestamp, and a name from generateName. ERR_REFUSED when the name is taken,
 * ERR_INPUT when it is no object, ERR_TOO_LARGE. */
BERTH_MUST_CHECK struct sim_version *sim_store_create(
    struct sim_store *store, enum sim_resource resource, json_t *object, struct err *err);
/* The next version of an object that is there. */
BERTH_MUST_CHECK struct sim_version *sim_store_update(
    struct sim_store *store, enum sim_resource resource, json_t *object, struct err *err);
/* Text as it is, complete but for resourceVersion: for large fleets made at start. */
BERTH_MUST_CHECK struct sim_version *sim_store_load(
    struct sim_store *store, enum sim_resource resource, struct slice text, struct err *err);
/* Returns false when it is not there. */
bool sim_store_delete(struct sim_store *store, enum sim_resource resource, const char *namespace_, const char *name);

/* All versions in the order of their keys, each with a reference; the array is the caller's. */
struct sim_version **sim_store_list(const struct sim_store *store, enum sim_resource resource, size_t *count);
/* Frees such a list. */
void sim_versions_free(struct sim_version **versions, size_t count);
/* Walks without order; start with *cursor = 0. No write during the walk. */
struct sim_version *sim_store_next(const struct sim_store *store, enum sim_resource resource, size_t *cursor);

/* --- history --- */
/* The number of the first change after rv; false when changes after rv are lost (410 Gone). */
BERTH_MUST_CHECK bool sim_history_after(
    const struct sim_store *store, enum sim_resource resource, uint64_t rv, uint64_t *number);
/* The change of that number. NULL with *lost = false: not yet made; with *lost = true: no longer kept. */
const struct sim_change *sim_history_at(
    const struct sim_store *store, enum sim_resource resource, uint64_t number, bool *lost);
/* Forgets all of it. */
void sim_history_compact(struct sim_store *store);

#endif
