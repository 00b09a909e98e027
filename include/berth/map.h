/* A hash map from text to pointer: open addressing, linear probing, backward-shift deletion.
 * The map stores the key's slice as given, so the text must live as long as the entry (keep it in the value).
 * Values are never NULL and never freed by the map. Iteration order is unspecified: decisions must not depend on it.
 * Only map_put allocates, when the table is to grow. */
#ifndef BERTH_MAP_H
#define BERTH_MAP_H

#include <stdint.h>

#include "berth/alloc.h"
#include "berth/slice.h"

struct map_entry {
	struct slice key;
	uint64_t hash;
	void *value; /* NULL marks a free place */
};

struct map {
	struct map_entry *entries;
	size_t count, room; /* room is a power of two, or 0 */
};

/* A zeroed struct map is an empty map. Frees the table, not the values. */
void map_free(struct map *map);
uint64_t map_hash(struct slice key);
void *map_get(const struct map *map, struct slice key);
/* Puts or replaces; returns the value replaced, or NULL. */
void *map_put(struct map *map, struct slice key, void *value);
/* Returns the value taken out, or NULL. */
void *map_remove(struct map *map, struct slice key);
/* Walks all entries: start with *cursor = 0; NULL at the end. The map must not change during the walk. */
void *map_next(const struct map *map, size_t *cursor);

#endif
