/* The search for victims: what brute force on small fleets does not show. Rules among pods, steps, a fleet that changes
 * meanwhile, many units. */
#include <math.h>

#include "berth/headroom.h"
#include "berth/victims.h"
#include "world.h"

#define HOUR (3600 * SECOND)
#define NOW (1000 * HOUR)
#define UNITS 80
#define MEMBERS 16
#define DEMAND 64

struct scene {
	struct fleet *fleet;
	struct policy *policy;
	uint16_t rights[1];
	size_t pod_count;
	struct pod *pods[UNITS * MEMBERS + DEMAND];
	char ids[UNITS][16];
	const char *members[UNITS][MEMBERS];
	struct victims_unit units[UNITS];
	struct plan_member demand[DEMAND];
	struct victims_request request;
};

static void begin(struct scene *scene)
{
	*scene =
	    (struct scene){.fleet = fleet_new(&world_catalogue), .policy = policy_world(), .rights = {CLASS_BATCH}};
	scene->policy->classes[CLASS_PREFER].may_preempt_count = 1;
	scene->policy->classes[CLASS_PREFER].may_preempt = scene->rights;
	fleet_set_policy(scene->fleet, scene->policy);
	scene->request = (struct victims_request){.demand = {.members = scene->demand, .topology = PLAN_ANYWHERE},
	    .class_ = CLASS_PREFER,
	    .team = VICTIMS_NONE,
	    .priority = 10,
	    .now_ns = NOW,
	    .units = scene->units};
}

static void end(struct scene *scene)
{
	fleet_free(scene->fleet);
	policy_free(scene->policy);
	for (size_t i = 0; i < scene->pod_count; i++)
		pod_free(scene->pods[i]);
}

static const char *node_name(int n)
{
	static char text[16];
	snprintf(text, sizeof(text), "n%02d", n);
	return text;
}

static void put_nodes(struct scene *scene, int count, int gpus)
{
	for (int n = 0; n < count; n++) {
		struct node_spec *spec = spec_simple(scene->fleet, node_name(n), H100, gpus);
		spec_label(spec, "kubernetes.io/hostname", node_name(n));
		spec_label(spec, "block", n % 2 ? "b1" : "b0");
		spec_label(spec, "rack", n / 2 % 2 ? "r1" : "r0");
		fleet_put_node(scene->fleet, spec);
	}
}

static struct pod *new_pod(struct scene *scene, const char *prefix, int64_t gpus, const char *app)
{
	char uid[32];
	snprintf(uid, sizeof(uid), "%s%zu", prefix, scene->pod_count);
	struct pod *pod = pod_simple(scene->fleet, uid, 100, gpus);
	if (app)
		pod->labels.items[pod->labels.count++] = (struct label){"app", copy_text(&pod->arena, app)};
	return scene->pods[scene->pod_count++] = pod;
}

/* A unit whose work is worth so many hours of each of its GPUs. */
static size_t put_unit(struct scene *scene, double hours)
{
	size_t at = scene->request.unit_count++;
	snprintf(scene->ids[at], sizeof(scene->ids[at]), "unit-%02zu", at);
	scene->units[at] = (struct victims_unit){.id = scene->ids[at],
	    .class_ = CLASS_BATCH,
	    .team = VICTIMS_NONE,
	    .lent_by = VICTIMS_NONE,
	    .recreated = true,
	    .members = scene->members[at],
	    .start_ns = NOW - (int64_t)(hours * (double)HOUR),
	    .part_of = VICTIMS_WHOLE};
	return at;
}

static struct pod *put_member(struct scene *scene, size_t unit, int node, int64_t gpus, const char *app)
{
	struct pod *pod = new_pod(scene, "old", gpus, app);
	ledger_reserve(scene->fleet, pod, slice_of(node_name(node)), LEDGER_BOUND, true, 0, 0);
	scene->members[unit][scene->units[unit].member_count++] = pod->uid;
	return pod;
}

static struct pod *put_demand(struct scene *scene, int64_t gpus, const char *app)
{
	struct pod *pod = new_pod(scene, "new", gpus, app);
	pod->class_name = "prefer";
	scene->demand[scene->request.demand.count++] = (struct plan_member){.pod = pod, .rank = PLAN_NO_RANK};
	return pod;
}

