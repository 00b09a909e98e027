/* Which proposed nodes may be taken for a preemptor, which is best, and what is kept of bound pods to tell. */
#include "world.h"

#include "berth/preempt.h"

#define VICTIMS_MAX 8

static struct fleet *fleet;
static struct policy *policy;
static struct pod *preemptor;

/* Class prefer may preempt batch (the fallback), and nothing else. */
static int set_up(void **state)
{
	static uint16_t victims[] = {CLASS_BATCH};

	(void)state;
	policy = policy_world();
	policy->classes[CLASS_PREFER].may_preempt_count = 1;
	policy->classes[CLASS_PREFER].may_preempt = victims;
	fleet = fleet_new(&world_catalogue);
	fleet_set_policy(fleet, policy);
	fleet_put_node(fleet, spec_simple(fleet, "a", L4, 2));
	fleet_put_node(fleet, spec_simple(fleet, "b", L4, 2));
	preemptor = pod_simple(fleet, "preemptor", 1000, 1);
	preemptor->class_name = "prefer";
	preemptor->priority = 100;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	pod_free(preemptor);
	fleet_free(fleet);
	policy_free(policy);
	return 0;
}

/* A bound pod of ours, of the class given. */
static struct ledger_entry *put(const char *uid, const char *node, const char *class_name, int32_t priority)
{
	struct pod *pod = pod_simple(fleet, uid, 1000, 1);
	pod->class_name = class_name;
	pod->priority = priority;
	struct ledger_entry *entry = ledger_reserve(fleet, pod, slice_of(node), LEDGER_BOUND, true, 0, 0);
	pod_free(pod);
	return entry;
}

struct proposal {
	struct preempt_victim victims[VICTIMS_MAX];
	struct preempt_candidate candidate;
};

static void propose(struct proposal *proposal, const char *node, const char *const *uids)
{
	*proposal = (struct proposal){.candidate = {.node = fleet_find(fleet, slice_of(node))}};
	for (; uids[proposal->candidate.victim_count]; proposal->candidate.victim_count++) {
		size_t i = proposal->candidate.victim_count;
		const struct ledger_entry *entry = ledger_find(fleet, slice_of(uids[i]));
		proposal->victims[i] = (struct preempt_victim){entry, entry ? ledger_pod(entry) : NULL};
	}
	proposal->candidate.victims = proposal->victims;
}

static void retract(struct proposal *proposal)
{
	for (size_t i = 0; i < proposal->candidate.victim_count; i++)
		pod_free((struct pod *)(uintptr_t)proposal->victims[i].pod);
}

#define UIDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static enum preempt_verdict judged(const char *node, const char *const *uids)
{
	struct proposal proposal;
	propose(&proposal, node, uids);
	enum preempt_verdict verdict = preempt_judge(fleet, preemptor, &proposal.candidate);
	retract(&proposal);
	return verdict;
}

#define assert_verdict(verdict, node, ...) assert_int_equal(judged(node, UIDS(__VA_ARGS__)), PREEMPT_##verdict)

static const struct pod_gang some_gang = {.dialect = GANG_KUEUE, .name = "ring", .rank = -1, .part = -1};

static void who_may_have_victims(void **state)
{
	(void)state;
	assert_true(preempt_allowed(fleet, preemptor));
	preemptor->gang = &some_gang;
	assert_false(preempt_allowed(fleet, preemptor));
	preemptor->gang = NULL;
	pod_add_owner_kind(preemptor, "Job");
	assert_true(preempt_allowed(fleet, preemptor));
	pod_add_owner_kind(preemptor, "JobSet");
	assert_false(preempt_allowed(fleet, preemptor));
	preemptor->owner_kind_count = 0;
	preemptor->class_name = "batch";
	assert_false(preempt_allowed(fleet, preemptor));
	preemptor->class_name = "nobody";
	assert_false(preempt_allowed(fleet, preemptor));
}

