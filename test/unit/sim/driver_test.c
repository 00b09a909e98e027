/* The driver and the default scheduler, against an extender that answers by script. */
#include "harness.h"

#include "http/server.h"
#include "sim/podwrite.h"

#define CALLS_MAX 64

/* How the extender answers. */
struct script {
	unsigned filter_status; /* 0 = 200 */
	const char *filter;     /* body; NULL = the first name asked */
	bool all;               /* filter: all names asked */
	const char *prioritize; /* body */
	unsigned binds_to_fail;
	bool lie;             /* bind: say ok, and bind nothing */
	unsigned delay_binds; /* binds that are parked until there are so many */
};

struct call_seen {
	char verb[16];
	char pod[64], first[64]; /* first node name asked */
	size_t names;
};

static struct harness h;
static struct http_server *server;
static struct script script;
static struct call_seen calls[CALLS_MAX];
static size_t call_count;
static struct http_request *parked[CALLS_MAX];
static size_t parked_count;
static char last_text[512];
static unsigned decisions[4];

static size_t count_of(const char *verb)
{
	size_t count = 0;

	for (size_t i = 0; i < call_count; i++)
		count += strcmp(calls[i].verb, verb) == 0;
	return count;
}

static void answer(struct http_request *request, unsigned status, const char *text)
{
	http_answer(request, status, NULL, xstrdup(text), strlen(text));
}

static void answer_filter(struct http_request *request, const json_t *names)
{
	if (script.filter_status) {
		answer(request, script.filter_status, "{}");
	} else if (script.filter) {
		answer(request, 200, script.filter);
	} else {
		json_t *first = json_pack("[O]", json_array_get(names, 0));
		json_t *reply =
		    json_pack("{s:n,s:O,s:s}", "Nodes", "NodeNames", script.all ? names : first, "Error", "");
		char *text = json_dumps(reply, JSON_COMPACT);

		http_answer(request, 200, NULL, text, strlen(text));
		json_decref(reply);
		json_decref(first);
	}
}

static void bind_pod(const json_t *body)
{
	const char *namespace_ = json_string_value(json_object_get(body, "PodNamespace"));
	const char *name = json_string_value(json_object_get(body, "PodName"));
	const struct sim_version *version = sim_store_get(sim_cluster_store(h.cluster), SIM_PODS, namespace_, name);
	struct err err;

	assert_non_null(version);
	assert_string_equal(version->uid, json_string_value(json_object_get(body, "PodUID")));
	json_t *pod = sim_store_tree(version);

	assert_int_equal(sim_pod_bind(sim_cluster_store(h.cluster), pod,
	                     json_string_value(json_object_get(body, "Node")), NULL, &err),
	    0);
	json_decref(pod);
}

static void answer_bind(struct http_request *request, const json_t *body)
{
	if (script.binds_to_fail) {
		script.binds_to_fail--;
		answer(request, 200, "{\"Error\":\"no\"}");
		return;
	}
	if (!script.lie)
		bind_pod(body);
	if (!script.delay_binds) {
		answer(request, 200, "{\"Error\":\"\"}");
		return;
	}
	parked[parked_count++] = request;
	http_park(request, NULL, NULL);
	if (parked_count == script.delay_binds)
		for (size_t i = 0; i + 1 < parked_count; i++)
			answer(parked[i], 200, "{}");
	if (parked_count == script.delay_binds)
		answer(request, 200, "{}");
}

static void extend(void *ctx, struct http_request *request)
{
	struct slice path = http_path(request), text = http_body(request);
	json_t *body = json_loadb(text.at, text.len, 0, NULL);
	const json_t *names = json_object_get(body, "NodeNames");
	const json_t *pod = json_object_get(json_object_get(body, "Pod"), "metadata");
	struct call_seen *seen = &calls[call_count++ % CALLS_MAX];
	const char *name = json_string_value(json_object_get(pod, "name"));
	const char *first = json_string_value(json_array_get(names, 0));

	(void)ctx;
	assert_non_null(body);
	snprintf(seen->verb, sizeof seen->verb, "%s", strrchr(path.at, '/') + 1);
	snprintf(seen->pod, sizeof seen->pod, "%s", name ? name : json_string_value(json_object_get(body, "PodName")));
	snprintf(seen->first, sizeof seen->first, "%s", first ? first : "");
	seen->names = json_array_size(names);
	if (strcmp(seen->verb, "filter") == 0) {
		assert_true(json_is_null(json_object_get(body, "Nodes")));
		answer_filter(request, names);
	} else if (strcmp(seen->verb, "prioritize") == 0) {
		answer(request, script.prioritize ? 200 : 500, script.prioritize ? script.prioritize : "");
	} else {
		answer_bind(request, body);
	}
	json_decref(body);
}

