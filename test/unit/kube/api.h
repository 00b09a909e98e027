/* An API server for tests: the real HTTP server, with answers from the test, and a kube client on the same loop. */
#ifndef TEST_KUBE_API_H
#define TEST_KUBE_API_H

#include "../http/raw.h"

#include "berth/alloc.h"
#include "kube/kube.h"

#define API_CALLS_MAX 256

struct api;
typedef void api_answer(struct api *api, struct http_request *request, unsigned call);

struct api {
	uv_loop_t loop;
	struct http_server *server;
	struct kube *kube;
	api_answer *answer;
	void *ctx;
	unsigned calls, stopped;
	char *lines[API_CALLS_MAX]; /* "METHOD path?query body" of each call */
	struct http_request *stream;
	unsigned streams_gone;
};

static inline void api_handle(void *ctx, struct http_request *request)
{
	struct api *api = ctx;
	struct slice method = http_method(request), path = http_path(request), body = http_body(request);
	const char *names[] = {"limit", "continue", "watch", "resourceVersion", "allowWatchBookmarks", "fieldSelector"};
	char query[1024] = "";

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const char *value = http_query(request, names[i]);
		size_t len = strlen(query);
		if (value)
			snprintf(query + len, sizeof(query) - len, "%s%s=%s", len ? "&" : "?", names[i], value);
	}
	assert_true(api->calls < API_CALLS_MAX);
	size_t room = method.len + path.len + body.len + sizeof(query) + 8;
	char *line = malloc(room);
	snprintf(line, room, "%.*s %.*s%s %.*s", (int)method.len, method.at, (int)path.len, path.at, query,
	    (int)body.len, body.at);
	api->lines[api->calls++] = line;
	api->answer(api, request, api->calls);
}

static inline void api_stream_gone(void *ctx)
{
	struct api *api = ctx;
	api->stream = NULL;
	api->streams_gone++;
}

static inline void api_json(struct http_request *request, unsigned status, const char *text)
{
	http_answer(request, status, NULL, xstrdup(text), strlen(text));
}

static inline void api_status(struct http_request *request, unsigned status, const char *reason, const char *message)
{
	char text[512];
	snprintf(text, sizeof(text),
	    "{\"kind\":\"Status\",\"status\":\"Failure\",\"message\":\"%s\",\"reason\":\"%s\",\"code\":%u}", message,
	    reason, status);
	api_json(request, status, text);
}

static inline void api_serve(struct api *api, api_answer *answer, void *ctx)
{
	struct err err;

	memset(api, 0, sizeof(*api));
	uv_loop_init(&api->loop);
	api->answer = answer;
	api->ctx = ctx;
	struct http_server_options options = {
	    .listen = "127.0.0.1:0",
	    .body_max = 4 << 20,
	    .connections_max = 256,
	    .idle_s = 120,
	    .handler = api_handle,
	    .ctx = api,
	};
	api->server = http_server_start(&api->loop, &options, &err);
	assert_non_null(api->server);
}

static inline void api_open(struct api *api, struct kube_config config, struct kube_options options)
{
	struct err err;
	char server[64];

	snprintf(server, sizeof(server), "http://127.0.0.1:%u", http_server_port(api->server));
	config.server = server;
	api->kube = kube_open(&api->loop, &config, &options, &err);
	assert_non_null(api->kube);
}

static inline void api_start(struct api *api, api_answer *answer, void *ctx)
{
	api_serve(api, answer, ctx);
	api_open(api, (struct kube_config){0}, (struct kube_options){0});
}

static inline void api_stopped(void *ctx)
{
	struct api *api = ctx;
	api->stopped++;
}

static inline void api_stop(struct api *api)
{
	if (api->kube)
		kube_close(api->kube);
	http_server_stop(api->server, api_stopped, api);
	loop_until(&api->loop, &api->stopped, 1);
	assert_int_equal(uv_run(&api->loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(&api->loop), 0);
	for (unsigned i = 0; i < api->calls; i++)
		free(api->lines[i]);
}

#define assert_call(api, index, text)                                                                                  \
	do {                                                                                                           \
		assert_true((api)->calls > (index));                                                                   \
		if (strncmp((api)->lines[index], text, strlen(text)) != 0)                                             \
			fail_msg("call %u is \"%s\", not \"%s\"", (unsigned)(index), (api)->lines[index], text);       \
	} while (0)

#endif
