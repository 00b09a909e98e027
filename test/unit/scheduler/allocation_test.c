/* Where a header says that nothing is allocated, nothing is: each claim is called once to warm up, where it says so,
 * and then under a counting allocator. */
#include "../core/world.h"

#include "../counting.h"

#include "base/reader.h"
#include "cluster/quantity.h"
#include "extender/metrics.h"
#include "extender/wire.h"

#define NODES 200
#define BODY_NAMES 5000
#define TEXT_MAX ((size_t)8 << 20)

#define assert_allocates_nothing(statement) assert_int_equal(COUNT_ALLOCATIONS(statement), 0)
#define assert_allocates(statement) assert_true(COUNT_ALLOCATIONS(statement) > 0)

/* What must not be optimized away. */
static volatile size_t sink;

/* --- the counter itself --- */

static void allocations_are_counted(void **state)
{
	void *block = NULL;
	struct arena arena;

	(void)state;
	assert_int_equal(COUNT_ALLOCATIONS(block = xmalloc(10)), 1);
	assert_allocates(block = xrealloc(block, 100000));
	free(block);
	assert_int_equal(COUNT_ALLOCATIONS(block = xcalloc(3, 5)), 1);
	free(block);
	assert_allocates(block = xstrdup("text"));
	free(block);
	assert_allocates(block = strdup("by the C library itself"));
	free(block);
	arena_init(&arena, 64);
	assert_allocates(arena_alloc(&arena, 1));
	arena_free(&arena);
	assert_allocates_nothing(sink = strlen("text"));
}

/* --- base, cluster --- */

static size_t walk(struct reader *json)
{
	struct slice raw = {"", 0};
	int64_t number;
	size_t seen = 1;
	char text[64];
	bool flag;

	switch (reader_peek(json)) {
	case READER_OBJECT:
		for (reader_object(json); reader_key(json, &raw);)
			seen += walk(json);
		return seen;
	case READER_ARRAY:
		for (reader_array(json); reader_next(json);)
			seen += walk(json);
		return seen;
	case READER_STRING:
		reader_string(json, &raw);
		return seen + (raw.len < sizeof(text) ? reader_unescape(raw, text) : 0);
	case READER_NUMBER:
		return seen + reader_int(json, &number);
	case READER_TRUE:
	case READER_FALSE:
		return seen + reader_bool(json, &flag);
	default:
		reader_value(json, &raw);
		return seen;
	}
}

static size_t read_json(struct slice text)
{
	struct reader json;
	size_t seen;

	reader_open(&json, text);
	seen = walk(&json);
	sink = reader_close(&json);
	reader_open(&json, text);
	reader_skip(&json);
	return seen + reader_close(&json);
}

static void reader_allocates_nothing(void **state)
{
	static const char good[] = "{\"a\":[1,-2,3.5,true,null,\"x\\u00e9\\n\"],\"b\":{\"c\":\"d\"},\"e\":[[[[]]]]}";
	char deep[2 * READER_DEPTH_MAX + 10];

	(void)state;
	memset(deep, '[', sizeof(deep));
	assert_allocates_nothing(sink = read_json(slice_of(good)));
	assert_true(sink > 10);
	assert_allocates_nothing(read_json((struct slice){good, sizeof(good) / 2}));
	assert_allocates_nothing(read_json((struct slice){deep, sizeof(deep)}));
}

static void quantities_allocate_nothing(void **state)
{
	static const char *const texts[] = {"500m", "20Gi", "1e3", "123456789012345678901234567890", ".5n", "1x", ""};
	char digits[4096];

	(void)state;
	memset(digits, '7', sizeof(digits));
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		int64_t value, milli;
		quantity_nano nano;

		assert_allocates_nothing(quantity_parse(slice_of(texts[i]), &value, &milli));
		assert_allocates_nothing(quantity_parse_nano(slice_of(texts[i]), &nano));
	}
	assert_allocates_nothing(quantity_parse((struct slice){digits, sizeof(digits)}, NULL, NULL));
}

/* --- the core --- */

static void arenas_and_maps_keep_what_they_have(void **state)
{
	static const char *const keys[] = {"a", "b", "c", "d"};
	struct arena arena;
	struct map map = {0};
	size_t cursor = 0;

	(void)state;
	assert_allocates_nothing(arena_init(&arena, 4096));
	assert_allocates(arena_alloc(&arena, 3000));
	assert_allocates_nothing(arena_reset(&arena));
	assert_allocates_nothing(arena_alloc(&arena, 3000));
	arena_free(&arena);

	assert_allocates(map_put(&map, slice_of(keys[0]), &map));
	assert_allocates_nothing(sink = map_get(&map, slice_of("a")) == &map);
	assert_int_equal(sink, 1);
	assert_allocates_nothing(map_get(&map, slice_of("none")));
	assert_allocates_nothing(map_next(&map, &cursor));
	assert_allocates_nothing(map_remove(&map, slice_of("a")));
	assert_allocates_nothing(map_put(&map, slice_of(keys[1]), &map));
	map_free(&map);
}