static void expect(struct scene *scene, enum victims_verdict verdict, size_t count, const size_t *units)
{
	struct victims_answer answer;
	victims_choose(scene->fleet, &scene->request, &answer);
	assert_int_equal(answer.verdict, verdict);
	assert_int_equal(answer.count, count);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(answer.chosen[i].unit, units[i]);
	for (size_t i = 0; verdict == VICTIMS_FOUND && i < answer.plan.count; i++)
		assert_non_null(answer.plan.nodes[i]);
	victims_answer_free(&answer);
}

/* ---- pods that end by themselves ---- */

static void what_ends_anyway_is_room_that_comes(void **state)
{
	(void)state;
	struct scene scene;
	struct victims_answer answer;
	const size_t one[] = {0};
	begin(&scene);
	put_nodes(&scene, 2, 8);
	put_member(&scene, put_unit(&scene, 1), 0, 8, NULL);
	struct pod *ends = new_pod(&scene, "ends", 8, NULL);
	const char *coming[] = {ends->uid, "not there"};
	ledger_reserve(scene.fleet, ends, slice_of(node_name(1)), LEDGER_BOUND, true, 0, 0);
	put_demand(&scene, 8, NULL);
	expect(&scene, VICTIMS_FOUND, 1, one);
	scene.request.coming_count = 2;
	scene.request.coming = coming;
	expect(&scene, VICTIMS_NOT_NEEDED, 0, NULL);
	put_demand(&scene, 8, NULL);
	expect(&scene, VICTIMS_FOUND, 1, one);
	/* It ends while the search goes on. */
	struct victims_search *search = victims_begin(scene.fleet, &scene.request);
	ledger_release(scene.fleet, ledger_find(scene.fleet, slice_of(ends->uid)));
	while (!victims_step(search, 1))
		;
	victims_finish(scene.fleet, search, &answer);
	assert_int_equal(answer.verdict, VICTIMS_FOUND);
	victims_answer_free(&answer);
	end(&scene);
}

/* ---- what the demand asks of other pods ---- */

static void keep_off(struct pod *pod, const char *key, const char *app)
{
	struct node_term term = term_of(&pod->arena, "app", SELECTOR_IN, app);
	pod->anti_affinity_count = 1;
	pod->anti_affinity = arena_calloc(&pod->arena, 1, sizeof(*pod->anti_affinity));
	pod->anti_affinity[0] = (struct pod_term){.topology_key = key, .selector = term.expressions};
}

/* Both nodes have room, but pods that the new one keeps off. */
static void rules_no_longer_count_who_is_gone(void **state)
{
	(void)state;
	struct scene scene;
	const size_t cheap[] = {1};
	begin(&scene);
	put_nodes(&scene, 2, 8);
	put_member(&scene, put_unit(&scene, 9), 0, 1, "loud");
	put_member(&scene, put_unit(&scene, 1), 1, 1, "loud");
	put_member(&scene, put_unit(&scene, 0.1), 1, 1, "quiet");
	keep_off(put_demand(&scene, 2, "new"), "kubernetes.io/hostname", "loud");
	expect(&scene, VICTIMS_FOUND, 1, cheap);
	end(&scene);
}

/* As many as there are hosts, one on each: of each host exactly one unit must go. */
static void replicas_apart(void **state)
{
	(void)state;
	struct scene scene;
	const size_t chosen[] = {1, 2, 5};
	begin(&scene);
	put_nodes(&scene, 3, 8);
	for (int n = 0; n < 3; n++) {
		put_member(&scene, put_unit(&scene, n == 1 ? 1 : 5), n, 4, "old");
		put_member(&scene, put_unit(&scene, n == 1 ? 5 : 1), n, 4, "old");
		keep_off(put_demand(&scene, 2, "new"), "kubernetes.io/hostname", "new");
	}
	expect(&scene, VICTIMS_FOUND, 3, chosen);
	end(&scene);
}

/* By hosts the victims count until they are gone: the new pod may stand where nobody of them does. */
static void spread_counts_who_stays(void **state)
{
	(void)state;
	struct scene scene;
	begin(&scene);
	put_nodes(&scene, 2, 2);
	size_t first = put_unit(&scene, 1), second = put_unit(&scene, 2);
	put_member(&scene, first, 0, 1, "new");
	put_member(&scene, first, 0, 1, "new");
	put_member(&scene, second, 1, 2, "other");
	struct pod *pod = put_demand(&scene, 1, "new");
	struct node_term term = term_of(&pod->arena, "app", SELECTOR_IN, "new");
	pod->spread_count = 1;
	pod->spread = arena_calloc(&pod->arena, 1, sizeof(*pod->spread));
	pod->spread[0] = (struct spread_constraint){
	    .topology_key = "kubernetes.io/hostname", .max_skew = 1, .min_domains = 1, .selector = term.expressions};
	expect(&scene, VICTIMS_FOUND, 1, &first);
	end(&scene);
}

