#include "base/clock.h"
#include "cluster/autoscaler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW INT64_C(1800000000000000000)
#define TEXT_MAX 2048
#define ACTIVE "{\"type\":\"ScalingActive\",\"status\":\"True\",\"reason\":\"ValidMetricFound\"}"
#define LIMITED(reason) "{\"type\":\"ScalingLimited\",\"status\":\"True\",\"reason\":\"" reason "\"}"
#define RESOURCE(part, amount) "{\"type\":\"Resource\",\"resource\":{\"name\":\"cpu\",\"" part "\":{" amount "}}}"
#define PODS(part, amount) "{\"type\":\"Pods\",\"pods\":{\"metric\":{\"name\":\"q\"},\"" part "\":{" amount "}}}"
#define EXTERNAL(part, amount)                                                                                         \
	"{\"type\":\"External\",\"external\":{\"metric\":{\"name\":\"q\"},\"" part "\":{" amount "}}}"
#define OBJECT(part, amount)                                                                                           \
	"{\"type\":\"Object\",\"object\":{\"metric\":{\"name\":\"q\"},\"describedObject\":{\"kind\":\"Service\"},"     \
	"\"" part "\":{" amount "}}}"
/* It has as many as it wants, with these metrics. */
#define RUNS(replicas, metrics)                                                                                        \
	"\"currentReplicas\":" replicas ",\"desiredReplicas\":" replicas ",\"conditions\":[" ACTIVE                    \
	"],\"currentMetrics\":[" metrics "]"

static int put(struct autoscalers *autoscalers, const char *name, const char *spec, const char *status, int64_t now)
{
	char json[4 * TEXT_MAX];
	struct err err;
	snprintf(json, sizeof json,
	    "{\"kind\":\"HorizontalPodAutoscaler\",\"metadata\":{\"namespace\":\"n\",\"name\":\"%s\"},\"spec\":{"
	    "\"scaleTargetRef\":{\"apiVersion\":\"apps/"
	    "v1\",\"kind\":\"Deployment\",\"name\":\"web\"},\"maxReplicas\":9%s},"
	    "\"status\":{%s}}",
	    name, spec, status);
	return autoscalers_put(autoscalers, slice_of(json), now, &err);
}

static const struct autoscaler *only(const struct autoscalers *autoscalers)
{
	size_t cursor = 0;
	assert_int_equal(autoscalers_count(autoscalers), 1);
	return autoscalers_next(autoscalers, &cursor);
}

