/* Where the unit stood that has waited longest to return, closed to pods that stand behind it, once it has waited as
 * long as gangs of its class do for a domain of theirs (holdDomainAfter): the room of a large one would never be free
 * at once beside a stream of small ones. One unit at a time; gangs in line need such places, too. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "berth/hold.h"
#include "scheduler/move/internal.h"

#define KEY_MAX 160

static void write_key(const struct move_unit *unit, char key[KEY_MAX])
{
	snprintf(key, KEY_MAX, "return/%s/%zu", unit->move->id, (size_t)(unit - unit->move->units));
}

/* What is gone, or sick, would be waited for in vain: then it looks elsewhere as before. */
static bool all_there(const struct move_unit *unit)
{
	for (size_t i = 0; i < unit->room_count; i++) {
		const struct node *node = fleet_find(unit->move->s->fleet, slice_of(unit->rooms[i].node));
		if (!node || !node->spec || node->spec->unschedulable || node->avoided)
			return false;
	}
	return unit->room_count > 0;
}

static struct move_unit *closed(const struct scheduler *s)
{
	for (struct move *move = s->moves ? s->moves->list : NULL; move; move = move->next)
		for (size_t i = 0; i < move->unit_count; i++)
			if (move->units[i].closed)
				return &move->units[i];
	return NULL;
}

static size_t class_order(const struct move_unit *unit)
{
	const struct policy_class *class_ = unit_class(unit);
	return class_ ? (size_t)(class_ - unit->move->s->policy.inforce->classes) : SIZE_MAX;
}

static void begin(struct move_unit *unit)
{
	struct scheduler *s = unit->move->s;
	size_t order = class_order(unit);
	char key[KEY_MAX];
	write_key(unit, key);
	size_t place = hold_begin(s->fleet, &(struct node_hold){.key = key,
	                                        .namespace_ = unit->namespace_,
	                                        .name = unit->name,
	                                        .priority = unit->priority,
	                                        .class_order = order,
	                                        .gang_class = order,
	                                        .created_ns = unit->since_ns});
	if (place == HOLDS_MAX)
		return;
	for (size_t i = 0; i < unit->room_count; i++)
		hold_node(s->fleet, place, fleet_find(s->fleet, slice_of(unit->rooms[i].node)));
	unit->closed = true;
	log_info("nodes are held for a unit that is to return", "move=%s kind=%s name=%s/%s nodes=%zu", unit->move->id,
	    unit->kind, unit->namespace_, unit->name, unit->room_count);
}

void closed_wait(struct move_unit *unit, int64_t now_ns)
{
	const struct policy_class *class_ = unit_class(unit);
	if (unit->waits_ns == 0)
		unit->waits_ns = now_ns;
	if (class_ && now_ns - unit->waits_ns >= class_->gang.hold_domain_after_ns && !closed(unit->move->s) &&
	    all_there(unit))
		begin(unit);
}

void closed_end(struct move_unit *unit)
{
	struct scheduler *s = unit->move->s;
	char key[KEY_MAX];
	unit->waits_ns = 0;
	if (!unit->closed)
		return;
	unit->closed = false;
	write_key(unit, key);
	size_t place = hold_find(s->fleet, key);
	if (place == HOLDS_MAX)
		return;
	hold_end(s->fleet, place);
	wake_soon(s, REASON_CODE_WAKE_ROOM);
}

void closed_review(struct scheduler *s)
{
	struct move_unit *unit = closed(s);
	if (unit && (unit->state != UNIT_ENDED || unit->move->steps.phase != MOVE_RETURN || !all_there(unit)))
		closed_end(unit);
}

void closed_policy(struct scheduler *s)
{
	const struct move_unit *unit = closed(s);
	char key[KEY_MAX];
	if (!unit)
		return;
	write_key(unit, key);
	size_t place = hold_find(s->fleet, key);
	if (place < HOLDS_MAX)
		s->fleet->holds[place].class_order = s->fleet->holds[place].gang_class = class_order(unit);
}

bool moves_close_nodes(const struct scheduler *s, const char *key)
{
	const struct move_unit *unit = closed(s);
	char own[KEY_MAX];
	if (!unit)
		return false;
	write_key(unit, own);
	return strcmp(own, key) == 0;
}
