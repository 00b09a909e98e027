/* What the owners of units say: who may be suspended is asked up the chain of controllers before a move begins. Where
 * Kueue manages the topmost, it is its Workload that is suspended, if the policy lets it. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "scheduler/move/internal.h"

#define CHAIN_MAX 4 /* controllers above each other */
#define PATH_ROOM 2048
#define TRIED_NS (10 * NS_PER_S) /* an owner that could not be asked */

static bool is_good(const struct kube_answer *answer)
{
	return answer->code == 0 && answer->status < 300;
}

/* The server answered, and would answer the same again. */
static bool is_final(const struct kube_answer *answer)
{
	return answer->code == 0 && answer->status >= 400 && answer->status < 500 && answer->status != 409 &&
	       (answer->status != 429 || answer->budget);
}

static void set(char **text, const char *value)
{
	char *copy = value ? xstrdup(value) : NULL;
	free(*text);
	*text = copy;
}

static void ask(struct move_unit *unit, const struct suspend_kind *kind, const char *name, const char *uid);
static void ask_workload(struct move_unit *unit, const struct suspend_kind *kind);

/* The times at which moves ended it, as it bears them. */
static void note_moves(struct move_unit *unit, const char *text)
{
	for (const char *at = text; at && *at;) {
		size_t len = strcspn(at, ",");
		int64_t wall;
		if (clock_parse((struct slice){at, len}, &wall))
			past_moved(unit->move->s->moves, unit->id, wall);
		at += len + (at[len] == ',');
	}
}

/* What is to be suspended, for all that is known. False: somebody has resumed what a move had suspended. */
static bool note_asked(struct move_unit *unit, const struct suspend_object *object)
{
	unit->suspends = unit->asked;
	set(&unit->kind, unit->asked->kind);
	set(&unit->name, object->name);
	set(&unit->uid, object->uid);
	unit_note(unit, object);
	note_moves(unit, object->moved);
	if (!object->mark || object->suspended || object->queued || !move_is_mark(slice_of(object->mark)))
		return true;
	unit_resumed_by_others(unit, object);
	return false;
}

static void note_last(struct move_unit *unit)
{
	struct scheduler *s = unit->move->s;
	if (past_today(s->moves, unit->id, clock_wall()) >= s->policy.inforce->moves.per_unit_and_day)
		unit_leave_alone(unit, unit_cooled(unit), "it was moved often enough today");
	else
		unit->found = true;
}

static void note_chain(struct move_unit *unit, const struct suspend_object *object)
{
	const struct suspend_kind *above = suspend_kind_of(object->owner_kind);
	const char *why = unit_bar(object, unit->move->s->policy.inforce->moves.kueue && !above);
	if (unit->gang)
		why = surplus_bar(object);
	else if (!note_asked(unit, object))
		return;
	if (!why && object->owner_kind && !above && strcmp(object->owner_kind, "CronJob") != 0)
		why = "an owner of an unknown kind controls it";
	if (why)
		unit_leave_alone(unit, unit_cooled(unit), why);
	else if (above && object->owner_name && object->owner_uid && ++unit->depth < CHAIN_MAX)
		ask(unit, above, object->owner_name, object->owner_uid);
	else if (above)
		unit_leave_alone(unit, unit_cooled(unit), "its owners cannot be told");
	else if (object->queued && !unit->gang)
		ask_workload(unit, suspend_workload());
	else
		note_last(unit);
}

/* All works below one owner are one unit from now on. */
static void note_top(struct move_unit *unit)
{
	struct moves *moves = unit->move->s->moves;
	if (!unit->found || unit->gang || strcmp(unit->id, unit->asked_uid) == 0)
		return;
	for (size_t i = 0; i < unit->key_count; i++) {
		struct work *work = map_get(&moves->works, slice_of(unit->keys[i]));
		if (work)
			set(&work->top, unit->asked_uid);
	}
	if (map_get(&moves->by_unit, slice_of(unit->id)) == unit)
		map_remove(&moves->by_unit, slice_of(unit->id));
	set(&unit->id, unit->asked_uid);
	if (!unit_take(unit))
		unit->alone = true; /* two of its parts were taken for two units: searched anew, as one */
}

