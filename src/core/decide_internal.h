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
/* The class forbids some of the nodes looked at, and none got further. */
bool decide__maybe_unmeetable(const struct decision *decision);
/* Settles the pod's own reason where no node fits. */
void decide__end(const struct need *need, struct decision *decision, bool unmeetable);

#endif
