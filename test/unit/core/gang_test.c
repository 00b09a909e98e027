#include "berth/gang.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct gang_group_terms groups[] = {
    {.name = "driver", .size = 1}, {.name = "workers", .size = 12, .part_size = 4}};
static const struct gang_terms terms = {.group_count = 2, .groups = groups};

static void groups_by_name(void **state)
{
	(void)state;
	assert_ptr_equal(gang_terms_group(&terms, "workers"), &groups[1]);
	assert_null(gang_terms_group(&terms, "others"));
	assert_null(gang_terms_group(&terms, NULL));
}

static void ranks_through_parts(void **state)
{
	static const struct {
		const char *group;
		int32_t rank, part, expected;
	} cases[] = {
	    {"workers", 3, 2, 11},
	    {"workers", 3, 0, 3},
	    {"workers", 7, -1, 7},
	    {"workers", -1, 2, -1},
	    {"workers", 4, 1, -1}, /* no such index in a part of four */
	    {"driver", 0, 0, 0},
	    {"driver", 0, 1, -1}, /* parts of unknown size */
	    {"others", 0, 1, -1},
	    {NULL, 5, -1, 5},
	    {"workers", 3, INT32_MAX, -1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct pod_gang gang = {
		    .name = "g", .group = cases[i].group, .rank = cases[i].rank, .part = cases[i].part};

		assert_int_equal(gang_rank(&gang, &terms), cases[i].expected);
		assert_int_equal(gang_rank(&gang, NULL), cases[i].part > 0 && cases[i].rank >= 0 ? -1 : cases[i].rank);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(groups_by_name), cmocka_unit_test(ranks_through_parts)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
