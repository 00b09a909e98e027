/* The steps of a move: driven phase by phase, and by random facts. */
#include "berth/move.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define SECOND INT64_C(1000000000)

/* A move for 3 pods with a notice of 10 s, whose units' pods have 30 s to end. */
static struct move_steps begun(void)
{
	struct move_steps steps;
	move_begin(&steps, false, 10 * SECOND, 30 * SECOND, 0);
	return steps;
}

/* The same without a notice. */
static struct move_steps plain(void)
{
	struct move_steps steps;
	move_begin(&steps, false, 0, 30 * SECOND, 11 * SECOND);
	return steps;
}

static struct move_facts waiting(int64_t now_s)
{
	return (struct move_facts){.now_ns = now_s * SECOND, .act = true, .wanting = 3};
}

/* One step, to this phase. */
static void goes(struct move_steps *steps, const struct move_facts *facts, enum move_phase due)
{
	enum move_todo todo = move_step(steps, facts);
	if (todo != MOVE_BEGIN || steps->phase != due)
		fail_msg("to %s by %d, not to %s", move_phase_name(steps->phase), (int)todo, move_phase_name(due));
}

static void stays(struct move_steps *steps, const struct move_facts *facts)
{
	enum move_phase phase = steps->phase;
	assert_int_equal(move_step(steps, facts), MOVE_WAIT);
	assert_int_equal(steps->phase, phase);
}

static void to(struct move_steps *steps, enum move_phase phase)
{
	struct move_facts facts = waiting(11);
	facts.node = phase > MOVE_TAINT ? MOVE_NODE_TAINTED : MOVE_NODE_OPEN;
	for (int i = 0; steps->phase != phase && i < MOVE_OVER; i++)
		move_step(steps, &facts);
	assert_int_equal(steps->phase, phase);
}

static void test_all_the_way(void **state)
{
	(void)state;
	struct move_steps steps = begun();
	struct move_facts facts = waiting(0);
	facts.busy = true;
	stays(&steps, &facts); /* its record is being written */
	facts.busy = false;
	goes(&steps, &facts, MOVE_DRY_RUN);
	goes(&steps, &facts, MOVE_NOTICE);
	goes(&steps, &facts, MOVE_GRACE);
	stays(&steps, &facts);
	facts.now_ns = 10 * SECOND;
	goes(&steps, &facts, MOVE_DRY_RUN);
	goes(&steps, &facts, MOVE_EVICT);
	goes(&steps, &facts, MOVE_SUSPEND);
	goes(&steps, &facts, MOVE_EMPTY);
	facts.suspended = 2;
	facts.pods_left = 1;
	stays(&steps, &facts);
	facts.pods_left = 0;
	goes(&steps, &facts, MOVE_BIND);
	assert_true(move_holds(&steps));
	facts.wanting = 1, facts.bound = 2;
	stays(&steps, &facts);
	facts.wanting = 0, facts.bound = 3;
	goes(&steps, &facts, MOVE_LENT);
	assert_false(move_holds(&steps));
	stays(&steps, &facts);
	facts.quiet = true;
	goes(&steps, &facts, MOVE_RETURN);
	facts.quiet = false; /* a second peak */
	goes(&steps, &facts, MOVE_LENT);
	facts.quiet = true;
	goes(&steps, &facts, MOVE_RETURN);
	facts.suspended = 0;
	goes(&steps, &facts, MOVE_ERASE);
	facts.failed = true;
	stays(&steps, &facts);
	facts.now_ns += MOVE_AGAIN_NS;
	assert_int_equal(move_step(&steps, &facts), MOVE_AGAIN);
	facts.failed = false;
	goes(&steps, &facts, MOVE_OVER);
	stays(&steps, &facts);
}

static void test_without_notice_and_without_suspensions(void **state)
{
	(void)state;
	struct move_steps steps;
	struct move_facts facts = waiting(0);
	move_begin(&steps, false, 0, 0, 0);
	goes(&steps, &facts, MOVE_DRY_RUN);
	to(&steps, MOVE_BIND);
	facts.wanting = 0, facts.bound = 3;
	goes(&steps, &facts, MOVE_ERASE);
}

