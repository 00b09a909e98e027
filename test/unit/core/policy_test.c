#include "world.h"

static enum reason why;

static const char *class_of(const struct policy *policy, const struct pod *pod)
{
	const struct policy_class *class_ = policy_class_of(policy, pod, &why);
	return class_ ? class_->name : NULL;
}

/* only: namespaces *-dev, or owned by a Notebook with the label tier: gpu*; spread: owned by a Deployment. */
static struct policy *policy_with_matches(void)
{
	struct policy *policy = policy_world();
	static const char *namespaces[] = {"*-dev"}, *owners[] = {"Notebook"}, *deployments[] = {"Deployment"};
	static struct label tier[] = {{"tier", "gpu*"}};
	static struct policy_match only[] = {
	    {.namespace_count = 1, .namespaces = namespaces},
	    {.owner_count = 1, .owners = owners, .label_count = 1, .pod_labels = tier},
	};
	static struct policy_match spread[] = {{.owner_count = 1, .owners = deployments}};
	policy->classes[CLASS_ONLY].has_match = policy->classes[CLASS_SPREAD].has_match = true;
	policy->classes[CLASS_ONLY].match_count = 2;
	policy->classes[CLASS_ONLY].matches = only;
	policy->classes[CLASS_SPREAD].match_count = 1;
	policy->classes[CLASS_SPREAD].matches = spread;
	return policy;
}

static void the_first_match_counts(void **state)
{
	(void)state;
	struct policy *policy = policy_with_matches();
	struct pod *pod = pod_new("p");
	assert_string_equal(class_of(policy, pod), "batch");
	pod_add_owner_kind(pod, "ReplicaSet");
	pod_add_owner_kind(pod, "Deployment");
	pod_add_owner_kind(pod, "Deployment");
	assert_int_equal(pod->owner_kind_count, 2);
	assert_string_equal(class_of(policy, pod), "spread");
	pod->namespace_ = "vision-dev";
	assert_string_equal(class_of(policy, pod), "only");
	pod->namespace_ = "vision";
	pod_add_owner_kind(pod, "Notebook");
	assert_string_equal(class_of(policy, pod), "spread");
	pod->labels.items[0] = (struct label){"tier", "gpu-small"};
	pod->labels.count = 1;
	assert_string_equal(class_of(policy, pod), "only");
	pod_free(pod);
	policy_free(policy);
}

static void a_gang_large_enough_meets_the_match(void **state)
{
	(void)state;
	struct policy *policy = policy_with_matches();
	struct policy_match *match = &policy->classes[CLASS_SPREAD].matches[0], before = *match;
	struct pod *pod = pod_new("p");
	pod_add_owner_kind(pod, "Deployment");
	match->gang_gpus_min = 8;
	assert_string_equal(class_of(policy, pod), "batch");
	pod->gang_gpus = 7;
	assert_string_equal(class_of(policy, pod), "batch");
	pod->gang_gpus = 8;
	assert_string_equal(class_of(policy, pod), "spread");
	*match = before;
	pod_free(pod);
	policy_free(policy);
}

static void a_level_reads_its_labels(void **state)
{
	(void)state;
	const char *older[] = {"leaf", "block"};
	struct policy_level level = {.name = "l", .node_label = "tier-0", .older_count = 2, .older = older};
	struct label items[] = {{"block", "a.b.c"}, {"leaf", "x"}, {"tier-0", ""}};
	struct labels all = {3, items}, two = {2, items}, one = {1, items}, none = {0, items};
	assert_true(slice_is(policy_level_value(&level, &all), ""));
	assert_non_null(policy_level_value(&level, &all).at);
	assert_true(slice_is(policy_level_value(&level, &two), "x"));
	assert_true(slice_is(policy_level_value(&level, &one), "a.b.c"));
	assert_null(policy_level_value(&level, &none).at);
	level.up_to_last_dot = true;
	assert_true(slice_is(policy_level_value(&level, &one), "a.b"));
	assert_true(slice_is(policy_level_value(&level, &two), "x"));
	assert_null(policy_level_value(&level, &none).at);
}

