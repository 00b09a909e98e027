/* Members that were made in the place of those that moves have ended, held back until the room is given back: they are
 * away from their gang, so that nothing is planned for them; those behind berth's gate stay there, and the others are
 * rejected with a reason of their own.
 *
 * Nothing is written on them to know it by: it follows from the moves, which are on record. Until the records are read
 * after a start, whoever may be one of them waits for that. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "scheduler/gang/gang.h"
#include "scheduler/move/internal.h"

#define EARLY_NS (10 * NS_PER_S) /* for the records to be read */

/* --- which --- */

static bool is_in_force(const struct move_unit *unit)
{
	const struct move *move = unit->move;
	if (!unit->gang || move->observed || move->asking)
		return false;
	return unit->state == UNIT_ENDED || (unit->state == UNIT_STANDS && move->steps.phase == MOVE_EVICT);
}

static bool same_group(const char *group, const struct gang_member *member)
{
	const char *other = member->pod->gang->group;
	return strcmp(group ? group : "", other ? other : "") == 0;
}

/* As the watch shows it: without a place, and nothing else in its way. */
static bool may_be_held(const struct gang_member *member)
{
	return !member->placed && (member->state == GANG_GATED || member->state == GANG_LOOSE || member->held) &&
	       !member->pod->deleting && !member->pod->gate_other;
}

static int newest_first(const void *a, const void *b)
{
	return gang_last_first(*(struct gang_member *const *)a, *(struct gang_member *const *)b);
}

/* Without ranks a member that was lost looks like one that was ended: what the gang needs comes first. */
static size_t short_of(const struct gang *gang)
{
	size_t stands = gang->placed - gang->leaving, quorum = gang_quorum(gang);
	return stands < quorum ? quorum - stands : 0;
}

static void hold_for(
    const struct move_unit *unit, struct gang_member *const *candidates, size_t count, size_t needed, bool *held)
{
	for (size_t i = 0; i < count; i++) {
		const struct gang_member *member = candidates[i];
		bool by_rank = gang_rank(member->pod->gang, &member->gang->terms) == unit->rank;
		if (held[i] || !same_group(unit->group, member) || !by_rank || (unit->rank < 0 && count - i <= needed))
			continue;
		held[i] = true;
		return;
	}
}

static bool is_early(const struct scheduler *s)
{
	return !s->moves->taken_up && clock_now() < s->moves->early_until_ns;
}

/* --- what becomes of them --- */

static void tell_held(struct scheduler *s, const struct gang_member *member)
{
	if (member->pod->gate_ours && !member->ungated && !member->writing)
		gang_say(s, member->pod, reason_text(REASON_CODE_SURPLUS_HELD_BACK));
}

/* Away from its gang, or one of those that room is looked for. */
static void put_away(struct scheduler *s, struct gang_member *member, bool held)
{
	member->held = held;
	gangs_set(s->gangs, member, held ? GANG_AWAY : gang_state_shown(member, member->pod));
}

static void set_held(struct scheduler *s, struct gang_member *member, bool held)
{
	struct gang *gang = member->gang;
	if (member->held == held)
		return;
	log_info(held ? "a member is held back" : "a member is held back no more", "pod=%s/%s gang=%s",
	    member->pod->namespace_, member->pod->name, gang->name);
	put_away(s, member, held);
	gang->held_count += held ? 1 : SIZE_MAX; /* unsigned: minus one */
	if (held)
		tell_held(s, member);
}

static bool may_be_any(const struct scheduler *s, const struct gang *gang)
{
	if (!s->moves || (gang->state != GANG_WHOLE && gang->held_count == 0))
		return false;
	return s->moves->surplus_count > 0 || gang->held_count > 0 || is_early(s);
}

void moves_hold_back(struct scheduler *s, struct gang *gang)
{
	if (!may_be_any(s, gang))
		return;
	size_t count = 0, needed = short_of(gang);
	bool whole = gang->state == GANG_WHOLE, early = whole && is_early(s);
	struct gang_member **candidates = xcalloc(gang->count + 1, sizeof(struct gang_member *));
	bool *held = xcalloc(gang->count + 1, sizeof *held);
	for (size_t i = 0; i < gang->count; i++)
		if (may_be_held(gang->members[i]))
			candidates[count++] = gang->members[i];
		else
			set_held(s, gang->members[i], false);
	if (count > 1)
		qsort(candidates, count, sizeof *candidates, newest_first);
	for (const struct move *move = s->moves->list; move && whole; move = move->next)
		for (size_t i = 0; i < move->unit_count && move->surplus_count > 0; i++)
			if (is_in_force(&move->units[i]) && strcmp(move->units[i].gang, gang->key) == 0)
				hold_for(&move->units[i], candidates, count, needed, held);
	for (size_t i = 0; i < count; i++)
		set_held(s, candidates[i], held[i] || (early && i + needed < count));
	free(held);
	free(candidates);
}

void moves_rebuilt(struct scheduler *s)
{
	if (s->moves && !s->moves->taken_up)
		s->moves->early_until_ns = clock_now() + EARLY_NS;
}

void held_early_over(struct scheduler *s)
{
	size_t cursor = 0;
	if (s->moves->early_until_ns == 0 || is_early(s))
		return;
	s->moves->early_until_ns = 0;
	for (struct gang *gang; (gang = gangs_next(s->gangs, &cursor));)
		if (gang->held_count > 0)
			gangs_mark(s->gangs, gang);
	gang_soon(s);
}

/* --- given back --- */

struct gang_member *held_for(const struct move_unit *unit, const struct gang *gang)
{
	struct gang_member *found = NULL;
	for (size_t i = 0; i < gang->count; i++) {
		struct gang_member *member = gang->members[i];
		if (member->held && same_group(unit->group, member) &&
		    gang_rank(member->pod->gang, &gang->terms) == unit->rank &&
		    (!found || gang_last_first(found, member) < 0))
			found = member;
	}
	return found;
}

bool held_release(struct scheduler *s, struct gang_member *member)
{
	put_away(s, member, false);
	if (member->state != GANG_AWAY && !(gang_fill(s, member->gang) && member->placed)) {
		put_away(s, member, true);
		return false;
	}
	member->gang->held_count--;
	return true;
}
