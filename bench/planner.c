/* How long a gang's plan takes: 10,000 nodes of 8 GPUs in racks of 16, blocks of 8 racks and zones of 20 blocks, filled
 * to 80 % by the core's own decisions with pods of 1 to 8 GPUs, of which some go again at random until 70 % are taken.
 * Gangs of 64 and 512 members of 8 GPUs with a required zone, of 4,096 of 4 GPUs, and 512 kept to runs of 4 in one rack
 * each, and apart from one another by anti-affinity on hosts. 20 seeded fleets, medians. Prints a table and, last,
 * RESULT lines. */
#include <stdio.h>
#include <stdlib.h>

#include "berth/plan.h"
#include "core_fleet.h"

#define NODES 10000
#define FLEETS 20

/* As the pods of Jobs: each has a label of its own. */
static struct pod *number_pod(struct pod *pod)
{
	pod->labels.items = arena_calloc(&pod->arena, 1, sizeof(*pod->labels.items));
	pod->labels.items[0] = (struct label){"batch.kubernetes.io/job-completion-index", pod->name};
	pod->labels.count = 1;
	return pod;
}

static int64_t gpus_of(const struct core_fleet *made, const struct pod *pod)
{
	return resources_get(&pod->demand, made->gpu);
}

static void fill(struct core_fleet *made)
{
	static const int64_t sizes[] = {1, 1, 2, 4, 8, 8, 8, 8};
	const int64_t all = INT64_C(8) * NODES;
	int64_t taken = 0;
	while (taken * 100 < all * 80) {
		struct pod *pod = number_pod(core_fleet_pod(made, sizes[core_pick(&made->random, 8)], NULL));
		struct decision decision;
		decide_fleet_best(made->fleet, pod, &decision);
		if (!decision.node)
			abort();
		ledger_reserve(made->fleet, pod, slice_of(decision.node->name), LEDGER_BOUND, true, 0, 0);
		taken += gpus_of(made, pod);
	}
	while (taken * 100 > all * 70) {
		size_t at = core_pick(&made->random, (unsigned)made->pod_count);
		struct pod *pod = made->pods[at];
		ledger_release(made->fleet, ledger_find(made->fleet, slice_of(pod->uid)));
		made->pods[at] = made->pods[--made->pod_count];
		taken -= gpus_of(made, pod);
		pod_free(pod);
	}
}

struct gang {
	const char *name;
	size_t count;
	int64_t gpus;
	struct plan_topology topology;
	bool apart; /* one a host, by anti-affinity */
};

static const struct gang gangs[] = {
    {"64", 64, 8, {0, 2, 0, PLAN_NO_LEVEL}, false},
    {"512", 512, 8, {0, 1, 0, PLAN_NO_LEVEL}, false},
    {"4096", 4096, 4, {PLAN_NO_LEVEL, 0, 0, PLAN_NO_LEVEL}, false},
    {"512_segments", 512, 8, {PLAN_NO_LEVEL, PLAN_NO_LEVEL, 4, 2}, false},
    {"512_apart", 512, 4, {PLAN_NO_LEVEL, PLAN_NO_LEVEL, 0, PLAN_NO_LEVEL}, true},
};
#define GANGS (sizeof(gangs) / sizeof(*gangs))

struct figures {
	double ms[FLEETS];
	size_t planned;
	struct plan_score score;
};

static void measure(struct core_fleet *made, const struct gang *gang, struct figures *figures, size_t run)
{
	struct plan_member *members = xcalloc(gang->count, sizeof(*members));
	struct plan plan;
	for (size_t i = 0; i < gang->count; i++) {
		struct pod *pod = number_pod(core_fleet_pod(made, gang->gpus, NULL));
		if (gang->apart)
			core_fleet_keep_apart(pod);
		members[i] = (struct plan_member){.pod = pod, .rank = (int32_t)i};
	}
	struct plan_request request = {.count = gang->count, .members = members, .topology = gang->topology};
	int64_t began = core_cpu_ns();
	plan_gang(made->fleet, &request, &plan);
	figures->ms[run] = (double)(core_cpu_ns() - began) / 1e6;
	if (plan.reason == REASON_CODE_FITS) {
		figures->planned++;
		figures->score.levels_crossed += plan.score.levels_crossed;
		figures->score.domains_used += plan.score.domains_used;
		figures->score.block_destroyed += plan.score.block_destroyed;
	}
	plan_free(&plan);
	free(members);
}

static void run(unsigned seed, struct figures *figures)
{
	static const char *const classes[] = {"batch"};
	struct core_fleet made;
	core_fleet_open(&made, seed, NODES, classes, 1);
	fill(&made);
	for (size_t g = 0; g < GANGS; g++)
		measure(&made, &gangs[g], &figures[g], seed);
	core_fleet_close(&made);
}

int main(void)
{
	static struct figures figures[GANGS];
	for (unsigned seed = 0; seed < FLEETS; seed++)
		run(seed, figures);
	double loop = 0;
	printf("%d nodes 70 %% full, medians of %d fleets in ms (most in brackets); mean terms of the plans\n", NODES,
	    FLEETS);
	printf("  %-13s %16s %8s %7s %8s %7s\n", "gang", "plan", "planned", "levels", "domains", "block");
	for (size_t g = 0; g < GANGS; g++) {
		struct figures *of = &figures[g];
		double planned = of->planned > 0 ? (double)of->planned : 1;
		double median = core_median(of->ms, FLEETS);
		loop = median > loop ? median : loop;
		printf("  %-13s %7.2f [%6.2f] %5zu/%d %7.1f %8.1f %7.1f\n", gangs[g].name, median, of->ms[FLEETS - 1],
		    of->planned, FLEETS, (double)of->score.levels_crossed / planned,
		    (double)of->score.domains_used / planned, (double)of->score.block_destroyed / planned);
	}
	for (size_t g = 0; g < GANGS; g++)
		printf("RESULT planner_%s_ms %.2f ms\n", gangs[g].name, figures[g].ms[FLEETS / 2]);
	printf("RESULT planner_loop_ms %.2f ms\n", loop);
	return 0;
}
