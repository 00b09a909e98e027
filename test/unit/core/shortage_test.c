/* What a shortage says of small fleets, and that it never contradicts the decision it explains. */
#include "world.h"

#include "berth/shortage.h"

#define NODES_MAX 16

struct scene {
	struct fleet *fleet;
	struct policy *policy;
	struct pod *pod;
	struct node *nodes[NODES_MAX];
	enum reason verdicts[NODES_MAX];
	size_t count;
	struct decision decision;
	struct shortage shortage;
};

static int begin(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	scene->fleet = fleet_new(&world_catalogue);
	scene->policy = policy_world();
	fleet_set_policy(scene->fleet, scene->policy);
	*state = scene;
	return 0;
}

static int end(void **state)
{
	struct scene *scene = *state;
	fleet_free(scene->fleet);
	policy_free(scene->policy);
	if (scene->pod)
		pod_free(scene->pod);
	free(scene);
	return 0;
}

static void put(struct scene *scene, struct node_spec *spec)
{
	scene->nodes[scene->count++] = fleet_put_node(scene->fleet, spec);
}

static void use(struct scene *scene, const char *node, int64_t milli_cpu, int64_t gpus)
{
	char uid[64];
	snprintf(uid, sizeof(uid), "on-%s", node);
	struct pod *pod = pod_simple(scene->fleet, uid, milli_cpu, gpus);
	ledger_reserve(scene->fleet, pod, slice_of(node), LEDGER_BOUND, false, 0, 0);
	pod_free(pod);
}

static void look(struct scene *scene)
{
	decide_among(scene->fleet, scene->pod, scene->nodes, scene->count, &scene->decision, scene->verdicts);
	shortage_among(scene->fleet, scene->pod, scene->nodes, scene->count, scene->verdicts, &scene->shortage);
}

static void nearest_by_step_then_lacks_then_name(void **state)
{
	struct scene *scene = *state;
	scene->pod = pod_simple(scene->fleet, "p", 1000, 6);
	put(scene, spec_simple(scene->fleet, "cpu", H100, 8)); /* an earlier step, though all GPUs are free */
	put(scene, spec_simple(scene->fleet, "d", H100, 8));
	put(scene, spec_simple(scene->fleet, "c", H100, 8));
	put(scene, spec_simple(scene->fleet, "b", H100, 8));
	use(scene, "cpu", 31500, 0);
	use(scene, "b", 0, 7);
	use(scene, "c", 0, 4);
	use(scene, "d", 0, 4);
	look(scene);
	assert_int_equal(scene->shortage.verdict, REASON_CODE_NO_GPU);
	assert_string_equal(scene->shortage.nearest->name, "c");
	assert_int_equal(scene->shortage.lack_count, 1);
	assert_int_equal(scene->shortage.lacks[0].asked, 6);
	assert_int_equal(scene->shortage.lacks[0].free, 4);
	assert_int_equal(scene->shortage.lacks[0].allocatable, 8);
	assert_int_equal(scene->shortage.gpus_free, 8 + 4 + 4 + 1);
	assert_int_equal(scene->shortage.gpus_most, 8);
	assert_int_equal(scene->shortage.gpus_largest, 8);
}

static void all_that_a_node_lacks(void **state)
{
	struct scene *scene = *state;
	struct node_spec *spec = spec_simple(scene->fleet, "a", H100, 8);
	scene->pod = pod_simple(scene->fleet, "p", 2000, 7);
	spec_amount(spec, id_of(scene->fleet, "nvidia.com/gpu"), 5, 8);
	put(scene, spec);
	use(scene, "a", 31000, 0);
	look(scene);
	assert_int_equal(scene->shortage.verdict, REASON_CODE_NO_CPU);
	assert_int_equal(scene->shortage.lack_count, 2);
	assert_int_equal(scene->shortage.lacks[0].resource, RESOURCE_CPU);
	assert_int_equal(scene->shortage.lacks[0].free, 1000);
	assert_int_equal(scene->shortage.lacks[0].unhealthy, 0);
	assert_int_equal(scene->shortage.lacks[1].free, 5);
	assert_int_equal(scene->shortage.lacks[1].unhealthy, 3);
}

