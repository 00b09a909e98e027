/* GPUs kept free for a class: who gets them, who does not, where they are, and what becomes of them. */
#include "berth/headroom.h"

#include "world.h"

#define MINUTE (60 * SECOND)
#define NODES 6

struct scene {
	struct fleet *fleet;
	struct policy *policy;
	struct policy_headroom rules[2];
	unsigned pods;
};

static uint16_t lend_to[] = {CLASS_BATCH};
/* Class "spread" has the room, "batch" it is lent to, "hosts" is anybody else. */

static struct node *put(struct scene *scene, int number, const char *rack)
{
	char name[16];
	snprintf(name, sizeof name, "n%d", number);
	struct node_spec *spec = spec_simple(scene->fleet, name, H100, 8);
	spec_label(spec, "block", "b");
	spec_label(spec, "rack", rack);
	return fleet_put_node(scene->fleet, spec);
}

static int begin(void **state)
{
	struct scene *scene = calloc(1, sizeof *scene);
	scene->fleet = fleet_new(&world_catalogue);
	scene->policy = policy_world();
	scene->rules[0] = (struct policy_headroom){.for_ = CLASS_SPREAD,
	    .pool = H100,
	    .gpus = 16,
	    .chunk = 8,
	    .has_when = true,
	    .lend_count = 1,
	    .lend_to = lend_to};
	scene->policy->headroom = scene->rules;
	scene->policy->headroom_count = 1;
	scene->policy->classes[CLASS_BATCH].victim.min_runtime_ns = 30 * MINUTE;
	scene->policy->classes[CLASS_BATCH].victim.grace_ns = 5 * MINUTE;
	fleet_set_policy(scene->fleet, scene->policy);
	for (int i = 0; i < NODES; i++)
		put(scene, i, i < 3 ? "r0" : "r1");
	*state = scene;
	return 0;
}

static int end(void **state)
{
	struct scene *scene = *state;
	fleet_free(scene->fleet);
	policy_free(scene->policy);
	free(scene);
	return 0;
}

static struct node *node(const struct scene *scene, int number)
{
	char name[16];
	snprintf(name, sizeof name, "n%d", number);
	return fleet_find(scene->fleet, slice_of(name));
}

static struct pod *pod_of(struct scene *scene, int class_, int64_t gpus)
{
	char uid[16];
	snprintf(uid, sizeof uid, "p%u", scene->pods++);
	struct pod *pod = pod_simple(scene->fleet, uid, 100, gpus);
	pod->class_name = scene->policy->classes[class_].name;
	return pod;
}

static struct ledger_entry *bind(struct scene *scene, int class_, int64_t gpus, int number)
{
	struct pod *pod = pod_of(scene, class_, gpus);
	struct ledger_entry *entry =
	    ledger_reserve(scene->fleet, pod, slice_of(node(scene, number)->name), LEDGER_BOUND, true, 0, 0);
	pod_free(pod);
	return entry;
}

static enum reason verdict(struct scene *scene, int class_, int64_t gpus, int number)
{
	struct pod *pod = pod_of(scene, class_, gpus);
	enum reason reason = decide_node(scene->fleet, pod, node(scene, number), NULL);
	pod_free(pod);
	return reason;
}

/* By the index and by looking at all of them alike. */
static const char *chosen(struct scene *scene, int class_, int64_t gpus)
{
	struct pod *pod = pod_of(scene, class_, gpus);
	struct node *nodes[NODES];
	struct decision fast, slow;
	for (int i = 0; i < NODES; i++)
		nodes[i] = node(scene, i);
	decide_fleet(scene->fleet, pod, &fast);
	decide_among(scene->fleet, pod, nodes, NODES, &slow, NULL);
	assert_ptr_equal(fast.node, slow.node);
	assert_int_equal(fast.reason, slow.reason);
	pod_free(pod);
	return fast.node ? fast.node->name : reason_code(fast.reason);
}

static int64_t held(const struct scene *scene, int number)
{
	const struct node *at = node(scene, number);
	int64_t sum = 0, kept = 0;
	for (const struct ledger_entry *entry = at->entries; entry; entry = entry->node_next) {
		int64_t gpus = resources_get(&entry->demand, id_of(scene->fleet, "nvidia.com/gpu"));
		sum += gpus;
		kept += entry->hold ? gpus : 0;
	}
	assert_int_equal(sum, node_used(at, id_of(scene->fleet, "nvidia.com/gpu")));
	return kept;
}

