/* Time runs out: reservations nobody took up, and pods that only a verb ever named. */
#include <stdlib.h>

#include "base/log.h"
#include "scheduler/internal.h"

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
	bool planned = entry->state == LEDGER_PLANNED;
	log_info("reservation expired", "pod=%s/%s node=%s state=%s", entry->namespace_, entry->name, entry->node->name,
	    ledger_state_name(entry->state));
	ledger_release(s->fleet, entry);
	if (tracked && planned)
		hint_withdraw(s, tracked);
	else if (tracked && tracked->mark == 0)
		roster_remove(s->roster, tracked);
}

void expire_on_timer(uv_timer_t *timer)
{
	struct scheduler *s = timer->data;
	int64_t now = clock_now();
	bool any = false;
	for (struct ledger_entry *entry; (entry = ledger_expired(s->fleet, now)); any = true) {
		if (pods_known(s))
			expire(s, entry);
		else
			ledger_renew(s->fleet, entry, now);
	}
	if (any)
		wake_soon(s, REASON_CODE_WAKE_EXPIRY);
	hint_soon(s);
	expire_soon(s);
}

void sweep_on_timer(uv_timer_t *timer)
{
	struct scheduler *s = timer->data;
	int64_t now = clock_now();
	size_t cursor = 0, count = 0;
	char **unseen = xcalloc(roster_count(s->roster) + 1, sizeof *unseen);
	for (struct tracked *tracked; (tracked = roster_next(s->roster, &cursor));)
		if (tracked->mark == 0 && now - tracked->since_ns > UNSEEN_NS)
			unseen[count++] = xstrdup(tracked->pod->uid);
	while (count > 0) {
		feed_forget(s, slice_of(unseen[--count]), REASON_CODE_WAKE_ROOM);
		free(unseen[count]);
	}
	free(unseen);
}
