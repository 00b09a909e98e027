/* The preempt verb. kube-scheduler proposes victims by what its own filters see; it knows neither classes nor gangs nor
 * what berth has promised, and it takes any of the nodes left to it. So one node is left: the room there is then held
 * for the preemptor, against everybody else, until its victims are gone. */
#include <stdlib.h>

#include "base/log.h"
#include "berth/preempt.h"
#include "scheduler/filter.h"
#include "scheduler/move/move.h"

#define GRACE_MAX_S 3600 /* room is held no longer than this for victims that do not end */

/* The entries of the victims that are still on the node where the preemptor holds room; NULL when there are none. */
static const struct ledger_entry **victims_left(
    const struct scheduler *s, const struct pod *pod, const struct ledger_entry *held, size_t *count)
{
	const struct tracked *tracked = roster_find(s->roster, slice_of(pod->uid));
	*count = 0;
	if (!tracked || tracked->victim_count == 0 || !held)
		return NULL;
	const struct ledger_entry **left = xcalloc(tracked->victim_count, sizeof *left);
	for (size_t i = 0; i < tracked->victim_count; i++) {
		const struct ledger_entry *victim = ledger_find(s->fleet, slice_of(tracked->victims[i]));
		if (victim && victim->node == held->node)
			left[(*count)++] = victim;
	}
	if (*count > 0)
		return left;
	free(left);
	return NULL;
}

bool preempt_under_way(const struct scheduler *s, const struct pod *pod, const struct ledger_entry *held)
{
	size_t count;
	const struct ledger_entry **left = victims_left(s, pod, held, &count);
	free(left);
	return count > 0;
}

bool preempt_holds(const struct scheduler *s, const struct pod *pod, const struct ledger_entry *held)
{
	size_t count;
	const struct ledger_entry **left = victims_left(s, pod, held, &count);
	bool holds = count > 0 && preempt_fits_without(s->fleet, pod, held->node, left, count);
	free(left);
	return holds;
}

/* Entries of the node whose pods are ending and have a lower priority than the preemptor; to be freed. */
static const struct ledger_entry **ending_below(const struct pod *pod, const struct node *node, size_t *count)
{
	const struct ledger_entry **ending = xcalloc(node->entry_count + 1, sizeof *ending);
	*count = 0;
	for (const struct ledger_entry *entry = node->entries; entry; entry = entry->node_next) {
		struct pod *victim = entry->ending && entry->state == LEDGER_BOUND ? ledger_pod(entry) : NULL;
		if (victim && victim->priority < pod->priority)
			ending[(*count)++] = entry;
		if (victim)
			pod_free(victim);
	}
	return ending;
}

static void have_victims(struct tracked *tracked, const struct ledger_entry *const *victims, size_t count)
{
	roster_forget_victims(tracked);
	tracked->victims = xcalloc(count, sizeof *tracked->victims);
	while (tracked->victim_count < count) {
		tracked->victims[tracked->victim_count] = xstrdup(victims[tracked->victim_count]->uid);
		tracked->victim_count++;
	}
}

bool preempt_recall(struct scheduler *s, const struct wire_args *args, const struct pod *pod)
{
	struct tracked *tracked = roster_find(s->roster, slice_of(pod->uid));
	size_t count;
	if (!tracked || !pod->nominated || !filter_offered(args, pod->nominated) || !scheduler_owns(pod) ||
	    !preempt_allowed(s->fleet, pod))
		return false;
	struct node *node = fleet_find(s->fleet, slice_of(pod->nominated));
	if (!node || !node->spec)
		return false;
	const struct ledger_entry **victims = ending_below(pod, node, &count);
	bool fits = count > 0 && preempt_fits_without(s->fleet, pod, node, victims, count);
	if (fits) {
		log_info("pod's victims are ending", "pod=%s/%s node=%s victims=%zu", pod->namespace_, pod->name,
		    node->name, count);
		have_victims(tracked, victims, count);
		ledger_reserve(
		    s->fleet, pod, slice_of(node->name), LEDGER_ASSUMED, true, clock_now(), scheduler_ttl(s, pod));
		expire_soon(s);
	}
	free(victims);
	return fits;
}

/* --- the candidates, as berth knows them --- */

static struct preempt_victim *read_victims(struct scheduler *s, const struct wire_victims *proposed)
{
	struct preempt_victim *victims = xcalloc(proposed->uid_count + 1, sizeof *victims);
	for (size_t i = 0; i < proposed->uid_count; i++) {
		const struct ledger_entry *entry = ledger_find(s->fleet, proposed->uids[i]);
		struct pod *pod = entry ? ledger_pod(entry) : NULL;
		if (pod)
			owners_resolve(s->owners, pod); /* a Job's owner may have become known since */
		victims[i] = (struct preempt_victim){entry, pod};
	}
	return victims;
}

