#include "world.h"

#define GI INT64_C(1073741824)

static struct resource_list demand_of(const char *json)
{
	struct resource_list list;
	struct err err;

	if (cluster_pod_demand(slice_of(json), &names, &list, &err))
		fail_msg("%s", err.text);
	return list;
}

static int64_t amount(const struct resource_list *list, const char *name)
{
	int id = resource_names_find(&names, slice_of(name));

	for (size_t i = 0; i < list->count; i++)
		if (list->items[i].id == id)
			return list->items[i].amount;
	return 0;
}

static void containers_add_up(void **state)
{
	struct resource_list d =
	    demand_of("{\"spec\":{\"containers\":["
	              "{\"name\":\"a\",\"resources\":{\"limits\":{\"cpu\":\"9\"},\"requests\":{\"cpu\":\"500m\","
	              "\"memory\":\"1Gi\"}}},"
	              "{\"name\":\"b\",\"resources\":{\"requests\":{\"cpu\":1,\"nvidia.com/gpu\":\"2\"}}}],"
	              "\"overhead\":{\"cpu\":\"250m\"}}}");

	(void)state;
	assert_int_equal(amount(&d, "cpu"), 1750);
	assert_int_equal(amount(&d, "memory"), GI);
	assert_int_equal(amount(&d, "nvidia.com/gpu"), 2);
	assert_int_equal(d.count, 3);
}

static void parts_of_units_are_added_before_rounding(void **state)
{
	struct resource_list d = demand_of("{\"spec\":{\"containers\":["
	                                   "{\"resources\":{\"requests\":{\"cpu\":\"0.5m\",\"memory\":\"100m\"}}},"
	                                   "{\"resources\":{\"requests\":{\"cpu\":\"0.5m\",\"memory\":\"100m\"}}}]}}");

	(void)state;
	assert_int_equal(amount(&d, "cpu"), 1);
	assert_int_equal(amount(&d, "memory"), 1);
}

static void init_containers_and_sidecars(void **state)
{
	struct resource_list d = demand_of(
	    "{\"spec\":{\"initContainers\":["
	    "{\"name\":\"i0\",\"resources\":{\"requests\":{\"cpu\":\"5\"}}},"
	    "{\"name\":\"s\",\"restartPolicy\":\"Always\",\"resources\":{\"requests\":{\"cpu\":\"1\",\"memory\":"
	    "\"1Gi\"}}},"
	    "{\"name\":\"i1\",\"resources\":{\"requests\":{\"cpu\":\"4500m\",\"memory\":\"3Gi\"}}}],"
	    "\"containers\":[{\"name\":\"c\",\"resources\":{\"requests\":{\"cpu\":\"2\",\"memory\":\"2Gi\"}}}]}}");

	(void)state;
	assert_int_equal(amount(&d, "cpu"), 5500);
	assert_int_equal(amount(&d, "memory"), 4 * GI);
}

static void pod_level_resources_replace(void **state)
{
	struct resource_list d = demand_of("{\"spec\":{\"resources\":{\"requests\":{\"cpu\":\"4\",\"hugepages-2Mi\":"
	                                   "\"4Mi\",\"nvidia.com/gpu\":\"9\"}},"
	                                   "\"containers\":[{\"resources\":{\"requests\":{\"cpu\":\"6\",\"memory\":"
	                                   "\"1Gi\",\"nvidia.com/gpu\":\"1\"}}}]}}");

	(void)state;
	assert_int_equal(amount(&d, "cpu"), 4000);
	assert_int_equal(amount(&d, "memory"), GI);
	assert_int_equal(amount(&d, "hugepages-2Mi"), 4 << 20);
	assert_int_equal(amount(&d, "nvidia.com/gpu"), 1);
}

