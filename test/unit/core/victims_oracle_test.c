/* The search for victims against brute force: random fleets of up to 6 nodes with up to 10 units of work, of which
 * every subset is tried. The oracle judges units, room and cost by the facts from which pods and units are made, and
 * shares nothing with the search but the constants that are published; of the planner it takes which free block a plan
 * breaks into, and it is checked that planner and oracle agree on what fits. A failing instance prints its seed;
 * BERTH_TEST_SEED=… BERTH_ORACLE_INSTANCES=1 runs it alone. */
#include <math.h>

#include "victims_instance.h"

#define INSTANCES 5000 /* in which there is a set */
#define INSTANCES_MAX 50000

/* ---- the oracle ---- */

static bool may_preempt(const struct facts *facts, const struct fact_unit *unit)
{
	(void)facts;
	return unit->class_ == CLASS_BATCH || unit->class_ == CLASS_SPREAD;
}

static bool team_within(const struct facts *facts, int team, int above)
{
	for (; team >= 0; team = facts->parent[team])
		if (team == above)
			return true;
	return false;
}

/* Unmet guarantees below a team, but for one. */
static int64_t owed_below(const struct facts *facts, int above, int but, int pool)
{
	int64_t owed = 0;
	for (int t = 0; t < TEAMS; t++)
		if (facts->parent[t] == above && t != but && facts->used[t][pool] < facts->guaranteed[t][pool])
			owed += facts->guaranteed[t][pool] - facts->used[t][pool];
	return owed;
}

/* Each GPU that the teams below and it itself use counts against what they are guaranteed first, then against what it
 * is beyond that. */
static bool overuses(const struct facts *facts, int above, int pool)
{
	int64_t direct = facts->used[above][pool], spare = facts->guaranteed[above][pool], extra = 0;
	for (int t = 0; t < TEAMS; t++) {
		if (facts->parent[t] != above)
			continue;
		direct -= facts->used[t][pool];
		spare -= facts->guaranteed[t][pool];
		if (facts->used[t][pool] > facts->guaranteed[t][pool])
			extra += facts->used[t][pool] - facts->guaranteed[t][pool];
	}
	return facts->guaranteed[above][pool] == 0 || direct + extra > spare;
}

static bool is_beyond(const struct facts *facts, int team, int pool)
{
	if (facts->used[team][pool] <= facts->guaranteed[team][pool])
		return false;
	for (; team >= 0; team = facts->parent[team])
		if (team_within(facts, facts->team, team))
			return overuses(facts, team, pool);
	return true;
}

static bool reclaims(const struct facts *facts, const struct fact_unit *unit)
{
	int64_t asked = 0;
	if (!facts->teams || unit->team < 0 || unit->pod_count == 0)
		return false;
	for (int d = 0; d < facts->demand_count; d++)
		asked += facts->demand_gpus[d] * 1000;
	for (int p = 0; p < unit->pod_count; p++) {
		int pool = facts->nodes[unit->pods[p].node].pool;
		bool claims = false;
		for (int t = facts->team, but = -1; t >= 0; but = t, t = facts->parent[t])
			claims |= !team_within(facts, unit->team, t) &&
			          facts->used[t][pool] + asked + owed_below(facts, t, but, pool) <=
			              facts->guaranteed[t][pool];
		if (!claims || !is_beyond(facts, unit->team, pool))
			return false;
	}
	return true;
}

/* Whether the unit alone may be ended, budgets left aside. */
static bool may_end(const struct facts *facts, const struct fact_unit *unit)
{
	bool lower = unit->priority < facts->priority, lent = unit->lent_by == facts->class_;
	bool by_class = may_preempt(facts, unit) && unit->priority <= facts->priority;
	bool right = by_class || (lower && (lent || reclaims(facts, unit)));
	now[DRAWN_HIGHER] |= unit->priority > facts->priority;
	now[DRAWN_EQUAL] |= unit->priority == facts->priority;
	now[DRAWN_NO_CLASS_RIGHT] |= !may_preempt(facts, unit);
	now[DRAWN_LENT] |= right && lent && !by_class;
	now[DRAWN_RECLAIM] |= right && !lent && !by_class;
	now[DRAWN_KEPT] |= right && unit->keep;
	now[DRAWN_NOT_RECREATED] |= right && !unit->recreated && !facts->evict[unit->class_];
	now[DRAWN_MIN_RUNTIME] |= right && NOW - unit->start < facts->min_runtime[unit->class_];
	now[DRAWN_MOVED] |= right && facts->moves_max > 0 && unit->moves >= facts->moves_max;
	return right && !unit->keep && (unit->recreated || facts->evict[unit->class_]) &&
	       NOW - unit->start >= facts->min_runtime[unit->class_] &&
	       (facts->moves_max == 0 || unit->moves < facts->moves_max);
}

