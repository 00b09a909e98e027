#include "kube/watch.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "kube/kube_internal.h"
#include "kube/stream.h"

#define WATCH_BACKOFF_FIRST_NS (100 * NS_PER_MS)
#define WATCH_BACKOFF_MAX_NS (10 * NS_PER_S)
#define WATCH_SHORT_NS NS_PER_S       /* a watch that ends sooner and brought nothing is no healthy one */
#define WATCH_STOOD_NS (5 * NS_PER_S) /* one that stood for so long had nothing to tell: the next is due at once */
#define WATCH_UNAVAILABLE_NS (60 * NS_PER_S)
/* An API server sends bookmarks once a minute, up to 1.25 s late: a watch that is well may be silent for longer than
 * that minute. */
#define WATCH_SILENCE_MS 75000
#define WATCH_TIMEOUT_S 300
#define WATCH_ERROR_MAX 512
#define CREDENTIALS_WAIT_NS (100 * NS_PER_MS)

/* What is to be done, or is being done. */
enum watch_step { STEP_LIST, STEP_WATCH };

struct kube_watch {
	struct kube *kube;
	char *path, *query;
	struct kube_watch_options options;
	struct kube_watch_handlers handlers;
	struct kube_watch_state state;
	char error[WATCH_ERROR_MAX];

	enum watch_step step;
	uv_timer_t timer; /* until the step is tried */
	struct http_call *call;
	unsigned generation, status, attempts;
	bool stopped;

	/* list */
	char *continue_; /* of the next page; NULL for the first */
	bool listed;     /* a list has begun before */

	/* watch */
	char *resource_version;
	struct line_reader lines;
	int64_t opened_ns;
	int64_t lost_before_ns; /* state.lost_ns when it was opened */
	bool delivered;         /* this watch brought something */
	const char *broken;     /* why this watch cannot go on */
	bool relist;            /* and must not be opened again from where it is */
	TAILQ_ENTRY(kube_watch) link;
};

static void run_step(struct kube_watch *watch);

/* --- what happens next --- */

static void timer_fired(uv_timer_t *timer)
{
	run_step(timer->data);
}

static void next_step(struct kube_watch *watch, enum watch_step step, int64_t wait_ns)
{
	watch->step = step;
	uv_timer_start(
	    &watch->timer, timer_fired, wait_ns > 0 ? (uint64_t)((wait_ns + NS_PER_MS - 1) / NS_PER_MS) : 0, 0);
}

static void connected(struct kube_watch *watch)
{
	watch->state.contact_ns = clock_now();
	watch->state.connected = true;
	watch->state.lost_ns = 0;
	watch->state.error = NULL;
}

static void lost(struct kube_watch *watch, const char *error)
{
	if (watch->state.connected || !watch->state.lost_ns)
		watch->state.lost_ns = clock_now();
	watch->state.connected = false;
	snprintf(watch->error, sizeof(watch->error), "%s", error);
	watch->state.error = watch->error;
}

/* Something went wrong: tries the step after a while. */
static void fail(struct kube_watch *watch, enum watch_step step, const char *error, int64_t retry_after_ns)
{
	int64_t wait_ns =
	    backoff_ns(&watch->kube->jitter, watch->attempts++, WATCH_BACKOFF_FIRST_NS, WATCH_BACKOFF_MAX_NS);

	watch->state.errors++;
	lost(watch, error);
	log_warn("a watch lost contact", "path=%s step=%s error=%s", watch->path, step == STEP_LIST ? "list" : "watch",
	    log_quote(watch->error));
	next_step(watch, step, retry_after_ns > 0 ? wait_ns + retry_after_ns : wait_ns);
}

static void forget_continue(struct kube_watch *watch)
{
	free(watch->continue_);
	watch->continue_ = NULL;
}

