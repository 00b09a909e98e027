#include "berth/shortage.h"

#include "core/judge.h"

/* How far a node is from the pod; the smaller is nearer. */
struct distance {
	size_t lacks;
	double worst; /* the largest part missing of what is asked, over the resources lacking */
};

static size_t find_lacks(const struct need *need, const struct node *node, struct lack *lacks)
{
	const struct resources *demand = &need->pod->demand;
	size_t count = 0;
	for (uint16_t i = 0; i < demand->count && count < RESOURCES_PER_OBJECT_MAX; i++) {
		struct resource_amount asked = demand->items[i];
		int64_t left = need_free_on(need, node, asked.id);
		if (asked.amount <= left)
			continue;
		struct lack lack = {
		    .resource = asked.id,
		    .asked = asked.amount,
		    .free = left,
		    .allocatable = node_allocatable(node, asked.id),
		};
		int64_t sick = resources_get(&node->spec->capacity, asked.id) - lack.allocatable;
		if (sick > 0 && node_spec_lane(node->spec, asked.id))
			lack.unhealthy = sick;
		lacks[count++] = lack;
	}
	return count;
}

static struct distance distance_of(const struct lack *lacks, size_t count)
{
	struct distance distance = {.lacks = count};
	for (size_t i = 0; i < count; i++) {
		double part = (double)(lacks[i].asked - lacks[i].free) / (double)lacks[i].asked;
		distance.worst = part > distance.worst ? part : distance.worst;
	}
	return distance;
}

static bool is_nearer(const struct distance *a, const char *a_name, const struct distance *b, const char *b_name)
{
	if (a->lacks != b->lacks)
		return a->lacks < b->lacks;
	if (a->worst < b->worst || b->worst < a->worst)
		return a->worst < b->worst;
	return strcmp(a_name, b_name) < 0;
}

static void find_nearest(const struct need *need, struct node *const *nodes, size_t count, const enum reason *verdicts,
    struct shortage *shortage)
{
	struct distance nearest = {0};
	struct lack lacks[RESOURCES_PER_OBJECT_MAX];
	for (size_t i = 0; i < count; i++) {
		if (!nodes[i] || !nodes[i]->spec || verdicts[i] == REASON_CODE_FITS ||
		    (shortage->nearest && verdicts[i] < shortage->verdict))
			continue;
		struct distance distance = distance_of(lacks, find_lacks(need, nodes[i], lacks));
		if (shortage->nearest && verdicts[i] == shortage->verdict &&
		    !is_nearer(&distance, nodes[i]->name, &nearest, shortage->nearest->name))
			continue;
		shortage->nearest = nodes[i];
		shortage->verdict = verdicts[i];
		nearest = distance;
	}
	if (shortage->nearest)
		shortage->lack_count = find_lacks(need, shortage->nearest, shortage->lacks);
}

/* What the nearest node's GPUs are short of, where it is no amount. */
static void find_kind(const struct need *need, struct shortage *shortage)
{
	const struct node *node = shortage->nearest;
	for (size_t i = 0; i < need->gpu_count; i++) {
		const struct gpu_lane *lane = node_spec_lane(node->spec, need->gpus[i].id);
		if (!lane || judge_gpu(need, lane, node->pool, node->in_two_pools) != shortage->verdict)
			continue;
		shortage->memory_there_mib = lane->memory_mib;
		shortage->dtypes_there = lane->dtypes;
		break;
	}
	shortage->memory_asked_mib = need->memory_mib;
	shortage->dtypes_asked = need->dtypes;
}

static bool has_room_but_for(const struct need *need, const struct node *node, enum reason verdict)
{
	switch (verdict) {
	case REASON_CODE_NODE_NOT_READY:
	case REASON_CODE_NODE_CORDONED:
	case REASON_CODE_NODE_AVOIDED:
	case REASON_CODE_NODE_QUARANTINED:
	case REASON_CODE_NODE_REPARTITIONED:
	case REASON_CODE_NODE_TAINTED:
	case REASON_CODE_DRIVER_UPGRADE:
	case REASON_CODE_HELD_FOR_GANG:
		return judge_meant_for(need, node) && judge_room(need, node) == REASON_CODE_FITS;
	case REASON_CODE_ONLY_FORBIDS:
		return judge_only_forbids(need, node) && judge_room(need, node) == REASON_CODE_FITS;
	default:
		return false;
	}
}

static void add_gpus(const struct need *need, const struct node *node, struct shortage *shortage)
{
	int64_t left = need_free_on(need, node, shortage->gpu), there = node_allocatable(node, shortage->gpu);
	int64_t capacity = resources_get(&node->spec->capacity, shortage->gpu);
	int64_t all = capacity > there ? capacity : there;
	shortage->gpus_largest = all > shortage->gpus_largest ? all : shortage->gpus_largest;
	if (all < shortage->gpus_asked)
		return;
	shortage->gpus_free = resource_sum(shortage->gpus_free, left);
	shortage->gpus_most = left > shortage->gpus_most ? left : shortage->gpus_most;
}

static int64_t smaller_limit(int64_t a, int64_t b)
{
	if (a == 0 || b == 0)
		return a + b;
	return a < b ? a : b;
}

static void find_limit(const struct need *need, struct shortage *shortage)
{
	shortage->units_asked = need_gpu_units(need->fleet, &need->pod->demand);
	if (need->class_)
		shortage->units_most =
		    smaller_limit(need->class_->max_gpus_per_pod, need->matched ? need->matched->max_gpus_per_pod : 0);
}

void shortage_among(const struct fleet *fleet, const struct pod *pod, struct node *const *nodes, size_t count,
    const enum reason *verdicts, struct shortage *shortage)
{
	struct need need;
	need_init(&need, fleet, pod);
	*shortage = (struct shortage){.asks_gpus = need.gpu_count > 0};
	find_limit(&need, shortage);
	if (shortage->asks_gpus) {
		shortage->gpu = need.gpus[0].id;
		shortage->gpus_asked = need.gpus[0].amount;
	}
	if (need.reason == REASON_CODE_FITS) {
		find_nearest(&need, nodes, count, verdicts, shortage);
		for (size_t i = 0; i < count; i++) {
			if (!nodes[i] || !nodes[i]->spec)
				continue;
			if (shortage->asks_gpus && verdicts[i] >= REASON_CODE_TOO_LARGE)
				add_gpus(&need, nodes[i], shortage);
			shortage->with_room[verdicts[i]] += has_room_but_for(&need, nodes[i], verdicts[i]);
		}
	}
	if (shortage->nearest) {
		find_kind(&need, shortage);
		if (shortage->verdict == REASON_CODE_NODE_TAINTED)
			shortage->taint = judge_taint(pod, shortage->nearest->spec);
	}
	need_free(&need);
}
