#include "extender/verbs.h"

#include <stdlib.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "berth/reason.h"
#include "http/server.h"

#define SCRATCH_FIRST (1u << 20) /* holds the names of 64,000 nodes */
#define REPLY_MAX (256u << 20)   /* WIRE_NAMES_MAX refusals with their texts, behind names of VERBS_BODY_MAX */
#define BIND_ARENA_FIRST 256

struct verbs_bind {
	struct verbs *verbs;
	struct http_request *request;
	struct arena arena;
	struct wire_bind wire;
	void *data;
	bool in_handler, answered;
	TAILQ_ENTRY(verbs_bind) link;
};

TAILQ_HEAD(bind_list, verbs_bind);

/* An answer of filter that is kept back. */
struct held_answer {
	struct verbs *verbs;
	struct http_request *request;
	struct buf reply;
	TAILQ_ENTRY(held_answer) link;
};

TAILQ_HEAD(held_list, held_answer);

struct verbs {
	struct http_server *server;
	struct verbs_handlers handlers;
	struct arena scratch; /* of the call that is being answered */
	struct buf reply;
	struct bind_list parked;
	size_t parked_count;
	struct held_list held;
	void (*stopped)(void *ctx);
	void *stopped_ctx;
};

struct verb {
	const char *path, *name;
	void (*call)(struct verbs *verbs, const struct verb *verb, struct http_request *request);
	bool may_be_held;
};

/* --- answers --- */

static void report(struct verbs *verbs, const char *verb, unsigned status, int64_t started_ns)
{
	if (verbs->handlers.answered)
		verbs->handlers.answered(verbs->handlers.ctx, verb, status, clock_now() - started_ns);
}

static void refuse(
    struct verbs *verbs, const char *verb, struct http_request *request, unsigned status, const char *text)
{
	int64_t started_ns = http_started(request);

	http_answer_error(request, status, "%s", text);
	report(verbs, verb, status, started_ns);
}

static void send_reply(struct http_request *request, unsigned status, struct buf *reply)
{
	size_t len = reply->len;

	http_answer(request, status, NULL, buf_take(reply), len);
}

static void answer(
    struct verbs *verbs, const char *verb, struct http_request *request, unsigned status, struct buf *reply)
{
	int64_t started_ns = http_started(request);

	if (reply->overflow) {
		buf_free(reply);
		refuse(verbs, verb, request, 500, "the answer is too large");
		return;
	}
	send_reply(request, status, reply);
	report(verbs, verb, status, started_ns);
}

/* --- answers of filter that are kept back --- */

static void held_free(struct held_answer *held)
{
	TAILQ_REMOVE(&held->verbs->held, held, link);
	buf_free(&held->reply);
	free(held);
}

static void held_hung_up(void *ctx)
{
	held_free(ctx);
}

/* What the call took ends here: the rest is spent on others. */
static void hold(struct verbs *verbs, const char *verb, struct http_request *request, unsigned status)
{
	struct held_answer *held = xcalloc(1, sizeof(*held));

	held->verbs = verbs;
	held->request = request;
	held->reply = verbs->reply;
	buf_init(&verbs->reply, REPLY_MAX);
	TAILQ_INSERT_TAIL(&verbs->held, held, link);
	http_park(request, held_hung_up, held);
	report(verbs, verb, status, http_started(request));
}

void verbs_release(struct verbs *verbs)
{
	for (struct held_answer *held; (held = TAILQ_FIRST(&verbs->held));) {
		send_reply(held->request, 200, &held->reply);
		held_free(held);
	}
}

/* --- the verbs that do not wait --- */

static bool is_held(const struct verbs *verbs, const struct verb *verb)
{
	const struct verbs_handlers *handlers = &verbs->handlers;

	return verb->may_be_held && !verbs->reply.overflow && handlers->holds && handlers->holds(handlers->ctx);
}

static void call_args(struct verbs *verbs, const struct verb *verb, struct http_request *request,
    unsigned (*handler)(void *ctx, const struct wire_args *args, struct buf *reply))
{
	struct wire_args args;
	struct err err;

	if (wire_read_args(http_body(request), &verbs->scratch, &args, &err)) {
		refuse(verbs, verb->name, request, 400, err.text);
		return;
	}
	unsigned status = handler(verbs->handlers.ctx, &args, &verbs->reply);
	if (status == 200 && is_held(verbs, verb))
		hold(verbs, verb->name, request, status);
	else
		answer(verbs, verb->name, request, status, &verbs->reply);
}

static void call_filter(struct verbs *verbs, const struct verb *verb, struct http_request *request)
{
	call_args(verbs, verb, request, verbs->handlers.filter);
}

static void call_prioritize(struct verbs *verbs, const struct verb *verb, struct http_request *request)
{
	call_args(verbs, verb, request, verbs->handlers.prioritize);
}

static void call_preempt(struct verbs *verbs, const struct verb *verb, struct http_request *request)
{
	struct wire_preempt preempt;
	struct err err;

	if (wire_read_preempt(http_body(request), &verbs->scratch, &preempt, &err)) {
		refuse(verbs, verb->name, request, 400, err.text);
		return;
	}
	unsigned status = verbs->handlers.preempt(verbs->handlers.ctx, &preempt, &verbs->reply);
	answer(verbs, verb->name, request, status, &verbs->reply);
}

/* --- bind --- */

