#include "http/server_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define REFUSAL_MAX 1024
#define LOOK_SLACK_NS (50 * NS_PER_MS) /* the kernel's clock of a socket ticks coarsely */

struct http_conn *conn_of(struct MHD_Connection *connection)
{
	return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

/* --- deadlines --- */

void conn_lines_init(struct http_server *server)
{
	int64_t deadline_ns = server->options.deadline_ms * NS_PER_MS;

	for (int line = 0; line < LINE_COUNT; line++)
		TAILQ_INIT(&server->lines[line]);
	/* libmicrohttpd ends silent connections after idle_s. This is for who feeds a request line by drops, which is
	 * looked for each time. */
	server->line_ns[LINE_IDLE] = deadline_ns;
	server->line_ns[LINE_RECEIVING] = deadline_ns;
	server->line_ns[LINE_REFUSED] = HTTP_LINGER_MS * NS_PER_MS;
}

static void arm_lines(struct http_server *server)
{
	int64_t first_ns = 0;

	for (int line = 0; line < LINE_COUNT; line++) {
		const struct http_conn *conn = TAILQ_FIRST(&server->lines[line]);
		if (conn && (first_ns == 0 || conn->until_ns < first_ns))
			first_ns = conn->until_ns;
	}
	if (first_ns == 0)
		return;
	int64_t wait_ns = first_ns - clock_now();
	uv_timer_start(&server->line_timer, conn_lines_timer, wait_ns > 0 ? (uint64_t)(wait_ns / NS_PER_MS) + 1 : 0, 0);
}

static void leave_line(struct http_conn *conn)
{
	if (conn->line != LINE_NONE)
		TAILQ_REMOVE(&conn->server->lines[conn->line], conn, link);
	conn->line = LINE_NONE;
}

static void line_up(struct http_conn *conn, enum conn_line line)
{
	struct http_server *server = conn->server;

	leave_line(conn);
	conn->line = line;
	conn->until_ns = clock_now() + server->line_ns[line];
	TAILQ_INSERT_TAIL(&server->lines[line], conn, link);
}

void conn_enter(struct http_conn *conn, enum conn_line line)
{
	struct http_server *server = conn->server;

	leave_line(conn);
	conn->began = false;
	if (line == LINE_NONE || server->line_ns[line] == 0)
		return;
	line_up(conn, line);
	if (server->stopping || !server->daemon)
		return;
	/* A timer that is already set fires no later than the first in this line needs, unless this is the first. */
	if (!uv_is_active((uv_handle_t *)&server->line_timer) || TAILQ_FIRST(&server->lines[line]) == conn)
		arm_lines(server);
}

/* libmicrohttpd tells of a request when its first line is whole. Whether bytes came since the connection was idle, the
 * kernel knows; one more look, so that a line that has just begun is not cut. */
static bool drips(struct http_conn *conn)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);
	int64_t line_ns = conn->server->line_ns[LINE_IDLE];

	if (getsockopt(conn->fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
		return false;
	bool came = info.tcpi_last_data_recv * NS_PER_MS < line_ns - LOOK_SLACK_NS;
	bool still = came && conn->began;
	conn->began = came;
	return still;
}

void conn_lines_timer(uv_timer_t *timer)
{
	struct http_server *server = timer->data;
	int64_t now_ns = clock_now();

	for (int line = 0; line < LINE_COUNT; line++) {
		struct http_conn *conn;
		while ((conn = TAILQ_FIRST(&server->lines[line])) && conn->until_ns <= now_ns) {
			if (line == LINE_RECEIVING) {
				conn_refuse(conn, 408, "the request did not come in whole in time");
			} else if (line == LINE_IDLE && !drips(conn)) {
				line_up(conn, LINE_IDLE);
			} else {
				conn_enter(conn, LINE_NONE);
				conn_shutdown(conn);
			}
		}
	}
	if (server->stopping)
		server_kick(server);
	else
		arm_lines(server);
}

/* --- ends --- */

void conn_shutdown(struct http_conn *conn)
{
	shutdown(conn->fd, SHUT_RDWR);
}

void conn_refuse(struct http_conn *conn, unsigned status, const char *reason)
{
	char text[REFUSAL_MAX];
	size_t body_len = strlen("{\"error\":\"\"}") + strlen(reason);
	int len = snprintf(text, sizeof(text),
	    "HTTP/1.1 %u %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n"
	    "{\"error\":\"%s\"}",
	    status, MHD_get_reason_phrase_for(status), body_len, reason);

	/* The answer before this one has left libmicrohttpd, so the socket is ours; a full one means nobody reads. */
	if (len > 0 && (size_t)len < sizeof(text))
		(void)!send(conn->fd, text, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
	shutdown(conn->fd, SHUT_WR);
	if (conn->request)
		conn->request->refused = true;
	conn_enter(conn, LINE_REFUSED);
}

void conn_notify(
    void *cls, struct MHD_Connection *connection, void **socket_context, enum MHD_ConnectionNotificationCode code)
{
	struct http_conn *conn = *socket_context;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		conn = xcalloc(1, sizeof(*conn));
		conn->server = cls;
		conn->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
		conn->line = LINE_NONE;
		conn_enter(conn, LINE_IDLE);
		*socket_context = conn;
	} else if (conn) {
		/* libmicrohttpd looks who waits for this place when it runs next, and asks for no such run. */
		server_kick(conn->server);
		conn_enter(conn, LINE_NONE);
		free(conn);
		*socket_context = NULL;
	}
}

/* --- hang-up of parked and streaming clients --- */

struct hangup_watch {
	uv_poll_t poll;
	struct http_request *request;
	int fd;
};

static void hangup_watch_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void hangup_watch_stop(struct http_request *request)
{
	struct hangup_watch *watch = request->watch;

	if (!watch)
		return;
	request->watch = NULL;
	uv_poll_stop(&watch->poll);
	uv_close((uv_handle_t *)&watch->poll, hangup_watch_closed);
	close(watch->fd);
}

static void hung_up(uv_poll_t *poll, int status, int events)
{
	struct hangup_watch *watch = poll->data;
	struct http_request *request = watch->request;

	(void)status;
	(void)events;
	hangup_watch_stop(request);
	request->cut = true;
	conn_shutdown(request->conn);
	request_wake(request);
}

/* On a descriptor of its own: libmicrohttpd may close the connection's while a poll of it is still known to the loop.
 */
struct hangup_watch *hangup_watch_start(struct http_request *request)
{
	int fd = fcntl(request->conn->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0) {
		log_warn("a waiting client cannot be watched for hang-up", "errno=%d", errno);
		return NULL;
	}
	struct hangup_watch *watch = xcalloc(1, sizeof(*watch));
	watch->request = request;
	watch->fd = fd;
	watch->poll.data = watch;
	if (uv_poll_init(request->server->loop, &watch->poll, fd) != 0) {
		close(fd);
		free(watch);
		return NULL;
	}
	uv_poll_start(&watch->poll, UV_DISCONNECT, hung_up);
	return watch;
}