/* ---- room ---- */

/* What stands on the node is more than it has: one that goes makes no room yet. */
static void overcommitted_node(void **state)
{
	(void)state;
	struct scene scene;
	const size_t all[] = {0, 1};
	begin(&scene);
	put_nodes(&scene, 1, 4);
	put_member(&scene, put_unit(&scene, 1), 0, 4, NULL);
	put_member(&scene, put_unit(&scene, 1), 0, 4, NULL);
	put_demand(&scene, 2, NULL);
	expect(&scene, VICTIMS_FOUND, 2, all);
	end(&scene);
}

/* A unit that holds nothing where it would help is not ended, however cheap. */
static void useless_units_stay(void **state)
{
	(void)state;
	struct scene scene;
	begin(&scene);
	put_nodes(&scene, 2, 8);
	put_member(&scene, put_unit(&scene, 0), 0, 1, NULL);
	size_t big = put_unit(&scene, 3);
	put_member(&scene, big, 1, 8, NULL);
	struct pod *stays = new_pod(&scene, "stays", 7, NULL);
	ledger_reserve(scene.fleet, stays, slice_of(node_name(0)), LEDGER_BOUND, false, 0, 0);
	put_demand(&scene, 4, NULL);
	expect(&scene, VICTIMS_FOUND, 1, &big);
	end(&scene);
}

static void nothing_to_do(void **state)
{
	(void)state;
	struct scene scene;
	struct victims_answer answer;
	begin(&scene);
	put_nodes(&scene, 1, 8);
	expect(&scene, VICTIMS_NOT_NEEDED, 0, NULL);
	put_member(&scene, put_unit(&scene, 1), 0, 4, NULL);
	put_demand(&scene, 4, NULL);
	victims_choose(scene.fleet, &scene.request, &answer);
	assert_int_equal(answer.verdict, VICTIMS_NOT_NEEDED);
	assert_string_equal(answer.plan.nodes[0]->name, "n00");
	victims_answer_free(&answer);
	end(&scene);
}

static void why_not(void **state)
{
	(void)state;
	struct scene scene;
	struct victims_answer answer;
	begin(&scene);
	put_nodes(&scene, 2, 8);
	put_member(&scene, put_unit(&scene, 1), 0, 8, NULL);
	put_member(&scene, put_unit(&scene, 1), 1, 8, NULL);
	put_demand(&scene, 8, NULL);
	scene.units[0].class_ = CLASS_HOSTS;
	scene.units[1].keep = VICTIMS_KEEP_DO_NOT_DISRUPT;
	victims_choose(scene.fleet, &scene.request, &answer);
	assert_int_equal(answer.verdict, VICTIMS_BARRED);
	assert_int_equal(answer.missing, VICTIMS_BAR_KEPT);
	assert_int_equal(answer.bars[VICTIMS_BAR_KEPT], 1);
	assert_int_equal(answer.bars[VICTIMS_BAR_NO_RIGHT], 1);
	assert_string_equal(victims_bar_text(answer.missing), "it is protected");
	victims_answer_free(&answer);

	scene.units[1].keep = 0;
	scene.policy->classes[CLASS_BATCH].victim.min_runtime_ns = 2 * HOUR;
	victims_choose(scene.fleet, &scene.request, &answer);
	assert_int_equal(answer.missing, VICTIMS_BAR_MIN_RUNTIME);
	victims_answer_free(&answer);

	put_demand(&scene, 9, NULL);
	victims_choose(scene.fleet, &scene.request, &answer);
	assert_int_equal(answer.verdict, VICTIMS_NO_ROOM);
	assert_int_equal(answer.plan.blocking, 1);
	victims_answer_free(&answer);
	end(&scene);
}

/* ---- domains ---- */