static void set_resource_version(struct kube_watch *watch, struct slice version)
{
	size_t len = watch->resource_version ? strlen(watch->resource_version) : 0;

	if (len == version.len && memcmp(watch->resource_version, version.at, len) == 0)
		return;
	/* The same length nearly always: written over in place. */
	if (len != version.len || !watch->resource_version) {
		free(watch->resource_version);
		watch->resource_version = xmalloc(version.len + 1);
	}
	memcpy(watch->resource_version, version.at, version.len);
	watch->resource_version[version.len] = '\0';
}

/* --- requests --- */

static void add_encoded(struct buf *out, const char *text)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

	for (; *text; text++) {
		if (strchr(plain, *text))
			buf_char(out, *text);
		else
			buf_printf(out, "%%%02X", (unsigned)(unsigned char)*text);
	}
}

static void status_known(void *ctx, unsigned status)
{
	struct kube_watch *watch = ctx;

	watch->status = status;
	if (status != 200)
		return;
	watch->lost_before_ns = watch->state.lost_ns;
	connected(watch);
}

static void start_call(struct kube_watch *watch, const struct buf *path, struct http_call_spec *spec)
{
	spec->method = "GET";
	spec->silence_ms = watch->options.silence_ms;
	spec->status = status_known;
	spec->ctx = watch;
	watch->status = 0;
	watch->call = path->overflow ? NULL : kube__stream(watch->kube, path->data, spec, &watch->generation);
	if (watch->call)
		return;
	const char *reason = credentials_error(watch->kube->credentials);
	/* What went wrong before, such as a server that says no to what there was, tells more than the wait. */
	if (reason || !watch->state.error)
		lost(watch, reason ? reason : "waiting for credentials");
	next_step(watch, watch->step, CREDENTIALS_WAIT_NS);
}

static void page_came(void *ctx, const struct http_result *result);
static void watch_ended(void *ctx, const struct http_result *result);
static bool piece_came(void *ctx, const char *bytes, size_t len);

static void begin_path(struct kube_watch *watch, struct buf *path)
{
	buf_init(path, KUBE_URL_MAX / 2);
	buf_text(path, watch->path);
	buf_char(path, strchr(watch->path, '?') ? '&' : '?');
	if (watch->query) {
		buf_text(path, watch->query);
		buf_char(path, '&');
	}
}

static void request_page(struct kube_watch *watch)
{
	struct buf path;

	begin_path(watch, &path);
	buf_printf(&path, "limit=%d", KUBE_PAGE_LIMIT);
	if (watch->continue_) {
		buf_text(&path, "&continue=");
		add_encoded(&path, watch->continue_);
	}
	start_call(watch, &path,
	    &(struct http_call_spec){
	        .accept = watch->options.metadata_only
	                      ? "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
	                      : NULL,
	        .answer_max = KUBE_PAGE_MAX,
	        .done = page_came,
	    });
	buf_free(&path);
}

static void request_watch(struct kube_watch *watch)
{
	unsigned timeout_s = watch->options.timeout_s;
	struct buf path;

	timeout_s += (unsigned)jitter_below(&watch->kube->jitter, timeout_s / 2 + 1);
	begin_path(watch, &path);
	buf_printf(&path, "watch=1&allowWatchBookmarks=true&timeoutSeconds=%u&resourceVersion=", timeout_s);
	add_encoded(&path, watch->resource_version);
	line_reader_free(&watch->lines);
	line_reader_init(&watch->lines, KUBE_EVENT_MAX);
	watch->opened_ns = clock_now();
	watch->delivered = watch->relist = false;
	watch->broken = NULL;
	start_call(watch, &path,
	    &(struct http_call_spec){
	        .accept = watch->options.metadata_only ? KUBE_METADATA_ONLY : NULL,
	        .answer_max = KUBE_ANSWER_MAX,
	        .piece = piece_came,
	        .done = watch_ended,
	    });
	buf_free(&path);
}

static void run_step(struct kube_watch *watch)
{
	if (watch->step == STEP_LIST)
		request_page(watch);
	else
		request_watch(watch);
}

/* --- lists --- */

