#include "http/server_internal.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define SPARE_DESCRIPTORS 256

/* --- listening --- */

static int split_address(const char *listen_text, char *host, size_t host_room, const char **port, struct err *err)
{
	const char *colon = strrchr(listen_text, ':');
	if (!colon || colon[1] == '\0')
		return err_set(err, ERR_INPUT, "listen address \"%s\": ADDR:PORT is needed", listen_text);
	const char *from = listen_text;
	size_t len = (size_t)(colon - listen_text);
	if (len >= 2 && from[0] == '[' && from[len - 1] == ']') {
		from++;
		len -= 2;
	}
	if (len >= host_room)
		return err_set(err, ERR_INPUT, "listen address \"%s\": too long", listen_text);
	memcpy(host, from, len);
	host[len] = '\0';
	*port = colon + 1;
	return 0;
}

static int bind_socket(const struct addrinfo *address)
{
	int one = 1, off = 0;
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (address->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
	    bind(fd, address->ai_addr, address->ai_addrlen) != 0 || listen(fd, SOMAXCONN) != 0) {
		int saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

/* On every address: by both families, where the kernel has both. */
static int bind_all(const struct addrinfo *addresses)
{
	for (const struct addrinfo *address = addresses; address; address = address->ai_next) {
		int fd = address->ai_family == AF_INET6 ? bind_socket(address) : -1;
		if (fd >= 0)
			return fd;
	}
	return bind_socket(addresses);
}

/* The listening descriptor, or a negative code. */
static int listen_on(const char *listen_text, struct err *err)
{
	char host[256];
	const char *port = NULL;
	int code = split_address(listen_text, host, sizeof(host), &port, err);
	if (code)
		return code;
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
	struct addrinfo *addresses;
	int failed = getaddrinfo(host[0] ? host : NULL, port, &hints, &addresses);
	if (failed)
		return err_set(err, ERR_INPUT, "listen address \"%s\": %s", listen_text, gai_strerror(failed));
	int fd = host[0] ? bind_socket(addresses) : bind_all(addresses);
	int saved = errno;
	freeaddrinfo(addresses);
	if (fd < 0)
		return err_set(err, ERR_SYSTEM, "cannot listen on %s: %s", listen_text, strerror(saved));
	return fd;
}

static unsigned port_of(int fd)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);
	char port[NI_MAXSERV];

	if (getsockname(fd, (struct sockaddr *)&address, &len) != 0 ||
	    getnameinfo((struct sockaddr *)&address, len, NULL, 0, port, sizeof(port), NI_NUMERICSERV) != 0)
		return 0;
	return (unsigned)strtoul(port, NULL, 10);
}

/* A parked connection takes two descriptors; the usual soft limit of 1,024 is far below what is allowed. */
static void raise_descriptor_limit(unsigned connections)
{
	struct rlimit limit;
	rlim_t needed = 2 * (rlim_t)connections + SPARE_DESCRIPTORS;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed)
		return;
	limit.rlim_cur = needed < limit.rlim_max ? needed : limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < needed)
		log_warn("fewer descriptors than connections could need", "limit=%llu needed=%llu",
		    (unsigned long long)limit.rlim_cur, (unsigned long long)needed);
}

/* --- the loop --- */

static void stop_step(struct http_server *server);
static void run_timer_fired(uv_timer_t *timer);

/* libmicrohttpd says when it wants to run again; without this, large bodies and pipelined requests stand still. */
static void arm(struct http_server *server)
{
	MHD_UNSIGNED_LONG_LONG timeout_ms;

	if (MHD_get_timeout(server->daemon, &timeout_ms) != MHD_YES)
		uv_timer_stop(&server->run_timer);
	else if (timeout_ms == 0)
		server_kick(server);
	else
		uv_timer_start(&server->run_timer, run_timer_fired, timeout_ms, 0);
}

static void run(struct http_server *server)
{
	struct http_request *request;

	while ((request = TAILQ_FIRST(&server->resuming))) {
		TAILQ_REMOVE(&server->resuming, request, resume_link);
		request->resuming = false;
		request->suspended = false;
		MHD_resume_connection(request->connection);
	}
	MHD_run(server->daemon);
	if (server->stopping)
		stop_step(server);
	if (server->daemon)
		arm(server);
}

static void pump(uv_idle_t *idle)
{
	uv_idle_stop(idle);
	run(idle->data);
}

static void run_timer_fired(uv_timer_t *timer)
{
	run(timer->data);
}

