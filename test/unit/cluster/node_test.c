#include "cluster/node.h"

#include "world.h"

static const struct gpu_catalogue no_gpus;

static struct node_spec *decode(const char *json)
{
	struct err err;
	struct node_spec *spec = cluster_node_decode(slice_of(json), &names, &no_gpus, &err);

	if (!spec)
		fail_msg("%s", err.text);
	return spec;
}

static void a_node(void **state)
{
	struct node_spec *spec = decode(
	    "{\"metadata\":{\"name\":\"n1\",\"labels\":{\"z\":\"1\",\"a\":\"2\",\"z\":\"3\"},\"managedFields\":[{}]},"
	    "\"spec\":{\"unschedulable\":true,\"taints\":[{\"key\":\"k\",\"effect\":\"NoSchedule\"},"
	    "{\"key\":\"k2\",\"value\":\"v\",\"effect\":\"PreferNoSchedule\"},{\"key\":\"odd\",\"effect\":\"Odd\"}]},"
	    "\"status\":{\"allocatable\":{\"cpu\":\"3920m\",\"memory\":\"16Gi\",\"pods\":\"110\",\"x.example/"
	    "y\":\"4\",\"bad\":\"z\"},"
	    "\"capacity\":{\"cpu\":\"4\",\"memory\":\"16Gi\",\"ephemeral-storage\":\"100Gi\"},"
	    "\"conditions\":[{\"type\":\"MemoryPressure\",\"status\":\"False\"},{\"type\":\"Ready\",\"status\":"
	    "\"True\"}],"
	    "\"images\":[{\"names\":[\"a\"],\"sizeBytes\":1}]}}");

	(void)state;
	assert_string_equal(spec->name, "n1");
	assert_int_equal(spec->labels.count, 2);
	assert_string_equal(labels_get(&spec->labels, "z"), "3");
	assert_true(spec->ready && spec->unschedulable);
	assert_int_equal(spec->taint_count, 2);
	assert_string_equal(spec->taints[0].value, "");
	assert_int_equal(spec->taints[1].effect, TAINT_PREFER_NO_SCHEDULE);
	assert_int_equal(spec->condition_count, 2);
	assert_string_equal(spec->conditions[0].type, "MemoryPressure");
	assert_int_equal(resources_get(&spec->allocatable, RESOURCE_CPU), 3920);
	assert_true(resources_get(&spec->allocatable, RESOURCE_MEMORY) == INT64_C(16) << 30);
	assert_int_equal(resources_get(&spec->allocatable, RESOURCE_PODS), 110);
	assert_int_equal(resources_get(&spec->capacity, RESOURCE_CPU), 4000);
	assert_int_equal(spec->allocatable.count, 4);
	assert_int_equal(spec->lane_count, 0);
	node_spec_free(spec);
}

static void not_ready_unless_it_says_so(void **state)
{
	struct node_spec *spec = decode("{\"metadata\":{\"name\":\"n\"}}");

	(void)state;
	assert_false(spec->ready || spec->unschedulable);
	node_spec_free(spec);
	spec = decode("{\"metadata\":{\"name\":\"n\"},\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":"
	              "\"Unknown\"}]}}");
	assert_false(spec->ready);
	node_spec_free(spec);
}

static void of_a_key_given_twice_the_last_counts(void **state)
{
	struct node_spec *spec =
	    decode("{\"metadata\":{\"name\":\"n\"},\"spec\":{\"taints\":[{\"key\":\"a\",\"effect\":\"NoSchedule\"}],"
	           "\"taints\":[{\"key\":\"b\",\"effect\":\"NoSchedule\"},{\"key\":\"c\",\"effect\":\"NoExecute\"}]},"
	           "\"status\":{\"capacity\":{\"cpu\":\"1\"},\"capacity\":{\"memory\":\"1\"},"
	           "\"conditions\":[{\"type\":\"A\",\"status\":\"True\"}],\"conditions\":[{\"type\":\"B\",\"status\":"
	           "\"True\"}]}}");

	(void)state;
	assert_int_equal(spec->taint_count, 2);
	assert_string_equal(spec->taints[0].key, "b");
	assert_int_equal(spec->condition_count, 1);
	assert_string_equal(spec->conditions[0].type, "B");
	assert_int_equal(resources_get(&spec->capacity, RESOURCE_CPU), 0);
	node_spec_free(spec);
}

static void no_node(void **state)
{
	static const char *const texts[] = {"", "{}", "[]", "{\"metadata\":{\"name\":\"\"}}",
	    "{\"metadata\":{\"name\":\"n\\u0000m\"}}", "{\"metadata\":{\"name\":\"n\"}",
	    "{\"metadata\":{\"name\":\"n\",\"labels\":{\"a\":\"b\"}},\"status\":{\"capacity\":{\"cpu\":\"1\"}}"};
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		assert_null(cluster_node_decode(slice_of(texts[i]), &names, &no_gpus, &err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_node),
	    cmocka_unit_test(not_ready_unless_it_says_so),
	    cmocka_unit_test(of_a_key_given_twice_the_last_counts),
	    cmocka_unit_test(no_node),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
