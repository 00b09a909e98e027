/* A unary call from its place in the line to its end: the window, the attempts and what leads to another one. */
#include "kube/kube_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/reader.h"
#include "kube/stream.h"

#define BACKOFF_FIRST_NS (100 * NS_PER_MS)
#define BACKOFF_MAX_NS (5 * NS_PER_S)
#define CREDENTIALS_POLL_MS 500
#define ERROR_TEXT_MAX 512

struct kube_request {
	struct kube *kube;
	char *method, *url, *content_type, *body;
	size_t body_len;
	bool writes, repeatable, brief, once, waiting, unauthorized, maybe_sent;
	int64_t deadline_ns;
	unsigned attempts, generation;
	struct http_call *http;
	int end_code; /* how it ends when the timer fires; 0 = goes into the line */
	char error[ERROR_TEXT_MAX];
	uv_timer_t timer; /* of its delay, or of its deadline while it waits in line */
	kube_done *done;
	void *ctx;
	TAILQ_ENTRY(kube_request) link;
};

/* --- the end of a request --- */

static void request_freed(uv_handle_t *handle)
{
	struct kube_request *request = handle->data;

	free(request->method);
	free(request->url);
	free(request->content_type);
	free(request->body);
	free(request);
}

static void leave_lists(struct kube_request *request)
{
	struct kube *kube = request->kube;

	if (request->waiting) {
		TAILQ_REMOVE(&kube->waiting, request, link);
		kube->waiting_count--;
	} else {
		TAILQ_REMOVE(&kube->others, request, link);
	}
	request->waiting = false;
}

static void join_others(struct kube_request *request)
{
	leave_lists(request);
	TAILQ_INSERT_TAIL(&request->kube->others, request, link);
}

static void request_end(struct kube_request *request, struct kube_answer *answer)
{
	answer->sent = request->maybe_sent;
	leave_lists(request);
	uv_close((uv_handle_t *)&request->timer, request_freed);
	if (request->done)
		request->done(request->ctx, answer);
}

static void end_with(struct kube_request *request, int code, const char *error)
{
	struct kube_answer answer = {
	    .code = code,
	    .error = error,
	    .retry_after_ns = -1,
	    .body = {"", 0},
	    .message = {"", 0},
	    .reason = {"", 0},
	};

	request_end(request, &answer);
}

static void end_with_result(struct kube_request *request, const struct http_result *result)
{
	struct kube_answer answer = {
	    .code = result->code,
	    .status = result->status,
	    .body = result->code ? (struct slice){"", 0} : result->body,
	    .message = {"", 0},
	    .reason = {"", 0},
	    .error = result->error,
	    .retry_after_ns = result->retry_after_ns,
	};
	char text[ERROR_TEXT_MAX];

	if (result->code == 0 && result->status / 100 != 2) {
		struct status_text status;
		status_decode(result->body, &status);
		answer.message = status.message;
		answer.reason = status.reason;
		answer.budget = status.budget && result->status == 429;
		snprintf(text, sizeof(text), "HTTP %u: %.*s", result->status,
		    (int)(status.message.len < 400 ? status.message.len : 400), status.message.at);
		answer.error = text;
	}
	request_end(request, &answer);
}

/* --- the line --- */

static uint64_t timer_ms(int64_t wait_ns)
{
	return wait_ns > 0 ? (uint64_t)((wait_ns + NS_PER_MS - 1) / NS_PER_MS) : 0;
}

static void timer_fired(uv_timer_t *timer)
{
	struct kube_request *request = timer->data;
	struct kube *kube = request->kube;

	if (request->end_code) {
		end_with(request, request->end_code, request->error);
	} else if (request->waiting) {
		const char *reason = credentials_error(kube->credentials);
		end_with(request, ERR_UNREACHABLE, reason ? reason : "its time passed before it could be sent");
	} else {
		TAILQ_REMOVE(&kube->others, request, link);
		TAILQ_INSERT_TAIL(&kube->waiting, request, link);
		request->waiting = true;
		kube->waiting_count++;
		uv_timer_start(timer, timer_fired, timer_ms(request->deadline_ns - clock_now()), 0);
		kube__pump(kube);
	}
}

