/* The filter verb: decides and reserves. */
#include <stdlib.h>

#include "base/log.h"
#include "cluster/node.h"
#include "cluster/pod.h"
#include "scheduler/advise.h"
#include "scheduler/filter.h"
#include "scheduler/gang/gang.h"
#include "scheduler/move/move.h"
#include "scheduler/repartition/repartition.h"
#include "scheduler/team/team.h"

unsigned filter_refuse(struct buf *reply, unsigned status, const char *text)
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

struct pod *filter_read_pod(struct scheduler *s, const struct wire_args *args, struct buf *reply, unsigned *status)
{
	struct err err;
	if (!scheduler_synced(s)) {
		*status = filter_refuse(reply, 503, reason_text(REASON_CODE_NOT_SYNCED));
		return NULL;
	}
	struct pod *pod = cluster_pod_decode(args->pod, &s->fleet->names, true, &err);
	if (!pod) {
		*status = filter_refuse(reply, 400, err.text);
		return NULL;
	}
	/* No such pod can exist: its name stands in paths, logs and answers from here on. */
	if (!bind_path_safe(slice_of(pod->namespace_)) || !bind_path_safe(slice_of(pod->name))) {
		pod_free(pod);
		*status = filter_refuse(reply, 400, "pod: its name or namespace is none");
		return NULL;
	}
	feed_learn(s, pod);
	gang_resolve(s, pod);
	return pod;
}

/* Nodes know the call that offered them last; only the names that nobody knows are gathered. */
static bool is_repeated(const struct scheduler *s, struct node *node, struct slice *name, struct map *unknown)
{
	if (!node)
		return map_put(unknown, *name, name) != NULL;
	bool repeated = node->call == s->call;
	node->call = s->call;
	return repeated;
}

void filter_find_candidates(struct scheduler *s, struct wire_args *args)
{
	struct map unknown = {0};
	size_t kept = 0;
	scratch(s, args->count);
	s->call++;
	for (size_t i = 0; i < args->count; i++) {
		struct node *node = fleet_find(s->fleet, args->items[i]);
		if (is_repeated(s, node, &args->items[i], &unknown))
			continue;
		args->items[kept] = args->items[i];
		s->candidates[kept++] = node && node->spec ? node : NULL;
	}
	args->count = kept;
	map_free(&unknown);
}

static size_t candidate_at(const struct scheduler *s, const struct wire_args *args, const struct node *node)
{
	for (size_t i = 0; i < args->count; i++)
		if (s->candidates[i] == node)
			return i;
	return SIZE_MAX;
}

/* A scan of the names costs far less than finding a node for each. */
const struct slice *filter_offered(const struct wire_args *args, const char *name)
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
	roster_asked(s->roster, tracked);
	feed_learn(s, tracked->pod); /* what has become known since the watch showed it */
	waiting_put(s->waiting, tracked->pod, reason, clock_now(), clock_wall());
	wake_soon(s, REASON_CODE_WAKE_ROOM); /* if it had a turn, the turn passes on */
	moves_want(s, tracked->pod);
	repartition_want(s, tracked->pod);
}

/* The pod has its answer, and waits no more. The roster takes it over where it has none of its UID. */
static void was_answered(struct scheduler *s, struct pod *pod)
{
	struct tracked *tracked = roster_find(s->roster, slice_of(pod->uid));
	struct pod *old = NULL;
	waiting_remove(s->waiting, slice_of(pod->uid));
	if (!tracked)
		tracked = roster_put(s->roster, pod, clock_now(), &old);
	else
		pod_free(pod);
	roster_asked(s->roster, tracked);
}

static void take_room(struct scheduler *s, struct pod *pod, const struct node *node)
{
	struct ledger_entry *entry = ledger_reserve(s->fleet, pod, slice_of(node->name), LEDGER_ASSUMED,
	    scheduler_owns(pod), clock_now(), scheduler_ttl(s, pod));
	expire_soon(s);
	if (entry->state == LEDGER_BOUND && !roster_find(s->roster, slice_of(pod->uid))) {
		waiting_remove(s->waiting, slice_of(pod->uid));
		pod_free(pod); /* a late call: only the ledger counts what is bound */
		return;
	}
	was_answered(s, pod);
}

static void count_decision(struct scheduler *s, enum reason reason)
{
	metric_add(
	    s->instruments.decisions, 1, reason == REASON_CODE_FITS ? "placed" : "rejected", reason_code(reason), NULL);
}

/* A Binding exists or is under way: until that is over there is one node only, whatever is offered. */
static bool is_settled(const struct ledger_entry *entry)
{
	return entry && (entry->state == LEDGER_BOUND || entry->pinned);
}