static void test_a_refusal_comes_before_the_notice(void **state)
{
	(void)state;
	struct move_steps steps = begun();
	struct move_facts facts = waiting(0);
	to(&steps, MOVE_DRY_RUN);
	facts.refused = true;
	goes(&steps, &facts, MOVE_RETURN);
	assert_false(steps.told);
}

/* Whatever is refused, what was suspended returns, and nobody is waited for. */
static void test_a_refusal_stops_it(void **state)
{
	(void)state;
	static const enum move_phase phases[] = {MOVE_RECORD, MOVE_DRY_RUN, MOVE_EVICT, MOVE_SUSPEND};
	for (size_t i = 0; i < sizeof phases / sizeof *phases; i++) {
		struct move_steps steps = plain();
		struct move_facts facts = waiting(11);
		to(&steps, phases[i]);
		facts.refused = facts.busy = true;
		stays(&steps, &facts); /* another act of it is under way */
		facts.busy = false;
		goes(&steps, &facts, MOVE_RETURN);
		assert_int_equal(steps.stop, MOVE_STOP_REFUSED);
		facts.suspended = 1;
		stays(&steps, &facts);
		assert_int_equal(steps.phase, MOVE_RETURN); /* though the peak is not over */
		facts.suspended = 0;
		goes(&steps, &facts, MOVE_ERASE);
	}
}

static void test_a_failure_is_tried_again_for_a_while(void **state)
{
	(void)state;
	struct move_steps steps = plain();
	struct move_facts facts = waiting(11);
	to(&steps, MOVE_SUSPEND);
	facts.failed = true;
	stays(&steps, &facts);
	facts.now_ns += MOVE_AGAIN_NS;
	assert_int_equal(move_step(&steps, &facts), MOVE_AGAIN);
	assert_int_equal(steps.phase, MOVE_SUSPEND);
	facts.now_ns += MOVE_ACT_NS;
	goes(&steps, &facts, MOVE_RETURN);
	assert_int_equal(steps.stop, MOVE_STOP_FAILED);
}

static void test_pods_that_do_not_end(void **state)
{
	(void)state;
	struct move_steps steps = plain();
	struct move_facts facts = waiting(11);
	to(&steps, MOVE_EMPTY);
	facts.pods_left = 1;
	facts.now_ns += 30 * SECOND + MOVE_STUCK_NS - 1;
	stays(&steps, &facts);
	facts.now_ns++;
	goes(&steps, &facts, MOVE_RETURN);
	assert_int_equal(steps.stop, MOVE_STOP_STUCK);
}

static void test_somebody_resumes_what_is_to_end(void **state)
{
	(void)state;
	struct move_steps steps = plain();
	struct move_facts facts = waiting(11);
	to(&steps, MOVE_EMPTY);
	facts.resumed = true; /* whether its pods count any more or not */
	goes(&steps, &facts, MOVE_RETURN);
	assert_int_equal(steps.stop, MOVE_STOP_RESUMED);
}

static void test_nobody_waits_any_more(void **state)
{
	(void)state;
	for (enum move_phase phase = MOVE_RECORD; phase <= MOVE_BIND; phase++) {
		bool told = phase == MOVE_GRACE || phase == MOVE_NOTICE;
		struct move_steps steps = told ? begun() : plain();
		struct move_facts facts = waiting(11);
		steps.cuts = phase == MOVE_TAINT || phase == MOVE_CUT;
		to(&steps, phase);
		facts.wanting = 0;
		goes(&steps, &facts, MOVE_RETURN);
		assert_int_equal(steps.stop, MOVE_STOP_VANISHED);
	}
}

