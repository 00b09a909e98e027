/* Room for gangs: all members at once by core/plan, or those that have none yet beside those that have. Reserved as
 * planned, each under its own UID; such room ends with the gang's deadline and not with the entry's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "scheduler/gang/ask.h"
#include "scheduler/gang/internal.h"
#include "scheduler/move/move.h"
#include "scheduler/repartition/repartition.h"
#include "scheduler/team/team.h"

#define PAUSE_MIN_NS (20 * NS_PER_MS)
#define PAUSE_PER_PLAN 4 /* times what the last plan in vain took: planning is a fifth of the loop at most */

/* --- room taken, room returned --- */

static void place(struct scheduler *s, struct gang_member *member, const char *node)
{
	ledger_reserve(s->fleet, member->pod, slice_of(node), LEDGER_PLANNED, true, clock_now(), GANG_COMMIT_NS);
	waiting_remove(s->waiting, slice_of(member->pod->uid));
	gangs_place(s->gangs, member, true);
}

void gang_unplace(struct scheduler *s, struct gang_member *member)
{
	struct slice uid = slice_of(member->pod->uid);
	struct ledger_entry *entry = ledger_find(s->fleet, uid);
	struct tracked *tracked = roster_find(s->roster, uid);
	if (!member->placed || member->state == GANG_BOUND)
		return;
	if (entry && entry->state != LEDGER_BOUND)
		ledger_release(s->fleet, entry);
	if (tracked)
		hint_withdraw(s, tracked);
	gangs_place(s->gangs, member, false);
	member->writing = map_get(&s->gang_writes, uid) != NULL; /* its nomination is withdrawn, and ends nothing */
	moves_hold_member(s, member);
}

void gang_make_hole(struct scheduler *s, const struct gang_member *member)
{
	struct gang *gang = member->gang;
	const struct ledger_entry *entry = ledger_find(s->fleet, slice_of(member->pod->uid));
	if (!entry || !entry->node->spec)
		return;
	struct pod room = {.uid = gangs_add_hole(s->gangs, gang, entry->node->name)->id,
	    .namespace_ = gang->namespace_,
	    .name = gang->name,
	    .scheduler = SCHEDULER_NAME,
	    .demand = member->pod->demand,
	    .priority = gang->priority};
	struct ledger_entry *hole = ledger_reserve(
	    s->fleet, &room, slice_of(entry->node->name), LEDGER_ASSUMED, true, clock_now(), GANG_COMMIT_NS);
	ledger_pin(s->fleet, hole, true, clock_now()); /* it goes by the gang's word alone */
}

static void drop_hole(struct scheduler *s, struct gang *gang, size_t at)
{
	struct ledger_entry *entry = ledger_find(s->fleet, slice_of(gang->holes[at].id));
	if (entry)
		ledger_release(s->fleet, entry);
	gangs_drop_hole(s->gangs, gang, at);
}

void gang_drop_holes(struct scheduler *s, struct gang *gang)
{
	while (gang->hole_count > 0)
		drop_hole(s, gang, gang->hole_count - 1);
}

/* --- plans --- */

static void name_plan(struct scheduler *s, struct gang *gang)
{
	snprintf(gang->plan, sizeof gang->plan, "%llx-%llx", (unsigned long long)clock_wall(),
	    (unsigned long long)++s->gang_plans);
}

static void in_vain(struct scheduler *s, struct gang *gang, enum reason why, int64_t began)
{
	int64_t now = clock_now(), pause = PAUSE_PER_PLAN * (now - began);
	if (why == REASON_CODE_TEAM_LIMIT || gang->why == REASON_CODE_TEAM_LIMIT)
		gang->limited_ns = now;
	gang->why = gang_refused_any(gang) ? REASON_CODE_GANG_NODE_REFUSED : why;
	gang->tried_at = s->fleet->improvements;
	if (gang->not_before_ns < now + (pause > PAUSE_MIN_NS ? pause : PAUSE_MIN_NS))
		gang->not_before_ns = now + (pause > PAUSE_MIN_NS ? pause : PAUSE_MIN_NS);
	moves_want_gang(s, gang);
	if (why != REASON_CODE_TEAM_LIMIT)
		repartition_want_gang(s, gang);
	log_debug("gang has no place", "name=%s/%s reason=%s took_us=%lld", gang->namespace_, gang->name,
	    reason_code(why), (long long)((now - began) / 1000));
}

