/* The node that is emptied: against an enumeration of its own over random fleets, and rights case by case. */
#include <math.h>

#include "berth/victims.h"
#include "world.h"

#define HOUR (3600 * SECOND)
#define NOW (1000 * HOUR)
#define NODES 5
#define UNITS 9
#define PODS 3 /* of a unit */
#define BUDGETS 2
#define MIN_RUNTIME (2 * HOUR)

struct fact_unit {
	int pods, nodes[PODS], gpus[PODS];
	int priority, class_, draws[BUDGETS];
	bool recreated, kept;
	unsigned moves;
	int64_t start, checkpoint;
};

struct scene {
	struct fleet *fleet;
	struct policy *policy;
	uint16_t rights[1];
	size_t pod_count;
	struct pod *pods[UNITS * PODS + 1];
	size_t unit_count;
	struct fact_unit facts[UNITS];
	char ids[UNITS][16];
	const char *members[UNITS][PODS];
	struct victims_unit units[UNITS];
	struct victims_draw draws[UNITS][BUDGETS];
	struct plan_member demand;
	int64_t budgets[BUDGETS];
	struct victims_request request;
	char names[NODES][8];
	bool may[NODES]; /* be emptied, as was said last */
};

static struct pod *new_pod(struct scene *scene, const char *prefix, int64_t gpus)
{
	char uid[32];
	snprintf(uid, sizeof(uid), "%s%zu", prefix, scene->pod_count);
	return scene->pods[scene->pod_count++] = pod_simple(scene->fleet, uid, 100, gpus);
}

static void begin(struct scene *scene)
{
	*scene =
	    (struct scene){.fleet = fleet_new(&world_catalogue), .policy = policy_world(), .rights = {CLASS_BATCH}};
	scene->policy->classes[CLASS_PREFER].may_preempt_count = 1;
	scene->policy->classes[CLASS_PREFER].may_preempt = scene->rights;
	scene->policy->classes[CLASS_BATCH].victim.min_runtime_ns = MIN_RUNTIME;
	fleet_set_policy(scene->fleet, scene->policy);
	scene->request = (struct victims_request){.demand = {.members = &scene->demand, .topology = PLAN_ANYWHERE},
	    .class_ = CLASS_PREFER,
	    .team = VICTIMS_NONE,
	    .priority = 10,
	    .now_ns = NOW,
	    .units = scene->units,
	    .budget_count = BUDGETS,
	    .budgets = scene->budgets,
	    .moves_max = 3};
	for (int n = 0; n < NODES; n++) {
		snprintf(scene->names[n], sizeof(scene->names[n]), "n%d", n);
		fleet_put_node(scene->fleet, spec_simple(scene->fleet, scene->names[n], n % 2 ? A100 : H100, 8));
	}
	struct pod *pod = new_pod(scene, "new", 1);
	pod->class_name = "prefer";
	scene->demand = (struct plan_member){.pod = pod, .rank = PLAN_NO_RANK};
	scene->request.demand.count = 1;
}

static void end(struct scene *scene)
{
	fleet_free(scene->fleet);
	policy_free(scene->policy);
	for (size_t i = 0; i < scene->pod_count; i++)
		pod_free(scene->pods[i]);
}

static void put(struct scene *scene, const struct fact_unit *fact)
{
	size_t at = scene->unit_count++;
	struct victims_unit *unit = &scene->units[at];
	scene->facts[at] = *fact;
	snprintf(scene->ids[at], sizeof(scene->ids[at]), "unit-%zu", at);
	*unit = (struct victims_unit){.id = scene->ids[at],
	    .class_ = (uint16_t)fact->class_,
	    .team = VICTIMS_NONE,
	    .lent_by = VICTIMS_NONE,
	    .priority = fact->priority,
	    .recreated = fact->recreated,
	    .keep = fact->kept ? VICTIMS_KEEP_NOT_SAFE : 0,
	    .moves = fact->moves,
	    .members = scene->members[at],
	    .start_ns = fact->start,
	    .checkpoint_ns = fact->checkpoint,
	    .draws = scene->draws[at],
	    .part_of = VICTIMS_WHOLE};
	for (int p = 0; p < fact->pods; p++) {
		struct pod *pod = new_pod(scene, "old", fact->gpus[p]);
		ledger_reserve(scene->fleet, pod, slice_of(scene->names[fact->nodes[p]]), LEDGER_BOUND, true, 0, 0);
		scene->members[at][unit->member_count++] = pod->uid;
	}
	for (size_t b = 0; b < BUDGETS; b++)
		if (fact->draws[b] > 0)
			scene->draws[at][unit->draw_count++] = (struct victims_draw){b, fact->draws[b]};
	scene->request.unit_count = scene->unit_count;
}