/* They found room elsewhere before anything had ended: nothing ends. */
static void test_bound_before_the_first_act(void **state)
{
	(void)state;
	struct move_steps steps = plain();
	struct move_facts facts = waiting(11);
	to(&steps, MOVE_DRY_RUN);
	facts.wanting = 0, facts.bound = 3;
	goes(&steps, &facts, MOVE_RETURN);
	assert_int_equal(steps.stop, MOVE_STOP_SERVED);
	steps = plain();
	facts = waiting(11);
	to(&steps, MOVE_EMPTY);
	facts.wanting = 0, facts.bound = 3, facts.suspended = 1;
	goes(&steps, &facts, MOVE_BIND);
	goes(&steps, &facts, MOVE_LENT);
}

/* A gang is planned before its members are bound. */
static void test_served_without_it(void **state)
{
	(void)state;
	for (enum move_phase phase = MOVE_RECORD; phase <= MOVE_BIND; phase++) {
		bool told = phase == MOVE_GRACE || phase == MOVE_NOTICE;
		struct move_steps steps = told ? begun() : plain();
		struct move_facts facts = waiting(11);
		steps.cuts = phase == MOVE_TAINT || phase == MOVE_CUT;
		to(&steps, phase);
		facts.served = true;
		if (phase < MOVE_EVICT)
			goes(&steps, &facts, MOVE_RETURN);
		assert_int_equal(steps.stop, phase < MOVE_EVICT ? MOVE_STOP_SERVED : MOVE_STOP_NOT);
	}
}

static void test_bound_in_part_when_the_time_is_over(void **state)
{
	(void)state;
	for (size_t bound = 0; bound < 2; bound++) {
		struct move_steps steps = plain();
		struct move_facts facts = waiting(11);
		to(&steps, MOVE_BIND);
		facts.bound = bound, facts.wanting = 3 - bound, facts.suspended = 1;
		facts.now_ns += MOVE_BIND_NS;
		goes(&steps, &facts, bound ? MOVE_LENT : MOVE_RETURN);
	}
}

static void test_called_off(void **state)
{
	(void)state;
	struct move_steps steps = plain();
	struct move_facts facts = waiting(11);
	to(&steps, MOVE_SUSPEND);
	facts.act = false;
	goes(&steps, &facts, MOVE_RETURN);
	assert_int_equal(steps.stop, MOVE_STOP_CALLED_OFF);
	move_resume(&steps, true, false, 0, 0, 0);
	facts.suspended = 1;
	goes(&steps, &facts, MOVE_RETURN); /* what is lent returns as well */
}

static void test_taken_up(void **state)
{
	(void)state;
	struct move_steps steps;
	struct move_facts facts = waiting(0);
	move_resume(&steps, false, false, 10 * SECOND, 30 * SECOND, 4 * SECOND);
	stays(&steps, &facts); /* the notice goes on */
	facts.now_ns = 4 * SECOND;
	goes(&steps, &facts, MOVE_DRY_RUN);
	goes(&steps, &facts, MOVE_EVICT);
	move_resume_untold(&steps, false, 10 * SECOND, 30 * SECOND, 4 * SECOND);
	goes(&steps, &facts, MOVE_DRY_RUN);
	goes(&steps, &facts, MOVE_NOTICE);
	goes(&steps, &facts, MOVE_GRACE);
	stays(&steps, &facts);
	move_resume(&steps, true, false, 0, 0, 0);
	facts.suspended = 1;
	assert_int_equal(steps.phase, MOVE_LENT);
	facts.quiet = true;
	goes(&steps, &facts, MOVE_RETURN);
}

