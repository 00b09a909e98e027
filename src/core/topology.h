/* Domains of the topology: a node's domain at a level is the label values from the widest level down to that one, so
 * that racks of one name in two blocks differ; at the level below the last, the host, it is the node. Nodes without the
 * level's label are together one domain, "outside". A domain is named by a 64-bit hash: it only weighs a score, and
 * never decides whether a pod fits. */
#ifndef CORE_TOPOLOGY_H
#define CORE_TOPOLOGY_H

#include "berth/ledger.h"
#include "berth/map.h"
#include "berth/node.h"

#define TOPOLOGY_HOST TOPOLOGY_LEVELS_MAX
#define TOPOLOGY_OUTSIDE UINT64_C(1)

/* How many nodes each domain has, level by level. */
struct topology {
	struct map domains[TOPOLOGY_LEVELS_MAX]; /* domain → struct topology_domain */
};

void topology_free(struct topology *topology);
void topology_add(struct topology *topology, const struct node *node);
void topology_remove(struct topology *topology, const struct node *node);

/* `level` is an index into the policy's levels, or TOPOLOGY_HOST. */
uint64_t topology_domain(const struct node *node, int level);

/* How many siblings of a pod are in each domain of one level: an open-addressed table. */
struct siblings {
	struct sibling_domain {
		uint64_t domain; /* 0 = free */
		size_t count;
	} * table;
	size_t domains, room; /* room is a power of two, or 0 */
	size_t least;         /* the fewest in any domain that has nodes: none can do better */
};

/* Over the owner's chain of entries but for `self`, which may be NULL. */
void siblings_count(struct siblings *siblings, const struct topology *topology, const struct ledger_entry *chain,
    const struct ledger_entry *self, int level);
void siblings_free(struct siblings *siblings);
size_t siblings_in(const struct siblings *siblings, uint64_t domain);

#endif
