#include "extender/ops.h"

#include <stdlib.h>

#include "http/server.h"

#define OPS_BODY_MAX 4096
#define OPS_CONNECTIONS_MAX 256
#define OPS_IDLE_S 60
#define OPS_DEADLINE_MS 10000

#define TYPE_TEXT "text/plain; charset=utf-8"
#define TYPE_METRICS "text/plain; version=0.0.4; charset=utf-8"

struct ops {
	struct http_server *server;
	struct ops_handlers handlers;
	void (*stopped)(void *ctx);
	void *stopped_ctx;
};

static void answer(struct http_request *request, unsigned status, const char *type, struct buf *out)
{
	size_t len = out->len;

	if (out->overflow) {
		buf_free(out);
		http_answer_error(request, 500, "the answer is too large");
		return;
	}
	http_answer(request, status, type, buf_take(out), len);
}

static void get_healthz(struct ops *ops, struct http_request *request)
{
	(void)ops;
	http_answer_text(request, 200, TYPE_TEXT, "ok\n");
}

static void get_readyz(struct ops *ops, struct http_request *request)
{
	struct buf out;

	buf_init(&out, OPS_ANSWER_MAX);
	bool ready = ops->handlers.ready(ops->handlers.ctx, &out);
	answer(request, ready ? 200 : 503, TYPE_TEXT, &out);
}

static void get_metrics(struct ops *ops, struct http_request *request)
{
	struct buf out;

	buf_init(&out, OPS_ANSWER_MAX);
	ops->handlers.metrics(ops->handlers.ctx, &out);
	answer(request, 200, TYPE_METRICS, &out);
}

static void get_state(struct ops *ops, struct http_request *request)
{
	struct buf out;

	buf_init(&out, OPS_ANSWER_MAX);
	ops->handlers.state(ops->handlers.ctx, &out);
	answer(request, 200, NULL, &out);
}

static void get_status(struct ops *ops, struct http_request *request)
{
	struct buf out;

	buf_init(&out, OPS_ANSWER_MAX);
	ops->handlers.status(ops->handlers.ctx, &out);
	answer(request, 200, NULL, &out);
}

static void get_queue(struct ops *ops, struct http_request *request)
{
	struct buf out;

	buf_init(&out, OPS_ANSWER_MAX);
	ops->handlers.queue(ops->handlers.ctx, &out);
	answer(request, 200, NULL, &out);
}

static void get_moves(struct ops *ops, struct http_request *request)
{
	struct buf out;

	buf_init(&out, OPS_ANSWER_MAX);
	ops->handlers.moves(ops->handlers.ctx, &out);
	answer(request, 200, NULL, &out);
}

static bool is_pod_name(const char *pod)
{
	const char *slash = pod ? strchr(pod, '/') : NULL;

	return slash && slash > pod && slash[1] != '\0' && !strchr(slash + 1, '/');
}

static void get_explain(struct ops *ops, struct http_request *request)
{
	const char *pod = http_query(request, "pod");
	struct buf out;

	if (!is_pod_name(pod)) {
		http_answer_error(request, 400, "which pod? /v1/explain?pod=NAMESPACE/NAME");
		return;
	}
	buf_init(&out, OPS_ANSWER_MAX);
	unsigned status = ops->handlers.explain(ops->handlers.ctx, pod, &out);
	answer(request, status, NULL, &out);
}

static const struct {
	const char *path;
	void (*get)(struct ops *ops, struct http_request *request);
} table[] = {
    {"/healthz", get_healthz},
    {"/readyz", get_readyz},
    {"/metrics", get_metrics},
    {"/v1/state", get_state},
    {"/v1/status", get_status},
    {"/v1/queue", get_queue},
    {"/v1/moves", get_moves},
    {"/v1/explain", get_explain},
};

static void handle(void *ctx, struct http_request *request)
{
	struct slice path = http_path(request), method = http_method(request);
	size_t i = 0;

	while (i < sizeof(table) / sizeof(table[0]) && !slice_is(path, table[i].path))
		i++;
	if (i == sizeof(table) / sizeof(table[0])) {
		http_answer_error(request, 404,
		    "no such path: there are /healthz, /readyz, /metrics, /v1/state, /v1/status, /v1/queue, "
		    "/v1/moves and /v1/explain?pod=NAMESPACE/NAME");
	} else if (!slice_is(method, "GET") && !slice_is(method, "HEAD")) {
		http_add_header(request, "Allow", "GET, HEAD");
		http_answer_error(request, 405, "%s takes GET and HEAD only", table[i].path);
	} else {
		table[i].get(ctx, request);
	}
}

struct ops *ops_start(uv_loop_t *loop, const char *listen, const struct ops_handlers *handlers, struct err *err)
{
	struct ops *ops = xcalloc(1, sizeof(*ops));
	struct http_server_options options = {
	    .listen = listen,
	    .body_max = OPS_BODY_MAX,
	    .connections_max = OPS_CONNECTIONS_MAX,
	    .idle_s = OPS_IDLE_S,
	    .deadline_ms = OPS_DEADLINE_MS,
	    .handler = handle,
	    .ctx = ops,
	};

	ops->handlers = *handlers;
	ops->server = http_server_start(loop, &options, err);
	if (!ops->server) {
		free(ops);
		return NULL;
	}
	return ops;
}

unsigned ops_port(const struct ops *ops)
{
	return http_server_port(ops->server);
}

static void server_stopped(void *ctx)
{
	struct ops *ops = ctx;
	void (*stopped)(void *ctx) = ops->stopped;
	void *stopped_ctx = ops->stopped_ctx;

	free(ops);
	if (stopped)
		stopped(stopped_ctx);
}

void ops_stop(struct ops *ops, void (*done)(void *ctx), void *ctx)
{
	ops->stopped = done;
	ops->stopped_ctx = ctx;
	http_server_stop(ops->server, server_stopped, ops);
}
