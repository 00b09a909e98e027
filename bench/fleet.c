/* How long the search for victims takes: 10,000 nodes of 8 GPUs in racks of 16, blocks of 8 racks and zones of 20
 * blocks, full: 700 gangs of 8 to 512 GPUs that may be ended, on whole nodes, and singles of 1 to 8 GPUs that may not.
 * A peak of 100 replicas of 1, 2 and 8 GPUs, gangs of 64 and 512 members of 8 GPUs in one block or zone, and 64
 * replicas apart by anti-affinity on hosts. The same once more where half of what may be ended are singles of 1 to 4
 * GPUs that share nodes. 10 seeded fleets, medians. Prints a table and, last, RESULT lines. Times are of the CPU: one
 * thread that waits for nothing, so that neighbours of the machine count less.
 *
 *   begin    victims_begin
 *   steps    victims_step until it is done
 *   finish   victims_finish
 *   call     the longest of all calls, as the loop sees it: a step is of VICTIMS_EFFORT
 *   cost     of the set, over the least possible where that is known: for replicas of 8 GPUs and gangs in a zone by
 *            dynamic programming over the gangs, as these hold whole nodes and none shares one */
#include <stdio.h>
#include <stdlib.h>

#include "berth/victims.h"
#include "core_fleet.h"

#define NODES 10000
#define GANGS 700
#define FLEETS 10
#define HOUR_NS (INT64_C(3600) * 1000000000)
#define NOW_NS (1000 * HOUR_NS)

static uint16_t preempted[] = {1};

struct unit {
	size_t count, room;
	const char **members;
	unsigned nodes; /* whole ones; 0 = a part of one */
};

struct bench {
	struct core_fleet made;
	size_t unit_count, unit_room;
	struct unit *of; /* by unit */
	struct victims_unit *units;
};

static const char *stand(struct bench *bench, unsigned node, int64_t gpus, const char *class_)
{
	struct pod *pod = core_fleet_pod(&bench->made, gpus, class_);
	ledger_reserve(bench->made.fleet, pod, slice_of(core_fleet_node(node)), LEDGER_BOUND, true, 0, 0);
	return pod->uid;
}

static struct unit *add_unit(struct bench *bench)
{
	size_t room = bench->unit_room;
	bench->of = xgrow(bench->of, bench->unit_count, &bench->unit_room, sizeof(*bench->of));
	bench->units = xgrow(bench->units, bench->unit_count, &room, sizeof(*bench->units));
	char text[32];
	snprintf(text, sizeof(text), "unit-%05zu", bench->unit_count);
	int64_t start = NOW_NS - (int64_t)core_pick(&bench->made.random, 72 * 60) * (HOUR_NS / 60);
	bench->units[bench->unit_count] = (struct victims_unit){.id = xstrdup(text),
	    .class_ = 1,
	    .team = VICTIMS_NONE,
	    .lent_by = VICTIMS_NONE,
	    .recreated = true,
	    .moves = core_pick(&bench->made.random, 10) == 0,
	    .start_ns = start,
	    .checkpoint_ns = core_pick(&bench->made.random, 3) == 0
	                         ? 0
	                         : NOW_NS - (int64_t)core_pick(&bench->made.random, 120) * (HOUR_NS / 60),
	    .part_of = VICTIMS_WHOLE};
	bench->of[bench->unit_count] = (struct unit){0};
	return &bench->of[bench->unit_count++];
}

static void add_member(struct unit *unit, const char *uid)
{
	unit->members = xgrow(unit->members, unit->count, &unit->room, sizeof(*unit->members));
	unit->members[unit->count++] = uid;
}