static void decided(
    void *ctx, enum sim_decision decision, const struct sim_view_pod *pod, const char *node, const char *text)
{
	(void)ctx;
	(void)pod;
	(void)node;
	decisions[decision]++;
	if (decision == SIM_REJECTED || decision == SIM_FAILED)
		snprintf(last_text, sizeof last_text, "%s", text);
}

static int set_up(void **state)
{
	struct sim_cluster_options options = {.audit = true};
	struct http_server_options listen = {
	    .listen = "127.0.0.1:0", .body_max = 1u << 20, .connections_max = 100, .idle_s = 120, .handler = extend};
	struct sim_driver_options driver = {.decided = decided};
	char url[64];
	struct err err;

	(void)state;
	memset(&script, 0, sizeof script);
	memset(decisions, 0, sizeof decisions);
	call_count = parked_count = 0;
	open_harness(&h, &options);
	server = http_server_start(&h.loop, &listen, &err);
	assert_non_null(server);
	snprintf(url, sizeof url, "http://127.0.0.1:%u/v1", http_server_port(server));
	driver.url = url;
	assert_int_equal(sim_cluster_drive(h.cluster, &driver, &err), 0);
	make_node(sim_cluster_store(h.cluster), "n1", 8);
	make_node(sim_cluster_store(h.cluster), "n2", 8);
	make_node(sim_cluster_store(h.cluster), "n3", 2);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	http_server_stop(server, NULL, NULL);
	close_harness(&h);
	return 0;
}

static struct sim_store *store(void)
{
	return sim_cluster_store(h.cluster);
}

static const char *node_of(const char *pod)
{
	return sim_store_get(store(), SIM_PODS, "d", pod)->node;
}

static void one_node_left_is_taken(void **state)
{
	(void)state;
	make_pod(store(), "a", 4, NULL);
	run_ms(&h, 150);
	assert_int_equal(count_of("filter"), 1);
	assert_int_equal(count_of("prioritize"), 0);
	assert_int_equal(count_of("bind"), 1);
	assert_int_equal(calls[0].names, 2); /* n3 is too small */
	assert_string_equal(node_of("a"), calls[0].first);
	assert_int_equal(decisions[SIM_PLACED], 1);
	assert_int_equal(decisions[SIM_BOUND], 1);
	assert_int_equal(sim_audit_violations(sim_cluster_audit(h.cluster)), 0);
}

static void several_left_are_scored(void **state)
{
	(void)state;
	script.all = true;
	script.prioritize =
	    "[{\"Host\":\"n1\",\"Score\":2},{\"Host\":\"n2\",\"Score\":7},{\"Host\":\"n3\",\"Score\":7}]";
	make_pod(store(), "a", 4, NULL);
	run_ms(&h, 150);
	assert_int_equal(count_of("prioritize"), 1);
	assert_string_equal(node_of("a"), "n2");
	/* An error of prioritize is nobody's business. */
	script.prioritize = NULL;
	make_pod(store(), "b", 1, NULL);
	run_ms(&h, 150);
	assert_int_equal(count_of("prioritize"), 2);
	assert_string_not_equal(node_of("b"), "");
}

static void priority_and_time_make_the_order(void **state)
{
	(void)state;
	make_pod(store(), "first", 1, ",\"priority\":1");
	make_pod(store(), "second", 1, ",\"priority\":1");
	make_pod(store(), "urgent", 1, ",\"priority\":5");
	run_ms(&h, 200);
	const char *order[3];
	size_t count = 0;

	for (size_t i = 0; i < call_count && count < 3; i++)
		if (strcmp(calls[i].verb, "filter") == 0)
			order[count++] = calls[i].pod;
	assert_int_equal(count, 3);
	assert_string_equal(order[0], "urgent");
	assert_string_equal(order[1], "first");
	assert_string_equal(order[2], "second");
}

