/* The API through real sockets. */
#include "harness.h"

#define STRATEGIC "application/strategic-merge-patch+json"
#define JSON_PATCH "application/json-patch+json"
#define PARTIAL "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"

static struct harness h;
static struct reply r;

static int set_up(void **state)
{
	struct sim_cluster_options options = {.api.bookmark_ms = 100, .history_max = 100};

	(void)state;
	open_harness(&h, &options);
	memset(&r, 0, sizeof r);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	reply_free(&r);
	close_harness(&h);
	return 0;
}

static struct sim_store *store(void)
{
	return sim_cluster_store(h.cluster);
}

static void objects_live_and_die(void **state)
{
	char uid[64];

	(void)state;
	assert_int_equal(call(&h, "POST", "/api/v1/namespaces/d/pods", NULL,
	                     "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"containers\":[{\"name\":\"c\"}]},\"status\":{"
	                     "\"phase\":\"Running\"}}",
	                     &r),
	    201);
	assert_string_equal(text_at(&r, "status.phase"), "Pending");
	assert_string_equal(text_at(&r, "spec.schedulerName"), "default-scheduler");
	assert_string_equal(text_at(&r, "metadata.namespace"), "d");
	snprintf(uid, sizeof uid, "%s", text_at(&r, "metadata.uid"));
	assert_int_equal(
	    call(&h, "POST", "/api/v1/namespaces/d/pods", NULL, "{\"metadata\":{\"name\":\"a\"}}", &r), 409);
	assert_string_equal(text_at(&r, "reason"), "AlreadyExists");
	assert_int_equal(call(&h, "GET", "/api/v1/namespaces/d/pods/a", NULL, NULL, &r), 200);
	assert_string_equal(text_at(&r, "metadata.uid"), uid);
	assert_int_equal(call(&h, "GET", "/api/v1/namespaces/d/pods/b", NULL, NULL, &r), 404);
	assert_string_equal(text_at(&r, "kind"), "Status");
	assert_string_equal(text_at(&r, "reason"), "NotFound");
	assert_int_equal(call(&h, "GET", "/api/v1/namespaces/d/secrets/b", NULL, NULL, &r), 404);
	assert_int_equal(
	    call(&h, "DELETE", "/api/v1/namespaces/d/pods/a", NULL, "{\"preconditions\":{\"uid\":\"other\"}}", &r),
	    409);
	assert_int_equal(call(&h, "DELETE", "/api/v1/namespaces/d/pods/a", NULL, NULL, &r), 200);
	assert_int_equal(call(&h, "DELETE", "/api/v1/namespaces/d/pods/a", NULL, NULL, &r), 404);
}

static void what_is_no_object_is_refused(void **state)
{
	(void)state;
	assert_int_equal(call(&h, "POST", "/api/v1/namespaces/d/pods", NULL, "{", &r), 400);
	assert_int_equal(call(&h, "POST", "/api/v1/namespaces/d/pods", NULL, "{}", &r), 422);
	assert_int_equal(
	    call(&h, "POST", "/api/v1/namespaces/d/pods", NULL, "{\"metadata\":{\"name\":\"A/B\"}}", &r), 422);
	assert_int_equal(call(&h, "POST", "/api/v1/namespaces/d/pods", NULL,
	                     "{\"metadata\":{\"name\":\"a\",\"namespace\":\"e\"}}", &r),
	    400);
	assert_int_equal(call(&h, "POST", "/api/v1/pods", NULL, "{\"metadata\":{\"name\":\"a\"}}", &r), 400);
	assert_int_equal(call(&h, "DELETE", "/api/v1/pods", NULL, NULL, &r), 405);
	assert_int_equal(sim_store_count(store(), SIM_PODS), 0);
}

