/* What the tests of src/sim share: a loop with a cluster on it, and HTTP calls that wait for their answer. */
#ifndef TEST_SIM_HARNESS_H
#define TEST_SIM_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "http/client.h"
#include "sim/cluster.h"

#define WAIT_MS 5000
#define UNUSED __attribute__((unused))

struct harness {
	uv_loop_t loop;
	uv_timer_t clock;
	unsigned ticks;
	struct sim_cluster *cluster;
	struct http_client *client;
	char base[64];
};

struct reply {
	bool done;
	int code;
	unsigned status;
	int64_t retry_after_ns;
	char *body; /* freed by the next call into the same reply, or by reply_free */
};

static UNUSED void tick(uv_timer_t *timer)
{
	unsigned *left = timer->data;

	/* A slow round runs the timers twice. */
	*left -= *left > 0;
}

#define TICK_MS 10

/* Runs the loop until the flag is set, or the time is over. That is told in rounds of the loop, one at most for each
 * tick: a machine that is busy with others slows down what is waited for and who waits alike. */
static UNUSED bool run_until(struct harness *h, const bool *flag, unsigned ms)
{
	h->ticks = ms / TICK_MS;
	h->clock.data = &h->ticks;
	uv_timer_start(&h->clock, tick, TICK_MS, TICK_MS);
	while (!*flag && h->ticks > 0)
		uv_run(&h->loop, UV_RUN_ONCE);
	uv_timer_stop(&h->clock);
	return *flag;
}

static UNUSED void run_ms(struct harness *h, unsigned ms)
{
	static const bool never = false;

	run_until(h, &never, ms);
}

static UNUSED void open_harness(struct harness *h, const struct sim_cluster_options *options)
{
	struct err err;

	memset(h, 0, sizeof *h);
	uv_loop_init(&h->loop);
	uv_timer_init(&h->loop, &h->clock);
	h->cluster = sim_cluster_start(&h->loop, options, &err);
	assert_non_null(h->cluster);
	h->client = http_client_open(&h->loop, &(struct http_client_options){.connections_max = 16}, &err);
	assert_non_null(h->client);
	snprintf(h->base, sizeof h->base, "http://127.0.0.1:%u", sim_api_port(sim_cluster_api(h->cluster)));
}

static UNUSED void close_harness(struct harness *h)
{
	http_client_close(h->client);
	sim_cluster_stop(h->cluster);
	uv_close((uv_handle_t *)&h->clock, NULL);
	uv_run(&h->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&h->loop), 0);
}

static UNUSED void reply_done(void *ctx, const struct http_result *result)
{
	struct reply *reply = ctx;

	reply->done = true;
	reply->code = result->code;
	reply->status = result->status;
	reply->retry_after_ns = result->retry_after_ns;
	free(reply->body);
	reply->body = xstrndup(result->body.at ? result->body.at : "", result->body.len);
}

static UNUSED void reply_free(struct reply *reply)
{
	free(reply->body);
	reply->body = NULL;
}

/* Starts a call; body NULL = none. */
static UNUSED void start_call(
    struct harness *h, const char *method, const char *path, const char *type, const char *body, struct reply *reply)
{
	char url[512];

	snprintf(url, sizeof url, "%s%s", h->base, path);
	reply->done = false;
	http_call(h->client, &(struct http_call_spec){.method = method,
	                         .url = url,
	                         .content_type = body ? (type ? type : "application/json") : NULL,
	                         .accept = !body ? type : NULL,
	                         .body = slice_of(body ? body : ""),
	                         .answer_max = 64u << 20,
	                         .timeout_ms = WAIT_MS,
	                         .done = reply_done,
	                         .ctx = reply});
}

/* The status, or 0 when no whole answer came. `type` is the body's Content-Type or, without body, what is accepted. */
static UNUSED unsigned call(
    struct harness *h, const char *method, const char *path, const char *type, const char *body, struct reply *reply)
{
	start_call(h, method, path, type, body, reply);
	assert_true(run_until(h, &reply->done, 2 * WAIT_MS));
	return reply->code == 0 ? reply->status : 0;
}

