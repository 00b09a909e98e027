/* When a gang will have room: told apart in small scenes, and held against trying every end on random fleets. */
#include "berth/forecast.h"

#include "world.h"

#define NODES_MAX 8
#define MEMBERS_MAX 6

struct scene {
	struct fleet *fleet;
	struct policy *policy;
	size_t count;
	struct pod *pods[MEMBERS_MAX];
	struct plan_member members[MEMBERS_MAX];
	struct plan_request request;
};

static int begin(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	scene->fleet = fleet_new(&world_catalogue);
	scene->policy = policy_world();
	scene->policy->reserves = true;
	fleet_set_policy(scene->fleet, scene->policy);
	scene->request = (struct plan_request){.members = scene->members, .topology = PLAN_ANYWHERE};
	*state = scene;
	return 0;
}

static int end(void **state)
{
	struct scene *scene = *state;
	fleet_free(scene->fleet);
	policy_free(scene->policy);
	for (size_t i = 0; i < scene->request.count; i++)
		pod_free(scene->pods[i]);
	free(scene);
	return 0;
}

static void add_node(struct scene *scene, const char *name, const char *rack)
{
	struct node_spec *spec = spec_simple(scene->fleet, name, H100, 8);
	if (rack) {
		spec_label(spec, "block", "b");
		spec_label(spec, "rack", rack);
	}
	fleet_put_node(scene->fleet, spec);
}

static void add_members(struct scene *scene, size_t count, int64_t gpus)
{
	for (size_t i = 0; i < count; i++) {
		char uid[16];
		snprintf(uid, sizeof(uid), "m%zu", i);
		scene->pods[i] = pod_simple(scene->fleet, uid, 100, gpus);
		scene->members[i] = (struct plan_member){.pod = scene->pods[i], .rank = (int32_t)i};
	}
	scene->request.count = count;
}

/* It began at 0; runtime 0 = nobody knows. */
static struct ledger_entry *run(
    struct scene *scene, const char *uid, const char *node, int64_t gpus, int64_t runtime_ns)
{
	struct pod *pod = pod_simple(scene->fleet, uid, 0, gpus);
	pod->runtime_ns = runtime_ns;
	struct ledger_entry *entry = ledger_reserve(scene->fleet, pod, slice_of(node), LEDGER_BOUND, true, 0, 0);
	pod_free(pod);
	return entry;
}

static int64_t start_of(const struct scene *scene, int64_t now_ns)
{
	struct forecast forecast;
	forecast_make(scene->fleet, &scene->request, now_ns, &forecast);
	int64_t start_ns = forecast.start_ns;
	assert_true(start_ns == FORECAST_NEVER ? forecast.count == 0 : forecast.count > 0);
	forecast_free(&forecast);
	return start_ns;
}

static void it_starts_as_the_last_of_the_first_enough_ends(void **state)
{
	struct scene *scene = *state;
	add_node(scene, "a", NULL);
	add_node(scene, "b", NULL);
	add_node(scene, "c", NULL);
	add_members(scene, 2, 8);
	run(scene, "a1", "a", 1, 500 * SECOND);
	run(scene, "b1", "b", 4, 100 * SECOND);
	run(scene, "b2", "b", 4, 300 * SECOND);
	run(scene, "c1", "c", 8, 400 * SECOND);
	struct forecast forecast;
	forecast_make(scene->fleet, &scene->request, 10 * SECOND, &forecast);
	assert_int_equal(forecast.start_ns, 400 * SECOND);
	assert_int_equal(forecast.count, 2);
	assert_true(strcmp(forecast.nodes[0]->name, "a") != 0 && strcmp(forecast.nodes[1]->name, "a") != 0);
	forecast_free(&forecast);
}

static void with_room_now_it_starts_now(void **state)
{
	struct scene *scene = *state;
	add_node(scene, "a", NULL);
	add_members(scene, 2, 4);
	assert_int_equal(start_of(scene, 7), 7);
}

static void what_nothing_is_known_of_never_ends(void **state)
{
	struct scene *scene = *state;
	add_node(scene, "a", NULL);
	add_members(scene, 1, 8);
	run(scene, "a1", "a", 1, 0);
	assert_int_equal(start_of(scene, 1), FORECAST_NEVER);
	scene->request.count = 0;
	assert_int_equal(start_of(scene, 1), FORECAST_NEVER);
	scene->request.count = 1;
}