/* A list in pages shows one moment, whatever happens between the pages. */
static void pages_are_one_snapshot(void **state)
{
	char path[128], rv[32];

	(void)state;
	for (int i = 0; i < 5; i++) {
		char name[8];

		snprintf(name, sizeof name, "n%d", i);
		make_node(store(), name, 1);
	}
	assert_int_equal(call(&h, "GET", "/api/v1/nodes?limit=2", NULL, NULL, &r), 200);
	assert_int_equal(items_in(&r), 2);
	snprintf(rv, sizeof rv, "%s", text_at(&r, "metadata.resourceVersion"));
	snprintf(path, sizeof path, "/api/v1/nodes?limit=2&continue=%s", text_at(&r, "metadata.continue"));
	sim_store_delete(store(), SIM_NODES, NULL, "n2");
	make_node(store(), "n9", 1);
	assert_int_equal(call(&h, "GET", path, NULL, NULL, &r), 200);
	assert_string_equal(text_at(&r, "items.0.metadata.name"), "n2");
	assert_string_equal(text_at(&r, "metadata.resourceVersion"), rv);
	snprintf(path, sizeof path, "/api/v1/nodes?limit=2&continue=%s", text_at(&r, "metadata.continue"));
	assert_int_equal(call(&h, "GET", path, NULL, NULL, &r), 200);
	assert_int_equal(items_in(&r), 1);
	assert_string_equal(text_at(&r, "items.0.metadata.name"), "n4");
	assert_string_equal(text_at(&r, "metadata.continue"), "");
	/* Read to its end, it is forgotten. */
	assert_int_equal(call(&h, "GET", path, NULL, NULL, &r), 410);
	assert_string_equal(text_at(&r, "reason"), "Expired");
	assert_int_equal(call(&h, "GET", "/api/v1/nodes?continue=nonsense", NULL, NULL, &r), 400);
	assert_int_equal(call(&h, "GET", "/api/v1/nodes", NULL, NULL, &r), 200);
	assert_int_equal(items_in(&r), 5);
}

static void lists_select_and_thin_out(void **state)
{
	(void)state;
	make_pod(store(), "a", 1, ",\"nodeName\":\"n1\"");
	make_pod(store(), "b", 1, NULL);
	assert_int_equal(call(&h, "GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dn1", NULL, NULL, &r), 200);
	assert_int_equal(items_in(&r), 1);
	assert_int_equal(call(&h, "GET", "/api/v1/namespaces/other/pods", NULL, NULL, &r), 200);
	assert_int_equal(items_in(&r), 0);
	assert_int_equal(call(&h, "GET", "/api/v1/pods?fieldSelector=spec.color%3Dred", NULL, NULL, &r), 400);
	assert_int_equal(call(&h, "PATCH", "/api/v1/namespaces/d/pods/b", STRATEGIC,
	                     "{\"metadata\":{\"labels\":{\"x.dev/a\":\"b\"}}}", &r),
	    200);
	assert_int_equal(call(&h, "GET", "/api/v1/pods?labelSelector=x.dev%2Fa%3Db", NULL, NULL, &r), 200);
	assert_int_equal(items_in(&r), 1);
	assert_int_equal(call(&h, "GET", "/api/v1/pods?labelSelector=x.dev%2Fa%3Dc", NULL, NULL, &r), 200);
	assert_int_equal(items_in(&r), 0);
	assert_int_equal(call(&h, "GET", "/api/v1/pods?labelSelector=a%20in%20(b)", NULL, NULL, &r), 400);
	assert_int_equal(call(&h, "GET", "/api/v1/pods", PARTIAL, NULL, &r), 200);
	assert_string_equal(text_at(&r, "kind"), "PartialObjectMetadataList");
	assert_string_equal(text_at(&r, "items.0.metadata.name"), "a");
	assert_string_equal(text_at(&r, "items.0.spec.schedulerName"), "");
}

