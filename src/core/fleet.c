#include "core/fleet_internal.h"

#include <stdlib.h>

#include "core/index.h"
#include "core/teams_internal.h"
#include "core/usage.h"

/* Known before anybody's pods make up others, so that a pod that is read before its node is counted with its GPUs. */
static void name_gpus(struct fleet *fleet, const struct gpu_catalogue *catalogue)
{
	for (size_t i = 0; catalogue && i < catalogue->resource_count; i++)
		if (!strchr(catalogue->resources[i].pattern, '*'))
			resource_names_id(&fleet->names, slice_of(catalogue->resources[i].pattern));
}

struct fleet *fleet_new(const struct gpu_catalogue *catalogue)
{
	struct fleet *fleet = xcalloc(1, sizeof(*fleet));
	resource_names_init(&fleet->names);
	name_gpus(fleet, catalogue);
	fleet->catalogue = catalogue;
	fleet->index = index_new();
	return fleet;
}

static void node_free_all(struct node *node)
{
	node_spec_free(node->spec);
	free(node->used.items);
	free(node->devices);
	free(node->slots);
	free((char *)(uintptr_t)node->name);
	free(node);
}

void fleet_free(struct fleet *fleet)
{
	if (!fleet)
		return;
	size_t cursor = 0;
	teams__free(fleet);
	ledger__free(fleet);
	for (struct node *node; (node = map_next(&fleet->nodes, &cursor));) {
		if (node->spec)
			index_take(fleet->index, node);
		node_free_all(node);
	}
	map_free(&fleet->nodes);
	hold_free_all(fleet);
	index_free(fleet->index);
	resource_names_free(&fleet->names);
	free(fleet);
}

struct node *fleet_find(const struct fleet *fleet, struct slice name)
{
	return map_get(&fleet->nodes, name);
}

size_t fleet_node_count(const struct fleet *fleet)
{
	return fleet->index->node_count;
}

struct node *fleet__node(struct fleet *fleet, struct slice name)
{
	struct node *node = fleet_find(fleet, name);
	if (node)
		return node;
	node = xcalloc(1, sizeof(*node));
	node->name = xstrndup(name.at, name.len);
	node->pool = POOL_NONE;
	map_put(&fleet->nodes, (struct slice){node->name, name.len}, node);
	return node;
}

static void unlink_improved(struct node *node)
{
	if (!node->improved)
		return;
	*node->improved_link = node->next_improved;
	if (node->next_improved)
		node->next_improved->improved_link = node->improved_link;
	node->improved = false;
}

void fleet__drop_if_gone(struct fleet *fleet, struct node *node)
{
	if (node->spec || node->entries)
		return;
	unlink_improved(node);
	map_remove(&fleet->nodes, slice_of(node->name));
	node_free_all(node);
}

void fleet__improve(struct fleet *fleet, struct node *node)
{
	node->improved_at = ++fleet->improvements;
	fleet__offer(fleet, node);
}

void fleet__offer(struct fleet *fleet, struct node *node)
{
	if (node->improved || !node->spec)
		return;
	node->improved = true;
	node->next_improved = fleet->improved;
	node->improved_link = &fleet->improved;
	if (node->next_improved)
		node->next_improved->improved_link = &node->next_improved;
	fleet->improved = node;
}

struct node *fleet_take_improved(struct fleet *fleet)
{
	struct node *taken = fleet->improved;
	for (struct node *node = taken; node; node = node->next_improved)
		node->improved = false;
	fleet->improved = NULL;
	return taken;
}

void fleet__classify(const struct policy *policy, struct node *node)
{
	node->pool = POOL_NONE;
	node->in_two_pools = node->avoided = false;
	memset(node->domains, 0, sizeof(node->domains));
	if (!policy || !node->spec)
		return;
	node->pool = policy_pool_of(policy, node->spec, &node->in_two_pools);
	node->avoided = policy_avoids(policy, node->spec);
	for (size_t level = 0; level < policy->level_count; level++)
		node->domains[level] = policy_level_value(&policy->levels[level], &node->spec->labels);
}

