/* Signals of load: what a value calls for, and headroom that follows it, at once upwards and late downwards. */
#include "berth/signal.h"

#include "world.h"

#include <math.h>

#include "berth/headroom.h"

#define HOLD (10 * SECOND)
#define STEPS 20000

static void test_what_a_value_calls_for(void **state)
{
	(void)state;
	static const struct {
		double per, value;
		int64_t gpus;
	} cases[] = {
	    {1, 0, 0},
	    {1, 7, 7},
	    {0.05, 1, 1},
	    {0.05, 20, 1},
	    {0.05, 20.5, 2},
	    {2, 3, 6},
	    {1, -5, 0},
	    {0, 100, 0},
	    {1, 1e18, SIGNAL_GPUS_MAX},
	    {1, (double)NAN, 0},
	    {1, (double)INFINITY, SIGNAL_GPUS_MAX},
	    {0, (double)INFINITY, 0},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct policy_signal signal = {.gpus_per = cases[i].per};
		assert_int_equal(signal_wants(&signal, cases[i].value), cases[i].gpus);
	}
	struct policy_signal signal = {.peak_above = 20};
	assert_false(signal_peaks(&signal, 20));
	assert_true(signal_peaks(&signal, 20.5));
	assert_false(signal_peaks(&signal, (double)NAN));
}

static void test_old_readings_say_nothing(void **state)
{
	(void)state;
	struct signal_reading reading = {.known = true, .value = 1, .at_ns = 100};
	assert_true(signal_fresh(&reading, 100, 50));
	assert_true(signal_fresh(&reading, 150, 50));
	assert_false(signal_fresh(&reading, 151, 50));
	assert_false(signal_fresh(&(struct signal_reading){.at_ns = 100}, 100, 50));
}

static void test_it_grows_at_once_and_shrinks_late(void **state)
{
	(void)state;
	struct signal_follow follow = {0};
	assert_int_equal(signal_follow_step(&follow, 8, 0, HOLD), 8);
	assert_int_equal(signal_follow_due(&follow, HOLD), INT64_MAX);
	assert_int_equal(signal_follow_step(&follow, 24, 1 * SECOND, HOLD), 24);
	assert_int_equal(signal_follow_step(&follow, 8, 2 * SECOND, HOLD), 24);
	assert_int_equal(signal_follow_due(&follow, HOLD), 12 * SECOND);
	assert_int_equal(signal_follow_step(&follow, 16, 6 * SECOND, HOLD), 24);
	assert_int_equal(signal_follow_step(&follow, 8, 11 * SECOND, HOLD), 24);
	assert_int_equal(signal_follow_step(&follow, 8, 12 * SECOND, HOLD), 16); /* the most since 2 s */
	assert_int_equal(signal_follow_step(&follow, 8, 21 * SECOND, HOLD), 16);
	assert_int_equal(signal_follow_step(&follow, 8, 22 * SECOND, HOLD), 8);
	assert_int_equal(signal_follow_due(&follow, HOLD), INT64_MAX);
	assert_int_equal(signal_follow_step(&follow, 0, 23 * SECOND, 0), 0); /* without a hold at once */
}

/* Whatever the signal does: never below what was wanted during the last hold, never above what was wanted during the
 * last two. */
static void test_any_signal(void **state)
{
	(void)state;
	struct prng prng = {.state = 7};
	struct signal_follow follow = {0};
	static int64_t wanted[STEPS];
	int64_t value = 0;
	unsigned grown = 0, shrunk = 0;
	for (int t = 0; t < STEPS; t++) {
		int64_t before = follow.floor, last = 0, longer = 0;
		if (pick(&prng, 4) == 0)
			value = pick(&prng, 3) == 0 ? 0 : pick(&prng, 100);
		wanted[t] = value;
		int64_t floor = signal_follow_step(&follow, value, t * SECOND, HOLD);
		for (int i = t; i >= 0 && i > t - 2 * (HOLD / SECOND) - 1; i--) {
			longer = wanted[i] > longer ? wanted[i] : longer;
			if (i > t - HOLD / SECOND)
				last = longer;
		}
		assert_true(floor >= last);
		assert_true(floor <= longer);
		grown += floor > before;
		shrunk += floor < before;
	}
	assert_true(grown > 100 && shrunk > 100);
}

