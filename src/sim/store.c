#include "sim/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "berth/map.h"
#include "sim/history.h"

#define OBSERVERS_MAX 8

const struct sim_resource_info sim_resources[SIM_RESOURCE_COUNT] = {
    [SIM_NODES] = {"nodes", "Node", "v1", false},
    [SIM_PODS] = {"pods", "Pod", "v1", true},
    [SIM_JOBS] = {"jobs", "Job", "batch/v1", true},
    [SIM_EVENTS] = {"events", "Event", "v1", true},
    [SIM_CONFIGMAPS] = {"configmaps", "ConfigMap", "v1", true},
    [SIM_AUTOSCALERS] = {"horizontalpodautoscalers", "HorizontalPodAutoscaler", "autoscaling/v2", true},
    [SIM_BUDGETS] = {"poddisruptionbudgets", "PodDisruptionBudget", "policy/v1", true},
    [SIM_WORKLOADS] = {"workloads", "Workload", "kueue.x-k8s.io/v1beta2", true},
    [SIM_PYTORCH_JOBS] = {"pytorchjobs", "PyTorchJob", "kubeflow.org/v1", true},
    [SIM_RAY_CLUSTERS] = {"rayclusters", "RayCluster", "ray.io/v1", true},
};

struct object {
	struct sim_version *version;
	TAILQ_ENTRY(object) link; /* in the order of creation */
};

TAILQ_HEAD(object_list, object);

struct table {
	struct map by_key; /* the version's key → struct object */
	struct object_list objects;
	struct sim_history history;
};

struct sim_store {
	uint64_t rv, uids;
	struct table tables[SIM_RESOURCE_COUNT];
	size_t observer_count;
	struct {
		sim_observer *call;
		void *ctx;
	} observers[OBSERVERS_MAX];
};

struct sim_store *sim_store_new(size_t history_max)
{
	struct sim_store *store = xcalloc(1, sizeof *store);

	store->rv = 1;
	for (size_t i = 0; i < SIM_RESOURCE_COUNT; i++) {
		TAILQ_INIT(&store->tables[i].objects);
		sim_history_init(&store->tables[i].history, history_max);
	}
	return store;
}

void sim_store_free(struct sim_store *store)
{
	for (size_t i = 0; i < SIM_RESOURCE_COUNT; i++) {
		struct table *table = &store->tables[i];

		for (struct object *object; (object = TAILQ_FIRST(&table->objects));) {
			TAILQ_REMOVE(&table->objects, object, link);
			sim_version_unref(object->version);
			free(object);
		}
		map_free(&table->by_key);
		sim_history_free(&table->history);
	}
	free(store);
}

void sim_store_observe(struct sim_store *store, sim_observer *observer, void *ctx)
{
	if (store->observer_count == OBSERVERS_MAX)
		abort();
	store->observers[store->observer_count].call = observer;
	store->observers[store->observer_count++].ctx = ctx;
}

void sim_store_unobserve(struct sim_store *store, const void *ctx)
{
	for (size_t i = 0; i < store->observer_count; i++) {
		if (store->observers[i].ctx == ctx) {
			store->observers[i] = store->observers[--store->observer_count];
			return;
		}
	}
}

uint64_t sim_store_rv(const struct sim_store *store)
{
	return store->rv;
}

size_t sim_store_count(const struct sim_store *store, enum sim_resource resource)
{
	return store->tables[resource].by_key.count;
}

static struct object *find(
    const struct sim_store *store, enum sim_resource resource, const char *namespace_, const char *name)
{
	char key[600];
	int len = namespace_ && *namespace_ ? snprintf(key, sizeof key, "%s/%s", namespace_, name)
	                                    : snprintf(key, sizeof key, "%s", name);

	if (len < 0 || (size_t)len >= sizeof key)
		return NULL;
	return map_get(&store->tables[resource].by_key, (struct slice){key, (size_t)len});
}

struct sim_version *sim_store_get(
    const struct sim_store *store, enum sim_resource resource, const char *namespace_, const char *name)
{
	struct object *object = find(store, resource, namespace_, name);

	return object ? object->version : NULL;
}

