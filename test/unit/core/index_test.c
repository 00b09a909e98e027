#include "world.h"

#include "core/index.h"

static void cpu_keys(void **state)
{
	(void)state;
	struct prng prng = prng_seeded("index");
	for (int i = 0; i < 100000; i++) {
		int64_t allocatable = (int64_t)(prng_next(&prng) >> (1 + pick(&prng, 62)));
		int64_t left = one_in(&prng, 10) ? allocatable : allocatable > 0 ? pick(&prng, allocatable) : 0;
		int64_t key = index_cpu_key(left, allocatable), most = index_cpu_key_most(key);
		int sixteenths = index_cpu_sixteenths(left, allocatable);
		assert_int_equal(index_cpu_key_sixteenths(key), sixteenths);
		assert_true(sixteenths >= 0 && sixteenths <= 16);
		assert_true(most >= left && most - left <= left / 8);
	}
	assert_int_equal(index_cpu_sixteenths(16000, 32000), 8);
	assert_int_equal(index_cpu_sixteenths(32000, 32000), 16);
	assert_int_equal(index_cpu_sixteenths(0, 0), 0);
}

/* Every placeable node is in the bucket it belongs in, in order; and nothing is empty. */
static void check(const struct fleet *fleet, resource_id gpu)
{
	const struct index *index = fleet->index;
	size_t slots = 0, expected = 0, cursor = 0;
	for (size_t l = 0; l < index->lane_count; l++)
		for (size_t s = 0; s < index->lanes[l].shape_count; s++) {
			const struct index_shape *shape = index->lanes[l].shapes[s];
			assert_true(shape->bucket_count > 0);
			for (size_t b = 0; b < shape->bucket_count; b++) {
				const struct index_bucket *bucket = shape->buckets[b];
				const char *before = "";
				assert_true(b == 0 || shape->buckets[b - 1]->key < bucket->key);
				assert_true(bucket->by_name.count > 0);
				for (const struct treap_node *at = treap_first(&bucket->by_name); at;
				     at = treap_after(at)) {
					const struct node_slot *slot = (const struct node_slot *)at;
					assert_true(strcmp(before, slot->node->name) < 0);
					before = slot->node->name;
					assert_ptr_equal(slot->bucket, bucket);
					if (shape->resource == gpu) {
						assert_int_equal(bucket->key, node_free(slot->node, gpu));
						assert_int_equal(shape->allocatable, node_allocatable(slot->node, gpu));
						assert_int_equal(shape->pool, slot->node->pool);
					}
					slots++;
				}
			}
		}
	for (const struct node *node; (node = map_next(&fleet->nodes, &cursor));)
		if (node->spec && node->spec->ready && !node->avoided)
			expected += node->spec->lane_count + 1;
	assert_int_equal(slots, expected);
}

static void follows_every_change(void **state)
{
	(void)state;
	struct prng prng = prng_seeded("index");
	struct policy *policy = policy_world();
	struct fleet *fleet = fleet_new(&world_catalogue);
	resource_id gpu = id_of(fleet, "nvidia.com/gpu");
	for (int step = 0; step < 5000; step++) {
		char name[32], uid[32];
		snprintf(name, sizeof(name), "n%lld", (long long)pick(&prng, 40));
		snprintf(uid, sizeof(uid), "p%lld", (long long)pick(&prng, 100));
		struct ledger_entry *entry = ledger_find(fleet, slice_of(uid));
		struct pod *pod = pod_random(fleet, &prng, uid);
		switch (pick(&prng, 6)) {
		case 0:
			fleet_put_node(fleet, spec_random(fleet, &prng, name));
			break;
		case 1:
			fleet_remove_node(fleet, slice_of(name));
			break;
		case 2:
			if (one_in(&prng, 20))
				fleet_set_policy(fleet, one_in(&prng, 3) ? NULL : policy);
			break;
		case 3:
			if (entry)
				ledger_release(fleet, entry);
			break;
		default:
			ledger_reserve(fleet, pod, slice_of(name), LEDGER_ASSUMED, true, 0, SECOND);
		}
		check(fleet, gpu);
		pod_free(pod);
	}
	fleet_free(fleet);
	policy_free(policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(cpu_keys), cmocka_unit_test(follows_every_change)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