#define RESIZED(condition)                                                                                             \
	"{\"status\":{\"conditions\":[" condition "],\"containerStatuses\":[{\"name\":\"other\",\"resources\":{}},"    \
	"{\"name\":\"c\",\"resources\":{\"requests\":{\"cpu\":\"2\"}},\"allocatedResources\":{\"cpu\":\"3\"}}]},"      \
	"\"spec\":{\"containers\":[{\"name\":\"c\",\"resources\":{\"requests\":{\"cpu\":\"8\"}}}]}}"

static void resize_in_place(void **state)
{
	struct resource_list wanted = demand_of(RESIZED("{\"type\":\"PodResizePending\",\"reason\":\"Deferred\"}"));
	struct resource_list infeasible =
	    demand_of(RESIZED("{\"type\":\"PodResizePending\",\"reason\":\"Infeasible\"}"));
	struct resource_list pod_wide = demand_of(
	    "{\"spec\":{\"resources\":{\"requests\":{\"cpu\":\"2\"}},\"containers\":[]},"
	    "\"status\":{\"resources\":{\"requests\":{\"cpu\":\"5\"}},\"allocatedResources\":{\"cpu\":\"3\"}}}");

	(void)state;
	assert_int_equal(amount(&wanted, "cpu"), 8000);
	assert_int_equal(amount(&infeasible, "cpu"), 3000);
	assert_int_equal(amount(&pod_wide, "cpu"), 5000);
}

static void a_status_without_resources_says_nothing(void **state)
{
	struct resource_list d =
	    demand_of("{\"spec\":{\"containers\":[{\"name\":\"c\",\"resources\":{\"requests\":{\"cpu\":\"1\"}}}]},"
	              "\"status\":{\"containerStatuses\":[{\"name\":\"c\",\"allocatedResources\":{\"cpu\":\"9\"}}]}}");

	(void)state;
	assert_int_equal(amount(&d, "cpu"), 1000);
}

static void of_a_key_given_twice_the_last_counts(void **state)
{
	struct resource_list d = demand_of("{\"spec\":{\"containers\":[{\"resources\":{\"requests\":{\"cpu\":\"1\"}}}],"
	                                   "\"initContainers\":[{\"resources\":{\"requests\":{\"memory\":\"7\"}}}],"
	                                   "\"containers\":[{\"resources\":{\"requests\":{\"cpu\":\"2\"}}}]}}");

	(void)state;
	assert_int_equal(amount(&d, "cpu"), 2000);
	assert_int_equal(amount(&d, "memory"), 7);
}

static void assert_refused(const char *json)
{
	struct resource_list list;
	struct err err;

	assert_int_equal(cluster_pod_demand(slice_of(json), &names, &list, &err), ERR_INPUT);
}

static void refused(void **state)
{
	char many[16384] = "{\"spec\":{\"overhead\":{\"cpu\":\"1\"";
	size_t len = strlen(many);

	(void)state;
	assert_refused("{\"spec\":{\"containers\":[{\"resources\":{\"requests\":{\"cpu\":\"much\"}}}]}}");
	assert_refused("{\"spec\":{\"containers\":[{\"resources\":{\"requests\":{\"cpu\":\"-1\"}}}]}}");
	assert_refused("{\"spec\":{\"containers\":[{\"resources\":{\"requests\":[1]}}]}}");
	assert_refused("{\"spec\":{\"overhead\":{\"memory\":\"1e30\"}}}");
	assert_refused("{\"spec\":");
	for (int i = 0; i < RESOURCES_PER_OBJECT_MAX; i++)
		len += (size_t)snprintf(many + len, sizeof many - len, ",\"example.com/r%d\":1", i);
	snprintf(many + len, sizeof many - len, "}}}");
	assert_refused(many);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(containers_add_up),
	    cmocka_unit_test(parts_of_units_are_added_before_rounding),
	    cmocka_unit_test(init_containers_and_sidecars),
	    cmocka_unit_test(pod_level_resources_replace),
	    cmocka_unit_test(resize_in_place),
	    cmocka_unit_test(a_status_without_resources_says_nothing),
	    cmocka_unit_test(of_a_key_given_twice_the_last_counts),
	    cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
