/* Amounts of resources by name. Names are numbered once by a resource_names table, so that the rest compares integers.
 * Units: CPU in milli-CPU, memory-like resources in bytes, all others in counts; never negative in a node or a demand.
 */
#ifndef BERTH_RESOURCES_H
#define BERTH_RESOURCES_H

#include <stdint.h>

#include "berth/arena.h"
#include "berth/map.h"
#include "berth/slice.h"

typedef uint16_t resource_id;

/* The first ids are fixed. */
enum { RESOURCE_CPU, RESOURCE_MEMORY, RESOURCE_EPHEMERAL_STORAGE, RESOURCE_PODS, RESOURCE_FIRST_OTHER };

#define RESOURCE_NAMES_MAX 4096     /* distinct names a fleet may use */
#define RESOURCE_NAMES_OF_PODS 2048 /* of them, until pods' names that no node has are known no more */
#define RESOURCES_PER_OBJECT_MAX 64 /* kinds of resources one node or pod may name */

struct resource_names {
	struct map by_name;
	char **names;
	size_t count, room;
};

/* The table starts with the fixed names; it owns its strings. */
void resource_names_init(struct resource_names *names);
void resource_names_free(struct resource_names *names);
/* The id of a name, numbered now if it is new; -1 when RESOURCE_NAMES_MAX is reached. */
int resource_names_id(struct resource_names *names, struct slice name);
/* The id of a name that is known, or -1. */
int resource_names_find(const struct resource_names *names, struct slice name);
const char *resource_names_text(const struct resource_names *names, resource_id id);

struct resource_amount {
	resource_id id;
	int64_t amount;
};

/* Sorted by id, each id at most once; amounts of 0 may be kept. */
struct resources {
	uint16_t count;
	struct resource_amount *items;
};

/* A list under construction, on the stack. */
struct resource_list {
	uint16_t count;
	struct resource_amount items[RESOURCES_PER_OBJECT_MAX];
};

/* The amount of an id in the list, put in as 0 where it is missing; NULL when the list is full. */
int64_t *resource_list_at(struct resource_list *list, resource_id id);
/* A lasting copy in the arena, zero amounts left out. */
struct resources resource_list_keep(const struct resource_list *list, struct arena *arena);

int64_t resources_get(const struct resources *resources, resource_id id);
/* a + b without overflow, clamped to the range of int64. */
int64_t resource_sum(int64_t a, int64_t b);

#endif
