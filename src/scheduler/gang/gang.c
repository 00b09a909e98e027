/* The planned road: what the watch shows of gangs' members goes into the registry, and what core/gangs says is to be
 * done is done here, gang by gang. Gangs in line are planned in their order; one that finds no room does not stand in
 * the way of those behind it. */
#include <stdlib.h>

#include "base/log.h"
#include "berth/hold.h"
#include "scheduler/gang/internal.h"
#include "scheduler/move/move.h"
#include "scheduler/team/team.h"

#define STEPS_MAX 64            /* of one gang at a time; more come in the next turn */
#define LINE_NS (8 * NS_PER_MS) /* planning of one turn, then other work of the loop comes in between */
#define LINE_MS 20              /* until the line is looked at again after that */
#define TICK_MS 500             /* while deadlines run */
#define AGAIN_NS NS_PER_S       /* after room was given back */

/* --- what the watch shows --- */

/* A gang that may come to ask for enough GPUs to be of a gated class waits until that is known. */
static bool is_gated_class(const struct scheduler *s, const struct pod *pod)
{
	enum reason why;
	struct pod largest = *pod;
	const struct policy_class *class_ = policy_class_of(s->policy.inforce, pod, &why);
	if (class_ && class_->gated)
		return true;
	if (!pod->gang || pod->gang_gpus > 0)
		return false;
	largest.gang_gpus = INT64_MAX;
	class_ = policy_class_of(s->policy.inforce, &largest, &why);
	return class_ && class_->gated;
}

/* No pod is left behind a gate that nobody means it to wait at. */
static void ungate_unless_meant(struct scheduler *s, const struct gang_member *member, const struct pod *pod)
{
	if (pod->gate_ours && !(member && member->ungated) && (!pod->gang || !is_gated_class(s, pod)))
		gang_ungate(s, pod);
}

enum gang_member_state gang_state_shown(const struct gang_member *member, const struct pod *pod)
{
	if (member && member->state >= GANG_PARKED)
		return member->state;
	if (member && member->held)
		return GANG_AWAY;
	if (pod->deleting || pod->gate_other)
		return member && member->placed ? member->state : GANG_AWAY;
	if (pod->gate_ours && !(member && member->ungated))
		return GANG_GATED;
	return GANG_LOOSE;
}

void gang_dismiss(struct scheduler *s, struct gang_member *member)
{
	if (member->state == GANG_PARKED)
		bind_refuse(s, slice_of(member->pod->uid), REASON_CODE_GANG_GIVEN_BACK);
	gang_unplace(s, member);
	gangs_remove(s->gangs, member);
}

void gang_pending(struct scheduler *s, struct tracked *tracked)
{
	struct pod *pod = tracked->pod;
	struct gang_member *member = gangs_find(s->gangs, slice_of(pod->uid));
	gang_follow(s, pod);
	if (!pod->gang)
		ungate_unless_meant(s, member, pod);
	if (pod->gang) {
		member = gang_enrol(s, pod, gang_state_shown(member, pod));
		member->ungated |= !pod->gated;
		ungate_unless_meant(s, member, pod);
		gang_refused_look(s, member);
	} else if (member) {
		gang_dismiss(s, member);
	} else {
		return;
	}
	gang_soon(s);
}

bool gang_bound(struct scheduler *s, struct pod *pod)
{
	struct gang_member *member = gangs_find(s->gangs, slice_of(pod->uid));
	if (!pod->gang || !scheduler_owns(pod)) {
		if (member)
			gangs_remove(s->gangs, member);
		gang_source_leave(&s->gang_sources, slice_of(pod->uid));
		return false;
	}
	/* One of those that stood before the gang began again. */
	bool before = pod->deleting && member && member->state == GANG_AWAY;
	member = gang_enrol(s, pod, before ? GANG_AWAY : GANG_BOUND);
	member->owned = true;
	gangs_place(s->gangs, member, !before);
	if (pod->deleting)
		gang_leaves(s, member);
	gang_soon(s);
	return true;
}

