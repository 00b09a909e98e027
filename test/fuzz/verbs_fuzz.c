/* The four verbs as the daemon answers them: bodies are read by extender/wire and answered by the scheduler, on a small
 * fleet, with its ledger, roster and waiting line. Only the sockets are left out, kube-scheduler's and those to the API
 * server, whose answers come from the input.
 *
 * An input is a row of steps, a unit separator between, each a letter and a text:
 *   f s p b   filter, prioritize ("score"), preempt, bind: the body
 *   N P D     a watch shows a node, a pod, a pod deleted: the object
 *   J K       a watch shows a Job, a Job deleted: the object
 *   A         the API server answers the oldest call: one byte selects how, the rest is the body
 *   G         kube-scheduler hangs up on the oldest bind
 *   T         what is due (wake-ups, hints) runs
 *
 * After each step the ledger adds up; what is answered is well-formed, names only what was offered, refuses all or
 * nothing, and is answered the same when asked again; each bind is answered exactly once. */
#include <stdio.h>
#include <stdlib.h>

#include "base/embedded.h"
#include "base/log.h"
#include "base/reader.h"
#include "scheduler/gang/internal.h"
#include "scheduler/repartition/internal.h"

#define SEPARATOR '\x1f'
#define REPLY_MAX (64u << 20)
#define BINDS_MAX 64
#define CALLS_MAX 4096
#define STEPS_MAX 64