/* In a buffer of its own: a parked bind may be answered while another verb's reply is being written. */
static void answer_bind(struct verbs *verbs, struct http_request *request, const char *error)
{
	struct buf reply;

	buf_init(&reply, REPLY_MAX);
	wire_write_bind(&reply, error);
	answer(verbs, "bind", request, 200, &reply);
}

static void bind_unlink(struct verbs_bind *bind)
{
	TAILQ_REMOVE(&bind->verbs->parked, bind, link);
	bind->verbs->parked_count--;
}

static void bind_free(struct verbs_bind *bind)
{
	arena_free(&bind->arena);
	free(bind);
}

static void bind_hung_up(void *ctx)
{
	struct verbs_bind *bind = ctx;

	bind_unlink(bind);
	bind->verbs->handlers.bind_gone(bind->verbs->handlers.ctx, bind);
	bind_free(bind);
}

static void call_bind(struct verbs *verbs, const struct verb *verb, struct http_request *request)
{
	struct verbs_bind *bind = xcalloc(1, sizeof(*bind));
	struct err err;

	bind->verbs = verbs;
	bind->request = request;
	arena_init(&bind->arena, BIND_ARENA_FIRST);
	if (wire_read_bind(http_body(request), &bind->arena, &bind->wire, &err)) {
		bind_free(bind);
		refuse(verbs, verb->name, request, 400, err.text);
		return;
	}
	TAILQ_INSERT_TAIL(&verbs->parked, bind, link);
	verbs->parked_count++;
	bind->in_handler = true;
	verbs->handlers.bind(verbs->handlers.ctx, &bind->wire, bind);
	bind->in_handler = false;
	if (bind->answered)
		bind_free(bind);
	else
		http_park(request, bind_hung_up, bind);
}

void verbs_bind_answer(struct verbs_bind *parked, const char *error)
{
	struct verbs *verbs = parked->verbs;

	bind_unlink(parked);
	answer_bind(verbs, parked->request, error);
	parked->answered = true;
	/* In the handler the caller may still look at its request. */
	if (!parked->in_handler)
		bind_free(parked);
}

void verbs_bind_set(struct verbs_bind *parked, void *data)
{
	parked->data = data;
}

void *verbs_bind_get(const struct verbs_bind *parked)
{
	return parked->data;
}

size_t verbs_parked(const struct verbs *verbs)
{
	return verbs->parked_count;
}

/* --- the listener --- */

static const struct verb table[] = {
    {"/v1/filter", "filter", call_filter, true},
    {"/v1/prioritize", "prioritize", call_prioritize, false},
    {"/v1/bind", "bind", call_bind, false},
    {"/v1/preempt", "preempt", call_preempt, false},
};

static const struct verb *find_verb(struct slice path)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (slice_is(path, table[i].path))
			return &table[i];
	return NULL;
}

static void handle(void *ctx, struct http_request *request)
{
	struct verbs *verbs = ctx;
	const struct verb *verb = find_verb(http_path(request));

	if (!verb) {
		http_answer_error(
		    request, 404, "no such path: there are /v1/filter, /v1/prioritize, /v1/bind and /v1/preempt");
		return;
	}
	if (!slice_is(http_method(request), "POST")) {
		http_add_header(request, "Allow", "POST");
		http_answer_error(request, 405, "%s takes POST only", verb->path);
		return;
	}
	arena_reset(&verbs->scratch);
	verb->call(verbs, verb, request);
}

struct verbs *verbs_start(uv_loop_t *loop, const char *listen, const struct verbs_handlers *handlers, struct err *err)
{
	struct verbs *verbs = xcalloc(1, sizeof(*verbs));
	struct http_server_options options = {
	    .listen = listen,
	    .body_max = VERBS_BODY_MAX,
	    .connections_max = VERBS_CONNECTIONS_MAX,
	    .idle_s = VERBS_IDLE_S,
	    .deadline_ms = VERBS_DEADLINE_MS,
	    .handler = handle,
	    .ctx = verbs,
	};

	verbs->server = http_server_start(loop, &options, err);
	if (!verbs->server) {
		free(verbs);
		return NULL;
	}
	verbs->handlers = *handlers;
	arena_init(&verbs->scratch, SCRATCH_FIRST);
	buf_init(&verbs->reply, REPLY_MAX);
	TAILQ_INIT(&verbs->parked);
	TAILQ_INIT(&verbs->held);
	return verbs;
}

unsigned verbs_port(const struct verbs *verbs)
{
	return http_server_port(verbs->server);
}

static void server_stopped(void *ctx)
{
	struct verbs *verbs = ctx;
	void (*stopped)(void *ctx) = verbs->stopped;
	void *stopped_ctx = verbs->stopped_ctx;

	arena_free(&verbs->scratch);
	buf_free(&verbs->reply);
	free(verbs);
	if (stopped)
		stopped(stopped_ctx);
}

void verbs_stop(struct verbs *verbs, void (*done)(void *ctx), void *ctx)
{
	struct verbs_bind *bind;

	verbs->stopped = done;
	verbs->stopped_ctx = ctx;
	verbs_release(verbs);
	while ((bind = TAILQ_FIRST(&verbs->parked))) {
		verbs->handlers.bind_gone(verbs->handlers.ctx, bind);
		verbs_bind_answer(bind, reason_text(REASON_CODE_STOPPING));
	}
	http_server_stop(verbs->server, server_stopped, verbs);
}
