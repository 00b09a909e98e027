#include "berth/plan.h"
#include "world.h"

#define PODS 128

/* Blocks b0, b1 …, racks r0, r1 … in them, nodes of 8 GPUs each. */
struct site {
	struct fleet *fleet;
	struct policy *policy;
	resource_id gpu;
	size_t pod_count;
	struct pod *pods[PODS];
	size_t member_count;
	struct plan_member members[PODS];
	struct plan_request request;
	struct plan plan;
};

static void begin(struct site *site)
{
	*site = (struct site){.fleet = fleet_new(&world_catalogue), .policy = policy_world()};
	site->gpu = id_of(site->fleet, "nvidia.com/gpu");
	site->request = (struct plan_request){.members = site->members, .topology = PLAN_ANYWHERE};
	fleet_set_policy(site->fleet, site->policy);
}

static void end(struct site *site)
{
	plan_free(&site->plan);
	fleet_free(site->fleet);
	policy_free(site->policy);
	for (size_t i = 0; i < site->pod_count; i++)
		pod_free(site->pods[i]);
}

static void add_node(struct site *site, const char *name, const char *block, const char *rack)
{
	struct node_spec *spec = spec_simple(site->fleet, name, H100, 8);
	spec_label(spec, "kubernetes.io/hostname", name);
	if (block)
		spec_label(spec, "block", block);
	if (rack)
		spec_label(spec, "rack", rack);
	fleet_put_node(site->fleet, spec);
}

/* Nodes PREFIX0 … in one rack. */
static void add_rack(struct site *site, const char *block, const char *rack, const char *prefix, int nodes)
{
	for (int i = 0; i < nodes; i++) {
		char name[32];
		snprintf(name, sizeof(name), "%s%02d", prefix, i);
		add_node(site, name, block, rack);
	}
}

static struct pod *keep(struct site *site, struct pod *pod)
{
	assert_true(site->pod_count < PODS);
	return site->pods[site->pod_count++] = pod;
}

static void occupy(struct site *site, const char *node, int64_t gpus)
{
	char uid[32];
	snprintf(uid, sizeof(uid), "taken-%zu", site->pod_count);
	struct pod *pod = keep(site, pod_simple(site->fleet, uid, 0, gpus));
	ledger_reserve(site->fleet, pod, slice_of(node), LEDGER_BOUND, true, 0, 0);
}

static struct pod *add_member(struct site *site, int64_t gpus)
{
	char uid[32];
	size_t at = site->member_count++;
	snprintf(uid, sizeof(uid), "m%03zu", at);
	struct pod *pod = keep(site, pod_simple(site->fleet, uid, 100, gpus));
	pod->labels.items[pod->labels.count++] = (struct label){"app", "train"};
	site->members[at] = (struct plan_member){.pod = pod, .rank = (int32_t)at};
	site->request.count = site->member_count;
	return pod;
}

static void add_members(struct site *site, size_t count, int64_t gpus)
{
	for (size_t i = 0; i < count; i++)
		add_member(site, gpus);
}

static enum reason plan(struct site *site)
{
	plan_free(&site->plan);
	plan_gang(site->fleet, &site->request, &site->plan);
	return site->plan.reason;
}

static const char *where(const struct site *site, size_t member)
{
	return site->plan.nodes[member] ? site->plan.nodes[member]->name : "-";
}

static const char *label_of(const struct site *site, size_t member, const char *key)
{
	return labels_get(&site->plan.nodes[member]->spec->labels, key);
}

static void assert_all_on(const struct site *site, const char *key, const char *value)
{
	for (size_t i = 0; i < site->member_count; i++)
		assert_string_equal(label_of(site, i, key), value);
}

static struct pod_term *term_on(struct pod *pod, const char *topology_key)
{
	struct pod_term *term = arena_calloc(&pod->arena, 1, sizeof(*term));
	struct node_term selects = term_of(&pod->arena, "app", SELECTOR_IN, "train");
	*term = (struct pod_term){.topology_key = topology_key, .selector = selects.expressions};
	return term;
}

/* ---- which domain ---- */