static void describe(const struct http_result *result, char out[WATCH_ERROR_MAX])
{
	struct status_text status;

	if (result->code) {
		snprintf(out, WATCH_ERROR_MAX, "%s", result->error);
		return;
	}
	status_decode(result->body, &status);
	snprintf(out, WATCH_ERROR_MAX, "HTTP %u: %.*s", result->status,
	    (int)(status.message.len < 300 ? status.message.len : 300), status.message.at);
}

static void unavailable(struct kube_watch *watch, unsigned status)
{
	const char *reason = status == 404 ? "the API server does not have it" : "reading it is not allowed";
	bool known = watch->state.unavailable;

	watch->state.unavailable = true;
	lost(watch, reason);
	next_step(watch, STEP_LIST, WATCH_UNAVAILABLE_NS);
	if (!known && watch->handlers.unavailable)
		watch->handlers.unavailable(watch->handlers.ctx, status, reason);
}

static void page_failed(struct kube_watch *watch, const struct http_result *result)
{
	char error[WATCH_ERROR_MAX];
	bool tell = watch->options.optional && result->code == 0 && (result->status == 404 || result->status == 403);

	/* An expired continue token, or whatever else: only a list from its start is consistent. */
	forget_continue(watch);
	if (tell) {
		unavailable(watch, result->status);
		return;
	}
	if (result->code == 0 && result->status == 401)
		credentials_expired(watch->kube->credentials, watch->generation);
	describe(result, error);
	fail(watch, STEP_LIST, error, result->retry_after_ns);
}

static void begin_list(struct kube_watch *watch)
{
	if (watch->listed)
		watch->state.relists++;
	watch->listed = true;
	if (watch->handlers.begin)
		watch->handlers.begin(watch->handlers.ctx);
}

/* Hands out the items; false when a handler stopped the watch. */
static bool hand_out(struct kube_watch *watch, const struct list_page *page)
{
	struct slice item;
	struct reader json;

	list_items_open(&json, page);
	while (!watch->stopped && list_item_next(&json, &item))
		watch->handlers.object(watch->handlers.ctx, KUBE_SEEN, item);
	return !watch->stopped;
}

static void page_came(void *ctx, const struct http_result *result)
{
	struct kube_watch *watch = ctx;
	struct list_page page;

	watch->call = NULL;
	if (result->code || result->status != 200) {
		page_failed(watch, result);
		return;
	}
	const char *reason = list_page_decode(result->body, &page);
	if (reason) {
		forget_continue(watch);
		fail(watch, STEP_LIST, reason, -1);
		return;
	}
	connected(watch);
	watch->state.unavailable = false;
	if (!watch->continue_)
		begin_list(watch);
	if (watch->stopped || !hand_out(watch, &page))
		return;
	forget_continue(watch);
	if (page.continue_.len > 0) {
		watch->continue_ = xstrndup(page.continue_.at, page.continue_.len);
		next_step(watch, STEP_LIST, 0);
		return;
	}
	set_resource_version(watch, page.resource_version);
	watch->state.synced = true;
	next_step(watch, STEP_WATCH, 0);
	if (watch->handlers.synced)
		watch->handlers.synced(watch->handlers.ctx);
}

/* --- watches --- */

static bool event_came(void *ctx, struct slice line)
{
	struct kube_watch *watch = ctx;
	struct watch_event event;

	watch->broken = watch_event_decode(line, &event);
	if (watch->broken) {
		watch->relist = true;
		return false;
	}
	if (event.type == WATCH_ERROR) {
		watch->broken =
		    event.status == 410 ? "the watch fell too far behind" : "the watch ended with an error event";
		watch->relist = true;
		return false;
	}
	watch->delivered = true;
	watch->attempts = 0;
	set_resource_version(watch, event.resource_version);
	if (event.type == WATCH_BOOKMARK)
		return true;
	watch->state.events++;
	watch->handlers.object(
	    watch->handlers.ctx, event.type == WATCH_DELETED ? KUBE_DELETED : KUBE_SEEN, event.object);
	return !watch->stopped;
}

