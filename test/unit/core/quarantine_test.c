/* When a node is quarantined, and when it is not any more. */
#include "berth/quarantine.h"

#include "world.h"

#define MINUTE (60 * INT64_C(1000000000))
#define NOW (1000 * MINUTE)

static const struct policy_quarantine rules = {.after = 3, .within_ns = 10 * MINUTE, .release_ns = 60 * MINUTE};
static struct quarantine q;
static uint64_t starts;

static int begin(void **state)
{
	(void)state;
	q = (struct quarantine){0};
	starts = 0;
	return 0;
}

static int end(void **state)
{
	(void)state;
	quarantine_free(&q);
	return 0;
}

static struct slice node(void)
{
	return slice_of("n");
}

static enum quarantine_change fails(uint64_t owner, int64_t at)
{
	return quarantine_failed(
	    &q, &rules, node(), &(struct failed_start){.owner = owner, .start = ++starts, .at_ns = at}, at);
}

static void the_second_owner_decides_where_nothing_starts(void **state)
{
	(void)state;
	assert_int_equal(fails(1, NOW), QUARANTINE_COUNTED);
	assert_int_equal(fails(2, NOW + 1), QUARANTINE_BEGINS);
	assert_true(quarantine_holds(&q, node()));
	assert_int_equal(q.in_force, 1);
	assert_int_equal(quarantine_next(&q), NOW + 1 + rules.release_ns);
	assert_int_equal(fails(3, NOW + 2), QUARANTINE_COUNTED);
}

static void one_owner_never_does(void **state)
{
	(void)state;
	for (int i = 0; i < 3 * QUARANTINE_STARTS_MAX; i++)
		assert_int_equal(fails(1, NOW + i), QUARANTINE_COUNTED);
	assert_false(quarantine_holds(&q, node()));
	assert_int_equal(fails(2, NOW + 1000), QUARANTINE_BEGINS);
}

static void one_owner_s_many_do_not_hide_another_s(void **state)
{
	(void)state;
	fails(2, NOW);
	quarantine_started(&q, node(), NOW + 1);
	fails(1, NOW + 2);
	quarantine_started(&q, node(), NOW + 3);
	assert_int_equal(fails(1, NOW + 4), QUARANTINE_BEGINS);
	assert_int_equal(quarantine_find(&q, node())->failed, 3);
	assert_int_equal(quarantine_find(&q, node())->owners, 2);
}

static void where_others_start_so_many_must_fail(void **state)
{
	(void)state;
	assert_int_equal(fails(1, NOW), QUARANTINE_COUNTED);
	quarantine_started(&q, node(), NOW + 1);
	assert_int_equal(fails(2, NOW + 2), QUARANTINE_COUNTED);
	quarantine_started(&q, node(), NOW + 3);
	assert_int_equal(fails(3, NOW + 4), QUARANTINE_BEGINS);
}

static void a_start_is_counted_once(void **state)
{
	(void)state;
	struct failed_start failed = {.owner = 1, .start = 7, .at_ns = NOW};
	assert_int_equal(quarantine_failed(&q, &rules, node(), &failed, NOW), QUARANTINE_COUNTED);
	assert_int_equal(quarantine_failed(&q, &rules, node(), &failed, NOW), QUARANTINE_SAME);
}

static void what_failed_long_ago_does_not_count(void **state)
{
	(void)state;
	struct failed_start old = {.owner = 1, .start = 7, .at_ns = NOW - rules.within_ns};
	assert_int_equal(quarantine_failed(&q, &rules, node(), &old, NOW), QUARANTINE_SAME);
	assert_int_equal(fails(1, NOW), QUARANTINE_COUNTED);
	assert_int_equal(fails(2, NOW + rules.within_ns), QUARANTINE_COUNTED);
	assert_int_equal(fails(1, NOW + rules.within_ns + 1), QUARANTINE_BEGINS);
}

static void its_time_ends_it(void **state)
{
	(void)state;
	fails(1, NOW);
	fails(2, NOW);
	assert_null(quarantine_expire(&q, NOW + rules.release_ns - 1));
	assert_string_equal(quarantine_expire(&q, NOW + rules.release_ns)->name, "n");
	assert_null(quarantine_expire(&q, NOW + rules.release_ns));
	assert_int_equal(quarantine_next(&q), INT64_MAX);
	assert_false(quarantine_holds(&q, node()));
}

static void a_person_ends_it_and_what_failed_before_is_forgiven(void **state)
{
	(void)state;
	fails(1, NOW);
	fails(2, NOW);
	assert_false(quarantine_release(&q, node(), NOW - 1));
	assert_true(quarantine_release(&q, node(), NOW + MINUTE));
	assert_false(quarantine_release(&q, node(), NOW + MINUTE));
	assert_int_equal(q.in_force, 0);
	assert_int_equal(fails(3, NOW + MINUTE), QUARANTINE_SAME);
	assert_int_equal(fails(3, NOW + MINUTE + 1), QUARANTINE_COUNTED);
	assert_int_equal(fails(1, NOW + MINUTE + 2), QUARANTINE_BEGINS);
}