static void own_entry_is_not_in_the_way(void **state)
{
	struct scene *scene = *state;
	scene->pod = pod_simple(scene->fleet, "on-a", 1000, 8);
	put(scene, spec_simple(scene->fleet, "a", H100, 8));
	use(scene, "a", 1000, 8);
	look(scene);
	assert_int_equal(scene->decision.reason, REASON_CODE_FITS);
	assert_null(scene->shortage.nearest);
}

static void room_behind_an_obstacle(void **state)
{
	struct scene *scene = *state;
	struct node_spec *cordoned = spec_simple(scene->fleet, "cordoned", H100, 8);
	struct node_spec *full = spec_simple(scene->fleet, "full", H100, 8);
	struct node_spec *tainted = spec_simple(scene->fleet, "tainted", H100, 8);
	scene->pod = pod_simple(scene->fleet, "p", 1000, 4);
	cordoned->unschedulable = full->unschedulable = true;
	spec_taint(tainted, "team", "red", TAINT_NO_EXECUTE);
	put(scene, cordoned);
	put(scene, full);
	put(scene, tainted);
	use(scene, "full", 0, 5);
	look(scene);
	assert_int_equal(scene->shortage.with_room[REASON_CODE_NODE_CORDONED], 1);
	assert_int_equal(scene->shortage.with_room[REASON_CODE_NODE_TAINTED], 1);
	assert_string_equal(scene->shortage.nearest->name, "tainted");
	assert_string_equal(scene->shortage.taint->key, "team");
	assert_int_equal(scene->shortage.gpus_largest, 0);
}

static void the_tighter_of_two_limits(void **state)
{
	struct scene *scene = *state;
	scene->policy->classes[CLASS_BATCH].max_gpus_per_pod = 2;
	scene->pod = pod_simple(scene->fleet, "p", 1000, 3);
	put(scene, spec_simple(scene->fleet, "a", H100, 8));
	look(scene);
	assert_int_equal(scene->decision.reason, REASON_CODE_TOO_MANY_GPUS);
	assert_null(scene->shortage.nearest);
	assert_int_equal(scene->shortage.units_asked, 3);
	assert_int_equal(scene->shortage.units_most, 2);
}

/* Against random fleets: the nearest node is one at the decision's own step, it lacks something exactly where room is
 * what stopped it, and the numbers are those of the ledger. */
static void agrees_with_the_decision(void **state)
{
	struct scene *scene = *state;
	struct prng prng = prng_seeded("agrees_with_the_decision");
	char name[16];
	size_t compared = 0;
	for (int i = 0; i < NODES_MAX; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		put(scene, spec_random(scene->fleet, &prng, name));
		use(scene, name, 500 * pick(&prng, 16), pick(&prng, 9));
	}
	for (int round = 0; round < 2000; round++) {
		if (scene->pod)
			pod_free(scene->pod);
		scene->pod = pod_random(scene->fleet, &prng, "p");
		look(scene);
		const struct shortage *shortage = &scene->shortage;
		if (scene->decision.node || !shortage->nearest)
			continue;
		compared++;
		if (scene->decision.reason != REASON_CODE_ONLY_UNMEETABLE)
			assert_int_equal(shortage->verdict, scene->decision.reason);
		assert_int_equal(decide_node(scene->fleet, scene->pod, shortage->nearest, NULL), shortage->verdict);
		if (shortage->verdict >= REASON_CODE_TOO_LARGE)
			assert_true(shortage->lack_count > 0);
		for (size_t i = 0; i < shortage->lack_count; i++) {
			const struct lack *lack = &shortage->lacks[i];
			assert_true(lack->asked > lack->free);
			assert_int_equal(lack->free, node_free(shortage->nearest, lack->resource));
		}
		assert_true(shortage->gpus_most <= shortage->gpus_free);
	}
	assert_true(compared > 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(nearest_by_step_then_lacks_then_name, begin, end),
	    cmocka_unit_test_setup_teardown(all_that_a_node_lacks, begin, end),
	    cmocka_unit_test_setup_teardown(own_entry_is_not_in_the_way, begin, end),
	    cmocka_unit_test_setup_teardown(room_behind_an_obstacle, begin, end),
	    cmocka_unit_test_setup_teardown(the_tighter_of_two_limits, begin, end),
	    cmocka_unit_test_setup_teardown(agrees_with_the_decision, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
