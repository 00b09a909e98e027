/* The search for what is ended for one demand: begun, gone on with for a bounded part of the loop's time, and made a
 * move of, or told why there is none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scheduler/move/search.h"

#define SLICE_NS (4 * NS_PER_MS)     /* of the loop, then other work comes in between */
#define OVERTAKEN_MAX 2              /* times that units are gathered in vain, part by part: then at once */
#define LOOK_AGAIN_NS (2 * NS_PER_S) /* at what may soon be otherwise */

static void search_free(struct move_search *search)
{
	struct arena arena = search->arena;
	if (search->asking)
		gang_asked(search->asking);
	map_free(&search->by_id);
	map_free(&search->spared);
	free(search->budgets);
	arena_free(&arena);
}

/* Siblings that ask for the same. */
static void ask_singles(struct move_search *search, const struct demand *demand)
{
	struct plan_member *members = arena_calloc(&search->arena, demand->count, sizeof *members);
	search->demand = arena_calloc(&search->arena, demand->count, sizeof(struct tracked *));
	for (size_t i = 0; i < demand->count; i++) {
		search->demand[i] = demand->pods[i];
		members[i] = (struct plan_member){.pod = demand->pods[i]->pod, .rank = PLAN_NO_RANK};
	}
	search->request.demand =
	    (struct plan_request){.count = demand->count, .members = members, .topology = PLAN_ANYWHERE};
	search->request.priority = demand->priority;
}

static bool begin(struct scheduler *s, struct move_search *search, const struct demand *demand)
{
	enum reason why;
	search->id = arena_copy(&search->arena, slice_of(demand->id));
	search->of_gang = demand->gang != NULL;
	search->least = demand->least;
	search->cuts = demand->cuts;
	if (!demand->gang)
		ask_singles(search, demand);
	else if (!search_ask_gang(s, search, demand->gang))
		return false;
	const struct policy *policy = s->policy.inforce;
	const struct policy_class *class_ = policy_class_of(policy, search->demand[0]->pod, &why);
	if (!class_)
		return false;
	search->request.class_ = (uint16_t)(class_ - policy->classes);
	if (search->request.demand.count > MOVE_PODS_MAX) {
		demand_in_vain(s, search, "it has too many pods for one move", true, DEMAND_AGAIN_NS);
		return false;
	}
	search_gather_begin(s, search);
	search->request.team = VICTIMS_NONE;
	search->request.now_ns = clock_wall();
	search->request.moves_max = policy->moves.per_unit_and_day;
	return true;
}

void search_begin(struct scheduler *s, const struct demand *demand)
{
	struct arena arena;
	arena_init(&arena, 1 << 16);
	struct move_search *search = arena_calloc(&arena, 1, sizeof *search);
	search->arena = arena;
	if (begin(s, search, demand))
		s->moves->search = search;
	else
		search_free(search);
}

static void search_drop(struct scheduler *s)
{
	struct victims_answer answer;
	struct move_search *search = s->moves->search;
	if (!search)
		return;
	s->moves->search = NULL;
	if (search->search) {
		victims_finish(s->fleet, search->search, &answer);
		victims_answer_free(&answer);
	} else if (search->emptying) {
		const char *node;
		victims_empty_finish(search->emptying, &answer, &node);
		victims_answer_free(&answer);
	}
	search_free(search);
}

void moves_changes(struct scheduler *s, struct slice uid)
{
	const struct move_search *search = s->moves ? s->moves->search : NULL;
	for (size_t i = 0; search && i < search->request.demand.count; i++)
		if (slice_is(uid, search->demand[i]->pod->uid)) {
			search_drop(s);
			moves_soon(s);
			return;
		}
}

void moves_drop_search(struct scheduler *s)
{
	if (s->moves)
		search_drop(s);
}

/* --- what comes of it --- */

