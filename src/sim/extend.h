/* The extender's side of the wire as kube-scheduler speaks it: writing requests, reading replies, with its checks. */
#ifndef SIM_EXTEND_H
#define SIM_EXTEND_H

#include "base/buf.h"
#include "base/err.h"
#include "berth/arena.h"
#include "berth/slice.h"

#define SIM_EXTEND_BODY_MAX (64u << 20)
#define SIM_REFUSAL_TEXTS_MAX 32 /* distinct texts in one reply that are counted; the rest count as one */

/* {"Pod":…,"Nodes":null,"NodeNames":[…]}: filter and prioritize, nodeCacheCapable. */
void sim_extend_write(struct buf *out, struct slice pod, const char *const *names, size_t count);
void sim_extend_write_bind(
    struct buf *out, const char *namespace_, const char *name, const char *uid, const char *node);

struct sim_refusals {
	size_t count;
	struct {
		struct slice text;
		size_t nodes;
	} texts[SIM_REFUSAL_TEXTS_MAX];
};
void sim_refusal_count(struct sim_refusals *refusals, struct slice text);
/* "0/12 nodes are available: 8 …, 4 …." as a FitError says it. */
void sim_refusals_write(struct buf *out, const struct sim_refusals *refusals, size_t node_count);

struct sim_filter_reply {
	size_t count;
	struct slice *names; /* in the arena */
	struct slice error;
	size_t failed; /* nodes in either map */
};
/* Texts point into the body. A node in both maps counts as unresolvable. ERR_INPUT when it is no reply. */
BERTH_MUST_CHECK int sim_extend_read_filter(struct slice body, struct arena *arena, struct sim_filter_reply *reply,
    struct sim_refusals *refusals, struct err *err);
/* The host of the highest score; empty when there is none. */
BERTH_MUST_CHECK int sim_extend_read_scores(struct slice body, struct slice *best, struct err *err);
BERTH_MUST_CHECK int sim_extend_read_bind(struct slice body, struct slice *error, struct err *err);

#endif
