/* What a gang waits for, in words. */
#include "scheduler/gang/news.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void assert_line(const struct gang_shortage *shortage, size_t quorum, const char *wanted)
{
	struct buf out;
	buf_init(&out, GANG_LINE_MAX);
	gang_shortage_line(shortage, quorum, &out);
	assert_string_equal(out.data, wanted);
	buf_free(&out);
}

static void a_resource_is_short(void **state)
{
	(void)state;
	struct gang_shortage shortage = {.why = REASON_CODE_GANG_NO_DOMAIN,
	    .level = "block",
	    .domain = "b2",
	    .takes = 6,
	    .lacks = 2,
	    .pod = "w-6",
	    .blocking = REASON_CODE_NO_GPU,
	    .resource = "nvidia.com/gpu",
	    .amount = 16};
	assert_line(&shortage, 8, "best block b2 holds 6 of 8 pods, lacks 16 nvidia.com/gpu");
	shortage.resource = "cpu";
	shortage.amount = 2500;
	assert_line(&shortage, 8, "best block b2 holds 6 of 8 pods, lacks 2.5 cpu");
	shortage.resource = "memory";
	shortage.amount = INT64_C(3) << 29;
	assert_line(&shortage, 8, "best block b2 holds 6 of 8 pods, lacks 1.5Gi memory");
}

static void the_fleet_has_no_name(void **state)
{
	(void)state;
	struct gang_shortage shortage = {.why = REASON_CODE_GANG_NO_ROOM,
	    .level = "fleet",
	    .takes = 6,
	    .lacks = 1,
	    .resource = "nvidia.com/gpu",
	    .amount = 4};
	assert_line(&shortage, 7, "the fleet holds 6 of 7 pods, lacks 4 nvidia.com/gpu");
}

static void no_resource_is_short(void **state)
{
	(void)state;
	struct gang_shortage shortage = {.why = REASON_CODE_NODE_SELECTOR,
	    .level = "fleet",
	    .lacks = 2,
	    .pod = "w-0",
	    .blocking = REASON_CODE_NODE_SELECTOR};
	assert_line(
	    &shortage, 2, "the fleet holds 0 of 2 pods, w-0: node does not match the pod's selector or affinity");
	shortage =
	    (struct gang_shortage){.why = REASON_CODE_GANG_CONSTRAINTS, .level = "rack", .domain = "b/r", .takes = 4};
	assert_line(&shortage, 4,
	    "best rack b/r holds 4 of 4 pods, but what members of the gang ask of one another cannot be met where "
	    "there is room");
}

static void nothing_was_counted(void **state)
{
	(void)state;
	assert_line(
	    &(struct gang_shortage){.why = REASON_CODE_LEVEL_MISSING}, 4, reason_text(REASON_CODE_LEVEL_MISSING));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_resource_is_short),
	    cmocka_unit_test(the_fleet_has_no_name),
	    cmocka_unit_test(no_resource_is_short),
	    cmocka_unit_test(nothing_was_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