static void holds(const struct scene *scene, const int64_t *expected)
{
	for (int i = 0; i < NODES; i++)
		if (held(scene, i) != expected[i])
			fail_msg("%lld GPUs are held on n%d, not %lld", (long long)held(scene, i), i,
			    (long long)expected[i]);
}
#define HOLDS(...) holds(scene, (const int64_t[NODES]){__VA_ARGS__})

static void set_window(struct scene *scene, bool open, int64_t left_ns)
{
	headroom_windows(scene->fleet, &(struct headroom_window){open, left_ns}, 1);
	headroom_place(scene->fleet);
}

static void it_is_kept_for_its_class(void **state)
{
	struct scene *scene = *state;
	bind(scene, CLASS_HOSTS, 3, 0);
	headroom_place(scene->fleet);
	HOLDS(0, 8, 8, 0, 0, 0);
	assert_int_equal(verdict(scene, CLASS_HOSTS, 1, 1), REASON_CODE_HEADROOM);
	assert_int_equal(verdict(scene, CLASS_BATCH, 8, 1), REASON_CODE_HEADROOM);
	assert_int_equal(verdict(scene, CLASS_HOSTS, 0, 1), REASON_CODE_FITS);
	assert_int_equal(verdict(scene, CLASS_SPREAD, 8, 1), REASON_CODE_FITS);
	assert_int_equal(verdict(scene, CLASS_HOSTS, 9, 1), REASON_CODE_TOO_LARGE);
	for (int i = 3; i < NODES; i++)
		bind(scene, CLASS_HOSTS, 8, i);
	assert_string_equal(chosen(scene, CLASS_HOSTS, 8), "Headroom");
	assert_string_equal(chosen(scene, CLASS_HOSTS, 5), "n0");
	assert_string_equal(chosen(scene, CLASS_SPREAD, 8), "n1");
	struct headroom_state now = headroom_state_of(scene->fleet, 0);
	assert_int_equal(now.held, 16);
	assert_int_equal(now.wanted, 16);
	assert_int_equal(now.missing, 0);
	assert_int_equal(headroom_kept_from(scene->fleet, &scene->policy->classes[CLASS_HOSTS], node(scene, 1)), 8);
	assert_int_equal(headroom_kept_from(scene->fleet, &scene->policy->classes[CLASS_SPREAD], node(scene, 1)), 0);
}

static void what_the_class_takes_is_held_no_more_and_comes_back_at_once(void **state)
{
	struct scene *scene = *state;
	headroom_place(scene->fleet);
	HOLDS(8, 8, 0, 0, 0, 0);
	struct ledger_entry *entry = bind(scene, CLASS_SPREAD, 3, 0);
	HOLDS(5, 8, 0, 0, 0, 0);
	assert_true(headroom_due(scene->fleet));
	headroom_place(scene->fleet);
	HOLDS(5, 8, 0, 0, 0, 0);
	struct ledger_entry *other = bind(scene, CLASS_SPREAD, 5, 0), *third = bind(scene, CLASS_SPREAD, 8, 1);
	HOLDS(0, 0, 0, 0, 0, 0);
	headroom_place(scene->fleet);
	HOLDS(0, 0, 0, 0, 0, 0);
	ledger_release(scene->fleet, third);
	HOLDS(0, 8, 0, 0, 0, 0);
	ledger_release(scene->fleet, entry);
	HOLDS(3, 8, 0, 0, 0, 0);
	ledger_release(scene->fleet, other);
	HOLDS(8, 8, 0, 0, 0, 0);
	assert_int_equal(verdict(scene, CLASS_HOSTS, 1, 0), REASON_CODE_HEADROOM);
}

static void what_it_has_elsewhere_counts(void **state)
{
	struct scene *scene = *state;
	bind(scene, CLASS_SPREAD, 8, 5);
	headroom_place(scene->fleet);
	HOLDS(8, 0, 0, 0, 0, 0);
	bind(scene, CLASS_SPREAD, 2, 4);
	headroom_place(scene->fleet);
	HOLDS(8, 0, 0, 0, 0, 0); /* a whole chunk is worth more than the rest of another node */
	bind(scene, CLASS_SPREAD, 8, 3);
	headroom_place(scene->fleet);
	HOLDS(0, 0, 0, 0, 0, 0);
}

