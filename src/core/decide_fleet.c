/* The best node of the whole fleet without looking at all of them. Of each bucket of the index it is known what its
 * nodes can score at most; buckets are taken in the order of these bounds, nodes of a bucket by name. A bucket is left
 * at the first node that reaches its bound, and the search ends where no bucket's bound reaches the best node found:
 * branch and bound, and exact. */
#include "core/decide_internal.h"

#include <stdlib.h>

#include "core/teams_internal.h"

struct branch {
	double bound;
	const struct index_bucket *bucket;
};

#define BRANCHES_FIRST 256 /* 4 KB of the stack; a fleet of a few models and policies has fewer buckets */

/* A binary heap, the highest bound on top: of many branches only a few are ever taken. */
struct branches {
	struct branch *items; /* first, until it is full */
	size_t count, room;
	struct branch first[BRANCHES_FIRST];
};

static void branches_init(struct branches *branches)
{
	branches->items = branches->first;
	branches->count = 0;
	branches->room = BRANCHES_FIRST;
}

static void branches_free(struct branches *branches)
{
	if (branches->items != branches->first)
		free(branches->items);
}

static void branches_add(struct branches *branches, struct branch branch)
{
	struct branch *held = branches->items == branches->first ? NULL : branches->items;
	if (branches->count == branches->room) {
		branches->room *= 2;
		branches->items = xrealloc(held, branches->room * sizeof(branch));
		if (!held)
			memcpy(branches->items, branches->first, sizeof(branches->first));
	}
	branches->items[branches->count++] = branch;
}

static void branch_sift(struct branches *branches, size_t at)
{
	struct branch moved = branches->items[at];
	for (size_t child; (child = 2 * at + 1) < branches->count; at = child) {
		if (child + 1 < branches->count && branches->items[child + 1].bound > branches->items[child].bound)
			child++;
		if (branches->items[child].bound <= moved.bound)
			break;
		branches->items[at] = branches->items[child];
	}
	branches->items[at] = moved;
}

static struct branch branch_pop(struct branches *branches)
{
	struct branch top = branches->items[0];
	branches->items[0] = branches->items[--branches->count];
	if (branches->count > 0)
		branch_sift(branches, 0);
	return top;
}

static bool shape_suits(const struct need *need, const struct index_shape *shape)
{
	if (need->gpu_count == 0)
		return true;
	/* In a pool where no GPU is left to the team no node is worth a look. */
	if (need->team != TEAM_NONE && teams__room(need->fleet, need->team, shape->pool, need->own, NULL) <= 0)
		return false;
	return shape->allocatable >= need->gpus[0].amount &&
	       judge_gpu(need, &shape->lane, shape->pool, shape->in_two_pools) == REASON_CODE_FITS;
}

static void collect(const struct need *need, struct branches *branches)
{
	resource_id id = need->gpu_count > 0 ? need->gpus[0].id : RESOURCE_CPU;
	int64_t amount = need->gpu_count > 0 ? need->gpus[0].amount : resources_get(&need->pod->demand, id);
	const struct index_lane *lane = index_find(need->fleet->index, id);
	for (size_t s = 0; lane && s < lane->shape_count; s++) {
		const struct index_shape *shape = lane->shapes[s];
		if (!shape_suits(need, shape))
			continue;
		for (size_t b = 0; b < shape->bucket_count; b++) {
			struct offer offer = offer_of_bucket(need, shape->buckets[b]);
			if (offer.free < amount)
				continue;
			branches_add(branches, (struct branch){score_bound(need, &offer), shape->buckets[b]});
		}
	}
	for (size_t i = branches->count / 2; i-- > 0;)
		branch_sift(branches, i);
}

/* The pod's own node is looked at apart: its bucket says what is free there with the pod's entry counted. So are nodes
 * where room is held that it may use. */
static void walk(const struct need *need, const struct branch *branch, struct decision *decision)
{
	for (const struct treap_node *at = treap_first(&branch->bucket->by_name); at; at = treap_after(at)) {
		struct node *node = ((const struct node_slot *)at)->node;
		bool reached = decision->node && decision->score.total == branch->bound;
		if (reached && strcmp(node->name, decision->node->name) >= 0)
			return;
		if (!need_own_node(need, node) && !need_headroom_on(need, node))
			decide__look(need, node, decision);
	}
}

static void search(const struct need *need, struct decision *decision)
{
	struct branches branches;
	branches_init(&branches);
	if (need->own && need->own->node->spec)
		decide__look(need, need->own->node, decision);
	for (struct headroom_hold *hold = need->headroom ? need->fleet->headroom : NULL; hold; hold = hold->next)
		if (need_headroom_on(need, hold->node) && !need_own_node(need, hold->node))
			decide__look(need, hold->node, decision);
	collect(need, &branches);
	while (branches.count > 0) {
		struct branch branch = branch_pop(&branches);
		if (decision->node && decision->score.total > branch.bound)
			break;
		walk(need, &branch, decision);
	}
	branches_free(&branches);
}

/* Nothing fits: the reasons are worth a look at every node. */
static void explain(const struct need *need, struct decision *decision)
{
	const struct map *nodes = &need->fleet->nodes;
	size_t cursor = 0;
	decide__begin(need, decision);
	for (struct node *node; (node = map_next(nodes, &cursor));)
		if (node->spec)
			decide__look(need, node, decision);
	bool unmeetable = decide__maybe_unmeetable(decision);
	struct only_balance balance = {0, 0};
	cursor = 0;
	for (const struct node *node; unmeetable && (node = map_next(nodes, &cursor));)
		decide__weigh_only(need, node, &balance);
	decide__end(need, decision, unmeetable && decide__unmeetable(decision, &balance));
}

void decide_fleet_best(const struct fleet *fleet, const struct pod *pod, struct decision *decision)
{
	struct need need;
	need_init(&need, fleet, pod);
	decide__begin(&need, decision);
	if (need.reason == REASON_CODE_FITS)
		search(&need, decision);
	need_free(&need);
}

void decide_fleet(const struct fleet *fleet, const struct pod *pod, struct decision *decision)
{
	struct need need;
	need_init(&need, fleet, pod);
	decide__begin(&need, decision);
	if (need.reason == REASON_CODE_FITS) {
		search(&need, decision);
		if (!decision->node)
			explain(&need, decision);
	}
	need_free(&need);
}
