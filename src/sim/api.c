#include "sim/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "sim/api_internal.h"

#define IDLE_S 180
#define DEADLINE_MS 30000
#define BOOKMARK_MS 5000
#define GROUPS_MAX 4096

/* A request that a fault rule delays or holds. */
struct sim_parked {
	struct sim_call call;
	struct sim_fault rule;
	uv_timer_t timer;
	TAILQ_ENTRY(sim_parked) link;
};

/* --- dispatch --- */

static void serve_collection(const struct sim_call *call, struct slice method)
{
	const char *watch = http_query(call->http, "watch");

	if (slice_is(method, "GET") && watch && (strcmp(watch, "true") == 0 || strcmp(watch, "1") == 0)) {
		call->api->stats.watch++;
		sim_watch_open(call);
	} else if (slice_is(method, "GET")) {
		call->api->stats.list++;
		sim_list(call);
	} else if (slice_is(method, "POST")) {
		sim_create(call);
	} else {
		sim_answer_status(call, 405, "the server does not allow this method on the requested resource");
	}
}

static void serve_object(const struct sim_call *call, struct slice method)
{
	bool writable = call->route.sub == SIM_SUB_NONE || call->route.sub == SIM_SUB_STATUS;

	if (slice_is(method, "GET") && writable)
		sim_get(call);
	else if (slice_is(method, "PUT") && writable)
		sim_update(call);
	else if (slice_is(method, "PATCH") && writable)
		sim_patch_object(call);
	else if (slice_is(method, "DELETE") && call->route.sub == SIM_SUB_NONE)
		sim_delete(call);
	else if (slice_is(method, "POST") && call->route.sub == SIM_SUB_BINDING)
		sim_bind(call);
	else if (slice_is(method, "POST") && call->route.sub == SIM_SUB_EVICTION)
		sim_evict(call);
	else
		sim_answer_status(call, 405, "the server does not allow this method on the requested resource");
}

static void serve_groups(const struct sim_call *call)
{
	struct buf out;

	buf_init(&out, GROUPS_MAX);
	buf_text(&out, "{\"kind\":\"APIGroupList\",\"apiVersion\":\"v1\",\"groups\":[");
	for (unsigned i = 0, count = 0; i < SIM_RESOURCE_COUNT; i++) {
		const char *group = sim_resources[i].group_version, *slash = strchr(group, '/');

		if (!slash)
			continue;
		buf_printf(&out, "%s{\"name\":\"%.*s\",\"versions\":[{\"groupVersion\":\"%s\",\"version\":\"%s\"}]}",
		    count++ ? "," : "", (int)(slash - group), group, group, slash + 1);
	}
	buf_text(&out, "]}");
	size_t len = out.len;
	http_answer(call->http, 200, NULL, buf_take(&out), len);
}

static void dispatch(struct sim_call *call)
{
	struct slice path = http_path(call->http), method = http_method(call->http);

	if (sim_route_parse(path, &call->route)) {
		if (call->route.name[0])
			serve_object(call, method);
		else
			serve_collection(call, method);
	} else if (sim_route_is_group(path)) {
		http_answer_text(call->http, 200, NULL, "{\"kind\":\"APIResourceList\",\"apiVersion\":\"v1\"}");
	} else if (slice_is(path, "/apis")) {
		serve_groups(call);
	} else if (slice_is(path, "/healthz") || slice_is(path, "/readyz") || slice_is(path, "/livez")) {
		http_answer_text(call->http, 200, "text/plain", "ok");
	} else if (slice_is(path, "/version")) {
		http_answer_text(call->http, 200, NULL,
		    "{\"major\":\"1\",\"minor\":\"36\",\"gitVersion\":\"v1.36.3-sim\",\"platform\":\"sim\"}");
	} else {
		sim_answer_status(call, 404, "the server could not find the requested resource");
	}
}

/* --- faults --- */

struct sim_faults *sim_api_faults(struct sim_api *api)
{
	return &api->faults;
}

static void carry_out(struct sim_call *call, const struct sim_fault *rule)
{
	char seconds[16];

	if (rule->status) {
		if (rule->retry_after_s >= 0) {
			snprintf(seconds, sizeof seconds, "%d", rule->retry_after_s);
			http_add_header(call->http, "Retry-After", seconds);
		}
		sim_answer_status(call, rule->status, "injected fault");
		return;
	}
	call->cut = rule->cut;
	call->drop = rule->drop;
	dispatch(call);
}

static void free_parked(uv_handle_t *handle)
{
	struct sim_parked *parked = handle->data;

	free(parked);
}

