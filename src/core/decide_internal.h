/* What the decision over given nodes and the decision over the fleet share. */
#ifndef CORE_DECIDE_INTERNAL_H
#define CORE_DECIDE_INTERNAL_H

#include "berth/decide.h"
#include "core/score.h"

void decide__begin(const struct need *need, struct decision *decision);
/* One node's verdict: the pod's own reason, NODE_UNKNOWN for NULL, or that of its steps. Score may be NULL. */
enum reason decide__node(const struct need *need, const struct node *node, struct score *score);
/* Judges the node, counts the verdict, and takes the node if it is the best so far. */
enum reason decide__look(const struct need *need, struct node *node, struct decision *decision);
/* Of the nodes that the pod's own words leave open, whatever their state: those that its class allows and those that it
 * forbids. */
struct only_balance {
	size_t allowed, forbidden;
};

/* The class forbids some of the nodes looked at, and of the others none has GPUs that would do. */
bool decide__maybe_unmeetable(const struct decision *decision);
void decide__weigh_only(const struct need *need, const struct node *node, struct only_balance *balance);
/* The class forbids all that the pod could use, and no node that it allows is only away for now. */
bool decide__unmeetable(const struct decision *decision, const struct only_balance *balance);
/* Settles the pod's own reason where no node fits. */
void decide__end(const struct need *need, struct decision *decision, bool unmeetable);

#endif
