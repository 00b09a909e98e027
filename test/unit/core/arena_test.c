#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "berth/arena.h"

static void test_blocks_are_aligned_and_apart(void **state)
{
	enum { BLOCKS = 500 };
	unsigned char *blocks[BLOCKS];
	struct arena arena;

	(void)state;
	arena_init(&arena, 100);
	for (size_t i = 0; i < BLOCKS; i++) {
		size_t size = i * 7 % 90;

		blocks[i] = arena_alloc(&arena, size);
		assert_int_equal((uintptr_t)blocks[i] % _Alignof(max_align_t), 0);
		memset(blocks[i], (int)(i % 251), size);
		for (size_t j = 0; j < i; j++)
			assert_ptr_not_equal(blocks[i], blocks[j]);
	}
	for (size_t i = 0; i < BLOCKS; i++)
		for (size_t j = 0; j < i * 7 % 90; j++)
			assert_int_equal(blocks[i][j], i % 251);
	arena_free(&arena);
}

static void test_block_larger_than_any_chunk(void **state)
{
	struct arena arena;
	char *large;

	(void)state;
	arena_init(&arena, 64);
	large = arena_alloc(&arena, ARENA_CHUNK_MAX + 5);
	large[0] = large[ARENA_CHUNK_MAX + 4] = 'x';
	arena_free(&arena);
}

static void test_calloc_is_zero_also_in_used_memory(void **state)
{
	struct arena arena;
	unsigned char *block;

	(void)state;
	arena_init(&arena, 1000);
	memset(arena_alloc(&arena, 800), 0xff, 800);
	arena_reset(&arena);
	block = arena_calloc(&arena, 80, 10);
	for (size_t i = 0; i < 800; i++)
		assert_int_equal(block[i], 0);
	arena_free(&arena);
}

static void test_reset_keeps_the_newest_chunk(void **state)
{
	struct arena arena;
	void *first;

	(void)state;
	arena_init(&arena, 256);
	arena_reset(&arena);
	for (int i = 0; i < 100; i++)
		first = arena_alloc(&arena, 200);
	arena_reset(&arena);
	first = arena_alloc(&arena, 200);
	for (int i = 0; i < 50; i++) {
		arena_reset(&arena);
		assert_ptr_equal(arena_alloc(&arena, 200), first);
	}
	arena_free(&arena);
	arena_free(&arena);
}

static void test_copy_is_terminated(void **state)
{
	struct arena arena;

	(void)state;
	arena_init(&arena, 0);
	assert_string_equal(arena_copy(&arena, (struct slice){"node-1xyz", 6}), "node-1");
	assert_string_equal(arena_copy(&arena, (struct slice){NULL, 0}), "");
	arena_free(&arena);
}

static void test_texts_stand_close_together(void **state)
{
	struct arena arena;
	char *texts[60];

	(void)state;
	arena_init(&arena, 4096);
	for (size_t i = 0; i < 60; i++) {
		texts[i] = arena_text(&arena, i);
		memset(texts[i], 'a', i);
		texts[i][i] = '\0';
		if (i > 0)
			assert_ptr_equal(texts[i], texts[i - 1] + i);
	}
	int64_t *number = arena_alloc(&arena, sizeof *number);
	assert_int_equal((uintptr_t)number % _Alignof(max_align_t), 0);
	*number = -1;
	for (size_t i = 0; i < 60; i++)
		assert_int_equal(strlen(texts[i]), i);
	arena_free(&arena);
}

static void test_grow_doubles(void **state)
{
	size_t room = 0, moves = 0;
	int *array = NULL;

	(void)state;
	for (size_t count = 0; count < 10000; count++) {
		size_t before = room;

		array = xgrow(array, count, &room, sizeof *array);
		assert_true(room > count);
		moves += room != before;
		array[count] = (int)count;
	}
	assert_true(moves <= 12);
	for (size_t i = 0; i < 10000; i++)
		assert_int_equal(array[i], i);
	free(array);
}

/* An array size that does not fit size_t must end the process with one line, not wrap around. */
static void test_no_memory_ends_the_process(void **state)
{
	char said[100] = "";
	int ends[2], status;
	pid_t child;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		size_t room = SIZE_MAX / 4;

		dup2(ends[1], STDERR_FILENO);
		void *moved = xgrow(&room, room, &room, 16);
		_exit(moved ? 0 : 2);
	}
	close(ends[1]);
	assert_true(read(ends[0], said, sizeof said - 1) > 0);
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	assert_string_equal(said, "berth: out of memory\n");
}

static void test_string_copies(void **state)
{
	char *copy = xstrndup("pod-abc", 3);

	(void)state;
	assert_string_equal(copy, "pod");
	free(copy);
	copy = xstrdup("");
	assert_string_equal(copy, "");
	free(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_blocks_are_aligned_and_apart),
	    cmocka_unit_test(test_block_larger_than_any_chunk),
	    cmocka_unit_test(test_calloc_is_zero_also_in_used_memory),
	    cmocka_unit_test(test_reset_keeps_the_newest_chunk),
	    cmocka_unit_test(test_copy_is_terminated),
	    cmocka_unit_test(test_texts_stand_close_together),
	    cmocka_unit_test(test_grow_doubles),
	    cmocka_unit_test(test_no_memory_ends_the_process),
	    cmocka_unit_test(test_string_copies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
