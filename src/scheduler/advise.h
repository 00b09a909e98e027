/* Advise mode: filter answers all nodes that will do and reserves nothing, prioritize scores them, kube-scheduler's own
 * scores choose among the best, and bind judges that node by the ledger and reserves it before it posts the Binding.
 * Until then kube-scheduler's cache alone keeps the room from its other pods; from berth's side several may be told the
 * same room, and a bind that comes too late for it is an Error, after which the scheduler tries again. */
#ifndef SCHEDULER_ADVISE_H
#define SCHEDULER_ADVISE_H

#include "scheduler/internal.h"

/* Whether the pod goes by it: its soft spread or soft pod affinity is only known to kube-scheduler, or its class asks.
 */
bool advise_applies(const struct scheduler *s, const struct pod *pod);
/* Answers the nodes of the call whose verdict is that they fit, as they came and in their order. */
void advise_answer(const struct scheduler *s, const struct wire_args *args, struct buf *reply);

/* The score without the terms that are silent for pods with soft spread (prioritize.c says which, and why). */
void advise_mute(const struct policy_class *class_, struct score *score, bool has_gpus);
/* Of a decision over these nodes the best node and its score as prioritize sees them. */
void advise_best(
    struct scheduler *s, const struct pod *pod, struct node *const *nodes, size_t count, struct decision *decision);

#endif