/* Rack r0 of block b0 has n00, n04 …: the cheapest units are elsewhere, each in another rack. */
static void cheapest_domain(void **state)
{
	(void)state;
	struct scene scene;
	const size_t chosen[] = {3, 7};
	begin(&scene);
	put_nodes(&scene, 8, 8);
	for (int n = 0; n < 8; n++)
		put_member(&scene, put_unit(&scene, n < 3 ? 1 : n == 7 ? 0.5 : 4), n, 8, NULL);
	put_demand(&scene, 8, NULL);
	put_demand(&scene, 8, NULL);
	scene.request.demand.topology.require = 1;
	expect(&scene, VICTIMS_FOUND, 2, chosen);
	end(&scene);
}

/* ---- headroom ---- */

static uint16_t lend_to[] = {CLASS_SPREAD};

/* Half of each node is kept for the class, and lent to CLASS_SPREAD while its window is closed. */
static void keep_headroom(struct scene *scene, struct policy_headroom *rule, uint16_t for_, int64_t gpus)
{
	*rule = (struct policy_headroom){.for_ = for_,
	    .pool = H100,
	    .gpus = gpus,
	    .chunk = 4,
	    .has_when = true,
	    .lend_count = 1,
	    .lend_to = lend_to};
	scene->policy->headroom = rule;
	scene->policy->headroom_count = 1;
	fleet_set_policy(scene->fleet, scene->policy);
}

static void window(struct scene *scene, bool open)
{
	struct headroom_window window = {.open = open, .left_ns = 10 * HOUR};
	headroom_windows(scene->fleet, &window, 1);
	headroom_place(scene->fleet);
}

static void what_was_lent_comes_back(void **state)
{
	(void)state;
	struct scene scene;
	struct policy_headroom rule;
	struct victims_answer answer;
	begin(&scene);
	put_nodes(&scene, 1, 8);
	keep_headroom(&scene, &rule, CLASS_PREFER, 8);
	window(&scene, false);
	size_t unit = put_unit(&scene, 1);
	scene.units[unit].class_ = CLASS_SPREAD;
	struct pod *borrower = new_pod(&scene, "old", 8, NULL);
	borrower->class_name = "spread";
	ledger_reserve(scene.fleet, borrower, slice_of(node_name(0)), LEDGER_BOUND, true, 0, 0);
	scene.members[unit][scene.units[unit].member_count++] = borrower->uid;
	put_demand(&scene, 4, NULL);
	victims_choose(scene.fleet, &scene.request, &answer);
	assert_int_equal(answer.verdict, VICTIMS_BARRED);
	assert_int_equal(answer.missing, VICTIMS_BAR_NO_RIGHT);
	victims_answer_free(&answer);
	window(&scene, true);
	victims_choose(scene.fleet, &scene.request, &answer);
	assert_int_equal(answer.verdict, VICTIMS_FOUND);
	assert_int_equal(answer.chosen[0].right, VICTIMS_BY_LENT);
	victims_answer_free(&answer);
	scene.units[unit].priority = scene.request.priority;
	expect(&scene, VICTIMS_BARRED, 0, NULL);
	end(&scene);
}

/* Where headroom is short, it gets what comes free, and a demand of another class does not. */
static void headroom_comes_first(void **state)
{
	(void)state;
	struct scene scene;
	struct policy_headroom rule;
	begin(&scene);
	put_nodes(&scene, 2, 8);
	put_member(&scene, put_unit(&scene, 1), 0, 4, NULL);
	put_member(&scene, put_unit(&scene, 1), 0, 4, NULL);
	size_t other = put_unit(&scene, 9);
	put_member(&scene, other, 1, 8, NULL);
	keep_headroom(&scene, &rule, CLASS_HOSTS, 4);
	window(&scene, true);
	put_demand(&scene, 8, NULL);
	struct victims_answer answer;
	victims_choose(scene.fleet, &scene.request, &answer);
	assert_int_equal(answer.verdict, VICTIMS_FOUND);
	for (size_t i = 0; i < answer.count; i++) {
		const struct victims_unit *unit = &scene.units[answer.chosen[i].unit];
		for (size_t m = 0; m < unit->member_count; m++)
			ledger_release(scene.fleet, ledger_find(scene.fleet, slice_of(unit->members[m])));
	}
	struct decision decision;
	decide_fleet(scene.fleet, scene.demand[0].pod, &decision);
	assert_ptr_equal(decision.node, answer.plan.nodes[0]);
	victims_answer_free(&answer);
	end(&scene);
}

/* ---- teams of the policy ---- */

