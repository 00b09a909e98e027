#include "core/topology.h"

#include <stdio.h>
#include <stdlib.h>

#include "berth/fleet.h"
#include "core/index.h"

/* ---- counts by pool ---- */

static size_t pool_place(const struct pool_counts *counts, uint16_t pool)
{
	size_t at = 0;
	while (at < counts->count && counts->items[at].pool < pool)
		at++;
	return at;
}

static size_t pool_nodes(const struct pool_counts *counts, uint16_t pool)
{
	size_t at = pool_place(counts, pool);
	return at < counts->count && counts->items[at].pool == pool ? counts->items[at].nodes : 0;
}

static void pool_add(struct pool_counts *counts, uint16_t pool)
{
	size_t at = pool_place(counts, pool);
	if (at < counts->count && counts->items[at].pool == pool) {
		counts->items[at].nodes++;
		return;
	}
	counts->items = xgrow(counts->items, counts->count, &counts->room, sizeof(*counts->items));
	memmove(&counts->items[at + 1], &counts->items[at], (counts->count - at) * sizeof(*counts->items));
	counts->items[at] = (struct pool_count){pool, 1};
	counts->count++;
}

static void pool_remove(struct pool_counts *counts, uint16_t pool)
{
	size_t at = pool_place(counts, pool);
	if (--counts->items[at].nodes > 0)
		return;
	counts->count--;
	memmove(&counts->items[at], &counts->items[at + 1], (counts->count - at) * sizeof(*counts->items));
}

/* ---- the tree ---- */

static int by_value(const struct treap_node *a, const struct treap_node *b)
{
	return strcmp(((const struct topology_domain *)a)->value, ((const struct topology_domain *)b)->value);
}

static int value_order(struct slice value, const char *text)
{
	int order = strncmp(value.at, text, value.len);
	return order ? order : -(text[value.len] != '\0');
}

static struct topology_domain *find_child(const struct topology_domain *domain, struct slice value)
{
	struct treap_node *at = domain->children.root;
	while (at) {
		int order = value_order(value, ((struct topology_domain *)at)->value);
		if (order == 0)
			return (struct topology_domain *)at;
		at = order < 0 ? at->left : at->right;
	}
	return NULL;
}

static struct topology_domain *make_child(struct topology *topology, struct topology_domain *parent, struct slice value)
{
	struct topology_domain *child = find_child(parent, value);
	if (child)
		return child;
	child = xcalloc(1, sizeof(*child));
	child->parent = parent;
	child->value = xstrndup(value.at, value.len);
	child->level = parent->level + 1;
	topology->domains[child->level]++;
	treap_insert(&parent->children, &child->link, map_hash(value), by_value);
	return child;
}

static void drop_child(struct topology *topology, struct topology_domain *child)
{
	treap_remove(&child->parent->children, &child->link);
	topology->domains[child->level]--;
	free(child->pools.items);
	free(child->own);
	free(child->value);
	free(child);
}

void topology_init(struct topology *topology)
{
	*topology = (struct topology){.root.level = TOPOLOGY_ROOT};
}

void topology_free(struct topology *topology)
{
	for (int level = 0; level < TOPOLOGY_LEVELS_MAX; level++)
		free(topology->inside[level].items);
	free(topology->root.pools.items);
	free(topology->root.own);
}

