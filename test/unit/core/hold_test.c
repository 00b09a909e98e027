/* Nodes that are kept for a gang: who is kept off, who is not, and what holds when that ends. */
#include "berth/hold.h"

#include "world.h"

struct scene {
	struct fleet *fleet;
	struct policy *policy;
	struct node *node;
	struct pod *pod;
	struct pod_gang says;
};

static int begin(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	scene->fleet = fleet_new(&world_catalogue);
	scene->policy = policy_world();
	fleet_set_policy(scene->fleet, scene->policy);
	scene->node = fleet_put_node(scene->fleet, spec_simple(scene->fleet, "n", H100, 8));
	scene->pod = pod_simple(scene->fleet, "p", 1000, 1);
	scene->pod->created_ns = 200;
	*state = scene;
	return 0;
}

static int end(void **state)
{
	struct scene *scene = *state;
	fleet_free(scene->fleet);
	policy_free(scene->policy);
	pod_free(scene->pod);
	free(scene);
	return 0;
}

static size_t class_order(const struct scene *scene)
{
	enum reason why;
	return (size_t)(policy_class_of(scene->policy, scene->pod, &why) - scene->policy->classes);
}

static struct node_hold of_gang(const struct scene *scene)
{
	return (struct node_hold){.key = (char *)"0/team/g",
	    .dialect = GANG_BERTH,
	    .namespace_ = (char *)scene->pod->namespace_,
	    .name = (char *)"g",
	    .class_order = class_order(scene),
	    .created_ns = 100};
}

static void held_by(struct scene *scene, struct node_hold hold)
{
	size_t place = hold_begin(scene->fleet, &hold);
	assert_int_equal(place, 0);
	hold_node(scene->fleet, place, scene->node);
	assert_int_equal(hold_nodes(scene->fleet, place), 1);
}

static enum reason verdict(const struct scene *scene)
{
	return decide_node(scene->fleet, scene->pod, scene->node, NULL);
}

static void who_stands_behind_is_kept_off(void **state)
{
	struct scene *scene = *state;
	struct node_hold hold = of_gang(scene);
	held_by(scene, hold);
	assert_int_equal(verdict(scene), REASON_CODE_HELD_FOR_GANG);
	struct decision decision;
	decide_fleet(scene->fleet, scene->pod, &decision);
	assert_null(decision.node);
	scene->pod->created_ns = 100; /* as old */
	assert_int_equal(verdict(scene), REASON_CODE_FITS);
	scene->pod->priority = -1;
	assert_int_equal(verdict(scene), REASON_CODE_HELD_FOR_GANG);
	scene->pod->priority = 1;
	scene->pod->created_ns = 300;
	assert_int_equal(verdict(scene), REASON_CODE_FITS);
}

static void class_order_counts_before_age(void **state)
{
	struct scene *scene = *state;
	struct node_hold hold = of_gang(scene);
	hold.class_order = class_order(scene) + 1;
	held_by(scene, hold);
	assert_int_equal(verdict(scene), REASON_CODE_FITS);
}

static void its_own_members_come(void **state)
{
	struct scene *scene = *state;
	held_by(scene, of_gang(scene));
	scene->says = (struct pod_gang){.dialect = GANG_BERTH, .name = "g"};
	scene->pod->gang = &scene->says;
	assert_int_equal(verdict(scene), REASON_CODE_FITS);
	scene->says.name = "another";
	assert_int_equal(verdict(scene), REASON_CODE_HELD_FOR_GANG);
	scene->says = (struct pod_gang){.dialect = GANG_VOLCANO, .name = "g"};
	assert_int_equal(verdict(scene), REASON_CODE_HELD_FOR_GANG);
}

static void what_was_reserved_before_stays(void **state)
{
	struct scene *scene = *state;
	ledger_reserve(scene->fleet, scene->pod, slice_of("n"), LEDGER_ASSUMED, true, 0, 1000);
	held_by(scene, of_gang(scene));
	assert_int_equal(verdict(scene), REASON_CODE_FITS);
}

static void its_end_is_an_improvement(void **state)
{
	struct scene *scene = *state;
	held_by(scene, of_gang(scene));
	fleet_take_improved(scene->fleet);
	hold_end(scene->fleet, 0);
	assert_ptr_equal(fleet_take_improved(scene->fleet), scene->node);
	assert_int_equal(verdict(scene), REASON_CODE_FITS);
	held_by(scene, of_gang(scene)); /* the place is free again */
}

static void what_ends_before_the_start_comes(void **state)
{
	struct scene *scene = *state;
	held_by(scene, of_gang(scene));
	hold_time(scene->fleet, 0, 100 * SECOND, 150 * SECOND, 40 * SECOND);
	assert_int_equal(verdict(scene), REASON_CODE_HELD_FOR_GANG); /* nobody knows when it ends */
	scene->pod->runtime_ns = 60 * SECOND;
	assert_int_equal(verdict(scene), REASON_CODE_FITS);
	scene->pod->runtime_ns++;
	assert_int_equal(verdict(scene), REASON_CODE_HELD_FOR_GANG);
	scene->pod->runtime_ns = 20 * SECOND;
	hold_pass(scene->fleet, 80 * SECOND);
	assert_int_equal(verdict(scene), REASON_CODE_FITS);
	hold_pass(scene->fleet, 80 * SECOND + 1);
	assert_int_equal(verdict(scene), REASON_CODE_HELD_FOR_GANG);
	hold_pass(scene->fleet, 101 * SECOND);
	assert_int_equal(verdict(scene), REASON_CODE_HELD_FOR_GANG);
}

