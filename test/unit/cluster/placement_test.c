#include "world.h"

static struct label node_labels[] = {{"disk", "ssd"}, {"size", "8"}, {"zone", "a"}};
static const struct labels labels = {3, node_labels};

static struct pod *pod_with(const char *spec)
{
	char json[4096];
	snprintf(json, sizeof json, "{\"metadata\":{\"name\":\"p\",\"uid\":\"u\"},\"spec\":{%s}}", spec);
	return decode_pod(json, false);
}

static bool selects(const char *terms)
{
	char spec[2048];
	struct pod *pod;
	bool result;

	snprintf(spec, sizeof spec,
	    "\"affinity\":{\"nodeAffinity\":{\"requiredDuringSchedulingIgnoredDuringExecution\":{\"nodeSelectorTerms\":"
	    "[%s]}}}",
	    terms);
	pod = pod_with(spec);
	assert_true(pod->has_required);
	result = pod_selects(pod, "n1", &labels);
	pod_free(pod);
	return result;
}

#define EXPRESSION(key, op, values)                                                                                    \
	"{\"matchExpressions\":[{\"key\":\"" key "\",\"operator\":\"" op "\",\"values\":[" values "]}]}"

static void required_terms(void **state)
{
	(void)state;
	assert_true(selects(EXPRESSION("disk", "In", "\"hdd\",\"ssd\"")));
	assert_false(selects(EXPRESSION("disk", "NotIn", "\"ssd\"")));
	assert_true(selects(EXPRESSION("none", "NotIn", "\"ssd\"")));
	assert_true(selects(EXPRESSION("zone", "Exists", "")));
	assert_true(selects(EXPRESSION("none", "DoesNotExist", "")));
	assert_true(selects(EXPRESSION("size", "Gt", "\"7\"")));
	assert_false(selects(EXPRESSION("size", "Lt", "\"8\"")));
	assert_true(selects(EXPRESSION("none", "Exists", "") "," EXPRESSION("zone", "In", "\"a\"")));
	assert_true(selects("{\"matchFields\":[{\"key\":\"metadata.name\",\"operator\":\"In\",\"values\":[\"n1\"]}]}"));
	assert_false(
	    selects("{\"matchFields\":[{\"key\":\"metadata.name\",\"operator\":\"NotIn\",\"values\":[\"n1\"]}]}"));
	assert_false(selects(""));
	assert_false(selects("{}"));
}

static void what_the_api_would_refuse_matches_nothing(void **state)
{
	(void)state;
	assert_false(selects(EXPRESSION("none", "notin", "\"x\"")));
	assert_false(selects(EXPRESSION("none", "NotIn", "")));
	assert_false(selects(EXPRESSION("disk", "Exists", "\"ssd\"")));
	assert_false(selects(EXPRESSION("size", "Gt", "\"-1\"")));
	assert_false(selects(EXPRESSION("size", "Gt", "\"1\",\"2\"")));
	assert_false(selects(EXPRESSION("-none", "DoesNotExist", "")));
	assert_false(selects(EXPRESSION("Upper.example/none", "DoesNotExist", "")));
	assert_false(selects(EXPRESSION("a..b/none", "DoesNotExist", "")));
	assert_false(selects(EXPRESSION("a/b/none", "DoesNotExist", "")));
	assert_true(selects(EXPRESSION("a-1.example.com/none_1.x", "DoesNotExist", "")));
	assert_false(selects(EXPRESSION("none", "NotIn", "\"a b\"")));
	assert_true(selects(EXPRESSION("none", "NotIn", "\"\"")));
	assert_false(
	    selects("{\"matchFields\":[{\"key\":\"metadata.name\",\"operator\":\"In\",\"values\":[\"n1\",\"n2\"]}]}"));
}

static void preferred_terms(void **state)
{
	struct pod *pod =
	    pod_with("\"affinity\":{\"nodeAffinity\":{\"preferredDuringSchedulingIgnoredDuringExecution\":["
	             "{\"weight\":0,\"preference\":{}},"
	             "{\"weight\":30,\"preference\":" EXPRESSION("zone", "In", "\"a\"") "}]}}");

	(void)state;
	assert_int_equal(pod->preferred_count, 1);
	assert_int_equal(pod->preferred[0].weight, 30);
	assert_true(node_term_matches(&pod->preferred[0].term, "n1", &labels));
	assert_false(pod->has_required);
	pod_free(pod);
}

static void soft_pod_affinity(void **state)
{
	struct pod *pod =
	    pod_with("\"affinity\":{\"podAntiAffinity\":{\"preferredDuringSchedulingIgnoredDuringExecution\":[{}]}}");

	(void)state;
	assert_true(pod->soft_spread);
	pod_free(pod);
	pod = pod_with("\"affinity\":{\"podAffinity\":{\"requiredDuringSchedulingIgnoredDuringExecution\":[{}],"
	               "\"preferredDuringSchedulingIgnoredDuringExecution\":[]}}");
	assert_false(pod->soft_spread);
	pod_free(pod);
}

static bool tolerates(const char *toleration, enum taint_effect effect)
{
	const struct taint taint = {"key", "value", effect};
	char spec[512];
	struct pod *pod;
	bool result;

	snprintf(spec, sizeof spec, "\"tolerations\":[%s]", toleration);
	pod = pod_with(spec);
	result = taint_tolerated(&taint, pod->tolerations, pod->toleration_count);
	pod_free(pod);
	return result;
}

static void tolerations(void **state)
{
	(void)state;
	assert_true(tolerates("{\"operator\":\"Exists\"}", TAINT_NO_EXECUTE));
	assert_true(tolerates("{\"key\":\"key\",\"value\":\"value\"}", TAINT_NO_SCHEDULE));
	assert_true(tolerates(
	    "{\"key\":\"key\",\"operator\":\"Equal\",\"value\":\"value\",\"effect\":\"NoExecute\"}", TAINT_NO_EXECUTE));
	assert_false(tolerates("{\"key\":\"key\",\"value\":\"value\",\"effect\":\"NoExecute\"}", TAINT_NO_SCHEDULE));
	assert_false(tolerates("{\"key\":\"key\",\"operator\":\"Maybe\"}", TAINT_NO_SCHEDULE));
	assert_false(tolerates("{\"key\":\"key\",\"operator\":\"Exists\",\"effect\":\"Never\"}", TAINT_NO_SCHEDULE));
	assert_false(tolerates("{\"key\":\"other\",\"operator\":\"Exists\"}", TAINT_NO_SCHEDULE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(required_terms),
	    cmocka_unit_test(what_the_api_would_refuse_matches_nothing),
	    cmocka_unit_test(preferred_terms),
	    cmocka_unit_test(soft_pod_affinity),
	    cmocka_unit_test(tolerations),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