json_t *sim_store_tree(const struct sim_version *version)
{
	json_error_t error;
	json_t *tree = json_loadb(version->json.at, version->json.len, JSON_ALLOW_NUL, &error);

	if (!tree)
		abort(); /* every version was checked when it was made */
	return tree;
}

/* Notes the change and tells everybody; takes over both references. */
static void commit(struct sim_store *store, enum sim_resource resource, enum sim_change_type type,
    struct sim_version *now, struct sim_version *before)
{
	struct sim_change change = {resource, type, now->rv, clock_now(), now, before};

	sim_history_add(&store->tables[resource].history, &change);
	for (size_t i = 0; i < store->observer_count; i++)
		store->observers[i].call(store->observers[i].ctx, &change);
}

static void remove_object(struct sim_store *store, enum sim_resource resource, struct object *object)
{
	struct table *table = &store->tables[resource];
	struct sim_version *before = object->version;

	map_remove(&table->by_key, slice_of(before->key));
	TAILQ_REMOVE(&table->objects, object, link);
	free(object);
	commit(store, resource, SIM_DELETED, sim_version_at(before, ++store->rv), before);
}

static struct sim_version *add_object(
    struct sim_store *store, enum sim_resource resource, struct slice text, struct err *err)
{
	struct table *table = &store->tables[resource];

	if (table->by_key.count >= SIM_OBJECTS_MAX) {
		err_set(err, ERR_TOO_LARGE, "more than %d %s", SIM_OBJECTS_MAX, sim_resources[resource].plural);
		return NULL;
	}
	struct sim_version *version = sim_version_make(text, store->rv + 1, err);

	if (!version)
		return NULL;
	if (map_get(&table->by_key, slice_of(version->key))) {
		err_set(err, ERR_REFUSED, "%s \"%s\" already exists", sim_resources[resource].plural, version->name);
		sim_version_unref(version);
		return NULL;
	}
	store->rv++;
	struct object *object = xcalloc(1, sizeof *object);

	object->version = version;
	map_put(&table->by_key, slice_of(version->key), object);
	TAILQ_INSERT_TAIL(&table->objects, object, link);
	commit(store, resource, SIM_ADDED, sim_version_ref(version), NULL);
	if (resource == SIM_EVENTS && table->by_key.count > SIM_EVENTS_MAX)
		remove_object(store, resource, TAILQ_FIRST(&table->objects));
	return version;
}

struct sim_version *sim_store_load(
    struct sim_store *store, enum sim_resource resource, struct slice text, struct err *err)
{
	return add_object(store, resource, text, err);
}

/* Unique in one run and shaped like one; not random, so that a seeded run repeats. */
static void make_uid(struct sim_store *store, char out[40])
{
	uint64_t n = ++store->uids, mixed = n * UINT64_C(0x9e3779b97f4a7c15);

	snprintf(out, 40, "%08x-%04x-4%03x-8%03x-%012llx", (unsigned)(mixed >> 32), (unsigned)(mixed >> 16 & 0xffff),
	    (unsigned)(mixed & 0xfff), (unsigned)(mixed >> 4 & 0xfff), (unsigned long long)(n & 0xffffffffffff));
}

static int fill_metadata(struct sim_store *store, json_t *metadata, struct err *err)
{
	char text[512], now[CLOCK_TEXT_MAX];
	const char *generate = json_string_value(json_object_get(metadata, "generateName"));
	const char *name = json_string_value(json_object_get(metadata, "name"));

	if (!name || !*name) {
		if (!generate || !*generate)
			return err_set(err, ERR_INPUT, "name or generateName is required");
		snprintf(text, sizeof text, "%.400s%05llx", generate, (unsigned long long)(store->uids & 0xfffff));
		json_object_set_new(metadata, "name", json_string(text));
	}
	make_uid(store, text);
	json_object_set_new(metadata, "uid", json_string(text));
	clock_format(clock_wall(), now);
	snprintf(text, sizeof text, "%.19sZ", now);
	json_object_set_new(metadata, "creationTimestamp", json_string(text));
	json_object_del(metadata, "resourceVersion");
	return 0;
}