static void rejections_make_a_histogram_and_sleep(void **state)
{
	(void)state;
	script.filter = "{\"NodeNames\":[],\"FailedNodes\":{\"n1\":\"plain\",\"n2\":\"plain\"},"
	                "\"FailedAndUnresolvableNodes\":{\"n1\":\"text b\"}}";
	make_pod(store(), "a", 4, NULL);
	run_ms(&h, 200);
	assert_string_equal(last_text, "0/3 nodes are available: 1 Insufficient nvidia.com/gpu, 1 plain, 1 text b.");
	assert_non_null(strstr(sim_store_get(store(), SIM_PODS, "d", "a")->json.at, last_text));
	/* Its own condition wakes it once, as in kube-scheduler; then there is silence. */
	assert_int_equal(count_of("filter"), 2);
	run_ms(&h, 300);
	assert_int_equal(count_of("filter"), 2);
	/* Its own annotation wakes it, and so does a node. */
	json_t *pod = sim_store_tree(sim_store_get(store(), SIM_PODS, "d", "a"));
	struct err err;

	json_object_set_new(
	    sim_member_object(json_object_get(pod, "metadata"), "annotations"), "berth.dev/wake", json_string("1"));
	assert_non_null(sim_store_update(store(), SIM_PODS, pod, &err));
	json_decref(pod);
	run_ms(&h, 100);
	assert_int_equal(count_of("filter"), 3);
	script.filter = NULL;
	make_node(store(), "n4", 8);
	run_ms(&h, 150);
	assert_string_not_equal(node_of("a"), "");
}

static void in_tree_filters_ask_nobody(void **state)
{
	(void)state;
	make_pod(store(), "huge", 9, NULL);
	make_pod(store(), "picky", 1, ",\"nodeSelector\":{\"kubernetes.io/hostname\":\"n9\"}");
	make_pod(store(), "gated", 1, ",\"schedulingGates\":[{\"name\":\"g\"}]");
	run_ms(&h, 150);
	assert_int_equal(call_count, 0);
	assert_int_equal(decisions[SIM_REJECTED] >= 2, 1);
	/* An assigned pod that goes makes room. */
	make_pod(store(), "holder", 8, ",\"nodeName\":\"n1\"");
	make_pod(store(), "holder2", 8, ",\"nodeName\":\"n2\"");
	make_pod(store(), "waiter", 8, NULL);
	run_ms(&h, 100);
	assert_string_equal(node_of("waiter"), "");
	sim_store_delete(store(), SIM_PODS, "d", "holder2");
	run_ms(&h, 100);
	assert_string_equal(node_of("waiter"), "n2");
}

static void nominated_nodes_are_tried_alone(void **state)
{
	(void)state;
	make(store(), SIM_PODS,
	    "{\"metadata\":{\"name\":\"a\",\"namespace\":\"d\"},\"spec\":{\"schedulerName\":\"berth\",\"containers\":[{"
	    "\"name\":\"c\"}]},"
	    "\"status\":{\"phase\":\"Pending\",\"nominatedNodeName\":\"n2\"}}");
	run_ms(&h, 150);
	assert_int_equal(count_of("filter"), 1);
	assert_int_equal(calls[0].names, 1);
	assert_string_equal(node_of("a"), "n2");
	assert_int_equal(sim_driver_stats(sim_cluster_driver(h.cluster)).nominated, 1);
	/* Refused there, all nodes are asked for. */
	script.filter = "{\"NodeNames\":null}";
	make(store(), SIM_PODS,
	    "{\"metadata\":{\"name\":\"b\",\"namespace\":\"d\"},\"spec\":{\"schedulerName\":\"berth\",\"containers\":[{"
	    "\"name\":\"c\"}]},"
	    "\"status\":{\"phase\":\"Pending\",\"nominatedNodeName\":\"n2\"}}");
	run_ms(&h, 20);
	assert_true(call_count >= 4);
	assert_int_equal(calls[2].names, 1);
	assert_int_equal(calls[3].names, 3);
}

static void errors_back_off(void **state)
{
	(void)state;
	script.filter_status = 503;
	make_pod(store(), "a", 1, NULL);
	run_ms(&h, 300);
	assert_int_equal(count_of("filter"), 1);
	assert_string_equal(last_text, "failed filter with extender, code 503");
	assert_non_null(strstr(sim_store_get(store(), SIM_PODS, "d", "a")->json.at, "SchedulerError"));
	script.filter_status = 0;
	run_ms(&h, 2000);
	assert_string_not_equal(node_of("a"), "");
}