static const char *llm_spaces[] = {"llm"}, *vision_spaces[] = {"vision"};

static void in_team(struct pod *pod, const char *namespace_)
{
	pod->namespace_ = namespace_;
}

/* Team llm is guaranteed one node and stands on both; vision comes into its own, and no further. */
static void teams_of_the_policy(void **state)
{
	(void)state;
	struct scene scene;
	int64_t guaranteed[2][MODELS] = {{8000}, {8000}}, limit[2][MODELS] = {{-1, -1, -1, -1}, {12000, -1, -1, -1}};
	struct policy_team teams[3] = {{.name = "llm",
	                                   .namespace_count = 1,
	                                   .namespaces = llm_spaces,
	                                   .parent = VICTIMS_NONE,
	                                   .weight = 1,
	                                   .guaranteed = guaranteed[0],
	                                   .limit = limit[0]},
	    {.name = "vision",
	        .namespace_count = 1,
	        .namespaces = vision_spaces,
	        .parent = VICTIMS_NONE,
	        .weight = 1,
	        .guaranteed = guaranteed[1],
	        .limit = limit[1]}};
	int64_t none[MODELS] = {0}, unbound[MODELS] = {-1, -1, -1, -1};
	teams[2] = (struct policy_team){
	    .name = "unlisted", .parent = VICTIMS_NONE, .weight = 1, .guaranteed = none, .limit = unbound};
	begin(&scene);
	scene.policy->teams = teams;
	scene.policy->team_count = 3;
	fleet_set_policy(scene.fleet, scene.policy);
	put_nodes(&scene, 2, 8);
	for (int n = 0; n < 2; n++) {
		size_t unit = put_unit(&scene, 1 + n);
		struct pod *pod = new_pod(&scene, "old", 8, NULL);
		in_team(pod, "llm");
		scene.units[unit].class_ = CLASS_HOSTS; /* no right but the team's */
		ledger_reserve(scene.fleet, pod, slice_of(node_name(n)), LEDGER_BOUND, true, 0, 0);
		scene.members[unit][scene.units[unit].member_count++] = pod->uid;
	}
	in_team(put_demand(&scene, 8, NULL), "vision");
	struct victims_answer answer;
	victims_choose(scene.fleet, &scene.request, &answer);
	assert_int_equal(answer.verdict, VICTIMS_FOUND);
	assert_int_equal(answer.count, 1);
	assert_int_equal(answer.chosen[0].right, VICTIMS_BY_RECLAIM);
	victims_answer_free(&answer);

	/* Beyond its guarantee there is no such right, and by another one llm keeps its own. */
	in_team(put_demand(&scene, 4, NULL), "vision");
	expect(&scene, VICTIMS_BARRED, 0, NULL);
	scene.units[0].class_ = scene.units[1].class_ = CLASS_BATCH;
	expect(&scene, VICTIMS_BARRED, 0, NULL);

	/* Nothing is ended for what its own limit would keep out. */
	guaranteed[0][H100] = 0;
	in_team(put_demand(&scene, 4, NULL), "vision");
	expect(&scene, VICTIMS_BARRED, 0, NULL);
	scene.request.demand.count = 2;
	expect(&scene, VICTIMS_FOUND, 2, (const size_t[]){0, 1});
	end(&scene);
}

/* ---- steps ---- */

static void fill(struct scene *scene, int nodes)
{
	struct prng prng = {7};
	put_nodes(scene, nodes, 8);
	for (int n = 0; n < nodes; n++)
		for (int64_t left = 8, gpus; left > 0; left -= gpus) {
			gpus = 1 << pick(&prng, 3);
			gpus = gpus < left ? gpus : left;
			put_member(scene, put_unit(scene, (double)pick(&prng, 40) / 4), n, gpus, NULL);
		}
	for (int d = 0; d < 5; d++)
		put_demand(scene, 4, NULL);
}

static void steps_lead_to_the_same(void **state)
{
	(void)state;
	struct scene scene;
	struct victims_answer at_once, stepped;
	size_t steps = 0;
	begin(&scene);
	fill(&scene, 10);
	assert_true(scene.request.unit_count > VICTIMS_EXACT);
	victims_choose(scene.fleet, &scene.request, &at_once);
	assert_int_equal(at_once.verdict, VICTIMS_FOUND);
	struct victims_search *search = victims_begin(scene.fleet, &scene.request);
	while (!victims_step(search, 1))
		steps++;
	victims_finish(scene.fleet, search, &stepped);
	assert_true(steps > 100);
	assert_int_equal(stepped.count, at_once.count);
	for (size_t i = 0; i < stepped.count; i++)
		assert_int_equal(stepped.chosen[i].unit, at_once.chosen[i].unit);
	victims_answer_free(&at_once);
	victims_answer_free(&stepped);
	end(&scene);
}