static void test_what_they_want(void **state)
{
	(void)state;
	static const struct {
		const char *targets, *status;
		int64_t running, wants;
	} cases[] = {
	    {"", "", 0, 0},
	    {"", "\"currentReplicas\":2,\"desiredReplicas\":5", 2, 0}, /* whether metrics can be read is not said */
	    {"", "\"currentReplicas\":2,\"desiredReplicas\":5,\"conditions\":[" ACTIVE "]", 2, 5},
	    {"", "\"currentReplicas\":5,\"desiredReplicas\":2,\"conditions\":[" ACTIVE "]", 5, 5},
	    {"",
	        "\"currentReplicas\":2,\"desiredReplicas\":5,\"conditions\":[{\"type\":\"ScalingActive\",\"status\":"
	        "\"False\"}]",
	        2, 0},
	    {"",
	        "\"currentReplicas\":9,\"desiredReplicas\":9,\"conditions\":[" ACTIVE
	        "," LIMITED("TooManyReplicas") "]",
	        9, 10},
	    {"", "\"currentReplicas\":4,\"desiredReplicas\":8,\"conditions\":[" LIMITED("ScaleUpLimit") "," ACTIVE "]",
	        4, 9},
	    {"",
	        "\"currentReplicas\":1,\"desiredReplicas\":1,\"conditions\":[" ACTIVE "," LIMITED("TooFewReplicas") "]",
	        1, 1},
	    {"",
	        "\"currentReplicas\":8,\"desiredReplicas\":7,\"conditions\":[" ACTIVE "," LIMITED("ScaleDownLimit") "]",
	        8, 8},
	    {RESOURCE("target", "\"type\":\"Utilization\",\"averageUtilization\":50"),
	        RUNS("4", RESOURCE("current", "\"averageUtilization\":125,\"averageValue\":\"2500m\"")), 4, 10},
	    /* Two of four run: what they bear is that of two. */
	    {RESOURCE("target", "\"type\":\"Utilization\",\"averageUtilization\":50"),
	        RUNS("4", RESOURCE("current", "\"averageUtilization\":125")), 2, 5},
	    /* Within the tolerance. */
	    {PODS("target", "\"type\":\"AverageValue\",\"averageValue\":\"10\""),
	        RUNS("10", PODS("current", "\"averageValue\":\"10900m\"")), 10, 10},
	    {PODS("target", "\"type\":\"AverageValue\",\"averageValue\":\"10\""),
	        RUNS("10", PODS("current", "\"averageValue\":\"11500m\"")), 10, 12},
	    /* Shared out over all replicas, whether they run or not. */
	    {EXTERNAL("target", "\"type\":\"AverageValue\",\"averageValue\":\"10\""),
	        RUNS("4", EXTERNAL("current", "\"averageValue\":\"30\"")), 1, 12},
	    {OBJECT("target", "\"type\":\"Value\",\"value\":\"1k\""), RUNS("4", OBJECT("current", "\"value\":\"3k\"")),
	        2, 6},
	    /* The one that is further over; the third has no value yet. */
	    {RESOURCE("target", "\"averageUtilization\":50") "," EXTERNAL("target", "\"averageValue\":\"1\"") "," PODS(
	         "target", "\"averageValue\":\"1\""),
	        "\"currentReplicas\":2,\"desiredReplicas\":2,\"conditions\":[" ACTIVE
	        "],\"currentMetrics\":[" RESOURCE("current", "\"averageUtilization\":100") "," EXTERNAL(
	            "current", "\"averageValue\":\"4\"") ",{\"type\":\"\"}]",
	        2, 8},
	    {"", "\"currentReplicas\":1,\"desiredReplicas\":9223372036854775807,\"conditions\":[" ACTIVE "]", 1,
	        (int64_t)AUTOSCALER_REPLICAS_MAX},
	    {"", "\"currentReplicas\":-4,\"desiredReplicas\":-2,\"conditions\":[" ACTIVE "]", 0, 0},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct autoscalers *autoscalers = autoscalers_new();
		char spec[TEXT_MAX];
		snprintf(spec, sizeof spec, ",\"metrics\":[%s]", cases[i].targets);
		assert_int_equal(put(autoscalers, "a", cases[i].targets[0] ? spec : "", cases[i].status, NOW), 0);
		int64_t wants = autoscaler_wants(only(autoscalers), cases[i].running, NOW);
		if (wants != cases[i].wants)
			fail_msg("case %zu: %lld", i, (long long)wants);
		autoscalers_free(autoscalers);
	}
}

#define AT_ITS_BOUND(replicas)                                                                                         \
	"\"currentReplicas\":" replicas ",\"desiredReplicas\":" replicas ",\"conditions\":[" ACTIVE                    \
	"," LIMITED("TooManyReplicas") "],\"currentMetrics\":[" PODS("current", "\"averageValue\":\"20\"") "]"

/* At its bound for so long that it is no peak; what is over its target keeps it there. */
static void test_one_that_is_limited_for_good(void **state)
{
	(void)state;
	struct autoscalers *autoscalers = autoscalers_new();
	static const char spec[] = ",\"metrics\":[" PODS("target", "\"averageValue\":\"10\"") "]";
	int64_t end = NOW + AUTOSCALER_LIMITED_NS;
	assert_int_equal(put(autoscalers, "a", spec, AT_ITS_BOUND("8"), NOW), 0);
	assert_int_equal(autoscaler_wants(only(autoscalers), 8, end), 16);
	assert_int_equal(autoscaler_wants(only(autoscalers), 2, end), 9);
	assert_int_equal(autoscaler_wants(only(autoscalers), 8, end + 1), 8);
	/* Said once more, also by another list. */
	autoscalers_begin(autoscalers);
	assert_int_equal(put(autoscalers, "a", spec, AT_ITS_BOUND("8"), NOW + 5), 0);
	autoscalers_synced(autoscalers);
	assert_int_equal(autoscaler_wants(only(autoscalers), 2, end + 1), 8);
	/* Its bound is another one. */
	assert_int_equal(put(autoscalers, "a", spec, AT_ITS_BOUND("9"), end), 0);
	assert_int_equal(autoscaler_wants(only(autoscalers), 9, end + 1), 18);
	/* It was within its bounds, and reaches them again. */
	assert_int_equal(put(autoscalers, "a", spec, "\"currentReplicas\":9,\"conditions\":[" ACTIVE "]", end), 0);
	assert_int_equal(put(autoscalers, "a", spec, AT_ITS_BOUND("9"), 2 * end), 0);
	assert_int_equal(autoscaler_wants(only(autoscalers), 9, 2 * end), 18);
	autoscalers_free(autoscalers);
}

