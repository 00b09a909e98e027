/* The search by the index against the decision over all nodes, and both against the rules written down a second time.
 */
#include "world.h"

/* Whether the pod fits, by the words of the rules and no code of the core's but the label matchers. */
static bool brute_tolerates(const struct pod *pod, const char *key, const char *value, enum taint_effect effect)
{
	struct taint taint = {key, value, effect};
	for (size_t i = 0; i < pod->toleration_count; i++)
		if (toleration_tolerates(&pod->tolerations[i], &taint))
			return true;
	return false;
}

static int64_t brute_used(const struct node *node, const struct pod *pod, resource_id id)
{
	int64_t sum = 0;
	for (const struct ledger_entry *entry = node->entries; entry; entry = entry->node_next)
		if (strcmp(entry->uid, pod->uid) != 0)
			sum += resources_get(&entry->demand, id);
	return sum;
}

static bool brute_class_allows(const struct fleet *fleet, const struct pod *pod, const struct node_spec *spec)
{
	if (!fleet->policy || !pod->class_name || strcmp(pod->class_name, "only") != 0)
		return true;
	return spec->model && (strcmp(spec->model->name, "T4") == 0 || strcmp(spec->model->name, "A100") == 0);
}

static bool brute_fits(const struct fleet *fleet, const struct pod *pod, const struct node *node)
{
	const struct node_spec *spec = node->spec;
	uint32_t dtypes = pod->dtypes;
	int64_t gpus = 0;
	if (!spec || !spec->ready)
		return false;
	if (spec->unschedulable && !brute_tolerates(pod, "node.kubernetes.io/unschedulable", "", TAINT_NO_SCHEDULE))
		return false;
	for (size_t i = 0; i < spec->taint_count; i++) {
		if (strcmp(spec->taints[i].key, "gpu-error") == 0 && fleet->policy)
			return false;
		if (spec->taints[i].effect != TAINT_PREFER_NO_SCHEDULE &&
		    !brute_tolerates(pod, spec->taints[i].key, spec->taints[i].value, spec->taints[i].effect))
			return false;
	}
	if (!pod_selects(pod, spec->name, &spec->labels))
		return false;
	if (fleet->policy && pod->class_name && strcmp(pod->class_name, "unknown") == 0)
		return false;
	if (fleet->policy && !dtypes && pod->class_name && strcmp(pod->class_name, "prefer") == 0)
		dtypes = DTYPE_BIT(DTYPE_BF16);
	for (uint16_t i = 0; i < pod->demand.count; i++) {
		resource_id id = pod->demand.items[i].id;
		int64_t amount = pod->demand.items[i].amount;
		if (amount > resources_get(&spec->allocatable, id) - brute_used(node, pod, id))
			return false;
		if (id < RESOURCE_FIRST_OTHER)
			continue;
		const struct gpu_lane *lane = node_spec_lane(spec, id);
		gpus += amount;
		if (!lane || !brute_class_allows(fleet, pod, spec) || (lane->dtypes & dtypes) != dtypes)
			return false;
		if ((double)lane->memory_mib * 1048576.0 < (double)pod->gpu_memory_bytes * 0.93 - 1)
			return false;
	}
	return !(fleet->policy && pod->class_name && strcmp(pod->class_name, "only") == 0 && gpus > 4);
}

static size_t all_nodes(const struct fleet *fleet, struct node **nodes)
{
	size_t count = 0, cursor = 0;
	for (struct node *node; (node = map_next(&fleet->nodes, &cursor));)
		if (node->spec)
			nodes[count++] = node;
	return count;
}

static void compare(const struct fleet *fleet, const struct pod *pod)
{
	struct node *nodes[256];
	enum reason reasons[256];
	struct decision by_index, by_list;
	size_t count = all_nodes(fleet, nodes);
	decide_fleet(fleet, pod, &by_index);
	decide_among(fleet, pod, nodes, count, &by_list, reasons);
	assert_ptr_equal(by_index.node, by_list.node);
	assert_int_equal(by_index.reason, by_list.reason);
	assert_ptr_equal(by_index.class_, by_list.class_);
	if (by_list.node)
		assert_memory_equal(&by_index.score, &by_list.score, sizeof(by_list.score));
	for (size_t i = 0; i < count; i++) {
		struct score score;
		assert_int_equal(reasons[i] == REASON_CODE_FITS, brute_fits(fleet, pod, nodes[i]));
		assert_int_equal(decide_node(fleet, pod, nodes[i], &score), reasons[i]);
		if (reasons[i] != REASON_CODE_FITS)
			continue;
		for (int term = 0; term < SCORE_TERM_COUNT; term++)
			assert_true(score.terms[term] >= 0 && score.terms[term] <= 1);
		assert_true(score.total < by_list.score.total ||
		            (score.total == by_list.score.total && strcmp(by_list.node->name, nodes[i]->name) <= 0));
	}
}

static void change_something(struct fleet *fleet, struct prng *prng, struct pod **pods, size_t pod_count)
{
	char name[32];
	snprintf(name, sizeof(name), "n%lld", (long long)pick(prng, 60));
	struct pod *pod = pods[pick(prng, (int64_t)pod_count)];
	struct ledger_entry *entry = ledger_find(fleet, slice_of(pod->uid));
	struct decision decision;
	switch (pick(prng, 12)) {
	case 0:
		fleet_put_node(fleet, spec_random(fleet, prng, name));
		break;
	case 1:
		fleet_remove_node(fleet, slice_of(name));
		break;
	case 2:
	case 3:
	case 4:
		if (entry)
			ledger_release(fleet, entry);
		break;
	case 5:
		ledger_reserve(fleet, pod, slice_of(name), LEDGER_BOUND, one_in(prng, 2), 0, SECOND);
		break;
	default:
		decide_fleet(fleet, pod, &decision);
		if (decision.node)
			ledger_reserve(fleet, pod, slice_of(decision.node->name), LEDGER_ASSUMED, true, 0, SECOND);
	}
}

