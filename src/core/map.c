#include "berth/map.h"

#include <assert.h>
#include <stdlib.h>

#define MAP_FIRST_ROOM 16
#define MAP_AHEAD 12 /* places: values lie scattered, and are fetched while the caller looks at those before */
/* At most 7 of 10 places are taken: a miss then looks at about 6 of them. */
#define MAP_FULL(count, room) ((count)*10 > (room)*7)

/* Odd constants with balanced bits, as wyhash has them. */
#define MIX_A UINT64_C(0xa0761d6478bd642f)
#define MIX_B UINT64_C(0xe7037ed1a0b428db)
#define MIX_C UINT64_C(0x8ebc6af09c88c6e3)

__extension__ typedef unsigned __int128 wide;

static inline uint64_t mix(uint64_t a, uint64_t b)
{
	wide product = (wide)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t read8(const char *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof word);
	return word;
}

static inline uint64_t read4(const char *at)
{
	uint32_t word;

	memcpy(&word, at, sizeof word);
	return word;
}

/* Whole 16-byte blocks first; the last 1 to 16 bytes are covered by two words that may overlap. */
uint64_t map_hash(struct slice key)
{
	const char *at = key.at;
	size_t left = key.len;
	uint64_t hash = MIX_C, first = 0, last = 0;

	for (; left > 16; at += 16, left -= 16)
		hash = mix(read8(at) ^ MIX_A, read8(at + 8) ^ hash);
	if (left >= 8) {
		first = read8(at);
		last = read8(at + left - 8);
	} else if (left >= 4) {
		first = read4(at);
		last = read4(at + left - 4);
	} else if (left > 0) {
		first = (uint64_t)(unsigned char)at[0] << 16 | (uint64_t)(unsigned char)at[left / 2] << 8 |
		        (unsigned char)at[left - 1];
	}
	return mix(MIX_B ^ key.len, mix(first ^ MIX_A, last ^ hash));
}

void map_free(struct map *map)
{
	free(map->entries);
	*map = (struct map){0};
}

/* The key's place, or the free place where it belongs. The table has room and is never full. */
static size_t find(const struct map *map, struct slice key, uint64_t hash)
{
	size_t mask = map->room - 1, at = hash & mask;

	while (map->entries[at].value && (map->entries[at].hash != hash || !slice_equal(map->entries[at].key, key)))
		at = (at + 1) & mask;
	return at;
}

static void grow(struct map *map)
{
	struct map larger = {.count = map->count, .room = map->room ? map->room * 2 : MAP_FIRST_ROOM};

	larger.entries = xcalloc(larger.room, sizeof *larger.entries);
	for (size_t i = 0; i < map->room; i++) {
		size_t at = map->entries[i].hash & (larger.room - 1);

		if (!map->entries[i].value)
			continue;
		while (larger.entries[at].value)
			at = (at + 1) & (larger.room - 1);
		larger.entries[at] = map->entries[i];
	}
	free(map->entries);
	*map = larger;
}

void *map_get(const struct map *map, struct slice key)
{
	return map->count ? map->entries[find(map, key, map_hash(key))].value : NULL;
}

void *map_put(struct map *map, struct slice key, void *value)
{
	uint64_t hash = map_hash(key);
	struct map_entry *entry;
	void *replaced;

	assert(value);
	if (MAP_FULL(map->count + 1, map->room))
		grow(map);
	entry = &map->entries[find(map, key, hash)];
	replaced = entry->value;
	if (!replaced)
		map->count++;
	/* The key, too: the old one lives in the value that goes. */
	*entry = (struct map_entry){key, hash, value};
	return replaced;
}

void *map_remove(struct map *map, struct slice key)
{
	size_t mask = map->room - 1, hole;
	void *removed;

	if (map->count == 0)
		return NULL;
	hole = find(map, key, map_hash(key));
	removed = map->entries[hole].value;
	if (!removed)
		return NULL;
	map->count--;
	/* An entry moves into the hole if the hole is on its way from home to where it stands. */
	for (size_t at = (hole + 1) & mask; map->entries[at].value; at = (at + 1) & mask) {
		size_t from_home = (at - map->entries[at].hash) & mask;

		if (from_home >= ((at - hole) & mask)) {
			map->entries[hole] = map->entries[at];
			hole = at;
		}
	}
	map->entries[hole] = (struct map_entry){0};
	return removed;
}

void *map_next(const struct map *map, size_t *cursor)
{
	while (*cursor < map->room) {
		void *value = map->entries[(*cursor)++].value;

		if (*cursor + MAP_AHEAD < map->room)
			__builtin_prefetch(map->entries[*cursor + MAP_AHEAD].value);
		if (value)
			return value;
	}
	return NULL;
}
