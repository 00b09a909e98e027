/* The topology: one tree of domains over the fleet's nodes, from the policy's ordered node labels, widest first. A
 * node's domain at a level is the label values from the widest level down to that one, so that racks of one name in two
 * blocks differ. A node that lacks a level's label is outside every domain of that level and of the levels below it; it
 * is counted there, and hangs from the narrowest domain that it is in, in the end from the root, which is no level's.
 * Below the last level every node is a domain of its own, the host.
 *
 * The fleet owns the tree and keeps it: a node that comes, goes or is relabelled costs its levels, and nothing is built
 * anew but by fleet_set_policy. Children come in the order of their label values and nodes in that of their names,
 * whatever the order they came in. Pointers stay valid until the fleet's nodes or policy change. */
#ifndef BERTH_TOPOLOGY_H
#define BERTH_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "berth/node.h"

struct fleet;
struct topology_domain;

#define TOPOLOGY_HOST TOPOLOGY_LEVELS_MAX
#define TOPOLOGY_ROOT (-1)

const struct topology_domain *topology_root(const struct fleet *fleet);
/* The node's domain at a level, or NULL where it is outside. Not for TOPOLOGY_HOST. */
const struct topology_domain *topology_domain_of(const struct node *node, int level);
/* The domain that a node of these label values would be in, or NULL while no node is. */
const struct topology_domain *topology_find(const struct fleet *fleet, const char *const *values, size_t count);

/* TOPOLOGY_ROOT, or an index into the policy's levels. */
int topology_level(const struct topology_domain *domain);
const char *topology_value(const struct topology_domain *domain); /* NULL for the root */
const struct topology_domain *topology_parent(const struct topology_domain *domain);
const struct topology_domain *topology_first_child(const struct topology_domain *domain);
const struct topology_domain *topology_next_child(const struct topology_domain *child);
/* Nodes that are in the domain and in none of its children: `count` of them. */
struct node *const *topology_own_nodes(const struct topology_domain *domain, size_t *count);

/* Nodes in the domain and all below it: all of them, and those of one pool (POOL_NONE: in none). */
size_t topology_nodes(const struct topology_domain *domain);
size_t topology_pool_nodes(const struct topology_domain *domain, uint16_t pool);
/* Domains of a level. */
size_t topology_domains(const struct fleet *fleet, int level);
/* Nodes of the pool that are in some domain of the level, and those that are in none. A level that no node of a pool
 * carries can never be had there. */
size_t topology_inside(const struct fleet *fleet, int level, uint16_t pool);
size_t topology_outside(const struct fleet *fleet, int level, uint16_t pool);

/* The label values from the widest level on, with a '/' between, cut to fit; "" for the root. Returns what snprintf
 * would. */
int topology_path(const struct topology_domain *domain, char *text, size_t size);

#endif
