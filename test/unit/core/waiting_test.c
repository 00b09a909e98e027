#include "world.h"

#include "core/index.h"
#include "core/waiting_internal.h"

struct woken {
	size_t count;
	struct waiting_pod *pods[2048];
	struct node *nodes[2048];
};

static void note(void *ctx, struct waiting_pod *pod, struct node *node)
{
	struct woken *woken = ctx;
	woken->pods[woken->count] = pod;
	woken->nodes[woken->count++] = node;
}

/* A full node of 8 GPUs, and so many 1-GPU pods waiting. */
struct queue {
	struct fleet *fleet;
	struct waiting *waiting;
	struct pod *full;
	struct pod *pods[1200];
	size_t count;
	struct woken woken;
};

static struct queue *queue_new(size_t count)
{
	struct queue *queue = calloc(1, sizeof(*queue));
	queue->fleet = fleet_new(&world_catalogue);
	queue->waiting = waiting_new();
	fleet_put_node(queue->fleet, spec_simple(queue->fleet, "n", H100, 8));
	queue->full = pod_simple(queue->fleet, "full", 0, 8);
	ledger_reserve(queue->fleet, queue->full, slice_of("n"), LEDGER_BOUND, false, 0, 0);
	fleet_take_improved(queue->fleet);
	for (size_t i = 0; i < count; i++) {
		char uid[32];
		snprintf(uid, sizeof(uid), "p%04zu", i);
		queue->pods[i] = pod_simple(queue->fleet, uid, 0, 1);
		waiting_put(queue->waiting, queue->pods[i], REASON_CODE_NO_GPU, (int64_t)i * SECOND, 0);
	}
	queue->count = count;
	return queue;
}

static void queue_free(struct queue *queue)
{
	waiting_free(queue->waiting);
	fleet_free(queue->fleet);
	for (size_t i = 0; i < queue->count; i++)
		pod_free(queue->pods[i]);
	pod_free(queue->full);
	free(queue);
}

/* So many of the node's GPUs are taken from now on. */
static void take(struct queue *queue, int64_t gpus)
{
	pod_asks(queue->full, id_of(queue->fleet, "nvidia.com/gpu"), gpus);
	ledger_update(queue->fleet, ledger_find(queue->fleet, slice_of("full")), queue->full);
}

static size_t wake(struct queue *queue, int64_t now)
{
	struct node *improved = fleet_take_improved(queue->fleet);
	queue->woken.count = 0;
	return waiting_wake_for(queue->waiting, queue->fleet, improved, now, 1000, note, &queue->woken);
}

static int64_t expire(struct queue *queue, int64_t now)
{
	queue->woken.count = 0;
	return waiting_expire(queue->waiting, queue->fleet, now, note, &queue->woken);
}

static void one_gpu_wakes_one_pod(void **state)
{
	(void)state;
	struct queue *queue = queue_new(1000);
	resource_id gpu = id_of(queue->fleet, "nvidia.com/gpu");
	assert_int_equal(wake(queue, 2000 * SECOND), 0);
	take(queue, 7);
	assert_int_equal(wake(queue, 2000 * SECOND), 1);
	assert_int_equal(queue->woken.count, 1);
	assert_string_equal(queue->woken.pods[0]->pod->uid, "p0000");
	assert_int_equal(queue->woken.pods[0]->turn_ends_ns, 2005 * SECOND);
	/* Nothing stays behind: no entry, no use, no change. */
	struct node *node = fleet_find(queue->fleet, slice_of("n"));
	assert_int_equal(node_free(node, gpu), 1);
	assert_int_equal(node->entry_count, 1);
	assert_false(node->improved);
	assert_null(fleet_take_improved(queue->fleet));
	/* The turn stands against the next change of the node, too. */
	take(queue, 6);
	assert_int_equal(wake(queue, 2001 * SECOND), 1);
	assert_string_equal(queue->woken.pods[0]->pod->uid, "p0001");
	queue_free(queue);
}

