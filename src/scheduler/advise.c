#include "scheduler/advise.h"

#include <stdlib.h>

bool advise_applies(const struct scheduler *s, const struct pod *pod)
{
	enum reason why;
	if (pod->soft_spread)
		return true;
	const struct policy_class *class_ = policy_class_of(s->policy.inforce, pod, &why);
	return class_ && class_->advise;
}

void advise_answer(const struct scheduler *s, const struct wire_args *args, struct buf *reply)
{
	size_t count = 0;
	struct slice *fitting = xcalloc(args->count + 1, sizeof *fitting);
	for (size_t i = 0; i < args->count; i++)
		if (s->verdicts[i] == REASON_CODE_FITS)
			fitting[count++] = args->items[i];
	if (args->by_name)
		wire_write_names(reply, fitting, count, NULL, 0);
	else
		wire_write_nodes(reply, fitting, count, NULL, 0);
	free(fitting);
}

static bool is_silent(enum score_term term, bool has_gpus)
{
	return term == SCORE_BEST_FIT || (term == SCORE_WHOLE_NODES && has_gpus);
}

void advise_mute(const struct policy_class *class_, struct score *score, bool has_gpus)
{
	score->total = 0;
	for (enum score_term term = 0; term < SCORE_TERM_COUNT; term++) {
		if (is_silent(term, has_gpus))
			score->terms[term] = 0;
		score->total += class_->weights[term] * score->terms[term];
	}
}

void advise_best(
    struct scheduler *s, const struct pod *pod, struct node *const *nodes, size_t count, struct decision *decision)
{
	enum reason why;
	const struct policy_class *class_ = policy_class_of(s->policy.inforce, pod, &why);
	if (!decision->node || !pod->soft_spread || !class_)
		return;
	bool has_gpus = decide_gpu_units(s->fleet, &pod->demand) > 0;
	struct score *each = xcalloc(count + 1, sizeof *each);
	enum reason *verdicts = xcalloc(count + 1, sizeof *verdicts);
	decide_each(s->fleet, pod, nodes, count, verdicts, each);
	advise_mute(class_, &decision->score, has_gpus);
	for (size_t i = 0; i < count; i++) {
		if (verdicts[i] != REASON_CODE_FITS)
			continue;
		advise_mute(class_, &each[i], has_gpus);
		if (each[i].total > decision->score.total) {
			decision->node = nodes[i];
			decision->score = each[i];
		}
	}
	free(each);
	free(verdicts);
}