/* Where the name stands among the domain's own nodes, or belongs. Nodes mostly come in the order of their names. */
static size_t own_place(const struct topology_domain *domain, const char *name)
{
	size_t low = 0, high = domain->own_count;
	if (high > 0 && strcmp(domain->own[high - 1]->name, name) < 0)
		return high;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strcmp(domain->own[middle]->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void own_add(struct topology_domain *domain, struct node *node)
{
	size_t at = own_place(domain, node->name);
	domain->own = xgrow(domain->own, domain->own_count, &domain->own_room, sizeof(struct node *));
	memmove(&domain->own[at + 1], &domain->own[at], (domain->own_count - at) * sizeof(struct node *));
	domain->own[at] = node;
	domain->own_count++;
}

static void own_remove(struct topology_domain *domain, const struct node *node)
{
	size_t at = own_place(domain, node->name);
	domain->own_count--;
	memmove(&domain->own[at], &domain->own[at + 1], (domain->own_count - at) * sizeof(struct node *));
}

void topology_add(struct topology *topology, struct node *node)
{
	struct topology_domain *domain = &topology->root;
	for (int level = 0; level < TOPOLOGY_LEVELS_MAX && node->domains[level].at; level++) {
		domain = make_child(topology, domain, node->domains[level]);
		pool_add(&topology->inside[level], node->pool);
	}
	node->domain = domain;
	own_add(domain, node);
	for (; domain; domain = domain->parent) {
		domain->nodes++;
		pool_add(&domain->pools, node->pool);
	}
}

void topology_remove(struct topology *topology, struct node *node)
{
	struct topology_domain *domain = node->domain, *parent;
	own_remove(domain, node);
	node->domain = NULL;
	for (; domain; domain = parent) {
		parent = domain->parent;
		if (domain->level >= 0)
			pool_remove(&topology->inside[domain->level], node->pool);
		pool_remove(&domain->pools, node->pool);
		if (--domain->nodes == 0 && parent)
			drop_child(topology, domain);
	}
}

const struct topology_domain *topology_narrowest(const struct topology *topology, const struct slice *values)
{
	const struct topology_domain *domain = &topology->root, *child;
	for (int level = 0; level < TOPOLOGY_LEVELS_MAX && values[level].at; level++) {
		child = find_child(domain, values[level]);
		if (!child)
			break;
		domain = child;
	}
	return domain;
}

/* ---- for readers ---- */

const struct topology_domain *topology_root(const struct fleet *fleet)
{
	return &fleet->index->topology.root;
}

const struct topology_domain *topology_domain_of(const struct node *node, int level)
{
	const struct topology_domain *domain = node->domain;
	while (domain && domain->level > level)
		domain = domain->parent;
	return domain && domain->level == level ? domain : NULL;
}

const struct topology_domain *topology_find(const struct fleet *fleet, const char *const *values, size_t count)
{
	const struct topology_domain *domain = topology_root(fleet);
	for (size_t level = 0; domain && level < count; level++)
		domain = find_child(domain, slice_of(values[level]));
	return domain;
}

int topology_level(const struct topology_domain *domain)
{
	return domain->level;
}

const char *topology_value(const struct topology_domain *domain)
{
	return domain->value;
}

const struct topology_domain *topology_parent(const struct topology_domain *domain)
{
	return domain->parent;
}

const struct topology_domain *topology_first_child(const struct topology_domain *domain)
{
	return (const struct topology_domain *)treap_first(&domain->children);
}

const struct topology_domain *topology_next_child(const struct topology_domain *child)
{
	return (const struct topology_domain *)treap_after(&child->link);
}

struct node *const *topology_own_nodes(const struct topology_domain *domain, size_t *count)
{
	*count = domain->own_count;
	return domain->own;
}

size_t topology_nodes(const struct topology_domain *domain)
{
	return domain->nodes;
}

size_t topology_pool_nodes(const struct topology_domain *domain, uint16_t pool)
{
	return pool_nodes(&domain->pools, pool);
}

size_t topology_domains(const struct fleet *fleet, int level)
{
	return fleet->index->topology.domains[level];
}

size_t topology_inside(const struct fleet *fleet, int level, uint16_t pool)
{
	return pool_nodes(&fleet->index->topology.inside[level], pool);
}

size_t topology_outside(const struct fleet *fleet, int level, uint16_t pool)
{
	return topology_pool_nodes(topology_root(fleet), pool) - topology_inside(fleet, level, pool);
}

int topology_path(const struct topology_domain *domain, char *text, size_t size)
{
	const char *values[TOPOLOGY_LEVELS_MAX];
	int total = 0;
	if (size > 0)
		text[0] = '\0';
	int last = domain->level;
	for (; domain->level >= 0; domain = domain->parent)
		values[domain->level] = domain->value;
	for (int level = 0; level <= last; level++) {
		size_t at = (size_t)total < size ? (size_t)total : size;
		total += snprintf(text + at, size - at, "%s%s", level > 0 ? "/" : "", values[level]);
	}
	return total;
}

/* ---- siblings ---- */

#define OUTSIDE UINT64_C(1)

/* Never 0. By name at the host's level, since a node that a request carried stands for the one in the fleet. */
static uint64_t key_of(const struct node *node, int level)
{
	if (level == TOPOLOGY_HOST)
		return map_hash(slice_of(node->name)) | 2;
	const struct topology_domain *domain = topology_domain_of(node, level);
	return domain ? (uint64_t)(uintptr_t)domain : OUTSIDE;
}

static struct sibling_domain *place(const struct siblings *siblings, uint64_t domain)
{
	size_t at = (size_t)((domain * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (siblings->room - 1);
	while (siblings->table[at].domain && siblings->table[at].domain != domain)
		at = (at + 1) & (siblings->room - 1);
	return &siblings->table[at];
}

static size_t siblings_in(const struct siblings *siblings, uint64_t domain)
{
	return siblings->room ? place(siblings, domain)->count : 0;
}

static size_t least_below(const struct siblings *siblings, const struct topology_domain *domain)
{
	if (domain->level == siblings->level)
		return siblings_in(siblings, (uint64_t)(uintptr_t)domain);
	size_t least = SIZE_MAX;
	const struct topology_domain *child = topology_first_child(domain);
	for (; child; child = topology_next_child(child)) {
		size_t here = least_below(siblings, child);
		least = here < least ? here : least;
	}
	return least;
}

/* Zero unless the siblings are in every domain; then the fewest, over no more domains than they are in. */
static size_t least_of(const struct siblings *siblings, const struct topology *topology)
{
	if (siblings->level == TOPOLOGY_HOST || topology->domains[siblings->level] > siblings->domains)
		return 0;
	size_t least = least_below(siblings, &topology->root), inside = 0;
	const struct pool_counts *counts = &topology->inside[siblings->level];
	for (size_t i = 0; i < counts->count; i++)
		inside += counts->items[i].nodes;
	if (inside < topology->root.nodes) {
		size_t outside = siblings_in(siblings, OUTSIDE);
		least = outside < least ? outside : least;
	}
	return least == SIZE_MAX ? 0 : least;
}

void siblings_count(struct siblings *siblings, const struct topology *topology, const struct ledger_entry *chain,
    const struct ledger_entry *self, int level)
{
	size_t count = 0;
	for (const struct ledger_entry *entry = chain; entry; entry = entry->owner_next)
		count += entry != self;
	*siblings = (struct siblings){.level = level};
	if (count == 0)
		return;
	siblings->room = 8;
	while (siblings->room < count * 2)
		siblings->room *= 2;
	siblings->table = xcalloc(siblings->room, sizeof(*siblings->table));
	for (const struct ledger_entry *entry = chain; entry; entry = entry->owner_next) {
		if (entry == self)
			continue;
		uint64_t domain = key_of(entry->node, level);
		struct sibling_domain *found = place(siblings, domain);
		siblings->domains += found->domain == 0;
		found->domain = domain;
		found->count++;
	}
	siblings->least = least_of(siblings, topology);
}

void siblings_free(struct siblings *siblings)
{
	free(siblings->table);
}

size_t siblings_near(const struct siblings *siblings, const struct node *node)
{
	return siblings_in(siblings, key_of(node, siblings->level));
}