static void one_host_before_one_rack_before_one_block(void **state)
{
	(void)state;
	struct site site;
	char path[32];
	begin(&site);
	add_rack(&site, "b0", "r0", "a", 2);
	add_rack(&site, "b0", "r1", "b", 2);
	add_rack(&site, "b1", "r0", "c", 4);
	add_members(&site, 2, 4);
	assert_int_equal(plan(&site), REASON_CODE_FITS);
	assert_int_equal(site.plan.level, TOPOLOGY_HOST);
	assert_int_equal(site.plan.score.levels_crossed, 0);
	add_members(&site, 2, 4);
	assert_int_equal(plan(&site), REASON_CODE_FITS);
	assert_int_equal(site.plan.score.levels_crossed, 1);
	topology_path(site.plan.domain, path, sizeof(path));
	assert_string_equal(path, "b0/r0"); /* two of two: no larger rack is broken into */
	add_members(&site, 4, 8);
	assert_int_equal(plan(&site), REASON_CODE_FITS);
	assert_int_equal(site.plan.score.levels_crossed, 3);
	assert_int_equal(site.plan.level, TOPOLOGY_ROOT);
	assert_int_equal(site.plan.placed, 8);
	end(&site);
}

static void broken_blocks_are_broken_further(void **state)
{
	(void)state;
	struct site site;
	begin(&site);
	add_rack(&site, "b0", "r0", "a", 4);
	add_rack(&site, "b0", "r1", "b", 4);
	add_rack(&site, "b1", "r0", "c", 8);
	occupy(&site, "c00", 8);
	add_members(&site, 4, 8);
	assert_int_equal(plan(&site), REASON_CODE_FITS);
	assert_all_on(&site, "block", "b1");
	assert_int_equal(site.plan.score.block_destroyed, 1);
	end(&site);
}

static void the_smallest_free_block_that_does_is_taken(void **state)
{
	(void)state;
	struct site site;
	begin(&site);
	add_rack(&site, "b0", "r0", "a", 8);
	add_rack(&site, "b1", "r0", "b", 3);
	add_rack(&site, "b2", "r0", "c", 4);
	add_members(&site, 3, 8);
	assert_int_equal(plan(&site), REASON_CODE_FITS);
	assert_all_on(&site, "block", "b1");
	assert_int_equal(site.plan.score.block_destroyed, 3);
	end(&site);
}

static void a_required_level_without_room_is_explained(void **state)
{
	(void)state;
	struct site site;
	begin(&site);
	add_rack(&site, "b0", "r0", "a", 3);
	add_rack(&site, "b0", "r1", "b", 2);
	occupy(&site, "b01", 4);
	add_members(&site, 4, 8);
	site.request.topology.require = 1;
	assert_int_equal(plan(&site), REASON_CODE_GANG_NO_DOMAIN);
	assert_int_equal(site.plan.placed, 0);
	assert_null(site.plan.nodes[0]);
	assert_int_equal(site.plan.level_count, 3);
	assert_string_equal(topology_value(site.plan.levels[1].domain), "r0");
	assert_int_equal(site.plan.levels[1].takes, 3);
	assert_int_equal(site.plan.levels[1].lacks, 1);
	assert_int_equal(site.plan.levels[0].takes, 4);
	assert_string_equal(site.plan.levels[2].host->name, "a00");
	assert_int_equal(topology_level(site.plan.fleet.domain), TOPOLOGY_ROOT);
	assert_int_equal(site.plan.fleet.takes, 4);
	assert_int_equal(site.plan.fleet.lacks, 0);
	assert_int_equal(site.plan.blocking, 3);
	assert_int_equal(site.plan.blocking_reason, REASON_CODE_NO_GPU);
	assert_true(site.plan.lacks_resource);
	assert_int_equal(site.plan.blocking_resource, site.gpu);
	add_members(&site, 1, 8);
	assert_int_equal(plan(&site), REASON_CODE_GANG_NO_ROOM);
	end(&site);
}

