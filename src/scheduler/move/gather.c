/* All that might be ended for pods that wait: units of work as core/victims is told of them. */
#include <stdlib.h>
#include <string.h>

#include "scheduler/move/search.h"

#define WORKS_AT_ONCE 16
#define ID_MAX 2048
#define DRAW_REFUSED (INT64_C(1) << 32) /* more than any budget allows */
#define SAME_START_NS (60 * NS_PER_S)   /* members that started so close together did so with their gang */

void *search_more(struct arena *arena, void *items, size_t count, size_t *room, size_t size)
{
	if (count < *room)
		return items;
	size_t wanted = *room ? 2 * *room : 4;
	void *block = arena_alloc(arena, wanted * size);
	if (count > 0)
		memcpy(block, items, count * size);
	*room = wanted;
	return block;
}

struct found *search_find(struct move_search *search, const char *id, const char *kind)
{
	struct found *found = map_get(&search->by_id, slice_of(id));
	if (found)
		return found;
	struct arena *arena = &search->arena;
	size_t at = search->request.unit_count++;
	if (at == search->unit_room) {
		size_t room = search->unit_room;
		search->units = search_more(arena, search->units, at, &search->unit_room, sizeof *search->units);
		search->found = search_more(arena, search->found, at, &room, sizeof(struct found *));
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

size_t search_next_budget(
    const struct move_search *search, const struct ledger_entry *entry, struct pod **pod, size_t at)
{
	for (; at < search->budget_count; at++) {
		if (strcmp(search->budgets[at]->namespace_, entry->namespace_) != 0)
			continue;
		if (!*pod && !(*pod = ledger_pod(entry)))
			return search->budget_count;
		if (budget_is_for(search->budgets[at], (*pod)->namespace_, &(*pod)->labels))
			return at;
	}
	return at;
}

static void draw(struct move_search *search, struct found *found, const struct ledger_entry *entry)
{
	struct victims_unit *unit = &search->units[found->at];
	struct pod *pod = NULL;
	size_t under = 0;
	for (size_t i = 0; (i = search_next_budget(search, entry, &pod, i)) < search->budget_count; i++, under++) {
		size_t k = 0;
		while (k < unit->draw_count && found->draws[k].budget != i)
			k++;
		if (k == unit->draw_count) {
			found->draws =
			    search_more(&search->arena, found->draws, k, &found->draw_room, sizeof *found->draws);
			found->draws[unit->draw_count++] = (struct victims_draw){.budget = i};
		}
		found->draws[k].pods++;
	}
	found->doubly |= under > 1 && unit->way == VICTIMS_EVICT;
	if (pod)
		pod_free(pod);
}

void search_add_pod(struct scheduler *s, struct move_search *search, struct found *found, struct work_pod *pod)
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
	found->members = search_more(
	    &search->arena, found->members, unit->member_count, &found->member_room, sizeof *found->members);
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

void search_add_key(struct move_search *search, struct found *found, const char *key)
{
	if (found->key_count > 0 && strcmp(found->keys[found->key_count - 1], key) == 0)
		return;
	found->keys = search_more(&search->arena, found->keys, found->key_count, &found->key_room, sizeof *found->keys);
	found->keys[found->key_count++] = arena_copy(&search->arena, slice_of(key));
}

static void add_surplus(struct scheduler *s, struct move_search *search, const char *whole, const struct work *work)
{
	const struct gang *last = NULL;
	for (const struct work_pod *pod = work->pods; pod; pod = pod->next) {
		const struct gang_member *member = gangs_find(s->gangs, slice_of(pod->uid));
		if (member && member->gang != last)
			surplus_gather(s, search, whole, member->gang, work);
		last = member ? member->gang : last;
	}
}

/* Of one that is bound, whoever controls its members. */
static const struct gang *gang_of(const struct scheduler *s, const struct work_pod *pod)
{
	const struct gang_member *member = gangs_find(s->gangs, slice_of(pod->uid));
	return member && member->gang->in_state[GANG_BOUND] > 1 ? member->gang : NULL;
}

/* Whether members of the gang would be left over. */
static bool tears(const struct scheduler *s, const struct found *found, const struct gang *gang)
{
	const char *kind;
	for (size_t i = 0; i < gang->count; i++) {
		const struct work_pod *pod = work_find(s, gang->members[i]->pod->uid);
		const char *id = pod ? work_unit(s, pod->work, &kind) : found->id;
		if (gang->members[i]->state == GANG_BOUND && pod && (!id || strcmp(id, found->id) != 0))
			return true;
	}
	return false;
}

/* A unit by owners or groups that ends a gang in part is none. */
static void keep_whole(const struct scheduler *s, const struct work *work, struct found *found)
{
	for (const struct work_pod *pod = work->pods; pod && !found->out; pod = pod->next) {
		const struct gang *gang = gang_of(s, pod);
		if (gang && gang != found->checked)
			found->out = tears(s, found, gang);
		found->checked = gang;
	}
}

static void add_together(struct scheduler *s, struct move_search *search, struct work *work)
{
	const char *kind = NULL, *id = work_unit(s, work, &kind);
	struct owners_job job;
	bool taken = id && (unit_taken(s->moves, id) || surplus_under_way(s, work));
	search->passed_over |= taken;
	if (!id || taken)
		return;
	struct found *found = search_find(search, id, kind);
	struct victims_unit *unit = &search->units[found->at];
	unit->way = work->way == WORK_SUSPENDED ? VICTIMS_SUSPEND : VICTIMS_EVICT;
	unit->recreated = true;
	search_add_key(search, found, work->key);
	found->out |= work->way == WORK_SUSPENDED && has_foreigners(s, work);
	for (struct work_pod *pod = work->pods; pod; pod = pod->next)
		search_add_pod(s, search, found, pod);
	keep_whole(s, work, found);
	unit = &search->units[found->at];
	if (work->way == WORK_SUSPENDED && owners_find(s->owners, work->owner_uid, &job) &&
	    job.checkpoint_ns > unit->checkpoint_ns)
		unit->checkpoint_ns = job.checkpoint_ns;
	add_surplus(s, search, id, work);
}

/* A gang of pods that are evicted is one unit: without one of its ranks the others are of no use. */
static void write_each_id(const struct gang *gang, const struct work_pod *pod, struct buf *id)
{
	buf_printf(id, "%s%s", gang ? "gang/" : "", gang ? gang->key : pod->uid);
}

static void add_one(
    struct scheduler *s, struct move_search *search, const struct work *work, struct work_pod *pod, const char *id)
{
	bool known = map_get(&search->by_id, slice_of(id)) != NULL;
	struct found *found = search_find(search, id, NULL);
	struct victims_unit *unit = &search->units[found->at];
	unit->way = VICTIMS_EVICT;
	unit->recreated = work->way == WORK_REPLICAS && (!known || unit->recreated);
	search_add_key(search, found, work->key);
	search_add_pod(s, search, found, pod);
}

static void add_each(struct scheduler *s, struct move_search *search, struct work *work)
{
	for (struct work_pod *pod = work->pods; pod; pod = pod->next) {
		const struct gang *gang = gang_of(s, pod);
		struct buf id;
		buf_init(&id, ID_MAX);
		write_each_id(gang, pod, &id);
		bool taken = unit_taken(s->moves, id.data) || (gang && surplus_under_way(s, work));
		search->passed_over |= taken;
		if (!taken && (gang || !pod->deleting))
			add_one(s, search, work, pod, id.data);
		if (!taken && gang)
			surplus_gather(s, search, id.data, gang, work);
		buf_free(&id);
	}
}

static int by_id(const void *a, const void *b)
{
	return strcmp((*(struct found *const *)a)->id, (*(struct found *const *)b)->id);
}

/* What its gang has saved is saved for it, too; and those that started together are not told apart by moments. */
static void link_part(
    const struct move_search *search, struct victims_unit *units, const struct found *found, struct victims_unit *unit)
{
	const struct found *whole = found->whole ? map_get(&search->by_id, slice_of(found->whole)) : NULL;
	if (!whole)
		return;
	const struct victims_unit *all = whole->taken ? &units[whole->index] : &search->units[whole->at];
	if (all->checkpoint_ns > unit->checkpoint_ns)
		unit->checkpoint_ns = all->checkpoint_ns;
	if (llabs(all->start_ns - unit->start_ns) < SAME_START_NS)
		unit->start_ns = all->start_ns;
	if (whole->taken)
		unit->part_of = whole->index;
}

/* A gang goes on while members beyond its quorum come and go: it began with the last of the others. */
static int64_t began(const struct scheduler *s, const struct move_search *search, const struct found *found,
    const struct victims_unit *unit)
{
	int64_t last = 0;
	for (size_t i = 0; i < unit->member_count; i++) {
		const struct work_pod *pod = work_find(s, found->members[i]);
		if (pod && pod->start_ns > last && !map_get(&search->spared, slice_of(pod->uid)))
			last = pod->start_ns;
	}
	return last > 0 ? last : unit->start_ns;
}

/* In the order of their ids, so that the same fleet gives the same search. */
static void settle(struct scheduler *s, struct move_search *search)
{
	size_t count = 0, all = search->request.unit_count;
	struct victims_unit *units = arena_calloc(&search->arena, all + 1, sizeof *units);
	int64_t wall = clock_wall();
	makers_rank(s);
	if (all > 0)
		qsort(search->found, all, sizeof(struct found *), by_id);
	for (size_t i = 0; i < all; i++) {
		struct found *found = search->found[i];
		struct victims_unit unit = search->units[found->at];
		if (found->out || !found->lives || found->gpus == 0 || unit.member_count == 0)
			continue;
		unit.members = found->members;
		unit.draws = found->draws;
		for (size_t k = 0; found->doubly && k < unit.draw_count; k++)
			found->draws[k].pods = DRAW_REFUSED;
		if (!found->whole && search->spared.count > 0)
			unit.start_ns = began(s, search, found, &unit);
		bool counted = unit.way == VICTIMS_SUSPEND || found->gang;
		unit.moves = counted ? past_today(s->moves, found->id, wall) : maker_share(work_find(s, found->first));
		bool cooling = unit.way == VICTIMS_EVICT && unit.moves > 0 &&
		               wall - unit.start_ns < s->policy.inforce->moves.cooldown_ns;
		if (cooling || past_alone(s->moves, found->id, wall))
			unit.keep |= VICTIMS_KEEP_OWNER;
		found->taken = true;
		found->index = count;
		search->found[count] = found;
		units[count++] = unit;
	}
	for (size_t i = 0; i < count; i++)
		link_part(search, units, search->found[i], &units[i]);
	search->request.units = search->units = units;
	search->request.unit_count = count;
}

const struct found *gather_found(
    const struct scheduler *s, const struct move_search *search, const struct work_pod *pod)
{
	const char *kind, *id = work_unit(s, pod->work, &kind);
	bool together = pod->work->way == WORK_SUSPENDED || pod->work->way == WORK_GROUP;
	const struct found *found = together ? (id ? map_get(&search->by_id, slice_of(id)) : NULL)
	                                     : map_get(&search->by_id, slice_of(pod->uid));
	return found && found->taken ? found : NULL;
}
/* --- in parts: works come and go meanwhile --- */

void search_gather_begin(struct scheduler *s, struct move_search *search)
{
	struct moves *moves = s->moves;
	size_t cursor = 0;
	search->budgets = budgets_all(moves->budgets, &search->budget_count);
	search->budget_changes = moves->budget_changes;
	search->keys = arena_calloc(&search->arena, moves->works.count + 1, sizeof *search->keys);
	for (const struct work *work; (work = map_next(&moves->works, &cursor));)
		search->keys[search->key_count++] = arena_copy(&search->arena, slice_of(work->key));
}

static void add_work(struct scheduler *s, struct move_search *search, struct work *work)
{
	if (work->way == WORK_SUSPENDED || work->way == WORK_GROUP)
		add_together(s, search, work);
	else if (work->way != WORK_NEVER)
		add_each(s, search, work);
}

bool search_gather(struct scheduler *s, struct move_search *search, int64_t until_ns)
{
	for (; search->key_at < search->key_count; search->key_at++) {
		struct work *work = map_get(&s->moves->works, slice_of(search->keys[search->key_at]));
		if (search->key_at % WORKS_AT_ONCE == 0 && clock_now() >= until_ns)
			return false;
		if (work && search->request.unit_count + work->count <= VICTIMS_UNITS_MAX)
			add_work(s, search, work);
	}
	int64_t *allowed = arena_calloc(&search->arena, search->budget_count + 1, sizeof *allowed);
	for (size_t i = 0; i < search->budget_count; i++)
		allowed[i] = search->budgets[i]->allowed;
	search->request.budgets = allowed;
	search->request.budget_count = search->budget_count;
	settle(s, search);
	search_gather_leaving(s, search, allowed);
	return true;
}