/* To the end of the line after a while; the request is in `others`. */
static void delay(struct kube_request *request, int64_t wait_ns)
{
	uv_timer_start(&request->timer, timer_fired, timer_ms(wait_ns), 0);
}

/* The API server answers so when a disruption budget refuses an eviction, at times with the time to try again. */
static bool is_budget(const struct http_result *result)
{
	struct status_text status;

	if (result->code != 0 || result->status != 429)
		return false;
	status_decode(result->body, &status);
	return status.budget;
}

static bool may_retry(const struct kube_request *request, const struct http_result *result)
{
	if (request->once || is_budget(result))
		return false;
	if (result->code == ERR_UNREACHABLE && !result->sent)
		return true;
	if (result->code == 0 && result->status == 429 && result->retry_after_ns >= 0)
		return true;
	return request->repeatable && (result->code == ERR_UNREACHABLE || (result->code == 0 && result->status >= 500));
}

static void http_done(void *ctx, const struct http_result *result)
{
	struct kube_request *request = ctx;
	struct kube *kube = request->kube;

	kube->in_flight--;
	request->http = NULL;
	request->maybe_sent |= result->sent;
	if (result->code == 0 && result->status == 401 && !request->unauthorized &&
	    credentials_expired(kube->credentials, request->generation)) {
		request->unauthorized = true;
		delay(request, 0);
		kube__pump(kube);
		return;
	}
	if (may_retry(request, result)) {
		int64_t wait_ns = backoff_ns(&kube->jitter, request->attempts - 1, BACKOFF_FIRST_NS, BACKOFF_MAX_NS);
		if (result->retry_after_ns >= 0)
			wait_ns += result->retry_after_ns;
		if (clock_now() + wait_ns < request->deadline_ns) {
			delay(request, wait_ns);
			kube__pump(kube);
			return;
		}
	}
	end_with_result(request, result);
	if (!kube->closing)
		kube__pump(kube);
}

static void end_later(struct kube_request *request, int code, const char *error)
{
	request->end_code = code;
	snprintf(request->error, sizeof(request->error), "%s", error);
	delay(request, 0);
}

/* Until when the attempt may begin, and how long it may take: no write is on its way beyond its leave, also when the
 * process stands still meanwhile. False when it may not be made at all. */
static bool may_attempt(const struct kube_request *request, int64_t *send_by_ns, int64_t *left_ns)
{
	const struct kube *kube = request->kube;
	int64_t now = clock_now();

	*send_by_ns = 0;
	*left_ns = request->deadline_ns - now;
	if (!request->writes || !kube->may_write)
		return true;
	struct kube_leave leave = kube->may_write(kube->may_write_ctx);
	*send_by_ns = leave.send_until_ns;
	if (*left_ns > leave.land_until_ns - now)
		*left_ns = leave.land_until_ns - now;
	return now < leave.send_until_ns && now < leave.land_until_ns;
}

static void attempt(struct kube_request *request)
{
	struct kube *kube = request->kube;
	int64_t send_by_ns, left_ns;

	join_others(request);
	uv_timer_stop(&request->timer);
	if (!may_attempt(request, &send_by_ns, &left_ns)) {
		end_later(request, ERR_REFUSED, "nothing may be written now: another berth may be active");
		return;
	}
	int64_t left_ms = left_ns / NS_PER_MS;
	struct http_call_spec spec = {
	    .method = request->method,
	    .url = request->url,
	    .bearer = credentials_token(kube->credentials),
	    .content_type = request->content_type,
	    .accept = request->brief ? KUBE_METADATA_ONLY : NULL,
	    .body = {request->body, request->body_len},
	    .answer_max = KUBE_ANSWER_MAX,
	    .timeout_ms = left_ms < (int64_t)kube->options.timeout_ms ? (unsigned)(left_ms > 0 ? left_ms : 1)
	                                                              : kube->options.timeout_ms,
	    .send_by_ns = send_by_ns,
	    .done = http_done,
	    .ctx = request,
	};

	request->attempts++;
	request->generation = credentials_generation(kube->credentials);
	kube->in_flight++;
	request->http = http_call(kube->unary, &spec);
}

