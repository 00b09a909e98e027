/* Pods that wait for room which moves may give them: siblings of one owner that ask for the same are one demand. Of all
 * demands the first in order is looked at, one at a time, with all that might be ended for it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "scheduler/move.h"

#define SIBLINGS_NS NS_PER_S       /* for those of the same owner to come, too: together they are one demand */
#define AGAIN_NS (10 * NS_PER_S)   /* a demand that was looked at in vain */
#define PUT_OFF_NS (20 * NS_PER_S) /* longer, after a move for it that was given up */
#define SLICE_NS (4 * NS_PER_MS)   /* of the loop, then other work comes in between */

struct move_search {
	struct arena arena; /* owns the request's texts and arrays, and itself */
	struct victims_request request;
	struct victims_search *search;
	struct tracked **demand; /* dropped before one of them is freed */
	size_t unit_room;
	struct victims_unit *units;
	struct found **found; /* of each unit */
	struct map by_id;     /* id → struct found, of units of several works */
	const struct budget **budgets;
	size_t budget_count;
};

/* A unit as it is gathered. */
struct found {
	const char *id, *kind;
	size_t at; /* of the request's units */
	size_t key_count, key_room, member_room, draw_room;
	const char **keys; /* of its works */
	const char **members;
	struct victims_draw *draws;
	bool out, lives;
	int64_t gpus;
	const char *first; /* the member whose class is the unit's */
};

/* --- who waits --- */

/* Where its own words or the policy forbid every node, ending others helps nobody. */
static bool lacks_room(const struct scheduler *s, const struct tracked *tracked)
{
	const struct waiting_pod *waiting = waiting_find(s->waiting, slice_of(tracked->pod->uid));
	return waiting ? reason_kind_of(waiting->reason) == REASON_CAPACITY : tracked->pod->unschedulable != NULL;
}

static const struct policy_class *class_of(const struct scheduler *s, const struct pod *pod)
{
	enum reason why;
	return policy_class_of(s->policy.inforce, pod, &why);
}

static bool wants(struct scheduler *s, struct tracked *tracked)
{
	const struct pod *pod = tracked->pod;
	if (pod->gated || pod->deleting || pod->gang || pod->trouble || !scheduler_owns(pod) ||
	    !lacks_room(s, tracked) || ledger_find(s->fleet, slice_of(pod->uid)) ||
	    map_get(&s->moves->by_place, slice_of(pod->uid)))
		return false;
	feed_learn(s, tracked->pod);
	const struct policy_class *class_ = class_of(s, pod);
	return class_ && (class_->may_preempt_count > 0 || headroom_lends(s->policy.inforce, class_)) &&
	       decide_gpu_units(s->fleet, &pod->demand) > 0;
}

static const char *demand_id(const struct pod *pod)
{
	return pod->owner_uid ? pod->owner_uid : pod->uid;
}

static int by_amounts(const struct resources *a, const struct resources *b)
{
	if (a->count != b->count)
		return a->count < b->count ? -1 : 1;
	for (uint16_t i = 0; i < a->count; i++) {
		if (a->items[i].id != b->items[i].id)
			return a->items[i].id < b->items[i].id ? -1 : 1;
		if (a->items[i].amount != b->items[i].amount)
			return a->items[i].amount < b->items[i].amount ? -1 : 1;
	}
	return 0;
}

/* Equal for pods of one demand. */
static int by_demand(const struct pod *a, const struct pod *b)
{
	if (a->priority != b->priority)
		return a->priority > b->priority ? -1 : 1;
	int order = strcmp(demand_id(a), demand_id(b));
	return order != 0 ? order : by_amounts(&a->demand, &b->demand);
}

static int in_order(const void *a, const void *b)
{
	const struct pod *one = (*(struct tracked *const *)a)->pod, *other = (*(struct tracked *const *)b)->pod;
	int order = by_demand(one, other);
	return order != 0 ? order : strcmp(one->uid, other->uid);
}

static struct demand_tried *tried(const struct moves *moves, const struct pod *pod)
{
	return map_get(&moves->tried, slice_of(demand_id(pod)));
}

static void tried_free(struct demand_tried *tried)
{
	free(tried->id);
	free(tried->namespace_);
	free(tried->kind);
	free(tried->name);
	free(tried->class_name);
	free(tried->why);
	free(tried);
}