static void unpark(struct sim_parked *parked)
{
	TAILQ_REMOVE(&parked->call.api->parked, parked, link);
	uv_close((uv_handle_t *)&parked->timer, free_parked);
}

static void parked_gone(void *ctx)
{
	unpark(ctx);
}

static void go_on(struct sim_parked *parked)
{
	struct sim_call call = parked->call;
	struct sim_fault rule = parked->rule;

	unpark(parked);
	carry_out(&call, &rule);
}

static void delay_over(uv_timer_t *timer)
{
	go_on(timer->data);
}

static void park(const struct sim_call *call, const struct sim_fault *rule)
{
	struct sim_parked *parked = xcalloc(1, sizeof *parked);

	parked->call = *call;
	parked->rule = *rule;
	uv_timer_init(call->api->loop, &parked->timer);
	parked->timer.data = parked;
	TAILQ_INSERT_TAIL(&call->api->parked, parked, link);
	http_park(call->http, parked_gone, parked);
	if (!rule->hold)
		uv_timer_start(&parked->timer, delay_over, rule->delay_ms, 0);
}

void sim_api_release(struct sim_api *api)
{
	struct sim_parked *parked, *next;

	for (parked = TAILQ_FIRST(&api->parked); parked; parked = next) {
		next = TAILQ_NEXT(parked, link);
		if (parked->rule.hold)
			go_on(parked);
	}
}

static bool authorized(const struct sim_call *call)
{
	const char *header = http_header(call->http, "Authorization");

	if (!call->api->token)
		return true;
	return header && strncmp(header, "Bearer ", 7) == 0 && strcmp(header + 7, call->api->token) == 0;
}

static void handle(void *ctx, struct http_request *http)
{
	struct sim_call call = {.api = ctx, .http = http};
	struct slice path = http_path(http);
	struct sim_fault rule;

	if (path.len >= 5 && memcmp(path.at, "/sim/", 5) == 0) {
		sim_control(&call);
		return;
	}
	if (!authorized(&call)) {
		sim_answer_status(&call, 401, "Unauthorized");
		return;
	}
	if (!sim_fault_take(&call.api->faults, http_method(http), path, &rule))
		dispatch(&call);
	else if (rule.hold || rule.delay_ms)
		park(&call, &rule);
	else
		carry_out(&call, &rule);
}

/* --- start and stop --- */

struct sim_api *sim_api_start(
    uv_loop_t *loop, struct sim_store *store, const struct sim_api_options *options, struct err *err)
{
	struct sim_api *api = xcalloc(1, sizeof *api);
	struct http_server_options server = {
	    .listen = options->listen ? options->listen : "127.0.0.1:0",
	    .body_max = SIM_BODY_MAX,
	    .connections_max = SIM_CONNECTIONS_MAX,
	    .idle_s = IDLE_S,
	    .deadline_ms = DEADLINE_MS,
	    .handler = handle,
	    .ctx = api,
	};

	api->loop = loop;
	api->store = store;
	api->bookmark_ns = (options->bookmark_ms ? options->bookmark_ms : BOOKMARK_MS) * NS_PER_MS;
	TAILQ_INIT(&api->watches);
	TAILQ_INIT(&api->parked);
	api->server = http_server_start(loop, &server, err);
	if (!api->server) {
		free(api);
		return NULL;
	}
	api->token = options->token ? xstrdup(options->token) : NULL;
	uv_timer_init(loop, &api->pump);
	api->pump.data = api;
	sim_store_observe(store, sim_watch_changed, api);
	return api;
}

unsigned sim_api_port(const struct sim_api *api)
{
	return http_server_port(api->server);
}

static void closed_one(struct sim_api *api)
{
	if (--api->closing > 0)
		return;
	sim_snapshots_free(api);
	free(api->token);
	void (*stopped)(void *ctx) = api->stopped;
	void *ctx = api->stopped_ctx;

	free(api);
	if (stopped)
		stopped(ctx);
}

static void pump_closed(uv_handle_t *handle)
{
	closed_one(handle->data);
}

static void server_stopped(void *ctx)
{
	closed_one(ctx);
}

void sim_api_stop(struct sim_api *api, void (*done)(void *ctx), void *ctx)
{
	api->stopping = true;
	api->stopped = done;
	api->stopped_ctx = ctx;
	api->closing = 2;
	sim_store_unobserve(api->store, api);
	sim_api_drop_watches(api);
	uv_close((uv_handle_t *)&api->pump, pump_closed);
	http_server_stop(api->server, server_stopped, api);
}

struct sim_api_stats sim_api_stats(const struct sim_api *api)
{
	return api->stats;
}
