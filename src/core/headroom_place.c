/* The choice of nodes for headroom. A chunk that one node can hold goes to the node where least is in its way; one that
 * takes several nodes goes to the narrowest domain that has so many, again where least is in its way. */
#include <stdlib.h>
#include <string.h>

#include "berth/fleet.h"
#include "berth/topology.h"
#include "core/headroom.h"

struct spot {
	struct node *node;
	resource_id resource;
	int64_t gpus;    /* of the node */
	int64_t used;    /* by the class */
	int64_t blocked; /* by pods that nothing takes away in time */
	int64_t reserved, before;
	const void *domain; /* at the level looked at */
};

struct placing {
	struct fleet *fleet;
	const struct policy_headroom *rule;
	uint16_t at; /* the rule's place */
	struct spot *spots;
	size_t count;
	int64_t covered, target;
};

/* The whole GPUs of a node: of several kinds the first. */
static const struct gpu_lane *lane_of(const struct node *node)
{
	for (size_t i = 0; i < node->spec->lane_count; i++)
		if (node->spec->lanes[i].unit == GPU_WHOLE && node->spec->lanes[i].replicas <= 1 &&
		    node_allocatable(node, node->spec->lanes[i].resource) > 0)
			return &node->spec->lanes[i];
	return NULL;
}

int64_t headroom__used(const struct fleet *fleet, const struct policy_headroom *rule)
{
	int64_t used = 0;
	size_t cursor = 0;
	for (const struct node *node; (node = map_next(&fleet->nodes, &cursor));) {
		const struct gpu_lane *lane = node->spec && node->pool == rule->pool ? lane_of(node) : NULL;
		if (lane)
			used = resource_sum(used, headroom__used_by(node, rule->for_, lane->resource));
	}
	return used;
}

static bool is_fit(const struct node *node, const struct placing *placing)
{
	const struct node_spec *spec = node->spec;
	return spec && node->pool == placing->rule->pool && spec->ready && !spec->unschedulable && !node->avoided &&
	       !node_is_shut(node) && spec->upgrade != UPGRADE_UNDER_WAY && !spec->for_machines && lane_of(node) &&
	       (!node->headroom || node->headroom->rule >= placing->at);
}

/* What was lent goes in time, while the window is closed. */
static int64_t blocked_on(const struct placing *placing, const struct node *node, resource_id id)
{
	const struct policy_headroom *rule = placing->rule;
	int64_t blocked = 0;
	for (const struct ledger_entry *entry = node->entries; entry; entry = entry->node_next) {
		bool goes = entry->class_ == rule->for_ ||
		            (!placing->fleet->windows[placing->at].open && headroom__is_lent_to(rule, entry->class_));
		if (!entry->hold && !goes)
			blocked = resource_sum(blocked, resources_get(&entry->demand, id));
	}
	return blocked;
}

static void collect(struct placing *placing)
{
	size_t cursor = 0;
	placing->spots = xcalloc(placing->fleet->nodes.count + 1, sizeof *placing->spots);
	for (struct node *node; (node = map_next(&placing->fleet->nodes, &cursor));) {
		if (!is_fit(node, placing))
			continue;
		resource_id id = lane_of(node)->resource;
		bool ours = node->headroom && node->headroom->rule == placing->at;
		placing->spots[placing->count++] = (struct spot){.node = node,
		    .resource = id,
		    .gpus = node_allocatable(node, id),
		    .used = headroom__used_by(node, placing->rule->for_, id),
		    .blocked = blocked_on(placing, node, id),
		    .before = ours ? node->headroom->reserved : 0};
	}
}

/* Of what would be reserved, so much is not to be had as things stand. */
static int64_t lacking(const struct spot *spot, int64_t reserved)
{
	int64_t lacks = reserved - (spot->gpus - spot->blocked);
	return lacks > 0 ? lacks : 0;
}

static int64_t beyond(int64_t used, int64_t reserved)
{
	return reserved > used ? reserved - used : 0;
}

static void take(struct placing *placing, struct spot *spot, int64_t reserved)
{
	placing->covered += beyond(spot->used, reserved) - beyond(spot->used, spot->reserved);
	spot->reserved = reserved;
}

/* --- chunks within a node --- */