/* A string at a dotted path of the reply ("metadata.uid"), in a static buffer; "" when it is none. */
static UNUSED const char *text_at(const struct reply *reply, const char *path)
{
	static char out[1024];
	char copy[256], *rest;
	json_t *tree = json_loads(reply->body, 0, NULL), *at = tree;

	snprintf(copy, sizeof copy, "%s", path);
	for (char *key = strtok_r(copy, ".", &rest); key; key = strtok_r(NULL, ".", &rest))
		at = json_is_array(at) ? json_array_get(at, strtoul(key, NULL, 10)) : json_object_get(at, key);
	snprintf(out, sizeof out, "%s", json_is_string(at) ? json_string_value(at) : "");
	json_decref(tree);
	return out;
}

static UNUSED size_t items_in(const struct reply *reply)
{
	json_t *tree = json_loads(reply->body, 0, NULL);
	size_t count = json_array_size(json_object_get(tree, "items"));

	json_decref(tree);
	return count;
}

/* --- watches --- */

struct watched {
	struct buf text;
	unsigned status;
	bool over;
	int code;
	struct http_call *call;
	const char *wanted; /* flag goes up when the text has come */
	bool seen;
};

static UNUSED void watched_look(struct watched *w)
{
	w->seen = w->wanted && w->text.len && strstr(w->text.data, w->wanted);
}

static UNUSED bool watched_piece(void *ctx, const char *bytes, size_t len)
{
	struct watched *w = ctx;

	buf_add(&w->text, bytes, len);
	watched_look(w);
	return true;
}

static UNUSED void watched_done(void *ctx, const struct http_result *result)
{
	struct watched *w = ctx;

	w->over = true;
	w->code = result->code;
	w->status = result->status;
	w->call = NULL;
}

static UNUSED void watch_open(struct harness *h, const char *path, const char *accept, struct watched *w)
{
	char url[512];

	memset(w, 0, sizeof *w);
	buf_init(&w->text, 64u << 20);
	snprintf(url, sizeof url, "%s%s", h->base, path);
	w->call = http_call(h->client, &(struct http_call_spec){.method = "GET",
	                                   .url = url,
	                                   .accept = accept,
	                                   .answer_max = 1u << 20,
	                                   .piece = watched_piece,
	                                   .done = watched_done,
	                                   .ctx = w});
}

/* Runs until the text has come over the watch. */
static UNUSED bool watch_sees(struct harness *h, struct watched *w, const char *wanted)
{
	w->wanted = wanted;
	watched_look(w);
	return run_until(h, &w->seen, WAIT_MS);
}

static UNUSED void watch_close(struct watched *w)
{
	if (w->call)
		http_call_cancel(w->call);
	buf_free(&w->text);
}

/* --- objects --- */

static UNUSED struct sim_version *make(struct sim_store *store, enum sim_resource resource, const char *text)
{
	struct err err;
	json_t *tree = json_loads(text, 0, NULL);

	assert_non_null(tree);
	struct sim_version *version = sim_store_create(store, resource, tree, &err);

	json_decref(tree);
	return version;
}

static UNUSED struct sim_version *make_node(struct sim_store *store, const char *name, int gpus)
{
	char text[512];

	snprintf(text, sizeof text,
	    "{\"metadata\":{\"name\":\"%s\",\"labels\":{\"kubernetes.io/hostname\":\"%s\"}},\"spec\":{},\"status\":{"
	    "\"allocatable\":{\"cpu\":\"64\",\"memory\":\"256Gi\",\"pods\":\"110\",\"nvidia.com/"
	    "gpu\":\"%d\"},\"capacity\":{"
	    "\"cpu\":\"64\",\"memory\":\"256Gi\",\"pods\":\"110\",\"nvidia.com/"
	    "gpu\":\"%d\"},\"conditions\":[{\"type\":\"Ready\","
	    "\"status\":\"True\"}]}}",
	    name, name, gpus, gpus);
	return make(store, SIM_NODES, text);
}

/* `more` is put into spec: ",\"priority\":5". */
static UNUSED struct sim_version *make_pod(struct sim_store *store, const char *name, int gpus, const char *more)
{
	char text[1024];

	snprintf(text, sizeof text,
	    "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"d\"},\"spec\":{\"schedulerName\":\"berth\",\"containers\":["
	    "{\"name\":"
	    "\"c\",\"resources\":{\"requests\":{\"cpu\":\"1\",\"nvidia.com/"
	    "gpu\":\"%d\"}}}]%s},\"status\":{\"phase\":\"Pending\"}}",
	    name, gpus, more ? more : "");
	return make(store, SIM_PODS, text);
}

#endif
