#include "core/score.h"

static double model_fit(const struct need *need, uint16_t pool)
{
	const struct policy_class *class_ = need->class_;
	if (!class_ || class_->prefer_count == 0)
		return 1;
	for (size_t i = 0; i < class_->prefer_count; i++)
		if (class_->prefer[i] == pool)
			return (double)(class_->prefer_count - i) / (double)class_->prefer_count;
	return 0;
}

static double unit_cost(const struct gpu_lane *lane)
{
	double cost = lane->model->cost;
	switch (lane->unit) {
	case GPU_WHOLE:
		break;
	case GPU_SHARE:
		return cost / (lane->replicas > 0 ? lane->replicas : 1);
	case GPU_SLICE:
		return lane->profile ? cost * lane->profile->compute / (lane->model->slices == 4 ? 4 : 7) : cost;
	}
	return cost;
}

static void gpu_terms(const struct need *need, const struct offer *offer, double *terms)
{
	const struct gpu_lane *lane = offer->lane;
	int64_t amount = need->gpus[0].amount;
	bool all_free = offer->free == offer->allocatable;
	terms[SCORE_MODEL_FIT] = model_fit(need, offer->pool);
	terms[SCORE_BEST_FIT] =
	    offer->allocatable > 0 ? 1 - (double)(offer->free - amount) / (double)offer->allocatable : 1;
	terms[SCORE_WHOLE_NODES] = all_free && amount < offer->allocatable ? 0 : 1;
	terms[SCORE_MEMORY_FIT] = need->memory_mib > 0 && need->memory_mib < lane->memory_mib
	                              ? (double)need->memory_mib / (double)lane->memory_mib
	                              : 1;
	terms[SCORE_COST] = lane->model && lane->model->cost > 0 ? 1 / (1 + unit_cost(lane)) : 0;
}

static void cpu_terms(const struct offer *offer, double *terms)
{
	double full = (16 - offer->cpu_sixteenths) / 16.0;
	terms[SCORE_MODEL_FIT] = terms[SCORE_MEMORY_FIT] = terms[SCORE_COST] = 1;
	terms[SCORE_WHOLE_NODES] = offer->has_gpus ? 0 : 1;
	terms[SCORE_BEST_FIT] = offer->has_gpus ? full / 2 : (1 + full) / 2;
}

/* The terms that are the same for all nodes of one offer. */
static void offer_terms(const struct need *need, const struct offer *offer, double *terms)
{
	if (need->gpu_count > 0)
		gpu_terms(need, offer, terms);
	else
		cpu_terms(offer, terms);
}

/* A driver upgrade that is due counts as such a taint to a pod with GPUs: its pods will have to go soon. */
static double prefer_no_schedule(const struct need *need, const struct node_spec *spec)
{
	const struct pod *pod = need->pod;
	unsigned untolerated = need->gpu_count > 0 && spec->upgrade == UPGRADE_DUE;
	for (size_t i = 0; i < spec->taint_count; i++)
		untolerated += spec->taints[i].effect == TAINT_PREFER_NO_SCHEDULE &&
		               !taint_tolerated(&spec->taints[i], pod->tolerations, pod->toleration_count);
	return 1.0 / (1 + untolerated);
}

static double node_affinity(const struct need *need, const struct node *node)
{
	int64_t met = 0;
	if (need->preferred_weight <= 0)
		return 1;
	for (size_t i = 0; i < need->pod->preferred_count; i++)
		if (node_term_matches(&need->pod->preferred[i].term, node->name, &node->spec->labels))
			met += need->pod->preferred[i].weight;
	return (double)met / (double)need->preferred_weight;
}

static double siblings_apart(size_t siblings)
{
	return 1 / (1 + (double)siblings);
}

static double total_of(const struct need *need, const double *terms)
{
	double total = 0;
	for (int term = 0; term < SCORE_TERM_COUNT; term++)
		total += need->weights[term] * terms[term];
	return total;
}

void score_node(const struct need *need, const struct node *node, struct score *score)
{
	struct offer offer = offer_of_node(need, node);
	offer_terms(need, &offer, score->terms);
	score->terms[SCORE_PREFER_NO_SCHEDULE] = prefer_no_schedule(need, node->spec);
	score->terms[SCORE_NODE_AFFINITY] = node_affinity(need, node);
	score->terms[SCORE_SIBLINGS_APART] = 1;
	if (need->spreads)
		score->terms[SCORE_SIBLINGS_APART] = siblings_apart(siblings_near(&need->siblings, node));
	score->total = total_of(need, score->terms);
}

/* Rounding keeps order, so no node's total is above the bound, and one whose own terms are at their best reaches it to
 * the bit. */
double score_bound(const struct need *need, const struct offer *offer)
{
	double terms[SCORE_TERM_COUNT];
	offer_terms(need, offer, terms);
	terms[SCORE_PREFER_NO_SCHEDULE] = need->weights[SCORE_PREFER_NO_SCHEDULE] >= 0 ? 1 : 0;
	terms[SCORE_NODE_AFFINITY] = need->weights[SCORE_NODE_AFFINITY] >= 0 ? 1 : 0;
	terms[SCORE_SIBLINGS_APART] =
	    need->weights[SCORE_SIBLINGS_APART] >= 0 ? siblings_apart(need->siblings.least) : 0;
	return total_of(need, terms);
}