static void a_level_nobody_carries_is_missing(void **state)
{
	(void)state;
	struct site site;
	begin(&site);
	add_node(&site, "a", "b0", NULL);
	add_node(&site, "b", NULL, "r0");
	add_members(&site, 1, 1);
	site.request.topology.require = 1;
	assert_int_equal(plan(&site), REASON_CODE_LEVEL_MISSING);
	assert_int_equal(site.plan.unlabelled, 2);
	site.request.topology.require = 0;
	assert_int_equal(plan(&site), REASON_CODE_FITS);
	assert_string_equal(where(&site, 0), "a"); /* the other is outside every block */
	site.request.topology.require = 5;
	assert_int_equal(plan(&site), REASON_CODE_LEVEL_MISSING);
	end(&site);
}

static void a_member_that_fits_nowhere_says_why(void **state)
{
	(void)state;
	struct site site;
	begin(&site);
	add_rack(&site, "b0", "r0", "a", 2);
	add_members(&site, 2, 4);
	add_member(&site, 9);
	assert_int_equal(plan(&site), REASON_CODE_TOO_LARGE);
	assert_int_equal(site.plan.blocking, 2);
	site.pods[2]->class_name = "unknown";
	assert_int_equal(plan(&site), REASON_CODE_CLASS_UNKNOWN);
	assert_int_equal(site.plan.blocking, 2);
	end(&site);
}

/* ---- parts of a gang ---- */

static void an_elastic_gang_takes_what_fits(void **state)
{
	(void)state;
	struct site site;
	begin(&site);
	add_rack(&site, "b0", "r0", "a", 5);
	add_rack(&site, "b1", "r0", "b", 3);
	add_members(&site, 20, 8);
	site.request.quorum = 4;
	assert_int_equal(plan(&site), REASON_CODE_FITS);
	assert_int_equal(site.plan.placed, 8);
	assert_int_equal(site.plan.score.left_out, 12);
	assert_non_null(site.plan.nodes[7]); /* the lowest ranks */
	assert_null(site.plan.nodes[8]);
	site.request.topology.require = 1;
	assert_int_equal(plan(&site), REASON_CODE_FITS);
	assert_int_equal(site.plan.placed, 5);
	site.request.quorum = 6;
	assert_int_equal(plan(&site), REASON_CODE_GANG_NO_DOMAIN);
	end(&site);
}

static void sub_groups_have_domains_of_their_own(void **state)
{
	(void)state;
	struct site site;
	struct plan_group groups[2] = {{"prefill", 0, PLAN_ANYWHERE}, {"decode", 0, PLAN_ANYWHERE}};
	begin(&site);
	add_rack(&site, "b0", "r0", "a", 3);
	add_rack(&site, "b0", "r1", "b", 4);
	add_rack(&site, "b1", "r0", "c", 3);
	add_rack(&site, "b1", "r1", "d", 3);
	add_members(&site, 7, 8);
	for (size_t i = 3; i < 7; i++)
		site.members[i].group = 1;
	groups[0].topology.require = groups[1].topology.require = 1;
	site.request.groups = groups;
	site.request.group_count = 2;
	site.request.topology.require = 0;
	assert_int_equal(plan(&site), REASON_CODE_FITS);
	assert_all_on(&site, "block", "b0");
	for (size_t i = 0; i < 7; i++)
		assert_string_equal(label_of(&site, i, "rack"), i < 3 ? "r0" : "r1");
	end(&site);
}

static void runs_of_ranks_stay_in_one_rack(void **state)
{
	(void)state;
	struct site site;
	begin(&site);
	for (int rack = 0; rack < 6; rack++) {
		char name[8], prefix[8];
		snprintf(name, sizeof(name), "r%d", rack);
		snprintf(prefix, sizeof(prefix), "%c", 'a' + rack);
		add_rack(&site, "b0", name, prefix, 5);
	}
	add_members(&site, 24, 8);
	site.request.topology.segment = 4;
	site.request.topology.segment_level = 1;
	assert_int_equal(plan(&site), REASON_CODE_FITS);
	for (size_t i = 0; i < 24; i++)
		assert_string_equal(label_of(&site, i, "rack"), label_of(&site, i / 4 * 4, "rack"));
	add_members(&site, 1, 8); /* one node is left in each rack */
	assert_int_equal(plan(&site), REASON_CODE_FITS);
	add_members(&site, 1, 8); /* a run of two has no rack */
	assert_int_equal(plan(&site), REASON_CODE_GANG_NO_DOMAIN);
	end(&site);
}