static void in_vain(struct scheduler *s, const struct pod *pod, size_t pods, const char *why)
{
	struct demand_tried *found = tried(s->moves, pod);
	if (!found) {
		const struct policy_class *class_ = class_of(s, pod);
		found = xcalloc(1, sizeof *found);
		*found = (struct demand_tried){.id = xstrdup(demand_id(pod)),
		    .namespace_ = xstrdup(pod->namespace_),
		    .kind = xstrdup(pod->owner_uid && pod->owner_kind_count > 0 ? pod->owner_kinds[0] : "Pod"),
		    .name = xstrdup(pod->owner_uid && pod->owner_name ? pod->owner_name : pod->name),
		    .class_name = xstrdup(class_ ? class_->name : "")};
		map_put(&s->moves->tried, slice_of(found->id), found);
	}
	if (!found->why || strcmp(found->why, why) != 0)
		log_info("no move for pods that wait", "for=%s/%s pods=%zu why=%s", found->namespace_, found->name,
		    pods, log_quote(why));
	free(found->why);
	found->why = xstrdup(why);
	found->pods = pods;
	found->at_ns = clock_now();
	found->seen = true;
}

/* Another move for them would end as this one did. */
void demand_put_off(struct move *move)
{
	struct moves *moves = move->s->moves;
	struct demand_tried *found = map_get(&moves->tried, slice_of(move->uid));
	if (!found) {
		found = xcalloc(1, sizeof *found);
		*found = (struct demand_tried){.id = xstrdup(move->uid),
		    .namespace_ = xstrdup(move->namespace_),
		    .kind = xstrdup(move->kind),
		    .name = xstrdup(move->name),
		    .class_name = xstrdup(move->class_name)};
		map_put(&moves->tried, slice_of(found->id), found);
	}
	free(found->why);
	found->why = xstrdup(move_stop_text(move->steps.stop));
	found->pods = move->place_count;
	found->at_ns = clock_now() + PUT_OFF_NS;
	found->seen = true;
}

/* What nobody waits for any more is forgotten. */
static void forget_tried(struct moves *moves)
{
	size_t cursor = 0, count = 0;
	struct demand_tried **gone = xcalloc(moves->tried.count + 1, sizeof *gone);
	for (struct demand_tried *tried; (tried = map_next(&moves->tried, &cursor));) {
		if (!tried->seen)
			gone[count++] = tried;
		tried->seen = false;
	}
	while (count > 0) {
		struct demand_tried *tried = gone[--count];
		map_remove(&moves->tried, slice_of(tried->id));
		tried_free(tried);
	}
	free(gone);
}

/* --- what may be ended --- */

static void *grow(struct arena *arena, void *items, size_t count, size_t *room, size_t size)
{
	if (count < *room)
		return items;
	size_t more = *room ? 2 * *room : 4;
	void *block = arena_alloc(arena, more * size);
	if (count > 0)
		memcpy(block, items, count * size);
	*room = more;
	return block;
}

static struct found *find(struct move_search *search, const char *id, const char *kind)
{
	struct found *found = map_get(&search->by_id, slice_of(id));
	if (found)
		return found;
	struct arena *arena = &search->arena;
	size_t at = search->request.unit_count++;
	if (at == search->unit_room) {
		size_t room = search->unit_room;
		search->units = grow(arena, search->units, at, &search->unit_room, sizeof *search->units);
		search->found = grow(arena, search->found, at, &room, sizeof(struct found *));
	}
	found = arena_calloc(arena, 1, sizeof *found);
	found->id = arena_copy(arena, slice_of(id));
	found->kind = kind ? arena_copy(arena, slice_of(kind)) : NULL;
	found->at = at;
	search->found[at] = found;
	search->units[at] = (struct victims_unit){.id = found->id,
	    .team = VICTIMS_NONE,
	    .lent_by = VICTIMS_NONE,
	    .priority = INT32_MIN,
	    .part_of = VICTIMS_WHOLE};
	map_put(&search->by_id, slice_of(found->id), found);
	return found;
}