static void a_margin_follows_what_it_uses(void **state)
{
	struct scene *scene = *state;
	scene->rules[0].gpus = 8;
	scene->rules[0].margin = 4;
	headroom_place(scene->fleet);
	HOLDS(8, 0, 0, 0, 0, 0);
	bind(scene, CLASS_SPREAD, 8, 0);
	headroom_place(scene->fleet);
	HOLDS(0, 8, 0, 0, 0, 0);
	bind(scene, CLASS_SPREAD, 4, 1);
	headroom_place(scene->fleet);
	HOLDS(0, 4, 0, 0, 0, 0);
	bind(scene, CLASS_SPREAD, 1, 1);
	headroom_place(scene->fleet);
	HOLDS(0, 3, 8, 0, 0, 0);
}

static void where_others_stand_it_fills_as_they_go(void **state)
{
	struct scene *scene = *state;
	struct ledger_entry *entries[NODES];
	for (int i = 0; i < NODES; i++)
		entries[i] = bind(scene, CLASS_HOSTS, i == 4 ? 6 : 8, i);
	headroom_place(scene->fleet);
	HOLDS(0, 0, 0, 0, 2, 0);
	struct headroom_state now = headroom_state_of(scene->fleet, 0);
	assert_int_equal(now.missing, 14);
	assert_int_equal(now.held, 2);
	ledger_release(scene->fleet, entries[4]);
	HOLDS(0, 0, 0, 0, 8, 0);
	ledger_release(scene->fleet, entries[3]); /* not one of those chosen, yet */
	headroom_place(scene->fleet);
	HOLDS(0, 0, 0, 8, 8, 0);
}

static void while_it_is_closed_it_is_lent_to_what_ends_in_time(void **state)
{
	struct scene *scene = *state;
	set_window(scene, false, 35 * MINUTE);
	HOLDS(8, 8, 0, 0, 0, 0);
	assert_int_equal(verdict(scene, CLASS_BATCH, 8, 0), REASON_CODE_FITS);
	assert_int_equal(verdict(scene, CLASS_HOSTS, 1, 0), REASON_CODE_HEADROOM);
	struct ledger_entry *entry = bind(scene, CLASS_BATCH, 6, 0);
	HOLDS(2, 8, 0, 0, 0, 0);
	headroom_place(scene->fleet);
	HOLDS(2, 8, 0, 0, 0, 0);
	assert_int_equal(headroom_lent_by(scene->fleet, entry), CLASS_SPREAD);
	assert_int_equal(headroom_state_of(scene->fleet, 0).lent, 6);
	set_window(scene, false, 35 * MINUTE - 1);
	assert_int_equal(verdict(scene, CLASS_BATCH, 2, 0), REASON_CODE_HEADROOM);
	/* It opens: room that is free is better than room that is lent. */
	set_window(scene, true, 0);
	HOLDS(0, 8, 8, 0, 0, 0);
	assert_int_equal(headroom_lent_by(scene->fleet, entry), UINT16_MAX);
	for (int i = 3; i < NODES; i++)
		bind(scene, CLASS_HOSTS, 8, i);
	set_window(scene, false, 60 * MINUTE);
	struct ledger_entry *lent = bind(scene, CLASS_BATCH, 8, 1);
	set_window(scene, true, 0);
	HOLDS(2, 0, 8, 0, 0, 0);
	assert_int_equal(headroom_lent_by(scene->fleet, lent), UINT16_MAX);
	assert_int_equal(headroom_lent_by(scene->fleet, entry), CLASS_SPREAD);
	ledger_release(scene->fleet, entry);
	HOLDS(8, 0, 8, 0, 0, 0);
}

static void a_window_that_closes_offers_its_nodes(void **state)
{
	struct scene *scene = *state;
	headroom_place(scene->fleet);
	fleet_take_improved(scene->fleet);
	set_window(scene, false, 60 * MINUTE);
	size_t count = 0;
	for (const struct node *at = fleet_take_improved(scene->fleet); at; at = at->next_improved)
		count++;
	assert_int_equal(count, 2);
}

static void many_make_a_rack(void **state)
{
	struct scene *scene = *state;
	scene->rules[0].gpus = scene->rules[0].chunk = 24;
	struct ledger_entry *in_the_way = bind(scene, CLASS_HOSTS, 1, 1);
	headroom_place(scene->fleet);
	HOLDS(0, 0, 0, 8, 8, 8);
	bind(scene, CLASS_HOSTS, 2, 4); /* a fact that nobody asked about */
	ledger_release(scene->fleet, in_the_way);
	headroom_place(scene->fleet);
	HOLDS(8, 8, 8, 0, 0, 0);
	/* More than any rack has: of the block. */
	scene->rules[0].gpus = scene->rules[0].chunk = 40;
	headroom_place(scene->fleet);
	HOLDS(8, 8, 8, 8, 0, 8);
	/* More than there is. */
	scene->rules[0].gpus = scene->rules[0].chunk = 56;
	headroom_place(scene->fleet);
	HOLDS(0, 0, 0, 0, 0, 0);
	assert_int_equal(headroom_state_of(scene->fleet, 0).missing, 56);
}

