/* What teams use, may and are owed; who of them goes first; gangs within their team's bounds; and that those who borrow
 * get equal shares in the long run. */
#include "berth/plan.h"
#include "berth/team.h"
#include "world.h"

#define GPU 1000
#define HOUR (3600 * SECOND)
#define NONE (-1)

enum { LAB, LLM, VISION, OWN, UNLISTED, TEAMS };

struct wanted {
	const char *name, *pattern;
	uint16_t parent;
	double weight;
	int64_t guaranteed[MODELS], limit[MODELS];
};

static const struct wanted some_teams[TEAMS] = {
    [LAB] = {"lab", NULL, TEAM_NONE, 1, {24 * GPU}, {40 * GPU, NONE, NONE, NONE}},
    [LLM] = {"llm", "llm*", LAB, 1, {16 * GPU}, {32 * GPU, NONE, NONE, NONE}},
    [VISION] = {"vision", "vision", LAB, 1, {0}, {NONE, 0, NONE, NONE}},
    [OWN] = {"own", "own", TEAM_NONE, 1, {8 * GPU}, {NONE, NONE, NONE, NONE}},
    [UNLISTED] = {"unlisted", NULL, TEAM_NONE, 1, {0}, {2 * GPU, NONE, NONE, NONE}},
};

static struct policy *policy_of(const struct wanted *wanted, size_t count)
{
	struct policy *policy = policy_world();
	policy->team_count = count;
	policy->teams = arena_calloc(&policy->arena, count, sizeof *policy->teams);
	for (size_t t = 0; t < count; t++) {
		struct policy_team *team = &policy->teams[t];
		*team = (struct policy_team){
		    .name = wanted[t].name, .parent = wanted[t].parent, .weight = wanted[t].weight};
		team->namespaces = arena_calloc(&policy->arena, 1, sizeof *team->namespaces);
		team->namespaces[0] = wanted[t].pattern;
		team->namespace_count = wanted[t].pattern != NULL;
		team->guaranteed = arena_calloc(&policy->arena, MODELS, sizeof *team->guaranteed);
		team->limit = arena_calloc(&policy->arena, MODELS, sizeof *team->limit);
		memcpy(team->guaranteed, wanted[t].guaranteed, sizeof wanted[t].guaranteed);
		memcpy(team->limit, wanted[t].limit, sizeof wanted[t].limit);
	}
	return policy;
}

#define PODS 64

struct site {
	struct fleet *fleet;
	struct policy *policy;
	size_t pod_count;
	struct pod *pods[PODS];
};

static struct site begin(int h100_nodes)
{
	struct site site = {.fleet = fleet_new(&world_catalogue), .policy = policy_of(some_teams, TEAMS)};
	fleet_set_policy(site.fleet, site.policy);
	for (int i = 0; i < h100_nodes; i++) {
		char name[16];
		snprintf(name, sizeof name, "h%d", i);
		fleet_put_node(site.fleet, spec_simple(site.fleet, name, H100, 8));
	}
	return site;
}

static void end(struct site *site)
{
	fleet_free(site->fleet);
	policy_free(site->policy);
	for (size_t i = 0; i < site->pod_count; i++)
		pod_free(site->pods[i]);
}

static struct pod *pod_in(struct site *site, const char *namespace_, int64_t gpus)
{
	char uid[16];
	assert_true(site->pod_count < PODS);
	snprintf(uid, sizeof uid, "p%zu", site->pod_count);
	struct pod *pod = site->pods[site->pod_count++] = pod_simple(site->fleet, uid, 0, gpus);
	pod->namespace_ = namespace_;
	return pod;
}

static struct ledger_entry *bind(struct site *site, const char *namespace_, const char *node, int64_t gpus)
{
	return ledger_reserve(site->fleet, pod_in(site, namespace_, gpus), slice_of(node), LEDGER_BOUND, true, 0, 0);
}

