#include "world.h"

#define REQUIRED "requiredDuringSchedulingIgnoredDuringExecution"

/* A pod of namespace team with labels app=a and hash=7. */
static struct pod *pod_with(const char *spec)
{
	char json[4096];
	snprintf(json, sizeof json,
	    "{\"spec\":{%s},\"metadata\":{\"name\":\"p\",\"uid\":\"u\",\"namespace\":\"team\","
	    "\"labels\":{\"app\":\"a\",\"hash\":\"7\"}}}",
	    spec);
	return decode_pod(json, false);
}

static struct pod *pod_with_term(const char *kind, const char *term)
{
	char spec[2048];

	snprintf(spec, sizeof spec, "\"affinity\":{\"%s\":{\"" REQUIRED "\":[%s]}}", kind, term);
	return pod_with(spec);
}

static bool means(
    const struct pod *pod, const struct pod_term *term, const char *namespace_, const char *app, const char *hash)
{
	struct label items[] = {{"app", app}, {"hash", hash}};
	struct pod other = {.namespace_ = namespace_, .labels = {2, items}};

	return pod_term_matches(pod, term, &other);
}

static void a_term_means_pods_of_its_own_namespace_by_labels(void **state)
{
	(void)state;
	struct pod *pod = pod_with_term("podAntiAffinity",
	    "{\"labelSelector\":{\"matchLabels\":{\"app\":\"a\"},\"matchExpressions\":[{\"key\":\"hash\",\"operator\":"
	    "\"NotIn\",\"values\":[\"8\",\"9\"]}]},\"topologyKey\":\"kubernetes.io/hostname\"}");

	assert_int_equal(pod->anti_affinity_count, 1);
	assert_int_equal(pod->affinity_count, 0);
	assert_string_equal(pod->anti_affinity[0].topology_key, "kubernetes.io/hostname");
	assert_true(means(pod, &pod->anti_affinity[0], "team", "a", "7"));
	assert_false(means(pod, &pod->anti_affinity[0], "team", "a", "8"));
	assert_false(means(pod, &pod->anti_affinity[0], "team", "b", "7"));
	assert_false(means(pod, &pod->anti_affinity[0], "other", "a", "7"));
	pod_free(pod);
}

static void namespaces_by_name_or_all(void **state)
{
	(void)state;
	struct pod *pod = pod_with_term("podAffinity",
	    "{\"namespaces\":[\"x\",\"y\"],\"labelSelector\":{},\"topologyKey\":\"rack\"},"
	    "{\"namespaceSelector\":{},\"labelSelector\":{},\"topologyKey\":\"rack\"},"
	    "{\"namespaceSelector\":null,\"namespaces\":[],\"labelSelector\":{},\"topologyKey\":\"rack\"}");

	assert_int_equal(pod->affinity_count, 3);
	assert_true(means(pod, &pod->affinity[0], "y", "b", "1"));
	assert_false(means(pod, &pod->affinity[0], "team", "b", "1"));
	assert_true(means(pod, &pod->affinity[1], "z", "b", "1"));
	assert_true(means(pod, &pod->affinity[2], "team", "b", "1"));
	assert_false(means(pod, &pod->affinity[2], "z", "b", "1"));
	pod_free(pod);
}

static void keys_take_the_pods_own_values(void **state)
{
	(void)state;
	struct pod *pod = pod_with_term("podAffinity",
	    "{\"matchLabelKeys\":[\"hash\",\"absent\"],\"mismatchLabelKeys\":[\"app\"],\"labelSelector\":{},"
	    "\"topologyKey\":\"rack\"}");

	assert_true(means(pod, &pod->affinity[0], "team", "b", "7"));
	assert_false(means(pod, &pod->affinity[0], "team", "b", "8"));
	assert_false(means(pod, &pod->affinity[0], "team", "a", "7"));
	pod_free(pod);
}