static void priority_then_age_then_uid(void **state)
{
	(void)state;
	struct queue *queue = queue_new(4);
	queue->pods[3]->priority = 5;
	waiting_remove(queue->waiting, slice_of("p0003"));
	waiting_put(queue->waiting, queue->pods[3], REASON_CODE_NO_GPU, 9 * SECOND, 0);
	waiting_remove(queue->waiting, slice_of("p0000"));
	waiting_put(queue->waiting, queue->pods[0], REASON_CODE_NO_GPU, 2 * SECOND, 0);
	/* A later rejection does not cost the place. */
	waiting_put(queue->waiting, queue->pods[1], REASON_CODE_NO_GPU, 50 * SECOND, 0);
	const char *const order[] = {"p0003", "p0001", "p0000", "p0002"};
	struct waiting_pod *pod = NULL;
	for (size_t i = 0; i < 4; i++) {
		pod = waiting_next(queue->waiting, pod);
		assert_string_equal(pod->pod->uid, order[i]);
	}
	assert_null(waiting_next(queue->waiting, pod));
	take(queue, 5);
	assert_int_equal(wake(queue, 60 * SECOND), 3);
	for (size_t i = 0; i < 3; i++)
		assert_string_equal(queue->woken.pods[i]->pod->uid, order[i]);
	queue_free(queue);
}

static void an_unused_turn_is_given_again_and_then_passed_on(void **state)
{
	(void)state;
	struct queue *queue = queue_new(3);
	take(queue, 7);
	assert_int_equal(wake(queue, 10 * SECOND), 1);
	assert_int_equal(expire(queue, 15 * SECOND - 1), 15 * SECOND);
	assert_int_equal(queue->woken.count, 0);
	assert_int_equal(expire(queue, 15 * SECOND), 20 * SECOND);
	assert_int_equal(queue->woken.count, 1);
	assert_string_equal(queue->woken.pods[0]->pod->uid, "p0000");
	assert_int_equal(queue->woken.pods[0]->wakes, 2);
	assert_int_equal(wake(queue, 16 * SECOND), 0);
	assert_int_equal(expire(queue, 20 * SECOND), LEDGER_NEVER);
	assert_int_equal(queue->woken.count, 0);
	assert_int_equal(wake(queue, 20 * SECOND), 1);
	assert_string_equal(queue->woken.pods[0]->pod->uid, "p0001");
	assert_int_equal(waiting_find(queue->waiting, slice_of("p0000"))->woken_total, 2);
	queue_free(queue);
}

static bool may_take(struct queue *queue, const struct pod *pod, bool claims, int64_t now)
{
	struct node *node = fleet_find(queue->fleet, slice_of("n"));
	bool kept = waiting_hold_before(queue->waiting, queue->fleet, pod, claims, now);
	bool fits = decide_node(queue->fleet, pod, node, NULL) == REASON_CODE_FITS;
	waiting_release_turns(queue->waiting, queue->fleet);
	assert_int_equal(fits, !kept);
	if (!claims)
		assert_int_equal(waiting_keeps(queue->waiting, node, pod, now), kept);
	assert_int_equal(decide_node(queue->fleet, pod, node, NULL), REASON_CODE_FITS);
	return fits;
}

static void who_has_waited_long_comes_before_who_asks_sooner(void **state)
{
	(void)state;
	struct queue *queue = queue_new(3);
	struct pod *late = pod_simple(queue->fleet, "late", 0, 1), *urgent = pod_simple(queue->fleet, "urgent", 0, 1);
	int64_t now = SECOND + WAITING_LONG_NS; /* p0001 waits since 1 s */
	urgent->priority = 5;
	waiting_remove(queue->waiting, slice_of("p0000"));
	take(queue, 7);
	assert_int_equal(wake(queue, now), 1);
	assert_string_equal(queue->woken.pods[0]->pod->uid, "p0001");
	waiting_put(queue->waiting, queue->pods[0], REASON_CODE_NO_GPU, 0, 0);
	assert_true(may_take(queue, late, false, now - 1));
	assert_true(may_take(queue, queue->pods[1], false, now));
	assert_true(may_take(queue, queue->pods[0], false, now)); /* it has waited longer */
	assert_false(may_take(queue, queue->pods[2], false, now));
	assert_false(may_take(queue, late, false, now));
	assert_true(may_take(queue, urgent, false, now));
	assert_true(may_take(queue, late, true, now));
	assert_false(may_take(queue, late, false, now + WAITING_KEPT_NS - 1));
	assert_true(may_take(queue, late, false, now + WAITING_KEPT_NS));
	pod_free(late);
	pod_free(urgent);
	queue_free(queue);
}

