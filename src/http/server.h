/* An HTTP/1.1 server on a libuv loop: libmicrohttpd in external-epoll mode, with its traps cured here and nowhere else
 * (its timeout is armed after every run; a drain before the stop; a total deadline a request; bodies bounded; two
 * Content-Length headers, or one beside Transfer-Encoding, or no Host, refused; suspended connections watched for
 * hang-up).
 *
 * One handler gets every complete request and answers it by exactly one of http_answer, http_stream, or http_park and
 * later http_answer. All calls are on the loop's thread. The request and all its slices belong to the server and are
 * valid until it was answered. A request that breaks a bound never reaches the handler: it is answered 400, 408, 411
 * or 413 with a JSON body {"error": "…"} and its connection is closed (what libmicrohttpd itself cannot parse, or
 * headers beyond its 32 KB, get 400, 414 or 431 with a text of its own). Every answer has a Content-Length unless it is
 * a stream.
 */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/buf.h"
#include "base/err.h"
#include "berth/slice.h"

struct http_server;
struct http_request;

typedef void http_handler(void *ctx, struct http_request *request);

struct http_server_options {
	const char *listen; /* "ADDR:PORT", "[::1]:PORT", ":PORT" for all of both families; port 0 picks one */
	size_t body_max;    /* bytes; one more is 413 */
	unsigned connections_max;
	unsigned
	    idle_s; /* keep-alive; Go's client reuses idle connections for 90 s, so at least 120 for kube-scheduler */
	unsigned deadline_ms; /* first byte of a request to its last; 0 = none */
	http_handler *handler;
	void *ctx;
};

BERTH_MUST_CHECK struct http_server *http_server_start(
    uv_loop_t *loop, const struct http_server_options *options, struct err *err);
/* The port that is listened on. */
unsigned http_server_port(const struct http_server *server);
/* Stops listening and reading on the next turn of the loop. What was answered before leaves whole, within 2 s; who is
 * still parked gets its gone called and 503, unless gone answered it; streams are cut and have their gone called. When
 * all is closed and freed, calls done. May be called by a handler. */
void http_server_stop(struct http_server *server, void (*done)(void *ctx), void *ctx);

/* --- a request --- */
struct slice http_method(const struct http_request *request);
struct slice http_path(const struct http_request *request); /* without the query, percent-decoded */
struct slice http_body(const struct http_request *request); /* terminated by a NUL that is not counted */
const char *http_query(const struct http_request *request, const char *name);  /* percent-decoded or NULL */
const char *http_header(const struct http_request *request, const char *name); /* or NULL */
/* Nanoseconds (clock_now) when the first byte of the headers was handled: latencies count from here. */
int64_t http_started(const struct http_request *request);

/* --- answers --- */
/* Copies nothing: `body` is taken over (it must be from malloc; buf_take gives such). type NULL = application/json. */
void http_answer(struct http_request *request, unsigned status, const char *type, char *body, size_t len);
/* A constant body that outlives the server. */
void http_answer_text(struct http_request *request, unsigned status, const char *type, const char *text);
/* {"error": "…"} */
void http_answer_error(struct http_request *request, unsigned status, const char *format, ...) BERTH_PRINTF(3, 4);
/* An extra header for the answer still to come, for example Retry-After. At most 4; both strings are copied. */
void http_add_header(struct http_request *request, const char *name, const char *value);

/* Lets the request wait. `gone` is called once if the client hangs up, or the server stops, before the answer: the
 * request must not be used after it returns. http_answer from any later turn of the loop ends the wait. */
void http_park(struct http_request *request, void (*gone)(void *ctx), void *ctx);

/* A chunked answer whose pieces come later (a watch). Its `gone` is called exactly once: when the client hung up, the
 * server stops, the stream was cut, or its end was delivered; the request must not be used after it returns.
 * http_stream_write copies; it returns false, and the stream is cut, when the client reads so slowly that more than
 * HTTP_STREAM_BACKLOG_MAX bytes wait. */
#define HTTP_STREAM_BACKLOG_MAX (64u << 20)
void http_stream(struct http_request *request, unsigned status, const char *type, void (*gone)(void *ctx), void *ctx);
bool http_stream_write(struct http_request *request, const char *bytes, size_t len);
void http_stream_end(struct http_request *request);
/* Cuts the connection without a proper end, behind what was written to a stream before (fault injection; a half-written
 * answer). A parked request's gone is called. */
void http_cut(struct http_request *request);

#endif
