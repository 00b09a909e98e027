/* The verbs that never wait: filter decides and reserves, prioritize agrees with it, preempt allows nothing. */
#include <math.h>
#include <stdlib.h>

#include "base/log.h"
#include "cluster/node.h"
#include "cluster/pod.h"
#include "scheduler/internal.h"

#define SCORE_BEST 10 /* extender/v1 MaxExtenderPriority */

static unsigned refuse(struct buf *reply, unsigned status, const char *text)
{
	buf_text(reply, "{\"error\":");
	buf_json_string(reply, slice_of(text));
	buf_char(reply, '}');
	return status;
}

/* Room for one call's candidates. */
static void scratch(struct scheduler *s, size_t count)
{
	if (count <= s->scratch_room)
		return;
	s->scratch_room = count;
	s->candidates = xrealloc(s->candidates, count * sizeof *s->candidates);
	s->verdicts = xrealloc(s->verdicts, count * sizeof *s->verdicts);
	s->refusals = xrealloc(s->refusals, count * sizeof *s->refusals);
}

static struct pod *read_pod(struct scheduler *s, const struct wire_args *args, struct buf *reply, unsigned *status)
{
	struct err err;
	if (!scheduler_synced(s)) {
		*status = refuse(reply, 503, reason_text(REASON_CODE_NOT_SYNCED));
		return NULL;
	}
	struct pod *pod = cluster_pod_decode(args->pod, &s->fleet->names, true, &err);
	if (!pod) {
		*status = refuse(reply, 400, err.text);
		return NULL;
	}
	owners_resolve(s->owners, pod);
	return pod;
}

/* The fleet's nodes of the names in the call. */
static void find_candidates(struct scheduler *s, const struct wire_args *args)
{
	scratch(s, args->count);
	for (size_t i = 0; i < args->count; i++) {
		struct node *node = fleet_find(s->fleet, args->items[i]);
		s->candidates[i] = node && node->spec ? node : NULL;
	}
}

static size_t candidate_at(const struct scheduler *s, const struct wire_args *args, const struct node *node)
{
	for (size_t i = 0; i < args->count; i++)
		if (s->candidates[i] == node)
			return i;
	return SIZE_MAX;
}

/* The name in the call, or NULL. A scan of the names costs far less than finding a node for each. */
static const struct slice *offered(const struct wire_args *args, const char *name)
{
	struct slice wanted = slice_of(name);
	for (size_t i = 0; i < args->count; i++)
		if (slice_equal(args->items[i], wanted))
			return &args->items[i];
	return NULL;
}

static void answer_one(struct buf *reply, struct slice name)
{
	wire_write_names(reply, &name, 1, NULL, 0);
}

/* Every name goes into FailedAndUnresolvableNodes, with one of a few constant texts: in FailedNodes it would make the
 * scheduler preempt for nothing and wake the pod itself. */
static void answer_none(struct scheduler *s, const struct wire_args *args, struct buf *reply)
{
	for (size_t i = 0; i < args->count; i++)
		s->refusals[i] = (struct wire_refusal){args->items[i], reason_text(s->verdicts[i])};
	wire_write_names(reply, NULL, 0, s->refusals, args->count);
}

/* The rejected pod is remembered. The roster's copy is newer than or as new as the call's, which only serves where
 * there is none. */
static void remember(struct scheduler *s, struct pod *pod, enum reason reason)
{
	struct tracked *tracked = roster_find(s->roster, slice_of(pod->uid));
	struct pod *old = NULL;
	if (!tracked)
		tracked = roster_put(s->roster, pod, clock_now(), &old);
	else
		pod_free(pod);
	tracked->asked = true;
	roster_backlog_remove(s->roster, tracked);
	waiting_put(s->waiting, tracked->pod, reason, clock_now(), clock_wall());
	wake_soon(s, REASON_CODE_WAKE_ROOM); /* if it had a turn, the turn passes on */
}

static void take_room(struct scheduler *s, struct pod *pod, const struct node *node)
{
	struct tracked *tracked = roster_find(s->roster, slice_of(pod->uid));
	struct pod *old = NULL;
	ledger_reserve(s->fleet, pod, slice_of(node->name), LEDGER_ASSUMED, true, clock_now(), scheduler_ttl(s, pod));
	expire_soon(s);
	waiting_remove(s->waiting, slice_of(pod->uid));
	if (!tracked)
		tracked = roster_put(s->roster, pod, clock_now(), &old);
	else
		pod_free(pod);
	tracked->asked = true;
	roster_backlog_remove(s->roster, tracked);
}

static void count_decision(struct scheduler *s, enum reason reason)
{
	metric_add(
	    s->instruments.decisions, 1, reason == REASON_CODE_FITS ? "placed" : "rejected", reason_code(reason), NULL);
}

/* The room the pod holds already, if the call offers it and it still fits: calls are idempotent per UID. */
static struct node *held_node(
    struct scheduler *s, const struct wire_args *args, const struct pod *pod, const struct ledger_entry *entry)
{
	if (!entry || !offered(args, entry->node->name))
		return NULL;
	if (entry->state == LEDGER_BOUND)
		return entry->node;
	return decide_node(s->fleet, pod, entry->node, NULL) == REASON_CODE_FITS ? entry->node : NULL;
}