/* Wherever it is given up, nothing is left behind. */
static void given_up_at_any_step(void **state)
{
	(void)state;
	struct scene scene;
	begin(&scene);
	fill(&scene, 6);
	for (bool done = false, more = true; more; more = !done) {
		static size_t steps;
		struct victims_answer answer;
		struct victims_search *search = victims_begin(scene.fleet, &scene.request);
		for (size_t i = 0; i < steps && !done; i++)
			done = victims_step(search, 1);
		victims_finish(scene.fleet, search, &answer);
		assert_int_equal(answer.verdict, done ? VICTIMS_FOUND : VICTIMS_OVERTAKEN);
		victims_answer_free(&answer);
		steps += 1 + steps / 3;
	}
	end(&scene);
}

static struct victims_search *searched(struct scene *scene)
{
	struct victims_search *search = victims_begin(scene->fleet, &scene->request);
	while (!victims_step(search, VICTIMS_EFFORT))
		;
	return search;
}

static void expect_finish(struct scene *scene, struct victims_search *search, enum victims_verdict verdict)
{
	struct victims_answer answer;
	victims_finish(scene->fleet, search, &answer);
	assert_int_equal(answer.verdict, verdict);
	victims_answer_free(&answer);
}

static void overtaken_by_the_fleet(void **state)
{
	(void)state;
	struct scene scene;
	begin(&scene);
	put_nodes(&scene, 2, 8);
	size_t unit = put_unit(&scene, 1);
	struct pod *member = put_member(&scene, unit, 0, 8, NULL);
	put_member(&scene, put_unit(&scene, 5), 1, 8, NULL);
	put_demand(&scene, 4, NULL);
	expect_finish(&scene, searched(&scene), VICTIMS_FOUND);

	/* A victim that ends by itself is no reason to begin anew. */
	struct victims_search *search = searched(&scene);
	ledger_release(scene.fleet, ledger_find(scene.fleet, slice_of(member->uid)));
	expect_finish(&scene, search, VICTIMS_FOUND);
	ledger_reserve(scene.fleet, member, slice_of("n00"), LEDGER_BOUND, true, 0, 0);

	/* Another pod takes what was free. */
	search = searched(&scene);
	struct pod *other = new_pod(&scene, "other", 6, NULL);
	ledger_reserve(scene.fleet, other, slice_of("n00"), LEDGER_BOUND, true, 0, 0);
	expect_finish(&scene, search, VICTIMS_OVERTAKEN);
	ledger_release(scene.fleet, ledger_find(scene.fleet, slice_of(other->uid)));

	search = searched(&scene);
	fleet_remove_node(scene.fleet, slice_of("n00"));
	expect_finish(&scene, search, VICTIMS_OVERTAKEN);

	/* By another policy, between two steps or at the end. */
	struct policy *policy = policy_world();
	for (int ended = 0; ended < 2; ended++) {
		search = ended ? searched(&scene) : victims_begin(scene.fleet, &scene.request);
		fleet_set_policy(scene.fleet, policy);
		assert_true(victims_step(search, 1));
		expect_finish(&scene, search, VICTIMS_OVERTAKEN);
		fleet_set_policy(scene.fleet, scene.policy);
	}
	policy_free(policy);

	/* Between two steps, too. */
	search = victims_begin(scene.fleet, &scene.request);
	victims_step(search, 1);
	fleet_remove_node(scene.fleet, slice_of("n01"));
	while (!victims_step(search, 1))
		;
	expect_finish(&scene, search, VICTIMS_OVERTAKEN);
	end(&scene);
}

/* ---- many units, against the least cost by dynamic programming ---- */

/* Gangs of whole nodes: the cheapest cover. */
static double least_of_gangs(const struct scene *scene, const double *price, size_t wanted)
{
	double best[DEMAND + 1] = {0};
	for (size_t n = 1; n <= wanted; n++)
		best[n] = INFINITY;
	for (size_t u = 0; u < scene->request.unit_count; u++)
		for (size_t n = wanted, gives = scene->units[u].member_count; n > 0; n--) {
			double with = price[u] + best[n > gives ? n - gives : 0];
			best[n] = with < best[n] ? with : best[n];
		}
	return best[wanted];
}