static void one_wrong_victim_drops_the_node(void **state)
{
	(void)state;
	put("mine", "a", "batch", 0);
	put("spread", "a", "spread", 0);
	put("elsewhere", "b", "batch", 0);
	assert_verdict(STAYS, "a", "mine");
	assert_verdict(VICTIM_CLASS, "a", "spread");
	assert_verdict(VICTIM_CLASS, "a", "mine", "spread");
	assert_verdict(VICTIM_UNKNOWN, "a", "mine", "nobody");
	assert_verdict(VICTIM_UNKNOWN, "a", "elsewhere");
	assert_verdict(NODE_UNKNOWN, "z", "mine");
	assert_int_equal(judged("a", (const char *const[]){NULL}), PREEMPT_NO_VICTIMS);

	struct pod *parked = pod_simple(fleet, "parked", 1000, 1), *foreign = pod_simple(fleet, "foreign", 1000, 1);
	ledger_reserve(fleet, parked, slice_of("b"), LEDGER_ASSUMED, true, 0, SECOND);
	assert_verdict(VICTIM_PARKED, "b", "parked");
	ledger_reserve(fleet, parked, slice_of("b"), LEDGER_BOUND, true, 0, 0);
	assert_verdict(STAYS, "b", "parked");
	ledger_reserve(fleet, foreign, slice_of("a"), LEDGER_BOUND, false, 0, 0);
	assert_verdict(VICTIM_FOREIGN, "a", "foreign");
	assert_verdict(VICTIM_FOREIGN, "a", "foreign", "mine");
	pod_free(parked);
	pod_free(foreign);
}

static void pods_of_gangs_are_no_victims(void **state)
{
	static const char *const kinds[] = {
	    "PyTorchJob", "MPIJob", "TFJob", "JobSet", "TrainJob", "RayJob", "RayCluster", "LeaderWorkerSet"};
	struct pod *pod = pod_simple(fleet, "v", 1000, 1);

	(void)state;
	struct ledger_entry *entry = ledger_reserve(fleet, pod, slice_of("a"), LEDGER_BOUND, true, 0, 0);
	assert_verdict(STAYS, "a", "v");
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		pod->owner_kind_count = 0;
		pod_add_owner_kind(pod, "StatefulSet");
		pod_add_owner_kind(pod, kinds[i]);
		ledger_update(fleet, entry, pod);
		assert_verdict(VICTIM_IN_GANG, "a", "v");
	}
	pod->owner_kind_count = 0;
	pod->gang = &some_gang;
	ledger_update(fleet, entry, pod);
	assert_verdict(VICTIM_IN_GANG, "a", "v");
	pod->gang = NULL;
	pod_add_owner_kind(pod, "JobSet");
	pod->no_gang = true;
	ledger_update(fleet, entry, pod);
	assert_verdict(STAYS, "a", "v");
	pod_free(pod);
}

static void the_pod_must_fit_without_the_victims(void **state)
{
	(void)state;
	pod_asks(preemptor, id_of(fleet, "nvidia.com/gpu"), 2);
	put("one", "a", "batch", 0);
	put("two", "a", "spread", 0);
	assert_verdict(NO_ROOM, "a", "one");
	assert_verdict(NO_ROOM, "a", "one", "one");
	ledger_release(fleet, ledger_find(fleet, slice_of("two")));
	put("two", "a", "batch", 0);
	assert_verdict(STAYS, "a", "one", "two");

	/* Room promised to another pod is not the victims' to give. */
	struct pod *other = pod_simple(fleet, "other", 1000, 1);
	ledger_reserve(fleet, other, slice_of("a"), LEDGER_ASSUMED, true, 0, SECOND);
	assert_verdict(NO_ROOM, "a", "one", "two");
	ledger_release(fleet, ledger_find(fleet, slice_of("other")));
	pod_free(other);

	/* The preemptor's own room there does not stand in its way, nor does that change what the node holds. */
	ledger_reserve(fleet, preemptor, slice_of("a"), LEDGER_ASSUMED, true, 0, SECOND);
	assert_verdict(STAYS, "a", "one", "two");
	assert_int_equal(node_used(fleet_find(fleet, slice_of("a")), id_of(fleet, "nvidia.com/gpu")), 4);
}

static void the_policy_in_force_counts(void **state)
{
	struct policy *later = policy_world();
	static uint16_t victims[] = {CLASS_SPREAD};
	static struct label web = {"app", "web*"};
	struct policy_match match = {.label_count = 1, .pod_labels = &web};
	struct pod *pod = pod_simple(fleet, "v", 1000, 1);

	(void)state;
	pod->labels.items[pod->labels.count++] = (struct label){"app", "web-1"};
	ledger_reserve(fleet, pod, slice_of("a"), LEDGER_BOUND, true, 0, 0);
	pod_free(pod);
	assert_verdict(STAYS, "a", "v");
	/* Now its label makes another class of it. */
	later->classes[CLASS_SPREAD].has_match = true;
	later->classes[CLASS_SPREAD].match_count = 1;
	later->classes[CLASS_SPREAD].matches = &match;
	later->classes[CLASS_PREFER].may_preempt_count = 1;
	later->classes[CLASS_PREFER].may_preempt = policy->classes[CLASS_PREFER].may_preempt;
	fleet_set_policy(fleet, later);
	assert_verdict(VICTIM_CLASS, "a", "v");
	later->classes[CLASS_PREFER].may_preempt = victims;
	assert_verdict(STAYS, "a", "v");
	fleet_set_policy(fleet, policy);
	policy_free(later);
}