/* Gangs stand in one piece, beginning anywhere. */
static void fill(struct bench *bench, bool shared)
{
	static const unsigned sizes[] = {1, 1, 2, 2, 4, 4, 8, 8, 16, 16, 32, 64};
	unsigned node = 0, gangs = shared ? GANGS / 2 : GANGS;
	for (unsigned left = NODES; node < NODES; left = NODES - node) {
		unsigned size = sizes[core_pick(&bench->made.random, 12)],
		         gang = core_pick(&bench->made.random, left) < left * 7 / 10;
		if (gang && bench->unit_count < gangs && node + size <= NODES) {
			struct unit *unit = add_unit(bench);
			for (unit->nodes = 0; unit->nodes < size; unit->nodes++)
				add_member(unit, stand(bench, node++, 8, "training"));
			continue;
		}
		for (int64_t gpus = 8, asks; gpus > 0; gpus -= asks) {
			asks = (int64_t)1 << core_pick(&bench->made.random, 4);
			asks = asks < gpus ? asks : gpus;
			bool may =
			    shared && asks < 8 && bench->unit_count < GANGS && core_pick(&bench->made.random, 3) > 0;
			const char *uid = stand(bench, node, asks, may ? "training" : "dev");
			if (may)
				add_member(add_unit(bench), uid);
		}
		node++;
	}
	for (size_t i = 0; i < bench->unit_count; i++) {
		bench->units[i].member_count = bench->of[i].count;
		bench->units[i].members = bench->of[i].members;
	}
}

struct demand {
	const char *name;
	size_t count;
	int64_t gpus;
	int require;
	bool apart;
	size_t whole_nodes; /* it takes so many, wherever; 0 = the least cost is not known */
};

static const struct demand demands[] = {
    {"peak_1", 100, 1, PLAN_NO_LEVEL, false, 0},
    {"peak_2", 100, 2, PLAN_NO_LEVEL, false, 0},
    {"peak_8", 100, 8, PLAN_NO_LEVEL, false, 100},
    {"gang_64_block", 64, 8, 1, false, 0},
    {"gang_512_zone", 512, 8, 0, false, 0},
    {"apart_64", 64, 8, PLAN_NO_LEVEL, true, 64},
};
#define DEMANDS (sizeof(demands) / sizeof(*demands))

enum { BEGIN, STEPS, FINISH, WHOLE, CALL, PARTS };

struct figures {
	double ms[PARTS][FLEETS];
	size_t found, exact, victims, known;
	double cost, over;
};

/* The cheapest cover of so many nodes by gangs of whole nodes; no other unit empties one. */
static double least(const struct bench *bench, struct victims_request *request, size_t nodes)
{
	double *best = xcalloc(nodes + 1, sizeof(*best));
	for (size_t n = 1; n <= nodes; n++)
		best[n] = 1e300;
	for (size_t u = 0; u < bench->unit_count; u++) {
		const struct victims_unit *unit = &bench->units[u];
		int64_t saved = unit->checkpoint_ns > unit->start_ns ? unit->checkpoint_ns : unit->start_ns;
		double hours = (double)(request->now_ns - unit->start_ns) / (double)HOUR_NS;
		double price = VICTIMS_COST_UNIT + VICTIMS_COST_CLASS + VICTIMS_COST_MOVE * unit->moves +
		               VICTIMS_COST_HOUR * (hours < VICTIMS_HOURS_MAX ? hours : VICTIMS_HOURS_MAX) +
		               (double)(8 * unit->member_count) * (double)(request->now_ns - saved) / 1e9;
		size_t gives = bench->of[u].nodes;
		for (size_t n = nodes; gives > 0 && n > 0; n--) {
			double with = price + best[n > gives ? n - gives : 0];
			best[n] = with < best[n] ? with : best[n];
		}
	}
	double cost = best[nodes];
	free(best);
	return cost;
}

static void count_answer(const struct bench *bench, const struct demand *demand, struct victims_request *request,
    const struct victims_answer *answer, bool shared, struct figures *figures)
{
	if (answer->verdict != VICTIMS_FOUND)
		return;
	double cost = victims_cost_total(&answer->cost);
	figures->found++;
	figures->exact += answer->exact;
	figures->victims += answer->count;
	figures->cost += cost;
	if (demand->whole_nodes == 0 || shared)
		return;
	figures->known++;
	figures->over += cost / least(bench, request, demand->whole_nodes);
}

static double ms_since(int64_t since, double *longest)
{
	double ms = (double)(core_cpu_ns() - since) / 1e6;
	*longest = ms > *longest ? ms : *longest;
	return ms;
}