static void note_rooms(struct scheduler *s, struct move_unit *unit)
{
	for (size_t i = 0; i < unit->pod_count; i++) {
		const struct ledger_entry *entry = ledger_find(s->fleet, slice_of(unit->pods[i].uid));
		size_t k = 0;
		if (!entry)
			continue;
		struct resource_list list = {.count = 0};
		for (uint16_t r = 0; r < entry->demand.count; r++) {
			int64_t *at = resource_list_at(&list, entry->demand.items[r].id);
			if (at)
				*at = entry->demand.items[r].amount;
		}
		while (
		    k < unit->room_count &&
		    (strcmp(unit->rooms[k].node, entry->node->name) != 0 || unit->rooms[k].demand.count != list.count ||
		        memcmp(unit->rooms[k].demand.items, list.items, list.count * sizeof *list.items) != 0))
			k++;
		if (k == unit->room_count) {
			unit->rooms = xrealloc(unit->rooms, (k + 1) * sizeof *unit->rooms);
			unit->rooms[unit->room_count++] =
			    (struct unit_room){.node = xstrdup(entry->node->name), .demand = list};
		}
		unit->rooms[k].count++;
	}
}

static void name_unit(struct scheduler *s, struct move_unit *unit, const struct found *found, bool together)
{
	const struct work *work = map_get(&s->moves->works, slice_of(found->keys[0]));
	const struct work_pod *pod = work_find(s, unit->pods[0].uid);
	struct owners_job job;
	if (together && work && owners_find(s->owners, work->owner_uid, &job) && job.owner_uid && job.owner_name &&
	    suspend_kind_of(job.owner_kind)) {
		unit->kind = xstrdup(job.owner_kind);
		unit->name = xstrdup(job.owner_name);
		unit->uid = xstrdup(job.owner_uid);
	} else if (together && work) {
		unit->kind = xstrdup(work->owner_kind);
		unit->name = xstrdup(work->owner_name);
		unit->uid = xstrdup(work->owner_uid);
	} else {
		unit->kind = xstrdup("Pod");
		unit->name = xstrdup(pod ? pod->name : unit->pods[0].name);
		unit->uid = xstrdup(unit->pods[0].uid);
	}
}

static void note_surplus(struct move_unit *unit, const struct found *found, const struct work *work)
{
	if (!found->gang)
		return;
	unit->gang = xstrdup(found->gang);
	unit->group = found->group ? xstrdup(found->group) : NULL;
	unit->rank = found->rank;
	unit->move->surplus_count++;
	if (!work || !work->owner_kind || !work->owner_name || !work->owner_uid)
		return;
	unit->of_kind = xstrdup(work->owner_kind);
	unit->of_name = xstrdup(work->owner_name);
	unit->of_uid = xstrdup(work->owner_uid);
}

static void add_unit(
    struct scheduler *s, struct move *move, const struct move_search *search, const struct victims_chosen *chosen)
{
	const struct victims_unit *from = &search->units[chosen->unit];
	const struct found *found = search->found[chosen->unit];
	const struct ledger_entry *entry = ledger_find(s->fleet, slice_of(from->members[0]));
	struct move_unit *unit = move_add_unit(move);
	unit->id = xstrdup(from->id);
	unit->namespace_ = xstrdup(entry ? entry->namespace_ : "");
	unit->class_name = xstrdup(s->policy.inforce->classes[from->class_].name);
	unit->right = chosen->right;
	unit->milli_gpus = chosen->milli_gpus;
	unit->cost = victims_cost_total(&chosen->cost);
	unit->priority = from->priority;
	unit->keys = xcalloc(found->key_count, sizeof(char *));
	for (size_t i = 0; i < found->key_count; i++)
		unit->keys[unit->key_count++] = xstrdup(found->keys[i]);
	unit->pods = xcalloc(from->member_count, sizeof *unit->pods);
	for (size_t i = 0; i < from->member_count; i++) {
		const struct work_pod *pod = work_find(s, from->members[i]);
		unit->pods[unit->pod_count++] =
		    (struct unit_pod){.uid = xstrdup(from->members[i]), .name = xstrdup(pod ? pod->name : "")};
	}
	name_unit(s, unit, found, from->way == VICTIMS_SUSPEND);
	const struct work *work = map_get(&s->moves->works, slice_of(found->keys[0]));
	if (from->way == VICTIMS_EVICT && !found->gang && work && work->maker)
		unit->maker = xstrdup(work->maker->key);
	if (from->way == VICTIMS_SUSPEND)
		unit->suspends = suspend_kind_of(unit->kind);
	note_surplus(unit, found, map_get(&s->moves->works, slice_of(found->keys[0])));
	note_rooms(s, unit);
}