/* A unit that may be ended, of `gpus` on the node, begun so many hours ago. */
static struct fact_unit plain(int node, int gpus, int hours)
{
	return (struct fact_unit){.pods = 1,
	    .nodes = {node},
	    .gpus = {gpus},
	    .class_ = CLASS_BATCH,
	    .recreated = true,
	    .start = NOW - hours * HOUR};
}

static size_t units_on(const struct scene *scene, int node, size_t units[UNITS])
{
	size_t count = 0;
	for (size_t u = 0; u < scene->unit_count; u++)
		for (int p = 0; p < scene->facts[u].pods; p++)
			if (scene->facts[u].nodes[p] == node) {
				units[count++] = u;
				break;
			}
	return count;
}

/* Nodes are tried in the order of `first`, `first` + 1, … */
static const char *empty(struct scene *scene, int first, struct victims_answer *answer)
{
	const char *name;
	struct victims_emptying *emptying = victims_empty_begin(scene->fleet, &scene->request);
	for (int i = 0; i < NODES; i++) {
		int n = (first + i) % NODES;
		size_t units[UNITS], count = units_on(scene, n, units);
		if (count > 0)
			scene->may[n] = victims_empty_try(emptying, fleet_find(scene->fleet, slice_of(scene->names[n])),
			    scene->names[n], units, count, 143);
	}
	victims_empty_finish(emptying, answer, &name);
	return name;
}

static void expect(struct scene *scene, int node)
{
	struct victims_answer answer;
	for (int first = 0; first < NODES; first++) {
		const char *name = empty(scene, first, &answer);
		assert_int_equal(answer.verdict, VICTIMS_FOUND);
		assert_string_equal(name, scene->names[node]);
		victims_answer_free(&answer);
	}
}

static void refuses(struct scene *scene, enum victims_bar bar)
{
	struct victims_answer answer;
	assert_null(empty(scene, 0, &answer));
	assert_int_equal(answer.verdict, VICTIMS_BARRED);
	assert_int_equal(answer.missing, bar);
	assert_int_equal(answer.count, 0);
	victims_answer_free(&answer);
}

/* ---- case by case ---- */

static void the_cheapest_node_is_emptied(void **state)
{
	(void)state;
	struct scene scene;
	begin(&scene);
	struct fact_unit dear = plain(0, 8, 10), saved = plain(2, 8, 10);
	saved.checkpoint = NOW - HOUR;
	put(&scene, &dear);
	put(&scene, &saved);
	expect(&scene, 2);
	struct fact_unit half = plain(4, 1, 3), other = plain(4, 1, 3);
	put(&scene, &half);
	put(&scene, &other);
	expect(&scene, 4); /* two units of two GPU-hours each, and what two units cost, are less than eight GPU-hours */
	end(&scene);
}

/* A gang that stands on several nodes is ended and paid for whole. */
static void what_stands_elsewhere_counts(void **state)
{
	(void)state;
	struct scene scene;
	struct victims_answer answer;
	begin(&scene);
	struct fact_unit gang = {.pods = 3,
	    .nodes = {0, 2, 4},
	    .gpus = {1, 8, 8},
	    .class_ = CLASS_BATCH,
	    .recreated = true,
	    .start = NOW - 3 * HOUR};
	struct fact_unit single = plain(1, 8, 4);
	put(&scene, &gang);
	put(&scene, &single);
	assert_string_equal(empty(&scene, 0, &answer), "n1");
	assert_int_equal(answer.count, 1);
	assert_int_equal(answer.chosen[0].milli_gpus, 8000);
	victims_answer_free(&answer);
	end(&scene);
}

static void equal_costs_go_to_cheap_gpus_then_to_names(void **state)
{
	(void)state;
	struct scene scene;
	begin(&scene);
	struct fact_unit a = plain(0, 8, 5), b = plain(2, 8, 5);
	put(&scene, &b);
	put(&scene, &a);
	expect(&scene, 0);
	struct fact_unit c = plain(3, 8, 5); /* A100 */
	put(&scene, &c);
	expect(&scene, 3);
	end(&scene);
}