/* --- headroom that follows --- */

static struct policy_headroom rule = {
    .for_ = CLASS_SPREAD, .pool = H100, .gpus = 8, .chunk = 8, .follows = 1, .follow_max = 32, .hold_ns = HOLD};

static struct ledger_entry *bind(struct fleet *fleet, const char *uid, int64_t gpus, const char *node)
{
	struct pod *pod = pod_simple(fleet, uid, 100, gpus);
	pod->class_name = fleet->policy->classes[CLASS_SPREAD].name;
	struct ledger_entry *entry = ledger_reserve(fleet, pod, slice_of(node), LEDGER_BOUND, true, 0, 0);
	pod_free(pod);
	return entry;
}

static int64_t held(struct fleet *fleet)
{
	headroom_place(fleet);
	return headroom_state_of(fleet, 0).held;
}

static void test_headroom_within_its_bounds(void **state)
{
	(void)state;
	struct fleet *fleet = fleet_new(&world_catalogue);
	struct policy *policy = policy_world();
	policy->headroom = &rule;
	policy->headroom_count = 1;
	fleet_set_policy(fleet, policy);
	for (int i = 0; i < 6; i++) {
		char name[16];
		snprintf(name, sizeof name, "n%d", i);
		fleet_put_node(fleet, spec_simple(fleet, name, H100, 8));
	}
	assert_int_equal(held(fleet), 8);
	assert_true(headroom_follow(fleet, 0, 12, 1, 0));
	assert_true(headroom_due(fleet));
	assert_int_equal(held(fleet), 16); /* 12, in whole chunks */
	assert_false(headroom_follow(fleet, 0, 12, 1, 1 * SECOND));
	assert_false(headroom_due(fleet));

	/* What comes after it was said is part of it: no more is kept as more is used. */
	struct ledger_entry *first = bind(fleet, "p0", 8, "n0");
	assert_false(headroom_follow(fleet, 0, 12, 1, 2 * SECOND));
	assert_int_equal(held(fleet), 8);
	assert_false(headroom_follow(fleet, 0, 4, 2, 2 * SECOND));
	assert_int_equal(headroom_state_of(fleet, 0).due, 12);

	assert_true(headroom_follow(fleet, 0, 1000, 3, 3 * SECOND));
	assert_int_equal(held(fleet), 24);
	assert_int_equal(headroom_state_of(fleet, 0).due, 32);

	/* Nothing is said any more: back to what the class uses after the hold, and to the rule's own after another. */
	assert_false(headroom_follow(fleet, 0, 0, 0, 4 * SECOND));
	assert_int_equal(held(fleet), 24);
	assert_false(headroom_follow(fleet, 0, 0, 0, 13 * SECOND));
	assert_true(headroom_follow(fleet, 0, 0, 0, 14 * SECOND));
	assert_int_equal(held(fleet), 0);
	struct ledger_entry *second = bind(fleet, "p1", 8, "n1");
	assert_true(headroom_follow(fleet, 0, 0, 0, 15 * SECOND));
	assert_int_equal(fleet->follows[0].floor, 16);
	ledger_release(fleet, second);
	ledger_release(fleet, first);
	assert_false(headroom_follow(fleet, 0, 0, 0, 16 * SECOND));
	assert_int_equal(held(fleet), 16);
	assert_true(headroom_follow(fleet, 0, 0, 0, 26 * SECOND));
	assert_int_equal(held(fleet), 8);

	/* Another policy knows nothing of it. */
	headroom_follow(fleet, 0, 20, 4, 27 * SECOND);
	assert_int_equal(held(fleet), 24);
	struct policy *other = policy_world();
	other->headroom = &rule;
	other->headroom_count = 1;
	fleet_set_policy(fleet, other);
	assert_int_equal(held(fleet), 8);
	fleet_free(fleet);
	policy_free(policy);
	policy_free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_a_value_calls_for),
	    cmocka_unit_test(test_old_readings_say_nothing),
	    cmocka_unit_test(test_it_grows_at_once_and_shrinks_late),
	    cmocka_unit_test(test_any_signal),
	    cmocka_unit_test(test_headroom_within_its_bounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