/* Which of two nodes the next chunk goes to. */
static bool goes_before(const struct spot *a, const struct spot *b, int64_t chunk)
{
	int64_t left = lacking(a, a->reserved + chunk) - lacking(a, a->reserved);
	int64_t right = lacking(b, b->reserved + chunk) - lacking(b, b->reserved);
	if (left != right)
		return left < right;
	bool kept = a->before > a->reserved, other_kept = b->before > b->reserved;
	if (kept != other_kept)
		return kept;
	if (a->used != b->used)
		return a->used > b->used;
	return strcmp(a->node->name, b->node->name) < 0;
}

/* A heap with the node of the next chunk on top: O(nodes + chunks log nodes). */
static void sift(struct spot **heap, size_t count, size_t at, int64_t chunk)
{
	struct spot *moved = heap[at];
	for (size_t child; (child = 2 * at + 1) < count; at = child) {
		if (child + 1 < count && goes_before(heap[child + 1], heap[child], chunk))
			child++;
		if (!goes_before(heap[child], moved, chunk))
			break;
		heap[at] = heap[child];
	}
	heap[at] = moved;
}

static void place_in_nodes(struct placing *placing, int64_t chunk)
{
	struct spot **heap = xcalloc(placing->count + 1, sizeof *heap);
	size_t count = 0;
	for (size_t i = 0; i < placing->count; i++) {
		struct spot *spot = &placing->spots[i];
		spot->reserved = spot->used / chunk * chunk; /* chunks that the class fills are no help */
		if (spot->reserved + chunk <= spot->gpus)
			heap[count++] = spot;
	}
	for (size_t i = count / 2; i-- > 0;)
		sift(heap, count, i, chunk);
	while (placing->covered < placing->target && count > 0) {
		take(placing, heap[0], heap[0]->reserved + chunk);
		if (heap[0]->reserved + chunk > heap[0]->gpus)
			heap[0] = heap[--count];
		if (count > 0)
			sift(heap, count, 0, chunk);
	}
	free(heap);
}

/* --- chunks of several nodes --- */

/* By domain, then as good for a whole node; what is taken already comes last. */
static int by_domain(const void *a, const void *b)
{
	const struct spot *left = *(struct spot *const *)a, *right = *(struct spot *const *)b;
	if (left->domain != right->domain)
		return (uintptr_t)left->domain < (uintptr_t)right->domain ? -1 : 1;
	if ((left->reserved > 0) != (right->reserved > 0))
		return left->reserved > 0 ? 1 : -1;
	int64_t first = lacking(left, left->gpus), second = lacking(right, right->gpus);
	if (first != second)
		return first < second ? -1 : 1;
	if ((left->before > 0) != (right->before > 0))
		return left->before > 0 ? -1 : 1;
	if (left->used != right->used)
		return left->used > right->used ? -1 : 1;
	return strcmp(left->node->name, right->node->name);
}

struct block {
	size_t first, count;
	int64_t lacks;
	size_t kept; /* of its nodes, chosen before */
};

static bool is_better(const struct block *a, const struct block *b, struct spot **order)
{
	if (b->count == 0 || a->lacks != b->lacks)
		return b->count == 0 || a->lacks < b->lacks;
	if (a->kept != b->kept)
		return a->kept > b->kept;
	return strcmp(order[a->first]->node->name, order[b->first]->node->name) < 0;
}

/* The best block of a chunk at one level (-1: anywhere); count 0 where no domain has so many nodes. */
static struct block best_at(struct placing *placing, struct spot **order, int level, int64_t chunk)
{
	struct block best = {0};
	for (size_t i = 0; i < placing->count; i++) {
		order[i] = &placing->spots[i];
		order[i]->domain =
		    level < 0 ? (const void *)placing : topology_domain_of(placing->spots[i].node, level);
	}
	qsort(order, placing->count, sizeof(struct spot *), by_domain);
	for (size_t at = 0, end; at < placing->count; at = end) {
		struct block block = {.first = at};
		int64_t gpus = 0;
		for (end = at; end < placing->count && order[end]->domain == order[at]->domain; end++) {
			if (gpus >= chunk || order[end]->reserved > 0 || !order[end]->domain)
				continue;
			gpus += order[end]->gpus;
			block.lacks += lacking(order[end], order[end]->gpus);
			block.kept += order[end]->before > 0;
			block.count++;
		}
		if (gpus >= chunk && is_better(&block, &best, order))
			best = block;
	}
	return best;
}