static void a_pod_names_its_class(void **state)
{
	(void)state;
	struct policy *policy = policy_with_matches();
	struct pod *pod = pod_new("p");
	pod->class_name = "prefer"; /* has no match */
	assert_string_equal(class_of(policy, pod), "prefer");
	pod->class_name = "batch";
	assert_string_equal(class_of(policy, pod), "batch");
	pod->class_name = "spread";
	assert_null(class_of(policy, pod));
	assert_int_equal(why, REASON_CODE_CLASS_NOT_FOR_POD);
	pod->class_name = "sprea";
	assert_null(class_of(policy, pod));
	assert_int_equal(why, REASON_CODE_CLASS_UNKNOWN);
	pod_free(pod);
	policy_free(policy);
}

static void naming_a_class_lets_nobody_out_of_only(void **state)
{
	(void)state;
	struct policy *policy = policy_with_matches();
	struct fleet *fleet = fleet_new(&world_catalogue);
	struct pod *pod = pod_simple(fleet, "p", 0, 1), *many = pod_simple(fleet, "many", 0, 5);
	fleet_set_policy(fleet, policy);
	struct node *h100 = fleet_put_node(fleet, spec_simple(fleet, "h", H100, 8));
	pod->namespace_ = many->namespace_ = "x-dev";
	assert_int_equal(decide_node(fleet, pod, h100, NULL), REASON_CODE_ONLY_FORBIDS);
	pod->class_name = many->class_name = "batch";
	assert_int_equal(decide_node(fleet, pod, h100, NULL), REASON_CODE_ONLY_FORBIDS);
	assert_int_equal(decide_node(fleet, many, h100, NULL), REASON_CODE_TOO_MANY_GPUS);
	fleet_free(fleet);
	policy_free(policy);
	pod_free(pod);
	pod_free(many);
}

static void pools_and_health(void **state)
{
	(void)state;
	struct policy *policy = policy_world();
	struct fleet *fleet = fleet_new(&world_catalogue);
	struct node_spec *spec = spec_simple(fleet, "n", L4, 4);
	bool in_two;
	assert_int_equal(policy_pool_of(policy, spec, &in_two), L4);
	assert_false(in_two);
	struct node_term term = term_of(&spec->arena, "accelerator", SELECTOR_IN, "t4");
	policy->pools[T4] = (struct policy_pool){.name = "t4", .selector = term.expressions};
	spec_label(spec, "accelerator", "t4");
	assert_int_equal(policy_pool_of(policy, spec, &in_two), POOL_NONE);
	assert_true(in_two);
	spec->model = NULL;
	assert_int_equal(policy_pool_of(policy, spec, &in_two), T4);
	assert_false(in_two);
	assert_false(policy_avoids(policy, spec));
	spec->conditions[spec->condition_count++] = (struct node_condition){"GpuUnhealthy", "False"};
	assert_false(policy_avoids(policy, spec));
	spec->conditions[0].status = "True";
	assert_true(policy_avoids(policy, spec));
	spec->condition_count = 0;
	spec_taint(spec, "gpu-error", "xid", TAINT_PREFER_NO_SCHEDULE);
	assert_true(policy_avoids(policy, spec));
	node_spec_free(spec);
	fleet_free(fleet);
	policy_free(policy);
}

static void terms_have_names_and_weights(void **state)
{
	(void)state;
	assert_string_equal(score_term_name(SCORE_BEST_FIT), "bestFit");
	for (int term = 0; term < SCORE_TERM_COUNT; term++)
		assert_true(score_term_default_weight((enum score_term)term) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_first_match_counts),
	    cmocka_unit_test(a_gang_large_enough_meets_the_match),
	    cmocka_unit_test(a_level_reads_its_labels),
	    cmocka_unit_test(a_pod_names_its_class),
	    cmocka_unit_test(naming_a_class_lets_nobody_out_of_only),
	    cmocka_unit_test(pools_and_health),
	    cmocka_unit_test(terms_have_names_and_weights),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