/* The best node offered. Nearly always that is the best of the fleet, which its indexes give at once; only where
 * kube-scheduler has ruled that one out, or nothing fits, is every name looked at. */
static void decide_offered(
    struct scheduler *s, const struct wire_args *args, const struct pod *pod, struct decision *decision)
{
	decide_fleet_best(s->fleet, pod, decision);
	if (decision->node && offered(args, decision->node->name))
		return;
	find_candidates(s, args);
	decide_among(s->fleet, pod, s->candidates, args->count, decision, s->verdicts);
}

static void filter_names(struct scheduler *s, const struct wire_args *args, struct pod *pod, struct buf *reply)
{
	struct decision decision = {.reason = REASON_CODE_FITS};
	struct ledger_entry *entry = ledger_find(s->fleet, slice_of(pod->uid));
	struct node *node = held_node(s, args, pod, entry);
	if (!node && entry && entry->state == LEDGER_BOUND) {
		decision.reason = REASON_CODE_BOUND_ELSEWHERE;
		scratch(s, args->count);
		for (size_t i = 0; i < args->count; i++)
			s->verdicts[i] = decision.reason;
	} else if (!node) {
		decide_offered(s, args, pod, &decision);
		node = decision.node;
	}
	count_decision(s, decision.reason);
	log_debug("filter", "pod=%s/%s names=%zu node=%s reason=%s", pod->namespace_, pod->name, args->count,
	    node ? node->name : "", reason_code(decision.reason));
	if (node) {
		answer_one(reply, *offered(args, node->name));
		take_room(s, pod, node);
		wake_soon(s, REASON_CODE_WAKE_ROOM); /* room held elsewhere may just have been given up */
		return;
	}
	answer_none(s, args, reply);
	if (decision.reason == REASON_CODE_BOUND_ELSEWHERE) {
		pod_free(pod);
		return;
	}
	/* The nominated node is tried alone before all others: failing there gives up nothing that is held elsewhere.
	 */
	bool nominated_alone = args->count == 1 && pod->nominated && slice_is(args->items[0], pod->nominated);
	if (entry && !entry->pinned && !nominated_alone) {
		ledger_release(s->fleet, entry);
		wake_soon(s, REASON_CODE_WAKE_ROOM);
	}
	remember(s, pod, decision.reason);
}

/* --- requests that carry whole Nodes: judged by what they carry, nothing is kept --- */

static bool whole_nodes(struct scheduler *s, const struct wire_args *args, struct err *err)
{
	scratch(s, args->count);
	for (size_t i = 0; i < args->count; i++) {
		struct node_spec *spec =
		    cluster_node_decode(args->items[i], &s->fleet->names, &s->catalogue->gpus, err);
		if (!spec) {
			while (i > 0)
				decide_whole_node_free(s->candidates[--i]);
			return false;
		}
		s->candidates[i] = decide_whole_node(s->fleet, spec);
	}
	return true;
}

static void free_whole_nodes(struct scheduler *s, size_t count)
{
	while (count > 0)
		decide_whole_node_free(s->candidates[--count]);
}

static unsigned filter_whole(
    struct scheduler *s, const struct wire_args *args, const struct pod *pod, struct buf *reply)
{
	struct err err;
	struct decision decision;
	if (!whole_nodes(s, args, &err))
		return refuse(reply, 400, err.text);
	decide_among(s->fleet, pod, s->candidates, args->count, &decision, s->verdicts);
	if (decision.node) {
		wire_write_nodes(reply, &args->items[candidate_at(s, args, decision.node)], 1, NULL, 0);
	} else {
		for (size_t i = 0; i < args->count; i++)
			s->refusals[i] =
			    (struct wire_refusal){slice_of(s->candidates[i]->name), reason_text(s->verdicts[i])};
		wire_write_nodes(reply, NULL, 0, s->refusals, args->count);
	}
	free_whole_nodes(s, args->count);
	return 200;
}

unsigned filter_answer(void *ctx, const struct wire_args *args, struct buf *reply)
{
	struct scheduler *s = ctx;
	unsigned status;
	struct pod *pod = read_pod(s, args, reply, &status);
	if (!pod)
		return status;
	if (args->by_name && args->count > 0) {
		filter_names(s, args, pod, reply);
		return 200;
	}
	if (args->by_name) {
		wire_write_names(reply, NULL, 0, NULL, 0);
		status = 200;
	} else {
		status = filter_whole(s, args, pod, reply);
	}
	pod_free(pod);
	return status;
}

/* --- prioritize --- */

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
	struct node *chosen = args->by_name ? held_node(s, args, pod, entry) : NULL;
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
	struct pod *pod = read_pod(s, args, reply, &status);
	if (!pod)
		return status;
	if (args->by_name) {
		find_candidates(s, args);
		score_candidates(s, args, pod, reply);
	} else if (whole_nodes(s, args, &err)) {
		score_candidates(s, args, pod, reply);
		free_whole_nodes(s, args->count);
	} else {
		status = refuse(reply, 400, err.text);
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