static bool within_budgets(const struct facts *facts, unsigned set)
{
	int64_t drawn[BUDGETS] = {0}, taken[TEAMS][MODELS] = {{0}};
	int units = 0;
	for (int u = 0; u < facts->unit_count; u++) {
		const struct fact_unit *unit = &facts->units[u];
		if (!(set >> u & 1))
			continue;
		units++;
		for (int b = 0; b < BUDGETS; b++)
			drawn[b] += unit->draws[b];
		for (int t = facts->teams ? unit->team : -1; t >= 0; t = facts->parent[t])
			for (int p = 0; p < unit->pod_count; p++)
				taken[t][facts->nodes[unit->pods[p].node].pool] += unit->pods[p].gpus * 1000;
	}
	for (int b = 0; b < BUDGETS; b++) {
		if (drawn[b] <= facts->budgets[b])
			continue;
		now[units == 1 ? DRAWN_BUDGET : DRAWN_BUDGET_TOGETHER] = true;
		return false;
	}
	for (int t = 0; t < TEAMS; t++)
		for (int p = 0; p < MODELS; p++) {
			if (team_within(facts, facts->team, t) || facts->guaranteed[t][p] == 0 || taken[t][p] == 0 ||
			    facts->used[t][p] - taken[t][p] >= facts->guaranteed[t][p])
				continue;
			now[DRAWN_GUARANTEE] = true;
			return false;
		}
	return true;
}

static bool parts_hold(const struct facts *facts, unsigned set)
{
	for (int u = 0; u < facts->unit_count; u++)
		if (set >> u & 1 && facts->units[u].part_of >= 0 && set >> facts->units[u].part_of & 1)
			return false;
	return true;
}

struct room {
	int gpus[NODES], cpu[NODES];
};

static struct room room_without(const struct facts *facts, unsigned set)
{
	struct room room;
	for (int n = 0; n < facts->node_count; n++) {
		room.gpus[n] = facts->nodes[n].gpus - facts->nodes[n].other_gpus;
		room.cpu[n] = 32000;
	}
	for (int u = 0; u < facts->unit_count; u++) {
		const struct fact_unit *unit = &facts->units[u];
		bool part = unit->part_of >= 0, gone = set >> u & 1;
		for (int p = 0; p < unit->pod_count; p++) {
			int sign = part ? (gone ? 1 : 0) : (gone ? 0 : -1);
			room.gpus[unit->pods[p].node] += sign * unit->pods[p].gpus;
			room.cpu[unit->pods[p].node] += sign * unit->pods[p].cpu;
		}
	}
	return room;
}

static bool same_domain(const struct facts *facts, int a, int b, int level)
{
	if (level >= 0 && facts->nodes[a].block != facts->nodes[b].block)
		return false;
	return level < 1 || facts->nodes[a].rack == facts->nodes[b].rack;
}

static bool place_from(const struct facts *facts, struct room *room, int d, int first)
{
	if (d == facts->demand_count)
		return true;
	for (int n = 0; n < facts->node_count; n++) {
		if (!facts->nodes[n].ready || room->gpus[n] < facts->demand_gpus[d] ||
		    room->cpu[n] < facts->demand_cpu[d] ||
		    (first >= 0 && !same_domain(facts, first, n, facts->require)))
			continue;
		room->gpus[n] -= facts->demand_gpus[d];
		room->cpu[n] -= facts->demand_cpu[d];
		bool placed = place_from(facts, room, d + 1, first < 0 ? n : first);
		room->gpus[n] += facts->demand_gpus[d];
		room->cpu[n] += facts->demand_cpu[d];
		if (placed)
			return true;
	}
	return false;
}

static bool fits_without(const struct facts *facts, unsigned set)
{
	struct room room = room_without(facts, set);
	return place_from(facts, &room, 0, -1);
}