struct sim_version *sim_store_create(
    struct sim_store *store, enum sim_resource resource, json_t *object, struct err *err)
{
	json_t *metadata = json_object_get(object, "metadata");

	if (!json_is_object(metadata)) {
		err_set(err, ERR_INPUT, "no metadata");
		return NULL;
	}
	if (fill_metadata(store, metadata, err) != 0)
		return NULL;
	if (!json_object_get(object, "kind"))
		json_object_set_new(object, "kind", json_string(sim_resources[resource].kind));
	if (!json_object_get(object, "apiVersion"))
		json_object_set_new(object, "apiVersion", json_string(sim_resources[resource].group_version));

	char *text = json_dumps(object, JSON_COMPACT);
	struct sim_version *version = add_object(store, resource, slice_of(text), err);

	free(text);
	return version;
}

struct sim_version *sim_store_update(
    struct sim_store *store, enum sim_resource resource, json_t *object, struct err *err)
{
	struct table *table = &store->tables[resource];

	json_object_del(json_object_get(object, "metadata"), "resourceVersion");
	char *text = json_dumps(object, JSON_COMPACT);
	struct sim_version *version = sim_version_make(slice_of(text), store->rv + 1, err);

	free(text);
	if (!version)
		return NULL;
	struct object *held = map_get(&table->by_key, slice_of(version->key));

	if (!held) {
		err_set(err, ERR_MISSING, "%s \"%s\" not found", sim_resources[resource].plural, version->name);
		sim_version_unref(version);
		return NULL;
	}
	struct sim_version *before = held->version;

	store->rv++;
	map_remove(&table->by_key, slice_of(before->key)); /* the map keeps the key's place, which is in the version */
	held->version = version;
	map_put(&table->by_key, slice_of(version->key), held);
	commit(store, resource, SIM_MODIFIED, sim_version_ref(version), before);
	return version;
}

bool sim_store_delete(struct sim_store *store, enum sim_resource resource, const char *namespace_, const char *name)
{
	struct object *object = find(store, resource, namespace_, name);

	if (object)
		remove_object(store, resource, object);
	return object != NULL;
}

static int by_key(const void *a, const void *b)
{
	const struct sim_version *const *x = a, *const *y = b;

	return strcmp((*x)->key, (*y)->key);
}

struct sim_version **sim_store_list(const struct sim_store *store, enum sim_resource resource, size_t *count)
{
	const struct table *table = &store->tables[resource];
	struct sim_version **list = xmalloc((table->by_key.count + 1) * sizeof(struct sim_version *));
	const struct object *object;

	*count = 0;
	TAILQ_FOREACH(object, &table->objects, link)
	list[(*count)++] = sim_version_ref(object->version);
	qsort(list, *count, sizeof *list, by_key);
	return list;
}

void sim_versions_free(struct sim_version **versions, size_t count)
{
	for (size_t i = 0; i < count; i++)
		sim_version_unref(versions[i]);
	free(versions);
}

struct sim_version *sim_store_next(const struct sim_store *store, enum sim_resource resource, size_t *cursor)
{
	struct object *object = map_next(&store->tables[resource].by_key, cursor);

	return object ? object->version : NULL;
}

bool sim_history_after(const struct sim_store *store, enum sim_resource resource, uint64_t rv, uint64_t *number)
{
	return sim_history_find(&store->tables[resource].history, rv, number);
}

const struct sim_change *sim_history_at(
    const struct sim_store *store, enum sim_resource resource, uint64_t number, bool *lost)
{
	return sim_history_get(&store->tables[resource].history, number, lost);
}

void sim_history_compact(struct sim_store *store)
{
	for (size_t i = 0; i < SIM_RESOURCE_COUNT; i++)
		sim_history_clear(&store->tables[i].history, store->rv);
}
