/* Where a pod goes: the one decision that filter, hints, wake-ups and explain all take. The same fleet, pod and
 * candidates give the same answer, in whatever order the candidates come; equal scores go to the node whose name sorts
 * first.
 *
 * Each node passes the steps of reason.h in order and stops at the first that it fails; what passes is scored by the
 * terms of policy.h, each 0..1, times the weights of the pod's class. Nothing is changed: reserving is the caller's.
 *
 * A decision allocates nothing, but for a table of the pod's siblings where its class keeps them apart, and a list of
 * buckets where the fleet's indexes have more than 256 that would do. */
#ifndef BERTH_DECIDE_H
#define BERTH_DECIDE_H

#include "berth/fleet.h"
#include "berth/pod.h"
#include "berth/reason.h"

struct score {
	double terms[SCORE_TERM_COUNT]; /* 0..1 each */
	double total;                   /* weighed sum */
};

struct decision {
	enum reason reason;                /* REASON_CODE_FITS, or the pod's own reason */
	const struct policy_class *class_; /* NULL when the pod has none */
	struct node *node;                 /* where it fits best, or NULL */
	struct score score;                /* of that node */
	size_t seen; /* nodes looked at one by one (a decision over the fleet skips what its index rules out) */
	size_t by_reason[REASON_COUNT]; /* of the nodes looked at */
};

/* Over the whole fleet, by its indexes: about the cost of the nodes that nearly win. by_reason is filled only for what
 * was seen. */
void decide_fleet(const struct fleet *fleet, const struct pod *pod, struct decision *decision);

/* decide_fleet without its last step: when nothing fits, no node is looked at just to say why, and decision->reason is
 * REASON_CODE_NO_CANDIDATES. What decide_fleet finds best is also the best of any set of nodes it belongs to. */
void decide_fleet_best(const struct fleet *fleet, const struct pod *pod, struct decision *decision);

/* Over the nodes given; NULL entries count as NODE_UNKNOWN. An entry of the pod itself in the ledger does not stand in
 * its own way. `reasons`, if not NULL, gets each node's verdict. */
void decide_among(const struct fleet *fleet, const struct pod *pod, struct node *const *nodes, size_t count,
    struct decision *decision, enum reason *reasons);

/* Each node's verdict and, where it fits, its score, without a choice among them. */
void decide_each(const struct fleet *fleet, const struct pod *pod, struct node *const *nodes, size_t count,
    enum reason *reasons, struct score *scores);

/* One node's verdict, and its score if it fits and `score` is not NULL. `class_` may come from an earlier decision, or
 * NULL. */
enum reason decide_node(const struct fleet *fleet, const struct pod *pod, struct node *node, struct score *score);

/* A node as a request carried it: judged by the object sent, with what the ledger holds on the node of that name. Free
 * with decide_whole_node_free. The spec is taken over. */
struct node *decide_whole_node(const struct fleet *fleet, struct node_spec *spec);
void decide_whole_node_free(struct node *node);

/* GPUs, slices and shares the demand asks for, each counted as one. */
int64_t decide_gpu_units(const struct fleet *fleet, const struct resources *demand);

#endif