static void neighbouring_ranks_are_neighbours(void **state)
{
	(void)state;
	struct site site;
	size_t changes = 0;
	begin(&site);
	add_rack(&site, "b0", "r0", "a", 6);
	add_rack(&site, "b0", "r1", "b", 6);
	add_rack(&site, "b1", "r0", "c", 6);
	occupy(&site, "a02", 6);
	occupy(&site, "c01", 4);
	add_members(&site, 60, 2);
	assert_int_equal(plan(&site), REASON_CODE_FITS);
	for (size_t i = 1; i < 60; i++)
		changes += topology_domain_of(site.plan.nodes[i], 1) != topology_domain_of(site.plan.nodes[i - 1], 1);
	assert_int_equal(changes, 2);
	end(&site);
}

static void a_leader_of_another_shape_begins_near_its_workers(void **state)
{
	(void)state;
	struct site site;
	begin(&site);
	add_rack(&site, "b0", "r0", "a", 4);
	add_rack(&site, "b0", "r1", "b", 4);
	add_member(&site, 0);
	add_members(&site, 7, 8);
	assert_int_equal(plan(&site), REASON_CODE_FITS);
	assert_string_equal(label_of(&site, 0, "rack"), label_of(&site, 1, "rack"));
	assert_int_equal(
	    site.plan.score.domains_used, 1 + 2 + 7); /* a block, its racks, no host for the leader alone */
	end(&site);
}

/* ---- what members ask of one another ---- */

static void hosts_apart(void **state)
{
	(void)state;
	struct site site;
	begin(&site);
	add_rack(&site, "b0", "r0", "a", 40);
	add_rack(&site, "b0", "r1", "b", 40);
	for (size_t i = 0; i < 64; i++) {
		struct pod *pod = add_member(&site, 1);
		pod->anti_affinity_count = 1;
		pod->anti_affinity = term_on(pod, "kubernetes.io/hostname");
	}
	assert_int_equal(plan(&site), REASON_CODE_FITS);
	for (size_t i = 1; i < 64; i++)
		for (size_t other = 0; other < i; other++)
			assert_ptr_not_equal(site.plan.nodes[i], site.plan.nodes[other]);
	assert_int_equal(site.plan.score.levels_crossed, 2);
	site.request.topology.require = 1;
	assert_int_equal(plan(&site), REASON_CODE_GANG_CONSTRAINTS);
	end(&site);
}

static void spread_over_blocks(void **state)
{
	(void)state;
	struct site site;
	size_t in[2] = {0, 0};
	begin(&site);
	add_rack(&site, "b0", "r0", "a", 6);
	add_rack(&site, "b1", "r0", "b", 6);
	for (size_t i = 0; i < 30; i++) {
		struct pod *pod = add_member(&site, 2);
		struct pod_term *term = term_on(pod, "block");
		pod->spread_count = 1;
		pod->spread = arena_calloc(&pod->arena, 1, sizeof(*pod->spread));
		*pod->spread = (struct spread_constraint){
		    .topology_key = "block", .max_skew = 2, .min_domains = 1, .selector = term->selector};
	}
	assert_int_equal(plan(&site), REASON_CODE_FITS);
	for (size_t i = 0; i < 30; i++)
		in[label_of(&site, i, "block")[1] - '0']++;
	assert_true(in[0] >= 14 && in[1] >= 14);
	site.pods[0]->spread->min_domains = 3; /* of one member: never more than two in a block, counted from none */
	assert_int_equal(plan(&site), REASON_CODE_FITS);
	assert_int_equal(site.plan.order[0], 0);
	for (size_t i = 1; i < 30; i++)
		site.pods[i]->spread->min_domains = 3;
	assert_int_equal(plan(&site), REASON_CODE_GANG_CONSTRAINTS);
	end(&site);
}