static void a_wake_up_that_failed_was_none(void **state)
{
	(void)state;
	struct queue *queue = queue_new(2);
	int64_t now = 10 * SECOND;
	take(queue, 7);
	waiting_unwoken(queue->waiting, slice_of("p0000")); /* which is not woken */
	assert_int_equal(wake(queue, now), 1);
	for (int i = 0; i < WAITING_UNWOKEN_MAX; i++) {
		waiting_unwoken(queue->waiting, slice_of("p0000"));
		now += 5 * SECOND;
		expire(queue, now);
		assert_int_equal(queue->woken.count, 1);
		assert_string_equal(queue->woken.pods[0]->pod->uid, "p0000");
	}
	waiting_unwoken(queue->waiting, slice_of("p0000")); /* it had its chances */
	expire(queue, now += 5 * SECOND);
	assert_int_equal(queue->woken.count, 1);
	assert_int_equal(expire(queue, now += 5 * SECOND), LEDGER_NEVER);
	assert_int_equal(wake(queue, now), 1);
	assert_string_equal(queue->woken.pods[0]->pod->uid, "p0001");
	waiting_unwoken(queue->waiting, slice_of("nobody"));
	queue_free(queue);
}

/* A pod that is rejected again after it had left goes on counting where its annotation stands. */
static void a_count_goes_on_where_the_annotation_stands(void **state)
{
	(void)state;
	static const struct {
		const char *annotation;
		uint64_t count;
	} cases[] = {{NULL, 0}, {"", 0}, {"RoomFreed", 0}, {"RoomFreed/", 0}, {"RoomFreed/7", 7}, {"7", 0},
	    {"RoomFreed/4294967295", 4294967295}, {"RoomFreed/99999999999999999999", 0}, {"RoomFreed/7x", 0}};
	struct queue *queue = queue_new(1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		waiting_remove(queue->waiting, slice_of("p0000"));
		queue->pods[0]->wake = cases[i].annotation;
		waiting_put(queue->waiting, queue->pods[0], REASON_CODE_NO_GPU, SECOND, 0);
		assert_int_equal(waiting_find(queue->waiting, slice_of("p0000"))->woken_total, cases[i].count);
	}
	queue->pods[0]->wake = NULL;
	queue_free(queue);
}

static void room_not_taken_goes_to_the_next(void **state)
{
	(void)state;
	struct queue *queue = queue_new(2);
	take(queue, 7);
	assert_int_equal(wake(queue, 10 * SECOND), 1);
	/* Asked, and rejected for what the core does not know. */
	waiting_put(queue->waiting, queue->pods[0], REASON_CODE_NO_CANDIDATES, 11 * SECOND, 0);
	assert_int_equal(expire(queue, 11 * SECOND), LEDGER_NEVER);
	assert_int_equal(wake(queue, 11 * SECOND), 1);
	assert_string_equal(queue->woken.pods[0]->pod->uid, "p0001");
	waiting_put(queue->waiting, queue->pods[1], REASON_CODE_NO_CANDIDATES, 12 * SECOND, 0);
	expire(queue, 12 * SECOND);
	/* Neither is asked in a circle, until the node itself changes. */
	assert_int_equal(wake(queue, 12 * SECOND), 0);
	take(queue, 6);
	assert_int_equal(wake(queue, 13 * SECOND), 2);
	queue_free(queue);
}

static void a_taken_turn_wakes_nobody(void **state)
{
	(void)state;
	struct queue *queue = queue_new(2);
	take(queue, 7);
	assert_int_equal(wake(queue, 10 * SECOND), 1);
	ledger_reserve(queue->fleet, queue->pods[0], slice_of("n"), LEDGER_ASSUMED, true, 11 * SECOND, 30 * SECOND);
	waiting_remove(queue->waiting, slice_of("p0000"));
	assert_int_equal(expire(queue, 11 * SECOND), LEDGER_NEVER);
	assert_int_equal(wake(queue, 11 * SECOND), 0);
	/* The reservation expires: its room is for the next. */
	ledger_release(queue->fleet, ledger_expired(queue->fleet, 41 * SECOND));
	assert_int_equal(wake(queue, 41 * SECOND), 1);
	assert_string_equal(queue->woken.pods[0]->pod->uid, "p0001");
	queue_free(queue);
}

