#include "world.h"

#include "core/ledger_heap.h"

/* Everything the ledger and the nodes keep by addition, summed up anew. */
struct sums {
	size_t states[LEDGER_BOUND + 1], heap;
};

static void check_entry(const struct fleet *fleet, const struct ledger_entry *entry, struct sums *sums)
{
	sums->states[entry->state]++;
	assert_ptr_equal(ledger_find(fleet, slice_of(entry->uid)), entry);
	assert_ptr_equal(*entry->node_link, entry);
	assert_int_equal(entry->traits != NULL, entry->ours && entry->state == LEDGER_BOUND);
	bool expires = entry->state != LEDGER_BOUND && !entry->pinned;
	assert_int_equal(expires, entry->expires_ns != LEDGER_NEVER);
	assert_int_equal(expires, entry->heap_at != LEDGER_HEAP_OUT);
	if (expires) {
		sums->heap++;
		assert_ptr_equal(fleet->ledger.heap[entry->heap_at], entry);
	}
	bool in_chain = false;
	for (const struct ledger_entry *at = ledger_siblings(fleet, entry->owner_uid); at; at = at->owner_next) {
		assert_string_equal(at->owner_uid, entry->owner_uid);
		in_chain |= at == entry;
	}
	assert_int_equal(in_chain, entry->owner_uid != NULL);
}

static void check_node(const struct fleet *fleet, const struct node *node, struct sums *sums)
{
	struct resource_list sum = {0};
	int32_t milli = 0, vram = 0;
	bool foreign = false;
	size_t entries = 0;
	for (const struct ledger_entry *entry = node->entries; entry; entry = entry->node_next) {
		assert_ptr_equal(entry->node, node);
		check_entry(fleet, entry, sums);
		entries++;
		foreign |= entry->state == LEDGER_BOUND && !entry->ours && decide_gpu_units(fleet, &entry->demand) > 0;
		for (uint16_t i = 0; i < entry->demand.count; i++) {
			int64_t *amount = resource_list_at(&sum, entry->demand.items[i].id);
			*amount = resource_sum(*amount, entry->demand.items[i].amount);
		}
		assert_true(entry->device_count <= node->device_count);
		for (size_t i = 0; i < entry->device_count; i++) {
			assert_true(entry->devices[i].milli > 0 && entry->devices[i].milli <= MILLI_GPU);
			milli += entry->devices[i].milli;
			vram += entry->devices[i].vram_mib;
		}
	}
	assert_int_equal(node->entry_count, entries);
	assert_int_equal(node->foreign_gpus, foreign);
	assert_true(node->spec || entries > 0);
	for (uint16_t i = 0; i < node->used.count; i++)
		assert_int_not_equal(node->used.items[i].amount, 0);
	for (uint16_t i = 0; i < sum.count; i++)
		assert_int_equal(node_used(node, sum.items[i].id), sum.items[i].amount);
	bool single = node->spec && node->spec->gpu_count == 1 && !node->spec->mixed_models;
	assert_int_equal(node->device_count, single);
	if (single) {
		assert_int_equal(node->devices[0].milli_used, milli);
		assert_int_equal(node->devices[0].vram_used_mib, vram);
	}
}

static void check(const struct fleet *fleet)
{
	struct sums sums = {0};
	size_t cursor = 0, total = 0;
	for (const struct node *node; (node = map_next(&fleet->nodes, &cursor));)
		check_node(fleet, node, &sums);
	for (int state = 0; state <= LEDGER_BOUND; state++) {
		assert_int_equal(fleet->ledger.count[state], sums.states[state]);
		total += sums.states[state];
	}
	assert_int_equal(fleet->ledger.by_uid.count, total);
	assert_int_equal(fleet->ledger.heap_count, sums.heap);
	for (size_t i = 1; i < fleet->ledger.heap_count; i++)
		assert_true(fleet->ledger.heap[(i - 1) / 2]->expires_ns <= fleet->ledger.heap[i]->expires_ns);
	int64_t next = fleet->ledger.heap_count ? fleet->ledger.heap[0]->expires_ns : LEDGER_NEVER;
	assert_int_equal(ledger_next_expiry(fleet), next);
}

#define PODS 60

static void event(struct fleet *fleet, struct prng *prng, struct pod **pods, int64_t now)
{
	char name[32];
	size_t at = (size_t)pick(prng, PODS);
	struct ledger_entry *entry = ledger_find(fleet, slice_of(pods[at]->uid));
	snprintf(name, sizeof(name), "n%lld", (long long)pick(prng, 12));
	switch (pick(prng, 14)) {
	case 0:
		fleet_put_node(fleet, spec_random(fleet, prng, name));
		return;
	case 1:
		fleet_remove_node(fleet, slice_of(name));
		return;
	case 2:
		while ((entry = ledger_expired(fleet, now)))
			ledger_release(fleet, entry);
		return;
	case 3:
		if (entry)
			ledger_release(fleet, entry);
		return;
	case 4:
		if (entry)
			ledger_pin(fleet, entry, one_in(prng, 2), now);
		return;
	case 5:
		if (entry)
			ledger_renew(fleet, entry, now);
		return;
	case 6: {
		/* The same pod seen again, with other requests. */
		struct pod *resized = pod_random(fleet, prng, pods[at]->uid);
		if (one_in(prng, 5))
			pod_asks(resized, RESOURCE_MEMORY, INT64_MAX);
		if (entry) {
			ledger_update(fleet, entry, resized);
			assert_int_equal(entry->owner_uid != NULL, resized->owner_uid != NULL);
			if (entry->owner_uid)
				assert_string_equal(entry->owner_uid, resized->owner_uid);
		}
		pod_free(pods[at]);
		pods[at] = resized;
		return;
	}
	default: {
		enum ledger_state state = (enum ledger_state)pick(prng, 3), before = entry ? entry->state : state;
		const struct node *from = entry ? entry->node : NULL;
		char *from_name = from ? strdup(from->name) : NULL;
		struct ledger_entry *got = ledger_reserve(
		    fleet, pods[at], slice_of(name), state, one_in(prng, 2), now, SECOND * (1 + pick(prng, 9)));
		assert_non_null(got);
		assert_true(got->state >= before);
		bool fixed = from && (before == LEDGER_BOUND || state < before);
		assert_string_equal(got->node->name, fixed ? from_name : name);
		free(from_name);
	}
	}
}

static void sums_hold_after_any_events(void **state)
{
	(void)state;
	struct prng prng = prng_seeded("ledger");
	for (int world = 0; world < 40; world++) {
		struct fleet *fleet = fleet_new(&world_catalogue);
		struct pod *pods[PODS];
		for (size_t i = 0; i < PODS; i++) {
			char uid[32];
			snprintf(uid, sizeof(uid), "p%zu", i);
			pods[i] = pod_random(fleet, &prng, uid);
		}
		for (int64_t step = 0; step < 400; step++) {
			event(fleet, &prng, pods, step * SECOND / 10);
			check(fleet);
		}
		fleet_free(fleet);
		for (size_t i = 0; i < PODS; i++)
			pod_free(pods[i]);
	}
}

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
	    cmocka_unit_test(sums_hold_after_any_events),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