static double price_of(const struct facts *facts, unsigned set)
{
	double price = 0;
	for (int u = 0; u < facts->unit_count; u++) {
		const struct fact_unit *unit = &facts->units[u];
		int64_t from = unit->checkpoint > unit->start ? unit->checkpoint : unit->start;
		double hours = (double)(NOW - unit->start) / (double)HOUR;
		if (!(set >> u & 1))
			continue;
		for (int p = 0; p < unit->pod_count && from < NOW; p++)
			price += unit->pods[p].gpus * ((double)(NOW - from) / (double)SECOND);
		price += VICTIMS_COST_UNIT + VICTIMS_COST_MOVE * unit->moves;
		price += VICTIMS_COST_CLASS * (CLASSES - 1 - unit->class_);
		price += VICTIMS_COST_HOUR * (hours < VICTIMS_HOURS_MAX ? hours : VICTIMS_HOURS_MAX);
		price += VICTIMS_COST_DRAW * (unit->draws[0] + unit->draws[1]);
	}
	return price;
}

/* As the planner has it once the units are gone; it must agree that the demand fits. */
static double blocks_of(const struct facts *facts, struct made *made, unsigned set)
{
	struct plan_request request = made->request.demand;
	const struct ledger_entry *gone[UNITS * UNIT_PODS];
	struct plan plan;
	request.gone = gone;
	for (int u = 0; u < facts->unit_count; u++)
		for (int p = 0; set >> u & 1 && p < facts->units[u].pod_count; p++)
			gone[request.gone_count++] =
			    ledger_find(made->fleet, slice_of(made->uid_of[made->place[u]][p]));
	plan_gang(made->fleet, &request, &plan);
	assert_int_equal(plan.reason, REASON_CODE_FITS);
	double blocks = VICTIMS_COST_BLOCK * (double)plan.score.block_destroyed;
	now[DRAWN_BLOCKS] |= blocks > 0 && set != 0;
	plan_free(&plan);
	return blocks;
}

struct found {
	bool found, needed;
	double price;
	unsigned set;
};

static struct found brute(const struct facts *facts, struct made *made)
{
	struct found best = {.needed = !fits_without(facts, 0)};
	unsigned allowed = 0;
	for (int u = 0; u < facts->unit_count; u++)
		allowed |= (unsigned)may_end(facts, &facts->units[u]) << u;
	for (unsigned set = 1; best.needed && set < 1u << facts->unit_count; set++) {
		if ((set & ~allowed) || !parts_hold(facts, set) || !within_budgets(facts, set))
			continue;
		double price = price_of(facts, set);
		if ((best.found && price >= best.price) || !fits_without(facts, set))
			continue;
		price += blocks_of(facts, made, set);
		if (!best.found || price < best.price)
			best = (struct found){true, true, price, set};
	}
	return best;
}

/* ---- the check ---- */

static void check_set(const struct facts *facts, struct made *made, const struct victims_answer *answer, unsigned *set)
{
	*set = 0;
	for (size_t i = 0; i < answer->count; i++)
		for (int u = 0; u < facts->unit_count; u++)
			if ((size_t)made->place[u] == answer->chosen[i].unit)
				*set |= 1u << u;
	for (int u = 0; u < facts->unit_count; u++)
		assert_true(!(*set >> u & 1) || may_end(facts, &facts->units[u]));
	assert_true(within_budgets(facts, *set));
	assert_true(parts_hold(facts, *set));
	assert_true(fits_without(facts, *set));
	assert_true(
	    fabs(victims_cost_total(&answer->cost) - price_of(facts, *set) - blocks_of(facts, made, *set)) < 1e-6);
}

/* The plan stands on the facts, and on the ledger once the units are out of it. */
static void check_plan(const struct facts *facts, struct made *made, const struct victims_answer *answer, unsigned set)
{
	struct room room = room_without(facts, set);
	int first = -1;
	for (size_t i = 0; i < answer->plan.count; i++) {
		int n = atoi(answer->plan.nodes[i]->name + 1);
		const struct pod *pod = made->members[i].pod;
		room.gpus[n] -= (int)resources_get(&pod->demand, id_of(made->fleet, "nvidia.com/gpu"));
		room.cpu[n] -= (int)resources_get(&pod->demand, RESOURCE_CPU);
		assert_true(facts->nodes[n].ready && room.gpus[n] >= 0 && room.cpu[n] >= 0);
		assert_true(first < 0 || same_domain(facts, first, n, facts->require));
		first = n;
	}
	for (size_t i = 0; i < answer->count; i++) {
		const struct victims_unit *unit = &made->units[answer->chosen[i].unit];
		for (size_t m = 0; m < unit->member_count; m++)
			ledger_release(made->fleet, ledger_find(made->fleet, slice_of(unit->members[m])));
	}
	struct plan plan;
	plan_gang(made->fleet, &made->request.demand, &plan);
	assert_int_equal(plan.reason, REASON_CODE_FITS);
	plan_free(&plan);
}