static void test_whose_namespace_it_is(void **state)
{
	struct site site = begin(1);
	(void)state;
	assert_int_equal(team_of(site.fleet, "llm-7"), LLM);
	assert_int_equal(team_of(site.fleet, "vision"), VISION);
	assert_int_equal(team_of(site.fleet, "visions"), UNLISTED);
	fleet_set_policy(site.fleet, NULL);
	assert_int_equal(team_of(site.fleet, "llm-7"), TEAM_NONE);
	end(&site);
}

static void test_use_follows_the_ledger(void **state)
{
	struct site site = begin(2);
	(void)state;
	struct ledger_entry *a = bind(&site, "llm", "h0", 6);
	bind(&site, "vision", "h1", 3);
	bind(&site, "", "h1", 5);
	assert_int_equal(team_used(site.fleet, UNLISTED, H100), 0);
	assert_int_equal(team_used(site.fleet, LLM, H100), 6 * GPU);
	assert_int_equal(team_used(site.fleet, LAB, H100), 9 * GPU);
	fleet_remove_node(site.fleet, slice_of("h1"));
	assert_int_equal(team_used(site.fleet, LAB, H100), 6 * GPU);
	fleet_put_node(site.fleet, spec_simple(site.fleet, "h1", A100, 8));
	assert_int_equal(team_used(site.fleet, LAB, A100), 3 * GPU);
	fleet_set_policy(site.fleet, NULL);
	assert_int_equal(team_used(site.fleet, LAB, H100), 0);
	fleet_set_policy(site.fleet, site.policy);
	assert_int_equal(team_used(site.fleet, LAB, H100), 6 * GPU);
	ledger_release(site.fleet, a);
	assert_int_equal(team_used(site.fleet, LAB, H100), 0);
	end(&site);
}

static void test_shares_and_slices_count_by_their_part(void **state)
{
	struct site site = begin(0);
	struct node_spec *spec = spec_simple(site.fleet, "m", H100, 4);
	resource_id shared = id_of(site.fleet, "nvidia.com/gpu.shared"),
	            slice = id_of(site.fleet, "nvidia.com/mig-1g.10gb");
	(void)state;
	spec_lane(spec, shared, GPU_SHARE, &world_models[H100], 8, 8);
	spec_lane(spec, slice, GPU_SLICE, &world_models[H100], 14, 14);
	struct node *node = fleet_put_node(site.fleet, spec);
	struct pod *pod = pod_in(&site, "llm", 1);
	pod_asks(pod, shared, 3);
	pod_asks(pod, slice, 7);
	assert_int_equal(team_milli(node, &pod->demand), GPU + 3 * GPU / 4 + GPU);
	assert_int_equal(team_whole_node(node), 4 * GPU + 2 * GPU + 2 * GPU);
	end(&site);
}

static void test_what_is_guaranteed_and_borrowed(void **state)
{
	struct site site = begin(6);
	(void)state;
	/* 16 of the lab's 24 are llm's own; what is left is for whoever of the lab comes. */
	assert_int_equal(team_claim(site.fleet, LLM, H100), 24 * GPU);
	assert_int_equal(team_claim(site.fleet, VISION, H100), 8 * GPU);
	bind(&site, "vision", "h0", 8);
	assert_int_equal(team_claim(site.fleet, VISION, H100), 0);
	assert_int_equal(team_borrowed(site.fleet, VISION, H100), 0); /* the lab's own */
	bind(&site, "vision", "h1", 4);
	assert_int_equal(team_borrowed(site.fleet, VISION, H100), 0);
	assert_int_equal(team_claim(site.fleet, LLM, H100), 16 * GPU);
	bind(&site, "llm", "h2", 8);
	bind(&site, "llm", "h3", 8);
	assert_int_equal(team_claim(site.fleet, LLM, H100), 0);
	assert_int_equal(team_borrowed(site.fleet, LLM, H100), 0);
	assert_int_equal(team_borrowed(site.fleet, VISION, H100), 4 * GPU);
	assert_int_equal(team_borrowed(site.fleet, LAB, H100), 4 * GPU);
	/* The limit of the lab is nearer than llm's own. */
	assert_int_equal(team_room(site.fleet, LLM, H100), 12 * GPU);
	struct team_bound bound;
	assert_true(team_bound_of(site.fleet, LLM, H100, &bound));
	assert_int_equal(bound.team, LAB);
	assert_int_equal(team_room(site.fleet, VISION, A100), 0);
	assert_int_equal(team_room(site.fleet, OWN, H100), TEAM_NO_BOUND);
	end(&site);
}