/* Two racks would hold three each; all six must be where the first is. */
static void together_by_affinity(void **state)
{
	(void)state;
	struct site site;
	begin(&site);
	add_rack(&site, "b0", "r0", "a", 3);
	add_rack(&site, "b0", "r1", "b", 6);
	occupy(&site, "b01", 1);
	for (size_t i = 0; i < 40; i++) {
		struct pod *pod = add_member(&site, 1);
		pod->affinity_count = 1;
		pod->affinity = term_on(pod, "rack");
	}
	assert_int_equal(plan(&site), REASON_CODE_FITS);
	assert_all_on(&site, "rack", "r1");
	add_members(&site, 8, 1);
	for (size_t i = 40; i < 48; i++) {
		struct pod *pod = (struct pod *)(uintptr_t)site.members[i].pod;
		pod->affinity_count = 1;
		pod->affinity = term_on(pod, "rack");
	}
	assert_int_equal(plan(&site), REASON_CODE_GANG_CONSTRAINTS);
	end(&site);
}

static void bound_pods_keep_members_away(void **state)
{
	(void)state;
	struct site site;
	begin(&site);
	add_rack(&site, "b0", "r0", "a", 2);
	struct pod *other = keep(&site, pod_simple(site.fleet, "other", 0, 1));
	other->labels.items[other->labels.count++] = (struct label){"app", "train"};
	ledger_reserve(site.fleet, other, slice_of("a00"), LEDGER_BOUND, true, 0, 0);
	struct pod *pod = add_member(&site, 1);
	pod->anti_affinity_count = 1;
	pod->anti_affinity = term_on(pod, "kubernetes.io/hostname");
	assert_int_equal(plan(&site), REASON_CODE_FITS);
	assert_string_equal(where(&site, 0), "a01");
	pod->anti_affinity->topology_key = "rack";
	assert_int_equal(plan(&site), REASON_CODE_GANG_CONSTRAINTS);
	end(&site);
}

static void volumes_bind_to_their_zone(void **state)
{
	(void)state;
	struct site site;
	begin(&site);
	add_rack(&site, "b0", "r0", "a", 4);
	add_rack(&site, "b1", "r0", "b", 4);
	for (size_t i = 0; i < 4; i++) {
		struct pod *pod = add_member(&site, 4);
		pod->volume_count = 1;
		pod->volumes = arena_calloc(&pod->arena, 1, sizeof(*pod->volumes));
		pod->volumes->count = 1;
		pod->volumes->terms = arena_calloc(&pod->arena, 1, sizeof(*pod->volumes->terms));
		pod->volumes->terms[0] = term_of(&pod->arena, "block", SELECTOR_IN, i % 2 ? "b1" : "b0");
	}
	assert_int_equal(plan(&site), REASON_CODE_FITS);
	for (size_t i = 0; i < 4; i++)
		assert_string_equal(label_of(&site, i, "block"), i % 2 ? "b1" : "b0");
	end(&site);
}

/* ---- what is there already ---- */

static void a_replacement_comes_near_its_peers(void **state)
{
	(void)state;
	struct site site;
	begin(&site);
	add_rack(&site, "b0", "r0", "a", 4);
	add_rack(&site, "b1", "r0", "b", 4);
	add_members(&site, 3, 8);
	for (size_t i = 0; i < 2; i++) {
		ledger_reserve(site.fleet, site.members[i].pod, slice_of(i ? "b02" : "b01"), LEDGER_BOUND, true, 0, 0);
		site.members[i].fixed = fleet_find(site.fleet, slice_of(i ? "b02" : "b01"));
	}
	assert_int_equal(plan(&site), REASON_CODE_FITS);
	assert_string_equal(where(&site, 0), "b01");
	assert_string_equal(where(&site, 1), "b02");
	assert_string_equal(where(&site, 2), "b00");
	assert_int_equal(site.plan.order[2], 2);
	end(&site);
}

static void its_own_entries_do_not_stand_in_the_way(void **state)
{
	(void)state;
	struct site site;
	begin(&site);
	add_rack(&site, "b0", "r0", "a", 2);
	add_members(&site, 2, 8);
	for (size_t i = 0; i < 2; i++)
		ledger_reserve(site.fleet, site.members[i].pod, slice_of("a00"), LEDGER_PLANNED, true, 0, SECOND);
	assert_int_equal(plan(&site), REASON_CODE_FITS);
	assert_string_equal(where(&site, 0), "a00");
	assert_string_equal(where(&site, 1), "a01");
	end(&site);
}