/* One that empties a node, which is then cut. */
static void test_a_node_is_emptied(void **state)
{
	(void)state;
	struct move_steps steps;
	struct move_facts facts = waiting(0);
	move_begin(&steps, true, 10 * SECOND, 30 * SECOND, 0);
	goes(&steps, &facts, MOVE_TAINT);
	stays(&steps, &facts);
	facts.now_ns = MOVE_AGAIN_NS;
	assert_int_equal(move_step(&steps, &facts), MOVE_AGAIN);
	facts.node = MOVE_NODE_TAINTED;
	goes(&steps, &facts, MOVE_DRY_RUN);
	goes(&steps, &facts, MOVE_NOTICE);
	goes(&steps, &facts, MOVE_GRACE);
	facts.now_ns += 10 * SECOND;
	goes(&steps, &facts, MOVE_DRY_RUN);
	goes(&steps, &facts, MOVE_EVICT);
	goes(&steps, &facts, MOVE_SUSPEND);
	goes(&steps, &facts, MOVE_EMPTY);
	facts.suspended = 1;
	goes(&steps, &facts, MOVE_CUT);
	assert_true(move_holds(&steps));
	assert_false(move_has_room(&steps));
	facts.node = MOVE_NODE_APPLYING;
	facts.now_ns += 3600 * SECOND; /* how long that may take is not the move's to say */
	stays(&steps, &facts);
	facts.node = MOVE_NODE_CUT;
	goes(&steps, &facts, MOVE_BIND);
	assert_true(move_has_room(&steps));
	facts.node = MOVE_NODE_LOST; /* its slices are used by now */
	stays(&steps, &facts);
	facts.wanting = 0, facts.bound = 3;
	goes(&steps, &facts, MOVE_LENT);
}

static void test_a_node_that_is_lost_stops_it_until_it_is_cut(void **state)
{
	(void)state;
	static const enum move_phase phases[] = {
	    MOVE_TAINT, MOVE_NOTICE, MOVE_DRY_RUN, MOVE_EVICT, MOVE_SUSPEND, MOVE_EMPTY, MOVE_CUT};
	for (size_t i = 0; i < sizeof phases / sizeof *phases; i++) {
		struct move_steps steps;
		struct move_facts facts = waiting(0);
		move_begin(&steps, true, 10 * SECOND, 0, 0);
		facts.node = phases[i] == MOVE_TAINT ? MOVE_NODE_OPEN : MOVE_NODE_TAINTED;
		for (int k = 0; steps.phase != phases[i] && k < MOVE_OVER; k++) {
			facts.now_ns += steps.phase == MOVE_GRACE ? 10 * SECOND : 0;
			move_step(&steps, &facts);
		}
		assert_int_equal(steps.phase, phases[i]);
		facts.node = MOVE_NODE_LOST;
		goes(&steps, &facts, MOVE_RETURN);
		assert_int_equal(steps.stop, MOVE_STOP_NOT_CUT);
	}
}

/* Whatever keeps the node from being tainted, or from being cut once it was emptied, is not waited for for ever. */
static void test_a_node_that_stays_as_it_is_stops_it(void **state)
{
	(void)state;
	struct move_steps steps;
	struct move_facts facts = waiting(0);
	move_begin(&steps, true, 0, 0, 0);
	to(&steps, MOVE_TAINT);
	facts.now_ns = 11 * SECOND + MOVE_ACT_NS;
	goes(&steps, &facts, MOVE_RETURN);
	assert_int_equal(steps.stop, MOVE_STOP_NOT_CUT);
	facts = waiting(0);
	facts.node = MOVE_NODE_TAINTED;
	move_begin(&steps, true, 0, 0, 0);
	for (int i = 0; steps.phase != MOVE_CUT && i < MOVE_OVER; i++)
		move_step(&steps, &facts);
	stays(&steps, &facts);
	facts.now_ns = MOVE_STUCK_NS;
	goes(&steps, &facts, MOVE_RETURN);
	assert_int_equal(steps.stop, MOVE_STOP_STUCK);
}

