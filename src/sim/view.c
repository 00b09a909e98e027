#include "sim/view.h"

#include <stdio.h>
#include <stdlib.h>

#include "cluster/node.h"
#include "cluster/pod.h"

static const struct gpu_catalogue no_gpus; /* in-tree filters know resources by name only */

static void tell(struct sim_view *view, enum sim_view_event event, struct sim_view_pod *pod, struct sim_view_node *node)
{
	for (size_t i = 0; i < view->listener_count; i++)
		view->listeners[i].call(view->listeners[i].ctx, event, pod, node);
}

/* --- counting --- */

static void count(struct sim_view_node *node, const struct pod *pod, int sign)
{
	for (size_t i = 0; i < pod->demand.count; i++) {
		size_t id = pod->demand.items[i].id;

		if (id >= node->used_room) {
			size_t room = id + 8;

			node->used = xrealloc(node->used, room * sizeof *node->used);
			memset(node->used + node->used_room, 0, (room - node->used_room) * sizeof *node->used);
			node->used_room = room;
		}
		node->used[id] += sign * pod->demand.items[i].amount;
	}
}

static struct sim_view_node *need_node(struct sim_view *view, const char *name)
{
	struct sim_view_node *node = sim_view_node(view, name);

	if (!node) {
		node = xcalloc(1, sizeof *node);
		node->name = xstrdup(name);
		map_put(&view->nodes, slice_of(node->name), node);
	}
	return node;
}

static void drop_node_if_unused(struct sim_view *view, struct sim_view_node *node)
{
	if (node->spec || node->pod_count > 0)
		return;
	map_remove(&view->nodes, slice_of(node->name));
	free(node->name);
	free(node->used);
	free(node);
}

static void place(struct sim_view_pod *pod, struct sim_view_node *node)
{
	pod->node = node;
	node->pod_count++;
	count(node, pod->pod, 1);
}

/* The node may be unused afterwards. */
static struct sim_view_node *lift(struct sim_view_pod *pod)
{
	struct sim_view_node *node = pod->node;

	if (node) {
		count(node, pod->pod, -1);
		node->pod_count--;
		pod->node = NULL;
	}
	return node;
}

static void unplace(struct sim_view *view, struct sim_view_pod *pod)
{
	struct sim_view_node *node = lift(pod);

	if (node)
		drop_node_if_unused(view, node);
}

void sim_view_assume(struct sim_view *view, struct sim_view_pod *pod, struct sim_view_node *node)
{
	if (pod->bound || pod->pod->terminal)
		return;
	if (pod->node != node) {
		unplace(view, pod);
		place(pod, node);
	}
}

void sim_view_forget(struct sim_view *view, struct sim_view_pod *pod)
{
	if (!pod->bound)
		unplace(view, pod);
}

/* --- nodes --- */

static void node_changed(struct sim_view *view, const struct sim_change *change)
{
	struct err err;

	if (change->type == SIM_DELETED) {
		struct sim_view_node *node = sim_view_node(view, change->now->name);

		if (!node || !node->spec)
			return;
		tell(view, SIM_NODE_GONE, NULL, node);
		node_spec_free(node->spec);
		node->spec = NULL;
		drop_node_if_unused(view, node);
		return;
	}
	struct node_spec *spec = cluster_node_decode(change->now->json, &view->names, &no_gpus, &err);

	if (!spec) {
		view->undecoded++;
		return;
	}
	struct sim_view_node *node = need_node(view, change->now->name);

	if (node->spec)
		node_spec_free(node->spec);
	node->spec = spec;
	tell(view, SIM_NODE_SEEN, NULL, node);
}

/* --- pods --- */

static void set_pending(struct sim_view *view, struct sim_view_pod *pod, bool pending)
{
	if (pending && !pod->listed)
		TAILQ_INSERT_TAIL(&view->pending, pod, link);
	else if (!pending && pod->listed)
		TAILQ_REMOVE(&view->pending, pod, link);
	pod->listed = pending;
}

static void pod_gone(struct sim_view *view, struct sim_view_pod *pod)
{
	set_pending(view, pod, false);
	if (!pod->pod->terminal)
		tell(view, SIM_POD_OVER, pod, pod->node);
	unplace(view, pod);
	tell(view, SIM_POD_GONE, pod, NULL);
	map_remove(&view->pods, slice_of(pod->version->uid));
	sim_version_unref(pod->version);
	pod_free(pod->pod);
	free(pod);
}

/* Takes over the decoded pod; the old one's count goes out first. */
static void renew(struct sim_view *view, struct sim_view_pod *held, struct sim_version *version, struct pod *pod)
{
	bool assumed = !held->bound;
	struct sim_view_node *was = lift(held);

	map_remove(&view->pods, slice_of(held->version->uid));
	sim_version_unref(held->version);
	pod_free(held->pod);
	held->version = sim_version_ref(version);
	held->pod = pod;
	map_put(&view->pods, slice_of(held->version->uid), held);
	if (pod->node && !pod->terminal)
		place(held, need_node(view, pod->node));
	else if (was && assumed && !pod->terminal)
		place(held, was);
	if (was)
		drop_node_if_unused(view, was);
}