static void patches_keep_the_other_half(void **state)
{
	const char *pod = "/api/v1/namespaces/d/pods/a", *status = "/api/v1/namespaces/d/pods/a/status";
	uint64_t rv;

	(void)state;
	make_pod(store(), "a", 1, NULL);
	assert_int_equal(call(&h, "PATCH", pod, STRATEGIC,
	                     "{\"metadata\":{\"annotations\":{\"x\":\"y\"}},\"status\":{\"phase\":\"Running\"}}", &r),
	    200);
	assert_string_equal(text_at(&r, "metadata.annotations.x"), "y");
	assert_string_equal(text_at(&r, "status.phase"), "Pending");
	assert_int_equal(call(&h, "PATCH", status, STRATEGIC,
	                     "{\"status\":{\"nominatedNodeName\":\"n\"},\"spec\":{\"schedulerName\":\"z\"}}", &r),
	    200);
	assert_string_equal(text_at(&r, "status.nominatedNodeName"), "n");
	assert_string_equal(text_at(&r, "spec.schedulerName"), "berth");
	/* A patch that changes nothing is no write. */
	rv = sim_store_rv(store());
	assert_int_equal(call(&h, "PATCH", status, STRATEGIC, "{\"status\":{\"nominatedNodeName\":\"n\"}}", &r), 200);
	assert_true(sim_store_rv(store()) == rv);
	assert_int_equal(
	    call(&h, "PATCH", pod, STRATEGIC, "{\"metadata\":{\"uid\":\"other\",\"annotations\":{\"q\":\"1\"}}}", &r),
	    409);
	assert_string_equal(text_at(&r, "reason"), "Conflict");
	assert_int_equal(call(&h, "PATCH", pod, STRATEGIC,
	                     "{\"metadata\":{\"resourceVersion\":\"1\",\"labels\":{\"q\":\"1\"}}}", &r),
	    409);
	assert_int_equal(call(&h, "PATCH", pod, STRATEGIC, "{\"spec\":{\"nodeName\":\"n\"}}", &r), 422);
	assert_int_equal(
	    call(&h, "PATCH", pod, STRATEGIC, "{\"spec\":{\"schedulingGates\":[{\"name\":\"g\"}]}}", &r), 422);
	assert_int_equal(call(&h, "PATCH", pod, "application/json", "{}", &r), 415);
	assert_int_equal(
	    call(&h, "PATCH", pod, JSON_PATCH, "[{\"op\":\"remove\",\"path\":\"/metadata/annotations/x\"}]", &r), 200);
	assert_string_equal(text_at(&r, "metadata.annotations.x"), "");
}

static void bindings_have_preconditions(void **state)
{
	const char *binding = "/api/v1/namespaces/d/pods/a/binding";
	char body[256];

	(void)state;
	struct sim_version *pod = make_pod(store(), "a", 1, ",\"schedulingGates\":[{\"name\":\"g\"}]");

	snprintf(body, sizeof body,
	    "{\"metadata\":{\"name\":\"a\",\"uid\":\"%s\",\"annotations\":{\"berth.dev/"
	    "decision\":\"{}\"}},\"target\":{\"name\":\"n1\"}}",
	    pod->uid);
	assert_int_equal(call(&h, "POST", binding, NULL, body, &r), 409); /* gated */
	assert_int_equal(call(&h, "PATCH", "/api/v1/namespaces/d/pods/a", STRATEGIC,
	                     "{\"spec\":{\"schedulingGates\":[{\"$patch\":\"delete\",\"name\":\"g\"}]}}", &r),
	    200);
	assert_int_equal(
	    call(&h, "POST", binding, NULL, "{\"metadata\":{\"uid\":\"other\"},\"target\":{\"name\":\"n1\"}}", &r),
	    409);
	assert_non_null(strstr(text_at(&r, "message"), "Precondition failed"));
	assert_int_equal(call(&h, "POST", binding, NULL, "{\"target\":{}}", &r), 422);
	assert_string_equal(sim_store_get(store(), SIM_PODS, "d", "a")->node, "");
	assert_int_equal(call(&h, "POST", binding, NULL, body, &r), 201);
	assert_int_equal(call(&h, "GET", "/api/v1/namespaces/d/pods/a", NULL, NULL, &r), 200);
	assert_string_equal(text_at(&r, "spec.nodeName"), "n1");
	assert_string_equal(text_at(&r, "metadata.annotations.berth.dev/decision"), "");
	assert_non_null(strstr(r.body, "\"berth.dev/decision\":\"{}\""));
	assert_non_null(strstr(r.body, "\"PodScheduled\""));
	assert_int_equal(call(&h, "POST", binding, NULL, body, &r), 409); /* bound */
	assert_int_equal(call(&h, "POST", "/api/v1/namespaces/d/pods/zz/binding", NULL, body, &r), 404);
}

