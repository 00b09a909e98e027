/* Room that is held in the ledger for a unit that returns, from before it is resumed until its pods have come: where it
 * stood, or as near to that as can be. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "berth/plan.h"
#include "berth/topology.h"
#include "scheduler/gang/gang.h"
#include "scheduler/move/internal.h"

#define HELD_NS (60 * NS_PER_S) /* for the pods of a unit that was resumed to come */
#define ID_MAX 160

static void hold_id(const struct move_unit *unit, size_t at, char id[ID_MAX])
{
	snprintf(id, ID_MAX, "return/%s/%zu/%zu", unit->move->id, (size_t)(unit - unit->move->units), at);
}

static size_t pods_of(const struct move_unit *unit)
{
	size_t count = 0;
	for (size_t i = 0; i < unit->room_count; i++)
		count += unit->rooms[i].count;
	return count;
}

const struct policy_class *unit_class(const struct move_unit *unit)
{
	const struct policy *policy = unit->move->s->policy.inforce;
	for (size_t i = 0; i < policy->class_count; i++)
		if (strcmp(policy->classes[i].name, unit->class_name) == 0)
			return &policy->classes[i];
	return NULL;
}

/* What stands for a pod that comes: its own words are not known yet, but where it stood. */
static struct pod stand_in(const struct move_unit *unit, const struct unit_room *room, const char *id)
{
	bool known = unit_class(unit) != NULL;
	static struct toleration all[] = {{.key = "", .value = "", .op = TOLERATION_EXISTS, .any_effect = true}};
	return (struct pod){.uid = id,
	    .namespace_ = unit->namespace_,
	    .name = unit->name,
	    .scheduler = SCHEDULER_NAME,
	    .class_name = known ? unit->class_name : NULL,
	    .stands_in = known,
	    .priority = unit->priority,
	    .toleration_count = 1,
	    .tolerations = all,
	    .demand = {room->demand.count, (struct resource_amount *)room->demand.items}};
}

static void reserve(struct scheduler *s, const struct pod *pod, struct node *node)
{
	struct ledger_entry *entry =
	    ledger_reserve(s->fleet, pod, slice_of(node->name), LEDGER_ASSUMED, true, clock_now(), GANG_COMMIT_NS);
	ledger_pin(s->fleet, entry, true, clock_now());
}

/* Where all of them stood. */
static bool hold_old_places(struct move_unit *unit)
{
	struct scheduler *s = unit->move->s;
	char id[ID_MAX];
	for (size_t i = 0; i < unit->room_count; i++) {
		struct node *node = fleet_find(s->fleet, slice_of(unit->rooms[i].node));
		for (size_t k = 0; k < unit->rooms[i].count; k++) {
			hold_id(unit, unit->held, id);
			struct pod pod = stand_in(unit, &unit->rooms[i], id);
			if (!node || !node->spec || decide_node(s->fleet, &pod, node, NULL) != REASON_CODE_FITS)
				return false;
			reserve(s, &pod, node);
			unit->held++;
		}
	}
	return true;
}

