/* Room that moves hold in the ledger for the pods that wait, from the first act until they are bound. */
#include "base/log.h"
#include "scheduler/gang/gang.h"
#include "scheduler/move/internal.h"

#define WAKE_AGAIN_NS (5 * NS_PER_S)

static void woken(void *ctx, const struct kube_answer *answer)
{
	(void)ctx;
	if (answer->code != 0 || (answer->status >= 300 && answer->status != 404 && answer->status != 409))
		log_warn("a pod that a move is for could not be woken", "status=%u error=%s", answer->status,
		    log_quote(answer->error ? answer->error : ""));
}

/* Its room is free by now: kube-scheduler is told the node, and to look again. */
static void wake(struct scheduler *s, struct move_place *place, struct tracked *tracked)
{
	struct buf text;
	int64_t now = clock_now();
	if (place->woken_ns != 0 && now - place->woken_ns < WAKE_AGAIN_NS)
		return;
	place->woken_ns = now;
	hint_nominate(s, tracked, place->node);
	buf_init(&text, 256);
	buf_char(&text, '{');
	wake_annotation(s, REASON_CODE_WAKE_ROOM, (uint64_t)clock_wall(), &text);
	buf_char(&text, '}');
	kube_annotate(s->kube, pod_ref(tracked->pod), buf_slice(&text), woken, s);
	buf_free(&text);
}

static void hold_place(struct scheduler *s, struct move_place *place)
{
	struct tracked *tracked = roster_find(s->roster, slice_of(place->uid));
	struct node *node = fleet_find(s->fleet, slice_of(place->node));
	struct ledger_entry *entry = ledger_find(s->fleet, slice_of(place->uid));
	const struct gang_member *member = gangs_find(s->gangs, slice_of(place->uid));
	int64_t now = clock_now();
	if (member) {
		place_hold_member(s, place, member);
		return;
	}
	if (!tracked || tracked->pod->deleting || !node || !node->spec || (entry && entry->state == LEDGER_BOUND))
		return;
	if (!entry)
		entry = ledger_reserve(s->fleet, tracked->pod, slice_of(place->node), LEDGER_ASSUMED, true, now,
		    scheduler_ttl(s, tracked->pod));
	else if (!entry->pinned && entry->expires_ns - now < entry->ttl_ns / 2)
		ledger_renew(s->fleet, entry, now);
	if (entry->node == node && !entry->pinned &&
	    decide_node(s->fleet, tracked->pod, node, NULL) == REASON_CODE_FITS)
		wake(s, place, tracked);
}

void room_hold(struct move *move)
{
	if (!move_has_room(&move->steps))
		return;
	for (size_t i = 0; i < move->place_count; i++)
		if (!move->places[i].bound && !move->places[i].gone)
			hold_place(move->s, &move->places[i]);
	expire_soon(move->s);
}

bool moves_hold(const struct scheduler *s, const char *uid)
{
	const struct move_place *place = s->moves ? map_get(&s->moves->by_place, slice_of(uid)) : NULL;
	return place && !place->move->observed && !place->move->asking && move_has_room(&place->move->steps);
}

void room_drop(struct move *move)
{
	struct scheduler *s = move->s;
	bool any = false;
	for (size_t i = 0; i < move->place_count && !move->observed; i++) {
		struct move_place *place = &move->places[i];
		struct ledger_entry *entry = ledger_find(s->fleet, slice_of(place->uid));
		struct tracked *tracked = roster_find(s->roster, slice_of(place->uid));
		if (map_get(&s->moves->by_place, slice_of(place->uid)) != place)
			continue;
		map_remove(&s->moves->by_place, slice_of(place->uid));
		if (move->asking || place->bound || !entry || entry->state == LEDGER_BOUND || entry->pinned ||
		    gang_holds(s, entry) || (move->node && strcmp(entry->node->name, move->node) != 0))
			continue;
		if (tracked && !tracked->pod->gang)
			hint_withdraw(s, tracked);
		ledger_release(s->fleet, entry);
		any = true;
	}
	if (any)
		wake_soon(s, REASON_CODE_WAKE_ROOM);
}