struct tally {
	size_t found, not_needed, barred, no_room, worse;
	double ratio;
	size_t drawn[DRAWN_COUNT], missing[VICTIMS_BAR_COUNT];
};

static void check_why_not(const struct facts *facts, const struct victims_answer *answer, struct tally *tally)
{
	unsigned all = 0;
	for (int u = 0; u < facts->unit_count; u++)
		all |= facts->units[u].part_of < 0 ? 1u << u : 0;
	bool would = fits_without(facts, all);
	assert_int_equal(answer->verdict, would ? VICTIMS_BARRED : VICTIMS_NO_ROOM);
	tally->barred += would;
	tally->no_room += !would;
	if (would) {
		assert_true(answer->missing > VICTIMS_BAR_NONE && answer->missing < VICTIMS_BAR_COUNT);
		tally->missing[answer->missing]++;
	} else {
		assert_int_not_equal(answer->plan.reason, REASON_CODE_FITS);
	}
}

static void check(uint64_t seed, struct tally *tally)
{
	struct facts facts;
	struct made made, turned;
	struct victims_answer answer, again;
	unsigned set, set_again;
	draw(&facts, seed);
	make(&made, &facts, false);
	make(&turned, &facts, true);
	struct found best = brute(&facts, &made);
	victims_choose(made.fleet, &made.request, &answer);
	victims_choose(turned.fleet, &turned.request, &again);
	assert_int_equal(answer.verdict, again.verdict);
	if (!best.needed) {
		assert_int_equal(answer.verdict, VICTIMS_NOT_NEEDED);
		tally->not_needed++;
	} else if (best.found) {
		assert_int_equal(answer.verdict, VICTIMS_FOUND);
		assert_true(answer.exact);
		check_set(&facts, &made, &answer, &set);
		check_set(&facts, &turned, &again, &set_again);
		assert_int_equal(set, set_again);
		double price = victims_cost_total(&answer.cost);
		tally->worse += price > best.price + 1e-6;
		tally->ratio += price / best.price;
		tally->found++;
		check_plan(&facts, &made, &answer, set);
	} else {
		check_why_not(&facts, &answer, tally);
	}
	for (int i = 0; i < DRAWN_COUNT; i++)
		tally->drawn[i] += now[i];
	victims_answer_free(&answer);
	victims_answer_free(&again);
	unmake(&made);
	unmake(&turned);
}

static void cheapest_of_all(void **state)
{
	(void)state;
	struct prng prng = prng_seeded("victims against brute force");
	const char *given = getenv("BERTH_ORACLE_INSTANCES");
	size_t instances = given ? strtoul(given, NULL, 0) : INSTANCES;
	struct tally tally = {0};
	for (size_t i = 0; given ? i < instances : tally.found < instances; i++) {
		assert_true(i < INSTANCES_MAX);
		uint64_t seed = prng.state;
		prng_next(&prng);
		if (given || getenv("BERTH_ORACLE_VERBOSE"))
			printf("seed %llu\n", (unsigned long long)seed);
		check(seed, &tally);
	}
	printf("%zu found, %zu not needed, %zu barred, %zu without room; mean cost %.4f of the least, %zu above\n",
	    tally.found, tally.not_needed, tally.barred, tally.no_room,
	    tally.found ? tally.ratio / (double)tally.found : 1, tally.worse);
	for (int i = 0; i < DRAWN_COUNT; i++)
		printf("  %-28s %zu\n", drawn_names[i], tally.drawn[i]);
	for (int i = 1; i < VICTIMS_BAR_COUNT; i++)
		printf("  missing: %-40s %zu\n", victims_bar_text((enum victims_bar)i), tally.missing[i]);
	assert_int_equal(tally.worse, 0);
	for (int i = 0; !given && i < DRAWN_COUNT; i++)
		assert_true(tally.drawn[i] > instances / 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(cheapest_of_all)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