static void asked(void *ctx, const struct kube_answer *answer)
{
	struct move_unit *unit = ctx;
	struct arena arena;
	struct suspend_object object;
	unit->busy = false;
	arena_init(&arena, 1024);
	if (is_good(answer) && suspend_read(answer->body, unit->asked, &arena, &object) &&
	    strcmp(object.uid, unit->asked_uid) == 0 && bind_path_safe(slice_of(object.name)))
		note_chain(unit, &object);
	else
		unit_leave_alone(unit, clock_wall() + TRIED_NS,
		    is_final(answer) ? "its owner may not be read, or is gone" : "its owner could not be asked");
	arena_free(&arena);
	if (!unit->busy)
		note_top(unit);
	move_wake(unit->move->s);
}

static void ask(struct move_unit *unit, const struct suspend_kind *kind, const char *name, const char *uid)
{
	unit->asked = kind;
	set(&unit->asked_uid, uid);
	if (!bind_path_safe(slice_of(name)) || !bind_path_safe(slice_of(unit->namespace_))) {
		unit_leave_alone(unit, INT64_MAX, "its owner has no name that can be asked for");
		return;
	}
	unit_call(unit, "GET", kind, name, false, (struct slice){NULL, 0}, asked);
}

/* --- Kueue's Workload of the topmost owner --- */

struct workload {
	struct arena *arena;
	const struct suspend_kind *kind;
	struct suspend_object object; /* the last one */
	size_t count;
};

static void note_item(void *ctx, struct slice item)
{
	struct workload *workload = ctx;
	workload->count++;
	if (!suspend_read(item, workload->kind, workload->arena, &workload->object))
		workload->object.name = NULL;
}

static void note_workload(struct move_unit *unit, const struct workload *workload)
{
	const struct suspend_object *object = &workload->object;
	const char *why = unit_bar(object, false);
	if (workload->count != 1 || !object->name || !bind_path_safe(slice_of(object->name)))
		unit_leave_alone(unit, unit_cooled(unit), "Kueue has no Workload of it, or several");
	else if (!note_asked(unit, object))
		return;
	else if (why)
		unit_leave_alone(unit, unit_cooled(unit), why);
	else
		note_last(unit);
}

static void workloads_came(void *ctx, const struct kube_answer *answer)
{
	struct move_unit *unit = ctx;
	struct arena arena;
	bool absent = answer->code == 0 && answer->status == 404;
	unit->busy = false;
	arena_init(&arena, 1024);
	struct workload workload = {.arena = &arena, .kind = unit->asked};
	if (absent && unit->asked->older)
		ask_workload(unit, unit->asked->older);
	else if (absent)
		unit_leave_alone(unit, unit_cooled(unit), "there are no Workloads of Kueue");
	else if (is_good(answer) && suspend_read_list(answer->body, note_item, &workload))
		note_workload(unit, &workload);
	else
		unit_leave_alone(unit, clock_wall() + TRIED_NS,
		    is_final(answer) ? "its Workload may not be read" : "its Workload could not be asked");
	arena_free(&arena);
	if (!unit->busy)
		note_top(unit);
	move_wake(unit->move->s);
}

/* It bears the owner's UID as a label. */
static void ask_workload(struct move_unit *unit, const struct suspend_kind *kind)
{
	struct buf path;
	unit->asked = kind;
	if (!bind_path_safe(slice_of(unit->asked_uid))) {
		unit_leave_alone(unit, INT64_MAX, "its owner has no UID that can be asked for");
		return;
	}
	buf_init(&path, PATH_ROOM);
	suspend_path(kind, unit->namespace_, NULL, &path);
	buf_printf(&path, "?labelSelector=kueue.x-k8s.io%%2Fjob-uid%%3D%s", unit->asked_uid);
	unit->busy = true;
	kube_call(unit->move->s->kube,
	    &(struct kube_call_spec){
	        .method = "GET", .path = buf_slice(&path).at, .repeatable = true, .done = workloads_came, .ctx = unit});
	buf_free(&path);
}

void unit_ask(struct move_unit *unit)
{
	const struct suspend_kind *kind = unit->gang ? suspend_kind_of(unit->of_kind) : unit->suspends;
	if (!kind) {
		note_last(unit);
		return;
	}
	char *name = xstrdup(unit->gang ? unit->of_name : unit->name);
	char *uid = xstrdup(unit->gang ? unit->of_uid : unit->uid);
	ask(unit, kind, name, uid);
	free(name);
	free(uid);
}
