/* What fleet and ledger need of each other. */
#ifndef CORE_FLEET_INTERNAL_H
#define CORE_FLEET_INTERNAL_H

#include "berth/fleet.h"

/* The node of that name, made without spec if there is none. */
struct node *fleet__node(struct fleet *fleet, struct slice name);
/* Frees a node that has neither spec nor entries. */
void fleet__drop_if_gone(struct fleet *fleet, struct node *node);
/* Something on the node changed in a pod's favour: puts it into the chain of fleet_take_improved. */
void fleet__improve(struct fleet *fleet, struct node *node);
/* Only puts it into the chain: what is there is offered to others. */
void fleet__offer(struct fleet *fleet, struct node *node);
/* Works out pool, domains and health of a node by its spec and a policy, either of which may be NULL. */
void fleet__classify(const struct policy *policy, struct node *node);
/* Releases all entries, and the ledger's tables. */
void ledger__free(struct fleet *fleet);

#endif