static double price_of(const struct victims_unit *unit, int64_t gpus)
{
	double hours = (double)(NOW - unit->start_ns) / (double)HOUR;
	return (double)gpus * hours * 3600 + VICTIMS_COST_UNIT +
	       VICTIMS_COST_HOUR * (hours < VICTIMS_HOURS_MAX ? hours : VICTIMS_HOURS_MAX);
}

static double cost_found(struct scene *scene)
{
	struct victims_answer answer;
	victims_choose(scene->fleet, &scene->request, &answer);
	assert_int_equal(answer.verdict, VICTIMS_FOUND);
	double cost = victims_cost_total(&answer.cost);
	victims_answer_free(&answer);
	return cost;
}

static void many_gangs(void **state)
{
	(void)state;
	struct prng prng = prng_seeded("many gangs");
	double ratio = 0, worst = 1;
	for (int run = 0; run < 40; run++) {
		struct scene scene;
		double price[UNITS];
		int nodes = 0, count = VICTIMS_EXACT + 5 + (int)pick(&prng, 50);
		begin(&scene);
		for (int u = 0; u < count; u++)
			put_unit(&scene, (double)(1 + pick(&prng, 200)) / 10);
		int sizes[UNITS], all = 0;
		for (int u = 0; u < count; u++)
			all += sizes[u] = 1 + (int)pick(&prng, one_in(&prng, 3) ? MEMBERS : 3);
		put_nodes(&scene, all < 99 ? all : 99, 8);
		for (int u = 0; u < count; u++)
			for (int m = 0; m < sizes[u] && nodes < 99; m++)
				put_member(&scene, (size_t)u, nodes++, 8, NULL);
		for (int u = 0; u < count; u++)
			price[u] = price_of(&scene.units[u], 8 * (int64_t)scene.units[u].member_count);
		int wanted = 1 + (int)pick(&prng, nodes / 2 < DEMAND ? nodes / 2 : DEMAND);
		for (int d = 0; d < wanted; d++)
			put_demand(&scene, 8, NULL);
		double over = cost_found(&scene) / least_of_gangs(&scene, price, (size_t)wanted);
		assert_true(over > 1 - 1e-9);
		ratio += over / 40;
		worst = over > worst ? over : worst;
		end(&scene);
	}
	printf("cost of the least: mean %.4f, most %.4f\n", ratio, worst);
	assert_true(ratio < 1.05);
}

/* On each node: the cheapest way to room for one pod of 4 GPUs, and for two. */
static void node_prices(const double *price, const int64_t *gpus, int count, double *one, double *two)
{
	*one = *two = INFINITY;
	for (unsigned set = 0; set < 1u << count; set++) {
		double sum = 0;
		int64_t freed = 0;
		for (int i = 0; i < count; i++)
			if (set >> i & 1) {
				sum += price[i];
				freed += gpus[i];
			}
		*one = freed >= 4 && sum < *one ? sum : *one;
		*two = freed >= 8 && sum < *two ? sum : *two;
	}
}

static void many_singles_that_share_nodes(void **state)
{
	(void)state;
	struct prng prng = prng_seeded("many singles");
	double ratio = 0, worst = 1;
	for (int run = 0; run < 40; run++) {
		struct scene scene;
		int nodes = 12, wanted = 1 + (int)pick(&prng, 2 * nodes);
		double best[DEMAND + 1] = {0};
		begin(&scene);
		put_nodes(&scene, nodes, 8);
		for (int n = 1; n <= DEMAND; n++)
			best[n] = INFINITY;
		for (int n = 0; n < nodes; n++) {
			double price[8], one, two;
			int64_t gpus[8], left = 8;
			int count = 0;
			for (; left > 0 && scene.request.unit_count < UNITS; left -= gpus[count++]) {
				gpus[count] = 1 << pick(&prng, 3);
				gpus[count] = gpus[count] < left ? gpus[count] : left;
				size_t unit = put_unit(&scene, (double)(1 + pick(&prng, 100)) / 10);
				put_member(&scene, unit, n, gpus[count], NULL);
				price[count] = price_of(&scene.units[unit], gpus[count]);
			}
			if (left > 0)
				ledger_reserve(scene.fleet, new_pod(&scene, "stays", left, NULL),
				    slice_of(node_name(n)), LEDGER_BOUND, false, 0, 0);
			node_prices(price, gpus, count, &one, &two);
			for (int d = wanted; d > 0; d--) {
				double with = one + best[d - 1], both = two + best[d > 2 ? d - 2 : 0];
				best[d] = with < best[d] ? with : best[d];
				best[d] = both < best[d] ? both : best[d];
			}
		}
		for (int d = 0; d < wanted; d++)
			put_demand(&scene, 4, NULL);
		if (best[wanted] < INFINITY) {
			double over = cost_found(&scene) / best[wanted];
			assert_true(over > 1 - 1e-9);
			ratio += over / 40;
			worst = over > worst ? over : worst;
		} else {
			ratio += 1.0 / 40;
		}
		end(&scene);
	}
	printf("cost of the least: mean %.4f, most %.4f\n", ratio, worst);
	assert_true(ratio < 1.05);
}