static void matching_allocates_nothing(void **state)
{
	struct label labels[] = {{"a", "1"}, {"b", "x"}};
	const struct labels have = {2, labels};
	const char *values[] = {"0", "1"};
	struct selector_requirement requirements[] = {
	    {"a", SELECTOR_IN, 2, values}, {"a", SELECTOR_GT, 1, values}, {"c", SELECTOR_DOES_NOT_EXIST, 0, NULL}};
	const struct node_term term = {.expressions = {3, requirements}};
	const struct taint taint = {"k", "v", TAINT_NO_SCHEDULE};
	const struct toleration toleration = {.key = "k", .value = "v", .op = TOLERATION_EQUAL, .any_effect = true};

	(void)state;
	assert_allocates_nothing(sink = node_term_matches(&term, "node", &have));
	assert_int_equal(sink, 1);
	assert_allocates_nothing(sink = taint_tolerated(&taint, &toleration, 1));
	assert_int_equal(sink, 1);
	assert_allocates_nothing(sink = glob_matches("*-?rod*", "team-prod-eu"));
	assert_int_equal(sink, 1);
}

static struct fleet *fleet_filled(struct policy *policy)
{
	struct fleet *fleet = fleet_new(&world_catalogue);

	fleet_set_policy(fleet, policy);
	for (int i = 0; i < NODES; i++) {
		char name[32], uid[32];
		struct pod *pod;

		snprintf(name, sizeof(name), "node-%03d", i);
		snprintf(uid, sizeof(uid), "pod-%03d", i);
		fleet_put_node(fleet, spec_simple(fleet, name, i % (NO_GPUS + 1), 8));
		pod = pod_simple(fleet, uid, 1000, i % (NO_GPUS + 1) == NO_GPUS ? 0 : i % 9);
		pod->owner_uid = "owner";
		ledger_reserve(fleet, pod, slice_of(name), i % 2 ? LEDGER_BOUND : LEDGER_ASSUMED, true, 0, i * SECOND);
		pod_free(pod);
	}
	return fleet;
}

static void deciding_allocates_nothing(void **state)
{
	struct policy *policy = policy_world();
	struct fleet *fleet = fleet_filled(policy);
	struct node *nodes[NODES], *node;
	enum reason reasons[NODES];
	struct score scores[NODES];
	struct decision decision;
	size_t count = 0, cursor = 0;

	(void)state;
	while ((node = map_next(&fleet->nodes, &cursor)))
		nodes[count++] = node;
	for (int gpus = 0; gpus <= 9; gpus++) { /* 9 fit nowhere */
		struct pod *pod = pod_simple(fleet, "pod", 1000, gpus);

		assert_allocates_nothing(decide_fleet(fleet, pod, &decision));
		assert_int_equal(decision.node != NULL, gpus < 9);
		assert_allocates_nothing(decide_fleet_best(fleet, pod, &decision));
		assert_allocates_nothing(decide_among(fleet, pod, nodes, count, &decision, reasons));
		assert_int_equal(decision.node != NULL, gpus < 9);
		assert_allocates_nothing(decide_each(fleet, pod, nodes, count, reasons, scores));
		assert_allocates_nothing(decide_node(fleet, pod, nodes[0], &scores[0]));
		pod_free(pod);
	}
	/* The exception that is named. */
	struct pod *sibling = pod_simple(fleet, "sibling", 1000, 1);
	sibling->class_name = "hosts";
	sibling->owner_uid = "owner";
	assert_int_equal(COUNT_ALLOCATIONS(decide_fleet(fleet, sibling, &decision)), 1);
	pod_free(sibling);
	fleet_free(fleet);
	policy_free(policy);
}

static void looking_up_allocates_nothing(void **state)
{
	struct policy *policy = policy_world();
	struct fleet *fleet = fleet_filled(policy);
	struct waiting *waiting = waiting_new();
	struct pod *rejected[] = {pod_simple(fleet, "w-1", 1000, 9), pod_simple(fleet, "w-2", 1000, 9)};
	const struct waiting_pod *first;
	struct ledger_entry *entry;

	(void)state;
	assert_allocates_nothing(sink = fleet_find(fleet, slice_of("node-100")) != NULL);
	assert_int_equal(sink, 1);
	assert_allocates_nothing(sink = fleet_find(fleet, slice_of("none")) == NULL);
	assert_allocates_nothing(entry = ledger_find(fleet, slice_of("pod-100")));
	assert_non_null(entry);
	assert_allocates_nothing(sink = node_free(entry->node, RESOURCE_CPU) > 0);
	assert_allocates_nothing(ledger_renew(fleet, entry, 7 * SECOND));
	assert_allocates_nothing(sink = ledger_next_expiry(fleet) != LEDGER_NEVER);
	assert_int_equal(sink, 1);
	assert_allocates_nothing(sink = ledger_expired(fleet, 1000 * SECOND) != NULL);
	assert_int_equal(sink, 1);

	for (size_t i = 0; i < 2; i++)
		waiting_put(waiting, rejected[i], REASON_CODE_NO_GPU, 0, 0);
	assert_allocates_nothing(sink = waiting_find(waiting, slice_of("w-2")) != NULL);
	assert_int_equal(sink, 1);
	assert_allocates_nothing(first = waiting_next(waiting, NULL));
	assert_allocates_nothing(sink = waiting_next(waiting, first) != NULL);
	assert_int_equal(sink, 1);
	waiting_free(waiting);
	pod_free(rejected[0]);
	pod_free(rejected[1]);
	fleet_free(fleet);
	policy_free(policy);
}

