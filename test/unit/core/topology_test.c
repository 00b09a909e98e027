#include "berth/topology.h"
#include "world.h"

struct site {
	struct fleet *fleet;
	struct policy *policy;
};

static struct site site_new(void)
{
	struct site site = {fleet_new(&world_catalogue), policy_world()};
	fleet_set_policy(site.fleet, site.policy);
	return site;
}

static void site_free(struct site *site)
{
	fleet_free(site->fleet);
	policy_free(site->policy);
}

static struct node *put(struct site *site, const char *name, int model, const char *block, const char *rack)
{
	struct node_spec *spec = spec_simple(site->fleet, name, model, model == NO_GPUS ? 0 : 8);
	if (block)
		spec_label(spec, "block", block);
	if (rack)
		spec_label(spec, "rack", rack);
	return fleet_put_node(site->fleet, spec);
}

static const struct topology_domain *find(const struct site *site, const char *block, const char *rack)
{
	const char *values[] = {block, rack};
	return topology_find(site->fleet, values, rack ? 2 : 1);
}

static void racks_of_one_name_in_two_blocks_differ(void **state)
{
	(void)state;
	struct site site = site_new();
	struct node *a = put(&site, "a", H100, "b1", "r1"), *b = put(&site, "b", H100, "b2", "r1");
	char path[64];
	assert_ptr_not_equal(topology_domain_of(a, 1), topology_domain_of(b, 1));
	assert_ptr_equal(topology_domain_of(a, 1), find(&site, "b1", "r1"));
	assert_ptr_equal(topology_parent(find(&site, "b1", "r1")), find(&site, "b1", NULL));
	assert_ptr_equal(topology_parent(find(&site, "b1", NULL)), topology_root(site.fleet));
	assert_int_equal(topology_path(topology_domain_of(b, 1), path, sizeof(path)), 5);
	assert_string_equal(path, "b2/r1");
	assert_int_equal(topology_path(topology_domain_of(b, 1), path, 4), 5);
	assert_string_equal(path, "b2/");
	assert_int_equal(topology_path(topology_root(site.fleet), path, sizeof(path)), 0);
	assert_int_equal(topology_domains(site.fleet, 0), 2);
	assert_int_equal(topology_domains(site.fleet, 1), 2);
	site_free(&site);
}

static void domains_that_differ_behind_the_last_dot_may_be_one(void **state)
{
	(void)state;
	struct site site = site_new();
	site.policy->levels[1].up_to_last_dot = true;
	struct node *a = put(&site, "a", H100, "b1", "uuid.1"), *b = put(&site, "b", H100, "b1", "uuid.2");
	struct node *c = put(&site, "c", H100, "b1", "uuid"), *d = put(&site, "d", H100, "b1", "uui.1");
	assert_string_equal(topology_value(topology_domain_of(a, 1)), "uuid");
	assert_ptr_equal(topology_domain_of(a, 1), topology_domain_of(b, 1));
	assert_ptr_equal(topology_domain_of(a, 1), topology_domain_of(c, 1));
	assert_ptr_not_equal(topology_domain_of(a, 1), topology_domain_of(d, 1));
	assert_ptr_equal(find(&site, "b1", "uui"), topology_domain_of(d, 1));
	assert_int_equal(topology_nodes(find(&site, "b1", "uuid")), 3);
	put(&site, "a", H100, "b1", "uu.1");
	assert_ptr_equal(find(&site, "b1", "uu"), topology_domain_of(a, 1));
	assert_int_equal(topology_domains(site.fleet, 1), 3);
	site_free(&site);
}

static void nodes_without_a_label_are_outside_and_counted_by_pool(void **state)
{
	(void)state;
	struct site site = site_new();
	put(&site, "a", H100, "b1", "r1");
	struct node *no_rack = put(&site, "b", H100, "b1", NULL), *no_block = put(&site, "c", T4, NULL, "r1");
	put(&site, "d", NO_GPUS, NULL, NULL);
	assert_non_null(topology_domain_of(no_rack, 0));
	assert_null(topology_domain_of(no_rack, 1));
	assert_null(topology_domain_of(no_block, 0));
	assert_null(topology_domain_of(no_block, 1)); /* a rack of no block is in no domain */
	assert_int_equal(topology_inside(site.fleet, 0, H100), 2);
	assert_int_equal(topology_inside(site.fleet, 1, H100), 1);
	assert_int_equal(topology_outside(site.fleet, 1, H100), 1);
	assert_int_equal(topology_inside(site.fleet, 0, T4), 0);
	assert_int_equal(topology_outside(site.fleet, 0, T4), 1);
	assert_int_equal(topology_outside(site.fleet, 1, POOL_NONE), 1);
	assert_int_equal(topology_outside(site.fleet, 0, A100), 0);
	assert_int_equal(topology_nodes(topology_root(site.fleet)), 4);
	assert_int_equal(topology_nodes(find(&site, "b1", NULL)), 2);
	assert_int_equal(topology_pool_nodes(find(&site, "b1", NULL), H100), 2);
	assert_int_equal(topology_pool_nodes(find(&site, "b1", NULL), T4), 0);
	site_free(&site);
}