static void nodes_that_are_not_fit_are_left(void **state)
{
	struct scene *scene = *state;
	headroom_place(scene->fleet);
	fleet_quarantine(scene->fleet, node(scene, 0), true);
	fleet_remove_node(scene->fleet, slice_of("n1"));
	assert_true(headroom_due(scene->fleet));
	assert_true(headroom_place(scene->fleet));
	assert_int_equal(held(scene, 0), 0);
	assert_int_equal(held(scene, 2), 8);
	assert_int_equal(held(scene, 3), 8);
	fleet_quarantine(scene->fleet, node(scene, 0), false);
	put(scene, 1, "r0");
	assert_false(headroom_place(scene->fleet));
	HOLDS(0, 0, 8, 8, 0, 0);
}

static void a_gang_of_the_class_is_planned_into_it(void **state)
{
	struct scene *scene = *state;
	headroom_place(scene->fleet);
	for (int i = 2; i < NODES; i++)
		bind(scene, CLASS_HOSTS, 8, i);
	assert_string_equal(chosen(scene, CLASS_SPREAD, 8), "n0");
	struct pod *pod = pod_of(scene, CLASS_SPREAD, 8);
	ledger_reserve(scene->fleet, pod, slice_of("n0"), LEDGER_ASSUMED, true, 0, SECOND);
	HOLDS(0, 8, 0, 0, 0, 0);
	/* Its own reservation is no obstacle, and where it moves the room comes back. */
	assert_int_equal(decide_node(scene->fleet, pod, node(scene, 0), NULL), REASON_CODE_FITS);
	ledger_reserve(scene->fleet, pod, slice_of("n1"), LEDGER_ASSUMED, true, 0, SECOND);
	HOLDS(8, 0, 0, 0, 0, 0);
	pod_free(pod);
}

static void another_policy_ends_it(void **state)
{
	struct scene *scene = *state;
	headroom_place(scene->fleet);
	bind(scene, CLASS_SPREAD, 3, 0);
	struct policy *plain = policy_world();
	fleet_set_policy(scene->fleet, plain);
	HOLDS(0, 0, 0, 0, 0, 0);
	assert_false(headroom_due(scene->fleet));
	assert_int_equal(verdict(scene, CLASS_HOSTS, 8, 1), REASON_CODE_FITS);
	/* And a third one finds whose the pods are that stand there. */
	fleet_set_policy(scene->fleet, scene->policy);
	headroom_place(scene->fleet);
	HOLDS(5, 8, 0, 0, 0, 0);
	policy_free(plain);
}

static void two_rules_have_nodes_of_their_own(void **state)
{
	struct scene *scene = *state;
	scene->rules[1] = (struct policy_headroom){.for_ = CLASS_HOSTS, .pool = H100, .gpus = 8, .chunk = 4};
	scene->policy->headroom_count = 2;
	headroom_place(scene->fleet);
	HOLDS(8, 8, 8, 0, 0, 0);
	assert_int_equal(verdict(scene, CLASS_SPREAD, 4, 2), REASON_CODE_HEADROOM);
	assert_int_equal(verdict(scene, CLASS_HOSTS, 4, 2), REASON_CODE_FITS);
	assert_int_equal(verdict(scene, CLASS_HOSTS, 4, 1), REASON_CODE_HEADROOM);
}

/* --- whatever happens --- */

static void check_node(struct scene *scene, const struct node *at)
{
	resource_id gpu = id_of(scene->fleet, "nvidia.com/gpu");
	int64_t pods = 0, kept = 0, own = 0;
	for (const struct ledger_entry *entry = at->entries; entry; entry = entry->node_next) {
		int64_t gpus = resources_get(&entry->demand, gpu);
		*(entry->hold ? &kept : &pods) += gpus;
		own += entry->class_ == CLASS_SPREAD ? gpus : 0;
	}
	assert_int_equal(node_used(at, gpu), pods + kept);
	if (!at->headroom) {
		assert_int_equal(kept, 0);
		return;
	}
	int64_t due = at->headroom->reserved - own, left = node_allocatable(at, gpu) - pods;
	due = due < left ? due : left;
	assert_int_equal(kept, due > 0 ? due : 0);
	assert_ptr_equal(at->headroom->node, at);
}

