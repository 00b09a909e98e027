#include "core/need.h"

#include "berth/hold.h"
#include "berth/team.h"
#include "core/fleet_internal.h"
#include "core/index.h"

#define MIB (INT64_C(1) << 20)
#define NOMINAL_PERCENT 93 /* berth.dev/gpu-memory is met within 7 % below, so that nominal sizes work */

static bool is_gpu(const struct fleet *fleet, resource_id id)
{
	return id >= RESOURCE_FIRST_OTHER &&
	       gpu_resource_named(fleet->catalogue, slice_of(resource_names_text(&fleet->names, id)));
}

int64_t need_gpu_units(const struct fleet *fleet, const struct resources *demand)
{
	int64_t units = 0;
	for (uint16_t i = 0; i < demand->count; i++)
		if (demand->items[i].amount > 0 && is_gpu(fleet, demand->items[i].id))
			units = resource_sum(units, demand->items[i].amount);
	return units;
}

static void find_gpus(struct need *need)
{
	const struct resources *demand = &need->pod->demand;
	need->gpu_count = 0;
	for (uint16_t i = 0; i < demand->count && need->gpu_count < RESOURCES_PER_OBJECT_MAX; i++)
		if (demand->items[i].amount > 0 && is_gpu(need->fleet, demand->items[i].id))
			need->gpus[need->gpu_count++] = demand->items[i];
}

static void find_memory(struct need *need)
{
	int64_t asked = need->pod->gpu_memory_bytes;
	int64_t least = asked / 100 * NOMINAL_PERCENT + (asked % 100 * NOMINAL_PERCENT + 99) / 100;
	need->memory_mib = asked / MIB + (asked % MIB != 0);
	need->memory_least_mib = least / MIB + (least % MIB != 0);
}

/* What matches nothing anywhere would only pull all nodes down alike. */
static void find_preferred(struct need *need)
{
	need->preferred_weight = 0;
	for (size_t i = 0; i < need->pod->preferred_count; i++) {
		const struct node_term *term = &need->pod->preferred[i].term;
		if (!term->invalid && term->expressions.count + term->fields.count > 0)
			need->preferred_weight += need->pod->preferred[i].weight;
	}
}

static bool over_limit(const struct policy_class *class_, int64_t units)
{
	return class_->max_gpus_per_pod > 0 && units > class_->max_gpus_per_pod;
}

static void find_class(struct need *need)
{
	const struct policy *policy = need->fleet->policy;
	need->reason = REASON_CODE_FITS;
	need->class_ = need->matched = NULL;
	if (policy) {
		need->class_ = policy_class_of(policy, need->pod, &need->reason);
		need->matched = need->pod->class_name ? policy_class_matched(policy, need->pod) : need->class_;
	}
	for (int term = 0; term < SCORE_TERM_COUNT; term++)
		need->weights[term] =
		    need->class_ ? need->class_->weights[term] : score_term_default_weight((enum score_term)term);
	if (need->class_) {
		int64_t units = need_gpu_units(need->fleet, &need->pod->demand);
		if (over_limit(need->class_, units) || over_limit(need->matched, units))
			need->reason = REASON_CODE_TOO_MANY_GPUS;
	}
	if (need->reason == REASON_CODE_FITS)
		need->reason = need->pod->trouble;
}

static void find_siblings(struct need *need)
{
	need->siblings = (struct siblings){0};
	need->spreads = need->class_ && need->class_->spread_level >= 0 && need->pod->owner_uid;
	if (!need->spreads)
		return;
	size_t level = (size_t)need->class_->spread_level;
	siblings_count(&need->siblings, &need->fleet->index->topology,
	    ledger_siblings(need->fleet, need->pod->owner_uid), need->own,
	    level < need->fleet->policy->level_count ? (int)level : TOPOLOGY_HOST);
}

void need_init(struct need *need, const struct fleet *fleet, const struct pod *pod)
{
	need->fleet = fleet;
	need->pod = pod;
	need->own = ledger_find(fleet, slice_of(pod->uid));
	find_class(need);
	find_gpus(need);
	find_memory(need);
	find_preferred(need);
	find_siblings(need);
	need->held_against =
	    hold_against(fleet, pod, need->class_ ? (size_t)(need->class_ - fleet->policy->classes) : SIZE_MAX);
	need->headroom = need->gpu_count > 0 ? headroom__usable(fleet, need->class_) : 0;
	need->gone = NULL;
	need->team = need->gpu_count > 0 ? team_of(fleet, pod->namespace_) : TEAM_NONE;
	need->dtypes = pod->dtypes ? pod->dtypes : need->class_ && !pod->stands_in ? need->class_->assume : 0;
}

void need_free(struct need *need)
{
	siblings_free(&need->siblings);
}

/* By name, since a node that a request carried stands for the one in the fleet. */
bool need_own_node(const struct need *need, const struct node *node)
{
	return need->own && (need->own->node == node || strcmp(need->own->node->name, node->name) == 0);
}

bool need_headroom_on(const struct need *need, const struct node *node)
{
	return node->headroom && node->headroom->entry && need->headroom & UINT32_C(1) << node->headroom->rule;
}

int64_t need_free_on(const struct need *need, const struct node *node, resource_id id)
{
	int64_t used = node_used(node, id);
	if (need_own_node(need, node))
		used -= resources_get(&need->own->demand, id);
	if (need_headroom_on(need, node))
		used -= resources_get(&node->headroom->entry->demand, id);
	int64_t left = node_allocatable(node, id) - used;
	return left > 0 ? left : 0;
}

static bool class_allows(const struct policy_class *class_, uint16_t pool)
{
	if (!class_ || !class_->has_only)
		return true;
	for (size_t i = 0; i < class_->only_count; i++)
		if (class_->only[i] == pool)
			return true;
	return false;
}

bool need_pool_allowed(const struct need *need, uint16_t pool)
{
	return class_allows(need->class_, pool) && class_allows(need->matched, pool);
}