static void add_places(struct move *move, const struct move_search *search, const struct plan *plan)
{
	move->places = xcalloc(plan->count + 1, sizeof *move->places);
	for (size_t i = 0; i < plan->count; i++) {
		const struct pod *pod = search->demand[i]->pod;
		if (plan->nodes[i])
			move->places[move->place_count++] = (struct move_place){.uid = xstrdup(pod->uid),
			    .name = xstrdup(pod->name),
			    .node = xstrdup(plan->nodes[i]->name),
			    .gpus = decide_gpu_units(move->s->fleet, &pod->demand)};
	}
}

/* The first of them, as many as the node will take. */
static void add_places_on(struct move *move, const struct move_search *search, size_t count)
{
	move->places = xcalloc(count + 1, sizeof *move->places);
	for (; move->place_count < count; move->place_count++) {
		const struct pod *pod = search->demand[move->place_count]->pod;
		move->places[move->place_count] = (struct move_place){.uid = xstrdup(pod->uid),
		    .name = xstrdup(pod->name),
		    .node = xstrdup(move->node),
		    .gpus = decide_gpu_units(move->s->fleet, &pod->demand)};
	}
}

/* Its places are still to be named. */
static struct move *begin_move(
    struct scheduler *s, const struct move_search *search, const struct victims_answer *answer)
{
	const struct pod *pod = search->demand[search->named]->pod;
	bool owned = pod->owner_uid && pod->owner_name && pod->owner_kind_count > 0;
	struct move *move = move_new(s, NULL);
	move->namespace_ = xstrdup(pod->namespace_);
	move->kind = xstrdup(owned ? pod->owner_kinds[0] : "Pod");
	move->name = xstrdup(owned ? pod->owner_name : pod->name);
	move->uid = xstrdup(owned ? pod->owner_uid : pod->uid);
	move->class_name = xstrdup(s->policy.inforce->classes[search->request.class_].name);
	move->priority = search->request.priority;
	move->begun_ns = clock_wall();
	move->cost = victims_cost_total(&answer->cost);
	move->observed = s->policy.inforce->moves.mode == MOVES_OBSERVE;
	for (size_t i = 0; i < answer->count; i++)
		add_unit(s, move, search, &answer->chosen[i]);
	return move;
}

static void make_move(struct scheduler *s, const struct move_search *search, const struct victims_answer *answer)
{
	struct move *move = begin_move(s, search, answer);
	add_places(move, search, &answer->plan);
	move_put(move);
}

/* Whether time alone may change it. */
static bool passes(const struct victims_answer *answer)
{
	return answer->verdict == VICTIMS_BARRED && answer->missing != VICTIMS_BAR_NO_RIGHT &&
	       answer->missing != VICTIMS_BAR_PRIORITY && answer->missing != VICTIMS_BAR_NOT_RECREATED;
}

static void no_move(struct scheduler *s, const struct move_search *search, const struct victims_answer *answer)
{
	char why[256];
	if (answer->verdict == VICTIMS_BARRED)
		snprintf(
		    why, sizeof why, "what would have to end for it may not: %s", victims_bar_text(answer->missing));
	else
		snprintf(why, sizeof why, "there would be no room even without all that may end: %s",
		    reason_text(answer->plan.reason));
	demand_in_vain(s, search, why, !search->passed_over && !passes(answer),
	    search->passed_over ? LOOK_AGAIN_NS : DEMAND_AGAIN_NS);
}