static void check_all(struct scene *scene)
{
	size_t cursor = 0, assumed = 0, linked = 0, with = 0;
	for (const struct node *at; (at = map_next(&scene->fleet->nodes, &cursor)); with += at->headroom != NULL)
		check_node(scene, at);
	for (const struct headroom_hold *hold = scene->fleet->headroom; hold; hold = hold->next)
		linked++;
	assert_int_equal(linked, with);
	cursor = 0;
	for (const struct ledger_entry *entry; (entry = map_next(&scene->fleet->ledger.by_uid, &cursor));)
		assumed += entry->state == LEDGER_ASSUMED;
	assert_int_equal(assumed, scene->fleet->ledger.count[LEDGER_ASSUMED]);
	for (int class_ = CLASS_SPREAD; class_ < CLASSES; class_++) {
		struct pod *pod = pod_of(scene, class_, 1 + scene->pods % 8);
		struct node *nodes[NODES];
		struct decision fast, slow;
		size_t count = 0;
		for (int i = 0; i < NODES; i++)
			if (node(scene, i) && node(scene, i)->spec)
				nodes[count++] = node(scene, i);
		decide_fleet(scene->fleet, pod, &fast);
		decide_among(scene->fleet, pod, nodes, count, &slow, NULL);
		assert_ptr_equal(fast.node, slow.node);
		pod_free(pod);
	}
}

static void one_step(struct scene *scene, struct prng *prng, struct policy *plain)
{
	char uid[16], name[16];
	int number = (int)pick(prng, NODES);
	snprintf(uid, sizeof uid, "s%d", (int)pick(prng, 24));
	snprintf(name, sizeof name, "n%d", number);
	struct ledger_entry *entry = ledger_find(scene->fleet, slice_of(uid));
	struct node *at = node(scene, number);
	switch (pick(prng, 12)) {
	case 0:
		put(scene, number, number < 3 ? "r0" : "r1");
		break;
	case 1:
		fleet_remove_node(scene->fleet, slice_of(name));
		break;
	case 2:
		if (at && at->spec)
			fleet_quarantine(scene->fleet, at, pick(prng, 2));
		break;
	case 3:
	case 4:
		headroom_place(scene->fleet);
		break;
	case 5:
		headroom_windows(scene->fleet, &(struct headroom_window){pick(prng, 2), pick(prng, 60) * MINUTE}, 1);
		break;
	case 6:
		if (pick(prng, 4) == 0)
			fleet_set_policy(scene->fleet, scene->fleet->policy == plain ? scene->policy : plain);
		break;
	case 7:
		scene->rules[0].chunk = 1 << pick(prng, 5);
		scene->rules[0].gpus = scene->rules[0].chunk * (1 + pick(prng, 4));
		scene->rules[0].margin = pick(prng, 12);
		break;
	case 8:
		if (entry)
			ledger_release(scene->fleet, entry);
		break;
	default: {
		struct pod *pod = pod_simple(scene->fleet, uid, 100, pick(prng, 9));
		pod->class_name = scene->policy->classes[CLASS_SPREAD + pick(prng, CLASSES - CLASS_SPREAD)].name;
		ledger_reserve(
		    scene->fleet, pod, slice_of(name), (enum ledger_state)pick(prng, 3), pick(prng, 5) > 0, 0, SECOND);
		pod_free(pod);
	}
	}
}

static void whatever_happens_the_ledger_says_it(void **state)
{
	struct scene *scene = *state;
	struct policy *plain = policy_world();
	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct prng prng = {seed};
		for (int step = 0; step < 300; step++) {
			one_step(scene, &prng, plain);
			check_all(scene);
		}
	}
	fleet_set_policy(scene->fleet, scene->policy);
	policy_free(plain);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(it_is_kept_for_its_class),
	    TEST(what_the_class_takes_is_held_no_more_and_comes_back_at_once),
	    TEST(what_it_has_elsewhere_counts),
	    TEST(a_margin_follows_what_it_uses),
	    TEST(where_others_stand_it_fills_as_they_go),
	    TEST(while_it_is_closed_it_is_lent_to_what_ends_in_time),
	    TEST(a_window_that_closes_offers_its_nodes),
	    TEST(many_make_a_rack),
	    TEST(nodes_that_are_not_fit_are_left),
	    TEST(a_gang_of_the_class_is_planned_into_it),
	    TEST(another_policy_ends_it),
	    TEST(two_rules_have_nodes_of_their_own),
	    TEST(whatever_happens_the_ledger_says_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