static void daemon_ready(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	run(poll->data);
}

void server_kick(struct http_server *server)
{
	if (server->daemon)
		uv_idle_start(&server->pump, pump);
}

/* --- start --- */

static struct MHD_Daemon *start_daemon(struct http_server *server, int fd)
{
	const struct http_server_options *options = &server->options;

	return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, request_access, server,
	    MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_HEADERS_MAX,
	    MHD_OPTION_CONNECTION_LIMIT, options->connections_max, MHD_OPTION_CONNECTION_TIMEOUT, options->idle_s,
	    MHD_OPTION_URI_LOG_CALLBACK, request_open, server, MHD_OPTION_NOTIFY_COMPLETED, request_completed, server,
	    MHD_OPTION_NOTIFY_CONNECTION, conn_notify, server, MHD_OPTION_END);
}

static void open_handles(struct http_server *server)
{
	uv_timer_init(server->loop, &server->run_timer);
	uv_timer_init(server->loop, &server->line_timer);
	uv_idle_init(server->loop, &server->pump);
	server->run_timer.data = server->line_timer.data = server->pump.data = server->poll.data = server;
	server->handles = 4;
}

struct http_server *http_server_start(uv_loop_t *loop, const struct http_server_options *options, struct err *err)
{
	int fd = listen_on(options->listen, err);
	if (fd < 0)
		return NULL;
	raise_descriptor_limit(options->connections_max);
	struct http_server *server = xcalloc(1, sizeof(*server));
	server->loop = loop;
	server->options = *options;
	server->options.listen = NULL;
	server->port = port_of(fd);
	TAILQ_INIT(&server->requests);
	TAILQ_INIT(&server->resuming);
	conn_lines_init(server);
	server->daemon = start_daemon(server, fd);
	if (!server->daemon) {
		err_set(err, ERR_SYSTEM, "cannot start the HTTP server: %s", strerror(errno));
		close(fd);
		free(server);
		return NULL;
	}
	open_handles(server);
	uv_poll_init(loop, &server->poll, MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd);
	uv_poll_start(&server->poll, UV_READABLE, daemon_ready);
	arm(server);
	return server;
}

unsigned http_server_port(const struct http_server *server)
{
	return server->port;
}

/* --- stop --- */

static void handle_closed(uv_handle_t *handle)
{
	struct http_server *server = handle->data;

	if (--server->handles > 0)
		return;
	void (*stopped)(void *ctx) = server->stopped;
	void *ctx = server->stopped_ctx;
	free(server);
	if (stopped)
		stopped(ctx);
}

static void begin_drain(struct http_server *server)
{
	server->draining = true;
	server->drain_until_ns = clock_now() + HTTP_DRAIN_MS * NS_PER_MS;
	int fd = MHD_quiesce_daemon(server->daemon);
	if (fd != MHD_INVALID_SOCKET)
		close(fd);
	/* A callback may end other requests, so the walk begins anew after each. */
	struct http_request *request;
	bool found;
	do {
		found = false;
		TAILQ_FOREACH(request, &server->requests, link)
		{
			if (request->abandoned)
				continue;
			request->abandoned = found = true;
			request_abandon(request);
			break;
		}
	} while (found);
	server_kick(server);
}

/* libmicrohttpd ends the process when it is stopped with a suspended connection: answers leave first, for a bounded
 * time. */
static void stop_step(struct http_server *server)
{
	if (!server->draining) {
		begin_drain(server);
		return;
	}
	bool late = clock_now() >= server->drain_until_ns;
	if (!TAILQ_EMPTY(&server->resuming) || (!TAILQ_EMPTY(&server->requests) && !late)) {
		uv_timer_start(&server->line_timer, conn_lines_timer, 10, 0);
		return;
	}
	struct MHD_Daemon *daemon = server->daemon;
	server->daemon = NULL;
	uv_poll_stop(&server->poll);
	MHD_stop_daemon(daemon);
	uv_close((uv_handle_t *)&server->poll, handle_closed);
	uv_close((uv_handle_t *)&server->run_timer, handle_closed);
	uv_close((uv_handle_t *)&server->line_timer, handle_closed);
	uv_close((uv_handle_t *)&server->pump, handle_closed);
}

void http_server_stop(struct http_server *server, void (*done)(void *ctx), void *ctx)
{
	server->stopping = true;
	server->stopped = done;
	server->stopped_ctx = ctx;
	server_kick(server);
}
