/* GPUs cut into MIG slices where such are short, and made whole again: what the other rooms call. */
#ifndef SCHEDULER_REPARTITION_REPARTITION_H
#define SCHEDULER_REPARTITION_REPARTITION_H

#include "scheduler/internal.h"

void repartition_open(struct scheduler *s);
void repartition_close(struct scheduler *s);
/* The watch shows them. */
void repartition_node_seen(struct scheduler *s, struct node *node);
void repartition_node_gone(struct scheduler *s, const char *name);
/* A pod found no room, as berth or kube-scheduler says. */
void repartition_want(struct scheduler *s, const struct pod *pod);
void repartition_want_gang(struct scheduler *s, const struct gang *gang);
/* Something changed that is looked at. */
void repartition_soon(struct scheduler *s);

/* show.c: its line of /readyz, a list for JSON, and of the nodes that are to give what the pod asks for a line
 * each. */
void repartition_line(const struct scheduler *s, struct buf *out);
void repartition_write_all(const struct scheduler *s, struct buf *out);
void repartition_help(
    const struct scheduler *s, const struct pod *pod, void (*say)(void *ctx, struct buf *line), void *ctx);

#endif