static void test_claims_come_before_those_who_borrow(void **state)
{
	struct site site = begin(1);
	struct pod *rest = pod_in(&site, "own", 8), *more = pod_in(&site, "own", 9);
	(void)state;
	assert_true(team_may_claim(site.fleet, rest));
	assert_false(team_may_claim(site.fleet, more));
	assert_false(team_may_claim(site.fleet, pod_in(&site, "elsewhere", 1)));
	struct node *node = fleet_find(site.fleet, slice_of("h0"));
	struct pod *borrower = pod_in(&site, "elsewhere", 1);
	team_claims_only(site.fleet, true);
	assert_int_equal(decide_node(site.fleet, borrower, node, NULL), REASON_CODE_TEAM_LIMIT);
	assert_int_equal(decide_node(site.fleet, rest, node, NULL), REASON_CODE_FITS);
	team_claims_only(site.fleet, false);
	assert_int_equal(decide_node(site.fleet, borrower, node, NULL), REASON_CODE_FITS);
	end(&site);
}

/* --- gangs --- */

struct gang_ask {
	struct plan_member members[16];
	struct plan_request request;
	struct plan plan;
};

static enum reason plan(
    struct site *site, struct gang_ask *ask, const char *namespace_, size_t count, int64_t gpus, size_t quorum)
{
	*ask = (struct gang_ask){
	    .request = {.members = ask->members, .count = count, .quorum = quorum, .topology = PLAN_ANYWHERE}};
	for (size_t i = 0; i < count; i++)
		ask->members[i] = (struct plan_member){.pod = pod_in(site, namespace_, gpus), .rank = (int32_t)i};
	plan_gang(site->fleet, &ask->request, &ask->plan);
	return ask->plan.reason;
}

static void test_a_gang_stays_within_the_limit(void **state)
{
	struct site site = begin(6);
	struct gang_ask ask;
	(void)state;
	bind(&site, "llm", "h0", 8);
	assert_int_equal(plan(&site, &ask, "llm", 4, 8, 0), REASON_CODE_TEAM_LIMIT);
	assert_int_equal(ask.plan.bound.team, LLM);
	assert_int_equal(ask.plan.bound.used, 8 * GPU);
	assert_int_equal(ask.plan.bound.asked, 32 * GPU);
	plan_free(&ask.plan);
	assert_int_equal(plan(&site, &ask, "llm", 3, 8, 0), REASON_CODE_FITS);
	plan_free(&ask.plan);
	/* An elastic one goes without those that there is no room for, the last by rank. */
	assert_int_equal(plan(&site, &ask, "llm", 5, 8, 2), REASON_CODE_FITS);
	assert_int_equal(ask.plan.placed, 3);
	for (size_t i = 0; i < 5; i++)
		assert_true((ask.plan.nodes[i] != NULL) == (i < 3));
	plan_free(&ask.plan);
	end(&site);
}

