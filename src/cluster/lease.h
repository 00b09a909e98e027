/* A coordination.k8s.io/v1 Lease, and what a watcher of it can say by its own clock: how long it was not renewed. Two
 * machines' clocks are never compared for that; only changes count. */
#ifndef CLUSTER_LEASE_H
#define CLUSTER_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "berth/slice.h"

#define LEASE_HOLDER_MAX 320 /* a host's name, '_' and a UUID stay below it */
#define LEASE_TIME_MAX 48
#define LEASE_DURATION_NS INT64_C(30000000000) /* where a Lease does not say it, or there is none */

struct lease {
	char holder[LEASE_HOLDER_MAX]; /* "" = nobody */
	char renewed[LEASE_TIME_MAX];  /* renewTime as it is written */
	int64_t renewed_wall_ns;       /* the same by its holder's clock; 0 where it cannot be read */
	int64_t duration_ns;           /* how long others leave it to its holder; 0 = not said */
	int64_t transitions;           /* how often it passed to another */
};

/* An error: the text is no object, or its holder is longer than any that kube-scheduler writes. */
BERTH_MUST_CHECK int cluster_lease_decode(struct slice json, struct lease *lease, struct err *err);

/* What was seen of it last, and when that had changed. */
struct lease_age {
	bool known; /* it was looked for, and found or not */
	bool there;
	struct lease lease;
	int64_t changed_ns; /* clock_now; the first look counts as a change */
};

/* It was read; `lease` NULL = there is none. */
void lease_age_saw(struct lease_age *age, const struct lease *lease, int64_t now_ns);
/* Nobody has renewed it for its own duration. */
bool lease_age_is_stale(const struct lease_age *age, int64_t now_ns);

#endif
