/* A move that empties a node, so that it is cut into slices: the move ends what stands there, and what becomes of the
 * node is repartition.c's. Both are on record, each naming the other: the node is tainted once the move's record is
 * written, and nothing ends before that. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scheduler/move/internal.h"
#include "scheduler/repartition/internal.h"

#define LINE_BYTES_MAX 512

char *move_node_demand(const char *uid)
{
	size_t room = strlen(uid) + sizeof "slices/";
	char *id = xcalloc(1, room);
	snprintf(id, room, "slices/%s", uid);
	return id;
}

/* --- the node, as the move sees it --- */

static bool is_of_move(const struct move *move, const struct work_pod *pod)
{
	for (size_t i = 0; i < move->unit_count; i++)
		for (size_t k = 0; k < move->units[i].pod_count; k++)
			if (strcmp(move->units[i].pods[k].uid, pod->uid) == 0)
				return true;
	return false;
}

/* Nothing has come since that the move would not end. */
static bool is_as_chosen(const struct move *move, const struct node *node)
{
	const struct scheduler *s = move->s;
	for (const struct ledger_entry *entry = node->entries; entry; entry = entry->node_next) {
		const struct work_pod *pod = work_find(s, entry->uid);
		if (!entry->hold && decide_gpu_units(s->fleet, &entry->demand) > 0 &&
		    !(pod && (pod->deleting || is_of_move(move, pod))))
			return false;
	}
	return true;
}

/* Nothing has ended yet, and the node would not be cut, or be of no use. Of one that was taken up it is not known what
 * has ended, nor whether the node is cut by now. */
static bool is_spoilt(const struct move *move)
{
	const struct node *node = fleet_find(move->s->fleet, slice_of(move->node));
	const struct node_spec *spec = node ? node->spec : NULL;
	return move->steps.phase < MOVE_EVICT && !move->steps.resumed &&
	       (!spec || !spec->ready || spec->unschedulable || node->avoided || node->quarantined ||
	           !is_as_chosen(move, node));
}

enum move_node move_node_state(const struct move *move)
{
	const struct repartition_node *noted = map_get(&move->s->repartitions->nodes, slice_of(move->node));
	if (move->lost || is_spoilt(move))
		return MOVE_NODE_LOST;
	if (!noted || (noted->chosen && strcmp(noted->record.move, move->id) == 0))
		return move->steps.phase > MOVE_TAINT || move->steps.resumed ? MOVE_NODE_LOST : MOVE_NODE_OPEN;
	if (strcmp(noted->record.move, move->id) != 0)
		return MOVE_NODE_LOST;
	switch (noted->record.phase) {
	case REPARTITION_DRAINING:
		return MOVE_NODE_TAINTED;
	case REPARTITION_APPLYING:
		return MOVE_NODE_APPLYING;
	case REPARTITION_APPLIED:
		return MOVE_NODE_CUT;
	default:
		return MOVE_NODE_LOST;
	}
}

bool move_node_is_empty(const struct move *move)
{
	const struct node *node = move->node ? fleet_find(move->s->fleet, slice_of(move->node)) : NULL;
	return node && node->spec && repartition_pods(move->s, node) == 0;
}

void move_node_taint(struct move *move)
{
	struct scheduler *s = move->s;
	struct node *node = fleet_find(s->fleet, slice_of(move->node));
	if (move->steps.resumed || map_get(&s->repartitions->nodes, slice_of(move->node)))
		return;
	if (node && repartition_is_open(node) && repartition_choose_node(s, node, move->config, move->id))
		repartition_soon(s);
	else
		move->lost = true;
	move_wake(s);
}

/* --- the move, as the node sees it --- */

static struct move *find(const struct scheduler *s, const char *id)
{
	for (struct move *move = s->moves ? s->moves->list : NULL; move; move = move->next)
		if (strcmp(move->id, id) == 0)
			return move;
	return NULL;
}

enum repartition_mover move_node_mover(const struct scheduler *s, const char *id)
{
	const struct move *move = find(s, id);
	if (s->moves && !s->moves->taken_up)
		return REPARTITION_ENDS; /* for all that is known */
	if (!move || !move_holds(&move->steps))
		return REPARTITION_STOPPED;
	return move->steps.phase < MOVE_CUT ? REPARTITION_ENDS : REPARTITION_EMPTIED;
}

void move_node_shows(struct scheduler *s, const struct repartition_node *noted)
{
	struct move *move = find(s, noted->record.move);
	if (move && move->steps.phase == MOVE_CUT)
		move_go_on(move);
}

size_t move_node_coming(const struct scheduler *s, uint16_t pool, bool observed)
{
	size_t count = 0;
	for (const struct move *move = s->moves ? s->moves->list : NULL; move; move = move->next) {
		bool coming =
		    observed ? move->observed : !move->observed && (move->asking || move->steps.phase <= MOVE_TAINT);
		const struct node *node = move->node && coming ? fleet_find(s->fleet, slice_of(move->node)) : NULL;
		count += node && node->pool == pool && !map_get(&s->repartitions->nodes, slice_of(move->node));
	}
	return count;
}

bool move_node_serves(const struct scheduler *s, const char *uid)
{
	const struct move_place *place = s->moves ? map_get(&s->moves->by_place, slice_of(uid)) : NULL;
	return place && !place->move->observed && (place->move->asking || move_holds(&place->move->steps));
}

bool move_node_is_wanted_back(const struct scheduler *s, const char *node)
{
	for (const struct move *move = s->moves ? s->moves->list : NULL; move; move = move->next)
		for (size_t i = 0; !move->observed && move->steps.phase == MOVE_RETURN && i < move->unit_count; i++) {
			const struct move_unit *unit = &move->units[i];
			if (!unit->suspends || unit->state != UNIT_ENDED || unit->held > 0)
				continue;
			for (size_t k = 0; k < unit->room_count; k++)
				if (strcmp(unit->rooms[k].node, node) == 0)
					return true;
		}
	return false;
}

void move_node_help(
    const struct scheduler *s, const struct pod *pod, void (*say)(void *ctx, struct buf *line), void *ctx)
{
	const struct repartition_wish *wish = map_get(&s->repartitions->wishes, slice_of(pod->uid));
	const struct demand_tried *tried = wish && s->moves ? map_get(&s->moves->tried, slice_of(wish->demand)) : NULL;
	const char *why = tried ? tried->why : NULL;
	struct buf line;
	if (wish && wish->in_vain && s->moves && pod->gang)
		why = "it is not done for gangs";
	if (!why)
		return;
	buf_init(&line, LINE_BYTES_MAX);
	buf_printf(&line, "no node is emptied to be cut into slices: %s", why);
	say(ctx, &line);
}
