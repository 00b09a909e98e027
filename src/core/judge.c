#include "core/judge.h"

#include "core/teams_internal.h"

/* Steps are told by their place in the table: of two that fail, the earlier counts. */
static enum reason earlier(enum reason a, enum reason b)
{
	if (a == REASON_CODE_FITS || b == REASON_CODE_FITS)
		return a == REASON_CODE_FITS ? b : a;
	return a < b ? a : b;
}

static bool cordoned_for(const struct pod *pod, const struct node_spec *spec)
{
	static const struct taint cordon = {"node.kubernetes.io/unschedulable", "", TAINT_NO_SCHEDULE};
	return spec->unschedulable && !taint_tolerated(&cordon, pod->tolerations, pod->toleration_count);
}

const struct taint *judge_taint(const struct pod *pod, const struct node_spec *spec)
{
	for (size_t i = 0; i < spec->taint_count; i++)
		if (spec->taints[i].effect != TAINT_PREFER_NO_SCHEDULE &&
		    !taint_tolerated(&spec->taints[i], pod->tolerations, pod->toleration_count))
			return &spec->taints[i];
	return NULL;
}

static enum reason judge_presence(const struct pod *pod, const struct node *node)
{
	if (!node->spec)
		return REASON_CODE_NODE_UNKNOWN;
	if (!node->spec->ready)
		return REASON_CODE_NODE_NOT_READY;
	if (cordoned_for(pod, node->spec))
		return REASON_CODE_NODE_CORDONED;
	if (node->avoided)
		return REASON_CODE_NODE_AVOIDED;
	if (node->quarantined)
		return REASON_CODE_NODE_QUARANTINED;
	if (node->repartitioned)
		return REASON_CODE_NODE_REPARTITIONED;
	if (judge_taint(pod, node->spec))
		return REASON_CODE_NODE_TAINTED;
	if (!pod_selects(pod, node->name, &node->spec->labels))
		return REASON_CODE_NODE_SELECTOR;
	return REASON_CODE_FITS;
}

static bool has_only(const struct policy_class *class_)
{
	return class_ && class_->has_only;
}

static enum reason judge_model(const struct need *need, const struct gpu_lane *lane)
{
	if ((lane->dtypes & need->dtypes) != need->dtypes)
		return REASON_CODE_DTYPE;
	if (lane->memory_mib < need->memory_least_mib)
		return REASON_CODE_GPU_MEMORY;
	return REASON_CODE_FITS;
}

enum reason judge_gpu(const struct need *need, const struct gpu_lane *lane, uint16_t pool, bool in_two_pools)
{
	if (!lane)
		return REASON_CODE_GPU_NOT_THERE;
	if (in_two_pools && (has_only(need->class_) || has_only(need->matched)))
		return REASON_CODE_NODE_IN_TWO_POOLS;
	if (!need_pool_allowed(need, pool))
		return REASON_CODE_ONLY_FORBIDS;
	return judge_model(need, lane);
}

/* What keeps pods with GPUs away from the node, whatever its room. */
static enum reason judge_operator(const struct node_spec *spec)
{
	if (spec->upgrade == UPGRADE_UNDER_WAY)
		return REASON_CODE_DRIVER_UPGRADE;
	return spec->for_machines ? REASON_CODE_NOT_FOR_CONTAINERS : REASON_CODE_FITS;
}

/* A lane that has nothing, and never had, is none. */
static const struct gpu_lane *lane_of(const struct node_spec *spec, resource_id id)
{
	if (resources_get(&spec->allocatable, id) == 0 && resources_get(&spec->capacity, id) == 0)
		return NULL;
	return node_spec_lane(spec, id);
}

static enum reason judge_kind(const struct need *need, const struct node *node)
{
	enum reason verdict = REASON_CODE_FITS;
	for (size_t i = 0; i < need->gpu_count; i++)
		verdict = earlier(
		    verdict, judge_gpu(need, lane_of(node->spec, need->gpus[i].id), node->pool, node->in_two_pools));
	return verdict;
}

static bool is_gpu_need(const struct need *need, resource_id id)
{
	for (size_t i = 0; i < need->gpu_count; i++)
		if (need->gpus[i].id == id)
			return true;
	return false;
}

static enum reason judge_plain(const struct need *need, const struct node *node, struct resource_amount asked)
{
	if (asked.amount > node_allocatable(node, asked.id))
		return REASON_CODE_TOO_LARGE;
	if (asked.amount <= need_free_on(need, node, asked.id))
		return REASON_CODE_FITS;
	switch (asked.id) {
	case RESOURCE_PODS:
		return REASON_CODE_NO_PODS;
	case RESOURCE_CPU:
		return REASON_CODE_NO_CPU;
	case RESOURCE_MEMORY:
		return REASON_CODE_NO_MEMORY;
	default:
		return REASON_CODE_NO_RESOURCE;
	}
}

