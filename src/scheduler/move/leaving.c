/* What ends without this search: pods that are being deleted, and those that other moves are about to end. Their room
 * may be waited for, and nobody counts on them any more. And what moves that are only reported would have made of the
 * fleet by now. */
#include <string.h>

#include "scheduler/move/search.h"

#define COMING_NS (30 * NS_PER_S)       /* room that comes by itself within it is waited for */
#define COMING_MOVED_NS (60 * NS_PER_S) /* beyond the notice that others would be given; another move takes as long */
#define OVERDUE_NS (10 * NS_PER_S)      /* beyond its termination grace a pod may be stuck */
#define COUNTED_NS (5 * NS_PER_S)       /* until budgets have counted a pod that is being deleted as gone */

struct gathering {
	struct scheduler *s;
	struct move_search *search;
	int64_t *allowed; /* by budget */
	int64_t now, patience_ns;
	const char **coming, **leaving;
	size_t coming_room, leaving_room, taken_room;
	struct victims_taken *taken;
	struct map moved; /* UIDs of pods of moves */
};

static void add_uid(const struct gathering *g, const char ***uids, size_t *count, size_t *room, const char *uid)
{
	struct arena *arena = &g->search->arena;
	*uids = search_more(arena, *uids, *count, room, sizeof **uids);
	(*uids)[(*count)++] = arena_copy(arena, slice_of(uid));
}

/* What a budget allows was said before it counted this one as gone. */
static void take_from_budgets(const struct gathering *g, const struct work_pod *leaving)
{
	const struct ledger_entry *entry = ledger_find(g->s->fleet, slice_of(leaving->uid));
	int64_t since = leaving->ends_ns - leaving->grace_s * NS_PER_S;
	struct pod *pod = NULL;
	if (!entry || (leaving->deleting && g->now - since >= COUNTED_NS))
		return;
	for (size_t i = 0; (i = search_next_budget(g->search, entry, &pod, i)) < g->search->budget_count; i++)
		g->allowed[i]--;
	if (pod)
		pod_free(pod);
}

static void add_leaving(struct gathering *g, const struct work_pod *pod, bool coming)
{
	struct victims_request *request = &g->search->request;
	if (coming)
		add_uid(g, &g->coming, &request->coming_count, &g->coming_room, pod->uid);
	add_uid(g, &g->leaving, &request->leaving_count, &g->leaving_room, pod->uid);
	take_from_budgets(g, pod);
}

/* Not those that kubelet does not end in time, or cannot. */
static bool ends_within(const struct gathering *g, const struct work_pod *pod, int64_t ns)
{
	const struct ledger_entry *entry = ledger_find(g->s->fleet, slice_of(pod->uid));
	return pod->ends_ns < g->now + ns && g->now < pod->ends_ns + OVERDUE_NS && entry && entry->node->spec &&
	       entry->node->spec->ready;
}

/* --- other moves --- */

static int64_t least_notice_ns(const struct scheduler *s, const struct move_search *search)
{
	const struct policy *policy = s->policy.inforce;
	const struct policy_class *class_ = &policy->classes[search->request.class_];
	int64_t least = INT64_MAX;
	for (size_t c = 0; c < policy->class_count; c++)
		if (policy_may_preempt(policy, class_, &policy->classes[c]) &&
		    policy->classes[c].victim.grace_ns < least)
			least = policy->classes[c].victim.grace_ns;
	return least == INT64_MAX ? 0 : least;
}

/* When its units will have ended, from now on. */
static int64_t ends_in(const struct move *move)
{
	int64_t notice = move->ending_ns - clock_wall();
	return (notice > 0 ? notice : 0) + move->steps.ends_ns;
}

/* What its pods leave over of the room is for whoever comes first: they hold theirs in the ledger. */
static bool is_coming(const struct gathering *g, const struct move *move, const struct work_pod *pod)
{
	bool holds = !move->asking && move_holds(&move->steps);
	if (move->observed)
		return true;
	if (pod->deleting)
		return ends_within(g, pod, holds ? g->patience_ns : COMING_NS);
	return holds && move->steps.phase < MOVE_EMPTY && ends_in(move) < g->patience_ns;
}

static bool is_to_end(const struct move_unit *unit)
{
	const struct move *move = unit->move;
	return unit->state == UNIT_ENDED ||
	       (unit->state == UNIT_STANDS && (move->observed || move->asking || move_holds(&move->steps)));
}

static void gather_unit(struct gathering *g, const struct move_unit *unit)
{
	for (size_t k = 0; k < unit->pod_count; k++) {
		struct work_pod *pod = work_find(g->s, unit->pods[k].uid);
		if (!pod)
			continue;
		map_put(&g->moved, slice_of(pod->uid), pod);
		add_leaving(g, pod, is_coming(g, unit->move, pod));
	}
}

static const struct resources *copy_of(struct arena *arena, const struct resources *demand)
{
	struct resources *copy = arena_alloc(arena, sizeof *copy);
	*copy = (struct resources){demand->count, arena_alloc(arena, (demand->count + 1u) * sizeof *copy->items)};
	memcpy(copy->items, demand->items, demand->count * sizeof *copy->items);
	return copy;
}

/* The places of a move that is only reported: its pods would have them by now. */
static void gather_taken(struct gathering *g, const struct move *move)
{
	for (size_t i = 0; i < move->place_count; i++) {
		const struct tracked *tracked = roster_find(g->s->roster, slice_of(move->places[i].uid));
		size_t at = g->search->request.taken_count;
		if (move->places[i].bound || !tracked)
			continue;
		g->taken = search_more(&g->search->arena, g->taken, at, &g->taken_room, sizeof *g->taken);
		g->taken[at] =
		    (struct victims_taken){.node = arena_copy(&g->search->arena, slice_of(move->places[i].node)),
		        .demand = copy_of(&g->search->arena, &tracked->pod->demand)};
		g->search->request.taken_count++;
	}
}

static void gather_moves(struct gathering *g)
{
	for (const struct move *move = g->s->moves->list; move; move = move->next) {
		for (size_t i = 0; i < move->unit_count; i++)
			if (is_to_end(&move->units[i]))
				gather_unit(g, &move->units[i]);
		if (move->observed)
			gather_taken(g, move);
	}
}

/* --- pods that are being deleted --- */

/* Of a unit that may be ended, the room counts as the unit's. */
static bool is_of_unit(const struct scheduler *s, const struct move_search *search, const struct work *work)
{
	const char *kind, *id = work_unit(s, work, &kind);
	const struct found *found = id ? map_get(&search->by_id, slice_of(id)) : NULL;
	return found && found->taken;
}

static void gather_deleted(struct gathering *g)
{
	size_t cursor = 0;
	for (struct work_pod *pod; (pod = map_next(&g->s->moves->pods, &cursor));)
		if (pod->deleting && !map_get(&g->moved, slice_of(pod->uid)) && !is_of_unit(g->s, g->search, pod->work))
			add_leaving(g, pod, ends_within(g, pod, COMING_NS));
}

void search_gather_leaving(struct scheduler *s, struct move_search *search, int64_t *allowed)
{
	struct gathering g = {.s = s,
	    .search = search,
	    .allowed = allowed,
	    .now = clock_now(),
	    .patience_ns = COMING_MOVED_NS + least_notice_ns(s, search)};
	gather_moves(&g);
	gather_deleted(&g);
	search->request.coming = g.coming;
	search->request.leaving = g.leaving;
	search->request.taken = g.taken;
	map_free(&g.moved);
}
