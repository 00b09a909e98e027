/* What is used on a node: the arithmetic under the ledger, and what follows from it. Only ledger, fleet and waiting
 * call it. */
#ifndef CORE_USAGE_H
#define CORE_USAGE_H

#include "berth/ledger.h"
#include "berth/node.h"

/* Counts a demand on the node, and no more. Ids whose amount comes to 0 are dropped, so that `used` says what is used
 * and not what once was. */
void usage_add(struct node *node, const struct resources *demand);
/* The entry of the demand must be out of node->entries: an amount that was clamped is summed up again from what is
 * left. */
void usage_subtract(struct node *node, const struct resources *demand);

/* The same for entries that stand in node->entries still. */
void usage_without(struct node *node, const struct ledger_entry *const *gone, size_t count);

/* Thousandths of a GPU that the demand takes of a node like this. */
int64_t usage_lane_milli(const struct gpu_lane *lane, int64_t amount);
int64_t usage_milli(const struct node_spec *spec, const struct resources *demand);

/* The node's devices, and each of its entries' share of them, as the spec now allows to know them. */
void usage_rebuild_devices(struct node *node);
/* The entry comes to stand on the node, or is about to leave it. */
void usage_take_devices(struct node *node, struct ledger_entry *entry);
void usage_return_devices(struct node *node, struct ledger_entry *entry);

#endif