static void place_blocks(struct placing *placing, int64_t chunk)
{
	struct spot **order = xcalloc(placing->count + 1, sizeof(struct spot *));
	struct block block = {.count = 1};
	while (placing->covered < placing->target && block.count > 0) {
		block.count = 0;
		for (int level = (int)placing->fleet->policy->level_count - 1; level >= -1 && block.count == 0; level--)
			block = best_at(placing, order, level, chunk);
		for (size_t i = 0; i < block.count; i++)
			take(placing, order[block.first + i], order[block.first + i]->gpus);
	}
	free(order);
}

/* --- all of them --- */

static int by_use(const void *a, const void *b)
{
	const struct spot *left = *(struct spot *const *)a, *right = *(struct spot *const *)b;
	if ((left->before > 0) != (right->before > 0))
		return left->before > 0 ? -1 : 1;
	if (left->used != right->used)
		return left->used > right->used ? -1 : 1;
	return strcmp(left->node->name, right->node->name);
}

/* Where the class itself fills what is its own, that stays so: the room of a pod that ends is not for others first. But
 * no more of it than the rule's GPUs, or its floor. */
static void keep_filled(struct placing *placing)
{
	struct spot **filled = xcalloc(placing->count + 1, sizeof(struct spot *));
	size_t count = 0;
	int64_t sum = 0;
	for (size_t i = 0; i < placing->count; i++) {
		struct spot *spot = &placing->spots[i];
		if (spot->reserved > spot->used) {
			sum += spot->reserved;
			continue;
		}
		spot->reserved = 0;
		if (spot->used > 0)
			filled[count++] = spot;
	}
	qsort(filled, count, sizeof(struct spot *), by_use);
	int64_t own = headroom__floor(placing->fleet, placing->at);
	for (size_t i = 0; i < count && sum < own; i++) {
		filled[i]->reserved = filled[i]->used;
		sum += filled[i]->used;
	}
	free(filled);
}

static bool apply(struct placing *placing)
{
	bool changed = false;
	for (size_t i = 0; i < placing->count; i++) {
		struct spot *spot = &placing->spots[i];
		if (spot->reserved == 0 && spot->before > 0)
			headroom__drop(placing->fleet, spot->node);
		changed |= spot->reserved != spot->before;
	}
	for (size_t i = 0; i < placing->count; i++) {
		struct spot *spot = &placing->spots[i];
		if (spot->reserved == 0)
			continue;
		if (spot->node->headroom && spot->node->headroom->rule != placing->at)
			headroom__drop(placing->fleet, spot->node); /* of a later rule, which is placed after */
		headroom__reserve(placing->fleet, spot->node, placing->at, spot->resource, spot->reserved);
	}
	return changed;
}

/* Nodes that are not fit any more. */
static bool drop_unfit(struct placing *placing)
{
	bool dropped = false;
	for (struct headroom_hold *hold = placing->fleet->headroom, *next; hold; hold = next) {
		next = hold->next;
		if (hold->rule != placing->at || is_fit(hold->node, placing))
			continue;
		headroom__drop(placing->fleet, hold->node);
		dropped = true;
	}
	return dropped;
}

static bool place(struct fleet *fleet, uint16_t at)
{
	const struct policy_headroom *rule = &fleet->policy->headroom[at];
	struct placing placing = {.fleet = fleet, .rule = rule, .at = at};
	int64_t largest = 0;
	bool changed = drop_unfit(&placing);
	collect(&placing);
	placing.covered = headroom__used(fleet, rule);
	placing.target = headroom__due(fleet, at, placing.covered);
	for (size_t i = 0; i < placing.count; i++)
		largest = placing.spots[i].gpus > largest ? placing.spots[i].gpus : largest;
	if (largest >= rule->chunk)
		place_in_nodes(&placing, rule->chunk);
	else
		place_blocks(&placing, rule->chunk);
	keep_filled(&placing);
	changed |= apply(&placing);
	free(placing.spots);
	return changed;
}

bool headroom_place(struct fleet *fleet)
{
	bool changed = false;
	for (size_t i = 0; fleet->policy && i < fleet->policy->headroom_count; i++)
		changed |= place(fleet, (uint16_t)i);
	fleet->headroom_due = false;
	return changed;
}