/* --- the window --- */

static void credentials_timer_fired(uv_timer_t *timer)
{
	kube__pump(timer->data);
}

void kube__pump(struct kube *kube)
{
	struct kube_request *request;

	while (kube->in_flight < kube->options.writes_in_flight && (request = TAILQ_FIRST(&kube->waiting))) {
		if (!kube__ready(kube)) {
			uv_timer_start(&kube->credentials_timer, credentials_timer_fired, CREDENTIALS_POLL_MS, 0);
			return;
		}
		attempt(request);
	}
}

/* --- starting --- */

static struct kube_request *request_new(struct kube *kube, kube_done *done, void *ctx)
{
	struct kube_request *request = xcalloc(1, sizeof(*request));

	request->kube = kube;
	request->done = done;
	request->ctx = ctx;
	request->timer.data = request;
	uv_timer_init(kube->loop, &request->timer);
	TAILQ_INSERT_TAIL(&kube->others, request, link);
	return request;
}

void kube__refuse(struct kube *kube, int code, const char *error, kube_done *done, void *ctx)
{
	end_later(request_new(kube, done, ctx), code, error);
}

void kube__request(struct kube *kube, const struct kube_request_spec *spec)
{
	const struct kube_call_spec *call = &spec->call;
	struct kube_request *request = request_new(kube, call->done, call->ctx);
	size_t room = strlen(kube->config.server) + strlen(call->path) + 1;

	if (kube->waiting_count >= kube->options.writes_waiting) {
		end_later(request, ERR_TOO_LARGE, "too many calls are waiting");
		return;
	}
	request->method = xstrdup(call->method);
	request->url = xmalloc(room);
	snprintf(request->url, room, "%s%s", kube->config.server, call->path);
	if (call->body.len > 0) {
		request->content_type = xstrdup(call->content_type ? call->content_type : "application/json");
		request->body = xmalloc(call->body.len);
		request->body_len = call->body.len;
		memcpy(request->body, call->body.at, call->body.len);
	} else {
		request->content_type = call->content_type ? xstrdup(call->content_type) : NULL;
	}
	request->writes = strcmp(call->method, "GET") != 0;
	request->repeatable = call->repeatable;
	request->brief = call->brief;
	request->once = spec->once;
	request->deadline_ns = spec->deadline_ns;
	if (!request->deadline_ns)
		request->deadline_ns =
		    clock_now() + (call->deadline_ms ? call->deadline_ms : KUBE_DEADLINE_MS) * NS_PER_MS;
	if (spec->delay_ns > 0) {
		delay(request, spec->delay_ns);
		return;
	}
	TAILQ_REMOVE(&kube->others, request, link);
	TAILQ_INSERT_TAIL(&kube->waiting, request, link);
	request->waiting = true;
	kube->waiting_count++;
	uv_timer_start(&request->timer, timer_fired, timer_ms(request->deadline_ns - clock_now()), 0);
	kube__pump(kube);
}

void kube_call(struct kube *kube, const struct kube_call_spec *spec)
{
	kube__request(kube, &(struct kube_request_spec){.call = *spec});
}

/* --- the end of all --- */

static void drop_all(struct kube_request_list *list)
{
	struct kube_request *request;

	while ((request = TAILQ_FIRST(list))) {
		if (request->http)
			http_call_cancel(request->http);
		leave_lists(request);
		uv_close((uv_handle_t *)&request->timer, request_freed);
	}
}

void kube__drop_requests(struct kube *kube)
{
	drop_all(&kube->waiting);
	drop_all(&kube->others);
}