bool gang_holds(const struct scheduler *s, const struct ledger_entry *entry)
{
	const struct gang_member *member = gangs_find(s->gangs, slice_of(entry->uid));
	return member && member->placed;
}

/* --- the steps --- */

const struct policy_class *gang_class(const struct scheduler *s, const struct gang *gang)
{
	enum reason why;
	return gang->count > 0 ? policy_class_of(s->policy.inforce, gang->members[0]->pod, &why) : NULL;
}

bool gang_worth_a_try(const struct scheduler *s, const struct gang *gang)
{
	return gang->tried_at != s->fleet->improvements && clock_now() >= gang->not_before_ns;
}

/* Of a gang that begins again, what stood before counts no more. */
static void leave_behind(struct scheduler *s, struct gang *gang)
{
	gangs_clear_shunned(gang);
	gang->broken = gang->kept = false;
	for (size_t i = gang->count; i-- > 0;) {
		struct gang_member *member = gang->members[i];
		if (member->state == GANG_DONE) {
			gangs_remove(s->gangs, member);
		} else if (member->state == GANG_BOUND && member->pod->deleting) {
			gangs_place(s->gangs, member, false);
			gangs_set(s->gangs, member, GANG_AWAY);
		}
	}
}

int64_t gang_without_room_since(const struct gang *gang, int64_t now)
{
	if (gang->why == REASON_CODE_TEAM_LIMIT)
		return now;
	return gang->since_ns > gang->limited_ns ? gang->since_ns : gang->limited_ns;
}

void gang_enter(struct scheduler *s, struct gang *gang, enum gang_state state)
{
	if (state != gang->state)
		log_info("gang", "name=%s/%s from=%s to=%s members=%zu quorum=%zu bound=%zu", gang->namespace_,
		    gang->name, gang_state_name(gang->state), gang_state_name(state), gang->count, gang_quorum(gang),
		    gang->in_state[GANG_BOUND]);
	enum gang_state from = gang->state;
	gangs_enter(s->gangs, gang, state, clock_now());
	gang->since_wall_ns = clock_wall();
	gang_news_entered(s, gang, from);
	if (state == GANG_GATHERING)
		leave_behind(s, gang);
	if (state == GANG_WHOLE) {
		gang_reserve_started(s, gang);
		gangs_clear_shunned(gang);
		gang->refused_for_ns = 0;
		gang->kept = false;
		gang_mark_whole(s, gang);
	}
}

static size_t class_order(const struct scheduler *s, const struct gang *gang)
{
	const struct policy_class *class_ = gang_class(s, gang);
	return class_ ? (size_t)(class_ - s->policy.inforce->classes) : SIZE_MAX;
}

static void stand_in_line(struct scheduler *s, struct gang *gang)
{
	gang->class_order = class_order(s, gang);
	gang_enter(s, gang, GANG_QUEUED);
}

void gang_policy(struct scheduler *s)
{
	size_t cursor = 0;
	for (struct gang *gang; (gang = gangs_next(s->gangs, &cursor));) {
		size_t place = hold_find(s->fleet, gang->key);
		gang->class_order = class_order(s, gang);
		if (place < HOLDS_MAX)
			s->fleet->holds[place].class_order = s->fleet->holds[place].gang_class = gang->class_order;
	}
}

void gang_let_go(struct scheduler *s, struct gang *gang)
{
	for (size_t i = 0; i < gang->count; i++) {
		struct gang_member *member = gang->members[i];
		if (member->state == GANG_PARKED)
			bind_refuse(s, slice_of(member->pod->uid), REASON_CODE_GANG_GIVEN_BACK);
		gang_unplace(s, member);
		member->writing = false;
	}
	gang->tell_after_ns = gang->tell_pause_ns = 0;
	gang_drop_holes(s, gang);
	gang->tried_at = UINT64_MAX;
	if (gang->not_before_ns < clock_now() + AGAIN_NS)
		gang->not_before_ns = clock_now() + AGAIN_NS;
	wake_soon(s, REASON_CODE_WAKE_ROOM);
}