static struct preempt_candidate *read_candidates(struct scheduler *s, const struct wire_preempt *preempt)
{
	struct preempt_candidate *candidates = xcalloc(preempt->count + 1, sizeof *candidates);
	for (size_t i = 0; i < preempt->count; i++)
		candidates[i] = (struct preempt_candidate){
		    .node = fleet_find(s->fleet, preempt->nodes[i].node),
		    .victim_count = preempt->nodes[i].uid_count,
		    .victims = read_victims(s, &preempt->nodes[i]),
		    .pdb_violations = preempt->nodes[i].pdb_violations,
		};
	return candidates;
}

static void free_candidates(struct preempt_candidate *candidates, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < candidates[i].victim_count; j++)
			pod_free((struct pod *)(uintptr_t)candidates[i].victims[j].pod);
		free((void *)(uintptr_t)candidates[i].victims);
	}
	free(candidates);
}

/* --- the room --- */

static int64_t longest_grace_ns(const struct preempt_candidate *candidate)
{
	int64_t longest = 0;
	for (size_t i = 0; i < candidate->victim_count; i++)
		if (candidate->victims[i].pod->grace_s > longest)
			longest = candidate->victims[i].pod->grace_s;
	return (longest < GRACE_MAX_S ? longest : GRACE_MAX_S) * NS_PER_S;
}

/* Takes the pod over. */
static void hold_room(struct scheduler *s, struct pod *pod, const struct preempt_candidate *candidate)
{
	struct pod *old;
	struct tracked *tracked = roster_find(s->roster, slice_of(pod->uid));
	ledger_reserve(s->fleet, pod, slice_of(candidate->node->name), LEDGER_ASSUMED, true, clock_now(),
	    longest_grace_ns(candidate) + scheduler_ttl(s, pod));
	expire_soon(s);
	log_info("pod preempts", "pod=%s/%s node=%s victims=%zu", pod->namespace_, pod->name, candidate->node->name,
	    candidate->victim_count);
	if (tracked)
		pod_free(pod);
	else
		tracked = roster_put(s->roster, pod, clock_now(), &old);
	hint_leave(s, tracked); /* kube-scheduler nominates this node instead: nothing is left to take back */
	roster_asked(s->roster, tracked);
	roster_forget_victims(tracked);
	tracked->victims = xcalloc(candidate->victim_count, sizeof *tracked->victims);
	for (size_t i = 0; i < candidate->victim_count; i++)
		tracked->victims[tracked->victim_count++] = xstrdup(candidate->victims[i].entry->uid);
	wake_soon(s, REASON_CODE_WAKE_ROOM); /* room held elsewhere may just have been given up */
}

/* A pod whose room is held already gets no more victims: not while those it has are ending, nor while it is bound. */
static bool may_have_victims(const struct scheduler *s, const struct pod *pod)
{
	const struct ledger_entry *entry = ledger_find(s->fleet, slice_of(pod->uid));
	if (!scheduler_owns(pod) || !preempt_allowed(s->fleet, pod) || moves_act(s))
		return false; /* where moves are made, whole units make way */
	return !entry || (entry->state != LEDGER_BOUND && !entry->pinned && !preempt_under_way(s, pod, entry));
}

static size_t choose(struct scheduler *s, const struct pod *pod, const struct wire_preempt *preempt,
    const struct preempt_candidate *candidates)
{
	enum preempt_verdict *verdicts = xcalloc(preempt->count + 1, sizeof *verdicts);
	size_t chosen = preempt_choose(s->fleet, pod, candidates, preempt->count, verdicts);
	if (chosen == SIZE_MAX && hint_make_way(s, pod))
		chosen = preempt_choose(s->fleet, pod, candidates, preempt->count, verdicts);
	for (size_t i = 0; i < preempt->count; i++)
		log_debug("preempt", "pod=%s/%s node=%.*s victims=%zu verdict=%s", pod->namespace_, pod->name,
		    (int)preempt->nodes[i].node.len, preempt->nodes[i].node.at, candidates[i].victim_count,
		    log_quote(preempt_verdict_text(verdicts[i])));
	free(verdicts);
	return chosen;
}

unsigned preempt_answer(void *ctx, const struct wire_preempt *preempt, struct buf *reply)
{
	struct scheduler *s = ctx;
	unsigned status = 200;
	if (!scheduler_synced(s)) {
		wire_write_victims(reply, NULL, 0); /* what is not known is nobody's victim */
		return status;
	}
	struct pod *pod = filter_read_pod(s, &(struct wire_args){.pod = preempt->pod}, reply, &status);
	if (!pod)
		return status;
	if (!may_have_victims(s, pod)) {
		log_debug("preempt", "pod=%s/%s nodes=%zu verdict=\"the pod may have no victims, or has them\"",
		    pod->namespace_, pod->name, preempt->count);
		wire_write_victims(reply, NULL, 0);
		pod_free(pod);
		return status;
	}
	struct preempt_candidate *candidates = read_candidates(s, preempt);
	size_t chosen = choose(s, pod, preempt, candidates);
	wire_write_victims(reply, chosen == SIZE_MAX ? NULL : &preempt->nodes[chosen], chosen != SIZE_MAX);
	if (chosen != SIZE_MAX)
		hold_room(s, pod, &candidates[chosen]);
	else
		pod_free(pod);
	free_candidates(candidates, preempt->count);
	return status;
}
