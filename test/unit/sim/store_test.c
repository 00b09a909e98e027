#include "harness.h"

struct seen {
	unsigned added, modified, deleted;
	uint64_t last_rv;
};

static void note(void *ctx, const struct sim_change *change)
{
	struct seen *seen = ctx;

	seen->added += change->type == SIM_ADDED;
	seen->modified += change->type == SIM_MODIFIED;
	seen->deleted += change->type == SIM_DELETED;
	assert_true(change->rv > seen->last_rv);
	assert_true(change->now->rv == change->rv);
	seen->last_rv = change->rv;
}

static void writes_count_up_and_are_told(void **state)
{
	struct sim_store *store = sim_store_new(100);
	struct seen seen = {0};
	struct err err;

	(void)state;
	sim_store_observe(store, note, &seen);
	struct sim_version *pod = make_pod(store, "a", 1, NULL);

	assert_non_null(pod);
	assert_int_equal(strlen(pod->uid), 36);
	assert_string_equal(pod->key, "d/a");
	assert_string_equal(pod->phase, "Pending");
	assert_string_equal(pod->scheduler, "berth");
	assert_non_null(strstr(pod->json.at, "\"resourceVersion\":\""));

	uint64_t before = pod->rv;
	json_t *tree = sim_store_tree(pod);

	json_object_set_new(json_object_get(tree, "status"), "phase", json_string("Running"));
	pod = sim_store_update(store, SIM_PODS, tree, &err);
	json_decref(tree);
	assert_non_null(pod);
	assert_true(pod->rv > before);
	assert_string_equal(sim_store_get(store, SIM_PODS, "d", "a")->phase, "Running");
	assert_true(sim_store_delete(store, SIM_PODS, "d", "a"));
	assert_false(sim_store_delete(store, SIM_PODS, "d", "a"));
	assert_null(sim_store_get(store, SIM_PODS, "d", "a"));
	assert_int_equal(seen.added, 1);
	assert_int_equal(seen.modified, 1);
	assert_int_equal(seen.deleted, 1);
	assert_true(sim_store_rv(store) == seen.last_rv);
	sim_store_unobserve(store, &seen);
	make_pod(store, "b", 1, NULL);
	assert_int_equal(seen.added, 1);
	sim_store_free(store);
}

static void names_and_uids_are_unique(void **state)
{
	struct sim_store *store = sim_store_new(100);
	struct sim_version *a = make_pod(store, "a", 1, NULL);
	char uid[64];
	struct err err;
	json_t *again = json_loads("{\"metadata\":{\"name\":\"a\",\"namespace\":\"d\"}}", 0, NULL);
	json_t *nameless = json_loads("{\"metadata\":{\"namespace\":\"d\"}}", 0, NULL);

	(void)state;
	snprintf(uid, sizeof uid, "%s", a->uid);
	assert_null(sim_store_create(store, SIM_PODS, again, &err));
	assert_int_equal(err.code, ERR_REFUSED);
	assert_null(sim_store_create(store, SIM_PODS, nameless, &err));
	assert_int_equal(err.code, ERR_INPUT);
	json_decref(again);
	json_decref(nameless);
	sim_store_delete(store, SIM_PODS, "d", "a");
	assert_string_not_equal(make_pod(store, "a", 1, NULL)->uid, uid);
	struct sim_version *generated =
	    make(store, SIM_PODS, "{\"metadata\":{\"generateName\":\"g-\",\"namespace\":\"d\"}}");

	assert_memory_equal(generated->name, "g-", 2);
	assert_true(strlen(generated->name) > 2);
	sim_store_free(store);
}

static void lists_are_in_the_order_of_keys(void **state)
{
	struct sim_store *store = sim_store_new(100);
	size_t count;

	(void)state;
	make_node(store, "c", 1);
	make_node(store, "a", 1);
	make_node(store, "b", 1);
	struct sim_version **list = sim_store_list(store, SIM_NODES, &count);

	/* What a list holds stays, whatever happens to the objects. */
	sim_store_delete(store, SIM_NODES, NULL, "b");
	assert_int_equal(count, 3);
	assert_string_equal(list[0]->name, "a");
	assert_string_equal(list[1]->name, "b");
	assert_string_equal(list[2]->name, "c");
	sim_versions_free(list, count);
	sim_store_free(store);
}

