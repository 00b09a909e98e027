/* Gangs as what moves are made for. A gang in line that found no room is one demand, with what it asks of topology.
 * While its move goes on, its room is held by entries of its members; it is planned by the same planner as ever, for
 * which these do not stand in the way, as soon as what had to end has ended. */
#include <stdlib.h>
#include <string.h>

#include "scheduler/gang/gang.h"
#include "scheduler/move/search.h"

static int64_t gpus_of(const struct scheduler *s, const struct gang *gang)
{
	int64_t gpus = 0;
	for (size_t i = 0; i < gang->count; i++)
		gpus += decide_gpu_units(s->fleet, &gang->members[i]->pod->demand);
	return gpus;
}

static bool has_move(const struct scheduler *s, const struct gang *gang)
{
	for (size_t i = 0; i < gang->count; i++)
		if (map_get(&s->moves->by_place, slice_of(gang->members[i]->pod->uid)))
			return true;
	return false;
}

static bool lacks_room(const struct gang *gang)
{
	return gang->state == GANG_QUEUED && gang->placed == 0 && gang->tried_at != UINT64_MAX &&
	       gang->why != REASON_CODE_TEAM_LIMIT && reason_kind_of(gang->why) == REASON_CAPACITY;
}

bool gang_wants(struct scheduler *s, const struct gang *gang)
{
	return lacks_room(gang) && gang_is_complete(gang) && demand_may_take(s, gang->members[0]->pod) &&
	       gpus_of(s, gang) > 0 && !has_move(s, gang);
}

void moves_want_gang(struct scheduler *s, const struct gang *gang)
{
	if (s->moves && gang->count > 0 && demand_may_take(s, gang->members[0]->pod))
		moves_soon(s);
}

/* --- the search --- */

/* Texts of members and of the gang may go before the search does. */
static void keep_texts(struct move_search *search)
{
	struct gang_asking *asking = search->asking;
	for (size_t i = 0; i < asking->request.group_count; i++)
		asking->groups[i].name = arena_copy(&search->arena, slice_of(asking->groups[i].name));
	for (size_t i = 0; i < asking->request.count; i++) {
		struct plan_names *never = &asking->members[i].never;
		const char **names = arena_calloc(&search->arena, never->count + 1, sizeof *names);
		for (size_t k = 0; k < never->count; k++)
			names[k] = arena_copy(&search->arena, slice_of(never->names[k]));
		never->names = names;
	}
}

static int by_rank(const void *a, const void *b)
{
	return gang_by_rank(*(const void *const *)a, *(const void *const *)b);
}

/* Of each sub-group as many as it needs, then as many as the gang does: the lowest ranks, as it is planned. */
static void keep_quorum(struct gang_asking *asking, size_t quorum)
{
	size_t count = asking->request.count, kept = 0, at = 0;
	struct gang_member ***order = xcalloc(count + 1, sizeof *order);
	bool *keep = xcalloc(count + 1, sizeof *keep);
	size_t wanted[PLAN_GROUPS_MAX];
	for (size_t g = 0; g < PLAN_GROUPS_MAX; g++)
		wanted[g] = g < asking->request.group_count ? asking->groups[g].quorum : 0;
	for (size_t i = 0; i < count; i++)
		order[i] = &asking->of[i];
	if (count > 0)
		qsort(order, count, sizeof *order, by_rank);
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < count; i++) {
			size_t row = (size_t)(order[i] - asking->of);
			size_t *left = &wanted[asking->members[row].group];
			if (keep[row] || (pass == 0 ? *left == 0 : kept >= quorum))
				continue;
			*left -= pass == 0;
			keep[row] = true;
			kept++;
		}
	for (size_t row = 0; row < count; row++)
		if (keep[row]) {
			asking->of[at] = asking->of[row];
			asking->members[at++] = asking->members[row];
		}
	asking->request.count = kept;
	free(order);
	free(keep);
}

const struct gang *search_less(const struct scheduler *s, const struct move_search *search)
{
	const struct gang *gang = search->of_gang ? map_get(&s->gangs->by_key, slice_of(search->id)) : NULL;
	bool less = gang && !search->least && gang_quorum(gang) < search->request.demand.count;
	return less && search_is_of_gang(s, search) ? gang : NULL;
}

