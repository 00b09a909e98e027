#include "berth/survey.h"
#include "world.h"

static void put(struct fleet *fleet, const char *name, int model, const char *block, const char *rack)
{
	struct node_spec *spec = spec_simple(fleet, name, model, model == NO_GPUS ? 0 : 8);
	if (block)
		spec_label(spec, "block", block);
	if (rack)
		spec_label(spec, "rack", rack);
	fleet_put_node(fleet, spec);
}

static void check_row(const struct survey_row *row, int level, uint16_t pool, size_t domains, size_t inside,
    size_t outside, size_t cut_off, size_t smallest, size_t largest)
{
	assert_int_equal(row->level, level);
	assert_int_equal(row->pool, pool);
	assert_int_equal(row->domains, domains);
	assert_int_equal(row->inside, inside);
	assert_int_equal(row->outside, outside);
	assert_int_equal(row->cut_off, cut_off);
	assert_int_equal(row->smallest, smallest);
	assert_int_equal(row->largest, largest);
}

static void levels_are_counted_by_pool(void **state)
{
	(void)state;
	struct policy *policy = policy_world();
	struct fleet *fleet = fleet_new(&world_catalogue);
	struct survey survey;
	survey_make(fleet, &survey);
	assert_int_equal(survey.row_count, 0);
	survey_free(&survey);
	fleet_set_policy(fleet, policy);
	put(fleet, "a", H100, "b1", "r1");
	put(fleet, "b", H100, "b1", "r1");
	put(fleet, "c", H100, "b1", "r2");
	put(fleet, "d", H100, "b2", NULL);
	put(fleet, "e", H100, NULL, "r9");
	put(fleet, "f", L4, "b2", "r3");
	put(fleet, "g", L4, "b2", "r3");
	put(fleet, "h", NO_GPUS, NULL, NULL);
	survey_make(fleet, &survey);
	assert_int_equal(survey.problem_count, 0);
	assert_int_equal(survey.row_count, 6);
	check_row(&survey.rows[0], 0, H100, 2, 4, 1, 0, 1, 3);
	check_row(&survey.rows[1], 0, L4, 1, 2, 0, 0, 2, 2);
	check_row(&survey.rows[2], 0, POOL_NONE, 0, 0, 1, 0, 0, 0);
	check_row(&survey.rows[3], 1, H100, 2, 3, 2, 1, 1, 2);
	check_row(&survey.rows[4], 1, L4, 1, 2, 0, 0, 2, 2);
	check_row(&survey.rows[5], 1, POOL_NONE, 0, 0, 1, 0, 0, 0);
	survey_free(&survey);
	fleet_free(fleet);
	policy_free(policy);
}

static void what_looks_wrong_is_found(void **state)
{
	(void)state;
	struct policy *policy = policy_world();
	struct fleet *fleet = fleet_new(&world_catalogue);
	struct survey survey;
	fleet_set_policy(fleet, policy);
	put(fleet, "a", H100, "b1", "r1");
	put(fleet, "b", H100, "b1", "r2");
	put(fleet, "c", H100, "b2", "r1");
	put(fleet, "d", H100, "b2", "r2");
	put(fleet, "e", H100, "b3", "r1");
	put(fleet, "f", T4, "b1", NULL);
	put(fleet, "g", NO_GPUS, NULL, NULL);
	survey_make(fleet, &survey);
	assert_int_equal(survey.problem_count, 3);
	assert_int_equal(survey.problems[0].trouble, SURVEY_LEVEL_MISSING);
	assert_int_equal(survey.problems[0].level, 1);
	assert_int_equal(survey.problems[0].pool, T4);
	assert_int_equal(survey.problems[1].trouble, SURVEY_NAME_TWICE);
	assert_int_equal(survey.problems[1].level, 1);
	assert_int_equal(survey.problems[1].names, 2);
	assert_string_equal(topology_value(survey.problems[1].first), "r1");
	assert_string_equal(topology_value(topology_parent(survey.problems[1].first)), "b1");
	assert_string_equal(topology_value(topology_parent(survey.problems[1].other)), "b2");
	assert_int_equal(survey.problems[2].trouble, SURVEY_NOTHING_TOGETHER);
	assert_int_equal(survey.problems[2].level, 1);
	survey_free(&survey);
	fleet_free(fleet);
	policy_free(policy);
}

static void without_pools_all_nodes_are_asked_for_the_level(void **state)
{
	(void)state;
	struct policy *policy = policy_world();
	struct fleet *fleet = fleet_new(&world_catalogue);
	struct survey survey;
	policy->pool_count = 0;
	fleet_set_policy(fleet, policy);
	put(fleet, "a", H100, "b1", NULL);
	put(fleet, "b", H100, "b1", NULL);
	survey_make(fleet, &survey);
	assert_int_equal(survey.problem_count, 1);
	assert_int_equal(survey.problems[0].trouble, SURVEY_LEVEL_MISSING);
	assert_int_equal(survey.problems[0].level, 1);
	assert_int_equal(survey.problems[0].pool, POOL_NONE);
	survey_free(&survey);
	fleet_free(fleet);
	policy_free(policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(levels_are_counted_by_pool),
	    cmocka_unit_test(what_looks_wrong_is_found),
	    cmocka_unit_test(without_pools_all_nodes_are_asked_for_the_level),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
