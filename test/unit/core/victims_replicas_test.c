/* Replicas of one controller, taken by peaks again and again over days: the search takes what it may of them, and never
 * more of them in a day than perUnitAndDay allows. */
#include "berth/turnover.h"
#include "berth/victims.h"
#include "world.h"

#define HOUR (3600 * SECOND)
#define START (1000 * HOUR)
#define NODES 5
#define STEPS 150
#define ROUNDS 40

struct replica {
	struct pod *pod; /* NULL: it was ended, and is to come again */
	int64_t made_ns;
	char id[32];
};

struct scene {
	struct fleet *fleet;
	struct policy *policy;
	uint16_t rights[1];
	uint32_t seed;
	int64_t now;
	unsigned most; /* perUnitAndDay */
	size_t count, made;
	struct replica replicas[NODES]; /* each on the node of its place */
	struct turnover ended;
	size_t ends;
	int64_t ended_ns[STEPS * NODES];
};

static size_t dice(struct scene *scene, size_t sides)
{
	scene->seed = scene->seed * 1664525u + 1013904223u;
	return (scene->seed >> 8) % sides;
}

static const char *node_name(size_t n)
{
	static char text[32];
	snprintf(text, sizeof(text), "n%zu", n);
	return text;
}

static void come(struct scene *scene, size_t at)
{
	struct replica *replica = &scene->replicas[at];
	snprintf(replica->id, sizeof(replica->id), "low-%zu", scene->made++);
	replica->pod = pod_simple(scene->fleet, replica->id, 100, 8);
	replica->made_ns = scene->now;
	ledger_reserve(scene->fleet, replica->pod, slice_of(node_name(at)), LEDGER_BOUND, true, 0, 0);
}

static void go(struct scene *scene, size_t at)
{
	struct replica *replica = &scene->replicas[at];
	ledger_release(scene->fleet, ledger_find(scene->fleet, slice_of(replica->pod->uid)));
	pod_free(replica->pod);
	replica->pod = NULL;
	turnover_add(&scene->ended, turnover_hour(scene->now), 1);
	scene->ended_ns[scene->ends++] = scene->now;
}

static void begin(struct scene *scene, uint32_t seed)
{
	*scene = (struct scene){
	    .fleet = fleet_new(&world_catalogue), .policy = policy_world(), .rights = {CLASS_BATCH}, .seed = seed};
	scene->policy->classes[CLASS_PREFER].may_preempt_count = 1;
	scene->policy->classes[CLASS_PREFER].may_preempt = scene->rights;
	fleet_set_policy(scene->fleet, scene->policy);
	scene->now = START + (int64_t)dice(scene, 3600) * SECOND;
	scene->count = 1 + dice(scene, NODES);
	scene->most = 1 + (unsigned)dice(scene, 3);
	for (size_t n = 0; n < scene->count; n++) {
		fleet_put_node(scene->fleet, spec_simple(scene->fleet, node_name(n), H100, 8));
		come(scene, n);
	}
}

static void end(struct scene *scene)
{
	for (size_t n = 0; n < scene->count; n++)
		if (scene->replicas[n].pod)
			pod_free(scene->replicas[n].pod);
	fleet_free(scene->fleet);
	policy_free(scene->policy);
}

static size_t younger(const struct scene *scene, size_t at)
{
	size_t count = 0;
	for (size_t n = 0; n < scene->count; n++) {
		int64_t made = scene->replicas[n].made_ns, than = scene->replicas[at].made_ns;
		count += !scene->replicas[n].pod || made > than || (made == than && n < at);
	}
	return count;
}

struct gathered {
	size_t count, may; /* how many nodes are free, or may be made so */
	struct victims_unit units[NODES];
	const char *members[NODES];
	size_t place[NODES];
};

static void gather(const struct scene *scene, struct gathered *gathered)
{
	unsigned today = turnover_today(&scene->ended, scene->now);
	*gathered = (struct gathered){0};
	for (size_t n = 0; n < scene->count; n++) {
		const struct replica *replica = &scene->replicas[n];
		unsigned moves = turnover_share(today, scene->count, younger(scene, n));
		size_t at = gathered->count;
		gathered->may += !replica->pod || moves < scene->most;
		if (!replica->pod)
			continue;
		gathered->count++;
		gathered->place[at] = n;
		gathered->members[at] = replica->pod->uid;
		gathered->units[at] = (struct victims_unit){.id = replica->pod->uid,
		    .class_ = CLASS_BATCH,
		    .team = VICTIMS_NONE,
		    .lent_by = VICTIMS_NONE,
		    .way = VICTIMS_EVICT,
		    .recreated = true,
		    .moves = moves,
		    .member_count = 1,
		    .members = &gathered->members[at],
		    .start_ns = replica->made_ns,
		    .part_of = VICTIMS_WHOLE};
	}
}

/* Pods that take a node each wait for room. They are served and gone before the next. */
static void peak(struct scene *scene, size_t pods)
{
	struct gathered gathered;
	struct plan_member demand[NODES];
	struct pod *waiting[NODES];
	struct victims_answer answer;
	gather(scene, &gathered);
	for (size_t i = 0; i < pods; i++) {
		char uid[32];
		snprintf(uid, sizeof(uid), "high-%zu", i);
		waiting[i] = pod_simple(scene->fleet, uid, 100, 8);
		waiting[i]->class_name = "prefer";
		demand[i] = (struct plan_member){.pod = waiting[i], .rank = PLAN_NO_RANK};
	}
	victims_choose(scene->fleet,
	    &(struct victims_request){.demand = {.count = pods, .members = demand, .topology = PLAN_ANYWHERE},
	        .class_ = CLASS_PREFER,
	        .team = VICTIMS_NONE,
	        .priority = 10,
	        .now_ns = scene->now,
	        .unit_count = gathered.count,
	        .units = gathered.units,
	        .moves_max = scene->most},
	    &answer);
	assert_int_equal(answer.verdict == VICTIMS_FOUND || answer.verdict == VICTIMS_NOT_NEEDED, gathered.may >= pods);
	for (size_t i = 0; i < answer.count; i++)
		go(scene, gathered.place[answer.chosen[i].unit]);
	victims_answer_free(&answer);
	for (size_t i = 0; i < pods; i++)
		pod_free(waiting[i]);
}

static size_t most_in_a_day(const struct scene *scene)
{
	size_t most = 0;
	for (size_t first = 0, last = 0; first < scene->ends; first++) {
		while (last < scene->ends && scene->ended_ns[last] < scene->ended_ns[first] + 24 * HOUR)
			last++;
		most = last - first > most ? last - first : most;
	}
	return most;
}

static void none_are_ended_more_often_in_a_day_than_the_policy_says(void **state)
{
	size_t reached = 0;
	(void)state;
	for (uint32_t round = 1; round <= ROUNDS; round++) {
		struct scene scene;
		begin(&scene, round);
		for (int step = 0; step < STEPS; step++) {
			scene.now += (int64_t)dice(&scene, 3600) * SECOND;
			for (size_t n = 0; n < scene.count; n++)
				if (!scene.replicas[n].pod && dice(&scene, 2))
					come(&scene, n);
			peak(&scene, 1 + dice(&scene, scene.count));
		}
		size_t most = most_in_a_day(&scene);
		if (most > scene.most * scene.count)
			fail_msg("round %u: %zu of %zu ended in a day", round, most, scene.count);
		reached += most == scene.most * scene.count;
		end(&scene);
	}
	assert_in_range(reached, ROUNDS / 2, ROUNDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(none_are_ended_more_often_in_a_day_than_the_policy_says)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