static void a_gone_node_ends_what_its_turns_were_for(void **state)
{
	(void)state;
	struct queue *queue = queue_new(2);
	take(queue, 7);
	assert_int_equal(wake(queue, 10 * SECOND), 1);
	waiting_forget_node(queue->waiting, fleet_find(queue->fleet, slice_of("n")));
	fleet_remove_node(queue->fleet, slice_of("n"));
	assert_null(queue->woken.pods[0]->turn_node);
	assert_int_equal(expire(queue, 20 * SECOND), LEDGER_NEVER);
	assert_int_equal(queue->woken.count, 0);
	fleet_put_node(queue->fleet, spec_simple(queue->fleet, "m", L4, 1));
	assert_int_equal(wake(queue, 21 * SECOND), 1);
	assert_string_equal(queue->woken.pods[0]->pod->uid, "p0000");
	queue_free(queue);
}

static void the_limit_leaves_the_rest_for_the_next_call(void **state)
{
	(void)state;
	struct queue *queue = queue_new(8);
	take(queue, 0);
	struct node *improved = fleet_take_improved(queue->fleet);
	assert_int_equal(
	    waiting_wake_for(queue->waiting, queue->fleet, improved, 10 * SECOND, 3, note, &queue->woken), 3);
	assert_int_equal(wake(queue, 10 * SECOND), 5);
	assert_null(fleet_take_improved(queue->fleet));
	queue_free(queue);
}

static void a_policy_that_helps_wakes_the_misconfigured(void **state)
{
	(void)state;
	struct queue *queue = queue_new(1);
	struct policy *strict = policy_world(), *mild = policy_world();
	mild->classes[CLASS_ONLY].has_only = false;
	queue->pods[0]->class_name = "only";
	waiting_put(queue->waiting, queue->pods[0], REASON_CODE_ONLY_UNMEETABLE, SECOND, 0);
	take(queue, 0);
	fleet_set_policy(queue->fleet, strict);
	assert_int_equal(wake(queue, 2 * SECOND), 0);
	fleet_set_policy(queue->fleet, mild);
	assert_int_equal(wake(queue, 3 * SECOND), 1);
	queue_free(queue);
	policy_free(strict);
	policy_free(mild);
}

static void with_selector(struct pod *pod, bool fits)
{
	pod_requires(pod, "zone", fits ? SELECTOR_DOES_NOT_EXIST : SELECTOR_EXISTS, NULL);
}

static void with_node_selector(struct pod *pod, bool fits)
{
	static struct label right[] = {{"there", "yes"}}, wrong[] = {{"there", "no"}};
	pod->node_selector = fits ? right : wrong;
	pod->node_selector_count = 1;
}

static void with_toleration(struct pod *pod, bool fits)
{
	pod_tolerates(pod, "team", fits ? "red" : "blue");
}

static void with_memory(struct pod *pod, bool fits)
{
	pod->gpu_memory_bytes = fits ? 80 * GIB : 160 * GIB;
}

static void with_dtype(struct pod *pod, bool fits)
{
	pod->dtypes = fits ? DTYPE_BIT(DTYPE_BF16) : UINT32_C(1) << 30;
}

static void with_trouble(struct pod *pod, bool fits)
{
	pod->trouble = fits ? REASON_CODE_FITS : REASON_CODE_BAD_ANNOTATION;
}

static void with_class(struct pod *pod, bool fits)
{
	pod->class_name = fits ? "batch" : "only";
}

static void with_demand(struct pod *pod, bool fits)
{
	pod_asks(pod, RESOURCE_CPU, fits ? 1000 : 64000);
}