static void test_a_gang_goes_to_the_pool_that_its_team_has_room_in(void **state)
{
	struct site site = begin(4);
	struct gang_ask ask;
	(void)state;
	for (int i = 0; i < 2; i++) {
		char name[8];
		snprintf(name, sizeof name, "a%d", i);
		fleet_put_node(site.fleet, spec_simple(site.fleet, name, A100, 8));
	}
	assert_int_equal(plan(&site, &ask, "elsewhere", 2, 8, 0), REASON_CODE_FITS);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(ask.plan.nodes[i]->pool, A100);
	plan_free(&ask.plan);
	/* Over several, where one alone does not do. */
	assert_int_equal(plan(&site, &ask, "elsewhere", 10, 2, 0), REASON_CODE_TEAM_LIMIT);
	plan_free(&ask.plan);
	assert_int_equal(plan(&site, &ask, "elsewhere", 9, 2, 0), REASON_CODE_FITS);
	int64_t taken = 0;
	for (size_t i = 0; i < 9; i++)
		taken += ask.plan.nodes[i]->pool == H100 ? 2 : 0;
	assert_int_equal(taken, 2);
	plan_free(&ask.plan);
	end(&site);
}

/* --- fairness --- */

/* Three teams of one weight borrow a whole fleet for a week; one of them offers ten times the work of the others, all
 * always have some. Each job takes a GPU for a time that is its own; who comes next is what team_order says. */
#define WEEK_TEAMS 4
#define WEEK_GPUS 64
#define WEEK_JOBS WEEK_GPUS

struct job {
	int64_t ends_ns;
	int team;
	struct ledger_entry *entry;
	struct pod *pod;
};

struct week {
	struct fleet *fleet;
	struct policy *policy;
	struct prng prng;
	struct job jobs[WEEK_JOBS];
	size_t waiting[WEEK_TEAMS];
	double got[WEEK_TEAMS]; /* GPU-hours */
	uint64_t made;
};

/* The team that goes first; of equal ones the one with the oldest work, which here is the one that offers most. */
static int next_team(const struct week *week)
{
	int best = -1;
	for (int t = 0; t < 3; t++)
		if (week->waiting[t] > 0 && (best < 0 || team_order(week->fleet, (uint16_t)t, (uint16_t)best) < 0))
			best = t;
	return best;
}

static bool start_one(struct week *week, int64_t now)
{
	static const char *const namespaces[] = {"a", "b", "c"};
	int team = next_team(week);
	char uid[32];
	for (size_t i = 0; team >= 0 && i < WEEK_JOBS; i++) {
		struct job *job = &week->jobs[i];
		struct decision decision;
		if (job->entry)
			continue;
		snprintf(uid, sizeof uid, "j%llu", (unsigned long long)week->made++);
		job->pod = pod_simple(week->fleet, uid, 0, 1);
		job->pod->namespace_ = namespaces[team];
		decide_fleet_best(week->fleet, job->pod, &decision);
		assert_non_null(decision.node);
		job->entry =
		    ledger_reserve(week->fleet, job->pod, slice_of(decision.node->name), LEDGER_BOUND, true, now, 0);
		job->team = team;
		int64_t runs = HOUR / 4 + pick(&week->prng, 4 * HOUR);
		job->ends_ns = now + runs;
		week->waiting[team]--;
		return true;
	}
	return false;
}

static void end_those_over(struct week *week, int64_t now)
{
	for (size_t i = 0; i < WEEK_JOBS; i++) {
		struct job *job = &week->jobs[i];
		if (!job->entry || job->ends_ns > now)
			continue;
		ledger_release(week->fleet, job->entry);
		pod_free(job->pod);
		job->entry = NULL;
	}
}

static void run_week(struct week *week, const size_t offered[3], int64_t hours)
{
	int64_t step = 60 * SECOND, now = SECOND;
	for (; now < hours * HOUR; now += step) {
		for (int t = 0; t < 3; t++)
			week->waiting[t] += (size_t)pick(&week->prng, (int64_t)offered[t] + 1);
		team_settle(week->fleet, now);
		end_those_over(week, now);
		while (start_one(week, now))
			;
		for (size_t i = 0; i < WEEK_JOBS; i++)
			if (week->jobs[i].entry)
				week->got[week->jobs[i].team] += (double)step / (double)HOUR;
	}
	for (size_t i = 0; i < WEEK_JOBS; i++)
		week->jobs[i].ends_ns = 0;
	end_those_over(week, now);
}