static bool piece_came(void *ctx, const char *bytes, size_t len)
{
	struct kube_watch *watch = ctx;

	watch->state.contact_ns = clock_now();
	if (line_reader_feed(&watch->lines, bytes, len, event_came, watch))
		return true;
	if (!watch->broken && !watch->stopped) {
		watch->broken = "a watch event is too large";
		watch->relist = true;
	}
	return false;
}

static void watch_failed(struct kube_watch *watch, const struct http_result *result)
{
	char error[WATCH_ERROR_MAX];
	/* 410: our resourceVersion is gone. Any other refusal is best explained by the answer to a list. */
	bool relist = result->code == 0 && result->status / 100 == 4 && result->status != 429 && result->status != 401;

	if (result->code == 0 && result->status == 401)
		credentials_expired(watch->kube->credentials, watch->generation);
	if (watch->status == 200 && clock_now() - watch->opened_ns > WATCH_STOOD_NS)
		watch->attempts = 0;
	describe(result, error);
	fail(watch, relist ? STEP_LIST : STEP_WATCH, error, result->retry_after_ns);
}

static void watch_ended(void *ctx, const struct http_result *result)
{
	struct kube_watch *watch = ctx;

	watch->call = NULL;
	if (watch->broken) {
		fail(watch, watch->relist ? STEP_LIST : STEP_WATCH, watch->broken, -1);
	} else if (result->code || result->status != 200) {
		watch_failed(watch, result);
	} else if (line_reader_is_partial(&watch->lines)) {
		fail(watch, STEP_WATCH, "the watch ended inside an event", -1);
	} else if (!watch->delivered && clock_now() - watch->opened_ns < WATCH_SHORT_NS) {
		fail(watch, STEP_WATCH, "the watch ended as soon as it was open", -1);
		if (watch->lost_before_ns)
			watch->state.lost_ns = watch->lost_before_ns; /* that was no contact */
	} else {
		/* Its time was over: it goes on where it was. */
		watch->attempts = 0;
		next_step(watch, STEP_WATCH, 0);
	}
}

/* --- start and stop --- */

struct kube_watch *kube_watch_start(
    struct kube *kube, const struct kube_watch_options *options, const struct kube_watch_handlers *handlers)
{
	struct kube_watch *watch = xcalloc(1, sizeof(*watch));

	watch->kube = kube;
	watch->options = *options;
	watch->path = xstrdup(options->path);
	watch->query = options->query && *options->query ? xstrdup(options->query) : NULL;
	if (!watch->options.silence_ms)
		watch->options.silence_ms = WATCH_SILENCE_MS;
	if (!watch->options.timeout_s)
		watch->options.timeout_s = WATCH_TIMEOUT_S;
	watch->handlers = *handlers;
	watch->state.lost_ns = clock_now();
	line_reader_init(&watch->lines, KUBE_EVENT_MAX);
	uv_timer_init(kube->loop, &watch->timer);
	watch->timer.data = watch;
	TAILQ_INSERT_TAIL(&kube->watches, watch, link);
	next_step(watch, STEP_LIST, 0);
	return watch;
}

static void watch_freed(uv_handle_t *handle)
{
	struct kube_watch *watch = handle->data;

	free(watch->path);
	free(watch->query);
	free(watch->continue_);
	free(watch->resource_version);
	line_reader_free(&watch->lines);
	free(watch);
}

void kube_watch_stop(struct kube_watch *watch)
{
	/* A handler may be below us: the memory stays until a later turn. */
	watch->stopped = true;
	if (watch->call)
		http_call_cancel(watch->call);
	watch->call = NULL;
	TAILQ_REMOVE(&watch->kube->watches, watch, link);
	uv_close((uv_handle_t *)&watch->timer, watch_freed);
}

struct kube_watch_state kube_watch_state(const struct kube_watch *watch)
{
	return watch->state;
}