static void singles_that_wait_already_do_not_break_a_promise(void **state)
{
	struct scene *scene = *state;
	struct node_hold hold = of_gang(scene);
	hold.created_ns = 2 * HOLD_ELDER;
	held_by(scene, hold);
	scene->pod->created_ns = HOLD_ELDER + 1;
	assert_int_equal(verdict(scene), REASON_CODE_FITS);
	hold_time(scene->fleet, 0, 100 * SECOND, 150 * SECOND, 40 * SECOND);
	assert_int_equal(verdict(scene), REASON_CODE_HELD_FOR_GANG);
	scene->pod->created_ns = HOLD_ELDER;
	assert_int_equal(verdict(scene), REASON_CODE_FITS);
	scene->pod->created_ns = HOLD_ELDER + 1;
	scene->says = (struct pod_gang){.dialect = GANG_BERTH, .name = "older"};
	scene->pod->gang = &scene->says;
	assert_int_equal(verdict(scene), REASON_CODE_FITS);
}

static void a_later_start_is_an_improvement(void **state)
{
	struct scene *scene = *state;
	held_by(scene, of_gang(scene));
	hold_time(scene->fleet, 0, 100 * SECOND, 150 * SECOND, 40 * SECOND);
	fleet_take_improved(scene->fleet);
	hold_time(scene->fleet, 0, 90 * SECOND, 150 * SECOND, 40 * SECOND);
	assert_null(fleet_take_improved(scene->fleet));
	hold_time(scene->fleet, 0, 110 * SECOND, 150 * SECOND, 40 * SECOND);
	assert_ptr_equal(fleet_take_improved(scene->fleet), scene->node);
}

static void once_the_promise_is_long_over_nobody_behind_comes(void **state)
{
	struct scene *scene = *state;
	struct node_hold hold = of_gang(scene);
	hold.class_order = class_order(scene) + 1;
	held_by(scene, hold);
	scene->pod->runtime_ns = SECOND;
	assert_int_equal(hold_until(100 * SECOND, 40 * SECOND), 130 * SECOND);
	assert_int_equal(hold_until(100 * SECOND, 99 * SECOND), 105 * SECOND);
	scene->says = (struct pod_gang){.dialect = GANG_BERTH, .name = "another"};
	scene->pod->gang = &scene->says;
	hold_time(scene->fleet, 0, 200 * SECOND, 130 * SECOND, 129 * SECOND);
	assert_int_equal(verdict(scene), REASON_CODE_FITS); /* its class stands before the gang's */
	hold_pass(scene->fleet, 130 * SECOND);
	assert_int_equal(verdict(scene), REASON_CODE_HELD_FOR_GANG); /* age alone counts now */
	scene->pod->priority = 1;
	assert_int_equal(verdict(scene), REASON_CODE_FITS);
}

static void what_may_be_ended_before_the_start_comes(void **state)
{
	struct scene *scene = *state;
	uint16_t victim = (uint16_t)class_order(scene);
	struct policy_class *taker = &scene->policy->classes[CLASS_PREFER];
	struct node_hold hold = of_gang(scene);
	hold.gang_class = CLASS_PREFER;
	held_by(scene, hold);
	scene->policy->moves.mode = MOVES_ACT;
	scene->policy->classes[victim].victim =
	    (struct policy_victim){.min_runtime_ns = 50 * SECOND, .grace_ns = 5 * SECOND};
	taker->may_preempt = &victim;
	taker->may_preempt_count = 1;
	scene->pod->endable = true;
	hold_time(scene->fleet, 0, 100 * SECOND, 150 * SECOND, 45 * SECOND);
	assert_int_equal(verdict(scene), REASON_CODE_FITS);
	hold_pass(scene->fleet, 45 * SECOND + 1);
	assert_int_equal(verdict(scene), REASON_CODE_HELD_FOR_GANG);
	hold_pass(scene->fleet, 45 * SECOND);
	scene->pod->endable = false;
	assert_int_equal(verdict(scene), REASON_CODE_HELD_FOR_GANG);
	scene->pod->endable = true;
	scene->policy->moves.mode = MOVES_OBSERVE;
	assert_int_equal(verdict(scene), REASON_CODE_HELD_FOR_GANG);
	scene->policy->moves.mode = MOVES_ACT;
	taker->may_preempt_count = 0;
	assert_int_equal(verdict(scene), REASON_CODE_HELD_FOR_GANG);
}

static void places_are_few(void **state)
{
	struct scene *scene = *state;
	struct node_hold hold = of_gang(scene);
	for (size_t i = 0; i < HOLDS_MAX; i++)
		assert_int_equal(hold_begin(scene->fleet, &hold), i);
	assert_int_equal(hold_begin(scene->fleet, &hold), HOLDS_MAX);
	hold_node(scene->fleet, HOLDS_MAX - 1, scene->node);
	assert_int_equal(verdict(scene), REASON_CODE_HELD_FOR_GANG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(who_stands_behind_is_kept_off, begin, end),
	    cmocka_unit_test_setup_teardown(class_order_counts_before_age, begin, end),
	    cmocka_unit_test_setup_teardown(its_own_members_come, begin, end),
	    cmocka_unit_test_setup_teardown(what_was_reserved_before_stays, begin, end),
	    cmocka_unit_test_setup_teardown(its_end_is_an_improvement, begin, end),
	    cmocka_unit_test_setup_teardown(what_ends_before_the_start_comes, begin, end),
	    cmocka_unit_test_setup_teardown(singles_that_wait_already_do_not_break_a_promise, begin, end),
	    cmocka_unit_test_setup_teardown(a_later_start_is_an_improvement, begin, end),
	    cmocka_unit_test_setup_teardown(once_the_promise_is_long_over_nobody_behind_comes, begin, end),
	    cmocka_unit_test_setup_teardown(what_may_be_ended_before_the_start_comes, begin, end),
	    cmocka_unit_test_setup_teardown(places_are_few, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