static void give_back(struct scheduler *s, struct gang *gang)
{
	log_warn("a gang's room is given back", "name=%s/%s placed=%zu parked=%zu holes=%zu", gang->namespace_,
	    gang->name, gang->placed, gang->in_state[GANG_PARKED], gang->hole_count);
	gang_let_go(s, gang);
	gang_enter(s, gang, GANG_GATHERING);
}

/* Waiting on would only keep the others' room: kube-scheduler takes no node that is left. */
static void fill(struct scheduler *s, struct gang *gang)
{
	if (!gang_fill(s, gang) && gang->why == REASON_CODE_GANG_NODE_REFUSED && gang->in_state[GANG_BOUND] == 0 &&
	    gang->placed < gang_quorum(gang))
		give_back(s, gang);
}

static bool node_is_there(const struct scheduler *s, const struct gang_member *member)
{
	const struct ledger_entry *entry = ledger_find(s->fleet, slice_of(member->pod->uid));
	return entry && entry->node->spec;
}

/* Nothing is bound where a node went away meanwhile: its member gets another place first. */
static bool drop_lost_nodes(struct scheduler *s, struct gang *gang)
{
	bool any = false;
	for (size_t i = 0; i < gang->count; i++) {
		struct gang_member *member = gang->members[i];
		if (!member->placed || member->state == GANG_BOUND || node_is_there(s, member))
			continue;
		any = true;
		if (member->state == GANG_PARKED)
			bind_refuse(s, slice_of(member->pod->uid), REASON_CODE_NODE_UNKNOWN);
		gang_unplace(s, member);
		gang->tried_at = UINT64_MAX;
	}
	return any;
}

static void bind_parked(struct scheduler *s, struct gang *gang)
{
	drop_lost_nodes(s, gang);
	for (size_t i = 0; i < gang->count; i++) {
		struct gang_member *member = gang->members[i];
		if (member->state != GANG_PARKED)
			continue;
		gangs_set(s->gangs, member, GANG_LOOSE);
		bind_let_through(s, slice_of(member->pod->uid));
	}
}

static void tell(struct scheduler *s, struct gang *gang)
{
	for (size_t i = 0; i < gang->count; i++) {
		struct gang_member *member = gang->members[i];
		if (member->placed && !member->told && !member->writing && member->state < GANG_PARKED)
			gang_tell(s, member);
	}
}

/* What a gang asks for in all has become known, and may put it into a class that is not gated. */
static void ungate_what_is_small(struct scheduler *s, struct gang *gang)
{
	if (gang->gpus_seen == gang->gpus_told)
		return;
	gang->gpus_seen = gang->gpus_told;
	for (size_t i = 0; i < gang->count; i++)
		if (gang->members[i]->state == GANG_GATED)
			ungate_unless_meant(s, gang->members[i], gang->members[i]->pod);
}

static void run(struct scheduler *s, struct gang *gang)
{
	const struct policy_class *class_ = gang_class(s, gang);
	int64_t members_ns = class_ ? class_->gang.members_within_ns : INT64_MAX;
	ungate_what_is_small(s, gang);
	moves_hold_back(s, gang);
	for (int i = 0; i < STEPS_MAX; i++) {
		gangs_set_deadline(gang, clock_now(), GANG_COMMIT_NS, members_ns);
		switch (gangs_step(gang, clock_now(), gang_worth_a_try(s, gang))) {
		case GANG_STEP_WAIT:
			return;
		case GANG_STEP_QUEUE:
			stand_in_line(s, gang);
			break;
		case GANG_STEP_GATHER:
			gang_enter(s, gang, GANG_GATHERING);
			break;
		case GANG_STEP_PLAN:
			s->gang_line_due = true;
			return;
		case GANG_STEP_FILL:
			fill(s, gang);
			break;
		case GANG_STEP_TELL:
			tell(s, gang);
			break;
		case GANG_STEP_RELEASED:
			gang_enter(s, gang, GANG_RELEASED);
			break;
		case GANG_STEP_COMMIT:
			if (!drop_lost_nodes(s, gang))
				gang_enter(s, gang, GANG_COMMITTING);
			break;
		case GANG_STEP_BIND:
			bind_parked(s, gang);
			break;
		case GANG_STEP_WHOLE:
			gang_drop_holes(s, gang);
			gang_enter(s, gang, GANG_WHOLE);
			break;
		case GANG_STEP_GIVE_BACK:
			gang_refused_all(s, gang);
			give_back(s, gang);
			break;
		case GANG_STEP_UNDO:
			gang_undo(s, gang);
			break;
		}
	}
	gangs_mark(s->gangs, gang);
}