static void one_world(struct prng *prng, const struct policy *policy)
{
	struct fleet *fleet = fleet_new(&world_catalogue);
	struct pod *pods[80];
	if (policy)
		fleet_set_policy(fleet, policy);
	int64_t nodes = 1 + pick(prng, 60);
	for (int64_t i = 0; i < nodes; i++) {
		char name[32];
		snprintf(name, sizeof(name), "n%lld", (long long)i);
		fleet_put_node(fleet, spec_random(fleet, prng, name));
	}
	for (size_t i = 0; i < 80; i++) {
		char uid[32];
		snprintf(uid, sizeof(uid), "p%zu", i);
		pods[i] = pod_random(fleet, prng, uid);
	}
	for (int step = 0; step < 120; step++) {
		change_something(fleet, prng, pods, 80);
		compare(fleet, pods[pick(prng, 80)]);
	}
	fleet_free(fleet);
	for (size_t i = 0; i < 80; i++)
		pod_free(pods[i]);
}

static void same_as_over_all_nodes(void **state)
{
	(void)state;
	struct prng prng = prng_seeded("decide_fleet");
	struct policy *policy = policy_world();
	for (int world = 0; world < 120; world++) {
		/* Few different weights make many equal scores. */
		for (size_t i = 0; world % 2 && i < policy->class_count; i++)
			for (int term = 0; term < SCORE_TERM_COUNT; term++)
				policy->classes[i].weights[term] = (double)pick(&prng, 4) - 0.5 * one_in(&prng, 9);
		policy->classes[CLASS_SPREAD].spread_level = (int)pick(&prng, 2);
		one_world(&prng, one_in(&prng, 6) ? NULL : policy);
	}
	policy_free(policy);
}

/* The same nodes and entries, come by other ways: the same decisions. */
static void history_does_not_matter(void **state)
{
	(void)state;
	struct prng prng = prng_seeded("history");
	struct policy *policy = policy_world();
	for (int world = 0; world < 40; world++) {
		struct fleet *one = fleet_new(&world_catalogue), *other = fleet_new(&world_catalogue);
		uint64_t node_seed = prng_next(&prng), pod_seed = prng_next(&prng);
		fleet_set_policy(one, policy);
		id_of(one, "nvidia.com/gpu"), id_of(other, "nvidia.com/gpu");
		id_of(one, "nvidia.com/gpu.shared"), id_of(other, "nvidia.com/gpu.shared");
		id_of(one, "nvidia.com/mig-1g.10gb"), id_of(other, "nvidia.com/mig-1g.10gb");
		id_of(one, "amd.com/gpu"), id_of(other, "amd.com/gpu");
		for (int i = 0; i < 30; i++) {
			char name[32];
			snprintf(name, sizeof(name), "n%d", i);
			fleet_put_node(one, spec_random(one, &(struct prng){node_seed + (uint64_t)i}, name));
			snprintf(name, sizeof(name), "n%d", 29 - i);
			fleet_put_node(other, spec_random(other, &(struct prng){node_seed + 29 - (uint64_t)i}, name));
		}
		fleet_set_policy(other, policy);
		for (int i = 0; i < 60; i++) {
			char uid[32];
			struct decision first, second;
			snprintf(uid, sizeof(uid), "p%d", i);
			struct pod *pod = pod_random(one, &(struct prng){pod_seed + (uint64_t)i}, uid);
			decide_fleet(one, pod, &first);
			if (first.node) {
				/* Elsewhere first, then where it belongs. */
				ledger_reserve(one, pod, slice_of(first.node->name), LEDGER_ASSUMED, true, 0, SECOND);
				decide_fleet(other, pod, &second);
				assert_non_null(second.node);
				assert_string_equal(first.node->name, second.node->name);
				ledger_reserve(other, pod, slice_of("n7"), LEDGER_PLANNED, true, 0, SECOND);
				ledger_reserve(
				    other, pod, slice_of(second.node->name), LEDGER_ASSUMED, true, 0, SECOND);
			}
			pod_free(pod);
		}
		fleet_free(one);
		fleet_free(other);
	}
	policy_free(policy);
}

static void looks_at_few_nodes(void **state)
{
	(void)state;
	struct policy *policy = policy_world();
	struct fleet *fleet = fleet_new(&world_catalogue);
	struct decision decision;
	fleet_set_policy(fleet, policy);
	for (int i = 0; i < 2000; i++) {
		char name[32];
		snprintf(name, sizeof(name), "n%04d", i);
		fleet_put_node(fleet, spec_simple(fleet, name, i % 5, 8));
	}
	struct pod *gpu = pod_simple(fleet, "gpu", 1000, 2), *cpu = pod_simple(fleet, "cpu", 1000, 0);
	decide_fleet(fleet, gpu, &decision);
	assert_string_equal(decision.node->name, "n0003"); /* the first T4: all alike but for cost */
	assert_int_equal(decision.seen, 1);
	decide_fleet(fleet, cpu, &decision);
	assert_string_equal(decision.node->name, "n0004"); /* the first without GPUs */
	assert_int_equal(decision.seen, 1);
	pod_free(gpu);
	pod_free(cpu);
	fleet_free(fleet);
	policy_free(policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(same_as_over_all_nodes),
	    cmocka_unit_test(history_does_not_matter),
	    cmocka_unit_test(looks_at_few_nodes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
