/* Which of several berths may write, as test/model/lease.pml has it: the one beside the holder of kube-scheduler's
 * Lease, as long as that was renewed lately, and once it has read the cluster since it began to lead. Decided from what
 * was seen of the Lease and from the time alone; no I/O.
 *
 * The holder runs beside its berth, on the same clock: so its renewTime tells how old a renewal is that the watch
 * brings late, as it does to a process that stood still. Of other holders only the names count. */
#ifndef SCHEDULER_LEAD_H
#define SCHEDULER_LEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "cluster/lease.h"

#define LEAD_RENEW_NS INT64_C(10000000000) /* kube-scheduler's renewDeadline, by default */
#define LEAD_MARGIN_NS                                                                                                 \
	INT64_C(1000000000) /* before others may take the Lease every write has landed or was given up                 \
	                     */

enum lead_role {
	LEAD_ACTIVE,
	LEAD_STANDBY, /* another is active, or this one has not read the cluster yet */
	LEAD_FENCED,  /* the Lease is ours and was not renewed in time: nothing is written until it is, or is lost */
};
enum lead_change {
	LEAD_SAME,
	LEAD_BEGINS, /* the cluster is to be read anew, then lead_listed */
	LEAD_LOST,   /* another has led since: what was promised here is worth nothing */
};

struct lead {
	const char *identity; /* the host's name; NULL: there is no Lease, this berth is always active */
	int64_t renew_ns;     /* the model's RENEW */

	bool there; /* the Lease, as last seen */
	struct lease lease;
	int64_t renewed_ns;          /* when it was renewed for us, by clock_now */
	bool holds;                  /* it is ours, as last seen */
	bool leads, listed;          /* as in the model */
	int64_t transitions_counted; /* of the Lease, when it was ours last */
};

void lead_init(struct lead *lead, const char *identity, int64_t renew_ns);
/* The Lease was seen; NULL = there is none. */
enum lead_change lead_saw(struct lead *lead, const struct lease *lease, int64_t now_ns, int64_t now_wall_ns);
/* The cluster was read, by lists that were asked for since it leads. */
void lead_listed(struct lead *lead);

enum lead_role lead_role(const struct lead *lead, int64_t now_ns);
/* "active", "standby", "fenced" */
const char *lead_role_name(enum lead_role role);
/* When a write may begin at the latest, and when it must have landed; 0 where none may. INT64_MAX without a Lease. */
int64_t lead_send_until(const struct lead *lead);
int64_t lead_land_until(const struct lead *lead);

#endif
