/* A big gang behind a constant stream of small jobs, on the benchmark's simulation: it starts, as promised. */
#include "world.h"

#include "../../../bench/backfill_sim.h"

#define ROUNDS 30
#define JOBS 3000
#define LONGEST (100 * SECOND)

struct story {
	size_t nodes;
	int64_t gang_gpus;
	double honest; /* what is said of a run is at least so much of it */
};

/* More work comes than the fleet can do. The gang comes after a minute; its number is returned. */
static size_t tell(struct sim *sim, struct prng *prng, const struct story *story)
{
	int64_t at_ns = 0, gap_ns = (int64_t)(55 * 2.5 * (double)SECOND / (double)(story->nodes * SIM_GPUS) / 1.3);
	size_t gang = SIZE_MAX;
	for (size_t i = 0; i < JOBS; i++) {
		int64_t runs_ns = LONGEST / 10 + pick(prng, LONGEST * 9 / 10);
		double share = story->honest + (1 - story->honest) * (double)pick(prng, 1000) / 1000;
		if (gang == SIZE_MAX && at_ns >= 60 * SECOND) {
			gang = sim->count;
			sim_add(sim, at_ns, story->gang_gpus, LONGEST, LONGEST, NULL);
		}
		sim_add(sim, at_ns, 1 + pick(prng, 4), runs_ns, (int64_t)((double)runs_ns * share), NULL);
		at_ns += 1 + pick(prng, 2 * gap_ns);
	}
	assert_true(gang != SIZE_MAX);
	return gang;
}

/* Until it starts; false where the stream ends before. */
static bool run(struct sim *sim, size_t gang)
{
	while (sim->coming < sim->count && sim_step(sim))
		if (sim->jobs[gang].state >= SIM_RUNNING)
			return true;
	return false;
}

static struct story a_story(struct prng *prng, double honest)
{
	size_t nodes = (size_t)(3 + pick(prng, 8));
	return (struct story){nodes, SIM_GPUS * (1 + (int64_t)nodes / 2 + pick(prng, (int64_t)nodes / 2)), honest};
}

static void without_a_reservation_it_starves(void **state)
{
	struct prng prng = prng_seeded("without_a_reservation_it_starves");
	int starved = 0;
	(void)state;
	for (int round = 0; round < 5; round++) {
		struct sim sim;
		struct story story = a_story(&prng, 1);
		sim_open(&sim, SIM_FREE, story.nodes, JOBS + 1);
		starved += !run(&sim, tell(&sim, &prng, &story));
		sim_close(&sim);
	}
	assert_int_equal(starved, 5);
}

static void it_starts_as_promised(void **state)
{
	struct prng prng = prng_seeded("it_starts_as_promised");
	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		struct sim sim;
		struct story story = a_story(&prng, 1);
		sim_open(&sim, SIM_RESERVED, story.nodes, JOBS + 1);
		sim.after_ns = SECOND;
		size_t gang = tell(&sim, &prng, &story);
		assert_true(run(&sim, gang));
		const struct sim_job *job = &sim.jobs[gang];
		assert_true(job->promised_ns > 0);
		if (job->start_ns > job->promised_ns)
			fail_msg("round %d: it is late", round);
		if ((job->promised_ns - job->submit_ns) * 2 > (job->start_ns - job->submit_ns) * 3)
			fail_msg("round %d: it was promised much later than it starts", round);
		sim_close(&sim);
	}
}

/* The nodes stay busy meanwhile: less is idle than if they were just kept free. */
static void its_nodes_are_used_until_then(void **state)
{
	double idle[SIM_WAYS] = {0};
	(void)state;
	for (enum sim_way way = SIM_HELD; way <= SIM_RESERVED; way++) {
		struct prng prng = prng_seeded("its_nodes_are_used_until_then");
		for (int round = 0; round < 10; round++) {
			struct sim sim;
			struct story story = a_story(&prng, 1);
			sim_open(&sim, way, story.nodes, JOBS + 1);
			assert_true(run(&sim, tell(&sim, &prng, &story)));
			idle[way] += sim.idle_ns;
			sim_close(&sim);
		}
	}
	assert_true(idle[SIM_RESERVED] < 0.8 * idle[SIM_HELD]);
}

/* Nobody behind it comes any more half as long again after the promise; what runs then is over a longest run later. */
static void false_run_times_delay_it_within_a_bound(void **state)
{
	struct prng prng = prng_seeded("false_run_times_delay_it_within_a_bound");
	int late = 0;
	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		struct sim sim;
		struct story story = a_story(&prng, 0.05);
		sim_open(&sim, SIM_RESERVED, story.nodes, JOBS + 1);
		size_t gang = tell(&sim, &prng, &story);
		assert_true(run(&sim, gang));
		const struct sim_job *job = &sim.jobs[gang];
		int64_t bound_ns = hold_until(job->promised_ns, job->promised_at_ns) + LONGEST;
		late += job->start_ns > job->promised_ns;
		if (job->start_ns > bound_ns)
			fail_msg("round %d: it starts %.1f s after its bound", round,
			    (double)(job->start_ns - bound_ns) / (double)SECOND);
		sim_close(&sim);
	}
	assert_true(late > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(without_a_reservation_it_starves),
	    cmocka_unit_test(it_starts_as_promised),
	    cmocka_unit_test(its_nodes_are_used_until_then),
	    cmocka_unit_test(false_run_times_delay_it_within_a_bound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
