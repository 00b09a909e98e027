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

/* Nobody knows any more for whom it was suspended: it returns. */
static void take_in(struct scheduler *s, const struct orphan *orphan)
{
	struct move *move = move_new(s, orphan->mark);
	struct move_unit *unit = move_add_unit(move);
	move->namespace_ = xstrdup(orphan->namespace_);
	move->kind = xstrdup("");
	move->name = xstrdup("");
	move->uid = xstrdup("");
	move->class_name = xstrdup("");
	move->begun_ns = move->ending_ns = orphan->since_ns;
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
	move_resume(&move->steps, true, false, 0, 0, 0);
	move->steps.stop = MOVE_STOP_VANISHED;
	log_info("a suspended unit without a record is taken up", "move=%s kind=%s name=%s/%s", move->id, unit->kind,
	    unit->namespace_, unit->name);
	move_adopt(move);
}

void orphans_take_up(struct scheduler *s)
{
	while (s->moves->orphans) {
		struct orphan *orphan = s->moves->orphans;
		s->moves->orphans = orphan->next;
		if (!is_known(s->moves, orphan))
			take_in(s, orphan);
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
