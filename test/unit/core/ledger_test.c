#include "world.h"

struct one {
	struct fleet *fleet;
	struct pod *pod;
};

static struct one one_node_one_pod(void)
{
	struct one one = {.fleet = fleet_new(&world_catalogue)};
	fleet_put_node(one.fleet, spec_simple(one.fleet, "n", H100, 8));
	fleet_put_node(one.fleet, spec_simple(one.fleet, "m", H100, 8));
	fleet_take_improved(one.fleet);
	one.pod = pod_simple(one.fleet, "p", 1000, 2);
	return one;
}

static void one_free(struct one *one)
{
	fleet_free(one->fleet);
	pod_free(one->pod);
}

static void states_go_forward_only(void **state)
{
	(void)state;
	struct one one = one_node_one_pod();
	resource_id gpu = id_of(one.fleet, "nvidia.com/gpu");
	struct node *n = fleet_find(one.fleet, slice_of("n")), *m = fleet_find(one.fleet, slice_of("m"));
	struct ledger_entry *entry =
	    ledger_reserve(one.fleet, one.pod, slice_of("n"), LEDGER_PLANNED, true, 0, 5 * SECOND);
	assert_int_equal(node_free(n, gpu), 6);
	assert_int_equal(ledger_next_expiry(one.fleet), 5 * SECOND);
	assert_ptr_equal(
	    ledger_reserve(one.fleet, one.pod, slice_of("m"), LEDGER_ASSUMED, true, SECOND, 5 * SECOND), entry);
	assert_int_equal(node_free(n, gpu), 8);
	assert_int_equal(node_free(m, gpu), 6);
	assert_int_equal(entry->since_ns, SECOND);
	ledger_reserve(one.fleet, one.pod, slice_of("n"), LEDGER_PLANNED, true, 2 * SECOND, SECOND);
	assert_ptr_equal(entry->node, m);
	assert_int_equal(entry->state, LEDGER_ASSUMED);
	ledger_pin(one.fleet, entry, true, 2 * SECOND);
	assert_null(ledger_expired(one.fleet, 1000 * SECOND));
	ledger_pin(one.fleet, entry, false, 3 * SECOND);
	assert_null(ledger_expired(one.fleet, 8 * SECOND - 1));
	assert_ptr_equal(ledger_expired(one.fleet, 8 * SECOND), entry);
	ledger_reserve(one.fleet, one.pod, slice_of("m"), LEDGER_BOUND, true, 3 * SECOND, 0);
	assert_int_equal(ledger_next_expiry(one.fleet), LEDGER_NEVER);
	ledger_reserve(one.fleet, one.pod, slice_of("n"), LEDGER_BOUND, true, 4 * SECOND, 0);
	assert_ptr_equal(entry->node, m);
	one_free(&one);
}

static void a_node_without_spec_lives_while_pods_stand_on_it(void **state)
{
	(void)state;
	struct one one = one_node_one_pod();
	struct ledger_entry *entry = ledger_reserve(one.fleet, one.pod, slice_of("ghost"), LEDGER_BOUND, false, 0, 0);
	struct node *ghost = fleet_find(one.fleet, slice_of("ghost"));
	assert_non_null(ghost);
	assert_null(ghost->spec);
	assert_true(ghost->foreign_gpus);
	assert_int_equal(fleet_node_count(one.fleet), 2);
	fleet_put_node(one.fleet, spec_simple(one.fleet, "ghost", L4, 4));
	assert_int_equal(node_free(ghost, id_of(one.fleet, "nvidia.com/gpu")), 2);
	fleet_remove_node(one.fleet, slice_of("ghost"));
	assert_ptr_equal(fleet_find(one.fleet, slice_of("ghost")), ghost);
	ledger_release(one.fleet, entry);
	assert_null(fleet_find(one.fleet, slice_of("ghost")));
	assert_null(ledger_find(one.fleet, slice_of("p")));
	one_free(&one);
}

static void more_used_than_allocatable_is_zero_free(void **state)
{
	(void)state;
	struct one one = one_node_one_pod();
	resource_id gpu = id_of(one.fleet, "nvidia.com/gpu");
	struct node_spec *sick = spec_simple(one.fleet, "n", H100, 8);
	ledger_reserve(one.fleet, one.pod, slice_of("n"), LEDGER_BOUND, true, 0, 0);
	spec_amount(sick, gpu, 1, 8);
	struct node *node = fleet_put_node(one.fleet, sick);
	assert_int_equal(node_free(node, gpu), 0);
	assert_int_equal(node_used(node, gpu), 2);
	one_free(&one);
}

static void the_only_gpu_of_a_node_is_a_device(void **state)
{
	(void)state;
	struct fleet *fleet = fleet_new(&world_catalogue);
	resource_id mig = id_of(fleet, "nvidia.com/mig-1g.10gb");
	struct node_spec *spec = spec_simple(fleet, "n", A100, 1);
	spec_lane(spec, mig, GPU_SLICE, &world_models[A100], 7, 7);
	struct node *node = fleet_put_node(fleet, spec);
	struct pod *whole = pod_simple(fleet, "whole", 0, 1), *slice = pod_simple(fleet, "slice", 0, 0);
	pod_asks(slice, mig, 2);
	assert_int_equal(node->device_count, 1);
	assert_int_equal(node->devices[0].vram_mib, 81920);
	assert_int_equal(node->devices[0].slices, 0xff);
	struct ledger_entry *two = ledger_reserve(fleet, slice, slice_of("n"), LEDGER_BOUND, true, 0, 0);
	assert_int_equal(two->device_count, 1);
	assert_int_equal(two->devices[0].milli, 2 * 142);
	assert_int_equal(two->devices[0].vram_mib, 2 * 9728);
	assert_int_equal(two->devices[0].slices, 0);
	ledger_release(fleet, two);
	assert_int_equal(node->devices[0].milli_used, 0);
	struct ledger_entry *one = ledger_reserve(fleet, whole, slice_of("n"), LEDGER_BOUND, true, 0, 0);
	assert_int_equal(node->devices[0].milli_used, MILLI_GPU);
	assert_int_equal(node->devices[0].vram_used_mib, 81920);
	fleet_put_node(fleet, spec_simple(fleet, "n", A100, 8));
	assert_int_equal(node->device_count, 0);
	assert_int_equal(one->device_count, 0);
	fleet_free(fleet);
	pod_free(whole);
	pod_free(slice);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(states_go_forward_only),
	    cmocka_unit_test(a_node_without_spec_lives_while_pods_stand_on_it),
	    cmocka_unit_test(more_used_than_allocatable_is_zero_free),
	    cmocka_unit_test(the_only_gpu_of_a_node_is_a_device),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