/* The room the pod holds already, if the call offers it and it still fits: calls are idempotent per UID. */
struct node *filter_held_node(
    struct scheduler *s, const struct wire_args *args, const struct pod *pod, const struct ledger_entry *entry)
{
	if (!entry || !filter_offered(args, entry->node->name))
		return NULL;
	if (is_settled(entry))
		return entry->node;
	if (decide_node(s->fleet, pod, entry->node, NULL) == REASON_CODE_FITS)
		return entry->node;
	/* kube-scheduler asks once its own cache has the victims gone; the watch here may be a moment behind. */
	return preempt_holds(s, pod, entry) ? entry->node : NULL;
}

/* The best node offered. Nearly always that is the best of the fleet, which its indexes give at once; only where
 * kube-scheduler has ruled that one out, nothing fits, or all that fit are asked for is every name looked at. */
static void decide_offered(
    struct scheduler *s, struct wire_args *args, const struct pod *pod, struct decision *decision)
{
	if (!advise_applies(s, pod)) {
		decide_fleet_best(s->fleet, pod, decision);
		if (decision->node && filter_offered(args, decision->node->name))
			return;
	}
	filter_find_candidates(s, args);
	decide_among(s->fleet, pod, s->candidates, args->count, decision, s->verdicts);
}

/* Room that appeared this moment is for those who have waited long, not for who happens to ask. */
static bool wake_others(struct scheduler *s, const struct pod *pod)
{
	const struct waiting_pod *first = waiting_next(s->waiting, NULL);
	if (!first || s->filter_ns < first->since_ns + WAITING_LONG_NS || strcmp(first->pod->uid, pod->uid) == 0 ||
	    s->wakes.count >= WAKES_PER_PASS)
		return false;
	wake_now(s);
	return true;
}

/* Beside the room that is kept for pods who were just woken for it. */
static void decide_in_turn(
    struct scheduler *s, struct wire_args *args, const struct pod *pod, struct decision *decision)
{
	struct decision claimed = {.node = NULL};
	bool claims = s->fleet->teams && team_may_claim(s->fleet, pod);
	if (s->fleet->teams && !claims) {
		wake_now(s);
	} else if (!s->fleet->teams) {
		decide_offered(s, args, pod, decision);
		bool woke = decision->node && decision->node->improved && wake_others(s, pod);
		if (!woke && (!decision->node || !waiting_keeps(s->waiting, decision->node, pod, s->filter_ns)))
			return;
	}
	bool beside = waiting_hold_before(s->waiting, s->fleet, pod, claims, s->filter_ns);
	decide_offered(s, args, pod, decision);
	waiting_release_turns(s->waiting, s->fleet);
	if (!beside || decision->node || !claims)
		return;
	team_claims_only(s->fleet, true);
	decide_fleet_best(s->fleet, pod, &claimed);
	team_claims_only(s->fleet, false);
	if (claimed.node && filter_offered(args, claimed.node->name))
		*decision = claimed;
}

/* Rejected everywhere, the pod holds nothing any more; a nomination left behind would keep the room from its equals. */
static void give_up(struct scheduler *s, struct slice uid, struct ledger_entry *entry)
{
	struct tracked *tracked = roster_find(s->roster, uid);
	if (tracked)
		hint_withdraw(s, tracked);
	if (!entry)
		return;
	ledger_release(s->fleet, entry);
	wake_soon(s, REASON_CODE_WAKE_ROOM);
}

