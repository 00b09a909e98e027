#include "world.h"

static void names_are_numbered_once(void **state)
{
	(void)state;
	struct resource_names names;
	resource_names_init(&names);
	assert_int_equal(resource_names_find(&names, slice_of("cpu")), RESOURCE_CPU);
	assert_int_equal(resource_names_find(&names, slice_of("pods")), RESOURCE_PODS);
	assert_int_equal(resource_names_find(&names, slice_of("x")), -1);
	int id = resource_names_id(&names, slice_of("x"));
	assert_int_equal(id, RESOURCE_FIRST_OTHER);
	assert_int_equal(resource_names_id(&names, slice_of("x")), id);
	assert_string_equal(resource_names_text(&names, (resource_id)id), "x");
	for (int i = 0; i < RESOURCE_NAMES_MAX; i++) {
		char text[16];
		int length = snprintf(text, sizeof(text), "r%d", i);
		int got = resource_names_id(&names, (struct slice){text, (size_t)length});
		assert_int_equal(got, names.count - 1 == (size_t)got ? got : -1);
	}
	assert_int_equal(names.count, RESOURCE_NAMES_MAX);
	assert_int_equal(resource_names_id(&names, slice_of("one more")), -1);
	assert_int_equal(resource_names_id(&names, slice_of("x")), id);
	resource_names_free(&names);
}

static void lists(void **state)
{
	(void)state;
	struct resource_list a = {0};
	*resource_list_at(&a, 7) = 70;
	*resource_list_at(&a, 3) = 30;
	*resource_list_at(&a, 5) = 0;
	assert_int_equal(a.count, 3);
	for (uint16_t i = 1; i < a.count; i++)
		assert_true(a.items[i - 1].id < a.items[i].id);
	struct arena arena;
	arena_init(&arena, 256);
	struct resources kept = resource_list_keep(&a, &arena);
	assert_int_equal(kept.count, 2); /* without the zero */
	assert_int_equal(resources_get(&kept, 7), 70);
	assert_int_equal(resources_get(&kept, 5), 0);
	assert_int_equal(resources_get(&kept, 100), 0);
	arena_free(&arena);
}

static void a_full_list_says_so(void **state)
{
	(void)state;
	struct resource_list list = {0};
	for (resource_id id = 0; id < RESOURCES_PER_OBJECT_MAX; id++)
		assert_non_null(resource_list_at(&list, (resource_id)(id * 2)));
	assert_null(resource_list_at(&list, 1));
	assert_non_null(resource_list_at(&list, 2));
}

static void sums_saturate(void **state)
{
	(void)state;
	assert_int_equal(resource_sum(INT64_MAX, 1), INT64_MAX);
	assert_int_equal(resource_sum(INT64_MIN, -1), INT64_MIN);
	assert_int_equal(resource_sum(INT64_MAX, -1), INT64_MAX - 1);
}

static void every_reason_has_its_words(void **state)
{
	(void)state;
	for (int i = 0; i < REASON_COUNT; i++) {
		enum reason reason = (enum reason)i;
		assert_true(strlen(reason_code(reason)) > 0 && strlen(reason_text(reason)) > 0);
		assert_null(strpbrk(reason_text(reason), "0123456789%"));
		assert_non_null(reason_kind_name(reason_kind_of(reason)));
		for (int other = 0; other < i; other++)
			assert_string_not_equal(reason_code(reason), reason_code((enum reason)other));
	}
	assert_string_equal(reason_kind_name(reason_kind_of(REASON_CODE_ONLY_UNMEETABLE)), "misconfigured");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_are_numbered_once),
	    cmocka_unit_test(lists),
	    cmocka_unit_test(a_full_list_says_so),
	    cmocka_unit_test(sums_saturate),
	    cmocka_unit_test(every_reason_has_its_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