/* The next process goes on from what the node says. */
static void test_a_node_is_taken_up(void **state)
{
	(void)state;
	static const enum move_node nodes[] = {MOVE_NODE_TAINTED, MOVE_NODE_APPLYING, MOVE_NODE_CUT};
	for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++) {
		struct move_steps steps;
		struct move_facts facts = waiting(0);
		facts.node = nodes[i];
		move_resume(&steps, false, true, 10 * SECOND, 30 * SECOND, 4 * SECOND);
		goes(&steps, &facts, MOVE_GRACE);
		stays(&steps, &facts);
		facts.now_ns = 4 * SECOND;
		goes(&steps, &facts, MOVE_DRY_RUN);
	}
	struct move_steps steps;
	struct move_facts facts = waiting(0);
	move_resume(&steps, false, true, 10 * SECOND, 30 * SECOND, 4 * SECOND);
	goes(&steps, &facts, MOVE_RETURN); /* nothing has ended yet, or the node was given up */
	assert_int_equal(steps.stop, MOVE_STOP_NOT_CUT);
}

static uint64_t drawn(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* Whatever happens: nothing is suspended before a dry run, a record goes only once nothing is suspended, and with the
 * time and answers that it waits for every move comes to its end. */
static void test_random_facts(void **state)
{
	(void)state;
	uint64_t seed = 20261122;
	for (int round = 0; round < 20000; round++) {
		struct move_steps steps;
		struct move_facts facts = waiting(0);
		bool dry = false;
		int step = 0;
		move_begin(&steps, drawn(&seed) % 3 == 0, (int64_t)(drawn(&seed) % 3) * SECOND, 0, 0);
		for (; steps.phase != MOVE_OVER && step < 2000; step++) {
			enum move_phase before = steps.phase;
			facts.now_ns += (int64_t)(drawn(&seed) % 7) * SECOND;
			facts.busy = drawn(&seed) % 4 == 0;
			facts.refused = drawn(&seed) % 40 == 0;
			facts.failed = drawn(&seed) % 5 == 0;
			facts.act = drawn(&seed) % 100 != 0;
			facts.quiet = drawn(&seed) % 10 == 0;
			facts.node =
			    (enum move_node)(drawn(&seed) % 12 ? drawn(&seed) % MOVE_NODE_LOST : MOVE_NODE_LOST);
			facts.pods_left = drawn(&seed) % 3;
			if (facts.wanting > 0 && drawn(&seed) % 20 == 0)
				facts.wanting--, facts.bound += drawn(&seed) % 2;
			if (before == MOVE_SUSPEND && drawn(&seed) % 2)
				facts.suspended++;
			if (before == MOVE_RETURN && facts.suspended > 0)
				facts.suspended--;
			move_step(&steps, &facts);
			dry |= steps.phase == MOVE_DRY_RUN;
			assert_true(dry || (steps.phase != MOVE_EVICT && steps.phase != MOVE_SUSPEND));
			if (steps.phase == MOVE_ERASE && before != MOVE_ERASE)
				assert_int_equal(facts.suspended, 0);
		}
		if (steps.phase != MOVE_OVER)
			fail_msg("round %d stands in %s", round, move_phase_name(steps.phase));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_all_the_way),
	    cmocka_unit_test(test_without_notice_and_without_suspensions),
	    cmocka_unit_test(test_a_refusal_comes_before_the_notice),
	    cmocka_unit_test(test_a_refusal_stops_it),
	    cmocka_unit_test(test_a_failure_is_tried_again_for_a_while),
	    cmocka_unit_test(test_pods_that_do_not_end),
	    cmocka_unit_test(test_somebody_resumes_what_is_to_end),
	    cmocka_unit_test(test_nobody_waits_any_more),
	    cmocka_unit_test(test_bound_before_the_first_act),
	    cmocka_unit_test(test_served_without_it),
	    cmocka_unit_test(test_bound_in_part_when_the_time_is_over),
	    cmocka_unit_test(test_called_off),
	    cmocka_unit_test(test_taken_up),
	    cmocka_unit_test(test_a_node_is_emptied),
	    cmocka_unit_test(test_a_node_that_is_lost_stops_it_until_it_is_cut),
	    cmocka_unit_test(test_a_node_that_stays_as_it_is_stops_it),
	    cmocka_unit_test(test_a_node_is_taken_up),
	    cmocka_unit_test(test_random_facts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
