#include "scheduler/gang/source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct seen {
	struct gang_sources *sources;
	size_t count;
	bool leave; /* each leaves while it is visited */
};

static void see(void *ctx, struct slice uid)
{
	struct seen *seen = ctx;
	seen->count++;
	if (seen->leave)
		gang_source_leave(seen->sources, uid);
}

static size_t followers(struct gang_sources *sources, const char *namespace_, const char *name)
{
	struct seen seen = {.sources = sources};
	gang_source_each(sources, namespace_, name, see, &seen);
	return seen.count;
}

static void test_pods_follow_one_object_each(void **state)
{
	(void)state;
	struct gang_sources sources = {.by_uid = {.count = 0}};
	gang_source_follow(&sources, "a", "team", "job");
	gang_source_follow(&sources, "b", "team", "job");
	gang_source_follow(&sources, "b", "team", "job");
	gang_source_follow(&sources, "c", "other", "job");
	assert_int_equal(followers(&sources, "team", "job"), 2);
	assert_int_equal(followers(&sources, "other", "job"), 1);
	assert_int_equal(followers(&sources, "team", "none"), 0);
	gang_source_follow(&sources, "b", "other", "job");
	assert_int_equal(followers(&sources, "team", "job"), 1);
	assert_int_equal(followers(&sources, "other", "job"), 2);
	gang_source_leave(&sources, slice_of("a"));
	gang_source_leave(&sources, slice_of("nobody"));
	assert_int_equal(followers(&sources, "team", "job"), 0);
	assert_int_equal(sources.by_path.count, 1);
	gang_source_free(&sources);
}

static void test_a_visitor_may_take_pods_away(void **state)
{
	(void)state;
	struct gang_sources sources = {.by_uid = {.count = 0}};
	struct seen seen = {.sources = &sources, .leave = true};
	char uid[16];
	for (int i = 0; i < 100; i++) {
		snprintf(uid, sizeof uid, "u%d", i);
		gang_source_follow(&sources, uid, "team", i < 50 ? "one" : "two");
	}
	gang_source_each(&sources, "team", "one", see, &seen);
	assert_int_equal(seen.count, 50);
	assert_int_equal(sources.by_uid.count, 50);
	gang_source_all(&sources, see, &seen);
	assert_int_equal(seen.count, 100);
	assert_int_equal(sources.by_uid.count, 0);
	assert_int_equal(sources.by_path.count, 0);
	gang_source_free(&sources);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_pods_follow_one_object_each),
	    cmocka_unit_test(test_a_visitor_may_take_pods_away),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