static void filter_names(struct scheduler *s, struct wire_args *args, struct pod *pod, struct buf *reply)
{
	struct decision decision = {.reason = REASON_CODE_FITS};
	struct ledger_entry *entry = ledger_find(s->fleet, slice_of(pod->uid));
	if (!entry && preempt_recall(s, args, pod))
		entry = ledger_find(s->fleet, slice_of(pod->uid));
	struct node *node = filter_held_node(s, args, pod, entry);
	if (node && entry->state == LEDGER_PLANNED && args->count == 1)
		hint_was_followed(s);
	if (!node && is_settled(entry)) {
		decision.reason = REASON_CODE_BOUND_ELSEWHERE;
		filter_find_candidates(s, args);
		for (size_t i = 0; i < args->count; i++)
			s->verdicts[i] = decision.reason;
	} else if (!node) {
		decide_in_turn(s, args, pod, &decision);
		if (reason_kind_of(decision.reason) == REASON_CAPACITY && decision.reason != REASON_CODE_TEAM_LIMIT &&
		    hint_make_way(s, pod))
			decide_in_turn(s, args, pod, &decision);
		node = decision.node;
		entry = ledger_find(s->fleet, slice_of(pod->uid)); /* gangs may have moved on meanwhile */
	}
	count_decision(s, decision.reason);
	log_debug("filter", "pod=%s/%s names=%zu node=%s reason=%s", pod->namespace_, pod->name, args->count,
	    node ? node->name : "", reason_code(decision.reason));
	if (decision.node && advise_applies(s, pod)) {
		advise_answer(s, args, reply);
		was_answered(s, pod);                /* what it may hold elsewhere its bind moves */
		wake_soon(s, REASON_CODE_WAKE_ROOM); /* its turn is over */
		return;
	}
	if (node) {
		answer_one(reply, *filter_offered(args, node->name));
		take_room(s, pod, node);
		wake_soon(s, REASON_CODE_WAKE_ROOM); /* room held elsewhere may just have been given up */
		return;
	}
	answer_none(s, args, reply);
	if (entry && entry->state == LEDGER_BOUND) {
		pod_free(pod);
		return;
	}
	/* The nominated node is tried alone before all others: failing there gives up nothing held elsewhere. */
	bool nominated_alone = args->count == 1 && pod->nominated && slice_is(args->items[0], pod->nominated);
	if (!nominated_alone && !is_settled(entry) && !preempt_under_way(s, pod, entry) && !moves_hold(s, pod->uid))
		give_up(s, slice_of(pod->uid), entry);
	remember(s, pod, decision.reason);
}

/* --- requests that carry whole Nodes: judged by what they carry, nothing is kept --- */

void filter_free_whole_nodes(struct scheduler *s, size_t count)
{
	while (count > 0)
		decide_whole_node_free(s->candidates[--count]);
}

bool filter_whole_nodes(struct scheduler *s, struct wire_args *args, struct err *err)
{
	struct map names = {0};
	size_t kept = 0;
	bool good = true;
	scratch(s, args->count);
	for (size_t i = 0; i < args->count; i++) {
		struct node_spec *spec =
		    cluster_node_decode(args->items[i], &s->fleet->names, &s->catalogue->gpus, err);
		good = spec != NULL;
		if (!good)
			break;
		if (map_get(&names, slice_of(spec->name))) {
			node_spec_free(spec);
			continue;
		}
		map_put(&names, slice_of(spec->name), spec);
		args->items[kept] = args->items[i];
		s->candidates[kept++] = decide_whole_node(s->fleet, spec);
	}
	if (!good)
		filter_free_whole_nodes(s, kept);
	args->count = kept;
	map_free(&names);
	return good;
}

static unsigned filter_whole(struct scheduler *s, struct wire_args *args, const struct pod *pod, struct buf *reply)
{
	struct err err;
	struct decision decision;
	if (!filter_whole_nodes(s, args, &err))
		return filter_refuse(reply, 400, err.text);
	decide_among(s->fleet, pod, s->candidates, args->count, &decision, s->verdicts);
	if (decision.node && advise_applies(s, pod)) {
		advise_answer(s, args, reply);
	} else if (decision.node) {
		wire_write_nodes(reply, &args->items[candidate_at(s, args, decision.node)], 1, NULL, 0);
	} else {
		for (size_t i = 0; i < args->count; i++)
			s->refusals[i] =
			    (struct wire_refusal){slice_of(s->candidates[i]->name), reason_text(s->verdicts[i])};
		wire_write_nodes(reply, NULL, 0, s->refusals, args->count);
	}
	filter_free_whole_nodes(s, args->count);
	return 200;
}

/* The roster's copy is newer than or as new as the call's. */
static bool in_gang(const struct scheduler *s, const struct pod *pod)
{
	const struct tracked *tracked = roster_find(s->roster, slice_of(pod->uid));
	return (tracked ? tracked->pod : pod)->gang;
}

unsigned filter_answer(void *ctx, const struct wire_args *asked, struct buf *reply)
{
	struct scheduler *s = ctx;
	struct wire_args args = *asked;
	unsigned status;
	struct pod *pod = filter_read_pod(s, &args, reply, &status);
	if (!pod)
		return status;
	s->filter_ns = clock_now();
	if (args.count > 1)
		hint_saw_pass(s, pod);
	if (args.by_name && args.count > 0 && in_gang(s, pod) && scheduler_owns(pod))
		return gang_filter(s, &args, pod, reply);
	if (gang_unread(s)) {
		pod_free(pod);
		return filter_refuse(reply, 503, reason_text(REASON_CODE_NOT_SYNCED));
	}
	if (args.by_name && args.count > 0) {
		filter_names(s, &args, pod, reply);
		return 200;
	}
	if (args.by_name) {
		wire_write_names(reply, NULL, 0, NULL, 0);
		status = 200;
	} else {
		status = filter_whole(s, &args, pod, reply);
	}
	pod_free(pod);
	return status;
}
