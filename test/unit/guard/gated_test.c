#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "guard/gated.h"

#define HEAD "{\"metadata\":{\"name\":\"p\",\"namespace\":\"team\",\"uid\":\"u\",\"creationTimestamp\":"
#define TIME "\"2026-01-02T03:04:05Z\"},"

static struct gated *read_text(const char *text)
{
	return gated_read(slice_of(text), NULL);
}

static void a_gated_pod_is_read(void **state)
{
	(void)state;
	struct gated *gated = read_text(HEAD TIME "\"spec\":{\"schedulingGates\":[{\"name\":\"berth.dev/plan\"}]}}");
	int64_t created;
	assert_non_null(gated);
	assert_true(clock_parse(slice_of("2026-01-02T03:04:05Z"), &created));
	assert_string_equal(gated->uid, "u");
	assert_string_equal(gated->namespace_, "team");
	assert_string_equal(gated->name, "p");
	assert_null(gated->others);
	assert_true(gated->created_wall_ns == created);
	gated_free(gated);
}

static void other_gates_are_named(void **state)
{
	(void)state;
	struct gated *gated = read_text(HEAD TIME "\"spec\":{\"schedulingGates\":[{\"name\":\"a.io/x\"},"
	                                          "{\"name\":\"berth.dev/plan\"},{\"name\":\"b\"}]}}");
	assert_non_null(gated);
	assert_string_equal(gated->others, "a.io/x, b");
	gated_free(gated);
}

static void other_pods_are_none(void **state)
{
	static const char *const texts[] = {
	    HEAD TIME "\"spec\":{}}",
	    HEAD TIME "\"spec\":{\"schedulingGates\":[]}}",
	    HEAD TIME "\"spec\":{\"schedulingGates\":null}}",
	    HEAD TIME "\"spec\":{\"schedulingGates\":[{\"name\":\"berth.dev/planned\"}]}}",
	    HEAD TIME "\"spec\":{\"nodeName\":\"n\",\"schedulingGates\":[{\"name\":\"berth.dev/plan\"}]}}",
	    "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"schedulingGates\":[{\"name\":\"berth.dev/plan\"}]}}",
	    HEAD TIME "\"spec\":{\"schedulingGates\":[{\"name\":\"berth.dev/plan\"}]}",
	    "[]",
	    "",
	};
	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (read_text(texts[i]))
			fail_msg("read: %s", texts[i]);
}

static void it_waits_by_the_clock_that_says_more(void **state)
{
	struct gated gated = {.created_wall_ns = 1000 * NS_PER_S, .seen_ns = 50 * NS_PER_S};
	(void)state;
	/* Shown late: the creation counts. */
	assert_true(gated_for(&gated, 60 * NS_PER_S, 1100 * NS_PER_S) == 100 * NS_PER_S);
	/* A wall clock that is behind: the time since it was shown does. */
	assert_true(gated_for(&gated, 60 * NS_PER_S, 900 * NS_PER_S) == 10 * NS_PER_S);
	gated.created_wall_ns = 0;
	assert_true(gated_for(&gated, 60 * NS_PER_S, 1100 * NS_PER_S) == 10 * NS_PER_S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_gated_pod_is_read),
	    cmocka_unit_test(other_gates_are_named),
	    cmocka_unit_test(other_pods_are_none),
	    cmocka_unit_test(it_waits_by_the_clock_that_says_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
