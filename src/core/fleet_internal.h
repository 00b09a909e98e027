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
/* What is held for headroom on the node follows what changed there; the node may have lost its spec. */
void headroom__settle(struct fleet *fleet, struct node *node);
/* The entry of room without a pod, made where there is none, with its demand as given now. */
struct ledger_entry *ledger__hold(
    struct fleet *fleet, const struct pod *room, struct node *node, struct ledger_entry *entry);
void ledger__unhold(struct fleet *fleet, struct ledger_entry *entry);
/* The entry came, changed or goes: the choice of nodes may be due. */
void headroom__note(struct fleet *fleet, const struct node *node);
/* All that is held goes back. */
void headroom__drop_all(struct fleet *fleet);
/* Another policy: entries learn their class by it. */
void headroom__learn(struct fleet *fleet);
/* The class of a pod for headroom, or UINT16_MAX. */
uint16_t headroom__class(const struct fleet *fleet, const struct pod *pod);
/* The rules whose holds a pod of the class may use, a bit each. */
uint32_t headroom__usable(const struct fleet *fleet, const struct policy_class *class_);
/* Releases all entries, and the ledger's tables. */
void ledger__free(struct fleet *fleet);

#endif
