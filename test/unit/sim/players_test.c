/* The kubelets, the scheduling queue, the judge, the fleet file, the stream of work. */
#include "harness.h"

#include "base/embedded.h"
#include "sim/fleet.h"
#include "sim/kubelet.h"
#include "sim/nodes.h"
#include "sim/podwrite.h"
#include "sim/queue.h"
#include "sim/workload.h"

/* --- kubelets --- */

/* A long run does not put off the end of a pod that is deleted. */
static void deleted_pods_go_before_their_time(void **state)
{
	struct sim_cluster_options options = {0};
	struct harness h;
	struct err err;

	(void)state;
	open_harness(&h, &options);
	struct sim_store *store = sim_cluster_store(h.cluster);

	make(store, SIM_PODS,
	    "{\"metadata\":{\"name\":\"a\",\"namespace\":\"d\",\"annotations\":{\"sim.berth.dev/"
	    "run-for\":\"60\"}},\"spec\":{"
	    "\"nodeName\":\"n\"},\"status\":{\"phase\":\"Pending\"}}");
	run_ms(&h, 300);
	assert_string_equal(sim_store_get(store, SIM_PODS, "d", "a")->phase, "Running");
	assert_int_equal(sim_pod_delete(store, sim_store_get(store, SIM_PODS, "d", "a"), 30, &err), 0);
	run_ms(&h, 450);
	assert_null(sim_store_get(store, SIM_PODS, "d", "a"));
	close_harness(&h);
}

static void pods_run_end_and_go(void **state)
{
	struct sim_cluster_options options = {0};
	struct harness h;

	(void)state;
	open_harness(&h, &options);
	struct sim_store *store = sim_cluster_store(h.cluster);

	make_pod(store, "waits", 1, NULL);
	make(store, SIM_PODS,
	    "{\"metadata\":{\"name\":\"short\",\"namespace\":\"d\",\"annotations\":{\"sim.berth.dev/"
	    "run-for\":\"1\"}},\"spec\":{"
	    "\"nodeName\":\"n\"},\"status\":{\"phase\":\"Pending\"}}");
	make_pod(store, "long", 1, ",\"nodeName\":\"n\"");
	run_ms(&h, 320);
	assert_string_equal(sim_store_get(store, SIM_PODS, "d", "waits")->phase, "Pending");
	assert_string_equal(sim_store_get(store, SIM_PODS, "d", "short")->phase, "Running");
	assert_string_equal(sim_store_get(store, SIM_PODS, "d", "long")->phase, "Running");
	run_ms(&h, 1200);
	assert_string_equal(sim_store_get(store, SIM_PODS, "d", "short")->phase, "Succeeded");
	assert_string_equal(sim_store_get(store, SIM_PODS, "d", "long")->phase, "Running");

	struct err err;

	assert_int_equal(sim_pod_delete(store, sim_store_get(store, SIM_PODS, "d", "long"), 30, &err), 0);
	assert_int_equal(sim_pod_delete(store, sim_store_get(store, SIM_PODS, "d", "waits"), 30, &err), 0);
	assert_null(sim_store_get(store, SIM_PODS, "d", "waits"));
	assert_true(sim_store_get(store, SIM_PODS, "d", "long")->deleting);
	run_ms(&h, 450);
	assert_null(sim_store_get(store, SIM_PODS, "d", "long"));
	close_harness(&h);
}

/* --- the queue --- */

static struct sim_queued *pop(struct sim_queue *queue, int64_t now)
{
	return sim_queue_pop(queue, now);
}

static void priority_goes_before_time(void **state)
{
	struct sim_queued early = {.priority = 1}, late = {.priority = 1}, high = {.priority = 9};
	struct sim_queue queue;

	(void)state;
	sim_queue_init(&queue);
	sim_queue_add(&queue, &early, 10);
	sim_queue_add(&queue, &late, 20);
	sim_queue_add(&queue, &high, 30);
	assert_ptr_equal(pop(&queue, 40), &high);
	assert_ptr_equal(pop(&queue, 40), &early);
	sim_queue_remove(&queue, &late);
	assert_null(pop(&queue, 40));
	sim_queue_free(&queue);
}

/* Whoever was turned down first is asked first when all are woken at once. */
static void woken_pods_keep_their_order(void **state)
{
	struct sim_queued pods[5] = {0};
	struct sim_queue queue;

	(void)state;
	sim_queue_init(&queue);
	for (int i = 0; i < 5; i++)
		sim_queue_reject(&queue, &pods[i], (5 - i) * NS_PER_S);
	sim_queue_wake_all(&queue, 100 * NS_PER_S);
	for (int i = 4; i >= 0; i--)
		assert_ptr_equal(pop(&queue, 101 * NS_PER_S), &pods[i]);
	sim_queue_free(&queue);
}

