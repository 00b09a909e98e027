/* What is kept of a bound pod of ours beside its room: all that tells its class, whatever policy is in force later, and
 * what it is as a victim. Pods alike (replicas, the pods of a Job) share one, packed. */
#ifndef CORE_TRAITS_H
#define CORE_TRAITS_H

#include "berth/ledger.h"

struct traits;

/* The entry gets the pod's traits if it is bound and ours, and none otherwise. */
void traits_follow(struct ledger *ledger, struct ledger_entry *entry, const struct pod *pod);
void traits_leave(struct ledger *ledger, struct ledger_entry *entry);
int32_t traits_priority(const struct traits *traits);
/* The labels among them, as views; `items` grows with `room` and is the caller's to free. */
void traits_labels(const struct traits *traits, struct labels *labels, size_t *room);

#endif