static void evictions_delete_or_are_put_off(void **state)
{
	(void)state;
	make(store(), SIM_PODS,
	    "{\"metadata\":{\"name\":\"kept\",\"namespace\":\"d\",\"annotations\":{\"sim.berth.dev/"
	    "evictable\":\"false\"}},\"spec\":{}}");
	make_pod(store(), "a", 1, ",\"nodeName\":\"n1\"");
	assert_int_equal(call(&h, "POST", "/api/v1/namespaces/d/pods/kept/eviction", NULL, "{}", &r), 429);
	assert_int_equal(call(&h, "POST", "/api/v1/namespaces/d/pods/a/eviction", NULL,
	                     "{\"deleteOptions\":{\"preconditions\":{\"uid\":\"x\"}}}", &r),
	    409);
	assert_int_equal(call(&h, "POST", "/api/v1/namespaces/d/pods/a/eviction", NULL, "{}", &r), 201);
	assert_true(sim_store_get(store(), SIM_PODS, "d", "a")->deleting);
	assert_int_equal(call(&h, "POST", "/api/v1/namespaces/d/pods/none/eviction", NULL, "{}", &r), 404);
}

/* --- watches --- */

static const char *watch_path(const char *resource, uint64_t rv, const char *more)
{
	static char path[256];

	snprintf(path, sizeof path, "/api/v1/%s?watch=true&allowWatchBookmarks=true&resourceVersion=%llu%s", resource,
	    (unsigned long long)rv, more);
	return path;
}

static void watches_deliver_from_where_they_are_told(void **state)
{
	struct watched w;

	(void)state;
	make_node(store(), "n1", 1);
	uint64_t rv = sim_store_rv(store());

	make_node(store(), "n2", 1);
	watch_open(&h, watch_path("nodes", rv, ""), NULL, &w);
	assert_true(watch_sees(&h, &w, "n2"));
	assert_null(strstr(w.text.data, "n1"));
	make_node(store(), "n3", 1);
	assert_true(watch_sees(&h, &w, "\"name\":\"n3\""));
	sim_store_delete(store(), SIM_NODES, NULL, "n2");
	assert_true(watch_sees(&h, &w, "{\"type\":\"DELETED\""));
	assert_true(watch_sees(&h, &w, "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Node\""));
	watch_close(&w);
}

static void watches_begin_with_all_or_with_an_error(void **state)
{
	struct watched w;

	(void)state;
	make_node(store(), "n1", 1);
	uint64_t rv = sim_store_rv(store());

	make_node(store(), "n2", 1);
	sim_history_compact(store());
	watch_open(&h, "/api/v1/nodes?watch=true", NULL, &w);
	assert_true(watch_sees(&h, &w, "n2"));
	assert_non_null(strstr(w.text.data, "n1"));
	watch_close(&w);
	watch_open(&h, watch_path("nodes", rv, ""), NULL, &w);
	assert_true(run_until(&h, &w.over, WAIT_MS));
	assert_int_equal(w.status, 200);
	assert_non_null(strstr(w.text.data, "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\""));
	assert_non_null(strstr(w.text.data, "\"code\":410"));
	watch_close(&w);
	watch_open(&h, watch_path("nodes", sim_store_rv(store()) + 50, ""), NULL, &w);
	assert_true(watch_sees(&h, &w, "\"code\":410"));
	watch_close(&w);
}