/* One pod of the unit may end alone. */
static void put_part(struct scene *scene, size_t whole, size_t member)
{
	size_t part = put_unit(scene, 1);
	scene->units[part].start_ns = scene->units[whole].start_ns;
	scene->units[part].members = &scene->members[whole][member];
	scene->units[part].member_count = 1;
	scene->units[part].part_of = whole;
	scene->units[part].way = VICTIMS_EVICT;
}

/* Full nodes, two pods on each, of elastic gangs: some pods of a gang that are taken must not keep the search from
 * taking all of it, where nothing less will do. */
static void parts_do_not_stand_in_the_way_of_their_gang(void **state)
{
	enum { COUNT = 12, OF_EACH = 3 };
	(void)state;
	struct prng prng = prng_seeded("parts in the way");
	size_t with_parts = 0;
	for (int run = 0; run < 200; run++) {
		struct scene scene;
		struct victims_answer answer;
		int order[2 * COUNT], wanted = 1 + (int)pick(&prng, COUNT);
		begin(&scene);
		put_nodes(&scene, COUNT, 8);
		for (int i = 0; i < 2 * COUNT; i++) {
			int at = (int)pick(&prng, i + 1);
			order[i] = order[at];
			order[at] = i / 2;
		}
		for (int g = 0; g < 2 * COUNT / OF_EACH; g++) {
			size_t whole = put_unit(&scene, (double)(1 + pick(&prng, 100)) / 10);
			for (int k = 0; k < OF_EACH; k++)
				put_member(&scene, whole, order[g * OF_EACH + k], 4, NULL);
			for (size_t k = 1; k < OF_EACH; k++)
				put_part(&scene, whole, k);
		}
		for (int d = 0; d < wanted; d++)
			put_demand(&scene, run % 2 && d % 2 ? 6 : 8, NULL);
		victims_choose(scene.fleet, &scene.request, &answer);
		assert_int_equal(answer.verdict, VICTIMS_FOUND);
		for (size_t i = 0; i < answer.count; i++)
			with_parts += scene.units[answer.chosen[i].unit].part_of != VICTIMS_WHOLE;
		victims_answer_free(&answer);
		end(&scene);
	}
	printf("%zu units of a part\n", with_parts);
	assert_true(with_parts > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_ends_anyway_is_room_that_comes),
	    cmocka_unit_test(rules_no_longer_count_who_is_gone),
	    cmocka_unit_test(replicas_apart),
	    cmocka_unit_test(spread_counts_who_stays),
	    cmocka_unit_test(overcommitted_node),
	    cmocka_unit_test(useless_units_stay),
	    cmocka_unit_test(nothing_to_do),
	    cmocka_unit_test(why_not),
	    cmocka_unit_test(cheapest_domain),
	    cmocka_unit_test(what_was_lent_comes_back),
	    cmocka_unit_test(headroom_comes_first),
	    cmocka_unit_test(teams_of_the_policy),
	    cmocka_unit_test(steps_lead_to_the_same),
	    cmocka_unit_test(given_up_at_any_step),
	    cmocka_unit_test(overtaken_by_the_fleet),
	    cmocka_unit_test(many_gangs),
	    cmocka_unit_test(many_singles_that_share_nodes),
	    cmocka_unit_test(parts_do_not_stand_in_the_way_of_their_gang),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