static void draw(struct move_search *search, struct found *found, const struct ledger_entry *entry)
{
	struct victims_unit *unit = &search->units[found->at];
	struct pod *pod = NULL;
	for (size_t i = 0; i < search->budget_count; i++) {
		if (strcmp(search->budgets[i]->namespace_, entry->namespace_) != 0)
			continue;
		if (!pod && !(pod = ledger_pod(entry)))
			return;
		if (!budget_is_for(search->budgets[i], pod->namespace_, &pod->labels))
			continue;
		size_t k = 0;
		while (k < unit->draw_count && found->draws[k].budget != i)
			k++;
		if (k == unit->draw_count) {
			found->draws = grow(&search->arena, found->draws, k, &found->draw_room, sizeof *found->draws);
			found->draws[unit->draw_count++] = (struct victims_draw){.budget = i};
		}
		found->draws[k].pods++;
	}
	if (pod)
		pod_free(pod);
}

static void add_pod(struct scheduler *s, struct move_search *search, struct found *found, struct work_pod *pod)
{
	struct victims_unit *unit = &search->units[found->at];
	const struct ledger_entry *entry = ledger_find(s->fleet, slice_of(pod->uid));
	const struct policy_class *class_ = work_class(s, pod);
	if (!entry)
		return;
	if (!class_) {
		found->out = true;
		return;
	}
	found->members =
	    grow(&search->arena, found->members, unit->member_count, &found->member_room, sizeof *found->members);
	found->members[unit->member_count++] = arena_copy(&search->arena, slice_of(pod->uid));
	if (!found->first || strcmp(pod->uid, found->first) < 0) {
		found->first = found->members[unit->member_count - 1];
		unit->class_ = pod->class_;
	}
	if (pod->priority > unit->priority)
		unit->priority = pod->priority;
	if (pod->start_ns > unit->start_ns)
		unit->start_ns = pod->start_ns;
	if (pod->checkpoint_ns > unit->checkpoint_ns)
		unit->checkpoint_ns = pod->checkpoint_ns;
	unit->keep |= pod->keep;
	if (unit->lent_by == VICTIMS_NONE)
		unit->lent_by = headroom_due_back(s->fleet, entry);
	found->lives |= !pod->deleting;
	found->gpus += decide_gpu_units(s->fleet, &entry->demand);
	draw(search, found, entry);
}

/* Its suspension would end pods that berth does not place. */
static bool has_foreigners(const struct scheduler *s, const struct work *work)
{
	for (const struct ledger_entry *e = ledger_siblings(s->fleet, work->owner_uid); e; e = e->owner_next)
		if (!e->ours)
			return true;
	return false;
}

static void add_together(struct scheduler *s, struct move_search *search, struct work *work)
{
	const char *kind = NULL, *id = work_unit(s, work, &kind);
	struct owners_job job;
	if (!id || map_get(&s->moves->by_unit, slice_of(id)))
		return;
	struct found *found = find(search, id, kind);
	struct victims_unit *unit = &search->units[found->at];
	unit->way = work->way == WORK_SUSPENDED ? VICTIMS_SUSPEND : VICTIMS_EVICT;
	unit->recreated = true;
	found->keys = grow(&search->arena, found->keys, found->key_count, &found->key_room, sizeof *found->keys);
	found->keys[found->key_count++] = arena_copy(&search->arena, slice_of(work->key));
	found->out |= work->way == WORK_SUSPENDED && has_foreigners(s, work);
	for (struct work_pod *pod = work->pods; pod; pod = pod->next)
		add_pod(s, search, found, pod);
	unit = &search->units[found->at];
	if (work->way == WORK_SUSPENDED && owners_find(s->owners, work->owner_uid, &job) &&
	    job.checkpoint_ns > unit->checkpoint_ns)
		unit->checkpoint_ns = job.checkpoint_ns;
	/* KubeRay makes a suspended RayJob's cluster anew: the job begins from its start. */
	if (kind && strcmp(kind, "RayJob") == 0)
		unit->checkpoint_ns = 0;
}

