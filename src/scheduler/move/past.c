/* What is remembered of units by their id: when they were moved, and until when they are left alone. */
#include <stdlib.h>
#include <string.h>

#include "scheduler/move/internal.h"

#define PAST_MAX 16384 /* units that are remembered before old ones are sought to be forgotten */

/* What says nothing any more goes once there is much of it. */
static void forget_past(struct moves *moves)
{
	size_t cursor = 0, count = 0;
	int64_t wall = clock_wall();
	struct unit_past **old = xcalloc(moves->past.count + 1, sizeof *old);
	for (struct unit_past *past; (past = map_next(&moves->past, &cursor));)
		if (past->alone_until_ns <= wall && past->moved_ns[0] <= wall - MOVE_DAY_NS)
			old[count++] = past;
	while (count > 0) {
		struct unit_past *past = old[--count];
		map_remove(&moves->past, slice_of(past->id));
		free(past->id);
		free(past);
	}
	free(old);
	moves->past_room = 2 * moves->past.count > PAST_MAX ? 2 * moves->past.count : PAST_MAX;
}

struct unit_past *past_of(struct moves *moves, const char *id)
{
	struct unit_past *past = map_get(&moves->past, slice_of(id));
	if (past)
		return past;
	if (moves->past.count >= PAST_MAX && moves->past.count >= moves->past_room)
		forget_past(moves);
	past = xcalloc(1, sizeof *past);
	past->id = xstrdup(id);
	map_put(&moves->past, slice_of(past->id), past);
	return past;
}

void past_moved(struct moves *moves, const char *id, int64_t wall_ns)
{
	struct unit_past *past = past_of(moves, id);
	for (size_t i = 0; i < MOVE_TIMES_MAX; i++)
		if (past->moved_ns[i] == wall_ns)
			return;
	memmove(&past->moved_ns[1], &past->moved_ns[0], (MOVE_TIMES_MAX - 1) * sizeof past->moved_ns[0]);
	past->moved_ns[0] = wall_ns;
}

unsigned past_today(const struct moves *moves, const char *id, int64_t wall_ns)
{
	const struct unit_past *past = map_get(&moves->past, slice_of(id));
	unsigned count = 0;
	for (size_t i = 0; past && i < MOVE_TIMES_MAX; i++)
		count += past->moved_ns[i] != 0 && past->moved_ns[i] > wall_ns - MOVE_DAY_NS;
	return count;
}

bool past_alone(const struct moves *moves, const char *id, int64_t wall_ns)
{
	const struct unit_past *past = map_get(&moves->past, slice_of(id));
	return past && past->alone_until_ns > wall_ns;
}

void past_leave_alone(struct moves *moves, const char *id, int64_t until_ns, const char *why)
{
	struct unit_past *past = past_of(moves, id);
	if (until_ns <= past->alone_until_ns)
		return;
	past->alone_until_ns = until_ns;
	past->why = why;
}

void past_free(struct moves *moves)
{
	size_t cursor = 0;
	for (struct unit_past *past; (past = map_next(&moves->past, &cursor));) {
		free(past->id);
		free(past);
	}
	map_free(&moves->past);
}
