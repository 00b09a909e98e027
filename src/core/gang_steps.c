/* Which step of a gang is due: the guards of test/model/gang.pml. */
#include <string.h>

#include "berth/gangs.h"

const char *gang_state_name(enum gang_state state)
{
	static const char *const names[] = {
	    [GANG_GATHERING] = "gathering",
	    [GANG_QUEUED] = "queued",
	    [GANG_PLANNED] = "planned",
	    [GANG_RELEASED] = "released",
	    [GANG_COMMITTING] = "committing",
	    [GANG_WHOLE] = "whole",
	    [GANG_UNDOING] = "undoing",
	};
	return names[state];
}

int gangs_order(const struct gang *a, const struct gang *b)
{
	if (a->priority != b->priority)
		return a->priority > b->priority ? -1 : 1;
	if (a->claims != b->claims)
		return a->claims ? -1 : 1;
	if (a->team_rank != b->team_rank)
		return a->team_rank < b->team_rank ? -1 : 1;
	if (a->class_order != b->class_order)
		return a->class_order < b->class_order ? -1 : 1;
	if (a->created_ns != b->created_ns)
		return a->created_ns < b->created_ns ? -1 : 1;
	return strcmp(a->key, b->key);
}

/* A plan that not all members with a place know yet. */
static bool has_untold(const struct gang *gang)
{
	for (size_t i = 0; i < gang->count; i++) {
		const struct gang_member *member = gang->members[i];
		if (member->placed && !member->told && !member->writing && member->state < GANG_PARKED)
			return true;
	}
	return false;
}

static bool has_gated_places(const struct gang *gang)
{
	if (gang->in_state[GANG_GATED] == 0)
		return false;
	for (size_t i = 0; i < gang->count; i++)
		if (gang->members[i]->placed && gang->members[i]->state == GANG_GATED)
			return true;
	return false;
}

/* Of those with a place, none is on its way. */
static bool all_arrived(const struct gang *gang)
{
	return gang->placed > 0 && gang->placed == gang->in_state[GANG_PARKED] + gang_standing(gang);
}

size_t gang_standing(const struct gang *gang)
{
	return gang->in_state[GANG_BOUND] + gang->in_state[GANG_DONE];
}

/* Members that are there and not bound yet. */
static size_t coming(const struct gang *gang)
{
	return gang_present(gang) - gang_standing(gang);
}

/* --- deadlines --- */

static bool lacks_room(const struct gang *gang)
{
	return gang->placed < gang_present(gang) && gang->placed < gang_quorum(gang);
}

/* Grows with every step of every member. */
static size_t reach(const struct gang *gang)
{
	return gang->in_state[GANG_LOOSE] + 2 * gang->in_state[GANG_PARKED] + 3 * gang_standing(gang);
}