static struct week *week_new(double weight)
{
	const struct wanted teams[WEEK_TEAMS] = {
	    {"a", "a", TEAM_NONE, 1, {0}, {NONE, NONE, NONE, NONE}},
	    {"b", "b", TEAM_NONE, 1, {0}, {NONE, NONE, NONE, NONE}},
	    {"c", "c", TEAM_NONE, weight, {0}, {NONE, NONE, NONE, NONE}},
	    {"unlisted", NULL, TEAM_NONE, 1, {0}, {NONE, NONE, NONE, NONE}},
	};
	struct week *week = calloc(1, sizeof *week);
	week->prng = prng_seeded("a week");
	week->policy = policy_of(teams, WEEK_TEAMS);
	week->fleet = fleet_new(&world_catalogue);
	fleet_set_policy(week->fleet, week->policy);
	for (int i = 0; i < WEEK_GPUS / 8; i++) {
		char name[16];
		snprintf(name, sizeof name, "n%d", i);
		fleet_put_node(week->fleet, spec_simple(week->fleet, name, H100, 8));
	}
	return week;
}

static void week_free(struct week *week)
{
	fleet_free(week->fleet);
	policy_free(week->policy);
	free(week);
}

static void test_equal_shares_over_a_week(void **state)
{
	struct week *week = week_new(1);
	(void)state;
	run_week(week, (const size_t[]){40, 4, 4}, 7 * 24);
	double mean = (week->got[0] + week->got[1] + week->got[2]) / 3;
	printf("GPU-hours %.0f %.0f %.0f of %d\n", week->got[0], week->got[1], week->got[2], WEEK_GPUS * 7 * 24);
	for (int t = 0; t < 3; t++)
		assert_true(week->got[t] > 0.95 * mean && week->got[t] < 1.05 * mean);
	assert_true(3 * mean > 0.99 * WEEK_GPUS * 7 * 24);
	week_free(week);
}

static void test_shares_by_weight(void **state)
{
	struct week *week = week_new(2);
	(void)state;
	run_week(week, (const size_t[]){40, 40, 40}, 7 * 24);
	double part = (week->got[0] + week->got[1] + week->got[2]) / 4;
	assert_true(week->got[0] > 0.95 * part && week->got[0] < 1.05 * part);
	assert_true(week->got[2] > 1.95 * part && week->got[2] < 2.05 * part);
	week_free(week);
}

static void test_what_was_spent_fades(void **state)
{
	struct site site = begin(4);
	(void)state;
	bind(&site, "own", "h0", 8);
	bind(&site, "own", "h1", 6);
	team_settle(site.fleet, SECOND);
	team_settle(site.fleet, SECOND + 60 * SECOND);
	/* 6 GPUs are above what is guaranteed. */
	assert_true(team_spent(site.fleet, OWN) > 359 && team_spent(site.fleet, OWN) <= 360);
	fleet_set_policy(site.fleet, site.policy);
	assert_true(team_spent(site.fleet, OWN) > 359);
	double now = team_spent(site.fleet, OWN);
	assert_true(
	    team_faded(now, TEAM_HALF_LIFE_NS) > 0.4999 * now && team_faded(now, TEAM_HALF_LIFE_NS) < 0.5001 * now);
	assert_true(team_order(site.fleet, VISION, OWN) < 0);
	end(&site);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_whose_namespace_it_is),
	    cmocka_unit_test(test_use_follows_the_ledger),
	    cmocka_unit_test(test_shares_and_slices_count_by_their_part),
	    cmocka_unit_test(test_what_is_guaranteed_and_borrowed),
	    cmocka_unit_test(test_claims_come_before_those_who_borrow),
	    cmocka_unit_test(test_a_gang_stays_within_the_limit),
	    cmocka_unit_test(test_a_gang_goes_to_the_pool_that_its_team_has_room_in),
	    cmocka_unit_test(test_equal_shares_over_a_week),
	    cmocka_unit_test(test_shares_by_weight),
	    cmocka_unit_test(test_what_was_spent_fades),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