/* A pod that is bound enters the watch of its node as ADDED and leaves that of the unbound as DELETED. */
static void selectors_turn_changes(void **state)
{
	struct watched of_node, unbound;

	(void)state;
	struct sim_version *pod = make_pod(store(), "a", 1, NULL);

	watch_open(&h, watch_path("pods", pod->rv, "&fieldSelector=spec.nodeName%3Dn1"), NULL, &of_node);
	watch_open(&h, watch_path("pods", pod->rv, "&fieldSelector=spec.nodeName%3D"), NULL, &unbound);
	assert_int_equal(
	    call(&h, "POST", "/api/v1/namespaces/d/pods/a/binding", NULL, "{\"target\":{\"name\":\"n1\"}}", &r), 201);
	assert_true(watch_sees(&h, &of_node, "{\"type\":\"ADDED\""));
	assert_true(watch_sees(&h, &unbound, "{\"type\":\"DELETED\""));
	watch_close(&of_node);
	watch_close(&unbound);
}

static void watches_end_thin_out_and_lag(void **state)
{
	struct watched w;
	int64_t before;

	(void)state;
	watch_open(&h, watch_path("pods", 0, "&timeoutSeconds=1"), PARTIAL, &w);
	make_pod(store(), "a", 1, NULL);
	assert_true(watch_sees(&h, &w, "\"kind\":\"PartialObjectMetadata\""));
	assert_null(strstr(w.text.data, "\"spec\""));
	assert_true(run_until(&h, &w.over, WAIT_MS));
	assert_int_equal(w.code, 0);
	watch_close(&w);
	sim_api_set_watch_lag(sim_cluster_api(h.cluster), 300);
	watch_open(&h, watch_path("pods", sim_store_rv(store()), ""), NULL, &w);
	run_ms(&h, 50);
	make_pod(store(), "late", 1, NULL);
	before = clock_now();
	assert_true(watch_sees(&h, &w, "late"));
	assert_true(clock_now() - before > 250 * NS_PER_MS);
	watch_close(&w);
}

/* --- faults --- */

static void post_faults(const char *body)
{
	assert_int_equal(call(&h, "POST", "/sim/faults", NULL, body, &r), 200);
}

static void faults_hit_what_they_name(void **state)
{
	(void)state;
	make_node(store(), "n1", 1);
	post_faults(
	    "{\"rules\":[{\"method\":\"GET\",\"path\":\"/nodes\",\"times\":2,\"status\":429,\"retryAfter\":3}]}");
	assert_int_equal(call(&h, "GET", "/api/v1/pods", NULL, NULL, &r), 200);
	assert_int_equal(call(&h, "GET", "/api/v1/nodes", NULL, NULL, &r), 429);
	assert_true(r.retry_after_ns == 3 * NS_PER_S);
	assert_int_equal(call(&h, "GET", "/api/v1/nodes/n1", NULL, NULL, &r), 429);
	assert_int_equal(call(&h, "GET", "/api/v1/nodes/n1", NULL, NULL, &r), 200);
	post_faults("{\"rules\":[{\"times\":9,\"status\":503}]}");
	post_faults("{\"clear\":true}");
	assert_int_equal(call(&h, "GET", "/api/v1/nodes/n1", NULL, NULL, &r), 200);
	assert_int_equal(call(&h, "POST", "/sim/faults", NULL, "{\"rules\":[{\"frob\":1}]}", &r), 400);
	assert_int_equal(call(&h, "POST", "/sim/faults", NULL, "{\"rules\":[{\"status\":200}]}", &r), 400);
	assert_int_equal(call(&h, "POST", "/sim/faults", NULL, "[]", &r), 400);
	assert_int_equal(call(&h, "GET", "/sim/stats", NULL, NULL, &r), 200);
	assert_non_null(strstr(r.body, "\"faults\":2"));
}

