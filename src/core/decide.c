#include "berth/decide.h"

#include <stdlib.h>

#include "core/decide_internal.h"
#include "core/fleet_internal.h"
#include "core/index.h"

int64_t decide_gpu_units(const struct fleet *fleet, const struct resources *demand)
{
	return need_gpu_units(fleet, demand);
}

enum reason decide__node(const struct need *need, const struct node *node, struct score *score)
{
	if (need->reason != REASON_CODE_FITS)
		return need->reason;
	if (!node)
		return REASON_CODE_NODE_UNKNOWN;
	enum reason verdict = judge_node(need, node);
	if (verdict == REASON_CODE_FITS && score)
		score_node(need, node, score);
	return verdict;
}

enum reason decide_node(const struct fleet *fleet, const struct pod *pod, struct node *node, struct score *score)
{
	struct need need;
	need_init(&need, fleet, pod);
	enum reason verdict = decide__node(&need, node, score);
	need_free(&need);
	return verdict;
}

void decide__begin(const struct need *need, struct decision *decision)
{
	*decision = (struct decision){.reason = need->reason, .class_ = need->class_};
	if (need->reason == REASON_CODE_FITS)
		decision->reason = REASON_CODE_NO_CANDIDATES;
}

enum reason decide__look(const struct need *need, struct node *node, struct decision *decision)
{
	struct score score;
	enum reason verdict = decide__node(need, node, &score);
	decision->seen++;
	decision->by_reason[verdict]++;
	if (verdict != REASON_CODE_FITS)
		return verdict;
	bool better = !decision->node || score.total > decision->score.total ||
	              (score.total == decision->score.total && strcmp(node->name, decision->node->name) < 0);
	if (better) {
		decision->reason = REASON_CODE_FITS;
		decision->node = node;
		decision->score = score;
	}
	return verdict;
}

bool decide__maybe_unmeetable(const struct decision *decision)
{
	if (decision->by_reason[REASON_CODE_ONLY_FORBIDS] == 0)
		return false;
	for (int reason = REASON_CODE_GPU_MEMORY + 1; reason < REASON_COUNT; reason++)
		if (decision->by_reason[reason] > 0)
			return false;
	return true;
}

void decide__weigh_only(const struct need *need, const struct node *node, struct only_balance *balance)
{
	if (judge_meant_for(need, node))
		balance->allowed++;
	else if (judge_only_forbids(need, node))
		balance->forbidden++;
}

/* Where the allowed GPUs are too small for the pod, others must be large enough, or it is not the class that stands in
 * its way. */
bool decide__unmeetable(const struct decision *decision, const struct only_balance *balance)
{
	bool too_small = decision->by_reason[REASON_CODE_DTYPE] + decision->by_reason[REASON_CODE_GPU_MEMORY] > 0;
	return balance->allowed == 0 && (balance->forbidden > 0 || !too_small);
}

void decide__end(const struct need *need, struct decision *decision, bool unmeetable)
{
	if (need->reason != REASON_CODE_FITS || decision->node)
		return;
	for (int reason = 0; reason < REASON_COUNT; reason++)
		if (decision->by_reason[reason] > 0)
			decision->reason = (enum reason)reason;
	if (unmeetable)
		decision->reason = REASON_CODE_ONLY_UNMEETABLE;
}

static bool unmeetable_among(
    const struct need *need, const struct decision *decision, struct node *const *nodes, size_t count)
{
	struct only_balance balance = {0, 0};
	if (!decide__maybe_unmeetable(decision))
		return false;
	for (size_t i = 0; i < count; i++)
		if (nodes[i])
			decide__weigh_only(need, nodes[i], &balance);
	return decide__unmeetable(decision, &balance);
}

void decide_among(const struct fleet *fleet, const struct pod *pod, struct node *const *nodes, size_t count,
    struct decision *decision, enum reason *reasons)
{
	struct need need;
	need_init(&need, fleet, pod);
	decide__begin(&need, decision);
	for (size_t i = 0; i < count; i++) {
		enum reason verdict = decide__look(&need, nodes[i], decision);
		if (reasons)
			reasons[i] = verdict;
	}
	decide__end(&need, decision, unmeetable_among(&need, decision, nodes, count));
	need_free(&need);
}

void decide_each(const struct fleet *fleet, const struct pod *pod, struct node *const *nodes, size_t count,
    enum reason *reasons, struct score *scores)
{
	struct need need;
	need_init(&need, fleet, pod);
	for (size_t i = 0; i < count; i++)
		reasons[i] = decide__node(&need, nodes[i], &scores[i]);
	need_free(&need);
}

struct node *decide_whole_node(const struct fleet *fleet, struct node_spec *spec)
{
	struct node *node = xcalloc(1, sizeof(*node));
	const struct node *held = fleet_find(fleet, slice_of(spec->name));
	node->name = spec->name;
	node->spec = spec;
	fleet__classify(fleet->policy, node);
	node->domain = (struct topology_domain *)(uintptr_t)topology_narrowest(&fleet->index->topology, node->domains);
	if (held) {
		node->headroom = held->headroom;
		node->quarantined = held->quarantined;
		node->repartitioned = held->repartitioned;
	}
	if (held && held->used.count > 0) {
		node->used.items = xcalloc(held->used.count, sizeof(*held->used.items));
		memcpy(node->used.items, held->used.items, held->used.count * sizeof(*held->used.items));
		node->used.count = held->used.count;
		node->used_room = held->used.count;
		node->foreign_gpus = held->foreign_gpus;
	}
	return node;
}

void decide_whole_node_free(struct node *node)
{
	if (!node)
		return;
	free(node->used.items);
	node_spec_free(node->spec);
	free(node);
}