static void no_selector_means_nobody(void **state)
{
	(void)state;
	struct pod *pod = pod_with_term("podAffinity",
	    "{\"topologyKey\":\"rack\"},{\"labelSelector\":null,\"matchLabelKeys\":[\"hash\"],\"topologyKey\":\"rack\"}"
	    ","
	    "{\"labelSelector\":{\"matchExpressions\":[{\"key\":\"hash\",\"operator\":\"Gt\",\"values\":[\"1\"]}]},"
	    "\"topologyKey\":\"rack\"}");

	assert_int_equal(pod->affinity_count, 3);
	for (size_t i = 0; i < 3; i++)
		assert_false(means(pod, &pod->affinity[i], "team", "a", "7"));
	pod_free(pod);
}

static void preferred_terms_are_only_noticed(void **state)
{
	(void)state;
	struct pod *pod = pod_with("\"affinity\":{\"podAntiAffinity\":{"
	                           "\"preferredDuringSchedulingIgnoredDuringExecution\":[{\"weight\":1}]}}");

	assert_true(pod->soft_spread);
	assert_int_equal(pod->anti_affinity_count, 0);
	pod_free(pod);
}

static void hard_spread_constraints_are_kept(void **state)
{
	(void)state;
	struct pod *pod =
	    pod_with("\"topologySpreadConstraints\":[{\"whenUnsatisfiable\":\"ScheduleAnyway\",\"topologyKey\":\"a\"},"
	             "{\"maxSkew\":2,\"topologyKey\":\"zone\",\"whenUnsatisfiable\":\"DoNotSchedule\",\"minDomains\":3,"
	             "\"labelSelector\":{\"matchLabels\":{\"app\":\"a\"}},\"nodeAffinityPolicy\":\"Ignore\","
	             "\"nodeTaintsPolicy\":\"Honor\",\"matchLabelKeys\":[\"hash\"]},"
	             "{\"maxSkew\":1,\"topologyKey\":\"rack\",\"whenUnsatisfiable\":\"DoNotSchedule\"}]");
	struct label seven[] = {{"app", "a"}, {"hash", "7"}}, eight[] = {{"app", "a"}, {"hash", "8"}};
	struct pod same = {.namespace_ = "team", .labels = {2, seven}};
	struct pod newer = {.namespace_ = "team", .labels = {2, eight}};
	struct pod foreign = {.namespace_ = "other", .labels = {2, seven}};

	assert_true(pod->soft_spread);
	assert_int_equal(pod->spread_count, 2);
	assert_string_equal(pod->spread[0].topology_key, "zone");
	assert_int_equal(pod->spread[0].max_skew, 2);
	assert_int_equal(pod->spread[0].min_domains, 3);
	assert_true(pod->spread[0].any_affinity && pod->spread[0].honor_taints);
	assert_true(spread_matches(pod, &pod->spread[0], &same));
	assert_false(spread_matches(pod, &pod->spread[0], &newer));
	assert_false(spread_matches(pod, &pod->spread[0], &foreign));
	assert_int_equal(pod->spread[1].min_domains, 1);
	assert_false(pod->spread[1].any_affinity || pod->spread[1].honor_taints);
	assert_false(spread_matches(pod, &pod->spread[1], &same));
	pod_free(pod);
}

static void a_pod_with_a_node_keeps_none_of_it(void **state)
{
	(void)state;
	struct pod *pod =
	    pod_with("\"nodeName\":\"n\",\"affinity\":{\"podAffinity\":{\"" REQUIRED "\":[{\"topologyKey\":\"r\"}]}},"
	             "\"topologySpreadConstraints\":[{\"topologyKey\":\"r\",\"whenUnsatisfiable\":\"DoNotSchedule\"}]");

	assert_int_equal(pod->affinity_count + pod->spread_count, 0);
	pod_free(pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_term_means_pods_of_its_own_namespace_by_labels),
	    cmocka_unit_test(namespaces_by_name_or_all),
	    cmocka_unit_test(keys_take_the_pods_own_values),
	    cmocka_unit_test(no_selector_means_nobody),
	    cmocka_unit_test(preferred_terms_are_only_noticed),
	    cmocka_unit_test(hard_spread_constraints_are_kept),
	    cmocka_unit_test(a_pod_with_a_node_keeps_none_of_it),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
