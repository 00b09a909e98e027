/* An HTTP client on a libuv loop: libcurl's multi interface. Calls never block; every call ends in exactly one `done`,
 * also when it is cancelled by http_client_close (result ERR_UNREACHABLE). Callbacks run on the loop's thread and may
 * start and cancel calls. HTTP/1.1 only, connections kept and bounded; sockets get keepalive 15/5 s and
 * TCP_USER_TIMEOUT 20 s; polling of a socket stops before curl closes it. */
#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/buf.h"
#include "base/err.h"
#include "berth/slice.h"

struct http_client;
struct http_call;

/* Trust and identity for https URLs; PEM texts are copied at http_client_open. NULL members are left out. */
struct http_client_tls {
	const char *ca_pem;
	const char *cert_pem, *key_pem;
	const char *server_name; /* checked instead of the URL's host */
	bool insecure;           /* no check at all: only where a kubeconfig says so */
};

struct http_client_options {
	unsigned connections_max; /* to one host */
	struct http_client_tls tls;
};

struct http_result {
	int code;        /* 0 when an HTTP answer came in whole, else ERR_UNREACHABLE, ERR_TOO_LARGE, ERR_INPUT (refused
	                  * by `piece`) or ERR_SYSTEM (the call cannot be started) */
	unsigned status; /* HTTP status; 0 without one */
	struct slice body;      /* all of it, unless `piece` was given; valid during the callback */
	int64_t retry_after_ns; /* from Retry-After in seconds; -1 when absent */
	bool sent;              /* false only when it is certain that the server saw nothing of the request */
	const char *error;      /* one line when code is not 0 */
};

struct http_call_spec {
	const char *method; /* "GET", "POST", "PATCH", … */
	const char *url;
	const char *bearer;       /* token or NULL; copied */
	const char *content_type; /* of the body; NULL without body */
	const char *accept;       /* NULL = application/json */
	struct slice body;        /* copied */
	size_t answer_max;        /* bytes of the answer's body that are kept */
	unsigned timeout_ms;      /* whole call; 0 = none (a watch) */
	unsigned silence_ms;      /* no byte for this long ends the call with ERR_UNREACHABLE; 0 = none */
	unsigned connect_ms;      /* connecting, TLS included; 0 = 10 s */
	int64_t send_by_ns;       /* clock_now: not a byte of the request leaves later, however long the process stood
	                           * still in between; 0 = whenever */
	/* If given, called once when the status is known, before the first piece. */
	void (*status)(void *ctx, unsigned status);
	/* If given, a body with status 200 is handed over in pieces as they come, and result.body stays empty. Bodies
	 * of other statuses are kept as usual. Returning false ends the call with ERR_INPUT. */
	bool (*piece)(void *ctx, const char *bytes, size_t len);
	void (*done)(void *ctx, const struct http_result *result);
	void *ctx;
};

BERTH_MUST_CHECK struct http_client *http_client_open(
    uv_loop_t *loop, const struct http_client_options *options, struct err *err);
/* Cancels all calls (their done is called, result ERR_UNREACHABLE) and frees the client on a later turn of the loop. */
void http_client_close(struct http_client *client);
/* Takes no further calls, lets those that run end on their own, then closes as above (when credentials were replaced).
 */
void http_client_retire(struct http_client *client);
/* Never NULL. A call that cannot even be started ends in done on a later turn. The handle is valid until done. */
struct http_call *http_call(struct http_client *client, const struct http_call_spec *spec);
/* Ends the call without calling done. A request whose body was sent in part or whole is never sent again by the client
 * itself. */
void http_call_cancel(struct http_call *call);

#endif
