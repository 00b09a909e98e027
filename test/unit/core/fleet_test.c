#include "world.h"

static size_t improved(struct fleet *fleet)
{
	size_t count = 0;
	for (const struct node *node = fleet_take_improved(fleet); node; node = node->next_improved)
		count++;
	return count;
}

/* The node as at first, but for what `change` does. */
static size_t after(struct fleet *fleet, void (*before)(struct node_spec *), void (*change)(struct node_spec *))
{
	struct node_spec *first = spec_simple(fleet, "n", H100, 4), *second = spec_simple(fleet, "n", H100, 4);
	spec_label(first, "zone", "a");
	spec_label(second, "zone", "a");
	if (before)
		before(first), before(second);
	fleet_put_node(fleet, first);
	improved(fleet);
	change(second);
	fleet_put_node(fleet, second);
	return improved(fleet);
}

static void same(struct node_spec *spec)
{
	(void)spec;
}

static void taint(struct node_spec *spec)
{
	spec_taint(spec, "team", "red", TAINT_NO_SCHEDULE);
}

static void untaint(struct node_spec *spec)
{
	spec->taint_count = 0;
}

static void soften(struct node_spec *spec)
{
	spec->taints[0].effect = TAINT_PREFER_NO_SCHEDULE;
}

static void unready(struct node_spec *spec)
{
	spec->ready = false;
}

static void ready(struct node_spec *spec)
{
	spec->ready = true;
}

static void cordon(struct node_spec *spec)
{
	spec->unschedulable = true;
}

static void uncordon(struct node_spec *spec)
{
	spec->unschedulable = false;
}

static void relabel(struct node_spec *spec)
{
	spec->labels.items[0].value = "b";
}

static void more_cpu(struct node_spec *spec)
{
	spec_amount(spec, RESOURCE_CPU, 33000, 33000);
}

static void less_cpu(struct node_spec *spec)
{
	spec_amount(spec, RESOURCE_CPU, 31000, 32000);
}

static void sick(struct node_spec *spec)
{
	spec_taint(spec, "gpu-error", "", TAINT_PREFER_NO_SCHEDULE);
}

static void improvements_of_a_node(void **state)
{
	(void)state;
	struct fleet *fleet = fleet_new(&world_catalogue);
	struct policy *policy = policy_world();
	fleet_put_node(fleet, spec_simple(fleet, "n", H100, 4));
	assert_int_equal(improved(fleet), 1);
	assert_int_equal(after(fleet, NULL, same), 0);
	assert_int_equal(after(fleet, NULL, taint), 0);
	assert_int_equal(after(fleet, taint, untaint), 1);
	assert_int_equal(after(fleet, taint, soften), 1);
	assert_int_equal(after(fleet, taint, same), 0);
	assert_int_equal(after(fleet, NULL, unready), 0);
	assert_int_equal(after(fleet, unready, ready), 1);
	assert_int_equal(after(fleet, unready, more_cpu), 0);
	assert_int_equal(after(fleet, NULL, cordon), 0);
	assert_int_equal(after(fleet, cordon, uncordon), 1);
	assert_int_equal(after(fleet, NULL, relabel), 1);
	assert_int_equal(after(fleet, NULL, more_cpu), 1);
	assert_int_equal(after(fleet, NULL, less_cpu), 0);
	fleet_set_policy(fleet, policy);
	assert_int_equal(improved(fleet), 1);
	assert_int_equal(after(fleet, NULL, sick), 0);
	assert_int_equal(after(fleet, sick, untaint), 1);
	fleet_free(fleet);
	policy_free(policy);
}

static void improvements_by_the_ledger(void **state)
{
	(void)state;
	struct fleet *fleet = fleet_new(&world_catalogue);
	fleet_put_node(fleet, spec_simple(fleet, "n", H100, 4));
	fleet_put_node(fleet, spec_simple(fleet, "m", H100, 4));
	struct pod *pod = pod_simple(fleet, "p", 1000, 2);
	assert_int_equal(improved(fleet), 2);
	struct ledger_entry *entry = ledger_reserve(fleet, pod, slice_of("n"), LEDGER_ASSUMED, true, 0, SECOND);
	assert_int_equal(improved(fleet), 0);
	ledger_reserve(fleet, pod, slice_of("n"), LEDGER_ASSUMED, true, 0, SECOND);
	ledger_reserve(fleet, pod, slice_of("n"), LEDGER_BOUND, true, 0, 0);
	ledger_update(fleet, entry, pod);
	assert_int_equal(improved(fleet), 0);
	pod_asks(pod, RESOURCE_CPU, 2000);
	ledger_update(fleet, entry, pod);
	assert_int_equal(improved(fleet), 0);
	pod_asks(pod, RESOURCE_CPU, 500);
	ledger_update(fleet, entry, pod);
	assert_int_equal(improved(fleet), 1);
	ledger_release(fleet, entry);
	struct node *taken = fleet_take_improved(fleet);
	assert_string_equal(taken->name, "n");
	assert_null(taken->next_improved);
	entry = ledger_reserve(fleet, pod, slice_of("n"), LEDGER_PLANNED, true, 0, SECOND);
	ledger_reserve(fleet, pod, slice_of("m"), LEDGER_PLANNED, true, 0, SECOND);
	assert_int_equal(improved(fleet), 1); /* n is free again */
	ledger_release(fleet, entry);
	/* A node that goes leaves the chain. */
	fleet_remove_node(fleet, slice_of("m"));
	assert_int_equal(improved(fleet), 0);
	fleet_free(fleet);
	pod_free(pod);
}

static void nodes_come_and_go(void **state)
{
	(void)state;
	struct fleet *fleet = fleet_new(&world_catalogue);
	assert_null(fleet_find(fleet, slice_of("n")));
	fleet_remove_node(fleet, slice_of("n"));
	struct node *node = fleet_put_node(fleet, spec_simple(fleet, "n", H100, 4));
	assert_ptr_equal(fleet_find(fleet, slice_of("n")), node);
	assert_ptr_equal(fleet_put_node(fleet, spec_simple(fleet, "n", NO_GPUS, 0)), node);
	assert_int_equal(fleet_node_count(fleet), 1);
	fleet_remove_node(fleet, slice_of("n"));
	assert_null(fleet_find(fleet, slice_of("n")));
	assert_int_equal(fleet_node_count(fleet), 0);
	fleet_free(fleet);
}

static void a_policy_places_nodes_in_pools_and_domains(void **state)
{
	(void)state;
	struct fleet *fleet = fleet_new(&world_catalogue);
	struct policy *policy = policy_world();
	struct node_spec *spec = spec_simple(fleet, "n", T4, 4);
	spec_label(spec, "rack", "r1");
	struct node *node = fleet_put_node(fleet, spec);
	assert_int_equal(node->pool, POOL_NONE);
	fleet_set_policy(fleet, policy);
	assert_int_equal(node->pool, T4);
	assert_null(node->domains[0].at);
	assert_true(slice_is(node->domains[1], "r1"));
	fleet_free(fleet);
	policy_free(policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(improvements_of_a_node),
	    cmocka_unit_test(improvements_by_the_ledger),
	    cmocka_unit_test(nodes_come_and_go),
	    cmocka_unit_test(a_policy_places_nodes_in_pools_and_domains),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