/* Of two that differ in one thing the first does not fit: the second is woken all the same. */
static void pods_that_differ_are_judged_apart(void **state)
{
	(void)state;
	void (*const with[])(struct pod *, bool) = {with_selector, with_node_selector, with_toleration, with_memory,
	    with_dtype, with_trouble, with_class, with_demand};
	struct policy *policy = policy_world();
	for (size_t i = 0; i < sizeof(with) / sizeof(with[0]); i++) {
		struct queue *queue = queue_new(2);
		struct node_spec *spec = spec_simple(queue->fleet, "m", H100, 8);
		spec_label(spec, "there", "yes");
		spec_taint(spec, "team", "red", TAINT_NO_SCHEDULE);
		for (size_t p = 0; p < 2; p++) {
			if (with[i] != with_toleration)
				pod_tolerates(queue->pods[p], "team", "red");
			with[i](queue->pods[p], p == 1);
			waiting_put(queue->waiting, queue->pods[p], REASON_CODE_NO_GPU, 5 * SECOND, 0);
		}
		fleet_set_policy(queue->fleet, policy);
		fleet_put_node(queue->fleet, spec);
		assert_int_equal(wake(queue, 10 * SECOND), 1);
		assert_string_equal(queue->woken.pods[0]->pod->uid, "p0001");
		queue_free(queue);
	}
	policy_free(policy);
}

/* ---- at random, against the rules told one pod at a time ---- */

static void snapshot(const struct fleet *fleet, char *text, size_t size)
{
	size_t cursor = 0, len = 0;
	for (const struct node *node; (node = map_next(&fleet->nodes, &cursor));) {
		len += (size_t)snprintf(
		    text + len, size - len, "%s %zu %d:", node->name, node->entry_count, node->improved);
		for (uint16_t i = 0; i < node->used.count; i++)
			len += (size_t)snprintf(text + len, size - len, " %u=%lld", node->used.items[i].id,
			    (long long)node->used.items[i].amount);
		for (size_t i = 0; i < node->slot_count; i++)
			len += (size_t)snprintf(text + len, size - len, " b%lld",
			    node->slots[i].bucket ? (long long)node->slots[i].bucket->key : -1);
		assert_true(len + 256 < size);
	}
}

/* Who would be woken: each in turn gets real room on a copy of the ledger, which is then taken back. */
static size_t brute_wake(
    struct queue *queue, struct node **nodes, size_t node_count, const struct waiting_pod **expected)
{
	struct ledger_entry *made[256];
	size_t count = 0, made_count = 0;
	for (const struct waiter *waiter = queue->waiting->turns; waiter; waiter = waiter->turn_next) {
		const struct waiting_pod *pod = &waiter->public;
		if (pod->turn_node && !ledger_find(queue->fleet, slice_of(pod->pod->uid)) &&
		    decide_node(queue->fleet, pod->pod, pod->turn_node, NULL) == REASON_CODE_FITS)
			made[made_count++] = ledger_reserve(
			    queue->fleet, pod->pod, slice_of(pod->turn_node->name), LEDGER_PLANNED, true, 0, SECOND);
	}
	for (struct waiting_pod *pod = NULL; (pod = waiting_next(queue->waiting, pod));) {
		struct decision decision;
		if (pod->turn_ends_ns || pod->wakes >= 2)
			continue;
		decide_among(queue->fleet, pod->pod, nodes, node_count, &decision, NULL);
		if (!decision.node)
			continue;
		expected[count++] = pod;
		made[made_count++] = ledger_reserve(
		    queue->fleet, pod->pod, slice_of(decision.node->name), LEDGER_PLANNED, true, 0, SECOND);
	}
	while (made_count > 0)
		ledger_release(queue->fleet, made[--made_count]);
	return count;
}

static void random_step(struct queue *queue, struct prng *prng, int64_t now)
{
	char name[32];
	struct pod *pod = queue->pods[pick(prng, (int64_t)queue->count)];
	struct ledger_entry *entry = ledger_find(queue->fleet, slice_of(pod->uid));
	snprintf(name, sizeof(name), "n%lld", (long long)pick(prng, 90));
	struct node *node = fleet_find(queue->fleet, slice_of(name));
	switch (pick(prng, 6)) {
	case 0:
		fleet_put_node(queue->fleet, spec_random(queue->fleet, prng, name));
		break;
	case 1:
		if (node) {
			waiting_forget_node(queue->waiting, node);
			fleet_remove_node(queue->fleet, slice_of(name));
		}
		break;
	case 2:
		waiting_remove(queue->waiting, slice_of(pod->uid));
		break;
	case 3:
		ledger_reserve(queue->fleet, pod, slice_of(name), LEDGER_BOUND, true, now, 0);
		waiting_remove(queue->waiting, slice_of(pod->uid));
		break;
	default:
		/* Room that the pod refused is another test's. */
		waiting_remove(queue->waiting, slice_of(pod->uid));
		if (entry)
			ledger_release(queue->fleet, entry);
		waiting_put(queue->waiting, pod, REASON_CODE_NO_GPU, now, 0);
	}
}