/* A taint that no node had where it stood may be one that it does not tolerate. */
static bool is_alike(const struct scheduler *s, const struct move_unit *unit, const struct node *node)
{
	bool same_pool = false, any = false;
	if (!node->spec)
		return false;
	for (size_t i = 0; i < unit->room_count; i++) {
		const struct node *old = fleet_find(s->fleet, slice_of(unit->rooms[i].node));
		if (!old || !old->spec)
			continue;
		any = true;
		same_pool |= old->pool == node->pool;
	}
	for (size_t t = 0; t < node->spec->taint_count; t++) {
		bool known = node->spec->taints[t].effect == TAINT_PREFER_NO_SCHEDULE;
		for (size_t i = 0; i < unit->room_count && !known; i++) {
			const struct node *old = fleet_find(s->fleet, slice_of(unit->rooms[i].node));
			for (size_t o = 0; old && old->spec && o < old->spec->taint_count; o++)
				known |= strcmp(old->spec->taints[o].key, node->spec->taints[t].key) == 0;
		}
		if (!known)
			return false;
	}
	return same_pool || !any;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* In the domain of one of those where it stood; below no level every node is. */
static bool is_near(const struct scheduler *s, const struct move_unit *unit, const struct node *node, int level)
{
	const struct topology_domain *domain = level < 0 ? NULL : topology_domain_of(node, level);
	for (size_t i = 0; domain && i < unit->room_count; i++) {
		const struct node *old = fleet_find(s->fleet, slice_of(unit->rooms[i].node));
		if (old && topology_domain_of(old, level) == domain)
			return true;
	}
	return level < 0;
}

static const char **alike(const struct scheduler *s, const struct move_unit *unit, int level, size_t *count)
{
	const char **names = xcalloc(s->fleet->nodes.count + 1, sizeof *names);
	size_t cursor = 0;
	*count = 0;
	for (const struct node *node; (node = map_next(&s->fleet->nodes, &cursor));)
		if (is_alike(s, unit, node) && is_near(s, unit, node, level))
			names[(*count)++] = node->name;
	if (*count > 0)
		qsort(names, *count, sizeof *names, by_name);
	return names;
}

static struct plan_topology topology_of(const struct move_unit *unit, size_t pods)
{
	struct plan_topology topology = PLAN_ANYWHERE;
	const struct policy_class *class_ = pods > 1 ? unit_class(unit) : NULL;
	if (class_) {
		topology.require = class_->gang.require;
		topology.prefer = class_->gang.prefer;
	}
	return topology;
}

static bool hold_on(struct move_unit *unit, const char *const *names, size_t name_count)
{
	struct scheduler *s = unit->move->s;
	size_t pods = pods_of(unit), at = 0;
	struct pod *stand_ins = xcalloc(pods + 1, sizeof *stand_ins);
	struct plan_member *members = xcalloc(pods + 1, sizeof *members);
	char(*ids)[ID_MAX] = xcalloc(pods + 1, sizeof *ids);
	struct plan plan;
	for (size_t i = 0; i < unit->room_count; i++)
		for (size_t k = 0; k < unit->rooms[i].count; k++, at++) {
			hold_id(unit, at, ids[at]);
			stand_ins[at] = stand_in(unit, &unit->rooms[i], ids[at]);
			members[at] = (struct plan_member){
			    .pod = &stand_ins[at], .rank = PLAN_NO_RANK, .limited = true, .only = {name_count, names}};
		}
	plan_gang(s->fleet,
	    &(struct plan_request){.count = pods, .members = members, .topology = topology_of(unit, pods)}, &plan);
	bool found = plan.reason == REASON_CODE_FITS && plan.placed == pods;
	for (size_t i = 0; found && i < pods; i++)
		reserve(s, &stand_ins[i], plan.nodes[i]);
	unit->held = found ? pods : 0;
	plan_free(&plan);
	free(ids);
	free(members);
	free(stand_ins);
	return found;
}

/* On nodes like those, as near to them as can be. */
static bool hold_others(struct move_unit *unit)
{
	struct scheduler *s = unit->move->s;
	size_t tried = 0, count;
	bool found = false;
	for (int level = (int)s->policy.inforce->level_count - 1; level >= -1 && !found; level--) {
		const char **names = alike(s, unit, level, &count);
		if (count > tried)
			found = hold_on(unit, names, count);
		tried = count;
		free(names);
	}
	return found;
}

bool room_hold_unit(struct move_unit *unit)
{
	size_t pods = pods_of(unit);
	if (pods == 0)
		return true; /* nothing is known of its pods: they wait for room as others do */
	unit->held = 0;
	bool found = hold_old_places(unit);
	if (!found) {
		room_drop_unit(unit);
		found = hold_others(unit);
	}
	if (found)
		unit->held_until_ns = clock_now() + HELD_NS;
	return found;
}

void room_drop_unit(struct move_unit *unit)
{
	struct scheduler *s = unit->move->s;
	char id[ID_MAX];
	bool any = false;
	for (size_t i = 0, pods = unit->held > 0 ? pods_of(unit) : 0; i < pods; i++) {
		hold_id(unit, i, id);
		struct ledger_entry *entry = ledger_find(s->fleet, slice_of(id));
		if (!entry)
			continue;
		ledger_release(s->fleet, entry);
		any = true;
	}
	unit->held = 0;
	if (any)
		wake_soon(s, REASON_CODE_WAKE_ROOM);
}

/* --- its pods come --- */

static struct move_unit *returning(const struct scheduler *s, const struct pod *pod)
{
	for (struct move *move = s->moves ? s->moves->list : NULL; move; move = move->next)
		for (size_t i = 0; i < move->unit_count; i++)
			if (move->units[i].held > 0 && unit_has(&move->units[i], pod))
				return &move->units[i];
	return NULL;
}

static struct ledger_entry *hold_like(const struct scheduler *s, const struct move_unit *unit, const struct pod *pod)
{
	char id[ID_MAX];
	for (size_t i = 0, pods = pods_of(unit); i < pods; i++) {
		hold_id(unit, i, id);
		struct ledger_entry *entry = ledger_find(s->fleet, slice_of(id));
		bool same = entry && entry->demand.count == pod->demand.count;
		for (uint16_t r = 0; same && r < pod->demand.count; r++)
			same = entry->demand.items[r].id == pod->demand.items[r].id &&
			       entry->demand.items[r].amount == pod->demand.items[r].amount;
		if (same)
			return entry;
	}
	return NULL;
}

/* Takes away what is held for a pod like it, on `node`, NULL where that is gone. False: nothing is. */
static bool claim(struct scheduler *s, const struct pod *pod, struct node **node)
{
	struct move_unit *unit = returning(s, pod);
	struct ledger_entry *hold = unit ? hold_like(s, unit, pod) : NULL;
	if (!hold)
		return false;
	*node = hold->node->spec ? hold->node : NULL;
	ledger_release(s->fleet, hold);
	unit->held--;
	moves_soon(s);
	return true;
}

/* kube-scheduler may have asked, or bound it, before the watch showed it: then it stands elsewhere by now. */
void moves_returning(struct scheduler *s, struct tracked *tracked)
{
	struct node *node;
	struct pod *pod = tracked->pod;
	if (pod->gang || pod->gated || pod->deleting || tracked->returned)
		return;
	bool stands = ledger_find(s->fleet, slice_of(pod->uid)) != NULL;
	if (!claim(s, pod, &node))
		return;
	tracked->returned = true;
	if (!stands && node && decide_node(s->fleet, pod, node, NULL) == REASON_CODE_FITS) {
		ledger_reserve(
		    s->fleet, pod, slice_of(node->name), LEDGER_PLANNED, true, clock_now(), scheduler_ttl(s, pod));
		expire_soon(s);
		hint_nominate(s, tracked, node->name);
	} else {
		wake_soon(s, REASON_CODE_WAKE_ROOM);
	}
}

void room_returned(struct scheduler *s, const struct pod *pod)
{
	struct node *node;
	const struct tracked *tracked = roster_find(s->roster, slice_of(pod->uid));
	if (!(tracked && tracked->returned) && claim(s, pod, &node))
		wake_soon(s, REASON_CODE_WAKE_ROOM);
}

void moves_let_in(struct scheduler *s, const struct gang *gang)
{
	struct move_unit *unit = gang->count > 0 ? returning(s, gang->members[0]->pod) : NULL;
	if (unit)
		room_drop_unit(unit);
}