static void answers_are_cut_delayed_and_held(void **state)
{
	struct reply held = {0};
	int64_t before = clock_now();

	(void)state;
	make_pod(store(), "a", 1, NULL);
	post_faults("{\"rules\":[{\"path\":\"/binding\",\"cut\":true},{\"path\":\"/"
	            "nodes\",\"delayMs\":200},{\"path\":\"/jobs\",\"hold\":true}]}");
	/* The Binding is made, and its answer is lost. */
	assert_int_equal(
	    call(&h, "POST", "/api/v1/namespaces/d/pods/a/binding", NULL, "{\"target\":{\"name\":\"n1\"}}", &r), 0);
	assert_string_equal(sim_store_get(store(), SIM_PODS, "d", "a")->node, "n1");
	assert_int_equal(call(&h, "GET", "/api/v1/nodes", NULL, NULL, &r), 200);
	assert_true(clock_now() - before > 190 * NS_PER_MS);
	start_call(&h, "GET", "/apis/batch/v1/jobs", NULL, NULL, &held);
	assert_false(run_until(&h, &held.done, 150));
	post_faults("{\"release\":true}");
	assert_true(run_until(&h, &held.done, WAIT_MS));
	assert_int_equal(held.status, 200);
	reply_free(&held);
	/* Many times: libcurl sends again, unasked, what got no byte on a connection that was used before. */
	post_faults("{\"rules\":[{\"path\":\"/nodes\",\"drop\":true,\"times\":20}]}");
	assert_int_equal(call(&h, "GET", "/api/v1/nodes", NULL, NULL, &r), 0);
}

static void watches_are_dropped(void **state)
{
	struct watched w;

	(void)state;
	watch_open(&h, watch_path("nodes", sim_store_rv(store()), ""), NULL, &w);
	assert_true(watch_sees(&h, &w, "BOOKMARK"));
	assert_int_equal(sim_api_watches(sim_cluster_api(h.cluster)), 1);
	post_faults("{\"dropWatches\":true}");
	assert_true(run_until(&h, &w.over, WAIT_MS));
	assert_int_not_equal(w.code, 0);
	run_ms(&h, 20);
	assert_int_equal(sim_api_watches(sim_cluster_api(h.cluster)), 0);
	watch_close(&w);
}

static void held_requests_do_not_keep_the_server(void **state)
{
	struct reply held = {0};

	(void)state;
	post_faults("{\"rules\":[{\"path\":\"/nodes\",\"hold\":true}]}");
	start_call(&h, "GET", "/api/v1/nodes", NULL, NULL, &held);
	run_ms(&h, 50);
	/* The tear-down must end in spite of it, and the call with it. */
	tear_down(state);
	assert_true(held.done);
	reply_free(&held);
	set_up(state);
}

static void tokens_are_asked_for(void **state)
{
	struct sim_cluster_options options = {.api.token = "secret"};
	struct harness other;

	(void)state;
	open_harness(&other, &options);
	assert_int_equal(call(&other, "GET", "/api/v1/nodes", NULL, NULL, &r), 401);
	assert_string_equal(text_at(&r, "reason"), "Unauthorized");
	close_harness(&other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(objects_live_and_die),
	    TEST(what_is_no_object_is_refused),
	    TEST(pages_are_one_snapshot),
	    TEST(lists_select_and_thin_out),
	    TEST(patches_keep_the_other_half),
	    TEST(bindings_have_preconditions),
	    TEST(evictions_delete_or_are_put_off),
	    TEST(watches_deliver_from_where_they_are_told),
	    TEST(watches_begin_with_all_or_with_an_error),
	    TEST(selectors_turn_changes),
	    TEST(watches_end_thin_out_and_lag),
	    TEST(faults_hit_what_they_name),
	    TEST(answers_are_cut_delayed_and_held),
	    TEST(watches_are_dropped),
	    TEST(held_requests_do_not_keep_the_server),
	    TEST(tokens_are_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