static void wake_and_compare(struct queue *queue, int64_t now)
{
	static char before[1 << 16], after[1 << 16];
	struct node *nodes[128];
	const struct waiting_pod *expected[256];
	size_t node_count = 0;
	waiting_expire(queue->waiting, queue->fleet, now, note, &queue->woken);
	struct node *improved = fleet_take_improved(queue->fleet);
	for (struct node *node = improved; node; node = node->next_improved)
		nodes[node_count++] = node;
	snapshot(queue->fleet, before, sizeof(before));
	size_t count = brute_wake(queue, nodes, node_count, expected);
	/* That moved rooms about; make the chain anew of the nodes it was of. */
	fleet_take_improved(queue->fleet);
	for (size_t i = 0; i < node_count; i++)
		nodes[i]->next_improved = i + 1 < node_count ? nodes[i + 1] : NULL;
	queue->woken.count = 0;
	size_t woken = waiting_wake_for(
	    queue->waiting, queue->fleet, node_count ? nodes[0] : NULL, now, 1000, note, &queue->woken);
	/* Many nodes are judged by the fleet's index, which may choose among them otherwise; and so whom the room is
	 * left for. */
	if (node_count <= 64) {
		assert_int_equal(woken, count);
		for (size_t i = 0; i < count; i++)
			assert_ptr_equal(queue->woken.pods[i], expected[i]);
	} else {
		assert_int_equal(woken > 0, count > 0);
	}
	snapshot(queue->fleet, after, sizeof(after));
	assert_string_equal(before, after);
	assert_null(fleet_take_improved(queue->fleet));
}

static void wakes_as_if_each_were_placed_in_turn(void **state)
{
	(void)state;
	struct prng prng = prng_seeded("waiting");
	struct policy *policy = policy_world();
	for (int world = 0; world < 40; world++) {
		struct queue *queue = queue_new(0);
		fleet_set_policy(queue->fleet, policy);
		for (queue->count = 0; queue->count < 100; queue->count++) {
			char uid[32];
			snprintf(uid, sizeof(uid), "p%zu", queue->count);
			queue->pods[queue->count] = pod_random(queue->fleet, &prng, uid);
			queue->pods[queue->count]->owner_uid = NULL; /* entries are siblings, turns are not */
		}
		for (int64_t step = 0; step < 200; step++) {
			int64_t now = step * SECOND;
			for (int64_t i = pick(&prng, 30); i >= 0; i--)
				random_step(queue, &prng, now);
			if (one_in(&prng, 30))
				fleet_set_policy(queue->fleet, policy);
			wake_and_compare(queue, now);
		}
		queue_free(queue);
	}
	policy_free(policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_gpu_wakes_one_pod),
	    cmocka_unit_test(priority_then_age_then_uid),
	    cmocka_unit_test(an_unused_turn_is_given_again_and_then_passed_on),
	    cmocka_unit_test(who_has_waited_long_comes_before_who_asks_sooner),
	    cmocka_unit_test(a_wake_up_that_failed_was_none),
	    cmocka_unit_test(a_count_goes_on_where_the_annotation_stands),
	    cmocka_unit_test(room_not_taken_goes_to_the_next),
	    cmocka_unit_test(a_taken_turn_wakes_nobody),
	    cmocka_unit_test(a_gone_node_ends_what_its_turns_were_for),
	    cmocka_unit_test(the_limit_leaves_the_rest_for_the_next_call),
	    cmocka_unit_test(a_policy_that_helps_wakes_the_misconfigured),
	    cmocka_unit_test(pods_that_differ_are_judged_apart),
	    cmocka_unit_test(wakes_as_if_each_were_placed_in_turn),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
