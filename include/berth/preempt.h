/* Preemption of single pods: of the nodes that kube-scheduler proposes, each with victims, which may be taken, and
 * which is best. Pods are evicted by kube-scheduler, never by berth; berth only leaves nodes out, and never takes a
 * victim off a node's list.
 *
 * Nothing is changed: reserving is the caller's. */
#ifndef BERTH_PREEMPT_H
#define BERTH_PREEMPT_H

#include "berth/fleet.h"
#include "berth/pod.h"

/* X(id, "why the node is left out") */
#define PREEMPT_TABLE(X)                                                                                               \
	X(STAYS, "stays")                                                                                              \
	X(NODE_UNKNOWN, "node unknown")                                                                                \
	X(NO_VICTIMS, "no victims")                                                                                    \
	X(VICTIM_UNKNOWN, "a victim is not known on the node")                                                         \
	X(VICTIM_FOREIGN, "a victim is another scheduler's")                                                           \
	X(VICTIM_PARKED, "a victim is not bound yet")                                                                  \
	X(VICTIM_IN_GANG, "a victim is in a gang")                                                                     \
	X(VICTIM_CLASS, "a victim is of a class not in mayPreempt")                                                    \
	X(NO_ROOM, "no room even without the victims")

enum preempt_verdict {
#define X(id, text) PREEMPT_##id,
	PREEMPT_TABLE(X)
#undef X
};

const char *preempt_verdict_text(enum preempt_verdict verdict);

struct preempt_victim {
	const struct ledger_entry *entry; /* NULL: no such pod is known */
	const struct pod *pod;            /* ledger_pod, its owners as known by now; NULL where that is */
};

struct preempt_candidate {
	struct node *node; /* NULL: not known */
	size_t victim_count;
	const struct preempt_victim *victims;
	int64_t pdb_violations;
};

/* Whether the pod may have victims at all: its class has mayPreempt, and it is in no gang, since one pod's room helps
 * no gang. */
bool preempt_allowed(const struct fleet *fleet, const struct pod *preemptor);

enum preempt_verdict preempt_judge(
    const struct fleet *fleet, const struct pod *preemptor, const struct preempt_candidate *candidate);

/* The candidate to take, or SIZE_MAX: of those that stay the one that kube-scheduler would prefer (fewest violated
 * disruption budgets, least priority of the highest victim, least sum of priorities, fewest victims), then the one
 * where the pod fits best, then the name that sorts first. `verdicts`, if not NULL, gets one for each. */
size_t preempt_choose(const struct fleet *fleet, const struct pod *preemptor,
    const struct preempt_candidate *candidates, size_t count, enum preempt_verdict *verdicts);

/* Whether the pod fits on the node once these entries of it are gone. */
bool preempt_fits_without(const struct fleet *fleet, const struct pod *pod, const struct node *node,
    const struct ledger_entry *const *gone, size_t count);

#endif