static void what_keeps_one_unit_keeps_its_node(void **state)
{
	(void)state;
	static const enum victims_bar bars[] = {VICTIMS_BAR_NO_RIGHT, VICTIMS_BAR_PRIORITY, VICTIMS_BAR_KEPT,
	    VICTIMS_BAR_NOT_RECREATED, VICTIMS_BAR_MIN_RUNTIME, VICTIMS_BAR_MOVED, VICTIMS_BAR_BUDGET};
	for (size_t i = 0; i < sizeof bars / sizeof *bars; i++) {
		struct scene scene;
		begin(&scene);
		struct fact_unit free_ = plain(0, 4, 5), kept = plain(0, 4, 5);
		kept.class_ = bars[i] == VICTIMS_BAR_NO_RIGHT ? CLASS_SPREAD : CLASS_BATCH;
		kept.priority = bars[i] == VICTIMS_BAR_PRIORITY ? 11 : 0;
		kept.kept = bars[i] == VICTIMS_BAR_KEPT;
		kept.recreated = bars[i] != VICTIMS_BAR_NOT_RECREATED;
		kept.start = bars[i] == VICTIMS_BAR_MIN_RUNTIME ? NOW - HOUR : NOW - 5 * HOUR;
		kept.moves = bars[i] == VICTIMS_BAR_MOVED ? 3 : 0;
		kept.draws[0] = bars[i] == VICTIMS_BAR_BUDGET ? 1 : 0;
		put(&scene, &free_);
		put(&scene, &kept);
		refuses(&scene, bars[i]);
		struct fact_unit dear = plain(1, 8, 500);
		put(&scene, &dear);
		expect(&scene, 1);
		end(&scene);
	}
}

static void budgets_are_counted_over_all_that_ends(void **state)
{
	(void)state;
	struct scene scene;
	begin(&scene);
	struct fact_unit one = plain(0, 4, 5), other = plain(0, 4, 5);
	one.draws[1] = other.draws[1] = 1;
	put(&scene, &one);
	put(&scene, &other);
	scene.budgets[1] = 1;
	refuses(&scene, VICTIMS_BAR_BUDGET);
	scene.budgets[1] = 2;
	expect(&scene, 0);
	end(&scene);
}

/* Of two nodes that are kept, what would pass by itself is told. */
static void the_softest_bar_is_told(void **state)
{
	(void)state;
	struct scene scene;
	struct victims_answer answer;
	begin(&scene);
	assert_null(empty(&scene, 0, &answer));
	assert_int_equal(answer.verdict, VICTIMS_NO_ROOM);
	victims_answer_free(&answer);
	struct fact_unit kept = plain(0, 8, 5), young = plain(1, 4, 1), foreign = plain(1, 4, 5);
	kept.kept = true;
	foreign.class_ = CLASS_SPREAD;
	put(&scene, &kept);
	put(&scene, &young);
	put(&scene, &foreign);
	refuses(&scene, VICTIMS_BAR_KEPT);
	end(&scene);
}

/* A team below its guarantee claims with what it will take, not with the whole node. */
static void a_claim_is_of_what_is_taken(void **state)
{
	(void)state;
	struct scene scene;
	struct victims_answer answer;
	int64_t used[2][4] = {{0}, {8000}}, guaranteed[2][4] = {{200}, {0}};
	struct victims_team teams[2] = {
	    {"poor", VICTIMS_NONE, used[0], guaranteed[0]}, {"rich", VICTIMS_NONE, used[1], guaranteed[1]}};
	begin(&scene);
	scene.request.class_ = CLASS_SPREAD;
	scene.request.team_count = 2;
	scene.request.teams = teams;
	scene.request.team = 0;
	struct fact_unit lent = plain(0, 8, 5);
	put(&scene, &lent);
	scene.units[0].team = 1;
	assert_string_equal(empty(&scene, 0, &answer), "n0");
	assert_int_equal(answer.chosen[0].right, VICTIMS_BY_RECLAIM);
	victims_answer_free(&answer);
	guaranteed[0][0] = 142;
	refuses(&scene, VICTIMS_BAR_NO_RIGHT);
	end(&scene);
}

/* ---- against an enumeration ---- */

static bool may_end(const struct fact_unit *fact)
{
	return fact->class_ == CLASS_BATCH && fact->priority <= 10 && !fact->kept && fact->recreated &&
	       NOW - fact->start >= MIN_RUNTIME && fact->moves < 3;
}

