#include "berth/preempt.h"

#include <stdlib.h>

#include "core/decide_internal.h"
#include "core/teams_internal.h"
#include "core/usage.h"

const char *preempt_verdict_text(enum preempt_verdict verdict)
{
	static const char *const texts[] = {
#define X(id, text) [PREEMPT_##id] = (text),
	    PREEMPT_TABLE(X)
#undef X
	};
	return texts[verdict];
}

bool preempt_allowed(const struct fleet *fleet, const struct pod *preemptor)
{
	enum reason why;
	if (!fleet->policy || pod_in_gang(preemptor))
		return false;
	const struct policy_class *class_ = policy_class_of(fleet->policy, preemptor, &why);
	return class_ && class_->may_preempt_count > 0;
}

/* The node as it will be: what does not change is shared with it. Only `used` is to be freed. */
static struct node without(const struct node *node, const struct ledger_entry *const *gone, size_t count)
{
	struct node emptied = *node;
	emptied.used_room = node->used.count + 1u;
	emptied.used.items = xcalloc(emptied.used_room, sizeof(*emptied.used.items));
	if (node->used.count > 0)
		memcpy(emptied.used.items, node->used.items, node->used.count * sizeof(*node->used.items));
	usage_without(&emptied, gone, count);
	return emptied;
}

static enum reason judge_without(const struct fleet *fleet, const struct pod *pod, const struct node *node,
    const struct ledger_entry *const *gone, size_t count, struct score *score)
{
	if (!node->spec)
		return REASON_CODE_NODE_UNKNOWN;
	struct node emptied = without(node, gone, count);
	struct teams_gone left = {gone, count};
	struct need need;
	need_init(&need, fleet, pod);
	need.gone = &left;
	enum reason reason = decide__node(&need, &emptied, score);
	need_free(&need);
	free(emptied.used.items);
	return reason;
}

bool preempt_fits_without(const struct fleet *fleet, const struct pod *pod, const struct node *node,
    const struct ledger_entry *const *gone, size_t count)
{
	return judge_without(fleet, pod, node, gone, count, NULL) == REASON_CODE_FITS;
}

static enum preempt_verdict judge_victim(const struct fleet *fleet, const struct policy_class *class_,
    const struct node *node, const struct preempt_victim *victim)
{
	enum reason why;
	if (!victim->entry || victim->entry->node != node)
		return PREEMPT_VICTIM_UNKNOWN;
	if (!victim->entry->ours)
		return PREEMPT_VICTIM_FOREIGN;
	if (victim->entry->state != LEDGER_BOUND)
		return PREEMPT_VICTIM_PARKED;
	if (!victim->pod)
		return PREEMPT_VICTIM_UNKNOWN;
	if (pod_in_gang(victim->pod))
		return PREEMPT_VICTIM_IN_GANG;
	const struct policy_class *of = policy_class_of(fleet->policy, victim->pod, &why);
	return of && policy_may_preempt(fleet->policy, class_, of) ? PREEMPT_STAYS : PREEMPT_VICTIM_CLASS;
}

/* A victim named twice gives its room once. */
static bool named_before(const struct preempt_candidate *candidate, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (candidate->victims[j].entry == candidate->victims[i].entry)
			return true;
	return false;
}

/* How good a candidate is; what kube-scheduler compares comes first, in its order. */
struct rank {
	int64_t pdb_violations, highest_priority, priority_sum;
	size_t victims;
	double score;
	const char *name;
};

static enum preempt_verdict judge(const struct fleet *fleet, const struct pod *preemptor,
    const struct preempt_candidate *candidate, struct rank *rank)
{
	enum reason why;
	const struct policy_class *class_ = policy_class_of(fleet->policy, preemptor, &why);
	if (!class_ || !candidate->node)
		return PREEMPT_NODE_UNKNOWN;
	if (candidate->victim_count == 0)
		return PREEMPT_NO_VICTIMS;
	const struct ledger_entry **gone = xcalloc(candidate->victim_count, sizeof(*gone));
	size_t count = 0;
	enum preempt_verdict verdict = PREEMPT_STAYS;
	*rank = (struct rank){
	    .pdb_violations = candidate->pdb_violations, .highest_priority = INT64_MIN, .name = candidate->node->name};
	for (size_t i = 0; i < candidate->victim_count && verdict == PREEMPT_STAYS; i++) {
		const struct preempt_victim *victim = &candidate->victims[i];
		verdict = judge_victim(fleet, class_, candidate->node, victim);
		if (verdict != PREEMPT_STAYS || named_before(candidate, i))
			continue;
		int64_t priority = victim->pod->priority;
		gone[count++] = victim->entry;
		rank->priority_sum += priority - INT32_MIN; /* so that more victims never sum to less */
		if (priority > rank->highest_priority)
			rank->highest_priority = priority;
	}
	rank->victims = count;
	struct score score = {.total = 0};
	if (verdict == PREEMPT_STAYS &&
	    judge_without(fleet, preemptor, candidate->node, gone, count, &score) != REASON_CODE_FITS)
		verdict = PREEMPT_NO_ROOM;
	rank->score = score.total;
	free(gone);
	return verdict;
}

enum preempt_verdict preempt_judge(
    const struct fleet *fleet, const struct pod *preemptor, const struct preempt_candidate *candidate)
{
	struct rank rank;
	return judge(fleet, preemptor, candidate, &rank);
}

static bool better(const struct rank *a, const struct rank *b)
{
	if (a->pdb_violations != b->pdb_violations)
		return a->pdb_violations < b->pdb_violations;
	if (a->highest_priority != b->highest_priority)
		return a->highest_priority < b->highest_priority;
	if (a->priority_sum != b->priority_sum)
		return a->priority_sum < b->priority_sum;
	if (a->victims != b->victims)
		return a->victims < b->victims;
	return a->score != b->score ? a->score > b->score : strcmp(a->name, b->name) < 0;
}

size_t preempt_choose(const struct fleet *fleet, const struct pod *preemptor,
    const struct preempt_candidate *candidates, size_t count, enum preempt_verdict *verdicts)
{
	struct rank best = {.name = NULL};
	size_t chosen = SIZE_MAX;
	for (size_t i = 0; i < count; i++) {
		struct rank rank;
		enum preempt_verdict verdict = judge(fleet, preemptor, &candidates[i], &rank);
		if (verdicts)
			verdicts[i] = verdict;
		if (verdict != PREEMPT_STAYS || (chosen != SIZE_MAX && !better(&rank, &best)))
			continue;
		best = rank;
		chosen = i;
	}
	return chosen;
}