static void refused_nodes_are_left_out(void **state)
{
	(void)state;
	struct site site;
	const char *refused[] = {"a00", "a01"}, *feasible[] = {"a03", "gone"};
	begin(&site);
	add_rack(&site, "b0", "r0", "a", 4);
	add_members(&site, 2, 8);
	site.members[0].never = (struct plan_names){2, refused};
	site.members[1].only = (struct plan_names){2, feasible};
	site.members[1].limited = true;
	assert_int_equal(plan(&site), REASON_CODE_FITS);
	assert_string_equal(where(&site, 0), "a02");
	assert_string_equal(where(&site, 1), "a03");
	site.members[1].only.count = 0;
	assert_int_equal(plan(&site), REASON_CODE_NODE_SELECTOR);
	end(&site);
}

static void a_plan_made_aside_is_checked(void **state)
{
	(void)state;
	struct site site;
	begin(&site);
	add_rack(&site, "b0", "r0", "a", 3);
	add_members(&site, 2, 8);
	struct plan_problem *problem = plan_prepare(site.fleet, &site.request);
	occupy(&site, "a02", 8);
	plan_solve(problem);
	plan_finish(site.fleet, problem, &site.plan);
	assert_int_equal(site.plan.reason, REASON_CODE_FITS);
	assert_string_equal(where(&site, 1), "a01");
	plan_free(&site.plan);
	problem = plan_prepare(site.fleet, &site.request);
	fleet_remove_node(site.fleet, slice_of("a01"));
	plan_solve(problem);
	plan_finish(site.fleet, problem, &site.plan);
	assert_int_equal(site.plan.reason, REASON_CODE_PLAN_OVERTAKEN);
	assert_null(site.plan.nodes[0]);
	plan_free(&site.plan);
	site.request.topology.require = TOPOLOGY_HOST;
	problem = plan_prepare(site.fleet, &site.request);
	fleet_remove_node(site.fleet, slice_of("a00")); /* and its rack with it, but for the one in use */
	plan_solve(problem);
	plan_finish(site.fleet, problem, &site.plan);
	assert_int_equal(site.plan.reason, REASON_CODE_GANG_NO_ROOM);
	assert_int_equal(site.plan.levels[2].takes, 1);
	assert_null(site.plan.levels[2].host);
	assert_null(site.plan.levels[1].domain);
	end(&site);
}

static void nobody_is_a_plan(void **state)
{
	(void)state;
	struct site site;
	begin(&site);
	assert_int_equal(plan(&site), REASON_CODE_FITS);
	add_members(&site, 1, 1);
	assert_int_equal(plan(&site), REASON_CODE_NO_CANDIDATES);
	end(&site);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_host_before_one_rack_before_one_block),
	    cmocka_unit_test(broken_blocks_are_broken_further),
	    cmocka_unit_test(the_smallest_free_block_that_does_is_taken),
	    cmocka_unit_test(a_required_level_without_room_is_explained),
	    cmocka_unit_test(a_level_nobody_carries_is_missing),
	    cmocka_unit_test(a_member_that_fits_nowhere_says_why),
	    cmocka_unit_test(an_elastic_gang_takes_what_fits),
	    cmocka_unit_test(sub_groups_have_domains_of_their_own),
	    cmocka_unit_test(runs_of_ranks_stay_in_one_rack),
	    cmocka_unit_test(neighbouring_ranks_are_neighbours),
	    cmocka_unit_test(a_leader_of_another_shape_begins_near_its_workers),
	    cmocka_unit_test(hosts_apart),
	    cmocka_unit_test(spread_over_blocks),
	    cmocka_unit_test(together_by_affinity),
	    cmocka_unit_test(bound_pods_keep_members_away),
	    cmocka_unit_test(volumes_bind_to_their_zone),
	    cmocka_unit_test(a_replacement_comes_near_its_peers),
	    cmocka_unit_test(its_own_entries_do_not_stand_in_the_way),
	    cmocka_unit_test(refused_nodes_are_left_out),
	    cmocka_unit_test(a_plan_made_aside_is_checked),
	    cmocka_unit_test(nobody_is_a_plan),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