static void test_more_metrics_than_are_looked_at(void **state)
{
	(void)state;
	struct autoscalers *autoscalers = autoscalers_new();
	struct err err;
	char json[1 << 14];
	int len =
	    snprintf(json, sizeof json, "{\"metadata\":{\"namespace\":\"n\",\"name\":\"a\"},\"spec\":{\"metrics\":[");
	for (int i = 0; i < AUTOSCALER_METRICS_MAX + 5; i++)
		len += snprintf(json + len, sizeof json - (size_t)len, "%s%s", i ? "," : "",
		    PODS("target", "\"averageValue\":\"1\""));
	len += snprintf(json + len, sizeof json - (size_t)len,
	    "]},\"status\":{\"currentReplicas\":1,\"conditions\":[" ACTIVE "],\"currentMetrics\":[");
	for (int i = 0; i < AUTOSCALER_METRICS_MAX + 5; i++)
		len += snprintf(json + len, sizeof json - (size_t)len, "%s%s", i ? "," : "",
		    i < AUTOSCALER_METRICS_MAX ? PODS("current", "\"averageValue\":\"2\"")
		                               : PODS("current", "\"averageValue\":\"9\""));
	snprintf(json + len, sizeof json - (size_t)len, "]}}");
	assert_int_equal(autoscalers_put(autoscalers, slice_of(json), NOW, &err), 0);
	assert_int_equal(autoscaler_wants(only(autoscalers), 1, NOW), 2);
	autoscalers_free(autoscalers);
}

static void test_they_come_and_go(void **state)
{
	(void)state;
	struct autoscalers *autoscalers = autoscalers_new();
	struct err err;
	autoscalers_begin(autoscalers);
	assert_int_equal(put(autoscalers, "a", "", "\"currentReplicas\":1", NOW), 0);
	assert_int_equal(put(autoscalers, "b", "", "\"currentReplicas\":1", NOW), 0);
	autoscalers_synced(autoscalers);
	assert_int_equal(autoscalers_count(autoscalers), 2);
	assert_int_equal(put(autoscalers, "a", "", "\"currentReplicas\":3", NOW), 0);
	assert_int_equal(autoscalers_count(autoscalers), 2);
	assert_int_equal(
	    autoscalers_remove(autoscalers, slice_of("{\"metadata\":{\"namespace\":\"n\",\"name\":\"b\"}}"), &err), 0);
	assert_int_equal(only(autoscalers)->current, 3);
	assert_string_equal(only(autoscalers)->kind, "Deployment");
	assert_string_equal(only(autoscalers)->target, "web");
	autoscalers_begin(autoscalers);
	assert_int_equal(put(autoscalers, "c", "", "", NOW), 0);
	autoscalers_synced(autoscalers);
	assert_string_equal(only(autoscalers)->name, "c");
	assert_int_equal(
	    autoscalers_put(autoscalers, slice_of("{\"metadata\":{\"name\":\"b\"}}"), NOW, &err), ERR_INPUT);
	assert_int_equal(autoscalers_put(autoscalers, slice_of("[]"), NOW, &err), ERR_INPUT);
	assert_int_equal(autoscalers_put(autoscalers, slice_of("{\"metadata\":"), NOW, &err), ERR_INPUT);
	autoscalers_free(autoscalers);
	autoscalers_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_they_want),
	    cmocka_unit_test(test_one_that_is_limited_for_good),
	    cmocka_unit_test(test_more_metrics_than_are_looked_at),
	    cmocka_unit_test(test_they_come_and_go),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
