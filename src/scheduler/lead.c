#include "scheduler/lead.h"

#include <string.h>

void lead_init(struct lead *lead, const char *identity, int64_t renew_ns)
{
	*lead = (struct lead){.identity = identity, .renew_ns = renew_ns};
}

/* kube-scheduler's holderIdentity is its host's name, '_' and a UUID. */
static bool is_ours(const struct lead *lead, const struct lease *lease)
{
	const char *end = strrchr(lease->holder, '_');
	size_t len = strlen(lead->identity);
	return end && (size_t)(end - lease->holder) == len && memcmp(lease->holder, lead->identity, len) == 0;
}

static int64_t renewed_at(const struct lease *lease, int64_t now_ns, int64_t now_wall_ns)
{
	int64_t old = lease->renewed_wall_ns > 0 ? now_wall_ns - lease->renewed_wall_ns : 0;
	return old > 0 ? now_ns - old : now_ns;
}

/* Each time that the Lease passes to another it counts one up: by more than one, and there was somebody in between. */
static bool another_led(const struct lead *lead)
{
	int64_t passed = lead->lease.transitions - lead->transitions_counted;
	return !lead->there || (!lead->holds && lead->lease.holder[0]) || (lead->holds && (passed < 0 || passed > 1));
}

enum lead_change lead_saw(struct lead *lead, const struct lease *lease, int64_t now_ns, int64_t now_wall_ns)
{
	bool before = lead->leads;
	if (!lead->identity)
		return LEAD_SAME;
	lead->there = lease != NULL;
	lead->lease = lease ? *lease : (struct lease){.transitions = 0};
	lead->holds = lease && is_ours(lead, lease);
	if (before && another_led(lead)) {
		lead->leads = lead->listed = false;
		return LEAD_LOST;
	}
	if (!lead->holds)
		return LEAD_SAME;
	int64_t renewed_ns = renewed_at(lease, now_ns, now_wall_ns);
	if (!before || renewed_ns > lead->renewed_ns) /* a clock that is set does not unsay a renewal */
		lead->renewed_ns = renewed_ns;
	lead->transitions_counted = lease->transitions;
	lead->leads = true;
	return before ? LEAD_SAME : LEAD_BEGINS;
}

void lead_listed(struct lead *lead)
{
	lead->listed = lead->leads || !lead->identity;
}

static bool may_write(const struct lead *lead)
{
	return lead->leads && lead->listed && lead->holds;
}

int64_t lead_send_until(const struct lead *lead)
{
	if (!lead->identity)
		return INT64_MAX;
	return may_write(lead) ? lead->renewed_ns + lead->renew_ns : 0;
}

int64_t lead_land_until(const struct lead *lead)
{
	if (!lead->identity)
		return INT64_MAX;
	if (!may_write(lead))
		return 0;
	/* Of a Lease that does not say how long it holds, no more is known than when it should have been renewed. */
	return lead->renewed_ns +
	       (lead->lease.duration_ns > 0 ? lead->lease.duration_ns - LEAD_MARGIN_NS : lead->renew_ns);
}

enum lead_role lead_role(const struct lead *lead, int64_t now_ns)
{
	if (!lead->identity)
		return LEAD_ACTIVE;
	if (!lead->leads || (!lead->listed && lead->holds && now_ns < lead->renewed_ns + lead->renew_ns))
		return LEAD_STANDBY;
	return now_ns < lead_send_until(lead) && now_ns < lead_land_until(lead) ? LEAD_ACTIVE : LEAD_FENCED;
}

const char *lead_role_name(enum lead_role role)
{
	static const char *const names[] = {
	    [LEAD_ACTIVE] = "active", [LEAD_STANDBY] = "standby", [LEAD_FENCED] = "fenced"};
	return names[role];
}