/* --- the line --- */

static int in_order(const void *a, const void *b)
{
	return gangs_order(*(struct gang *const *)a, *(struct gang *const *)b);
}

static void order(const struct scheduler *s, struct gang **line, size_t count)
{
	team_rank(s, line, count);
	qsort(line, count, sizeof *line, in_order);
}

/* Not by age alone. */
static bool is_first_by_right(const struct gang *first, const struct gang *gang)
{
	return first->priority > gang->priority || (first->claims && !gang->claims);
}

/* False when the turn's time was over before the line. */
static bool plan_line(struct scheduler *s)
{
	int64_t until = clock_now() + LINE_NS;
	size_t cursor = 0, count = 0, at = 0, tries = 0;
	const struct gang *first = NULL; /* it pauses: what became free meanwhile is not for those behind it */
	struct gang **line = xcalloc(s->gangs->in_state[GANG_QUEUED] + 1, sizeof *line);
	for (struct gang *gang; (gang = gangs_next(s->gangs, &cursor));)
		if (gang->state == GANG_QUEUED && gang->tried_at != s->fleet->improvements)
			line[count++] = gang;
	order(s, line, count);
	while (at < count && (tries++ == 0 || clock_now() < until)) {
		if (!gang_worth_a_try(s, line[at])) {
			first = first ? first : line[at];
			at++;
			continue;
		}
		bool claims = line[at]->claims, planned = gang_is_complete(line[at]);
		const struct gang *before = first && is_first_by_right(first, line[at]) ? first : NULL;
		planned = planned && gang_plan(s, line[at], claims, before);
		if (planned) {
			gang_enter(s, line[at], GANG_PLANNED);
			run(s, line[at]);
		} else if (claims) {
			line[at]->claims = false; /* it stands with those who borrow */
			qsort(&line[at], count - at, sizeof *line, in_order);
			continue;
		}
		at++;
		if (planned && s->fleet->teams)
			order(s, &line[at], count - at);
	}
	free(line);
	return at == count;
}

static void pass(struct scheduler *s)
{
	bool more = false;
	if (!s->gangs_rebuilt || s->stopping)
		return;
	for (struct gang *gang; (gang = gangs_take_changed(s->gangs));)
		run(s, gang);
	if (s->gang_line_due) {
		s->gang_line_due = false;
		more = !plan_line(s);
		s->gang_line_due = more;
	}
	expire_soon(s);
	if (more || s->gangs->changed)
		uv_timer_start(&s->gang_timer, gang_on_timer, LINE_MS, 0);
	else if (s->gangs->by_key.count > s->gangs->in_state[GANG_WHOLE] + s->gangs->in_state[GANG_GATHERING] ||
	         gang_undo_busy(s) || s->gang_tell_due || s->ungate_after_ns != 0)
		uv_timer_start(&s->gang_timer, gang_on_timer, TICK_MS, 0);
}

/* A gang that finds no room for so long is shown to autoscalers: they do not see gated pods. */
static void show_to_autoscalers(struct scheduler *s, const struct gang *gang, int64_t now)
{
	int64_t after = s->policy.inforce->scale_up_after_ns;
	if (gang->state != GANG_QUEUED || after <= 0 || gang->tell_after_ns != 0 ||
	    now - gang_without_room_since(gang, now) < after)
		return;
	for (size_t i = 0; i < gang->count; i++)
		if (gang->members[i]->state == GANG_GATED)
			gang_ungate(s, gang->members[i]->pod);
}

