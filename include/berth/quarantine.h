/* Nodes on which pods of different owners fail to start: they are left alone for a while. What fails under one owner
 * alone may be that owner's fault and never speaks against a node. A node is quarantined when, within the rules'
 * window, starts of at least two owners have failed on it and
 *
 *   - nothing has started there between the failures of two owners: it kills what comes, and the third owner is not
 *     tried on it, however many failures the rules ask for; or
 *   - so many starts have failed as the rules ask for, whatever started beside them: a part of it is ill.
 *
 * It ends by time or at a person's word; what failed before that word does not count again. Times are of the wall
 * clock, as what is kept outlives the process. What a failed start is, callers decide. */
#ifndef BERTH_QUARANTINE_H
#define BERTH_QUARANTINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "berth/map.h"
#include "berth/policy.h"

#define QUARANTINE_STARTS_MAX 32 /* failed starts kept of a node: the newest */

struct failed_start {
	uint64_t owner; /* the same for pods that fail for one reason of their own */
	uint64_t start; /* the same start is counted once */
	int64_t at_ns;
};

struct quarantine_node {
	char *name;
	size_t count;
	struct failed_start starts[QUARANTINE_STARTS_MAX]; /* in the order they were seen */
	int64_t started_ns;                                /* the latest start there that went well */
	int64_t released_ns;                               /* of the latest word of a person */
	int64_t since_ns, until_ns;                        /* 0 = it is not in quarantine */
	uint32_t failed, owners;                           /* for so many failed starts of so many owners */
	bool restored;                                     /* not by these starts: by quarantine_restore */
};

struct quarantine {
	struct map nodes; /* name → struct quarantine_node: those with something to remember */
	size_t in_force;
};

/* A zeroed struct is an empty one. */
void quarantine_free(struct quarantine *quarantine);
/* NULL where nothing is remembered of the node. */
struct quarantine_node *quarantine_find(const struct quarantine *quarantine, struct slice node);
bool quarantine_holds(const struct quarantine *quarantine, struct slice node);

enum quarantine_change {
	QUARANTINE_SAME, /* it does not count, or was counted before */
	QUARANTINE_COUNTED,
	QUARANTINE_BEGINS, /* the node is in quarantine from now on */
};
/* Rules that are off count nothing. */
enum quarantine_change quarantine_failed(struct quarantine *quarantine, const struct policy_quarantine *rules,
    struct slice node, const struct failed_start *failed, int64_t now_ns);
void quarantine_started(struct quarantine *quarantine, struct slice node, int64_t at_ns);
/* A person's word of that time. True: the node was in quarantine until now. */
bool quarantine_release(struct quarantine *quarantine, struct slice node, int64_t at_ns);
/* As it was kept of a process before: true if that puts the node in quarantine. One whose time is over is not. */
bool quarantine_restore(struct quarantine *quarantine, const struct quarantine_node *kept, int64_t now_ns);
/* The node is gone, and all that was known of it. True: it was in quarantine. */
bool quarantine_forget(struct quarantine *quarantine, struct slice node);
/* When the first one ends, or INT64_MAX. */
int64_t quarantine_next(const struct quarantine *quarantine);
/* Ends one whose time is over, the first by name, or NULL; what had failed before does not count again. */
const struct quarantine_node *quarantine_expire(struct quarantine *quarantine, int64_t now_ns);
/* Forgets nodes of which nothing counts any more. */
void quarantine_sweep(struct quarantine *quarantine, const struct policy_quarantine *rules, int64_t now_ns);

#endif
