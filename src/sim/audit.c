#include "sim/audit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "berth/map.h"
#include "cluster/node.h"
#include "cluster/pod.h"

/* A bound pod that has not ended. */
struct audited_pod {
	struct pod *pod;
	struct audited_pod *next;
};

struct audited_node {
	char *name;
	struct node_spec *spec; /* NULL: not, or no longer, there */
	struct audited_pod *pods;
};

struct sim_audit {
	struct sim_store *store;
	struct resource_names names;
	struct map nodes;
	unsigned long bindings, violations;
	char first[512];
};

static const struct gpu_catalogue no_gpus;

static struct audited_node *need_node(struct sim_audit *audit, const char *name)
{
	struct audited_node *node = map_get(&audit->nodes, slice_of(name));

	if (!node) {
		node = xcalloc(1, sizeof *node);
		node->name = xstrdup(name);
		map_put(&audit->nodes, slice_of(node->name), node);
	}
	return node;
}

static void node_changed(struct sim_audit *audit, const struct sim_change *change)
{
	struct audited_node *node = need_node(audit, change->now->name);
	struct err err;

	if (node->spec)
		node_spec_free(node->spec);
	node->spec =
	    change->type == SIM_DELETED ? NULL : cluster_node_decode(change->now->json, &audit->names, &no_gpus, &err);
}

static void violation(struct sim_audit *audit, const struct audited_node *node, const struct pod *pod, resource_id id,
    int64_t used, int64_t allocatable)
{
	if (audit->violations++ == 0)
		snprintf(audit->first, sizeof audit->first,
		    "%s/%s on %s: %s %" PRId64 " used of %" PRId64 " allocatable", pod->namespace_, pod->name,
		    node->name, resource_names_text(&audit->names, id), used, allocatable);
}

static void check(struct sim_audit *audit, const struct audited_node *node, const struct pod *pod)
{
	audit->bindings++;
	for (size_t i = 0; i < pod->demand.count; i++) {
		resource_id id = pod->demand.items[i].id;
		int64_t used = 0, allocatable = node->spec ? resources_get(&node->spec->allocatable, id) : 0;

		if (pod->demand.items[i].amount == 0)
			continue;
		for (const struct audited_pod *at = node->pods; at; at = at->next)
			used += resources_get(&at->pod->demand, id);
		if (used > allocatable)
			violation(audit, node, pod, id, used, allocatable);
	}
}

static void drop_pod(struct sim_audit *audit, const struct sim_version *version)
{
	struct audited_node *node = map_get(&audit->nodes, slice_of(version->node));

	for (struct audited_pod **link = node ? &node->pods : NULL; link && *link; link = &(*link)->next) {
		struct audited_pod *held = *link;

		if (strcmp(held->pod->uid, version->uid) == 0) {
			*link = held->next;
			pod_free(held->pod);
			free(held);
			return;
		}
	}
}

static void pod_changed(struct sim_audit *audit, const struct sim_change *change)
{
	bool was_bound = change->before && change->before->node[0];
	struct err err;

	if (was_bound)
		drop_pod(audit, change->before);
	if (change->type == SIM_DELETED || !change->now->node[0])
		return;
	struct pod *pod = cluster_pod_decode(change->now->json, &audit->names, false, &err);

	if (!pod || pod->terminal) {
		if (pod)
			pod_free(pod);
		return;
	}
	struct audited_node *node = need_node(audit, change->now->node);
	struct audited_pod *held = xcalloc(1, sizeof *held);

	held->pod = pod;
	held->next = node->pods;
	node->pods = held;
	if (!was_bound)
		check(audit, node, pod);
}

static void changed(void *ctx, const struct sim_change *change)
{
	if (change->resource == SIM_NODES)
		node_changed(ctx, change);
	else if (change->resource == SIM_PODS)
		pod_changed(ctx, change);
}

struct sim_audit *sim_audit_new(struct sim_store *store)
{
	struct sim_audit *audit = xcalloc(1, sizeof *audit);

	audit->store = store;
	resource_names_init(&audit->names);
	sim_store_observe(store, changed, audit);
	return audit;
}

void sim_audit_free(struct sim_audit *audit)
{
	size_t cursor = 0;

	sim_store_unobserve(audit->store, audit);
	for (struct audited_node *node; (node = map_next(&audit->nodes, &cursor));) {
		for (struct audited_pod *held; (held = node->pods);) {
			node->pods = held->next;
			pod_free(held->pod);
			free(held);
		}
		if (node->spec)
			node_spec_free(node->spec);
		free(node->name);
		free(node);
	}
	map_free(&audit->nodes);
	resource_names_free(&audit->names);
	free(audit);
}

unsigned long sim_audit_bindings(const struct sim_audit *audit)
{
	return audit->bindings;
}

unsigned long sim_audit_violations(const struct sim_audit *audit)
{
	return audit->violations;
}

const char *sim_audit_first(const struct sim_audit *audit)
{
	return audit->first;
}