static int64_t sooner(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t after(int64_t start_ns, int64_t limit_ns)
{
	return limit_ns > INT64_MAX - start_ns ? INT64_MAX : start_ns + limit_ns;
}

void gangs_set_deadline(struct gang *gang, int64_t now_ns, int64_t commit_ns, int64_t members_ns)
{
	bool committing = gang->state == GANG_COMMITTING;
	gang->deadline_ns = INT64_MAX;
	if (!committing && gang->state != GANG_PLANNED && gang->state != GANG_RELEASED)
		return;
	if (reach(gang) > gang->reached) {
		gang->reached = reach(gang);
		gang->moved_ns = now_ns;
	}
	if (!committing || !lacks_room(gang))
		gang->no_room_ns = INT64_MAX;
	else if (gang->no_room_ns == INT64_MAX)
		gang->no_room_ns = now_ns;
	if (committing && gang->in_state[GANG_BOUND] > 0)
		gang->deadline_ns = after(gang->moved_ns, members_ns);
	else if (gang_is_complete(gang))
		gang->deadline_ns = after(gang->moved_ns, commit_ns);
	else
		gang->deadline_ns = after(gang->moved_ns, sooner(commit_ns, members_ns));
	if (gang->no_room_ns != INT64_MAX)
		gang->deadline_ns = sooner(gang->deadline_ns, after(gang->no_room_ns, commit_ns));
}

/* --- the steps --- */

static bool is_over(const struct gang *gang, int64_t now_ns)
{
	return now_ns >= gang->deadline_ns && gang->in_state[GANG_BOUND] == 0;
}

static bool is_to_undo(const struct gang *gang, int64_t now_ns)
{
	if (gang->kept || gang->undoing || gang->in_state[GANG_BOUND] == 0 || now_ns < gang->undo_after_ns)
		return false;
	return gang->broken || now_ns >= gang->deadline_ns;
}

static bool has_done(const struct gang *gang, const char *owner_uid)
{
	for (size_t i = 0; i < gang->count; i++) {
		const struct gang_member *member = gang->members[i];
		if (member->state == GANG_DONE && member->pod->owner_uid &&
		    strcmp(member->pod->owner_uid, owner_uid) == 0)
			return true;
	}
	return false;
}

/* Whether a member that is coming has the controller of one that has done its work: a second try at a part of it. */
static bool is_second_try(const struct gang *gang)
{
	const char *last = NULL; /* looked for in vain; mostly all have the same */
	for (size_t i = 0; i < gang->count; i++) {
		const char *owner_uid = gang->members[i]->pod->owner_uid;
		if (gang->members[i]->state >= GANG_BOUND || !owner_uid || (last && strcmp(last, owner_uid) == 0))
			continue;
		if (has_done(gang, owner_uid))
			return true;
		last = owner_uid;
	}
	return false;
}

/* None of those that stood is left, and others come: the gang begins again. */
static bool begins_again(const struct gang *gang)
{
	return gang->in_state[GANG_BOUND] == gang->leaving && coming(gang) > 0 &&
	       (gang->in_state[GANG_DONE] == 0 || !is_second_try(gang));
}

static enum gang_step step_committing(const struct gang *gang, int64_t now_ns)
{
	if (gang->in_state[GANG_PARKED] > 0)
		return GANG_STEP_BIND;
	if (gang_standing(gang) >= gang_quorum(gang) && gang_standing(gang) == gang->placed && !gang->broken)
		return GANG_STEP_WHOLE;
	if (is_over(gang, now_ns))
		return GANG_STEP_GIVE_BACK;
	return is_to_undo(gang, now_ns) ? GANG_STEP_UNDO : GANG_STEP_WAIT;
}

static enum gang_step step_whole(const struct gang *gang, int64_t now_ns)
{
	if (gang->in_state[GANG_PARKED] > 0)
		return GANG_STEP_BIND;
	return is_to_undo(gang, now_ns) ? GANG_STEP_UNDO : GANG_STEP_WAIT;
}

enum gang_step gangs_step(const struct gang *gang, int64_t now_ns, bool fill)
{
	bool quorate = gang->placed >= gang_quorum(gang) && gang->hole_count == 0;
	if (gang->state == GANG_GATHERING)
		return gang_is_complete(gang) ? GANG_STEP_QUEUE : GANG_STEP_WAIT;
	if (gang->state == GANG_QUEUED)
		return gang_is_complete(gang) ? GANG_STEP_PLAN : GANG_STEP_GATHER;
	if (gang->state == GANG_UNDOING)
		return gang->undoing ? GANG_STEP_WAIT : GANG_STEP_GATHER;
	if (gang->state == GANG_WHOLE && begins_again(gang))
		return GANG_STEP_GATHER;
	if (fill && gang->placed < gang_present(gang))
		return GANG_STEP_FILL;
	if (has_untold(gang))
		return GANG_STEP_TELL;
	switch (gang->state) {
	case GANG_PLANNED:
		if (is_over(gang, now_ns))
			return GANG_STEP_GIVE_BACK;
		return has_gated_places(gang) ? GANG_STEP_WAIT : GANG_STEP_RELEASED;
	case GANG_RELEASED:
		if (quorate && all_arrived(gang))
			return GANG_STEP_COMMIT;
		return is_over(gang, now_ns) ? GANG_STEP_GIVE_BACK : GANG_STEP_WAIT;
	case GANG_COMMITTING:
		return step_committing(gang, now_ns);
	default:
		return step_whole(gang, now_ns);
	}
}
