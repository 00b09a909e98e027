/* What filter and prioritize share: the pod and the nodes of a call. */
#ifndef SCHEDULER_FILTER_H
#define SCHEDULER_FILTER_H

#include "scheduler/internal.h"

/* Writes {"error": …} and hands the status back. */
unsigned filter_refuse(struct buf *reply, unsigned status, const char *text);
/* The call's pod, for the caller to free; NULL with the call answered. */
struct pod *filter_read_pod(struct scheduler *s, const struct wire_args *args, struct buf *reply, unsigned *status);
/* The fleet's nodes of the names in the call, into s->candidates. Names that repeat are taken out of the call. */
void filter_find_candidates(struct scheduler *s, struct wire_args *args);
/* The room the pod holds already, if the call offers it and it still fits: calls are idempotent per UID. */
struct node *filter_held_node(
    struct scheduler *s, const struct wire_args *args, const struct pod *pod, const struct ledger_entry *entry);
/* The name in the call, or NULL. */
const struct slice *filter_offered(const struct wire_args *args, const char *name);
/* The Nodes that the call carries, into s->candidates; nothing is kept of them. Of those with one name the first
 * counts, and the others are taken out of the call. */
bool filter_whole_nodes(struct scheduler *s, struct wire_args *args, struct err *err);
void filter_free_whole_nodes(struct scheduler *s, size_t count);

#endif
