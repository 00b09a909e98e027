/* The tree of berth/topology.h from the inside, and the siblings of a pod counted by its domains. */
#ifndef CORE_TOPOLOGY_H
#define CORE_TOPOLOGY_H

#include "berth/ledger.h"
#include "berth/topology.h"
#include "core/treap.h"

/* How many nodes are in which pool. */
struct pool_counts {
	size_t count, room;
	struct pool_count {
		uint16_t pool;
		size_t nodes;
	} * items; /* by pool, ascending; none is 0 */
};

struct topology_domain {
	struct treap_node link; /* among its parent's children, by value */
	struct topology_domain *parent;
	char *value; /* NULL for the root */
	int level;
	struct treap children; /* of topology_domain.link */
	size_t own_count, own_room;
	struct node **own;        /* in it and in none of its children, by name: in one piece, since plans walk them */
	size_t nodes;             /* in it and below */
	struct pool_counts pools; /* of these */
};

struct topology {
	struct topology_domain root;
	size_t domains[TOPOLOGY_LEVELS_MAX];
	struct pool_counts inside[TOPOLOGY_LEVELS_MAX];
};

void topology_init(struct topology *topology);
/* All nodes have been taken out. */
void topology_free(struct topology *topology);
/* The node has a spec; its pool and label values are set, and stay until it is taken out. */
void topology_add(struct topology *topology, struct node *node);
void topology_remove(struct topology *topology, struct node *node);
/* The narrowest domain there is for these label values; the root at the least. */
const struct topology_domain *topology_narrowest(const struct topology *topology, const struct slice *values);

/* How many siblings of a pod are in each domain of one level: an open-addressed table. Nodes outside the level's
 * domains are together one domain. */
struct siblings {
	struct sibling_domain {
		uint64_t domain; /* 0 = free */
		size_t count;
	} * table;
	int level;            /* of the policy, or TOPOLOGY_HOST */
	size_t domains, room; /* room is a power of two, or 0 */
	size_t least;         /* the fewest in any domain that has nodes: none can do better */
};

/* Over the owner's chain of entries but for `self`, which may be NULL. */
void siblings_count(struct siblings *siblings, const struct topology *topology, const struct ledger_entry *chain,
    const struct ledger_entry *self, int level);
void siblings_free(struct siblings *siblings);
/* In the domain of a node. */
size_t siblings_near(const struct siblings *siblings, const struct node *node);

#endif