/* A place for at least `quorum` members, those fixed included. */
static bool plan_members(struct scheduler *s, struct gang *gang, size_t quorum, bool claims, const struct gang *before)
{
	int64_t began = clock_now();
	struct gang_asking *asking;
	struct plan plan;
	size_t done = gang->in_state[GANG_DONE];
	if (!gang_ask(s, gang, quorum > done ? quorum - done : 0, &asking)) {
		in_vain(s, gang, REASON_CODE_LEVEL_MISSING, began);
		gang_news_shortage(s, gang, REASON_CODE_LEVEL_MISSING, asking, NULL);
		gang_asked(asking);
		return false;
	}
	asking->request.seen_until = before ? before->tried_at : UINT64_MAX;
	team_claims_only(s->fleet, claims);
	plan_gang(s->fleet, &asking->request, &plan);
	team_claims_only(s->fleet, false);
	bool found = plan.reason == REASON_CODE_FITS;
	for (size_t i = 0; found && i < asking->request.count; i++)
		if (plan.nodes[i] && !asking->of[i]->placed)
			place(s, asking->of[i], plan.nodes[i]->name);
	if (found) {
		gang->why = REASON_CODE_FITS;
		gang->tried_at = s->fleet->improvements;
		log_debug("gang planned", "name=%s/%s plan=%s placed=%zu of=%zu level=%d took_us=%lld",
		    gang->namespace_, gang->name, gang->plan, gang->placed, gang->count, plan.level,
		    (long long)((clock_now() - began) / 1000));
	} else if (!claims) {
		in_vain(s, gang, plan.reason, began);
		if (before)
			gang->tried_at = before->tried_at; /* the rest of it, once that gang has seen it */
		gang_news_shortage(s, gang, plan.reason, asking, &plan);
	}
	plan_free(&plan);
	gang_asked(asking);
	return found;
}

static void write_level_line(const struct scheduler *s, const struct gang_asking *asking, struct buf *out)
{
	struct buf line;
	buf_init(&line, GANG_LEVEL_LINE_MAX);
	if (gang_level_line(s, asking, &line)) {
		buf_text(out, ",\"levelMissing\":");
		buf_json_string(out, buf_slice(&line));
	}
	buf_free(&line);
}

/* By a plan made now, of which nothing is taken. */
void gang_explain(struct scheduler *s, const struct gang *gang, struct buf *out)
{
	struct gang_asking *asking;
	struct plan plan;
	if (gang->state != GANG_QUEUED)
		return;
	if (!gang_ask(s, gang, gang_quorum(gang), &asking)) {
		write_level_line(s, asking, out);
		gang_asked(asking);
		return;
	}
	plan_gang(s->fleet, &asking->request, &plan);
	if (plan.reason == REASON_CODE_LEVEL_MISSING)
		write_level_line(s, asking, out);
	if (plan.reason != REASON_CODE_FITS)
		gang_write_shortage(s, &asking->request, &plan, out);
	plan_free(&plan);
	gang_asked(asking);
}

bool gang_plan(struct scheduler *s, struct gang *gang, bool claims, const struct gang *before)
{
	moves_let_in(s, gang);
	name_plan(s, gang);
	return plan_members(s, gang, gang_quorum(gang), claims, before);
}

static bool is_refused(const struct gang_member *member, const char *node)
{
	for (size_t i = 0; i < member->refused_count; i++)
		if (strcmp(member->refused[i], node) == 0)
			return true;
	return false;
}