/* Unhealthy GPUs leave allocatable and stay in capacity: where capacity would do, the node is not too small, and where
 * it would do beside what is used, health is what is missing. */
static enum reason judge_units(const struct need *need, const struct node *node, struct resource_amount asked)
{
	int64_t there = node_allocatable(node, asked.id), capacity = resources_get(&node->spec->capacity, asked.id);
	if (asked.amount <= need_free_on(need, node, asked.id))
		return REASON_CODE_FITS;
	if (asked.amount > there && asked.amount > capacity)
		return REASON_CODE_TOO_LARGE;
	const struct ledger_entry *kept = node->headroom ? node->headroom->entry : NULL;
	if (kept && !need_headroom_on(need, node) &&
	    asked.amount <= need_free_on(need, node, asked.id) + resources_get(&kept->demand, asked.id))
		return REASON_CODE_HEADROOM;
	int64_t used = node_used(node, asked.id);
	if (need_own_node(need, node))
		used -= resources_get(&need->own->demand, asked.id);
	if (there < capacity && capacity - used >= asked.amount)
		return REASON_CODE_GPUS_UNHEALTHY;
	return REASON_CODE_NO_GPU;
}

enum reason judge_room(const struct need *need, const struct node *node)
{
	enum reason verdict = REASON_CODE_FITS;
	const struct resources *demand = &need->pod->demand;
	for (uint16_t i = 0; i < demand->count; i++) {
		if (demand->items[i].amount <= 0)
			continue;
		bool units = is_gpu_need(need, demand->items[i].id);
		verdict = earlier(verdict,
		    units ? judge_units(need, node, demand->items[i]) : judge_plain(need, node, demand->items[i]));
	}
	return verdict;
}

enum reason judge_suits(const struct need *need, const struct node *node)
{
	enum reason verdict = judge_presence(need->pod, node);
	if (verdict == REASON_CODE_FITS && need->gpu_count > 0)
		verdict = judge_operator(node->spec);
	if (verdict == REASON_CODE_FITS)
		verdict = judge_kind(need, node);
	if (verdict == REASON_CODE_FITS && node->held & need->held_against && !need_own_node(need, node))
		verdict = REASON_CODE_HELD_FOR_GANG;
	return verdict;
}

enum reason judge_team(const struct need *need, const struct node *node)
{
	if (need->team == TEAM_NONE)
		return REASON_CODE_FITS;
	int64_t room = teams__room(need->fleet, need->team, node->pool, need->own, need->gone);
	bool fits = room == TEAM_NO_BOUND || team_milli(node, &need->pod->demand) <= room;
	return fits ? REASON_CODE_FITS : REASON_CODE_TEAM_LIMIT;
}

enum reason judge_node(const struct need *need, const struct node *node)
{
	enum reason verdict = judge_suits(need, node);
	if (verdict == REASON_CODE_FITS)
		verdict = judge_room(need, node);
	return verdict == REASON_CODE_FITS ? judge_team(need, node) : verdict;
}

bool judge_meant_for(const struct need *need, const struct node *node)
{
	return node->spec && pod_selects(need->pod, node->name, &node->spec->labels) &&
	       judge_kind(need, node) == REASON_CODE_FITS;
}

bool judge_only_forbids(const struct need *need, const struct node *node)
{
	if (!node->spec || need_pool_allowed(need, node->pool) ||
	    !pod_selects(need->pod, node->name, &node->spec->labels))
		return false;
	for (size_t i = 0; i < need->gpu_count; i++) {
		const struct gpu_lane *lane = lane_of(node->spec, need->gpus[i].id);
		if (!lane || judge_model(need, lane) != REASON_CODE_FITS)
			return false;
	}
	return true;
}

struct offer offer_of_node(const struct need *need, const struct node *node)
{
	struct offer offer = {
	    .pool = node->pool, .in_two_pools = node->in_two_pools, .has_gpus = node->spec->lane_count > 0};
	resource_id id = need->gpu_count > 0 ? need->gpus[0].id : RESOURCE_CPU;
	offer.allocatable = node_allocatable(node, id);
	offer.free = need_free_on(need, node, id);
	if (need->gpu_count > 0)
		offer.lane = node_spec_lane(node->spec, id);
	else
		offer.cpu_sixteenths = index_cpu_sixteenths(offer.free, offer.allocatable);
	return offer;
}

struct offer offer_of_bucket(const struct need *need, const struct index_bucket *bucket)
{
	const struct index_shape *shape = bucket->shape;
	struct offer offer = {.pool = shape->pool, .in_two_pools = shape->in_two_pools, .has_gpus = shape->has_gpus};
	if (need->gpu_count > 0) {
		offer.lane = &shape->lane;
		offer.allocatable = shape->allocatable;
		offer.free = bucket->key;
	} else {
		offer.cpu_sixteenths = index_cpu_key_sixteenths(bucket->key);
		offer.free = index_cpu_key_most(bucket->key);
	}
	return offer;
}