static void rejected_pods_wait_and_errors_back_off(void **state)
{
	struct sim_queued pod = {0};
	struct sim_queue queue;
	int64_t now = 100 * NS_PER_S;

	(void)state;
	sim_queue_init(&queue);
	sim_queue_add(&queue, &pod, now);
	assert_ptr_equal(pop(&queue, now), &pod);
	sim_queue_reject(&queue, &pod, now);
	assert_int_equal(pod.place, SIM_UNSCHEDULABLE);
	assert_null(pop(&queue, now + 60 * NS_PER_S));
	/* Woken while it backs off it is tried at once, as nothing else is active. */
	sim_queue_wake_all(&queue, now + 1);
	assert_int_equal(pod.place, SIM_BACKOFF);
	assert_ptr_equal(pop(&queue, now + 1), &pod);
	/* Something happens during the cycle: it does not sleep. */
	sim_queue_wake_all(&queue, now + 2);
	sim_queue_reject(&queue, &pod, now + 3);
	assert_int_equal(pod.place, SIM_BACKOFF);
	assert_ptr_equal(pop(&queue, now + 3), &pod);
	sim_queue_error(&queue, &pod, now);
	sim_queue_wake_all(&queue, now);
	assert_null(pop(&queue, now + NS_PER_S / 2));
	assert_ptr_equal(pop(&queue, now + 2 * NS_PER_S), &pod);
	for (int i = 0; i < 10; i++)
		sim_queue_error(&queue, &pod, now);
	assert_null(pop(&queue, now + 9 * NS_PER_S));
	assert_ptr_equal(pop(&queue, now + 11 * NS_PER_S), &pod);
	sim_queue_reject(&queue, &pod, now);
	sim_queue_flush(&queue, now + 299 * NS_PER_S);
	assert_null(pop(&queue, now + 299 * NS_PER_S));
	sim_queue_flush(&queue, now + 300 * NS_PER_S);
	assert_ptr_equal(pop(&queue, now + 300 * NS_PER_S), &pod);
	sim_queue_free(&queue);
}

/* --- the judge --- */

static void bind_to(struct sim_store *store, const char *name, const char *node)
{
	json_t *pod = sim_store_tree(sim_store_get(store, SIM_PODS, "d", name));
	struct err err;

	assert_int_equal(sim_pod_bind(store, pod, node, NULL, &err), 0);
	json_decref(pod);
}

static void over_commitment_is_seen(void **state)
{
	struct sim_store *store = sim_store_new(100);
	struct sim_audit *audit = sim_audit_new(store);
	struct err err;

	(void)state;
	make_node(store, "n", 8);
	make_pod(store, "a", 5, NULL);
	make_pod(store, "b", 3, NULL);
	make_pod(store, "c", 1, NULL);
	make_pod(store, "d", 1, NULL);
	bind_to(store, "a", "n");
	bind_to(store, "b", "n");
	assert_int_equal(sim_audit_violations(audit), 0);
	bind_to(store, "c", "n");
	assert_int_equal(sim_audit_violations(audit), 1);
	assert_string_equal(sim_audit_first(audit), "d/c on n: nvidia.com/gpu 9 used of 8 allocatable");
	/* Room that was given back counts; a node that shrinks is nobody's fault; one that is not there is. */
	sim_store_delete(store, SIM_PODS, "d", "a");
	bind_to(store, "d", "n");
	assert_int_equal(sim_audit_violations(audit), 1);
	json_t *node = sim_store_tree(sim_store_get(store, SIM_NODES, NULL, "n"));

	sim_node_set_gpus(node, 1);
	assert_non_null(sim_store_update(store, SIM_NODES, node, &err));
	json_decref(node);
	assert_int_equal(sim_audit_violations(audit), 1);
	make_pod(store, "e", 1, NULL);
	bind_to(store, "e", "nowhere");
	assert_true(sim_audit_violations(audit) > 1);
	assert_int_equal(sim_audit_bindings(audit), 5);
	sim_audit_free(audit);
	sim_store_free(store);
}

/* --- fleets --- */

