/* Objects that bear the mark of a move and that no record names: what was suspended is resumed. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "scheduler/move/internal.h"

struct orphan {
	struct orphan *next;
	const struct suspend_kind *kind;
	char *namespace_, *name, *uid, *mark;
	char *unit; /* UID of what its pods are of: its own, or that of a Workload's owner */
	int64_t since_ns;
};

static void orphan_free(struct orphan *orphan)
{
	free(orphan->namespace_);
	free(orphan->name);
	free(orphan->uid);
	free(orphan->mark);
	free(orphan->unit);
	free(orphan);
}

void moves_found(struct scheduler *s, const struct suspend_kind *kind, const struct suspend_object *object)
{
	if (!object->mark || !object->suspended || !move_is_mark(slice_of(object->mark)))
		return;
	struct orphan *orphan = xcalloc(1, sizeof *orphan);
	*orphan = (struct orphan){.kind = kind,
	    .namespace_ = xstrdup(object->namespace_),
	    .name = xstrdup(object->name),
	    .uid = xstrdup(object->uid),
	    .mark = xstrdup(object->mark),
	    .unit = xstrdup(kind->runs && object->owner_uid ? object->owner_uid : object->uid)};
	if (!object->since || !clock_parse(slice_of(object->since), &orphan->since_ns))
		orphan->since_ns = clock_wall();
	moves_open(s);
	orphan->next = s->moves->orphans;
	s->moves->orphans = orphan;
	moves_soon(s);
}

static bool is_known(const struct moves *moves, const struct orphan *orphan)
{
	for (const struct move *move = moves->list; move; move = move->next)
		for (size_t i = 0; i < move->unit_count; i++)
			if (strcmp(move->units[i].uid, orphan->uid) == 0)
				return true;
	return false;
}

static void add_unit(struct move *move, const struct orphan *orphan)
{
	struct move_unit *unit = move_add_unit(move);
	*unit = (struct move_unit){.move = move,
	    .id = xstrdup(orphan->unit),
	    .kind = xstrdup(orphan->kind->kind),
	    .namespace_ = xstrdup(orphan->namespace_),
	    .name = xstrdup(orphan->name),
	    .uid = xstrdup(orphan->uid),
	    .class_name = xstrdup(""),
	    .suspends = orphan->kind,
	    .since_ns = orphan->since_ns};
	unit->keys = xcalloc(1, sizeof(char *));
	unit->keys[unit->key_count++] = xstrdup(orphan->unit);
	log_info("a suspended unit without a record is taken up", "move=%s kind=%s name=%s/%s", move->id, unit->kind,
	    unit->namespace_, unit->name);
}

/* All that bears the mark and was found by now. Nobody knows any more for whom it was suspended: it returns. What is
 * found later is a move of its own, by the same id. */
static void take_in(struct scheduler *s, struct orphan *first)
{
	struct move *move = move_new(s, first->mark);
	move->namespace_ = xstrdup(first->namespace_);
	move->kind = xstrdup("");
	move->name = xstrdup("");
	move->uid = xstrdup("");
	move->class_name = xstrdup("");
	move->begun_ns = first->since_ns;
	for (struct orphan *orphan = first; orphan; orphan = orphan->next) {
		if (strcmp(orphan->mark, first->mark) != 0 || is_known(s->moves, orphan))
			continue;
		add_unit(move, orphan);
		if (orphan->since_ns < move->begun_ns)
			move->begun_ns = orphan->since_ns;
	}
	move->ending_ns = move->begun_ns;
	move_resume(&move->steps, true, false, 0, 0, 0);
	move->steps.stop = MOVE_STOP_VANISHED;
	move_adopt(move);
}

void orphans_take_up(struct scheduler *s)
{
	while (s->moves->orphans) {
		struct orphan *orphan = s->moves->orphans;
		if (!is_known(s->moves, orphan))
			take_in(s, orphan);
		s->moves->orphans = orphan->next;
		orphan_free(orphan);
	}
}

void orphans_free(struct moves *moves)
{
	while (moves->orphans) {
		struct orphan *orphan = moves->orphans;
		moves->orphans = orphan->next;
		orphan_free(orphan);
	}
}
