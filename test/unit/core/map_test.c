#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "berth/map.h"

#define KEYS 700
#define KEY_MAX 64

static uint64_t random_state;

static uint64_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static char keys[KEYS][KEY_MAX];

static void make_keys(void)
{
	for (int i = 0; i < KEYS; i++)
		snprintf(keys[i], KEY_MAX, "%.*s%d", i % 50, "pool-a-node-with-a-rather-long-name-in-zone-europe-", i);
}

static void check_walk(const struct map *map, char *const *model)
{
	bool seen[KEYS] = {false};
	size_t cursor = 0, count = 0;

	for (char *value; (value = map_next(map, &cursor)); count++) {
		int key = (int)((value - keys[0]) / KEY_MAX);

		assert_false(seen[key]);
		seen[key] = true;
		assert_ptr_equal(model[key], value);
	}
	assert_int_equal(count, map->count);
}

/* Random puts, replacements and removals give what an array of all keys gives. */
static void test_behaves_like_an_array(void **state)
{
	(void)state;
	make_keys();
	for (uint64_t seed = 1; seed <= 20; seed++) {
		char *model[KEYS] = {NULL};
		struct map map = {0};
		size_t count = 0;

		random_state = seed;
		for (int step = 0; step < 20000; step++) {
			size_t key = next_random() % (KEYS - 600 * (seed % 2));
			struct slice text = slice_of(keys[key]);
			unsigned act = next_random() % 16;

			/* Grows in the first half, shrinks in the second. */
			if (act < (step < 10000 ? 9 : 4)) {
				assert_ptr_equal(map_put(&map, text, keys[key]), model[key]);
				count += !model[key];
				model[key] = keys[key];
			} else if (act < 13) {
				assert_ptr_equal(map_remove(&map, text), model[key]);
				count -= model[key] != NULL;
				model[key] = NULL;
			} else {
				assert_ptr_equal(map_get(&map, text), model[key]);
			}
			assert_int_equal(map.count, count);
			assert_true(map.count * 10 <= map.room * 7);
			if (step % 1000 == 0)
				check_walk(&map, model);
		}
		for (size_t key = 0; key < KEYS; key++)
			assert_ptr_equal(map_get(&map, slice_of(keys[key])), model[key]);
		map_free(&map);
		assert_int_equal(map.room, 0);
	}
}

/* The old key's text may be freed with the old value. */
static void test_replacing_takes_the_new_key(void **state)
{
	char *old = strdup("node-1"), *fresh = strdup("node-1");
	struct map map = {0};

	(void)state;
	assert_null(map_put(&map, slice_of(old), old));
	assert_ptr_equal(map_put(&map, slice_of(fresh), fresh), old);
	free(old);
	assert_ptr_equal(map_get(&map, slice_of("node-1")), fresh);
	assert_int_equal(map.count, 1);
	map_free(&map);
	free(fresh);
}

static void test_empty_map(void **state)
{
	struct map map = {0};
	size_t cursor = 0;

	(void)state;
	assert_null(map_get(&map, slice_of("a")));
	assert_null(map_remove(&map, slice_of("a")));
	assert_null(map_next(&map, &cursor));
	map_put(&map, (struct slice){NULL, 0}, &cursor);
	assert_ptr_equal(map_get(&map, slice_of("")), &cursor);
	map_free(&map);
	map_free(&map);
}

/* Of every length, changing any one byte changes the hash, and only the key's own bytes count. */
static void test_hash_depends_on_every_byte(void **state)
{
	(void)state;
	for (size_t len = 1; len <= 70; len++) {
		char text[80];
		uint64_t hash;

		memset(text, 'a', sizeof text);
		hash = map_hash((struct slice){text, len});
		for (size_t i = 0; i < sizeof text; i++) {
			text[i] = 'b';
			if (i < len)
				assert_true(map_hash((struct slice){text, len}) != hash);
			else
				assert_true(map_hash((struct slice){text, len}) == hash);
			text[i] = 'a';
		}
		assert_true(map_hash((struct slice){text, len - 1}) != hash);
	}
}

static int compare_hashes(const void *a, const void *b)
{
	uint64_t left, right;

	memcpy(&left, a, sizeof left);
	memcpy(&right, b, sizeof right);
	return left < right ? -1 : left > right;
}

/* Names that differ in digits only spread evenly over the low bits, which choose the place. */
static void test_hash_spreads(void **state)
{
	enum { NAMES = 50000, PLACES = 1 << 16 };
	static uint64_t hashes[NAMES];
	static unsigned char taken[PLACES];
	size_t distinct = 0;

	(void)state;
	for (int i = 0; i < NAMES; i++) {
		char name[KEY_MAX];

		snprintf(name, sizeof name, "gpu-node-pool-a100-europe-west4-b-%012d", i);
		hashes[i] = map_hash(slice_of(name));
		distinct += !taken[hashes[i] % PLACES];
		taken[hashes[i] % PLACES] = 1;
	}
	qsort(hashes, NAMES, sizeof hashes[0], compare_hashes);
	for (int i = 1; i < NAMES; i++)
		assert_true(hashes[i] != hashes[i - 1]);
	/* Chance gives PLACES * (1 - e^(-NAMES / PLACES)) = 34,980. */
	assert_in_range(distinct, 34400, 35500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_behaves_like_an_array),
	    cmocka_unit_test(test_replacing_takes_the_new_key),
	    cmocka_unit_test(test_empty_map),
	    cmocka_unit_test(test_hash_depends_on_every_byte),
	    cmocka_unit_test(test_hash_spreads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