static void the_shipped_fleet_is_made_and_played(void **state)
{
	struct sim_store *store = sim_store_new(1000);
	struct err err;
	char what[256];
	unsigned played = 0;
	struct sim_fleet *fleet = sim_fleet_load(embedded_text("fleet.yaml"), "fleet.yaml", &err);

	(void)state;
	if (!fleet)
		fail_msg("%s", err.text);
	assert_int_equal(sim_fleet_make(fleet, store, &err), 0);
	assert_true(sim_store_count(store, SIM_NODES) > 30);
	assert_non_null(
	    strstr(sim_store_get(store, SIM_NODES, NULL, "a100-r4-01")->json.at, "\"nvidia.com/mig-3g.40gb\":\"8\""));
	assert_non_null(
	    strstr(sim_store_get(store, SIM_NODES, NULL, "a100-r4-01")->json.at, "\"nvidia.com/gpu\":\"4\""));
	assert_false(sim_fleet_play(fleet, store, 0, what, sizeof what));
	while (sim_fleet_play(fleet, store, 20, what, sizeof what))
		played++;
	assert_true(played >= 3);
	assert_non_null(strstr(sim_store_get(store, SIM_NODES, NULL, "h100-r1-03")->json.at, "\"GpuUnhealthy\""));
	assert_non_null(strstr(sim_store_get(store, SIM_NODES, NULL, "l4-r5-02")->json.at, "\"unschedulable\":true"));
	while (sim_fleet_play(fleet, store, 1000, what, sizeof what)) {
		if (strstr(what, "no such node"))
			fail_msg("%s", what);
	}
	assert_non_null(strstr(sim_store_get(store, SIM_NODES, NULL, "l4-r5-02")->json.at, "\"unschedulable\":false"));
	sim_fleet_free(fleet);
	sim_store_free(store);
}

static void bad_fleets_are_refused_where_they_are_wrong(void **state)
{
	static const char *const bad[][2] = {
	    {"", "f: the file is empty"},
	    {"racks: []\n", "f:1:1: missing key models"},
	    {"models: []\nracks: []\ncolour: red\n", "f:3:1: unknown key colour"},
	    {"models: []\nracks:\n- {rack: r, block: b, model: x, nodes: 1}\n", "f:3:30: no model is named x"},
	    {"models: []\nracks: []\nhappenings:\n- {at: 1, node: n}\n", "f:4:3: one of condition"},
	    {"models: []\nracks: []\nhappenings:\n- {at: soon, node: n, cordon: true}\n", "f:4:8: at is in seconds"},
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_null(sim_fleet_load(slice_of(bad[i][0]), "f", &err));
		if (strncmp(err.text, bad[i][1], strlen(bad[i][1])) != 0)
			fail_msg("case %zu: %s", i, err.text);
	}
}

static void synthetic_fleets_hold_what_they_say(void **state)
{
	struct sim_store *store = sim_store_new(10);
	struct sim_audit *audit = sim_audit_new(store);
	struct err err;

	(void)state;
	assert_int_equal(sim_nodes_synthetic(store, 20, 200, &err), 0);
	assert_int_equal(sim_store_count(store, SIM_NODES), 20);
	assert_int_equal(sim_store_count(store, SIM_PODS), 200);
	assert_int_equal(sim_audit_bindings(audit), 200);
	assert_int_equal(sim_audit_violations(audit), 0);
	sim_audit_free(audit);
	sim_store_free(store);
}

static void the_same_seed_gives_the_same_work(void **state)
{
	struct sim_store *stores[3];
	struct err err;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct sim_workload *work = sim_workload_new(i == 2 ? 8 : 7, 30, 1);

		stores[i] = sim_store_new(10000);
		for (int second = 0; second < 12; second++)
			assert_int_equal(sim_workload_play(work, stores[i], second, &err), 0);
		sim_workload_free(work);
	}
	size_t counts[3], cursor = 0;

	for (unsigned i = 0; i < 3; i++)
		counts[i] = sim_store_count(stores[i], SIM_PODS);
	assert_true(counts[0] > 30);
	assert_int_equal(counts[0], counts[1]);
	for (struct sim_version *pod; (pod = sim_store_next(stores[0], SIM_PODS, &cursor));)
		assert_non_null(sim_store_get(stores[1], SIM_PODS, pod->namespace_, pod->name));
	bool differs = counts[0] != counts[2];

	cursor = 0;
	for (struct sim_version *pod; (pod = sim_store_next(stores[0], SIM_PODS, &cursor));)
		differs |= !sim_store_get(stores[2], SIM_PODS, pod->namespace_, pod->name);
	assert_true(differs);
	for (unsigned i = 0; i < 3; i++)
		sim_store_free(stores[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pods_run_end_and_go),
	    cmocka_unit_test(deleted_pods_go_before_their_time),
	    cmocka_unit_test(priority_goes_before_time),
	    cmocka_unit_test(woken_pods_keep_their_order),
	    cmocka_unit_test(rejected_pods_wait_and_errors_back_off),
	    cmocka_unit_test(over_commitment_is_seen),
	    cmocka_unit_test(the_shipped_fleet_is_made_and_played),
	    cmocka_unit_test(bad_fleets_are_refused_where_they_are_wrong),
	    cmocka_unit_test(synthetic_fleets_hold_what_they_say),
	    cmocka_unit_test(the_same_seed_gives_the_same_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