static void measure(struct bench *bench, const struct demand *demand, bool shared, struct figures *figures, size_t run)
{
	struct plan_member *members = xcalloc(demand->count, sizeof(*members));
	struct victims_answer answer;
	for (size_t i = 0; i < demand->count; i++) {
		struct pod *pod = core_fleet_pod(&bench->made, demand->gpus, "inference");
		if (demand->apart)
			core_fleet_keep_apart(pod);
		members[i] = (struct plan_member){.pod = pod, .rank = (int32_t)i};
	}
	struct victims_request request = {
	    .demand = {.count = demand->count, .members = members, .topology = PLAN_ANYWHERE},
	    .team = VICTIMS_NONE,
	    .priority = 1,
	    .now_ns = NOW_NS,
	    .unit_count = bench->unit_count,
	    .units = bench->units};
	request.demand.topology.require = demand->require;
	double longest = 0, steps = 0;
	int64_t at = core_cpu_ns();
	struct victims_search *search = victims_begin(bench->made.fleet, &request);
	double begin = ms_since(at, &longest);
	for (bool done = false; !done;) {
		at = core_cpu_ns();
		done = victims_step(search, VICTIMS_EFFORT);
		steps += ms_since(at, &longest);
	}
	at = core_cpu_ns();
	victims_finish(bench->made.fleet, search, &answer);
	double finish = ms_since(at, &longest);
	const double all[PARTS] = {begin, steps, finish, begin + steps + finish, longest};
	for (int part = 0; part < PARTS; part++)
		figures->ms[part][run] = all[part];
	count_answer(bench, demand, &request, &answer, shared, figures);
	victims_answer_free(&answer);
	free(members);
}

static void run(unsigned seed, bool shared, struct figures *figures)
{
	static const char *const classes[] = {"inference", "training", "dev"};
	struct bench bench = {.unit_count = 0};
	core_fleet_open(&bench.made, seed, NODES, classes, 3);
	bench.made.policy->classes[0].may_preempt_count = 1;
	bench.made.policy->classes[0].may_preempt = preempted;
	fill(&bench, shared);
	for (size_t d = 0; d < DEMANDS; d++)
		measure(&bench, &demands[d], shared, &figures[d], seed);
	for (size_t i = 0; i < bench.unit_count; i++) {
		free(bench.of[i].members);
		free((void *)(uintptr_t)bench.units[i].id);
	}
	free(bench.of);
	free(bench.units);
	core_fleet_close(&bench.made);
}

static void print_row(const char *name, struct figures *of)
{
	double found = of->found > 0 ? (double)of->found : 1;
	printf("  %-14s", name);
	for (int part = 0; part < PARTS; part++) {
		double median = core_median(of->ms[part], FLEETS);
		printf(" %7.2f [%6.2f]", median, of->ms[part][FLEETS - 1]);
	}
	printf(
	    " %5zu/%d %6zu %8.1f %10.0f", of->found, FLEETS, of->exact, (double)of->victims / found, of->cost / found);
	if (of->known > 0)
		printf(" %8.4f", of->over / (double)of->known);
	printf("\n");
}

int main(void)
{
	static struct figures figures[2][DEMANDS];
	double whole = 0, call = 0;
	printf(
	    "%d nodes, full; %d units may be ended; medians of %d fleets in ms (most in brackets); means of the sets\n",
	    NODES, GANGS, FLEETS);
	for (int shared = 0; shared < 2; shared++) {
		for (unsigned seed = 0; seed < FLEETS; seed++)
			run(seed, shared, figures[shared]);
		printf("%s\n  %-14s %16s %16s %16s %16s %16s %8s %6s %8s %10s %8s\n",
		    shared ? "half of them singles that share nodes" : "gangs on whole nodes", "demand", "begin",
		    "steps", "finish", "whole", "call", "found", "exact", "victims", "cost", "of least");
		for (size_t d = 0; d < DEMANDS; d++) {
			struct figures *of = &figures[shared][d];
			print_row(demands[d].name, of);
			whole = of->ms[WHOLE][FLEETS / 2] > whole ? of->ms[WHOLE][FLEETS / 2] : whole;
			call = of->ms[CALL][FLEETS / 2] > call ? of->ms[CALL][FLEETS / 2] : call;
		}
	}
	printf("RESULT victims_ms %.2f ms\n", whole);
	printf("RESULT victims_loop_ms %.2f ms\n", call);
	return 0;
}
