#include "http/server_internal.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/clock.h"
#include "http/uri.h"

#define REQUEST_ARENA_BYTES 1024
#define BODY_FIRST_BYTES (64u << 10) /* taken at once for a body that was announced; the rest as it comes */
#define ERROR_TEXT_MAX 2048

/* --- coming in --- */

void *request_open(void *cls, const char *target, struct MHD_Connection *connection)
{
	struct http_server *server = cls;
	struct http_request *request = xcalloc(1, sizeof(*request));

	request->server = server;
	request->connection = connection;
	request->conn = conn_of(connection);
	request->conn->request = request;
	request->started_ns = clock_now();
	arena_init(&request->arena, REQUEST_ARENA_BYTES);
	buf_init(&request->body, server->options.body_max);
	buf_init(&request->backlog, HTTP_STREAM_BACKLOG_MAX);
	struct slice whole = slice_of(target);
	struct slice path = uri_path(whole);
	char *decoded = arena_alloc(&request->arena, path.len + 1);
	request->path = (struct slice){decoded, uri_decode(path, false, decoded)};
	decoded[request->path.len] = '\0';
	struct slice query = uri_query(whole);
	request->raw_query = (struct slice){arena_copy(&request->arena, query), query.len};
	TAILQ_INSERT_TAIL(&server->requests, request, link);
	conn_enter(request->conn, LINE_RECEIVING);
	return request;
}

/* What decides where a request ends. Anything doubtful is refused, since a proxy in front may read it otherwise. */
struct framing {
	unsigned hosts, lengths, codings;
	bool chunked, bad_name, bad_value;
	uint64_t length;
};

static bool parse_length(const char *text, size_t len, uint64_t *length)
{
	*length = 0;
	if (len == 0 || len > 18)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		*length = *length * 10 + (uint64_t)(text[i] - '0');
	}
	return true;
}

static bool is_token(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("!#$%&'*+-.^_`|~", name[i]))
			return false;
	return len > 0;
}

static enum MHD_Result look_at_header(
    void *cls, enum MHD_ValueKind kind, const char *name, size_t name_len, const char *value, size_t value_len)
{
	struct framing *framing = cls;

	(void)kind;
	if (!is_token(name, name_len) || strlen(name) != name_len) {
		framing->bad_name = true;
	} else if (strcasecmp(name, "Host") == 0) {
		framing->hosts++;
	} else if (strcasecmp(name, "Content-Length") == 0) {
		framing->lengths++;
		framing->bad_value |= !value || !parse_length(value, value_len, &framing->length);
	} else if (strcasecmp(name, "Transfer-Encoding") == 0) {
		framing->codings++;
		framing->chunked = value && strcasecmp(value, "chunked") == 0;
	}
	return MHD_YES;
}

/* The status to refuse with, or 0. */
static unsigned check_framing(
    const struct http_request *request, const struct framing *framing, const char *version, const char **reason)
{
	bool has_body = strcmp(request->method.at, "POST") == 0 || strcmp(request->method.at, "PUT") == 0 ||
	                strcmp(request->method.at, "PATCH") == 0;

	*reason = NULL;
	if (framing->bad_name)
		*reason = "a header name is malformed";
	else if (framing->hosts > 1 || (framing->hosts == 0 && strcmp(version, MHD_HTTP_VERSION_1_0) != 0))
		*reason = "exactly one Host header is needed";
	else if (framing->lengths > 1 || framing->bad_value)
		*reason = "exactly one valid Content-Length is needed";
	else if (framing->lengths && framing->codings)
		*reason = "Content-Length beside Transfer-Encoding";
	else if (framing->codings > 1 || (framing->codings && !framing->chunked))
		*reason = "only the transfer coding chunked is known";
	if (*reason)
		return 400;
	if (has_body && !framing->lengths && !framing->codings) {
		*reason = "a Content-Length is needed";
		return 411;
	}
	if (framing->length > request->server->options.body_max) {
		*reason = "the body is too large";
		return 413;
	}
	return 0;
}

/* Writes the refusal; says whether libmicrohttpd should go on (and drop what comes in) or close now. */
static enum MHD_Result refuse(struct http_request *request, unsigned status, const char *reason, bool more_comes)
{
	conn_refuse(request->conn, status, reason);
	return more_comes ? MHD_YES : MHD_NO;
}

static enum MHD_Result headers_complete(struct http_request *request, const char *method, const char *version)
{
	struct framing framing = {0};
	const char *reason;

	request->headers_seen = true;
	if (request->refused)
		return MHD_NO;
	request->method = (struct slice){arena_copy(&request->arena, slice_of(method)), strlen(method)};
	if (request->server->stopping)
		return refuse(request, 503, "the server is stopping", false);
	MHD_get_connection_values_n(request->connection, MHD_HEADER_KIND, look_at_header, &framing);
	unsigned status = check_framing(request, &framing, version, &reason);
	if (status) {
		/* Who waits for "100 Continue" has not sent the body. */
		bool expects = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, "Expect") != NULL;
		return refuse(request, status, reason, !expects && (framing.length > 0 || framing.chunked));
	}
	if (framing.length)
		buf_reserve(&request->body, framing.length < BODY_FIRST_BYTES ? framing.length : BODY_FIRST_BYTES);
	return MHD_YES;
}

static enum MHD_Result body_piece(struct http_request *request, const char *upload, size_t *upload_size)
{
	size_t len = *upload_size;

	*upload_size = 0;
	if (request->refused)
		return MHD_YES;
	buf_add(&request->body, upload, len);
	if (!request->body.overflow)
		return MHD_YES;
	buf_free(&request->body);
	return refuse(request, 413, "the body is too large", true);
}

/* --- answering --- */

static enum MHD_Result queue_answer(struct http_request *request)
{
	struct MHD_Response *response = request->response;

