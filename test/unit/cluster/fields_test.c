#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cluster/fields.h"

static void texts(void **state)
{
	struct arena arena;

	(void)state;
	arena_init(&arena, 256);
	assert_string_equal(field_text(&arena, slice_of("some\\u0020text\\n")), "some text\n");
	assert_string_equal(field_text(&arena, slice_of("plain")), "plain");
	assert_ptr_equal(field_text(&arena, slice_of("ReplicaSet")), field_text(&arena, slice_of("ReplicaSet")));
	assert_true(slice_is(field_plain(&arena, slice_of("a\\/b")), "a/b"));
	arena_free(&arena);
}

static void labels_are_sorted_and_unique(void **state)
{
	struct labels labels;
	struct arena arena;
	struct reader json;

	(void)state;
	arena_init(&arena, 256);
	reader_open(&json, slice_of("{\"b\":\"1\",\"a\":\"2\",\"b\":\"3\",\"c\":4,\"d\":null,\"b\":\"5\"}"));
	labels = field_labels(&json, &arena);
	assert_true(reader_close(&json));
	assert_int_equal(labels.count, 2);
	assert_string_equal(labels_get(&labels, "a"), "2");
	assert_string_equal(labels_get(&labels, "b"), "5");
	reader_open(&json, slice_of("[1]"));
	assert_int_equal(field_labels(&json, &arena).count, 0);
	assert_true(reader_close(&json));
	arena_free(&arena);
}

static void a_list_that_grows(void **state)
{
	struct arena arena;
	size_t room = 0;
	int *items = NULL;

	(void)state;
	arena_init(&arena, 256);
	for (int i = 0; i < 100; i++) {
		items = field_grow(&arena, items, (size_t)i, &room, sizeof *items);
		items[i] = i;
	}
	for (int i = 0; i < 100; i++)
		assert_int_equal(items[i], i);
	arena_free(&arena);
}

static void the_controller_is_the_owner(void **state)
{
	struct owner owner;
	struct reader json;

	(void)state;
	reader_open(&json,
	    slice_of(
	        "[{\"kind\":\"A\",\"uid\":\"1\",\"controller\":false},"
	        "{\"kind\":\"B\",\"uid\":\"2\",\"name\":\"b\",\"controller\":true},{\"kind\":\"C\",\"uid\":\"3\"}]"));
	field_owner(&json, &owner);
	assert_true(reader_close(&json));
	assert_true(slice_is(owner.kind, "B") && slice_is(owner.uid, "2") && slice_is(owner.name, "b"));
	reader_open(&json, slice_of("null"));
	field_owner(&json, &owner);
	assert_null(owner.kind.at);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(texts),
	    cmocka_unit_test(labels_are_sorted_and_unique),
	    cmocka_unit_test(a_list_that_grows),
	    cmocka_unit_test(the_controller_is_the_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
