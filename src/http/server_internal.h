/* What the server's files share: server.c (daemon, loop, stop), connection.c (deadlines and hang-ups of connections),
 * request.c (a request from its first byte to its answer), stream.c (answers that come in pieces).
 *
 * Two rules keep libmicrohttpd safe: MHD_run and MHD_resume_connection are called from the loop's own callbacks in
 * server.c alone, never below a handler; and no connection is suspended when the daemon stops. */
#ifndef HTTP_SERVER_INTERNAL_H
#define HTTP_SERVER_INTERNAL_H

#include <microhttpd.h>
#include <sys/queue.h>

#include "berth/arena.h"
#include "http/server.h"

#define HTTP_HEADERS_MAX                                                                                               \
	(32u << 10) /* request line and headers; libmicrohttpd takes this for each connection at once */
#define HTTP_EXTRA_HEADERS_MAX 4
#define HTTP_LINGER_MS 1000 /* how long a refused sender may go on, so that it reads its answer instead of a reset */
#define HTTP_DRAIN_MS 2000  /* how long answers may take to leave when the server stops */

/* A connection waits in one of these lines, or in none while its request is being answered. Within a line everyone has
 * the same time, so the first is always the next to be late. */
enum conn_line { LINE_IDLE, LINE_RECEIVING, LINE_REFUSED, LINE_COUNT, LINE_NONE = LINE_COUNT };

struct http_conn {
	struct http_server *server;
	struct http_request *request; /* NULL between requests */
	int fd;                       /* libmicrohttpd's */
	enum conn_line line;
	int64_t until_ns;
	bool began; /* idle, but bytes of a request came */
	TAILQ_ENTRY(http_conn) link;
};

/* Polls a duplicate of a connection's descriptor for the client's hang-up. */
struct hangup_watch;

struct http_request {
	struct http_server *server;
	struct http_conn *conn;
	struct MHD_Connection *connection;
	struct arena arena;
	struct slice method, path, raw_query;
	struct buf body;
	int64_t started_ns;

	bool headers_seen,
	    refused;  /* refused: an error was written past libmicrohttpd; what still comes in is dropped */
	bool handled; /* the handler was called */
	bool answered, parked, streaming;
	bool cut;       /* the connection is to end without more */
	bool abandoned; /* the server stops */
	bool closed;    /* libmicrohttpd is done with it; only `gone` still runs */
	bool suspended, resuming;

	struct MHD_Response *response;
	unsigned status;
	const char *header_names[HTTP_EXTRA_HEADERS_MAX], *header_values[HTTP_EXTRA_HEADERS_MAX];
	size_t header_count;

	struct buf backlog; /* stream: written by the handler, taken by libmicrohttpd up to backlog_taken */
	size_t backlog_taken;
	bool ended;

	struct hangup_watch *watch;
	void (*gone)(void *ctx);
	void *gone_ctx;
	TAILQ_ENTRY(http_request) link, resume_link;
};

TAILQ_HEAD(conn_list, http_conn);
TAILQ_HEAD(request_list, http_request);

struct http_server {
	uv_loop_t *loop;
	struct MHD_Daemon *daemon;
	struct http_server_options options;
	unsigned port;

	uv_poll_t poll;        /* libmicrohttpd's epoll descriptor */
	uv_timer_t run_timer;  /* its timeout */
	uv_timer_t line_timer; /* the connections' deadlines */
	uv_idle_t pump;
	unsigned handles; /* of the four, not yet closed */

	struct conn_list lines[LINE_COUNT];
	int64_t line_ns[LINE_COUNT]; /* 0 = no limit */
	struct request_list requests, resuming;

	bool stopping, draining;
	int64_t drain_until_ns;
	void (*stopped)(void *ctx);
	void *stopped_ctx;
};

/* server.c */
void server_kick(struct http_server *server); /* MHD_run on the next turn of the loop */

/* connection.c */
void conn_notify(
    void *cls, struct MHD_Connection *connection, void **socket_context, enum MHD_ConnectionNotificationCode code);
struct http_conn *conn_of(struct MHD_Connection *connection);
void conn_enter(struct http_conn *conn, enum conn_line line);
void conn_lines_init(struct http_server *server);
void conn_lines_timer(uv_timer_t *timer); /* line_timer's callback */
/* Ends reading and writing; libmicrohttpd notices and closes. */
void conn_shutdown(struct http_conn *conn);
/* Writes a whole error answer to the socket and closes the sending side. */
void conn_refuse(struct http_conn *conn, unsigned status, const char *reason);
struct hangup_watch *hangup_watch_start(struct http_request *request);
void hangup_watch_stop(struct http_request *request);

/* request.c */
void *request_open(void *cls, const char *target, struct MHD_Connection *connection);
enum MHD_Result request_access(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
    const char *version, const char *upload, size_t *upload_size, void **con_cls);
void request_completed(
    void *cls, struct MHD_Connection *connection, void **con_cls, enum MHD_RequestTerminationCode code);
/* Lets libmicrohttpd look at the request again. */
void request_wake(struct http_request *request);
/* Type and extra headers of the answer. */
void request_put_headers(struct http_request *request, const char *type);
/* The server stops: whoever still waits gets 503, streams and unfinished requests are cut. */
void request_abandon(struct http_request *request);

#endif
