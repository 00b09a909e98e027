#include "sim/daemon.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PROBE_MS 50
#define KILL_MS 3000

struct sim_daemon {
	uv_process_t process;
	uv_timer_t timer;
	struct http_client *http;
	struct sim_daemon_options options;
	char listen[32], listen_ops[32], verbs[64], ops[64];
	bool ready, stopping, exited;
	unsigned closing;
};

/* A get under way. */
struct question {
	void (*done)(void *ctx, struct slice body);
	void *ctx;
};

/* Two ports that are free now; both are held until both are known. */
static int free_ports(unsigned ports[2], struct err *err)
{
	int fds[2] = {-1, -1}, code = 0;

	for (int i = 0; i < 2 && code == 0; i++) {
		struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		socklen_t len = sizeof address;

		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fds[i] < 0 || bind(fds[i], (struct sockaddr *)&address, len) != 0 ||
		    getsockname(fds[i], (struct sockaddr *)&address, &len) != 0)
			code = err_set(err, ERR_SYSTEM, "no free port on 127.0.0.1");
		ports[i] = ntohs(address.sin_port);
	}
	for (int i = 0; i < 2; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return code;
}

static void probe(uv_timer_t *timer);

static void handle_closed(uv_handle_t *handle)
{
	struct sim_daemon *daemon = handle->data;

	if (--daemon->closing == 0)
		free(daemon);
}

static void close_handles(struct sim_daemon *daemon)
{
	daemon->closing = 2;
	uv_close((uv_handle_t *)&daemon->timer, handle_closed);
	uv_close((uv_handle_t *)&daemon->process, handle_closed);
}

static void exited(uv_process_t *process, int64_t status, int term_signal)
{
	struct sim_daemon *daemon = process->data;
	char text[96];

	daemon->exited = true;
	if (daemon->stopping) {
		close_handles(daemon);
		return;
	}
	if (term_signal)
		snprintf(text, sizeof text, "berth serve was ended by signal %d", term_signal);
	else
		snprintf(text, sizeof text, "berth serve ended with exit code %d", (int)status);
	daemon->options.died(daemon->options.ctx, text);
}

static void probed(void *ctx, const struct http_result *result)
{
	struct sim_daemon *daemon = ctx;

	if (daemon->stopping || daemon->ready || daemon->exited)
		return;
	if (result->code == 0 && result->status == 200) {
		daemon->ready = true;
		daemon->options.ready(daemon->options.ctx);
		return;
	}
	uv_timer_start(&daemon->timer, probe, PROBE_MS, 0);
}

static void probe(uv_timer_t *timer)
{
	struct sim_daemon *daemon = timer->data;
	char url[96];

	snprintf(url, sizeof url, "%s/readyz", daemon->ops);
	http_call(daemon->http,
	    &(struct http_call_spec){
	        .method = "GET", .url = url, .answer_max = 65536, .timeout_ms = 2000, .done = probed, .ctx = daemon});
}

static int spawn(uv_loop_t *loop, struct sim_daemon *daemon, struct err *err)
{
	int log = open(daemon->options.log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	char *args[] = {"berth", "serve", "--policy", (char *)daemon->options.policy, "--kubeconfig",
	    (char *)daemon->options.kubeconfig, "--listen", daemon->listen, "--listen-ops", daemon->listen_ops, NULL};
	uv_stdio_container_t stdio[3] = {
	    {.flags = UV_IGNORE}, {.flags = UV_INHERIT_FD, .data.fd = log}, {.flags = UV_INHERIT_FD, .data.fd = log}};
	uv_process_options_t process = {
	    .file = "/proc/self/exe", .args = args, .stdio = stdio, .stdio_count = 3, .exit_cb = exited};

	if (log < 0)
		return err_set(err, ERR_SYSTEM, "cannot write %s", daemon->options.log);
	/* Ctrl-C goes to the whole foreground group; the child is ended by us, in order. */
	process.flags = UV_PROCESS_DETACHED;
	int code = uv_spawn(loop, &daemon->process, &process);

	close(log);
	return code == 0 ? 0 : err_set(err, ERR_SYSTEM, "cannot start berth serve: %s", uv_strerror(code));
}

struct sim_daemon *sim_daemon_start(uv_loop_t *loop, const struct sim_daemon_options *options, struct err *err)
{
	unsigned ports[2];

	if (free_ports(ports, err) != 0)
		return NULL;
	struct http_client *http = http_client_open(loop, &(struct http_client_options){.connections_max = 2}, err);

	if (!http)
		return NULL;
	struct sim_daemon *daemon = xcalloc(1, sizeof *daemon);

	daemon->http = http;
	daemon->options = *options;
	snprintf(daemon->listen, sizeof daemon->listen, "127.0.0.1:%u", ports[0]);
	snprintf(daemon->listen_ops, sizeof daemon->listen_ops, "127.0.0.1:%u", ports[1]);
	snprintf(daemon->verbs, sizeof daemon->verbs, "http://%s/v1", daemon->listen);
	snprintf(daemon->ops, sizeof daemon->ops, "http://%s", daemon->listen_ops);
	daemon->process.data = daemon;
	uv_timer_init(loop, &daemon->timer);
	daemon->timer.data = daemon;
	if (spawn(loop, daemon, err) != 0) {
		http_client_close(http);
		close_handles(daemon);
		return NULL;
	}
	uv_timer_start(&daemon->timer, probe, PROBE_MS, 0);
	return daemon;
}

const char *sim_daemon_verbs(const struct sim_daemon *daemon)
{
	return daemon->verbs;
}

static void answered(void *ctx, const struct http_result *result)
{
	struct question *question = ctx;
	bool good = result->code == 0 && result->status == 200;

	question->done(question->ctx, good ? result->body : (struct slice){"", 0});
	free(question);
}

void sim_daemon_get(struct sim_daemon *daemon, const char *path, void (*done)(void *ctx, struct slice body), void *ctx)
{
	struct question *question = xcalloc(1, sizeof *question);
	char url[256];

	question->done = done;
	question->ctx = ctx;
	snprintf(url, sizeof url, "%s%s", daemon->ops, path);
	http_call(daemon->http, &(struct http_call_spec){.method = "GET",
	                            .url = url,
	                            .answer_max = SIM_STATE_MAX,
	                            .timeout_ms = 3000,
	                            .done = answered,
	                            .ctx = question});
}

static void kill_now(uv_timer_t *timer)
{
	struct sim_daemon *daemon = timer->data;

	uv_process_kill(&daemon->process, SIGKILL);
}

void sim_daemon_stop(struct sim_daemon *daemon)
{
	daemon->stopping = true;
	http_client_close(daemon->http);
	if (daemon->exited) {
		close_handles(daemon);
		return;
	}
	uv_process_kill(&daemon->process, SIGTERM);
	uv_timer_start(&daemon->timer, kill_now, KILL_MS, 0);
}