static void a_relabelled_node_moves_and_empty_domains_go(void **state)
{
	(void)state;
	struct site site = site_new();
	put(&site, "a", H100, "b1", "r1");
	put(&site, "b", H100, "b1", "r2");
	struct node *a = put(&site, "a", H100, "b1", "r2");
	assert_null(find(&site, "b1", "r1"));
	assert_ptr_equal(topology_domain_of(a, 1), find(&site, "b1", "r2"));
	assert_int_equal(topology_nodes(find(&site, "b1", "r2")), 2);
	assert_int_equal(topology_domains(site.fleet, 1), 1);
	fleet_remove_node(site.fleet, slice_of("a"));
	fleet_remove_node(site.fleet, slice_of("b"));
	assert_null(find(&site, "b1", NULL));
	assert_int_equal(topology_domains(site.fleet, 0), 0);
	assert_int_equal(topology_nodes(topology_root(site.fleet)), 0);
	site_free(&site);
}

static void a_node_that_pods_outlive_is_in_no_domain(void **state)
{
	(void)state;
	struct site site = site_new();
	struct node *node = put(&site, "a", H100, "b1", "r1");
	struct pod *pod = pod_simple(site.fleet, "p", 0, 1);
	ledger_reserve(site.fleet, pod, slice_of("a"), LEDGER_BOUND, true, 0, 0);
	fleet_remove_node(site.fleet, slice_of("a"));
	assert_ptr_equal(fleet_find(site.fleet, slice_of("a")), node);
	assert_null(topology_domain_of(node, 0));
	pod_free(pod);
	site_free(&site);
}

static void another_policy_has_another_tree(void **state)
{
	(void)state;
	struct site site = site_new();
	struct node *a = put(&site, "a", H100, "b1", "r1"), *b = put(&site, "b", H100, "b2", "r1");
	struct policy *other = policy_world();
	other->levels[0] = (struct policy_level){.name = "rack", .node_label = "rack"};
	other->level_count = 1;
	fleet_set_policy(site.fleet, other);
	assert_ptr_equal(topology_domain_of(a, 0), topology_domain_of(b, 0));
	assert_int_equal(topology_domains(site.fleet, 0), 1);
	assert_int_equal(topology_domains(site.fleet, 1), 0);
	site_free(&site);
	policy_free(other);
}

static void write_tree(const struct topology_domain *domain, char *text, size_t size)
{
	size_t count;
	struct node *const *own = topology_own_nodes(domain, &count);
	for (size_t i = 0; i < count; i++) {
		size_t at = strlen(text);
		snprintf(text + at, size - at, " %s", own[i]->name);
	}
	const struct topology_domain *child = topology_first_child(domain);
	for (; child; child = topology_next_child(child)) {
		size_t at = strlen(text);
		snprintf(text + at, size - at, " (%s", topology_value(child));
		write_tree(child, text, size);
		at = strlen(text);
		snprintf(text + at, size - at, ")");
	}
}

/* Nodes come, go and are relabelled at random: the tree is the one that a fleet has which was given the last state at
 * once. */
static void the_tree_does_not_depend_on_history(void **state)
{
	(void)state;
	static const char *const blocks[] = {NULL, "b1", "b2"}, *const racks[] = {NULL, "r1", "r2", "r3"};
	struct prng prng = prng_seeded("tree");
	for (int round = 0; round < 200; round++) {
		struct site old = site_new(), new = site_new();
		int block[6], rack[6], model[6];
		for (int i = 0; i < 6; i++)
			block[i] = -1;
		for (int change = 0; change < 30; change++) {
			int i = (int)pick(&prng, 6);
			char name[8];
			snprintf(name, sizeof(name), "n%d", i);
			block[i] = one_in(&prng, 4) ? -1 : (int)pick(&prng, 3);
			rack[i] = (int)pick(&prng, 4);
			model[i] = (int)pick(&prng, MODELS);
			if (block[i] < 0)
				fleet_remove_node(old.fleet, slice_of(name));
			else
				put(&old, name, model[i], blocks[block[i]], racks[rack[i]]);
		}
		for (int i = 5; i >= 0; i--) {
			char name[8];
			snprintf(name, sizeof(name), "n%d", i);
			if (block[i] >= 0)
				put(&new, name, model[i], blocks[block[i]], racks[rack[i]]);
		}
		char one[512] = "", two[512] = "";
		write_tree(topology_root(old.fleet), one, sizeof(one));
		write_tree(topology_root(new.fleet), two, sizeof(two));
		assert_string_equal(one, two);
		for (uint16_t pool = 0; pool < MODELS; pool++)
			for (int level = 0; level < 2; level++) {
				assert_int_equal(
				    topology_inside(old.fleet, level, pool), topology_inside(new.fleet, level, pool));
				assert_int_equal(
				    topology_outside(old.fleet, level, pool), topology_outside(new.fleet, level, pool));
			}
		site_free(&old);
		site_free(&new);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(racks_of_one_name_in_two_blocks_differ),
	    cmocka_unit_test(domains_that_differ_behind_the_last_dot_may_be_one),
	    cmocka_unit_test(nodes_without_a_label_are_outside_and_counted_by_pool),
	    cmocka_unit_test(a_relabelled_node_moves_and_empty_domains_go),
	    cmocka_unit_test(a_node_that_pods_outlive_is_in_no_domain),
	    cmocka_unit_test(another_policy_has_another_tree),
	    cmocka_unit_test(the_tree_does_not_depend_on_history),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