static void what_is_overdue_takes_as_long_again(void **state)
{
	struct scene *scene = *state;
	add_node(scene, "a", NULL);
	add_members(scene, 1, 8);
	struct ledger_entry *entry = run(scene, "a1", "a", 1, 100 * SECOND);
	assert_int_equal(start_of(scene, 140 * SECOND), 180 * SECOND);
	assert_int_equal(start_of(scene, 100 * SECOND + 1), 101 * SECOND + 1);
	entry->ending = true;
	assert_int_equal(start_of(scene, 140 * SECOND), 141 * SECOND); /* it is not gone yet */
}

static void what_may_be_ended_is_over_by_then(void **state)
{
	struct scene *scene = *state;
	struct policy_class *taker = &scene->policy->classes[CLASS_PREFER],
	                    *victim = &scene->policy->classes[CLASS_BATCH];
	static uint16_t takes = CLASS_BATCH;
	add_node(scene, "a", NULL);
	add_members(scene, 1, 8);
	scene->pods[0]->class_name = "prefer";
	scene->policy->moves.mode = MOVES_ACT;
	taker->may_preempt = &takes;
	taker->may_preempt_count = 1;
	victim->victim = (struct policy_victim){.min_runtime_ns = 60 * SECOND, .grace_ns = 5 * SECOND};
	struct ledger_entry *entry = run(scene, "a1", "a", 1, 0);
	assert_int_equal(start_of(scene, 10 * SECOND), FORECAST_NEVER);
	entry->endable = true;
	assert_int_equal(start_of(scene, 10 * SECOND), 65 * SECOND);
	assert_int_equal(start_of(scene, 100 * SECOND), 106 * SECOND);
	scene->pods[0]->priority = -1;
	assert_int_equal(start_of(scene, 10 * SECOND), FORECAST_NEVER);
	scene->pods[0]->priority = 0;
	scene->policy->moves.mode = MOVES_OBSERVE;
	assert_int_equal(start_of(scene, 10 * SECOND), FORECAST_NEVER);
}

static void a_domain_is_asked_for(void **state)
{
	struct scene *scene = *state;
	add_node(scene, "a", "r1");
	add_node(scene, "b", "r1");
	add_node(scene, "c", "r2");
	add_members(scene, 2, 8);
	run(scene, "a1", "a", 1, 50 * SECOND);
	run(scene, "b1", "b", 1, 900 * SECOND);
	run(scene, "c1", "c", 1, 100 * SECOND);
	assert_int_equal(start_of(scene, 1), 100 * SECOND);
	scene->request.topology.require = 1;
	assert_int_equal(start_of(scene, 1), 900 * SECOND);
}

static void another_policy_ends_it(void **state)
{
	struct scene *scene = *state;
	struct forecast forecast;
	add_node(scene, "a", NULL);
	add_members(scene, 1, 8);
	run(scene, "a1", "a", 1, 50 * SECOND);
	struct forecast_search *search = forecast_begin(scene->fleet, &scene->request, 1);
	assert_false(forecast_step(search, 1));
	fleet_set_policy(scene->fleet, scene->policy);
	assert_true(forecast_step(search, 1));
	forecast_finish(search, &forecast);
	assert_int_equal(forecast.start_ns, FORECAST_NEVER);
	forecast_free(&forecast);
	search = forecast_begin(scene->fleet, &scene->request, 1); /* given up at once */
	forecast_finish(search, &forecast);
	assert_int_equal(forecast.start_ns, FORECAST_NEVER);
	forecast_free(&forecast);
}

static void a_node_that_goes_meanwhile_is_not_promised(void **state)
{
	struct scene *scene = *state;
	struct forecast forecast;
	add_node(scene, "a", NULL);
	add_node(scene, "b", NULL);
	add_members(scene, 2, 8);
	run(scene, "a1", "a", 1, 50 * SECOND);
	struct forecast_search *search = forecast_begin(scene->fleet, &scene->request, 1);
	forecast_step(search, 20000);
	fleet_remove_node(scene->fleet, slice_of("b"));
	while (!forecast_step(search, 1))
		;
	forecast_finish(search, &forecast);
	assert_int_equal(forecast.start_ns, FORECAST_NEVER);
	forecast_free(&forecast);
}

/* ---- against every end ---- */