static void add_each(struct scheduler *s, struct move_search *search, struct work *work)
{
	for (struct work_pod *pod = work->pods; pod; pod = pod->next) {
		if (pod->deleting || map_get(&s->moves->by_unit, slice_of(pod->uid)))
			continue;
		struct found *found = find(search, pod->uid, NULL);
		search->units[found->at].way = VICTIMS_EVICT;
		search->units[found->at].recreated = work->way == WORK_REPLICAS;
		found->keys = grow(&search->arena, found->keys, 0, &found->key_room, sizeof *found->keys);
		found->keys[found->key_count++] = arena_copy(&search->arena, slice_of(work->key));
		add_pod(s, search, found, pod);
	}
}

static int by_id(const void *a, const void *b)
{
	return strcmp((*(struct found *const *)a)->id, (*(struct found *const *)b)->id);
}

/* In the order of their ids, so that the same fleet gives the same search. */
static void settle(struct scheduler *s, struct move_search *search)
{
	size_t count = 0, all = search->request.unit_count;
	struct victims_unit *units = arena_calloc(&search->arena, all + 1, sizeof *units);
	int64_t wall = clock_wall();
	if (all > 0)
		qsort(search->found, all, sizeof(struct found *), by_id);
	for (size_t i = 0; i < all; i++) {
		struct found *found = search->found[i];
		struct victims_unit unit = search->units[found->at];
		if (found->out || !found->lives || found->gpus == 0 || unit.member_count == 0)
			continue;
		unit.members = found->members;
		unit.draws = found->draws;
		unit.moves = past_today(s->moves, found->id, wall);
		if (past_alone(s->moves, found->id, wall))
			unit.keep |= VICTIMS_KEEP_OWNER;
		search->found[count] = found;
		units[count++] = unit;
	}
	search->request.units = search->units = units;
	search->request.unit_count = count;
}

static void gather(struct scheduler *s, struct move_search *search)
{
	size_t cursor = 0;
	search->budgets = budgets_all(s->moves->budgets, &search->budget_count);
	for (struct work *work; (work = map_next(&s->moves->works, &cursor));) {
		if (search->request.unit_count + work->count > VICTIMS_UNITS_MAX)
			break;
		if (work->way == WORK_SUSPENDED || work->way == WORK_GROUP)
			add_together(s, search, work);
		else if (work->way != WORK_NEVER)
			add_each(s, search, work);
	}
	int64_t *allowed = arena_calloc(&search->arena, search->budget_count + 1, sizeof *allowed);
	for (size_t i = 0; i < search->budget_count; i++)
		allowed[i] = search->budgets[i]->allowed;
	search->request.budgets = allowed;
	search->request.budget_count = search->budget_count;
	settle(s, search);
}

/* --- the search --- */

static struct move_search *search_begin(struct scheduler *s, struct tracked **demand, size_t count)
{
	struct arena arena;
	arena_init(&arena, 1 << 16);
	struct move_search *search = arena_calloc(&arena, 1, sizeof *search);
	search->arena = arena;
	struct plan_member *members = arena_calloc(&search->arena, count, sizeof *members);
	search->demand = arena_calloc(&search->arena, count, sizeof(struct tracked *));
	for (size_t i = 0; i < count; i++) {
		search->demand[i] = demand[i];
		members[i] = (struct plan_member){.pod = demand[i]->pod, .rank = PLAN_NO_RANK};
	}
	const struct policy_class *class_ = class_of(s, demand[0]->pod);
	gather(s, search);
	search->request.demand = (struct plan_request){.count = count, .members = members, .topology = PLAN_ANYWHERE};
	search->request.class_ = (uint16_t)(class_ - s->policy.inforce->classes);
	search->request.team = VICTIMS_NONE;
	search->request.priority = demand[0]->pod->priority;
	search->request.now_ns = clock_wall();
	search->request.moves_max = s->policy.inforce->moves.per_unit_and_day;
	search->search = victims_begin(s->fleet, &search->request);
	return search;
}

static void search_free(struct move_search *search)
{
	struct arena arena = search->arena;
	map_free(&search->by_id);
	free(search->budgets);
	arena_free(&arena);
}

static void search_drop(struct scheduler *s)
{
	struct victims_answer answer;
	struct move_search *search = s->moves->search;
	if (!search)
		return;
	s->moves->search = NULL;
	victims_finish(s->fleet, search->search, &answer);
	victims_answer_free(&answer);
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
	if (from->way == VICTIMS_SUSPEND)
		unit->suspends = suspend_kind_of(unit->kind);
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
			    .node = xstrdup(plan->nodes[i]->name)};
	}
}