static void the_best_candidate(void **state)
{
	struct proposal proposals[2];
	struct preempt_candidate candidates[2];
	enum preempt_verdict verdicts[2];

	(void)state;
	put("a1", "a", "batch", 5);
	put("a2", "a", "batch", -5);
	put("b1", "b", "batch", 4);
	put("b2", "b", "batch", 4);
	const struct {
		const char *a[3], *b[3];
		int64_t pdb[2];
		size_t best;
	} cases[] = {
	    {{"a1"}, {"b1"}, {0, 0}, 1}, /* the least of the highest priorities */
	    {{"a1"}, {"b1"}, {0, 1}, 0}, /* budgets before all */
	    {{"a2"}, {"b1"}, {0, 0}, 0}, {{"a2", "a1"}, {"b1", "b2"}, {0, 0}, 1}, {{"a2"}, {"nobody"}, {9, 0}, 0},
	    {{"b1"}, {"a1"}, {0, 0}, SIZE_MAX}, /* each on the wrong node */
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		propose(&proposals[0], "a", cases[i].a);
		propose(&proposals[1], "b", cases[i].b);
		for (size_t j = 0; j < 2; j++) {
			candidates[j] = proposals[j].candidate;
			candidates[j].pdb_violations = cases[i].pdb[j];
		}
		assert_int_equal(preempt_choose(fleet, preemptor, candidates, 2, verdicts), cases[i].best);
		retract(&proposals[0]);
		retract(&proposals[1]);
	}
	assert_int_equal(verdicts[0], PREEMPT_VICTIM_UNKNOWN);
	assert_string_equal(preempt_verdict_text(verdicts[0]), "a victim is not known on the node");
}

static void traits_are_shared_and_given_back(void **state)
{
	(void)state;
	struct ledger_entry *one = put("one", "a", "batch", 3), *two = put("two", "b", "batch", 3);
	assert_ptr_equal(one->traits, two->traits);
	assert_int_equal(fleet->ledger.traits.count, 1);
	struct pod *pod = pod_simple(fleet, "two", 1000, 1);
	pod->gang_gpus = 64;
	pod->priority = -7;
	pod->grace_s = 45;
	pod->gang = &some_gang;
	pod->owner_uid = "owner";
	pod->decision = "{}";
	pod_add_owner_kind(pod, "Job");
	pod_add_owner_kind(pod, "CronJob");
	pod->labels.items[pod->labels.count++] = (struct label){"a", ""};
	pod->labels.items[pod->labels.count++] = (struct label){"b", "2"};
	ledger_update(fleet, two, pod);
	assert_int_equal(fleet->ledger.traits.count, 2);
	struct pod *kept = ledger_pod(two);
	assert_string_equal(kept->uid, "two");
	assert_null(kept->class_name);
	assert_string_equal(kept->decision, "{}");
	assert_int_equal(kept->gang_gpus, 64);
	assert_int_equal(kept->priority, -7);
	assert_int_equal(kept->grace_s, 45);
	assert_string_equal(kept->gang->name, "ring");
	assert_int_equal(kept->gang->dialect, GANG_KUEUE);
	assert_false(kept->no_gang);
	assert_string_equal(kept->owner_uid, "owner");
	assert_int_equal(kept->owner_kind_count, 2);
	assert_string_equal(kept->owner_kinds[1], "CronJob");
	assert_int_equal(kept->labels.count, 2);
	assert_string_equal(labels_get(&kept->labels, "a"), "");
	assert_string_equal(labels_get(&kept->labels, "b"), "2");
	pod_free(kept);
	ledger_release(fleet, two);
	assert_int_equal(fleet->ledger.traits.count, 1);
	ledger_release(fleet, one);
	assert_int_equal(fleet->ledger.traits.count, 0);
	ledger_reserve(fleet, pod, slice_of("a"), LEDGER_BOUND, false, 0, 0);
	assert_int_equal(fleet->ledger.traits.count, 0); /* of others nothing is kept */
	pod_free(pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(who_may_have_victims, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(one_wrong_victim_drops_the_node, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(pods_of_gangs_are_no_victims, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(the_pod_must_fit_without_the_victims, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(the_policy_in_force_counts, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(the_best_candidate, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(traits_are_shared_and_given_back, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