static void history_ends_where_the_ring_does(void **state)
{
	struct sim_store *store = sim_store_new(4);
	uint64_t first_rv, number = 0;
	char name[16];
	bool lost;

	(void)state;
	first_rv = sim_store_rv(store);
	for (int i = 0; i < 6; i++) {
		snprintf(name, sizeof name, "n%d", i);
		make_node(store, name, 1);
	}
	assert_false(sim_history_after(store, SIM_NODES, first_rv, &number));
	assert_true(sim_history_after(store, SIM_NODES, sim_store_rv(store) - 4, &number));
	assert_string_equal(sim_history_at(store, SIM_NODES, number, &lost)->now->name, "n2");
	assert_true(sim_history_after(store, SIM_NODES, sim_store_rv(store), &number));
	assert_null(sim_history_at(store, SIM_NODES, number, &lost));
	assert_false(lost);
	assert_null(sim_history_at(store, SIM_NODES, 1, &lost));
	assert_true(lost);
	/* Another resource's history is its own. */
	assert_true(sim_history_after(store, SIM_PODS, first_rv, &number));
	sim_store_free(store);
}

static void compaction_loses_what_was(void **state)
{
	struct sim_store *store = sim_store_new(100);
	uint64_t number;

	(void)state;
	make_node(store, "a", 1);
	uint64_t rv = sim_store_rv(store);

	make_node(store, "b", 1);
	sim_history_compact(store);
	assert_false(sim_history_after(store, SIM_NODES, rv, &number));
	assert_false(sim_history_after(store, SIM_PODS, rv, &number)); /* of which there is nothing at all */
	assert_true(sim_history_after(store, SIM_NODES, sim_store_rv(store), &number));
	sim_store_free(store);
}

static void text_is_checked_when_loaded(void **state)
{
	static const char *const bad[] = {"", "[]", "{", "{\"metadata\":{}}", "{\"metadata\":{\"name\":\"\"}}",
	    "{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"3\"}}", "{\"metadata\":{\"name\":\"a\"}} x"};
	struct sim_store *store = sim_store_new(100);
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_null(sim_store_load(store, SIM_NODES, slice_of(bad[i]), &err));
	assert_int_equal(sim_store_count(store, SIM_NODES), 0);
	struct sim_version *node = sim_store_load(store, SIM_NODES,
	    slice_of("{\"metadata\":{\"labels\":{\"a\":\"b\"},\"name\":\"q\\u0041\"},\"spec\":{}}"), &err);

	assert_non_null(node);
	assert_string_equal(node->name, "qA");
	json_t *tree = sim_store_tree(node);

	assert_int_equal(
	    strtoull(
	        json_string_value(json_object_get(json_object_get(tree, "metadata"), "resourceVersion")), NULL, 10),
	    node->rv);
	json_decref(tree);
	sim_store_free(store);
}

static void old_events_go(void **state)
{
	struct sim_store *store = sim_store_new(10);
	char text[128];

	(void)state;
	for (int i = 0; i <= SIM_EVENTS_MAX; i++) {
		snprintf(text, sizeof text, "{\"metadata\":{\"name\":\"e%d\",\"namespace\":\"d\"}}", i);
		assert_non_null(make(store, SIM_EVENTS, text));
	}
	assert_int_equal(sim_store_count(store, SIM_EVENTS), SIM_EVENTS_MAX);
	assert_null(sim_store_get(store, SIM_EVENTS, "d", "e0"));
	assert_non_null(sim_store_get(store, SIM_EVENTS, "d", "e1"));
	sim_store_free(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(writes_count_up_and_are_told),
	    cmocka_unit_test(names_and_uids_are_unique),
	    cmocka_unit_test(lists_are_in_the_order_of_keys),
	    cmocka_unit_test(history_ends_where_the_ring_does),
	    cmocka_unit_test(compaction_loses_what_was),
	    cmocka_unit_test(text_is_checked_when_loaded),
	    cmocka_unit_test(old_events_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