bool search_ask_gang(struct scheduler *s, struct move_search *search, const struct gang *gang)
{
	const struct gang_member *first = gang_first_member(gang);
	if (!gang_ask(s, gang, 0, &search->asking))
		return false;
	if (search->least)
		keep_quorum(search->asking, gang_quorum(gang));
	size_t count = search->asking->request.count;
	search->demand = arena_calloc(&search->arena, count + 1, sizeof(struct tracked *));
	for (size_t i = 0; i < count; i++) {
		search->demand[i] = roster_find(s->roster, slice_of(search->asking->of[i]->pod->uid));
		if (!search->demand[i] || search->demand[i]->pod != search->asking->of[i]->pod)
			return false;
		if (search->asking->of[i] == first)
			search->named = i;
	}
	keep_texts(search);
	search->request.demand = search->asking->request;
	search->request.priority = gang->priority;
	return count > 0;
}

bool search_is_of_gang(const struct scheduler *s, const struct move_search *search)
{
	const struct gang *gang = map_get(&s->gangs->by_key, slice_of(search->id));
	size_t count = 0;
	if (!gang || !lacks_room(gang) || !gang_is_complete(gang))
		return false;
	for (size_t i = 0; i < gang->count; i++)
		count += gang->members[i]->state != GANG_AWAY && gang->members[i]->state != GANG_DONE;
	for (size_t i = 0; i < search->request.demand.count; i++) {
		const struct gang_member *member = gangs_find(s->gangs, slice_of(search->demand[i]->pod->uid));
		if (!member || member->gang != gang)
			return false;
	}
	return search->least || count == search->request.demand.count;
}

/* --- the move --- */

struct gang *move_gang(const struct move *move)
{
	for (size_t i = 0; i < move->place_count; i++) {
		const struct gang_member *member = gangs_find(move->s->gangs, slice_of(move->places[i].uid));
		if (member)
			return member->gang;
	}
	return NULL;
}

static bool may_follow(const struct scheduler *s, const struct gang_member *member)
{
	return member->state != GANG_AWAY && member->state < GANG_BOUND &&
	       !map_get(&s->moves->by_place, slice_of(member->pod->uid)) &&
	       roster_find(s->roster, slice_of(member->pod->uid));
}

/* The place of a member that is gone and asked for as much. */
static struct move_place *vacant(const struct move *move, int64_t gpus)
{
	for (size_t i = 0; i < move->place_count; i++)
		if (move->places[i].gone && !move->places[i].bound && move->places[i].gpus == gpus)
			return &move->places[i];
	return NULL;
}

void move_follow_gang(struct move *move, const struct gang *gang)
{
	struct scheduler *s = move->s;
	for (size_t i = 0; i < gang->count; i++) {
		const struct pod *pod = gang->members[i]->pod;
		if (!may_follow(s, gang->members[i]))
			continue;
		struct move_place *place = vacant(move, decide_gpu_units(s->fleet, &pod->demand));
		if (!place)
			continue;
		if (map_get(&s->moves->by_place, slice_of(place->uid)) == place)
			map_remove(&s->moves->by_place, slice_of(place->uid));
		free(place->uid);
		free(place->name);
		place->uid = xstrdup(pod->uid);
		place->name = xstrdup(pod->name);
		place->gone = false;
		map_put(&s->moves->by_place, slice_of(place->uid), place);
	}
}

void place_hold_member(struct scheduler *s, const struct move_place *place, const struct gang_member *member)
{
	const struct pod *pod = member->pod;
	struct node *node = fleet_find(s->fleet, slice_of(place->node));
	struct ledger_entry *entry = ledger_find(s->fleet, slice_of(pod->uid));
	int64_t now = clock_now();
	if (member->placed || member->state == GANG_AWAY || !node || !node->spec)
		return;
	if (!entry)
		ledger_reserve(s->fleet, pod, slice_of(place->node), LEDGER_PLANNED, true, now, scheduler_ttl(s, pod));
	else if (!entry->pinned && entry->expires_ns - now < entry->ttl_ns / 2)
		ledger_renew(s->fleet, entry, now);
}

void moves_hold_member(struct scheduler *s, const struct gang_member *member)
{
	const struct move_place *place = s->moves ? map_get(&s->moves->by_place, slice_of(member->pod->uid)) : NULL;
	if (place && !place->bound && !place->gone && moves_hold(s, member->pod->uid))
		place_hold_member(s, place, member);
}
