/* Time runs out: reservations nobody took up, and pods that only a verb ever named. */
#include <stdlib.h>

#include "base/log.h"
#include "scheduler/gang/gang.h"
#include "scheduler/move/move.h"

#define UNSEEN_NS (600 * NS_PER_S) /* a pod no watch has shown for so long does not exist */

void expire_soon(struct scheduler *s)
{
	int64_t next = ledger_next_expiry(s->fleet);
	if (next == LEDGER_NEVER || s->stopping)
		return;
	int64_t left = next - clock_now();
	uv_timer_start(&s->expiry_timer, expire_on_timer, left > 0 ? (uint64_t)(left / NS_PER_MS) + 1 : 0, 0);
}

/* While the pods' watch has no contact, a reservation may belong to a pod that is bound by now: it stays. */
static bool pods_known(const struct scheduler *s)
{
	struct kube_watch_state state = kube_watch_state(s->pods);
	return state.connected;
}

static void expire(struct scheduler *s, struct ledger_entry *entry)
{
	struct tracked *tracked = roster_find(s->roster, slice_of(entry->uid));
	log_info("reservation expired", "pod=%s/%s node=%s state=%s", entry->namespace_, entry->name, entry->node->name,
	    ledger_state_name(entry->state));
	ledger_release(s->fleet, entry);
	if (!tracked)
		return;
	/* A hint that nobody took up is not given again: it would hold the room for ever. */
	roster_asked(s->roster, tracked);
	roster_forget_victims(tracked);
	hint_withdraw(s, tracked);
	if (tracked->mark == 0 && !waiting_find(s->waiting, slice_of(tracked->pod->uid))) {
		gang_reserve_changes(s, slice_of(tracked->pod->uid));
		gang_gone(s, slice_of(tracked->pod->uid));
		moves_changes(s, slice_of(tracked->pod->uid));
		roster_remove(s->roster, tracked);
	}
}

void expire_on_timer(uv_timer_t *timer)
{
	struct scheduler *s = timer->data;
	int64_t now = clock_now();
	bool any = false;
	for (struct ledger_entry *entry; (entry = ledger_expired(s->fleet, now)); any = true) {
		/* A gang's room goes back by the gang's own deadline, all of it. */
		if (pods_known(s) && !gang_holds(s, entry) && !moves_hold(s, entry->uid))
			expire(s, entry);
		else
			ledger_renew(s->fleet, entry, now);
	}
	if (any)
		wake_soon(s, REASON_CODE_WAKE_EXPIRY);
	hint_soon(s);
	expire_soon(s);
}

/* A reservation has its own end; what the watch has shown bound ends with the watch's word. */
static bool ends_otherwise(const struct scheduler *s, const struct tracked *tracked)
{
	const struct ledger_entry *entry = ledger_find(s->fleet, slice_of(tracked->pod->uid));
	return entry && (entry->state != LEDGER_BOUND || entry->mark != 0);
}

void sweep_on_timer(uv_timer_t *timer)
{
	struct scheduler *s = timer->data;
	int64_t now = clock_now();
	gang_sweep(s);
	quarantine_tick(s);
	bool known = pods_known(s);
	size_t cursor = 0, count = 0;
	char **unseen = xcalloc(roster_count(s->roster) + 1, sizeof *unseen);
	for (struct tracked *tracked; (tracked = roster_next(s->roster, &cursor));) {
		if (tracked->mark != 0)
			continue;
		if (!known)
			tracked->since_ns = now; /* time without contact proves nothing */
		else if (now - tracked->since_ns > UNSEEN_NS && !ends_otherwise(s, tracked))
			unseen[count++] = xstrdup(tracked->pod->uid);
	}
	while (count > 0) {
		feed_forget(s, slice_of(unseen[--count]), REASON_CODE_WAKE_ROOM);
		free(unseen[count]);
	}
	free(unseen);
}