static void make_move(struct scheduler *s, const struct move_search *search, const struct victims_answer *answer)
{
	const struct pod *pod = search->demand[0]->pod;
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
	add_places(move, search, &answer->plan);
	move_put(move);
}

static void conclude(struct scheduler *s, struct move_search *search)
{
	struct victims_answer answer;
	char why[256];
	const struct pod *pod = search->demand[0]->pod;
	size_t pods = search->request.demand.count;
	victims_finish(s->fleet, search->search, &answer);
	switch (answer.verdict) {
	case VICTIMS_FOUND:
		if (answer.count > MOVE_UNITS_MAX)
			in_vain(s, pod, pods, "too many units would have to end at a time");
		else
			make_move(s, search, &answer);
		break;
	case VICTIMS_BARRED:
		snprintf(
		    why, sizeof why, "what would have to end for it may not: %s", victims_bar_text(answer.missing));
		in_vain(s, pod, pods, why);
		break;
	case VICTIMS_NO_ROOM:
		snprintf(why, sizeof why, "there would be no room even without all that may end: %s",
		    reason_text(answer.plan.reason));
		in_vain(s, pod, pods, why);
		break;
	case VICTIMS_NOT_NEEDED:
		in_vain(s, pod, pods, "there is room: nothing has to end for it");
		break;
	default:
		break;
	}
	victims_answer_free(&answer);
	search_free(search);
}

static void search_step(struct scheduler *s)
{
	struct move_search *search = s->moves->search;
	int64_t until = clock_now() + SLICE_NS;
	bool done = false;
	while (!done && clock_now() < until)
		done = victims_step(search->search, VICTIMS_EFFORT);
	if (!done)
		return;
	s->moves->search = NULL;
	conclude(s, search);
}

/* Whether all siblings had the time to be rejected, the first of them by its own. */
static bool is_complete(const struct scheduler *s, struct tracked *const *siblings, size_t count, int64_t now)
{
	if (!siblings[0]->pod->owner_uid)
		return true;
	for (size_t i = 0; i < count; i++) {
		const struct waiting_pod *waiting = waiting_find(s->waiting, slice_of(siblings[i]->pod->uid));
		if (!waiting || now - waiting->since_ns >= SIBLINGS_NS)
			return true;
	}
	return false;
}

/* The first demand in order that is complete and was not looked at just now. */
static void choose(struct scheduler *s, struct tracked **waiting, size_t count)
{
	int64_t now = clock_now();
	for (size_t at = 0, end; at < count; at = end) {
		for (end = at + 1; end < count && by_demand(waiting[at]->pod, waiting[end]->pod) == 0;)
			end++;
		struct demand_tried *before = tried(s->moves, waiting[at]->pod);
		if (before)
			before->seen = true;
		if ((before && now - before->at_ns < AGAIN_NS) || s->moves->search || s->moves->count >= MOVES_MAX ||
		    !is_complete(s, &waiting[at], end - at, now))
			continue;
		s->moves->search = search_begin(s, &waiting[at], end - at < MOVE_PODS_MAX ? end - at : MOVE_PODS_MAX);
	}
	forget_tried(s->moves);
}

void demand_look(struct scheduler *s)
{
	size_t cursor = 0, count = 0;
	if (s->moves->search) {
		search_step(s);
		return;
	}
	struct tracked **waiting = xcalloc(roster_count(s->roster) + 1, sizeof(struct tracked *));
	for (struct tracked *tracked; (tracked = roster_next(s->roster, &cursor));)
		if (wants(s, tracked))
			waiting[count++] = tracked;
	if (count > 0) {
		s->moves->demand_ns = clock_now();
		qsort(waiting, count, sizeof(struct tracked *), in_order);
	}
	s->moves->due = count > 0;
	choose(s, waiting, count);
	free(waiting);
	if (s->moves->search)
		search_step(s);
}

void demand_close(struct moves *moves)
{
	size_t cursor = 0;
	for (struct demand_tried *tried; (tried = map_next(&moves->tried, &cursor));)
		tried_free(tried);
	map_free(&moves->tried);
}