/* The search goes on for less of the same, if it returns one. */
static const struct gang *conclude(
    struct scheduler *s, const struct move_search *search, const struct victims_answer *answer)
{
	switch (answer->verdict) {
	case VICTIMS_FOUND:
		if (search->of_gang && !search_is_of_gang(s, search))
			moves_soon(s); /* it is not what it was any more */
		else if (answer->count > MOVE_UNITS_MAX)
			demand_in_vain(s, search, "too many units would have to end at a time", true, DEMAND_AGAIN_NS);
		else
			make_move(s, search, answer);
		return NULL;
	case VICTIMS_BARRED:
	case VICTIMS_NO_ROOM:
		if (search_less(s, search))
			return search_less(s, search);
		no_move(s, search, answer);
		return NULL;
	case VICTIMS_NOT_NEEDED:
		if (search->request.taken_count > 0 && (!search->of_gang || search_is_of_gang(s, search))) {
			make_move(s, search, answer); /* of what reported moves would have left over by now */
			return NULL;
		}
		demand_in_vain(s, search,
		    search->request.coming_count > 0 ? "there is room, once what is ending has ended"
		                                     : "there is room: nothing has to end for it",
		    false, LOOK_AGAIN_NS);
		return NULL;
	default:
		return NULL;
	}
}

/* The same where a node is emptied. */
static void conclude_node(
    struct scheduler *s, struct move_search *search, const struct victims_answer *answer, const char *node)
{
	char why[256];
	size_t pods;
	int64_t again_ns = search->passed_over ? LOOK_AGAIN_NS : DEMAND_AGAIN_NS;
	if (answer->verdict == VICTIMS_BARRED) {
		snprintf(why, sizeof why, "what would have to end so that a node can be cut into slices may not: %s",
		    victims_bar_text(answer->missing));
		demand_in_vain(s, search, why, !search->passed_over && !passes(answer), again_ns);
	} else if (answer->verdict != VICTIMS_FOUND) {
		demand_in_vain(s, search,
		    "no node could be cut into slices for it on which all pods with GPUs are of berth's units",
		    !search->passed_over, again_ns);
	} else if (!search_nodes_suffice(s, search)) {
		demand_in_vain(s, search, "not all of them would fit on nodes that may be emptied and cut into slices",
		    true, again_ns);
	} else if (answer->count > MOVE_UNITS_MAX) {
		demand_in_vain(s, search, "too many units would have to end at a time", true, DEMAND_AGAIN_NS);
	} else {
		const struct policy_mig_config *config = search_node_chosen(s, search, node, &pods);
		if (!config) {
			moves_soon(s);
			return;
		}
		struct move *move = begin_move(s, search, answer);
		move->node = xstrdup(node);
		move->config = xstrdup(config->name);
		add_places_on(move, search, pods);
		move_put(move);
	}
}

/* All that may be ended is known. False: it is not yet, or has to be looked at once more. */
static bool gathered(struct scheduler *s, struct move_search *search, int64_t until_ns)
{
	struct moves *moves = s->moves;
	if (search->search || search->emptying)
		return true;
	if (search->budget_changes != moves->budget_changes) {
		moves->overtaken++;
		search_drop(s);
		moves_soon(s);
		return false;
	}
	if (!search_gather(s, search, moves->overtaken < OVERTAKEN_MAX ? until_ns : INT64_MAX))
		return false;
	moves->overtaken = 0;
	if (search->cuts)
		search_nodes_begin(s, search);
	else
		search->search = victims_begin(s->fleet, &search->request);
	return true;
}

void search_step(struct scheduler *s)
{
	struct move_search *search = s->moves->search;
	int64_t until = clock_now() + SLICE_NS;
	bool done = false;
	if (!gathered(s, search, until))
		return;
	while (!done && clock_now() < until)
		done = search->cuts ? search_node(s, search) : victims_step(search->search, VICTIMS_EFFORT);
	if (!done)
		return;
	struct victims_answer answer;
	s->moves->search = NULL;
	if (search->cuts) {
		const char *node;
		victims_empty_finish(search->emptying, &answer, &node);
		conclude_node(s, search, &answer, node);
		victims_answer_free(&answer);
		search_free(search);
		return;
	}
	victims_finish(s->fleet, search->search, &answer);
	const struct gang *gang = conclude(s, search, &answer);
	victims_answer_free(&answer);
	search_free(search);
	if (gang)
		search_begin(
		    s, &(struct demand){.gang = gang, .id = gang->key, .priority = gang->priority, .least = true});
}
