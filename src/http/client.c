#include "http/client_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

/* --- a call --- */

void call_move(struct http_call *call, enum call_state state)
{
	TAILQ_REMOVE(&call->client->calls[call->state], call, link);
	call->state = state;
	TAILQ_INSERT_TAIL(&call->client->calls[state], call, link);
}

static void free_secret(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

static void call_free(struct http_call *call)
{
	free(call->method);
	free(call->url);
	free(call->content_type);
	free(call->accept);
	free(call->request_body);
	free_secret(call->bearer);
	buf_free(&call->answer);
	free(call);
}

static void silence_timer_closed(uv_handle_t *handle)
{
	struct http_call *call = handle->data;
	struct http_client *client = call->client;

	call_free(call);
	client_handle_closed(client);
}

/* Out of every list and, outside of libcurl, out of it. */
static void call_drop(struct http_call *call)
{
	struct http_client *client = call->client;

	TAILQ_REMOVE(&client->calls[call->state], call, link);
	if (call->cancelled)
		client->cancelled--;
	if (call->state == CALL_RUNNING)
		curl_multi_remove_handle(client->multi, call->easy);
	easy_release(call);
	if (call->has_timer)
		uv_close((uv_handle_t *)&call->silence_timer, silence_timer_closed);
	else
		call_free(call);
}

void call_fail(struct http_call *call, int code, const char *error)
{
	if (call->state == CALL_RUNNING)
		curl_multi_remove_handle(call->client->multi, call->easy);
	snprintf(call->error, sizeof(call->error), "%s", error);
	call->result.code = code;
	call->result.status = call->status;
	call->result.retry_after_ns = call->retry_after_ns;
	call->result.sent = call->state == CALL_RUNNING;
	call->result.error = call->error;
	call_move(call, CALL_FINISHED);
}

void call_finish(struct http_call *call, CURLcode code)
{
	easy_result(call, code);
	curl_multi_remove_handle(call->client->multi, call->easy);
	call_move(call, CALL_FINISHED);
}

static void silence_fired(uv_timer_t *timer)
{
	struct http_call *call = timer->data;
	struct http_client *client = call->client;
	int64_t silent_ms = (clock_now() - call->last_byte_ns) / NS_PER_MS;

	if (call->state != CALL_RUNNING)
		return;
	if (silent_ms < call->spec.silence_ms) {
		uv_timer_start(timer, silence_fired, call->spec.silence_ms - (uint64_t)silent_ms, 0);
		return;
	}
	char text[64];
	snprintf(text, sizeof(text), "nothing came for %lld ms", (long long)silent_ms);
	call_fail(call, ERR_UNREACHABLE, text);
	client_sweep(client);
}

static void call_start(struct http_call *call)
{
	struct http_client *client = call->client;

	if (!easy_prepare(call)) {
		call_fail(call, ERR_SYSTEM, "the call cannot be set up: the URL or a credential is malformed");
		return;
	}
	call_move(call, CALL_RUNNING);
	call->last_byte_ns = clock_now();
	CURLMcode code = curl_multi_add_handle(client->multi, call->easy);
	if (code != CURLM_OK) {
		call_move(call, CALL_STARTING);
		call_fail(call, ERR_SYSTEM, curl_multi_strerror(code));
		return;
	}
	if (call->has_timer)
		uv_timer_start(&call->silence_timer, silence_fired, call->spec.silence_ms, 0);
}

static char *copy_or_null(const char *text)
{
	return text ? xstrdup(text) : NULL;
}

struct http_call *http_call(struct http_client *client, const struct http_call_spec *spec)
{
	struct http_call *call = xcalloc(1, sizeof(*call));

	call->client = client;
	call->spec = *spec;
	call->method = xstrdup(spec->method);
	call->url = xstrdup(spec->url);
	call->bearer = copy_or_null(spec->bearer);
	call->content_type = copy_or_null(spec->content_type);
	call->accept = copy_or_null(spec->accept);
	call->request_len = spec->body.len;
	if (spec->body.len > 0) {
		call->request_body = xmalloc(spec->body.len);
		memcpy(call->request_body, spec->body.at, spec->body.len);
	}
	call->retry_after_ns = -1;
	buf_init(&call->answer, spec->answer_max);
	if (spec->silence_ms) {
		call->has_timer = true;
		call->silence_timer.data = call;
		uv_timer_init(client->loop, &call->silence_timer);
		client->handles++;
	}
	call->state = CALL_STARTING;
	TAILQ_INSERT_TAIL(&client->calls[CALL_STARTING], call, link);
	client_later(client);
	return call;
}

void http_call_cancel(struct http_call *call)
{
	struct http_client *client = call->client;

	if (call->state == CALL_RUNNING && client->depth > 0) {
		if (!call->cancelled)
			client->cancelled++;
		call->cancelled = true;
		client_later(client);
		return;
	}
	call_drop(call);
	if (client->retiring)
		client_later(client);
}

/* --- the sweep --- */

static void drop_cancelled(struct http_client *client, enum call_state state)
{
	struct http_call *call, *next;

	for (call = TAILQ_FIRST(&client->calls[state]); call && client->cancelled > 0; call = next) {
		next = TAILQ_NEXT(call, link);
		if (call->cancelled)
			call_drop(call);
	}
}

static void deliver(struct http_client *client)
{
	struct http_call *call;

	while ((call = TAILQ_FIRST(&client->calls[CALL_FINISHED]))) {
		void (*done)(void *ctx, const struct http_result *result) = call->spec.done;
		/* Out of the list first: from here on the handle is no longer valid for the caller. */
		TAILQ_REMOVE(&client->calls[CALL_FINISHED], call, link);
		if (done)
			done(call->spec.ctx, &call->result);
		TAILQ_INSERT_TAIL(&client->calls[CALL_FINISHED], call, link);
		call_drop(call);
	}
}

static void end_all(struct http_client *client)
{
	for (enum call_state state = CALL_STARTING; state <= CALL_RUNNING; state++) {
		struct http_call *call;
		while ((call = TAILQ_FIRST(&client->calls[state])))
			call_fail(call, ERR_UNREACHABLE, "the client was closed");
	}
}

static bool has_calls(const struct http_client *client)
{
	for (int state = 0; state < CALL_STATES; state++)
		if (!TAILQ_EMPTY(&client->calls[state]))
			return true;
	return false;
}

static void handle_closed(uv_handle_t *handle)
{
	client_handle_closed(handle->data);
}

static void client_shut(struct http_client *client)
{
	client->closed = true;
	uv_timer_stop(&client->timer);
	while (client->spare_count > 0)
		curl_easy_cleanup(client->spare[--client->spare_count]);
	client->depth++;
	curl_multi_cleanup(client->multi);
	uv_close((uv_handle_t *)&client->timer, handle_closed);
	uv_close((uv_handle_t *)&client->later, handle_closed);
}

void client_sweep(struct http_client *client)
{
	struct http_call *call;

	if (client->depth > 0 || client->sweeping || client->closed)
		return;
	client->sweeping = true;
	drop_cancelled(client, CALL_RUNNING);
	drop_cancelled(client, CALL_FINISHED);
	while (!client->closing && (call = TAILQ_FIRST(&client->calls[CALL_STARTING])))
		call_start(call);
	if (client->closing)
		end_all(client);
	deliver(client);
	client->sweeping = false;
	if (has_calls(client)) {
		if (client->closing || !TAILQ_EMPTY(&client->calls[CALL_STARTING]))
			client_later(client);
		return;
	}
	if (client->closing || client->retiring) {
		client->closing = true;
		client_shut(client);
	}
}

static void later(uv_idle_t *idle)
{
	uv_idle_stop(idle);
	client_sweep(idle->data);
}

void client_later(struct http_client *client)
{
	if (!client->closed)
		uv_idle_start(&client->later, later);
}

/* --- the client --- */

static char *copy_pem(const char *pem)
{
	return pem && strnlen(pem, CLIENT_PEM_MAX) < CLIENT_PEM_MAX ? xstrdup(pem) : NULL;
}

struct http_client *http_client_open(uv_loop_t *loop, const struct http_client_options *options, struct err *err)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		err_set(err, ERR_SYSTEM, "libcurl cannot be initialised");
		return NULL;
	}
	struct http_client *client = xcalloc(1, sizeof(*client));
	client->loop = loop;
	client->multi = curl_multi_init();
	if (!client->multi) {
		free(client);
		curl_global_cleanup();
		err_set(err, ERR_SYSTEM, "libcurl cannot be initialised");
		return NULL;
	}
	client->ca_pem = copy_pem(options->tls.ca_pem);
	client->cert_pem = copy_pem(options->tls.cert_pem);
	client->key_pem = copy_pem(options->tls.key_pem);
	client->server_name = copy_or_null(options->tls.server_name);
	client->insecure = options->tls.insecure;
	for (int state = 0; state < CALL_STATES; state++)
		TAILQ_INIT(&client->calls[state]);
	TAILQ_INIT(&client->sockets);
	uv_timer_init(loop, &client->timer);
	uv_idle_init(loop, &client->later);
	client->timer.data = client->later.data = client;
	client->handles = 2;
	long connections = options->connections_max ? (long)options->connections_max : 1;
	curl_multi_setopt(client->multi, CURLMOPT_MAX_HOST_CONNECTIONS, connections);
	curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, connections);
	loop_attach(client);
	return client;
}

void client_handle_closed(struct http_client *client)
{
	if (--client->handles > 0 || !client->closed)
		return;
	free(client->ca_pem);
	free(client->cert_pem);
	free_secret(client->key_pem);
	free(client->server_name);
	free(client);
	curl_global_cleanup();
}

void http_client_close(struct http_client *client)
{
	client->closing = true;
	client_later(client);
}

void http_client_retire(struct http_client *client)
{
	client->retiring = true;
	client_later(client);
}