static void pod_changed(struct sim_view *view, const struct sim_change *change)
{
	struct sim_view_pod *held = sim_view_pod(view, change->now->uid);
	struct err err;

	if (change->type == SIM_DELETED) {
		if (held)
			pod_gone(view, held);
		return;
	}
	struct pod *pod = cluster_pod_decode(change->now->json, &view->names, true, &err);

	if (!pod) {
		view->undecoded++;
		return;
	}
	bool was_bound = held && held->bound, was_over = held && held->pod->terminal;

	if (held) {
		if (pod->terminal && !was_over)
			tell(view, SIM_POD_OVER, held, held->node);
		renew(view, held, change->now, pod);
	} else {
		held = xcalloc(1, sizeof *held);
		held->version = sim_version_ref(change->now);
		held->pod = pod;
		map_put(&view->pods, slice_of(held->version->uid), held);
		if (pod->node && !pod->terminal)
			place(held, need_node(view, pod->node));
	}
	held->bound = pod->node != NULL;
	set_pending(view, held, !held->bound && !pod->terminal);
	if (pod->terminal)
		return;
	tell(view, !held->bound ? SIM_POD_SEEN : was_bound ? SIM_POD_UPDATED : SIM_POD_BOUND, held, held->node);
}

static void changed(void *ctx, const struct sim_change *change)
{
	if (change->resource == SIM_NODES)
		node_changed(ctx, change);
	else if (change->resource == SIM_PODS)
		pod_changed(ctx, change);
}

/* --- in-tree filters --- */

static const char *insufficient(struct sim_view *view, resource_id id)
{
	if (id >= view->insufficient_room) {
		size_t room = id + 16u;

		view->insufficient = xrealloc(view->insufficient, room * sizeof(char *));
		memset(
		    view->insufficient + view->insufficient_room, 0, (room - view->insufficient_room) * sizeof(char *));
		view->insufficient_room = room;
	}
	if (!view->insufficient[id]) {
		char text[320];

		snprintf(text, sizeof text, "Insufficient %.280s", resource_names_text(&view->names, id));
		view->insufficient[id] = xstrdup(id == RESOURCE_PODS ? "Too many pods" : text);
	}
	return view->insufficient[id];
}

static const char *taint_refusal(const struct pod *pod, const struct node_spec *spec)
{
	static const struct taint cordon = {"node.kubernetes.io/unschedulable", "", TAINT_NO_SCHEDULE};

	if (spec->unschedulable && !taint_tolerated(&cordon, pod->tolerations, pod->toleration_count))
		return "node(s) were unschedulable";
	for (size_t i = 0; i < spec->taint_count; i++)
		if (spec->taints[i].effect != TAINT_PREFER_NO_SCHEDULE &&
		    !taint_tolerated(&spec->taints[i], pod->tolerations, pod->toleration_count))
			return "node(s) had untolerated taint(s)";
	return NULL;
}

const char *sim_view_refusal(struct sim_view *view, const struct sim_view_pod *entry, const struct sim_view_node *node)
{
	const struct pod *pod = entry->pod;

	if (!node->spec)
		return "node(s) not found";
	const char *taint = taint_refusal(pod, node->spec);

	if (taint)
		return taint;
	if (!pod_selects(pod, node->name, &node->spec->labels))
		return "node(s) didn't match Pod's node affinity/selector";
	for (size_t i = 0; i < pod->demand.count; i++) {
		resource_id id = pod->demand.items[i].id;
		int64_t amount = pod->demand.items[i].amount, used = id < node->used_room ? node->used[id] : 0;

		if (entry->node == node)
			used -= amount;
		if (amount > 0 && amount > resources_get(&node->spec->allocatable, id) - used)
			return insufficient(view, id);
	}
	return NULL;
}

/* --- life --- */

struct sim_view *sim_view_new(struct sim_store *store)
{
	struct sim_view *view = xcalloc(1, sizeof *view);
	static const enum sim_resource order[] = {SIM_NODES, SIM_PODS};

	view->store = store;
	resource_names_init(&view->names);
	TAILQ_INIT(&view->pending);
	for (size_t i = 0; i < 2; i++) {
		size_t cursor = 0;

		for (struct sim_version *version; (version = sim_store_next(store, order[i], &cursor));) {
			struct sim_change change = {order[i], SIM_ADDED, version->rv, 0, version, NULL};

			changed(view, &change);
		}
	}
	sim_store_observe(store, changed, view);
	return view;
}

void sim_view_free(struct sim_view *view)
{
	size_t cursor = 0;

	sim_store_unobserve(view->store, view);
	for (struct sim_view_pod *pod; (pod = map_next(&view->pods, &cursor));) {
		sim_version_unref(pod->version);
		pod_free(pod->pod);
		free(pod);
	}
	cursor = 0;
	for (struct sim_view_node *node; (node = map_next(&view->nodes, &cursor));) {
		if (node->spec)
			node_spec_free(node->spec);
		free(node->name);
		free(node->used);
		free(node);
	}
	for (size_t i = 0; i < view->insufficient_room; i++)
		free(view->insufficient[i]);
	free(view->insufficient);
	map_free(&view->pods);
	map_free(&view->nodes);
	resource_names_free(&view->names);
	free(view);
}

void sim_view_listen(struct sim_view *view, sim_view_listener *listener, void *ctx)
{
	if (view->listener_count == sizeof view->listeners / sizeof *view->listeners)
		abort();
	view->listeners[view->listener_count].call = listener;
	view->listeners[view->listener_count++].ctx = ctx;
}

void sim_view_unlisten(struct sim_view *view, const void *ctx)
{
	for (size_t i = 0; i < view->listener_count; i++) {
		if (view->listeners[i].ctx == ctx) {
			view->listeners[i] = view->listeners[--view->listener_count];
			return;
		}
	}
}

size_t sim_view_node_count(const struct sim_view *view)
{
	return sim_store_count(view->store, SIM_NODES);
}

struct sim_view_node *sim_view_node(const struct sim_view *view, const char *name)
{
	return map_get(&view->nodes, slice_of(name));
}

struct sim_view_pod *sim_view_pod(const struct sim_view *view, const char *uid)
{
	return map_get(&view->pods, slice_of(uid));
}