void gang_on_timer(uv_timer_t *timer)
{
	struct scheduler *s = timer->data;
	int64_t now = clock_now();
	size_t cursor = 0;
	if (!lease_may_write(s))
		return; /* called again when the role changes */
	gang_check_nodes(s);
	gang_undo_tick(s);
	gang_mark_again(s, now);
	s->gang_tell_due = s->mark_after_ns != 0;
	for (struct gang *gang; (gang = gangs_next(s->gangs, &cursor));) {
		gang_tell_again(s, gang, now);
		bool to_undo = gang->broken && !gang->kept && !gang->undoing;
		s->gang_tell_due |= to_undo; /* the timer goes on, though all gangs are whole */
		if ((to_undo && now >= gang->undo_after_ns) || now >= gang->deadline_ns ||
		    (gang->state != GANG_QUEUED && gang->placed < gang_present(gang)))
			gangs_mark(s->gangs, gang);
		gang_refused_forgive(gang, now);
		show_to_autoscalers(s, gang, now);
	}
	if (s->ungate_after_ns != 0 && now >= s->ungate_after_ns) {
		s->ungate_after_ns = 0;
		gang_sweep(s);
	}
	gang_hold(s, now);
	s->gang_line_due |= s->gangs->in_state[GANG_QUEUED] > 0;
	pass(s);
}

void gang_soon(struct scheduler *s)
{
	if (s->gangs_rebuilt && !s->stopping)
		uv_timer_start(&s->gang_timer, gang_on_timer, 0, 0);
}

void gang_now(struct scheduler *s)
{
	if (s->gangs->by_key.count == 0 || s->stopping)
		return;
	gang_on_timer(&s->gang_timer);
}

void gang_sweep(struct scheduler *s)
{
	size_t cursor = 0;
	for (struct tracked *tracked; (tracked = roster_next(s->roster, &cursor));)
		if (tracked->pod->gate_ours && (!tracked->pod->gang || !is_gated_class(s, tracked->pod)))
			gang_ungate(s, tracked->pod);
}

/* --- the start --- */

/* As the model's rebuild: with members bound the burst goes on; those released only are held if there is room for all;
 * else the gang stands in line again. */
static void rebuild(struct scheduler *s, struct gang *gang)
{
	size_t quorum = gang_quorum(gang), bound = gang->in_state[GANG_BOUND];
	if (gang->in_state[GANG_DONE] > 0 || (bound > 0 && (bound >= quorum || gang_was_whole(gang)))) {
		gang_enter(s, gang, GANG_WHOLE);
		gang_restore(s, gang);
	} else if (bound > 0) {
		gang_enter(s, gang, GANG_COMMITTING);
		gang_restore(s, gang);
	} else if (gang_is_complete(gang) && gang_restore(s, gang)) {
		gang_enter(s, gang, GANG_PLANNED);
	}
}

bool gang_unread(const struct scheduler *s)
{
	return !s->gangs_rebuilt && s->gangs->by_key.count > 0;
}

void gang_synced(struct scheduler *s)
{
	size_t cursor = 0;
	if (!scheduler_synced(s) || !s->taken_up || !gang_feed_synced(s))
		return;
	if (!s->gangs_rebuilt) {
		gang_source_all(&s->gang_sources, gang_look_again, s);
		s->gangs_rebuilt = true;
		moves_rebuilt(s);
		for (struct gang *gang; (gang = gangs_next(s->gangs, &cursor));)
			rebuild(s, gang);
		gang_undo_take_up(s);
		if (s->promises.kept_before || s->promises.any)
			promises_changed(s);
		s->gang_nodes_lost = true;
		gang_sweep(s); /* what a standby has seen and left to the active */
		hint_soon(s);
	}
	gang_soon(s);
}
