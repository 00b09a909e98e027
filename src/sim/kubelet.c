#include "sim/kubelet.h"

#include <stdlib.h>

#include "base/clock.h"
#include "berth/map.h"
#include "sim/heap.h"
#include "sim/podwrite.h"

#define START_MS 200
#define STOP_MS 300

enum step { STEP_RUN, STEP_SUCCEED, STEP_REMOVE };

/* A pod that something is due for. */
struct due {
	struct sim_heap_node heap;
	enum step step;
	char *key; /* namespace/name */
	char *namespace_, *name, *uid;
};

struct sim_kubelet {
	struct sim_store *store;
	uv_timer_t timer;
	int64_t start_ns, stop_ns;
	struct map by_key;
	struct sim_heap heap;
};

static void forget(struct sim_kubelet *kubelet, struct due *due)
{
	map_remove(&kubelet->by_key, slice_of(due->key));
	sim_heap_remove(&kubelet->heap, &due->heap);
	free(due->key);
	free(due->namespace_);
	free(due->name);
	free(due->uid);
	free(due);
}

static void arm(struct sim_kubelet *kubelet);

static void plan(struct sim_kubelet *kubelet, const struct sim_version *pod, enum step step, int64_t after_ns)
{
	struct due *due = map_get(&kubelet->by_key, slice_of(pod->key));

	if (due && (strcmp(due->uid, pod->uid) != 0 || step != due->step)) {
		forget(kubelet, due);
		due = NULL;
	}
	if (due)
		return;
	due = xcalloc(1, sizeof *due);
	due->step = step;
	due->key = xstrdup(pod->key);
	due->namespace_ = xstrdup(pod->namespace_);
	due->name = xstrdup(pod->name);
	due->uid = xstrdup(pod->uid);
	map_put(&kubelet->by_key, slice_of(due->key), due);
	sim_heap_put(&kubelet->heap, &due->heap, clock_now() + after_ns, 0);
	arm(kubelet);
}

/* Seconds of the annotation, or 0. */
static double seconds_of(const json_t *pod, const char *key)
{
	const json_t *annotations = json_object_get(json_object_get(pod, "metadata"), "annotations");
	const char *text = json_string_value(json_object_get(annotations, key));
	double seconds = text ? strtod(text, NULL) : 0;

	return seconds > 0 && seconds < 1e9 ? seconds : 0;
}

static int64_t stops_after(const struct sim_kubelet *kubelet, const struct sim_version *version)
{
	json_auto_t *pod = sim_store_tree(version);
	double seconds = seconds_of(pod, SIM_STOP_AFTER);

	return seconds > 0 ? (int64_t)(seconds * (double)NS_PER_S) : kubelet->stop_ns;
}

static void changed(void *ctx, const struct sim_change *change)
{
	struct sim_kubelet *kubelet = ctx;
	const struct sim_version *pod = change->now;

	if (change->resource != SIM_PODS)
		return;
	if (change->type == SIM_DELETED) {
		struct due *due = map_get(&kubelet->by_key, slice_of(pod->key));

		if (due)
			forget(kubelet, due);
		return;
	}
	if (!pod->node[0])
		return;
	if (pod->deleting)
		plan(kubelet, pod, STEP_REMOVE, stops_after(kubelet, pod));
	else if (strcmp(pod->phase, "Running") != 0 && strcmp(pod->phase, "Succeeded") != 0 &&
	         strcmp(pod->phase, "Failed") != 0)
		plan(kubelet, pod, STEP_RUN, kubelet->start_ns);
}

static void set_phase(struct sim_kubelet *kubelet, json_t *pod, const char *phase, bool ready)
{
	json_t *status = sim_member_object(pod, "status");
	char now[CLOCK_TEXT_MAX];
	struct err err;

	clock_format(clock_wall(), now);
	json_object_set_new(status, "phase", json_string(phase));
	if (ready)
		json_object_set_new(status, "startTime", json_sprintf("%.19sZ", now));
	sim_condition_set(pod, "Ready", ready ? "True" : "False", NULL, NULL);
	if (!sim_store_update(kubelet->store, SIM_PODS, pod, &err))
		abort(); /* the pod was read from the store on this very turn */
}

static void act(struct sim_kubelet *kubelet, enum step step, const struct sim_version *version)
{
	if (step == STEP_REMOVE) {
		sim_store_delete(kubelet->store, SIM_PODS, version->namespace_, version->name);
		return;
	}
	json_auto_t *pod = sim_store_tree(version);
	double seconds = seconds_of(pod, SIM_RUN_FOR);

	set_phase(kubelet, pod, step == STEP_RUN ? "Running" : "Succeeded", step == STEP_RUN);
	if (step == STEP_RUN && seconds > 0) {
		const char *namespace_ =
		    json_string_value(json_object_get(json_object_get(pod, "metadata"), "namespace"));
		const char *name = json_string_value(json_object_get(json_object_get(pod, "metadata"), "name"));

		plan(kubelet, sim_store_get(kubelet->store, SIM_PODS, namespace_, name), STEP_SUCCEED,
		    (int64_t)(seconds * (double)NS_PER_S));
	}
}

static void tick(uv_timer_t *timer)
{
	struct sim_kubelet *kubelet = timer->data;
	int64_t now = clock_now();

	for (struct sim_heap_node *node; (node = sim_heap_first(&kubelet->heap)) && node->major <= now;) {
		struct due *due = sim_container_of(node, struct due, heap);
		enum step step = due->step;
		struct sim_version *version = sim_store_get(kubelet->store, SIM_PODS, due->namespace_, due->name);
		bool same = version && strcmp(version->uid, due->uid) == 0;

		forget(kubelet, due);
		if (same)
			act(kubelet, step, version);
	}
	arm(kubelet);
}

static void arm(struct sim_kubelet *kubelet)
{
	struct sim_heap_node *first = sim_heap_first(&kubelet->heap);
	int64_t wait = first ? first->major - clock_now() : 0;

	if (first)
		uv_timer_start(&kubelet->timer, tick, wait > 0 ? (uint64_t)(wait / NS_PER_MS + 1) : 0, 0);
}

struct sim_kubelet *sim_kubelet_start(
    uv_loop_t *loop, struct sim_store *store, const struct sim_kubelet_options *options)
{
	struct sim_kubelet *kubelet = xcalloc(1, sizeof *kubelet);

	kubelet->store = store;
	kubelet->start_ns = (options->start_ms ? options->start_ms : START_MS) * NS_PER_MS;
	kubelet->stop_ns = (options->stop_ms ? options->stop_ms : STOP_MS) * NS_PER_MS;
	uv_timer_init(loop, &kubelet->timer);
	kubelet->timer.data = kubelet;
	sim_store_observe(store, changed, kubelet);
	return kubelet;
}

static void free_kubelet(uv_handle_t *handle)
{
	free(handle->data);
}

void sim_kubelet_stop(struct sim_kubelet *kubelet)
{
	sim_store_unobserve(kubelet->store, kubelet);
	for (struct sim_heap_node *node; (node = sim_heap_first(&kubelet->heap));)
		forget(kubelet, sim_container_of(node, struct due, heap));
	map_free(&kubelet->by_key);
	sim_heap_free(&kubelet->heap);
	uv_close((uv_handle_t *)&kubelet->timer, free_kubelet);
}
