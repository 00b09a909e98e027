/* What the two halves of headroom share: what is held on a node, and the choice of nodes. */
#ifndef CORE_HEADROOM_H
#define CORE_HEADROOM_H

#include "berth/headroom.h"

/* GPUs held; 0 for NULL. */
int64_t headroom__held(const struct headroom_hold *hold);
bool headroom__is_lent_to(const struct policy_headroom *rule, size_t class_);
/* What pods of the class have on the node. */
int64_t headroom__used_by(const struct node *node, uint16_t class_, resource_id id);
/* What the rule's class is due whatever it uses: the rule's GPUs, or more by what it follows. */
int64_t headroom__floor(const struct fleet *fleet, size_t rule);
/* What the rule's class is due in all, where it uses so many. */
int64_t headroom__due(const struct fleet *fleet, size_t rule, int64_t used);
/* What the rule's class has in its pool. */
int64_t headroom__used(const struct fleet *fleet, const struct policy_headroom *rule);
/* So much of the node is the rule's class's own from now on. */
void headroom__reserve(struct fleet *fleet, struct node *node, uint16_t rule, resource_id resource, int64_t gpus);
/* The node's hold ends. */
void headroom__drop(struct fleet *fleet, struct node *node);

#endif