/* --- the verbs' wire, and what counts --- */

static void write_call(struct buf *body)
{
	buf_text(body, "{\"Pod\":{\"metadata\":{\"name\":\"p\"}},\"Nodes\":null,\"NodeNames\":[");
	for (int i = 0; i < BODY_NAMES; i++)
		buf_printf(body, "%s\"node-%05d\"", i ? "," : "", i);
	buf_text(body, "]}");
}

static void warm_wire_allocates_nothing(void **state)
{
	static struct wire_refusal refusals[BODY_NAMES];
	static struct wire_score scores[BODY_NAMES];
	static const char bind_body[] = "{\"PodName\":\"p\",\"PodNamespace\":\"ns\",\"PodUID\":\"u\",\"Node\":\"n\"}";
	static const char preempt_body[] =
	    "{\"Pod\":{},\"NodeNameToMetaVictims\":{\"n\":{\"Pods\":[{\"UID\":\"v\"}],\"NumPDBViolations\":0}}}";
	struct buf body, reply;
	struct arena scratch;
	struct wire_preempt preempt;
	struct wire_args args;
	struct wire_bind bind;
	struct err err;
	int failed;

	(void)state;
	buf_init(&body, TEXT_MAX);
	buf_init(&reply, TEXT_MAX);
	write_call(&body);
	arena_init(&scratch, 1u << 20);
	/* Warm: the arena has its chunk, the buffer its room. */
	assert_allocates(failed = wire_read_args(buf_slice(&body), &scratch, &args, &err));
	assert_int_equal(failed, 0);
	assert_int_equal(args.count, BODY_NAMES);
	for (size_t i = 0; i < args.count; i++) {
		refusals[i] = (struct wire_refusal){args.items[i], "not enough free GPUs"};
		scores[i] = (struct wire_score){args.items[i], (int64_t)i % 11};
	}
	assert_allocates(wire_write_names(&reply, NULL, 0, refusals, args.count));

	buf_clear(&reply);
	assert_allocates_nothing(wire_write_names(&reply, NULL, 0, refusals, args.count));
	buf_clear(&reply);
	assert_allocates_nothing(wire_write_names(&reply, args.items, 1, NULL, 0));
	buf_clear(&reply);
	assert_allocates_nothing(wire_write_scores(&reply, scores, args.count));
	buf_clear(&reply);
	assert_allocates_nothing(wire_write_bind(&reply, "node cordoned"));
	assert_false(reply.overflow);
	arena_reset(&scratch);
	assert_allocates_nothing(failed = wire_read_args(buf_slice(&body), &scratch, &args, &err));
	assert_int_equal(failed, 0);
	assert_allocates_nothing(failed = wire_read_bind(slice_of(bind_body), &scratch, &bind, &err));
	assert_int_equal(failed, 0);
	/* The exception that is named. */
	assert_int_equal(
	    COUNT_ALLOCATIONS(failed = wire_read_preempt(slice_of(preempt_body), &scratch, &preempt, &err)), 1);
	assert_int_equal(failed, 0);
	arena_free(&scratch);
	buf_free(&reply);
	buf_free(&body);
}

static void counting_on_a_series_allocates_nothing(void **state)
{
	static const char *const labels[] = {"verb", NULL};
	struct metrics *metrics = metrics_new();
	struct metric *calls = metrics_add(metrics, METRIC_COUNTER, "calls", "Calls.", labels);
	struct metric *seconds = metrics_add(metrics, METRIC_HISTOGRAM, "seconds", "Seconds.", NULL);

	(void)state;
	assert_allocates(metric_add(calls, 1, "filter", NULL));
	assert_allocates_nothing(metric_add(calls, 1, "filter", NULL));
	assert_allocates_nothing(metric_set(calls, 1, "filter", NULL));
	metric_observe(seconds, 0.1, NULL);
	assert_allocates_nothing(metric_observe(seconds, 7, NULL));
	metrics_free(metrics);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(allocations_are_counted),
	    cmocka_unit_test(reader_allocates_nothing),
	    cmocka_unit_test(quantities_allocate_nothing),
	    cmocka_unit_test(arenas_and_maps_keep_what_they_have),
	    cmocka_unit_test(matching_allocates_nothing),
	    cmocka_unit_test(deciding_allocates_nothing),
	    cmocka_unit_test(looking_up_allocates_nothing),
	    cmocka_unit_test(warm_wire_allocates_nothing),
	    cmocka_unit_test(counting_on_a_series_allocates_nothing),
	};

	if (!counting_start()) {
		fprintf(stderr, "allocations cannot be counted\n");
		return EXIT_FAILURE;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
