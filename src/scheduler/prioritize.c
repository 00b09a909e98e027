/* The verbs that reserve nothing: prioritize agrees with filter, preempt allows nothing. */
#include <math.h>
#include <stdlib.h>

#include "scheduler/filter.h"

#define SCORE_BEST 10 /* extender/v1 MaxExtenderPriority */

static int64_t scaled(double total, double best)
{
	if (best <= 0)
		return 0;
	int64_t score = (int64_t)floor(total / best * SCORE_BEST);
	return score >= SCORE_BEST ? SCORE_BEST - 1 : score < 0 ? 0 : score;
}

static void score_candidates(
    struct scheduler *s, const struct wire_args *args, const struct pod *pod, struct buf *reply)
{
	struct decision decision;
	struct score score;
	struct ledger_entry *entry = ledger_find(s->fleet, slice_of(pod->uid));
	struct wire_score *scores = xcalloc(args->count + 1, sizeof *scores);
	decide_among(s->fleet, pod, s->candidates, args->count, &decision, s->verdicts);
	/* What filter would answer wins alone: the room already held, else the best. */
	struct node *chosen = args->by_name ? filter_held_node(s, args, pod, entry) : NULL;
	if (!chosen)
		chosen = decision.node;
	for (size_t i = 0; i < args->count; i++) {
		struct node *node = s->candidates[i];
		scores[i].host = args->by_name ? args->items[i] : slice_of(node->name);
		if (s->verdicts[i] != REASON_CODE_FITS)
			continue;
		decide_node(s->fleet, pod, node, &score);
		scores[i].score = node == chosen ? SCORE_BEST : scaled(score.total, decision.score.total);
	}
	wire_write_scores(reply, scores, args->count);
	free(scores);
}

unsigned prioritize_answer(void *ctx, const struct wire_args *args, struct buf *reply)
{
	struct scheduler *s = ctx;
	struct err err;
	unsigned status = 200;
	struct pod *pod = filter_read_pod(s, args, reply, &status);
	if (!pod)
		return status;
	if (args->by_name) {
		filter_find_candidates(s, args);
		score_candidates(s, args, pod, reply);
	} else if (filter_whole_nodes(s, args, &err)) {
		score_candidates(s, args, pod, reply);
		filter_free_whole_nodes(s, args->count);
	} else {
		status = filter_refuse(reply, 400, err.text);
	}
	pod_free(pod);
	return status;
}

unsigned preempt_answer(void *ctx, const struct wire_preempt *preempt, struct buf *reply)
{
	(void)ctx;
	(void)preempt;
	/* No class may preempt: the scheduler then looks for no victims. */
	wire_write_no_victims(reply);
	return 200;
}
