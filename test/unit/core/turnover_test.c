/* What counts as ended today, and that no sequence of peaks ends more of them in a day. */
#include "berth/turnover.h"

#include "world.h"

#define HOUR INT64_C(3600000000000)
#define MINUTE (HOUR / 60)
#define START (1000000 * HOUR)

static void what_was_ended_counts_for_a_day_and_no_longer_than_an_hour_more(void **state)
{
	struct turnover turnover = {0};
	(void)state;
	assert_int_equal(turnover_today(&turnover, START), 0);
	turnover_add(&turnover, turnover_hour(START + 59 * MINUTE), 2);
	turnover_add(&turnover, turnover_hour(START + 61 * MINUTE), 1);
	assert_int_equal(turnover_in(&turnover, turnover_hour(START)), 2);
	assert_int_equal(turnover_today(&turnover, START + 2 * HOUR), 3);
	assert_int_equal(turnover_today(&turnover, START + 24 * HOUR + 59 * MINUTE), 3);
	assert_int_equal(turnover_today(&turnover, START + 25 * HOUR), 1);
	assert_int_equal(turnover_today(&turnover, START + 26 * HOUR), 0);
}

static void a_later_hour_takes_the_place_of_one_that_counts_no_more(void **state)
{
	struct turnover turnover = {0};
	int64_t hour = turnover_hour(START);
	(void)state;
	turnover_add(&turnover, hour, 2);
	turnover_add(&turnover, hour + TURNOVER_HOURS, 1);
	assert_int_equal(turnover_in(&turnover, hour), 0);
	turnover_add(&turnover, hour, 5);
	assert_int_equal(turnover_in(&turnover, hour + TURNOVER_HOURS), 1);
	assert_int_equal(turnover_today(&turnover, START + TURNOVER_HOURS * HOUR), 1);
}

static void a_clock_that_was_set_back_forgets_nothing_of_today(void **state)
{
	struct turnover turnover = {0};
	(void)state;
	turnover_add(&turnover, turnover_hour(START), 2);
	assert_int_equal(turnover_today(&turnover, START - 3 * HOUR), 2);
	assert_false(turnover_counts(turnover_hour(START), START - 1000 * HOUR));
}

static void the_youngest_replaced_what_was_ended_last(void **state)
{
	(void)state;
	assert_int_equal(turnover_share(0, 4, 0), 0);
	assert_int_equal(turnover_share(1, 4, 0), 1);
	assert_int_equal(turnover_share(1, 4, 1), 0);
	assert_int_equal(turnover_share(6, 4, 1), 2);
	assert_int_equal(turnover_share(6, 4, 2), 1);
	assert_int_equal(turnover_share(2, 1, 0), 2);
}

/* --- thrash --- */

#define REPLICAS_MAX 8
#define STEPS 400
#define ENDED_MAX (STEPS * REPLICAS_MAX)

struct replicas {
	struct turnover turnover;
	size_t all, living; /* the others wait for room */
	int64_t now;
	unsigned most;
	size_t count;
	int64_t ended[ENDED_MAX];
};

static size_t dice(uint32_t *seed, size_t sides)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (*seed >> 8) % sides;
}

/* As another process reads what this one has kept. */
static void restart(struct replicas *replicas)
{
	struct turnover read = {0};
	for (size_t i = TURNOVER_HOURS; i-- > 0;)
		if (turnover_counts(replicas->turnover.hours[i], replicas->now))
			turnover_add(&read, replicas->turnover.hours[i], replicas->turnover.counts[i]);
	replicas->turnover = read;
}

/* Some are ended at a time, of those that their share lets be. */
static void peak(struct replicas *replicas, uint32_t *seed)
{
	unsigned before = turnover_today(&replicas->turnover, replicas->now);
	size_t waiting = replicas->all - replicas->living, left = 0;
	for (size_t i = 0; i < replicas->living; i++) {
		bool may = turnover_share(before, replicas->all, waiting + i) < replicas->most;
		if (!may || dice(seed, 2)) {
			left++;
			continue;
		}
		turnover_add(&replicas->turnover, turnover_hour(replicas->now), 1);
		replicas->ended[replicas->count++] = replicas->now;
	}
	replicas->living = left;
}

/* Those that ended within a day from one of them on. */
static size_t most_in_a_day(const struct replicas *replicas)
{
	size_t most = 0;
	for (size_t first = 0, last = 0; first < replicas->count; first++) {
		while (last < replicas->count && replicas->ended[last] < replicas->ended[first] + 24 * HOUR)
			last++;
		most = last - first > most ? last - first : most;
	}
	return most;
}

static void no_peaks_and_no_restarts_end_more_of_them_in_a_day(void **state)
{
	size_t reached = 0;
	(void)state;
	for (uint32_t round = 1; round <= 300; round++) {
		uint32_t seed = round;
		struct replicas replicas = {.now = START + (int64_t)dice(&seed, 60) * MINUTE};
		replicas.all = replicas.living = 1 + dice(&seed, REPLICAS_MAX);
		replicas.most = 1 + (unsigned)dice(&seed, 4);
		for (int step = 0; step < STEPS; step++) {
			replicas.now += (int64_t)dice(&seed, 90) * MINUTE;
			if (dice(&seed, 20) == 0)
				restart(&replicas);
			if (dice(&seed, 2))
				peak(&replicas, &seed);
			else
				replicas.living += dice(&seed, replicas.all - replicas.living + 1);
		}
		size_t most = most_in_a_day(&replicas);
		if (most > replicas.most * replicas.all)
			fail_msg("round %u: %zu ends in a day of %zu replicas", round, most, replicas.all);
		reached += most == replicas.most * replicas.all;
	}
	assert_in_range(reached, 200, 300);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_was_ended_counts_for_a_day_and_no_longer_than_an_hour_more),
	    cmocka_unit_test(a_later_hour_takes_the_place_of_one_that_counts_no_more),
	    cmocka_unit_test(a_clock_that_was_set_back_forgets_nothing_of_today),
	    cmocka_unit_test(the_youngest_replaced_what_was_ended_last),
	    cmocka_unit_test(no_peaks_and_no_restarts_end_more_of_them_in_a_day),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