#define CHECK(holds)                                                                                                   \
	do {                                                                                                           \
		if (!(holds)) {                                                                                        \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #holds);                                    \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* --- the ends of the sockets --- */

struct verbs_bind {
	void *data;
	bool over; /* answered, or hung up */
	struct arena arena;
	struct wire_bind wire;
};

struct api_call {
	kube_bind_done *bind_done;
	kube_done *done;
	void *ctx;
};

static struct verbs_bind binds[BINDS_MAX];
static struct api_call api_calls[CALLS_MAX];
static size_t bind_count, api_count, api_answered;

static void check_object(struct slice raw)
{
	struct reader json;

	reader_open(&json, raw);
	CHECK(reader_peek(&json) == READER_OBJECT);
	reader_skip(&json);
	CHECK(reader_close(&json));
}

void verbs_bind_answer(struct verbs_bind *parked, const char *error)
{
	struct buf reply;

	CHECK(!parked->over);
	parked->over = true;
	buf_init(&reply, REPLY_MAX);
	wire_write_bind(&reply, error);
	CHECK(!reply.overflow);
	check_object(buf_slice(&reply));
	buf_free(&reply);
}

void verbs_release(struct verbs *verbs)
{
	CHECK(!verbs); /* the target answers at once */
}

void verbs_bind_set(struct verbs_bind *parked, void *data)
{
	parked->data = data;
}

void *verbs_bind_get(const struct verbs_bind *parked)
{
	return parked->data;
}

void kube_bind(struct kube *kube, struct kube_pod_ref pod, const char *node, struct slice annotations,
    unsigned deadline_ms, kube_bind_done *done, void *ctx)
{
	(void)kube, (void)node;
	CHECK(bind_path_safe(slice_of(pod.namespace_)) && bind_path_safe(slice_of(pod.name)) && deadline_ms > 0);
	check_object(annotations);
	api_calls[api_count++] = (struct api_call){.bind_done = done, .ctx = ctx};
}

void kube_call(struct kube *kube, const struct kube_call_spec *spec)
{
	(void)kube;
	api_calls[api_count++] = (struct api_call){.done = spec->done, .ctx = spec->ctx};
}

void kube_annotate(struct kube *kube, struct kube_pod_ref pod, struct slice annotations, kube_done *done, void *ctx)
{
	(void)kube, (void)pod, (void)done, (void)ctx;
	check_object(annotations);
}

void kube_patch_status(struct kube *kube, struct kube_pod_ref pod, const char *members, kube_done *done, void *ctx)
{
	(void)kube, (void)pod, (void)members, (void)done, (void)ctx;
}

void kube_ungate(
    struct kube *kube, struct kube_pod_ref pod, const char *gate, struct slice annotations, kube_done *done, void *ctx)
{
	(void)kube, (void)pod, (void)gate, (void)done, (void)ctx;
	if (annotations.len > 0)
		check_object(annotations);
}

void kube_emit(struct kube *kube, const struct kube_event *event, kube_done *done, void *ctx)
{
	(void)kube, (void)event, (void)done, (void)ctx;
}

/* Of the kinds that tell gangs' sizes, the API server has Jobs. */
static struct kube_watch_handlers jobs;

void scheduler_list_pods(struct scheduler *s)
{
	(void)s;
}

struct kube_watch *kube_watch_start(
    struct kube *kube, const struct kube_watch_options *options, const struct kube_watch_handlers *handlers)
{
	(void)kube;
	CHECK(strcmp(options->path, "/apis/batch/v1/jobs") == 0);
	jobs = *handlers;
	return (struct kube_watch *)(void *)&jobs;
}

void kube_watch_stop(struct kube_watch *watch)
{
	(void)watch;
}

void kube_evict(struct kube *kube, struct kube_pod_ref pod, bool dry, kube_done *done, void *ctx)
{
	(void)kube, (void)pod, (void)dry, (void)done, (void)ctx;
}

struct kube_watch_state kube_watch_state(const struct kube_watch *watch)
{
	(void)watch;
	return (struct kube_watch_state){.connected = true};
}

/* --- the scheduler, as it stands before each input --- */

static struct scheduler scheduler;
/* What was bound by others, room held until victims are gone, and pods that change may exceed a node. */
static bool overcommitted;

static const char policy_text[] =
    "apiVersion: berth.dev/v1alpha1\nkind: PlacementPolicy\n"
    "pools:\n"
    "- {name: h100, gpu: H100, mig: {configs: [{name: all-1g.10gb, perGPU: {1g.10gb: 7}}], after: 1s}}\n"
    "- {name: l4, gpu: L4}\n"
    "classes:\n"
    "- {name: urgent, match: [{podLabels: {class: urgent}}], mayPreempt: [batch]}\n"
    "- {name: advised, match: [{podLabels: {class: advised}}], mode: advise}\n"
    "- {name: inference, match: [{podLabels: {class: inference}}], prefer: [l4], replicas: {spreadOver: host}}\n"
    "- {name: batch, gang: {reserveAfter: 0s}}\n"
    "fallback: batch\n";

static const char *const node_texts[] = {
    "{\"metadata\":{\"name\":\"h-1\",\"labels\":{\"nvidia.com/gpu.product\":\"NVIDIA-H100-80GB-HBM3\"}},"
    "\"status\":{\"capacity\":{\"cpu\":\"64\",\"memory\":\"512Gi\",\"pods\":\"110\",\"nvidia.com/gpu\":\"8\"},"
    "\"allocatable\":{\"cpu\":\"64\",\"memory\":\"512Gi\",\"pods\":\"110\",\"nvidia.com/gpu\":\"8\"},"
    "\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]}}",
    "{\"metadata\":{\"name\":\"l-1\",\"labels\":{\"nvidia.com/gpu.product\":\"NVIDIA-L4\"}},"
    "\"status\":{\"capacity\":{\"cpu\":\"16\",\"memory\":\"64Gi\",\"pods\":\"110\",\"nvidia.com/gpu\":\"2\"},"
    "\"allocatable\":{\"cpu\":\"16\",\"memory\":\"64Gi\",\"pods\":\"110\",\"nvidia.com/gpu\":\"2\"},"
    "\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]}}",
    "{\"metadata\":{\"name\":\"c-1\",\"labels\":{\"zone\":\"a\"}},"
    "\"spec\":{\"taints\":[{\"key\":\"k\",\"value\":\"v\",\"effect\":\"NoSchedule\"}]},"
    "\"status\":{\"capacity\":{\"cpu\":\"4\",\"memory\":\"8Gi\",\"pods\":\"4\"},"
    "\"allocatable\":{\"cpu\":\"4\",\"memory\":\"8Gi\",\"pods\":\"4\"},"
    "\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]}}",
};

static const char *const pod_texts[] = {
    "{\"metadata\":{\"uid\":\"v-1\",\"name\":\"v-1\",\"namespace\":\"ns\",\"annotations\":"
    "{\"berth.dev/expected-runtime\":\"1h\"}},\"spec\":{\"schedulerName\":\"berth\","
    "\"nodeName\":\"h-1\",\"containers\":[{\"name\":\"c\",\"resources\":{\"requests\":{\"nvidia.com/gpu\":\"6\"}}}]}}",
    "{\"metadata\":{\"uid\":\"v-2\",\"name\":\"v-2\",\"namespace\":\"ns\"},\"spec\":{\"schedulerName\":\"other\","
    "\"nodeName\":\"l-1\",\"containers\":[{\"name\":\"c\",\"resources\":{\"requests\":{\"nvidia.com/gpu\":\"1\"}}}]}}",
    "{\"metadata\":{\"uid\":\"w-1\",\"name\":\"w-1\",\"namespace\":\"ns\"},\"spec\":{\"schedulerName\":\"berth\","
    "\"containers\":[{\"name\":\"c\",\"resources\":{\"requests\":{\"nvidia.com/gpu\":\"1\"}}}]}}",
};

static void open_once(struct scheduler *s)
{
	static uv_loop_t loop;
	uv_timer_t *timers[] = {&s->wake_timer, &s->sleepers_timer, &s->hint_timer, &s->gang_timer, &s->gang_feed_timer,
	    &s->expiry_timer, &s->sweep_timer, &s->quarantine_timer, &s->headroom_timer, &s->team_timer,
	    &s->reserve_timer, &s->signal_timer, &s->repartition_timer, &s->pace_timer, &s->policy.timer};
	const struct catalogue *catalogue;
	struct policy_report report;
	struct err err;

	log_set_level(LOG_ERROR);
	CHECK(uv_loop_init(&loop) == 0);
	catalogue = catalogue_load(embedded_text("gpus.yaml"), (struct slice){NULL, 0}, "", &err);
	CHECK(catalogue);
	s->loop = &loop;
	s->catalogue = catalogue;
	s->ttl_ns = s->ttl_volumes_ns = 60 * NS_PER_S;
	s->policy.inforce = policy_load(slice_of(policy_text), &catalogue->gpus, &report);
	CHECK(s->policy.inforce);
	policy_report_free(&report);
	instruments_open(&s->instruments);
	for (size_t i = 0; i < sizeof timers / sizeof *timers; i++) {
		uv_timer_init(&loop, timers[i]);
		timers[i]->data = s;
	}
}

static void begin(struct scheduler *s)
{
	if (!s->loop)
		open_once(s);
	s->fleet = fleet_new(&s->catalogue->gpus);
	s->waiting = waiting_new();
	s->roster = roster_new();
	s->gangs = gangs_new();
	s->gangs_rebuilt = s->gang_line_due = false;
	gang_feed_open(s);
	repartition_open(s);
	s->owners = owners_new();
	s->volumes = volumes_new();
	s->wake_due = false;
	keep_open(&s->quarantine_kept, NULL, "default", "none");
	fleet_set_policy(s->fleet, s->policy.inforce);
	feed_nodes.begin(s);
	for (size_t i = 0; i < sizeof node_texts / sizeof *node_texts; i++)
		feed_nodes.object(s, KUBE_SEEN, slice_of(node_texts[i]));
	feed_nodes.synced(s);
	feed_pods.begin(s);
	for (size_t i = 0; i < sizeof pod_texts / sizeof *pod_texts; i++)
		feed_pods.object(s, KUBE_SEEN, slice_of(pod_texts[i]));
	feed_pods.synced(s);
	bind_count = api_count = api_answered = 0;
	gang_feed_start(s);
	jobs.begin(jobs.ctx);
	jobs.synced(jobs.ctx);
	gang_feed_on_timer(&s->gang_feed_timer);
	api_calls[0].done(api_calls[0].ctx, &(struct kube_answer){.status = 404});
	CHECK(s->gangs_rebuilt);
	overcommitted = false;
	bind_count = api_count = api_answered = 0;
}

static void end(struct scheduler *s)
{
	bind_close(s);
	for (size_t i = 0; i < bind_count; i++) {
		CHECK(binds[i].over);
		arena_free(&binds[i].arena);
	}
	gang_reserve_drop(s);
	runs_close(s);
	waiting_free(s->waiting);
	repartition_close(s);
	gang_close(s);
	gang_undo_close(s);
	s->undo_listings = NULL;
	gangs_free(s->gangs);
	quarantine_close(s);
	uv_timer_stop(&s->quarantine_timer);
	uv_timer_stop(&s->repartition_timer);
	gang_feed_free(s);
	uv_timer_stop(&s->gang_feed_timer);
	roster_free(s->roster);
	owners_free(s->owners);
	volumes_free(s->volumes);
	fleet_free(s->fleet);
	uv_timer_stop(&s->wake_timer);
	uv_timer_stop(&s->sleepers_timer);
	uv_timer_stop(&s->hint_timer);
	uv_timer_stop(&s->gang_timer);
	uv_timer_stop(&s->expiry_timer);
	uv_timer_stop(&s->reserve_timer);
	uv_timer_stop(&s->signal_timer);
}

/* --- what must hold --- */

static void check_node(const struct node *node)
{
	size_t entries = 0;

	for (const struct ledger_entry *entry = node->entries; entry; entry = entry->node_next, entries++)
		CHECK(entry->node == node && ledger_find(scheduler.fleet, slice_of(entry->uid)) == entry);
	CHECK(entries == node->entry_count);
	for (uint16_t i = 0; i < node->used.count; i++) {
		resource_id id = node->used.items[i].id;
		int64_t sum = 0;

		for (const struct ledger_entry *entry = node->entries; entry; entry = entry->node_next)
			sum = resource_sum(sum, resources_get(&entry->demand, id));
		CHECK(sum == node->used.items[i].amount);
		CHECK(overcommitted || sum <= node_allocatable(node, id));
	}
}

/* No pod asks for something else under the same UID, but an input may: filter then goes by the call, bind by what is
 * remembered. */
static bool has_changed(const struct ledger_entry *entry)
{
	const struct tracked *tracked = roster_find(scheduler.roster, slice_of(entry->uid));

	for (uint16_t i = 0; tracked && i < tracked->pod->demand.count; i++) {
		const struct resource_amount *asked = &tracked->pod->demand.items[i];

		if (asked->amount != resources_get(&entry->demand, asked->id))
			return true;
	}
	return tracked && tracked->pod->demand.count != entry->demand.count;
}

static void check_ledger(void)
{
	size_t at = 0;

	for (const struct ledger_entry *entry; (entry = map_next(&scheduler.fleet->ledger.by_uid, &at));)
		overcommitted |= has_changed(entry);
	size_t cursor = 0, entries = 0;

	for (const struct node *node; (node = map_next(&scheduler.fleet->nodes, &cursor)); entries += node->entry_count)
		check_node(node);
	CHECK(entries == scheduler.fleet->ledger.by_uid.count);
}

static void check_text(struct slice text)
{
	CHECK(text.len == 0 || (text.at && !memchr(text.at, '\0', text.len)));
}

/* What the reply names, one after another, must be offered in this order: the scheduler keeps it. */
static void check_offered(struct slice raw, const struct wire_args *args, size_t *next)
{
	char *copy = xmalloc(raw.len);
	struct slice text = {copy, reader_unescape(raw, copy)};

	while (*next < args->count && !slice_equal(args->items[*next], text))
		++*next;
	CHECK(*next < args->count);
	++*next;
	free(copy);
}

/* The strings of an array, the keys of an object, or the hosts of scores; null has none. */
static size_t check_names(struct reader *json, const struct wire_args *args)
{
	size_t count = 0, next = 0;
	struct slice raw;

	switch (reader_peek(json)) {
	case READER_OBJECT:
		reader_object(json);
		for (; reader_key(json, &raw); count++) {
			reader_skip(json);
			if (args->by_name)
				check_offered(raw, args, &next);
		}
		break;
	case READER_ARRAY:
		reader_array(json);
		for (; reader_next(json); count++) {
			CHECK(reader_string(json, &raw));
			check_offered(raw, args, &next);
		}
		break;
	default:
		reader_skip(json);
	}
	return count;
}

static size_t count_items(struct reader *json)
{
	size_t count = 0;

	if (reader_object(json))
		for (struct slice key; reader_key(json, &key);)
			if (slice_is(key, "items") && reader_array(json))
				for (; reader_next(json); count++)
					reader_skip(json);
	return count;
}

/* Whether so many answers are one for each node offered; a name given twice is answered once. */
static bool is_each(size_t answers, const struct wire_args *args)
{
	struct map names = {.count = 0};

	if (!args->by_name)
		return answers <= args->count && (answers > 0) == (args->count > 0);
	for (size_t i = 0; i < args->count; i++)
		map_put(&names, args->items[i], &names);
	size_t count = names.count;
	map_free(&names);
	return answers == count;
}

static void check_filtered(const struct buf *reply, const struct wire_args *args)
{
	size_t taken = 0, refused = 0;
	struct reader json;

	reader_open(&json, buf_slice(reply));
	CHECK(reader_object(&json));
	for (struct slice key; reader_key(&json, &key);) {
		if (slice_is(key, "NodeNames"))
			taken += check_names(&json, args);
		else if (slice_is(key, "Nodes"))
			taken += count_items(&json);
		else if (slice_is(key, "FailedAndUnresolvableNodes"))
			refused += check_names(&json, args);
		else
			reader_skip(&json);
	}
	CHECK(reader_close(&json));
	CHECK(taken == 0 || refused == 0);
	/* A member of a gang that waits is told so on one node's name. */
	CHECK(taken <= args->count && (taken > 0 || is_each(refused, args) || refused == 1));
}

static void check_scores(const struct buf *reply, const struct wire_args *args)
{
	size_t count = 0, next = 0;
	struct reader json;

	reader_open(&json, buf_slice(reply));
	CHECK(reader_array(&json));
	for (; reader_next(&json); count++) {
		struct slice host = {NULL, 0};
		int64_t score = -1;

		CHECK(reader_object(&json));
		for (struct slice key; reader_key(&json, &key);)
			if (slice_is(key, "Host"))
				CHECK(reader_string(&json, &host));
			else if (slice_is(key, "Score"))
				CHECK(reader_int(&json, &score));
			else
				reader_skip(&json);
		CHECK(host.at && score >= 0 && score <= 10);
		if (args->by_name)
			check_offered(host, args, &next);
	}
	CHECK(reader_close(&json) && is_each(count, args));
}

/* One node of those proposed at most, its victims unshortened. */
static void check_victims(const struct buf *reply, const struct wire_preempt *preempt)
{
	struct buf wanted;
	bool found = false;

	for (size_t i = 0; i <= preempt->count && !found; i++) {
		buf_init(&wanted, REPLY_MAX);
		wire_write_victims(&wanted, i < preempt->count ? &preempt->nodes[i] : NULL, i < preempt->count);
		found = slice_equal(buf_slice(&wanted), buf_slice(reply));
		overcommitted |= found && i < preempt->count;
		buf_free(&wanted);
	}
	CHECK(found);
}

/* --- steps --- */

typedef unsigned answer_fn(void *ctx, const struct wire_args *args, struct buf *reply);
typedef void check_fn(const struct buf *reply, const struct wire_args *args);

static void call_args(struct slice body, struct arena *arena, answer_fn *answer, check_fn *check)
{
	struct wire_args args;
	struct buf first, second;
	struct err err;

	if (wire_read_args(body, arena, &args, &err)) {
		CHECK(err.code == ERR_INPUT);
		return;
	}
	check_object(args.pod);
	for (size_t i = 0; i < args.count; i++)
		args.by_name ? check_text(args.items[i]) : check_object(args.items[i]);
	buf_init(&first, REPLY_MAX);
	buf_init(&second, REPLY_MAX);
	unsigned status = answer(&scheduler, &args, &first);
	CHECK(!first.overflow && (status == 200 || status == 400));
	if (status == 200)
		check(&first, &args);
	else
		check_object(buf_slice(&first));
	CHECK(answer(&scheduler, &args, &second) == status);
	CHECK(slice_equal(buf_slice(&first), buf_slice(&second)));
	buf_free(&first);
	buf_free(&second);
}

static void call_preempt(struct slice body, struct arena *arena)
{
	struct wire_preempt preempt;
	struct buf reply;
	struct err err;

	if (wire_read_preempt(body, arena, &preempt, &err)) {
		CHECK(err.code == ERR_INPUT);
		return;
	}
	check_object(preempt.pod);
	for (size_t i = 0; i < preempt.count; i++) {
		check_text(preempt.nodes[i].node);
		for (size_t j = 0; j < preempt.nodes[i].uid_count; j++)
			check_text(preempt.nodes[i].uids[j]);
	}
	buf_init(&reply, REPLY_MAX);
	unsigned status = preempt_answer(&scheduler, &preempt, &reply);
	CHECK(!reply.overflow && (status == 200 || status == 400));
	if (status == 200)
		check_victims(&reply, &preempt);
	buf_free(&reply);
}

static void call_bind(struct slice body)
{
	struct verbs_bind *bind = &binds[bind_count];
	struct err err;

	if (bind_count == BINDS_MAX)
		return;
	*bind = (struct verbs_bind){.data = NULL};
	arena_init(&bind->arena, 256);
	if (wire_read_bind(body, &bind->arena, &bind->wire, &err)) {
		CHECK(err.code == ERR_INPUT);
		arena_free(&bind->arena);
		return;
	}
	bind_count++;
	const struct slice texts[] = {
	    bind->wire.pod_name, bind->wire.pod_namespace, bind->wire.pod_uid, bind->wire.node};
	for (size_t i = 0; i < 4; i++) {
		CHECK(texts[i].len > 0);
		check_text(texts[i]);
	}
	bind_begin(&scheduler, &bind->wire, bind);
}

static void hang_up(void)
{
	for (size_t i = 0; i < bind_count; i++)
		if (!binds[i].over) {
			bind_gone(&scheduler, &binds[i]);
			binds[i].over = true;
			return;
		}
}

static void answer_api(struct slice text)
{
	static const unsigned statuses[] = {200, 404, 500, 0};
	unsigned how = text.len ? (unsigned char)text.at[0] : 0;

	if (api_answered == api_count)
		return;
	struct api_call call = api_calls[api_answered++];
	if (call.bind_done) {
		call.bind_done(call.ctx, (enum kube_bind_result)(how % (KUBE_BIND_FAILED + 1)), "said by the input");
		return;
	}
	struct kube_answer answer = {.status = statuses[how % 4], .error = "said by the input"};
	answer.code = answer.status ? 0 : ERR_UNREACHABLE;
	if (text.len > 1)
		answer.body = (struct slice){text.at + 1, text.len - 1};
	call.done(call.ctx, &answer);
}

static void step(char what, struct slice text, struct arena *arena)
{
	overcommitted |= what == 'N' || what == 'P' || what == 'A';
	switch (what) {
	case 'f':
		call_args(text, arena, filter_answer, check_filtered);
		break;
	case 's':
		call_args(text, arena, prioritize_answer, check_scores);
		break;
	case 'p':
		call_preempt(text, arena);
		break;
	case 'b':
		call_bind(text);
		break;
	case 'N':
		feed_nodes.object(&scheduler, KUBE_SEEN, text);
		break;
	case 'P':
		feed_pods.object(&scheduler, KUBE_SEEN, text);
		break;
	case 'D':
		feed_pods.object(&scheduler, KUBE_DELETED, text);
		break;
	case 'J':
		jobs.object(jobs.ctx, KUBE_SEEN, text);
		break;
	case 'K':
		jobs.object(jobs.ctx, KUBE_DELETED, text);
		break;
	case 'A':
		answer_api(text);
		break;
	case 'G':
		hang_up();
		break;
	case 'T':
		hint_on_timer(&scheduler.hint_timer);
		gang_on_timer(&scheduler.gang_timer);
		gang_reserve_on_timer(&scheduler.reserve_timer);
		repartition_on_timer(&scheduler.repartition_timer);
		wake_now(&scheduler);
		break;
	default:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice left = {(const char *)data, size};
	struct arena arena;

	begin(&scheduler);
	arena_init(&arena, 4096);
	for (size_t i = 0; i < STEPS_MAX && left.len > 0; i++) {
		const char *mark = memchr(left.at, SEPARATOR, left.len);
		size_t len = mark ? (size_t)(mark - left.at) : left.len;

		if (len > 0)
			step(left.at[0], (struct slice){left.at + 1, len - 1}, &arena);
		check_ledger();
		arena_reset(&arena);
		len += mark != NULL;
		left = (struct slice){left.at + len, left.len - len};
	}
	arena_free(&arena);
	end(&scheduler);
	return 0;
}
