#include "core/topology.h"

#include <stdlib.h>

struct topology_domain {
	uint64_t domain;
	size_t nodes;
};

void topology_free(struct topology *topology)
{
	for (int level = 0; level < TOPOLOGY_LEVELS_MAX; level++) {
		size_t cursor = 0;
		for (void *domain; (domain = map_next(&topology->domains[level], &cursor));)
			free(domain);
		map_free(&topology->domains[level]);
	}
}

/* FNV-1a's multiplier over whole words. */
static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * UINT64_C(0x100000001b3);
	return hash ^ (hash >> 29);
}

uint64_t topology_domain(const struct node *node, int level)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	if (level == TOPOLOGY_HOST)
		return map_hash(slice_of(node->name)) | 2;
	if (!node->domains[level])
		return TOPOLOGY_OUTSIDE;
	for (int wider = 0; wider <= level; wider++)
		hash = mix(hash, node->domains[wider] ? map_hash(slice_of(node->domains[wider])) : 0);
	return hash | 2;
}

static struct slice key_of(const uint64_t *domain)
{
	return (struct slice){(const char *)domain, sizeof(*domain)};
}

void topology_add(struct topology *topology, const struct node *node)
{
	for (int level = 0; level < TOPOLOGY_LEVELS_MAX; level++) {
		uint64_t key = topology_domain(node, level);
		struct topology_domain *domain = map_get(&topology->domains[level], key_of(&key));
		if (!domain) {
			domain = xmalloc(sizeof(*domain));
			*domain = (struct topology_domain){.domain = key};
			map_put(&topology->domains[level], key_of(&domain->domain), domain);
		}
		domain->nodes++;
	}
}

void topology_remove(struct topology *topology, const struct node *node)
{
	for (int level = 0; level < TOPOLOGY_LEVELS_MAX; level++) {
		uint64_t key = topology_domain(node, level);
		struct topology_domain *domain = map_get(&topology->domains[level], key_of(&key));
		if (--domain->nodes == 0) {
			map_remove(&topology->domains[level], key_of(&key));
			free(domain);
		}
	}
}

static struct sibling_domain *place(const struct siblings *siblings, uint64_t domain)
{
	size_t at = (size_t)(domain >> 1) & (siblings->room - 1);
	while (siblings->table[at].domain && siblings->table[at].domain != domain)
		at = (at + 1) & (siblings->room - 1);
	return &siblings->table[at];
}

/* Zero unless the siblings are in every domain; then the fewest, over no more domains than they are in. */
static size_t least_of(const struct siblings *siblings, const struct topology *topology, int level)
{
	if (level == TOPOLOGY_HOST || topology->domains[level].count > siblings->domains)
		return 0;
	size_t least = SIZE_MAX, cursor = 0;
	for (const struct topology_domain *domain; (domain = map_next(&topology->domains[level], &cursor));) {
		size_t here = siblings_in(siblings, domain->domain);
		least = here < least ? here : least;
	}
	return least == SIZE_MAX ? 0 : least;
}

void siblings_count(struct siblings *siblings, const struct topology *topology, const struct ledger_entry *chain,
    const struct ledger_entry *self, int level)
{
	size_t count = 0;
	for (const struct ledger_entry *entry = chain; entry; entry = entry->owner_next)
		count += entry != self;
	*siblings = (struct siblings){0};
	if (count == 0)
		return;
	siblings->room = 8;
	while (siblings->room < count * 2)
		siblings->room *= 2;
	siblings->table = xcalloc(siblings->room, sizeof(*siblings->table));
	for (const struct ledger_entry *entry = chain; entry; entry = entry->owner_next) {
		if (entry == self)
			continue;
		uint64_t domain = topology_domain(entry->node, level);
		struct sibling_domain *found = place(siblings, domain);
		siblings->domains += found->domain == 0;
		found->domain = domain;
		found->count++;
	}
	siblings->least = least_of(siblings, topology, level);
}

void siblings_free(struct siblings *siblings)
{
	free(siblings->table);
}

size_t siblings_in(const struct siblings *siblings, uint64_t domain)
{
	return siblings->room ? place(siblings, domain)->count : 0;
}
