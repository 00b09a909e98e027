/* The verbs of gangs' members. filter looks up the place that the plan gives; a member without one is told one constant
 * text on one node's name, since the plan, when it comes, wakes it. bind waits until all that have a place are there.
 */
#include "base/log.h"
#include "scheduler/filter.h"
#include "scheduler/gang/internal.h"

/* A pod that no watch has shown yet counts from its first call on. */
static struct gang_member *member_of(struct scheduler *s, struct tracked *tracked)
{
	struct gang_member *member = gangs_find(s->gangs, slice_of(tracked->pod->uid));
	if (!member)
		member = gang_enrol(s, tracked->pod, GANG_LOOSE);
	if (member->state == GANG_GATED)
		gangs_set(s->gangs, member, GANG_LOOSE); /* its call is newer than the watch */
	member->ungated = true;
	return member;
}

static void reject(struct scheduler *s, const struct wire_args *args, enum reason reason, struct buf *reply)
{
	struct wire_refusal refusal = {args->items[0], reason_text(reason)};
	wire_write_names(reply, NULL, 0, &refusal, 1);
	metric_add(s->instruments.decisions, 1, "rejected", reason_code(reason), NULL);
}

/* kube-scheduler knows something of the node that berth does not: the member gets another one, of those that are
 * offered. A call with the nominated node alone is followed by one with all that are left. */
static void replan(struct scheduler *s, const struct wire_args *args, struct gang_member *member, const char *node)
{
	struct arena arena;
	gang_refused(s, member, node);
	arena_init(&arena, 4096);
	const char **names = arena_calloc(&arena, args->count, sizeof *names);
	for (size_t i = 0; i < args->count; i++)
		names[i] = arena_copy(&arena, args->items[i]);
	member->offered = names;
	member->offered_count = args->count;
	gang_fill(s, member->gang);
	member->offered = NULL;
	member->offered_count = 0;
	arena_free(&arena);
}

unsigned gang_filter(struct scheduler *s, const struct wire_args *args, struct pod *pod, struct buf *reply)
{
	struct slice uid = slice_of(pod->uid);
	struct ledger_entry *entry = ledger_find(s->fleet, uid);
	struct tracked *tracked = roster_find(s->roster, uid);
	struct pod *old;
	if (entry && entry->state == LEDGER_BOUND && !tracked) { /* a late call: only the ledger counts what is bound */
		const struct slice *name = filter_offered(args, entry->node->name);
		if (name)
			wire_write_names(reply, name, 1, NULL, 0);
		else
			reject(s, args, REASON_CODE_BOUND_ELSEWHERE, reply);
		pod_free(pod);
		return 200;
	}
	/* What the berth before has planned is not known yet. kube-scheduler asks again. */
	if (!s->gangs_rebuilt) {
		pod_free(pod);
		return filter_refuse(reply, 503, reason_text(REASON_CODE_NOT_SYNCED));
	}
	if (tracked)
		pod_free(pod);
	else
		tracked = roster_put(s->roster, pod, clock_now(), &old);
	roster_asked(s->roster, tracked);
	pod = tracked->pod;
	uid = slice_of(pod->uid);
	struct gang_member *member = member_of(s, tracked);
	if (!member->placed)
		gang_now(s); /* the last member may have come with this call */
	entry = member->placed ? ledger_find(s->fleet, uid) : NULL;
	struct node *node = filter_held_node(s, args, pod, entry);
	bool nominated_alone = args->count == 1 && pod->nominated && slice_is(args->items[0], pod->nominated);
	if (entry && !node && !entry->pinned && entry->state != LEDGER_BOUND && !nominated_alone) {
		replan(s, args, member, entry->node->name);
		entry = member->placed ? ledger_find(s->fleet, uid) : NULL;
		node = filter_held_node(s, args, pod, entry);
		gang_soon(s);
	}
	log_debug("filter", "pod=%s/%s gang=%s state=%s names=%zu node=%s", pod->namespace_, pod->name,
	    member->gang->name, gang_state_name(member->gang->state), args->count, node ? node->name : "");
	if (node) {
		wire_write_names(reply, filter_offered(args, node->name), 1, NULL, 0);
		ledger_reserve(s->fleet, pod, slice_of(node->name), LEDGER_ASSUMED, true, clock_now(), GANG_COMMIT_NS);
		metric_add(s->instruments.decisions, 1, "placed", reason_code(REASON_CODE_FITS), NULL);
		return 200;
	}
	enum reason why = member->held ? REASON_CODE_SURPLUS_HELD_BACK : gang_why(member->gang);
	reject(s, args, entry ? REASON_CODE_GANG_NODE_REFUSED : why, reply);
	return 200;
}

enum reason gang_bind(struct scheduler *s, const struct pod *pod, const char *node, bool *parked)
{
	struct tracked *tracked = roster_find(s->roster, slice_of(pod->uid));
	struct gang_member *member = member_of(s, tracked);
	const struct ledger_entry *entry = ledger_find(s->fleet, slice_of(pod->uid));
	struct gang *gang = member->gang;
	if (!member->placed || !entry || !entry->node->spec || strcmp(entry->node->name, node) != 0)
		return REASON_CODE_GANG_GIVEN_BACK;
	if (gang->state == GANG_COMMITTING || gang->state == GANG_WHOLE)
		return REASON_CODE_FITS;
	if (node_is_shut(entry->node) && !entry->pinned)
		return entry->node->quarantined
		           ? REASON_CODE_NODE_QUARANTINED
		           : REASON_CODE_NODE_REPARTITIONED; /* the call that follows finds it another one */
	*parked = true;
	ledger_pin(s->fleet,
	    ledger_reserve(s->fleet, pod, slice_of(node), LEDGER_ASSUMED, true, clock_now(), GANG_COMMIT_NS), true,
	    clock_now());
	gangs_set(s->gangs, member, GANG_PARKED);
	gang_soon(s);
	return REASON_CODE_FITS;
}

void gang_bind_ended(struct scheduler *s, struct slice uid, bool bound)
{
	struct gang_member *member = gangs_find(s->gangs, uid);
	if (!member || member->state == GANG_BOUND)
		return;
	if (bound)
		gangs_place(s->gangs, member, true);
	gangs_set(s->gangs, member, bound ? GANG_BOUND : GANG_LOOSE);
	gang_soon(s);
}