void fleet_set_policy(struct fleet *fleet, const struct policy *policy)
{
	size_t cursor = 0;
	bool other = fleet->policy != policy;
	fleet->policy = policy;
	fleet->policy_version++;
	if (other)
		headroom__drop_all(fleet);
	for (struct node *node; (node = map_next(&fleet->nodes, &cursor));)
		if (node->spec)
			index_take(fleet->index, node);
	cursor = 0;
	for (struct node *node; (node = map_next(&fleet->nodes, &cursor));) {
		if (!node->spec)
			continue;
		fleet__classify(policy, node);
		index_put(fleet->index, node);
		fleet__improve(fleet, node);
	}
	if (other)
		headroom__learn(fleet);
	teams__set_policy(fleet, policy);
}

static bool taint_in(const struct taint *taint, const struct node_spec *spec)
{
	for (size_t i = 0; i < spec->taint_count; i++)
		if (spec->taints[i].effect == taint->effect && strcmp(spec->taints[i].key, taint->key) == 0 &&
		    strcmp(spec->taints[i].value, taint->value) == 0)
			return true;
	return false;
}

static bool labels_differ(const struct labels *a, const struct labels *b)
{
	if (a->count != b->count)
		return true;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->items[i].key, b->items[i].key) != 0 || strcmp(a->items[i].value, b->items[i].value) != 0)
			return true;
	return false;
}

/* Whether a pod that the node was not for may now find it right. */
static bool spec_improves(const struct node_spec *old, const struct node_spec *new)
{
	if (!new->ready)
		return false;
	if (!old || !old->ready || (old->unschedulable && !new->unschedulable))
		return true;
	for (size_t i = 0; i < old->taint_count; i++)
		if (!taint_in(&old->taints[i], new))
			return true;
	for (uint16_t i = 0; i < new->allocatable.count; i++)
		if (new->allocatable.items[i].amount > resources_get(&old->allocatable, new->allocatable.items[i].id))
			return true;
	return labels_differ(&old->labels, &new->labels);
}

struct node *fleet_put_node(struct fleet *fleet, struct node_spec *spec)
{
	struct node *node = fleet__node(fleet, slice_of(spec->name));
	struct node_spec *old = node->spec;
	bool improves = spec_improves(old, spec), avoided = node->avoided;
	if (old)
		index_take(fleet->index, node);
	node->spec = spec;
	fleet->node_changes++;
	fleet__classify(fleet->policy, node);
	usage_rebuild_devices(node);
	teams__recount(fleet, node);
	index_put(fleet->index, node);
	if (improves || (avoided && !node->avoided))
		fleet__improve(fleet, node);
	node_spec_free(old);
	headroom__note(fleet, node);
	headroom__settle(fleet, node);
	return node;
}

static void shut(struct fleet *fleet, struct node *node, bool *flag, bool is_shut)
{
	if (*flag == is_shut || !node->spec)
		return;
	index_take(fleet->index, node);
	*flag = is_shut;
	index_put(fleet->index, node);
	if (!is_shut)
		fleet__improve(fleet, node);
	headroom__note(fleet, node);
}

void fleet_quarantine(struct fleet *fleet, struct node *node, bool quarantined)
{
	shut(fleet, node, &node->quarantined, quarantined);
}

void fleet_repartition(struct fleet *fleet, struct node *node, bool repartitioned)
{
	shut(fleet, node, &node->repartitioned, repartitioned);
}

void fleet_remove_node(struct fleet *fleet, struct slice name)
{
	struct node *node = fleet_find(fleet, name);
	if (!node || !node->spec)
		return;
	index_take(fleet->index, node);
	unlink_improved(node);
	headroom__note(fleet, node);
	fleet->node_changes++;
	node_spec_free(node->spec);
	node->spec = NULL;
	headroom__settle(fleet, node);
	node->quarantined = node->repartitioned = false;
	fleet__classify(NULL, node);
	usage_rebuild_devices(node);
	teams__recount(fleet, node);
	fleet__drop_if_gone(fleet, node);
}
