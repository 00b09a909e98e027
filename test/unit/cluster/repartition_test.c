/* The record on a node: text and back; the patch leaves everything else on the node as it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cluster/repartition.h"

#define SINCE (INT64_C(1790000000123) * 1000000)

static const struct repartition_record record = {.phase = REPARTITION_APPLYING,
    .back = true,
    .to = "all-1g.10gb",
    .from = "all-disabled",
    .state = "success",
    .move = "move-1-1",
    .since_ns = SINCE,
    .want = {2, {{"nvidia.com/mig-1g.10gb", 14}, {"nvidia.com/mig-1g.10gb.me", 2}}},
    .had = {1, {{"nvidia.com/gpu", 2}}}};

static void test_there_and_back(void **state)
{
	struct repartition_record read;
	struct buf text, again;

	(void)state;
	buf_init(&text, REPARTITION_TEXT_MAX);
	buf_init(&again, REPARTITION_TEXT_MAX);
	repartition_write(&record, &text);
	assert_string_equal(text.data,
	    "{\"version\":1,\"phase\":\"applying\",\"back\":true,\"to\":\"all-1g.10gb\",\"from\":\"all-disabled\","
	    "\"state\":\"success\",\"move\":\"move-1-1\",\"since\":\"2026-09-21T14:13:20.123Z\",\"want\":{\"nvidia.com/"
	    "mig-1g.10gb\":14,"
	    "\"nvidia.com/mig-1g.10gb.me\":2},\"had\":{\"nvidia.com/gpu\":2}}");
	assert_true(repartition_read(buf_slice(&text), &read));
	assert_int_equal(read.since_ns, SINCE);
	repartition_write(&read, &again);
	assert_string_equal(text.data, again.data);
	buf_free(&text);
	buf_free(&again);
}

static void test_what_is_no_record(void **state)
{
	static const char *const texts[] = {"", "{", "[]", "{}", "1", "{\"version\":1}",
	    "{\"version\":2,\"phase\":\"applying\",\"to\":\"a\",\"since\":\"2026-09-21T14:13:20Z\"}",
	    "{\"version\":1,\"phase\":\"none\",\"to\":\"a\",\"since\":\"2026-09-21T14:13:20Z\"}",
	    "{\"version\":1,\"phase\":\"applying\",\"to\":\"\",\"since\":\"2026-09-21T14:13:20Z\"}",
	    "{\"version\":1,\"phase\":\"applying\",\"to\":\"a\",\"since\":\"soon\"}"};
	struct repartition_record read;

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		assert_false(repartition_read(slice_of(texts[i]), &read));
	assert_true(repartition_read(
	    slice_of(
	        "{\"version\":1,\"phase\":\"applied\",\"to\":\"a\",\"since\":\"2026-09-21T14:13:20Z\",\"new\":[1]}"),
	    &read));
}

static void check_patch(const char *node, const struct repartition_record *after, const char *label, const char *due)
{
	struct repartition_object object;
	struct arena arena;
	struct buf out;

	arena_init(&arena, 256);
	assert_true(repartition_object_read(slice_of(node), &arena, &object));
	buf_init(&out, 1 << 16);
	repartition_patch(&object, after, label, &out);
	assert_string_equal(out.data, due);
	buf_free(&out);
	arena_free(&arena);
}

static void test_patches(void **state)
{
	static const char node[] =
	    "{\"metadata\":{\"name\":\"n\",\"resourceVersion\":\"7\",\"labels\":{\"nvidia.com/mig.config\":\"a\","
	    "\"nvidia.com/mig.config.state\":\"success\"}},\"spec\":{\"taints\":[{\"key\":\"x\",\"timeAdded\":null,"
	    "\"effect\":\"NoSchedule\"},{\"key\":\"berth.dev/repartition\",\"effect\":\"NoSchedule\"}]}}";
	const struct repartition_record none = {.phase = REPARTITION_NONE},
	                                begun = {.phase = REPARTITION_DRAINING, .to = "b", .since_ns = SINCE};

	(void)state;
	check_patch(node, &none, "",
	    "{\"metadata\":{\"resourceVersion\":\"7\",\"annotations\":{\"berth.dev/repartition\":null},\"labels\":{"
	    "\"berth.dev/repartition\":null,\"nvidia.com/mig.config\":null}},\"spec\":{\"taints\":[{\"key\":\"x\","
	    "\"timeAdded\":null,\"effect\":\"NoSchedule\"}]}}");
	check_patch("{\"metadata\":{\"name\":\"n\",\"resourceVersion\":\"7\"},\"spec\":{}}", &begun, NULL,
	    "{\"metadata\":{\"resourceVersion\":\"7\",\"annotations\":{\"berth.dev/repartition\":\"{\\\"version\\\":1,"
	    "\\\"phase\\\":\\\"draining\\\",\\\"to\\\":\\\"b\\\",\\\"since\\\":\\\"2026-09-21T14:13:20.123Z\\\","
	    "\\\"want\\\":{},\\\"had\\\":{}}\"},\"labels\":{\"berth.dev/"
	    "repartition\":\"draining\"}},\"spec\":{\"taints\":["
	    "{\"key\":\"berth.dev/repartition\",\"value\":\"b\",\"effect\":\"NoSchedule\"}]}}");
}

static void test_nodes_that_cannot_be_read(void **state)
{
	static const char *const texts[] = {"", "{}", "{\"metadata\":{\"name\":\"n\"}}",
	    "{\"metadata\":{\"resourceVersion\":\"1\"}}", "{\"metadata\":{\"name\":\"n\",\"resourceVersion\":\"1\"}"};
	struct repartition_object object;
	struct arena arena;

	(void)state;
	arena_init(&arena, 256);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		assert_false(repartition_object_read(slice_of(texts[i]), &arena, &object));
	arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_there_and_back),
	    cmocka_unit_test(test_what_is_no_record),
	    cmocka_unit_test(test_patches),
	    cmocka_unit_test(test_nodes_that_cannot_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
