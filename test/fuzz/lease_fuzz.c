/* Any text as a Lease, seen by a berth beside its holder or not, and as a pod that may wait behind the gate. */
#include <stdlib.h>

#include "base/clock.h"
#include "guard/gated.h"
#include "policy/gate.h"
#include "scheduler/lead.h"

#define NOW (1000 * NS_PER_S)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void lead_by(const struct lease *lease, const char *identity)
{
	struct lead lead;
	size_t len = strlen(identity);
	lead_init(&lead, identity, LEAD_RENEW_NS);
	bool begins = lead_saw(&lead, lease, NOW, clock_wall()) == LEAD_BEGINS;
	check(begins == lead.leads);
	check(!begins || (strncmp(lease->holder, identity, len) == 0 && lease->holder[len] == '_' &&
	                     !strchr(lease->holder + len + 1, '_')));
	check(lead_send_until(&lead) == 0 && lead_role(&lead, NOW) != LEAD_ACTIVE); /* nothing was read yet */
	lead_listed(&lead);
	check(lead_send_until(&lead) <= NOW + LEAD_RENEW_NS);
	check(begins == (lead_send_until(&lead) != 0) || lead.renewed_ns + LEAD_RENEW_NS == 0);
	check(begins || lead_role(&lead, NOW) == LEAD_STANDBY);
	check(lead_saw(&lead, NULL, NOW, clock_wall()) == (begins ? LEAD_LOST : LEAD_SAME));
	check(lead_send_until(&lead) == 0 && lead_land_until(&lead) == 0);
}

static void as_lease(struct slice text)
{
	struct lease lease;
	struct lease_age age = {.known = false};
	struct err err;
	if (cluster_lease_decode(text, &lease, &err) != 0)
		return;
	check(memchr(lease.holder, '\0', sizeof lease.holder) && memchr(lease.renewed, '\0', sizeof lease.renewed));
	check(lease.duration_ns >= 0);
	lead_by(&lease, "host");
	lead_by(&lease, "a_b");
	lease_age_saw(&age, &lease, NOW);
	lease_age_saw(&age, &lease, 2 * NOW);
	check(age.changed_ns == NOW && !lease_age_is_stale(&age, NOW));
}

static void as_pod(struct slice text)
{
	struct slice uid;
	struct gated *gated = gated_read(text, &uid);
	if (!gated)
		return;
	check(memmem(text.at, text.len, GATE_NAME, strlen(GATE_NAME)));
	check(uid.len > 0 && strncmp(gated->uid, uid.at, uid.len) == 0);
	check(gated->name[0] != '\0' && gated->namespace_[0] != '\0' && (!gated->others || gated->others[0]));
	gated_free(gated);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	as_lease((struct slice){(const char *)data, size});
	as_pod((struct slice){(const char *)data, size});
	return 0;
}
