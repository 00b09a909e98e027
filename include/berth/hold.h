/* Domains kept for gangs that starve: a node that is held for one takes no pod that stands behind it in order. Pods
 * that run there run out, and those ahead of it still come. */
#ifndef BERTH_HOLD_H
#define BERTH_HOLD_H

#include <stddef.h>
#include <stdint.h>

#include "berth/gang.h"

#define HOLDS_MAX 8 /* bits of a node */

struct fleet;
struct node;
struct pod;

/* For whom, and where it stands in order: by priority, then class order, then age. */
struct node_hold {
	char *key; /* the caller's word for the gang; NULL = the place is free */
	enum gang_dialect dialect;
	char *namespace_, *name;
	int32_t priority;
	size_t class_order;
	int64_t created_ns;
};

/* Texts are copied. The place it got, or HOLDS_MAX when all are taken. */
size_t hold_begin(struct fleet *fleet, const struct node_hold *hold);
void hold_node(struct fleet *fleet, size_t place, struct node *node);
/* Its nodes count as improved. */
void hold_end(struct fleet *fleet, size_t place);
/* Nodes held, with a spec. */
size_t hold_nodes(const struct fleet *fleet, size_t place);
/* The places that keep the pod off their nodes, a bit each. */
uint8_t hold_against(const struct fleet *fleet, const struct pod *pod, size_t class_order);
void hold_free_all(struct fleet *fleet);

#endif