/* As a new process reads them where it lists pods before nodes. */
static void a_word_that_is_read_after_what_it_forgives(void **state)
{
	(void)state;
	const int64_t later = NOW + 2 * MINUTE;
	for (uint64_t i = 1; i <= 2; i++)
		quarantine_failed(&q, &rules, node(), &(struct failed_start){i, i, NOW}, later);
	assert_int_equal(q.in_force, 1);
	assert_true(quarantine_release(&q, node(), NOW + MINUTE));
	assert_int_equal(q.in_force, 0);
	/* One of these came after the word. */
	quarantine_failed(&q, &rules, node(), &(struct failed_start){3, 3, NOW + MINUTE + 1}, later);
	assert_int_equal(quarantine_failed(&q, &rules, node(), &(struct failed_start){4, 4, NOW + MINUTE + 2}, later),
	    QUARANTINE_BEGINS);
	assert_false(quarantine_release(&q, node(), NOW + MINUTE));
	assert_int_equal(q.in_force, 1);
}

static void what_was_kept_holds_unless_released(void **state)
{
	(void)state;
	const struct quarantine_node before = {
	    .name = (char *)"n", .since_ns = NOW + MINUTE, .until_ns = NOW + 2 * MINUTE, .failed = 4, .owners = 2};
	fails(1, NOW);
	assert_true(quarantine_restore(&q, &before, NOW + MINUTE));
	assert_false(quarantine_release(&q, node(), NOW + 1)); /* the process before knew that word */
	quarantine_forget(&q, node());
	struct quarantine_node kept = {
	    .name = (char *)"n", .since_ns = NOW, .until_ns = NOW + MINUTE, .failed = 4, .owners = 2};
	assert_false(quarantine_restore(&q, &kept, NOW + MINUTE));
	assert_true(quarantine_restore(&q, &kept, NOW + 1));
	assert_false(quarantine_restore(&q, &kept, NOW + 1));
	assert_int_equal(q.in_force, 1);
	assert_int_equal(quarantine_find(&q, node())->failed, 4);
	assert_true(quarantine_release(&q, node(), NOW + 2));
	assert_false(quarantine_restore(&q, &kept, NOW + 3));
}

static void rules_that_are_off_count_nothing(void **state)
{
	(void)state;
	struct policy_quarantine off = rules;
	off.after = 0;
	for (uint64_t i = 1; i < 9; i++)
		assert_int_equal(
		    quarantine_failed(&q, &off, node(), &(struct failed_start){i, i, NOW}, NOW), QUARANTINE_SAME);
	assert_int_equal(q.nodes.count, 0);
}

static void what_counts_no_more_is_forgotten(void **state)
{
	(void)state;
	fails(1, NOW);
	quarantine_sweep(&q, &rules, NOW + MINUTE);
	assert_int_equal(q.nodes.count, 1);
	quarantine_sweep(&q, &rules, NOW + rules.within_ns);
	assert_int_equal(q.nodes.count, 0);
	fails(1, NOW);
	fails(2, NOW);
	quarantine_sweep(&q, &rules, NOW + rules.within_ns);
	assert_true(quarantine_forget(&q, node()));
	assert_false(quarantine_forget(&q, node()));
	assert_int_equal(q.in_force, 0);
}

static void a_quarantined_node_takes_nothing(void **state)
{
	(void)state;
	struct fleet *fleet = fleet_new(&world_catalogue);
	struct policy *policy = policy_world();
	fleet_set_policy(fleet, policy);
	struct node *held = fleet_put_node(fleet, spec_simple(fleet, "n", H100, 8));
	struct pod *pod = pod_simple(fleet, "p", 1000, 1);
	fleet_take_improved(fleet);
	fleet_quarantine(fleet, held, true);
	assert_int_equal(decide_node(fleet, pod, held, NULL), REASON_CODE_NODE_QUARANTINED);
	assert_null(fleet_take_improved(fleet));
	held = fleet_put_node(fleet, spec_simple(fleet, "n", H100, 8));
	assert_int_equal(decide_node(fleet, pod, held, NULL), REASON_CODE_NODE_QUARANTINED);
	fleet_take_improved(fleet);
	fleet_quarantine(fleet, held, false);
	assert_int_equal(decide_node(fleet, pod, held, NULL), REASON_CODE_FITS);
	assert_ptr_equal(fleet_take_improved(fleet), held);
	pod_free(pod);
	fleet_free(fleet);
	policy_free(policy);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(the_second_owner_decides_where_nothing_starts),
	    TEST(one_owner_never_does),
	    TEST(one_owner_s_many_do_not_hide_another_s),
	    TEST(where_others_start_so_many_must_fail),
	    TEST(a_start_is_counted_once),
	    TEST(what_failed_long_ago_does_not_count),
	    TEST(its_time_ends_it),
	    TEST(a_person_ends_it_and_what_failed_before_is_forgiven),
	    TEST(a_word_that_is_read_after_what_it_forgives),
	    TEST(what_was_kept_holds_unless_released),
	    TEST(rules_that_are_off_count_nothing),
	    TEST(what_counts_no_more_is_forgotten),
	    TEST(a_quarantined_node_takes_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