static void strange_nodes_are_an_error(void **state)
{
	(void)state;
	script.filter = "{\"NodeNames\":[\"n9\"]}";
	make_pod(store(), "a", 1, NULL);
	run_ms(&h, 150);
	assert_string_equal(last_text, "extender claims a filtered node that is not in the input node list");
	script.filter = "{\"NodeNames\":[\"n1\"],\"Error\":\"broken\"}";
	make_pod(store(), "b", 1, NULL);
	run_ms(&h, 150);
	assert_string_equal(last_text, "broken");
	assert_int_equal(count_of("bind"), 0);
}

static void failed_binds_give_the_room_back(void **state)
{
	(void)state;
	script.binds_to_fail = 1;
	make_pod(store(), "a", 8, NULL);
	run_ms(&h, 100);
	assert_int_equal(count_of("bind"), 1);
	assert_string_equal(last_text, "no");
	/* The room is not held for it meanwhile. */
	make_pod(store(), "b", 8, NULL);
	make_pod(store(), "c", 8, NULL);
	run_ms(&h, 200);
	assert_string_not_equal(node_of("b"), "");
	assert_string_not_equal(node_of("c"), "");
	assert_int_equal(sim_audit_violations(sim_cluster_audit(h.cluster)), 0);
}

static void lies_keep_the_pod_assumed(void **state)
{
	(void)state;
	script.lie = true;
	make_pod(store(), "a", 8, NULL);
	make_pod(store(), "b", 8, NULL);
	make_pod(store(), "c", 8, NULL);
	run_ms(&h, 200);
	assert_string_equal(node_of("a"), "");
	assert_int_equal(decisions[SIM_BOUND], 2);
	assert_int_equal(count_of("bind"), 2);
	assert_string_equal(last_text, "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.");
}

static void binds_go_beside_the_cycles(void **state)
{
	(void)state;
	script.delay_binds = 3;
	make_pod(store(), "a", 1, NULL);
	make_pod(store(), "b", 1, NULL);
	run_ms(&h, 150);
	assert_int_equal(sim_driver_stats(sim_cluster_driver(h.cluster)).binding, 2);
	make_pod(store(), "c", 1, NULL);
	run_ms(&h, 150);
	assert_int_equal(sim_driver_stats(sim_cluster_driver(h.cluster)).binding, 0);
	assert_int_equal(decisions[SIM_BOUND], 3);
}

static void deleted_pods_are_let_go(void **state)
{
	(void)state;
	script.delay_binds = 99;
	script.lie = true;
	make_pod(store(), "a", 8, NULL);
	run_ms(&h, 100);
	sim_store_delete(store(), SIM_PODS, "d", "a");
	make_pod(store(), "queued", 9, NULL);
	run_ms(&h, 50);
	sim_store_delete(store(), SIM_PODS, "d", "queued");
	run_ms(&h, 50);
	assert_int_equal(sim_driver_stats(sim_cluster_driver(h.cluster)).waiting, 0);
	/* The tear-down ends the bind that is under way. */
}

static void foreign_pods_go_to_the_first_node(void **state)
{
	(void)state;
	make(store(), SIM_PODS,
	    "{\"metadata\":{\"name\":\"f\",\"namespace\":\"d\"},\"spec\":{\"schedulerName\":\"default-scheduler\","
	    "\"containers\":[{\"name\":"
	    "\"c\",\"resources\":{\"requests\":{\"nvidia.com/gpu\":\"8\"}}}]},\"status\":{\"phase\":\"Pending\"}}");
	make_pod(store(), "theirs", 1, ",\"nodeName\":\"n1\"");
	run_ms(&h, 200);
	assert_string_equal(node_of("f"), "n2");
	assert_int_equal(call_count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(one_node_left_is_taken),
	    TEST(several_left_are_scored),
	    TEST(priority_and_time_make_the_order),
	    TEST(rejections_make_a_histogram_and_sleep),
	    TEST(in_tree_filters_ask_nobody),
	    TEST(nominated_nodes_are_tried_alone),
	    TEST(errors_back_off),
	    TEST(strange_nodes_are_an_error),
	    TEST(failed_binds_give_the_room_back),
	    TEST(lies_keep_the_pod_assumed),
	    TEST(binds_go_beside_the_cycles),
	    TEST(deleted_pods_are_let_go),
	    TEST(foreign_pods_go_to_the_first_node),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