	request->response = NULL;
	if (request->server->stopping)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	enum MHD_Result result = MHD_queue_response(request->connection, request->status, response);
	MHD_destroy_response(response);
	return result;
}

/* After the handler, and again after each time that the connection was resumed. */
static enum MHD_Result advance(struct http_request *request)
{
	if (request->cut && !request->streaming)
		return MHD_NO;
	if (request->response)
		return queue_answer(request);
	if (!request->watch)
		request->watch = hangup_watch_start(request);
	request->suspended = true;
	MHD_suspend_connection(request->connection);
	return MHD_YES;
}

enum MHD_Result request_access(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
    const char *version, const char *upload, size_t *upload_size, void **con_cls)
{
	struct http_request *request = *con_cls;

	(void)cls;
	(void)connection;
	(void)url;
	if (!request->headers_seen)
		return headers_complete(request, method, version);
	if (*upload_size)
		return body_piece(request, upload, upload_size);
	/* Whoever parked now would not be resumed any more. */
	if (request->refused || (!request->handled && request->server->stopping))
		return MHD_NO;
	if (!request->handled) {
		request->handled = true;
		conn_enter(request->conn, LINE_NONE);
		request->server->options.handler(request->server->options.ctx, request);
	}
	return advance(request);
}

void request_completed(
    void *cls, struct MHD_Connection *connection, void **con_cls, enum MHD_RequestTerminationCode code)
{
	struct http_request *request = *con_cls;

	(void)cls;
	(void)connection;
	(void)code;
	if (!request)
		return;
	*con_cls = NULL;
	request->closed = true;
	TAILQ_REMOVE(&request->server->requests, request, link);
	if (request->resuming)
		TAILQ_REMOVE(&request->server->resuming, request, resume_link);
	hangup_watch_stop(request);
	request->conn->request = NULL;
	if (!request->refused)
		conn_enter(request->conn, LINE_IDLE);
	void (*gone)(void *ctx) = request->gone;
	request->gone = NULL;
	if (gone && (request->streaming || !request->answered))
		gone(request->gone_ctx);
	if (request->response)
		MHD_destroy_response(request->response);
	buf_free(&request->body);
	buf_free(&request->backlog);
	arena_free(&request->arena);
	free(request);
}

void request_wake(struct http_request *request)
{
	if (request->closed || !request->suspended)
		return;
	if (!request->resuming) {
		request->resuming = true;
		TAILQ_INSERT_TAIL(&request->server->resuming, request, resume_link);
	}
	server_kick(request->server);
}

void request_abandon(struct http_request *request)
{
	if (!request->handled) {
		conn_shutdown(request->conn);
		return;
	}
	if (request->streaming) {
		request->cut = true;
		request_wake(request);
		return;
	}
	if (request->answered)
		return;
	void (*gone)(void *ctx) = request->gone;
	request->gone = NULL;
	if (gone)
		gone(request->gone_ctx);
	if (!request->answered)
		http_answer_error(request, 503, "the server is stopping");
}

void request_put_headers(struct http_request *request, const char *type)
{
	MHD_add_response_header(request->response, MHD_HTTP_HEADER_CONTENT_TYPE, type ? type : "application/json");
	for (size_t i = 0; i < request->header_count; i++)
		MHD_add_response_header(request->response, request->header_names[i], request->header_values[i]);
}

static void answer(struct http_request *request, unsigned status, const char *type, struct MHD_Response *response)
{
	if (request->closed || request->answered || request->cut) {
		request->answered = true; /* who has answered may be gone itself: `gone` is not called any more */
		MHD_destroy_response(response);
		return;
	}
	request->answered = true;
	request->status = status;
	request->response = response;
	request_put_headers(request, type);
	hangup_watch_stop(request);
	request_wake(request);
}

void http_answer(struct http_request *request, unsigned status, const char *type, char *body, size_t len)
{
	answer(request, status, type, MHD_create_response_from_buffer(len, body, MHD_RESPMEM_MUST_FREE));
}

void http_answer_text(struct http_request *request, unsigned status, const char *type, const char *text)
{
	answer(request, status, type,
	    MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_PERSISTENT));
}

void http_answer_error(struct http_request *request, unsigned status, const char *format, ...)
{
	char text[ERROR_TEXT_MAX];
	struct buf body;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	buf_init(&body, 8 * sizeof(text));
	buf_text(&body, "{\"error\":");
	buf_json_string(&body, slice_of(text));
	buf_char(&body, '}');
	size_t len = body.len;
	http_answer(request, status, NULL, buf_take(&body), len);
}

void http_add_header(struct http_request *request, const char *name, const char *value)
{
	if (request->header_count == HTTP_EXTRA_HEADERS_MAX)
		return;
	request->header_names[request->header_count] = arena_copy(&request->arena, slice_of(name));
	request->header_values[request->header_count] = arena_copy(&request->arena, slice_of(value));
	request->header_count++;
}

void http_park(struct http_request *request, void (*gone)(void *ctx), void *ctx)
{
	request->parked = true;
	request->gone = gone;
	request->gone_ctx = ctx;
}

/* --- reading --- */

struct slice http_method(const struct http_request *request)
{
	return request->method;
}

struct slice http_path(const struct http_request *request)
{
	return request->path;
}

struct slice http_body(const struct http_request *request)
{
	return buf_slice(&request->body);
}

const char *http_query(const struct http_request *request, const char *name)
{
	/* The arena grows, but nothing of the request that anybody sees changes. */
	struct arena *arena = (struct arena *)&request->arena;

	return uri_query_value(arena, request->raw_query, name);
}

const char *http_header(const struct http_request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

int64_t http_started(const struct http_request *request)
{
	return request->started_ns;
}
