/* Moves that are over, as far as people ask for them: from whom, for whom, for how long, at what cost. The oldest go.
 */
#include "scheduler/move/internal.h"

static void drop_last(struct moves *moves)
{
	struct move **at = &moves->over;
	while ((*at)->next)
		at = &(*at)->next;
	struct move *last = *at;
	*at = NULL;
	moves->over_count--;
	moves->over_units -= last->unit_count;
	move_free(last);
}

void over_put(struct moves *moves, struct move *move)
{
	move->over_ns = clock_wall();
	for (size_t i = 0; i < move->place_count; i++)
		move->bound += move->places[i].bound;
	move_strip(move);
	for (size_t i = 0; i < move->unit_count; i++)
		unit_strip(&move->units[i]);
	move->next = moves->over;
	moves->over = move;
	moves->over_count++;
	moves->over_units += move->unit_count;
	while (moves->over_count > MOVES_OVER_MAX || (moves->over_units > MOVES_OVER_UNITS_MAX && moves->over->next))
		drop_last(moves);
}

void over_free(struct moves *moves)
{
	while (moves->over_count > 0)
		drop_last(moves);
}
