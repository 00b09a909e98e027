/* Active and standby: what the role that scheduler/lead finds means for the rest. A berth that begins to lead reads
 * nodes and pods anew before its first write, and takes up what the one before it left. */
#include "base/log.h"
#include "scheduler/gang/gang.h"
#include "scheduler/json.h"
#include "scheduler/move/move.h"
#include "scheduler/repartition/repartition.h"

bool lease_may_write(const struct scheduler *s)
{
	return lead_role(&s->lead, clock_now()) == LEAD_ACTIVE;
}

/* --- what changes with the role --- */

static void role_changed(struct scheduler *s, enum lead_role role)
{
	log_info("role", "from=%s to=%s holder=%s", lead_role_name(s->role), lead_role_name(role),
	    log_quote(s->lead.lease.holder));
	s->role = role;
	if (role != LEAD_ACTIVE)
		return;
	/* What was left undone meanwhile. */
	if (s->gangs_rebuilt)
		gang_sweep(s);
	gang_soon(s);
	hint_soon(s);
	repartition_soon(s);
	wake_soon(s, REASON_CODE_WAKE_ROOM);
}

/* Looks at the role, and again when time alone may change it. */
void lease_look(struct scheduler *s)
{
	int64_t now = clock_now(), until = lead_send_until(&s->lead), land = lead_land_until(&s->lead);
	enum lead_role role = lead_role(&s->lead, now);
	if (s->stopping)
		return;
	if (role != s->role)
		role_changed(s, role);
	if (role == LEAD_ACTIVE && until != INT64_MAX)
		uv_timer_start(&s->lease_timer, lease_on_timer,
		    (uint64_t)(((until < land ? until : land) - now) / NS_PER_MS) + 1, 0);
}

void lease_on_timer(uv_timer_t *timer)
{
	struct scheduler *s = timer->data;
	if (s->lease_lost)
		s->lost(s->lost_ctx); /* stops this scheduler */
	else
		lease_look(s);
}

void lease_take_up(struct scheduler *s)
{
	if (!scheduler_synced(s) || s->nodes_due || s->pods_due)
		return;
	lead_listed(&s->lead);
	if (!s->lead.listed || (!s->taken_up && (promises_take_up(s) || moves_take_up(s))))
		return;
	if (!s->taken_up) {
		s->taken_up = true;
		hint_adopt(s);
		wake_sleepers_later(s);
		if (s->lease_name)
			quarantine_read(s); /* another may have led until now */
	}
	gang_synced(s);
	lease_look(s);
}

/* --- what is said of it --- */

void lease_line(const struct scheduler *s, struct buf *out)
{
	int64_t now = clock_now();
	enum lead_role role = lead_role(&s->lead, now);
	if (!s->lease_name)
		buf_text(out, "ok   role: active, there is no Lease to hold\n");
	else if (role == LEAD_ACTIVE)
		buf_printf(out, "ok   role: active, %s is held by %s\n", s->lease_name, s->lead.lease.holder);
	else if (role == LEAD_FENCED)
		buf_printf(out, "warn role: fenced, %s was not renewed for %lld s: nothing is written\n", s->lease_name,
		    (long long)((now - s->lead.renewed_ns) / NS_PER_S));
	else if (s->lead.leads)
		buf_printf(out, "ok   role: standby, takes over %s once nodes and pods are read anew\n", s->lease_name);
	else
		buf_printf(out, "ok   role: standby, %s is held by %s\n", s->lease_name,
		    s->lead.lease.holder[0] ? s->lead.lease.holder : "nobody");
}

void lease_write(const struct scheduler *s, struct buf *out)
{
	buf_char(out, '{');
	member(out, "role", lead_role_name(lead_role(&s->lead, clock_now())));
	buf_char(out, ',');
	member(out, "identity", s->identity);
	buf_char(out, ',');
	member(out, "lease", s->lease_name);
	buf_char(out, ',');
	member(out, "holder", s->lead.lease.holder[0] ? s->lead.lease.holder : NULL);
	buf_char(out, '}');
}