static bool fits_by(struct scene *scene, int64_t at_ns, int64_t now_ns)
{
	const struct ledger_entry *gone[NODES_MAX * 8];
	size_t count = 0, cursor = 0;
	for (struct ledger_entry *entry; (entry = map_next(&scene->fleet->ledger.by_uid, &cursor));) {
		int64_t end_ns = entry->ends_ns;
		if (end_ns < now_ns + SECOND)
			end_ns = now_ns + (now_ns - end_ns > SECOND ? now_ns - end_ns : SECOND);
		if (end_ns <= at_ns)
			gone[count++] = entry;
	}
	struct plan_request request = scene->request;
	struct plan plan;
	request.gone = gone;
	request.gone_count = count;
	plan_gang(scene->fleet, &request, &plan);
	bool fits = plan.reason == REASON_CODE_FITS;
	plan_free(&plan);
	return fits;
}

static int64_t earliest(struct scene *scene, int64_t now_ns)
{
	int64_t best = FORECAST_NEVER;
	size_t cursor = 0;
	if (fits_by(scene, now_ns, now_ns))
		return now_ns;
	for (struct ledger_entry *entry; (entry = map_next(&scene->fleet->ledger.by_uid, &cursor));) {
		int64_t end_ns = entry->ends_ns;
		if (end_ns < now_ns + SECOND)
			end_ns = now_ns + (now_ns - end_ns > SECOND ? now_ns - end_ns : SECOND);
		if (end_ns < best && fits_by(scene, end_ns, now_ns))
			best = end_ns;
	}
	return best;
}

static void fill(struct scene *scene, struct prng *prng)
{
	int64_t nodes = 1 + pick(prng, NODES_MAX);
	for (int64_t i = 0; i < nodes; i++) {
		char name[32], uid[64];
		snprintf(name, sizeof(name), "n%lld", (long long)i);
		add_node(scene, name, one_in(prng, 6) ? NULL : one_in(prng, 2) ? "r1" : "r2");
		int64_t left = 8;
		for (int64_t k = 0; left > 0 && !one_in(prng, 5); k++) {
			int64_t gpus = 1 + pick(prng, left);
			snprintf(uid, sizeof(uid), "%s-%lld", name, (long long)k);
			run(scene, uid, name, gpus, one_in(prng, 6) ? 0 : (1 + pick(prng, 100)) * SECOND);
			left -= gpus;
		}
	}
	add_members(scene, (size_t)(1 + pick(prng, MEMBERS_MAX)), 1 + pick(prng, 8));
	if (one_in(prng, 2))
		scene->request.topology.require = 1;
	if (one_in(prng, 4))
		scene->request.quorum = 1;
}

static void no_end_is_earlier(void **state)
{
	struct prng prng = prng_seeded("no_end_is_earlier");
	int told = 0;
	(void)state;
	for (int round = 0; round < 2000; round++) {
		void *at;
		begin(&at);
		struct scene *scene = at;
		int64_t now_ns = pick(&prng, 40) * SECOND;
		fill(scene, &prng);
		int64_t due = earliest(scene, now_ns), said = start_of(scene, now_ns);
		bool good = due == FORECAST_NEVER ? said == due : said >= due && said - due <= (said - now_ns) / 128;
		if (!good)
			fail_msg("round %d: %lld is said, %lld is due", round, (long long)said, (long long)due);
		told += due != FORECAST_NEVER && due > now_ns;
		end(&at);
	}
	assert_true(told > 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(it_starts_as_the_last_of_the_first_enough_ends, begin, end),
	    cmocka_unit_test_setup_teardown(with_room_now_it_starts_now, begin, end),
	    cmocka_unit_test_setup_teardown(what_nothing_is_known_of_never_ends, begin, end),
	    cmocka_unit_test_setup_teardown(what_is_overdue_takes_as_long_again, begin, end),
	    cmocka_unit_test_setup_teardown(what_may_be_ended_is_over_by_then, begin, end),
	    cmocka_unit_test_setup_teardown(a_domain_is_asked_for, begin, end),
	    cmocka_unit_test_setup_teardown(another_policy_ends_it, begin, end),
	    cmocka_unit_test_setup_teardown(a_node_that_goes_meanwhile_is_not_promised, begin, end),
	    cmocka_unit_test(no_end_is_earlier),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