/* What one member met with, the others need not. */
static void shun(struct gang *gang)
{
	for (size_t i = 0; i < gang->count; i++)
		for (size_t j = 0; !gang->members[i]->placed && j < gang->shunned_count; j++)
			gangs_refuse(gang->members[i], gang->shunned[j]);
}

/* A hole is for the next member that fits there. */
static void fill_holes(struct scheduler *s, struct gang *gang)
{
	for (size_t i = 0; i < gang->count && gang->hole_count > 0; i++) {
		struct gang_member *member = gang->members[i];
		if (member->placed || member->state == GANG_AWAY || member->offered)
			continue;
		for (size_t at = 0; at < gang->hole_count; at++) {
			struct pod trial = *member->pod;
			struct node *node = fleet_find(s->fleet, slice_of(gang->holes[at].node));
			trial.uid = gang->holes[at].id; /* its room does not stand in its own way */
			if (!node || !node->spec || is_refused(member, node->name) ||
			    decide_node(s->fleet, &trial, node, NULL) != REASON_CODE_FITS)
				continue;
			drop_hole(s, gang, at);
			place(s, member, node->name);
			break;
		}
	}
}

/* Room of a node that is gone is none. */
static void drop_lost_holes(struct scheduler *s, struct gang *gang)
{
	for (size_t at = gang->hole_count; at-- > 0;) {
		const struct node *node = fleet_find(s->fleet, slice_of(gang->holes[at].node));
		if (!node || !node->spec)
			drop_hole(s, gang, at);
	}
}

/* Workers of leaders are made once these stand, and are of no use but together. */
static bool is_led(const struct gang *gang)
{
	return gang->terms.led || (gang->dialect == GANG_LWS && gang_quorum(gang) == 1);
}

bool gang_fill(struct scheduler *s, struct gang *gang)
{
	size_t quorum = gang_quorum(gang), present = gang_present(gang);
	if (is_led(gang) && gang->placed > 0)
		quorum = gang_size(gang);
	drop_lost_holes(s, gang);
	shun(gang);
	fill_holes(s, gang);
	if (gang->placed >= present)
		return true;
	if (is_led(gang) && gang->placed > 0 && present < quorum) {
		gang->why = REASON_CODE_GANG_INCOMPLETE;
		gang->tried_at = s->fleet->improvements;
		return false;
	}
	/* Short of its quorum, room for all that are there or for none; beyond it, one more is as good as any. */
	size_t wanted = gang->placed + 1;
	if (gang->placed < quorum)
		wanted = present < quorum ? present : quorum;
	bool filled = plan_members(s, gang, wanted, false, NULL);
	while (filled && gang->hole_count > 0 && gang->placed + gang->hole_count > quorum)
		drop_hole(s, gang, gang->hole_count - 1); /* what it was kept for stands elsewhere */
	return filled;
}

/* --- after a start --- */

bool gang_restore(struct scheduler *s, struct gang *gang)
{
	char node_name[256], plan[GANG_PLAN_ID_MAX];
	bool any = false, all = true;
	name_plan(s, gang);
	for (size_t i = 0; i < gang->count && all; i++) {
		struct gang_member *member = gang->members[i];
		if (member->placed || member->state != GANG_LOOSE || !member->pod->plan ||
		    !gang_plan_read(member->pod->plan, node_name, sizeof node_name, plan, sizeof plan))
			continue;
		struct node *node = fleet_find(s->fleet, slice_of(node_name));
		all = node && node->spec && decide_node(s->fleet, member->pod, node, NULL) == REASON_CODE_FITS;
		if (!all)
			break;
		place(s, member, node->name);
		member->told = any = true;
		snprintf(gang->plan, sizeof gang->plan, "%s", plan);
	}
	if (all && any && gang->in_state[GANG_BOUND] == 0 && gang->placed < gang_quorum(gang))
		all = gang_fill(s, gang) && gang->placed >= gang_quorum(gang);
	for (size_t i = 0; i < gang->count && !all; i++)
		gang_unplace(s, gang->members[i]);
	return any && all;
}
