/* The prioritize verb: reserves nothing, and agrees with filter. */
#include <math.h>
#include <stdlib.h>

#include "scheduler/advise.h"
#include "scheduler/filter.h"

/* --- advise mode --- */

/* How Scores are made in advise mode. kube-scheduler adds Score x weight x 10 to its own scores: with the weight 200 of
 * config/kube-scheduler.yaml one point is worth 2,000, and all in-tree scores together reach about 1,400. So a point
 * always decides, and in-tree scores decide only where Scores are equal. berth's best node has 10, so have those that
 * are as good; of the others each has 0 to 9, by the share of the way that its total stands from the worst to the best.
 *
 * What "as good" is depends on why the pod is here:
 *
 *   its class says advise    all terms count, and only equal totals are as good: where decide mode goes by the node's
 *                            name, the in-tree scores go.
 *   it has soft spread or    what the pod itself says of its peers comes first, and how full the nodes are must not
 *   soft pod affinity        speak against it: bestFit is silent, and so is wholeNodes for a pod with GPUs (one without
 *                            is still kept off GPU nodes by it). The terms left are what pod and policy name: taints,
 *                            node affinity, prefer, spreadOver. A difference that memoryFit and cost can make together
 *                            by their default weights, less than packing is worth, counts as none. So the pod goes to
 *                            the nodes its class prefers, and among them as a plain kube-scheduler would send it. */
#define SCORE_BEST 10       /* extender/v1 MaxExtenderPriority */
#define SAME 1e-6           /* what rounding can make of equal totals */
#define NEARLY_THE_SAME 6.0 /* memoryFit 4 + cost 2 */

static void advise_scores(struct scheduler *s, const struct pod *pod, struct wire_score *scores, size_t count)
{
	enum reason why;
	const struct policy_class *class_ = policy_class_of(s->policy.inforce, pod, &why);
	struct score *each = xcalloc(count + 1, sizeof *each);
	double best = -INFINITY, worst = INFINITY;
	double near = pod->soft_spread ? NEARLY_THE_SAME : SAME;
	bool has_gpus = decide_gpu_units(s->fleet, &pod->demand) > 0;
	decide_each(s->fleet, pod, s->candidates, count, s->verdicts, each);
	for (size_t i = 0; i < count; i++) {
		if (s->verdicts[i] != REASON_CODE_FITS)
			continue;
		if (pod->soft_spread && class_)
			advise_mute(class_, &each[i], has_gpus);
		best = fmax(best, each[i].total);
		worst = fmin(worst, each[i].total);
	}
	for (size_t i = 0; i < count; i++) {
		if (s->verdicts[i] != REASON_CODE_FITS)
			scores[i].score = 0;
		else if (best - each[i].total <= near)
			scores[i].score = SCORE_BEST;
		else
			scores[i].score = (int64_t)floor((each[i].total - worst) / (best - worst) * SCORE_BEST);
	}
	free(each);
}

/* --- decide mode: what filter would answer wins alone --- */

static int64_t scaled(double total, double best)
{
	if (best <= 0)
		return 0;
	int64_t score = (int64_t)floor(total / best * SCORE_BEST);
	return score >= SCORE_BEST ? SCORE_BEST - 1 : score < 0 ? 0 : score;
}

/* With `held` it is the room that the pod holds, else the best. */
static void decide_scores(
    struct scheduler *s, const struct pod *pod, const struct node *held, struct wire_score *scores, size_t count)
{
	struct decision decision;
	struct score score;
	decide_among(s->fleet, pod, s->candidates, count, &decision, s->verdicts);
	const struct node *chosen = held ? held : decision.node;
	for (size_t i = 0; i < count; i++) {
		struct node *node = s->candidates[i];
		if (s->verdicts[i] != REASON_CODE_FITS)
			continue;
		decide_node(s->fleet, pod, node, &score);
		scores[i].score = node == chosen ? SCORE_BEST : scaled(score.total, decision.score.total);
	}
}

static void score_candidates(
    struct scheduler *s, const struct wire_args *args, const struct pod *pod, struct buf *reply)
{
	struct ledger_entry *entry = ledger_find(s->fleet, slice_of(pod->uid));
	const struct node *held = args->by_name ? filter_held_node(s, args, pod, entry) : NULL;
	struct wire_score *scores = xcalloc(args->count + 1, sizeof *scores);
	for (size_t i = 0; i < args->count; i++)
		scores[i].host = args->by_name ? args->items[i] : slice_of(s->candidates[i]->name);
	if (!held && advise_applies(s, pod))
		advise_scores(s, pod, scores, args->count);
	else
		decide_scores(s, pod, held, scores, args->count);
	wire_write_scores(reply, scores, args->count);
	free(scores);
}

unsigned prioritize_answer(void *ctx, const struct wire_args *asked, struct buf *reply)
{
	struct scheduler *s = ctx;
	struct wire_args args = *asked;
	struct err err;
	unsigned status = 200;
	struct pod *pod = filter_read_pod(s, &args, reply, &status);
	if (!pod)
		return status;
	if (args.by_name) {
		filter_find_candidates(s, &args);
		score_candidates(s, &args, pod, reply);
	} else if (filter_whole_nodes(s, &args, &err)) {
		score_candidates(s, &args, pod, reply);
		filter_free_whole_nodes(s, args.count);
	} else {
		status = filter_refuse(reply, 400, err.text);
	}
	pod_free(pod);
	return status;
}