static double cost_of(const struct fact_unit *fact)
{
	double gpus = 0, hours = (double)(NOW - fact->start) / HOUR;
	int64_t saved = fact->checkpoint > NOW ? NOW : fact->checkpoint > fact->start ? fact->checkpoint : fact->start;
	for (int p = 0; p < fact->pods; p++)
		gpus += fact->gpus[p];
	return gpus * (double)(NOW - saved) / SECOND + VICTIMS_COST_CLASS * (double)(CLASSES - 1 - fact->class_) +
	       VICTIMS_COST_HOUR * fmin(hours, VICTIMS_HOURS_MAX) + VICTIMS_COST_UNIT +
	       VICTIMS_COST_DRAW * (fact->draws[0] + fact->draws[1]) + VICTIMS_COST_MOVE * fact->moves;
}

/* What it costs to empty the node; INFINITY: it may not be. */
static double price(const struct scene *scene, int node)
{
	double sum = 0;
	int64_t drawn[BUDGETS] = {0};
	size_t units[UNITS], count = units_on(scene, node, units);
	for (size_t i = 0; i < count; i++) {
		const struct fact_unit *fact = &scene->facts[units[i]];
		sum += may_end(fact) ? cost_of(fact) : INFINITY;
		for (size_t b = 0; b < BUDGETS; b++)
			drawn[b] += fact->draws[b];
	}
	for (size_t b = 0; b < BUDGETS; b++)
		if (drawn[b] > scene->budgets[b])
			return INFINITY;
	return count > 0 ? sum : INFINITY;
}

static void draw_unit(struct scene *scene, struct prng *prng, int free_gpus[NODES])
{
	struct fact_unit fact = {.class_ = one_in(prng, 8) ? CLASS_SPREAD : CLASS_BATCH,
	    .priority = one_in(prng, 8) ? 11 : (int)pick(prng, 11),
	    .recreated = !one_in(prng, 10),
	    .kept = one_in(prng, 10),
	    .moves = (unsigned)pick(prng, 4),
	    .start = NOW - (int64_t)(1 + pick(prng, 40)) * HOUR};
	fact.checkpoint = one_in(prng, 2) ? 0 : fact.start + (int64_t)pick(prng, 41) * HOUR;
	for (size_t b = 0; b < BUDGETS; b++)
		fact.draws[b] = one_in(prng, 4) ? 1 + (int)pick(prng, 2) : 0;
	for (int want = 1 + (int)pick(prng, PODS); want > 0; want--) {
		int node = (int)pick(prng, NODES), gpus = 1 + (int)pick(prng, 4);
		if (free_gpus[node] < gpus)
			continue;
		free_gpus[node] -= gpus;
		fact.nodes[fact.pods] = node;
		fact.gpus[fact.pods++] = gpus;
	}
	if (fact.pods > 0)
		put(scene, &fact);
}

static void no_node_is_cheaper(void **state)
{
	(void)state;
	struct prng prng = prng_seeded("victims_node");
	int found = 0;
	for (int round = 0; round < 3000; round++) {
		struct scene scene;
		struct victims_answer answer;
		int free_gpus[NODES];
		double least = INFINITY;
		begin(&scene);
		for (int n = 0; n < NODES; n++)
			free_gpus[n] = 8;
		for (size_t b = 0; b < BUDGETS; b++)
			scene.budgets[b] = (int64_t)pick(&prng, 4);
		for (int u = 0; u < UNITS; u++)
			draw_unit(&scene, &prng, free_gpus);
		for (int n = 0; n < NODES; n++)
			least = fmin(least, price(&scene, n));
		const char *name = empty(&scene, (int)pick(&prng, NODES), &answer);
		assert_int_equal(answer.verdict == VICTIMS_FOUND, isfinite(least));
		for (int n = 0; n < NODES; n++)
			assert_true(scene.may[n] == (isfinite(price(&scene, n)) != 0));
		if (name) {
			assert_true(fabs(price(&scene, name[1] - '0') - least) < 1e-3);
			assert_true(fabs(victims_cost_total(&answer.cost) - least) < 1e-3);
			found++;
		}
		victims_answer_free(&answer);
		end(&scene);
	}
	assert_true(found > 300);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_cheapest_node_is_emptied),
	    cmocka_unit_test(what_stands_elsewhere_counts),
	    cmocka_unit_test(equal_costs_go_to_cheap_gpus_then_to_names),
	    cmocka_unit_test(what_keeps_one_unit_keeps_its_node),
	    cmocka_unit_test(budgets_are_counted_over_all_that_ends),
	    cmocka_unit_test(the_softest_bar_is_told),
	    cmocka_unit_test(a_claim_is_of_what_is_taken),
	    cmocka_unit_test(no_node_is_cheaper),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
