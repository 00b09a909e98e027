#include "raw.h"

#include <netinet/tcp.h>

#include "berth/alloc.h"
#include "http/client_internal.h"

/* The client against the server, both on one loop, and against hand-made servers where the server would never misbehave
 * so. */
struct fixture {
	uv_loop_t loop;
	struct http_server *server;
	struct http_client *client;
	unsigned stopped, handled, in_flight, in_flight_max;
	struct http_request *stream, *parked[64];
	unsigned parked_count;
	uv_timer_t timer;
};

struct outcome {
	struct fixture *f;
	struct http_call *call;
	unsigned done, pieces, statuses, status_seen;
	int code;
	unsigned status;
	bool sent;
	int64_t retry_after_ns;
	char body[4096], error[256];
	size_t body_len, piece_bytes;
	bool refuse_piece, cancel_in_piece, close_in_done, chain;
};

static void on_gone(void *ctx)
{
	struct fixture *f = ctx;
	f->stream = NULL;
}

static void on_parked_gone(void *ctx)
{
	(void)ctx;
}

static void handle(void *ctx, struct http_request *request)
{
	struct fixture *f = ctx;
	struct slice path = http_path(request), body = http_body(request), method = http_method(request);

	f->handled++;
	if (slice_is(path, "/echo")) {
		const char *type = http_header(request, "Content-Type"), *auth = http_header(request, "Authorization");
		char text[1024];
		int len = snprintf(text, sizeof(text), "%.*s %s %s %.*s", (int)method.len, method.at, type ? type : "-",
		    auth ? auth : "-", (int)body.len, body.at);
		http_answer(request, 200, "text/plain", xstrdup(text), (size_t)len);
	} else if (slice_is(path, "/busy")) {
		http_add_header(request, "Retry-After", "3");
		http_answer_error(request, 429, "busy");
	} else if (slice_is(path, "/large")) {
		http_answer(request, 200, NULL, xcalloc(1, 100000), 100000);
	} else if (slice_is(path, "/park")) {
		http_park(request, on_parked_gone, f);
		f->parked[f->parked_count++] = request;
	} else if (slice_is(path, "/stream")) {
		http_stream(request, 200, NULL, on_gone, f);
		f->stream = request;
	} else {
		http_cut(request);
	}
}

static void on_stopped(void *ctx)
{
	struct fixture *f = ctx;
	f->stopped++;
}

static void start(struct fixture *f)
{
	struct err err;

	memset(f, 0, sizeof(*f));
	uv_loop_init(&f->loop);
	struct http_server_options server = {
	    .listen = "127.0.0.1:0",
	    .body_max = 1 << 20,
	    .connections_max = 256,
	    .idle_s = 120,
	    .deadline_ms = 5000,
	    .handler = handle,
	    .ctx = f,
	};
	f->server = http_server_start(&f->loop, &server, &err);
	assert_non_null(f->server);
	struct http_client_options client = {.connections_max = 8};
	f->client = http_client_open(&f->loop, &client, &err);
	assert_non_null(f->client);
}

static void stop(struct fixture *f)
{
	if (f->client)
		http_client_close(f->client);
	http_server_stop(f->server, on_stopped, f);
	loop_until(&f->loop, &f->stopped, 1);
	assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(&f->loop), 0);
}

static struct http_call *call(struct fixture *f, struct outcome *out, const char *path, struct http_call_spec spec);

static void on_done(void *ctx, const struct http_result *result)
{
	struct outcome *out = ctx;

	out->done++;
	out->code = result->code;
	out->status = result->status;
	out->sent = result->sent;
	out->retry_after_ns = result->retry_after_ns;
	out->body_len = result->body.len;
	snprintf(out->body, sizeof(out->body), "%.*s", (int)result->body.len, result->body.at ? result->body.at : "");
	snprintf(out->error, sizeof(out->error), "%s", result->error ? result->error : "");
	assert_int_equal(result->code != 0, result->error != NULL);
	if (out->close_in_done) {
		http_client_close(out->f->client);
		out->f->client = NULL;
	}
	if (out->chain) {
		out->chain = false;
		call(out->f, out, "/echo", (struct http_call_spec){.method = "GET"});
	}
}

static bool on_piece(void *ctx, const char *bytes, size_t len)
{
	struct outcome *out = ctx;

	assert_non_null(bytes);
	assert_int_equal(out->statuses, 1);
	out->pieces++;
	out->piece_bytes += len;
	if (out->cancel_in_piece)
		http_call_cancel(out->call);
	return !out->refuse_piece;
}

static void on_status(void *ctx, unsigned status)
{
	struct outcome *out = ctx;
	out->statuses++;
	out->status_seen = status;
}

static struct http_call *call(struct fixture *f, struct outcome *out, const char *path, struct http_call_spec spec)
{
	char url[256];

	if (path[0] == '/')
		snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", http_server_port(f->server), path);
	else
		snprintf(url, sizeof(url), "%s", path);
	out->f = f;
	spec.url = url;
	spec.done = on_done;
	spec.ctx = out;
	if (!spec.answer_max)
		spec.answer_max = 65536;
	return out->call = http_call(f->client, &spec);
}

static void get(struct fixture *f, struct outcome *out, const char *path)
{
	memset(out, 0, sizeof(*out));
	call(f, out, path, (struct http_call_spec){.method = "GET"});
	assert_int_equal(out->done, 0);
	loop_until(&f->loop, &out->done, 1);
}

static void methods_and_headers(void **state)
{
	struct fixture f;
	struct outcome out = {0};
	(void)state;
	start(&f);

	get(&f, &out, "/echo");
	assert_string_equal(out.body, "GET - - ");
	assert_int_equal(out.status, 200);
	assert_true(out.sent);
	memset(&out, 0, sizeof(out));
	call(&f, &out, "/echo",
	    (struct http_call_spec){.method = "PATCH",
	        .content_type = "application/x+json",
	        .bearer = "tok",
	        .body = slice_of("{\"a\":1}")});
	loop_until(&f.loop, &out.done, 1);
	assert_string_equal(out.body, "PATCH application/x+json Bearer tok {\"a\":1}");
	call(&f, &out, "/echo", (struct http_call_spec){.method = "POST"});
	loop_until(&f.loop, &out.done, 2);
	assert_string_equal(out.body, "POST - - ");
	call(&f, &out, "/echo", (struct http_call_spec){.method = "PATCH"});
	loop_until(&f.loop, &out.done, 3);
	assert_int_equal(out.status, 200);
	call(&f, &out, "/echo", (struct http_call_spec){.method = "DELETE"});
	loop_until(&f.loop, &out.done, 4);
	assert_string_equal(out.body, "DELETE - - ");
	get(&f, &out, "/busy");
	assert_int_equal(out.status, 429);
	assert_int_equal(out.code, 0);
	assert_true(out.retry_after_ns == 3 * NS_PER_S);
	out.chain = true;
	call(&f, &out, "/echo", (struct http_call_spec){.method = "GET"});
	loop_until(&f.loop, &out.done, 3);
	stop(&f);
}

static void failures(void **state)
{
	struct fixture f;
	struct outcome out = {0};
	(void)state;
	start(&f);

	get(&f, &out, "http://127.0.0.1:1/x");
	assert_int_equal(out.code, ERR_UNREACHABLE);
	assert_false(out.sent);
	get(&f, &out, "/cut");
	assert_int_equal(out.code, ERR_UNREACHABLE);
	assert_true(out.sent);
	get(&f, &out, "gopher://127.0.0.1:1/x");
	assert_int_not_equal(out.code, 0);
	memset(&out, 0, sizeof(out));
	call(&f, &out, "/large", (struct http_call_spec){.method = "GET", .answer_max = 1000});
	loop_until(&f.loop, &out.done, 1);
	assert_int_equal(out.code, ERR_TOO_LARGE);
	call(&f, &out, "/park", (struct http_call_spec){.method = "GET", .timeout_ms = 100});
	loop_until(&f.loop, &out.done, 2);
	assert_int_equal(out.code, ERR_UNREACHABLE);
	assert_true(out.sent);
	int64_t from = clock_now();
	call(&f, &out, "/park", (struct http_call_spec){.method = "GET", .silence_ms = 150});
	loop_until(&f.loop, &out.done, 3);
	assert_int_equal(out.code, ERR_UNREACHABLE);
	assert_non_null(strstr(out.error, "nothing came for"));
	assert_true(clock_now() - from > 140 * NS_PER_MS && clock_now() - from < 1000 * NS_PER_MS);
	stop(&f);
}

static void many_at_once(void **state)
{
	struct fixture f;
	static struct outcome out[50];
	(void)state;
	start(&f);
	memset(out, 0, sizeof(out));

	for (int i = 0; i < 50; i++)
		call(&f, &out[i], "/park", (struct http_call_spec){.method = "GET"});
	/* Eight connections to a host: eight parked, then the next eight. */
	loop_until(&f.loop, &f.parked_count, 8);
	loop_for(&f.loop, 50);
	assert_int_equal(f.parked_count, 8);
	for (unsigned i = 0; i < 50; i++) {
		loop_until(&f.loop, &f.handled, i + 8 < 50 ? i + 8 : 50);
		http_answer_text(f.parked[i], 200, NULL, "ok");
		loop_for(&f.loop, 2);
	}
	for (int i = 0; i < 50; i++) {
		loop_until(&f.loop, &out[i].done, 1);
		assert_string_equal(out[i].body, "ok");
	}
	stop(&f);
}

static void pieces(void **state)
{
	struct fixture f;
	struct outcome out = {0};
	struct http_call_spec spec = {.method = "GET", .silence_ms = 300, .status = on_status, .piece = on_piece};
	(void)state;
	start(&f);

	call(&f, &out, "/stream", spec);
	loop_until(&f.loop, &out.statuses, 1);
	assert_int_equal(out.status_seen, 200);
	for (unsigned i = 0; i < 5; i++) {
		http_stream_write(f.stream, "event\n", 6);
		loop_until(&f.loop, &out.pieces, i + 1);
		loop_for(&f.loop, 100); /* no silence as long as something comes */
	}
	http_stream_end(f.stream);
	loop_until(&f.loop, &out.done, 1);
	assert_int_equal(out.code, 0);
	assert_int_equal(out.piece_bytes, 30);
	assert_int_equal(out.body_len, 0);

	memset(&out, 0, sizeof(out));
	call(&f, &out, "/stream", spec);
	loop_until(&f.loop, &out.statuses, 1);
	http_stream_write(f.stream, "half", 4);
	http_cut(f.stream);
	loop_until(&f.loop, &out.done, 1);
	assert_int_equal(out.code, ERR_UNREACHABLE);
	assert_int_equal(out.piece_bytes, 4);

	memset(&out, 0, sizeof(out));
	out.refuse_piece = true;
	call(&f, &out, "/stream", spec);
	loop_until(&f.loop, &out.statuses, 1);
	http_stream_write(f.stream, "x", 1);
	loop_until(&f.loop, &out.done, 1);
	assert_int_equal(out.code, ERR_INPUT);

	/* The status is told, and the body of an error is kept. */
	memset(&out, 0, sizeof(out));
	call(&f, &out, "/busy", spec);
	loop_until(&f.loop, &out.done, 1);
	assert_int_equal(out.pieces, 0);
	assert_int_equal(out.status_seen, 429);
	assert_string_equal(out.body, "{\"error\":\"busy\"}");
	stop(&f);
}

static void cancelling(void **state)
{
	struct fixture f;
	struct outcome out = {0}, other = {0};
	struct http_call_spec spec = {.method = "GET", .status = on_status, .piece = on_piece, .silence_ms = 5000};
	(void)state;
	start(&f);

	out.cancel_in_piece = true;
	call(&f, &out, "/stream", spec);
	loop_until(&f.loop, &out.statuses, 1);
	http_stream_write(f.stream, "x", 1);
	loop_until(&f.loop, &out.pieces, 1);
	loop_for(&f.loop, 50);
	assert_null(f.stream); /* the server saw the connection go */
	assert_int_equal(out.done, 0);
	memset(&out, 0, sizeof(out));
	http_call_cancel(call(&f, &out, "/echo", spec)); /* before it started */
	call(&f, &out, "/park", spec);
	loop_until(&f.loop, &f.parked_count, 1);
	http_call_cancel(out.call);
	loop_for(&f.loop, 50);
	assert_int_equal(out.done, 0);

	/* Closing inside a callback ends the others with their callbacks. */
	call(&f, &other, "/park", spec);
	loop_until(&f.loop, &f.parked_count, 2);
	out.close_in_done = true;
	call(&f, &out, "/echo", spec);
	loop_until(&f.loop, &out.done, 1);
	loop_until(&f.loop, &other.done, 1);
	assert_int_equal(other.code, ERR_UNREACHABLE);
	stop(&f);
}

static void retiring(void **state)
{
	struct fixture f;
	struct outcome out = {0};
	(void)state;
	start(&f);

	call(&f, &out, "/park", (struct http_call_spec){.method = "GET"});
	loop_until(&f.loop, &f.parked_count, 1);
	http_client_retire(f.client);
	f.client = NULL;
	loop_for(&f.loop, 50);
	assert_int_equal(out.done, 0);
	http_answer_text(f.parked[0], 200, NULL, "ok");
	loop_until(&f.loop, &out.done, 1);
	assert_int_equal(out.code, 0);
	stop(&f);
}

static int raw_listen(unsigned *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(fd, 8), 0);
	getsockname(fd, (struct sockaddr *)&address, &len);
	*port = ntohs(address.sin_port);
	return fd;
}

static int raw_accept(uv_loop_t *loop, int listening)
{
	int64_t end = clock_now() + RAW_WAIT_MS * NS_PER_MS;
	int fd = -1;

	while (fd < 0 && clock_now() < end) {
		loop_turn(loop);
		fd = accept(listening, NULL, NULL);
	}
	assert_true(fd >= 0);
	return fd;
}

/* A kept connection that dies under a second POST: the client must not send that POST again on its own. */
static void lost_answer_is_not_repeated(void **state)
{
	struct fixture f;
	struct outcome out = {0};
	char url[64];
	unsigned port;
	(void)state;
	start(&f);
	int listening = raw_listen(&port);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/x", port);
	struct http_call_spec spec = {
	    .method = "POST", .content_type = "text/plain", .body = slice_of("payload"), .timeout_ms = 2000};

	call(&f, &out, url, spec);
	int fd = raw_accept(&f.loop, listening);
	free(raw_read(&f.loop, fd, "payload", 1));
	raw_text(&f.loop, fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	loop_until(&f.loop, &out.done, 1);
	assert_string_equal(out.body, "ok");
	call(&f, &out, url, spec);
	free(raw_read(&f.loop, fd, "payload", 1));
	close(fd);
	loop_until(&f.loop, &out.done, 2);
	assert_int_equal(out.code, ERR_UNREACHABLE);
	assert_true(out.sent);
	loop_for(&f.loop, 100);
	/* It may have connected again before it found that it cannot, but nothing was sent there. */
	fd = accept(listening, NULL, NULL);
	if (fd >= 0) {
		char *text = raw_read(&f.loop, fd, NULL, 0);
		assert_string_equal(text, "");
		free(text);
		close(fd);
	}
	assert_int_equal(accept(listening, NULL, NULL), -1);
	close(listening);
	stop(&f);
}

/* Its kernel goes on acknowledging, so no timeout of TCP ever fires. */
static void a_frozen_server_is_left(void **state)
{
	struct fixture f;
	struct outcome out = {0};
	struct http_call_spec spec = {.method = "GET", .silence_ms = 150, .status = on_status, .piece = on_piece};
	char url[64];
	unsigned port;
	(void)state;
	start(&f);
	int listening = raw_listen(&port);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/x", port);

	/* Frozen before it took the connection, behind the headers, and inside of a body. */
	call(&f, &out, url, spec);
	loop_until(&f.loop, &out.done, 1);
	assert_int_equal(out.code, ERR_UNREACHABLE);
	assert_non_null(strstr(out.error, "nothing came for"));
	close(raw_accept(&f.loop, listening));
	static const char *const parts[] = {"", "4\r\nhalf\r\n"};
	for (unsigned i = 0; i < 2; i++) {
		memset(&out, 0, sizeof(out));
		call(&f, &out, url, spec);
		int fd = raw_accept(&f.loop, listening);
		raw_text(&f.loop, fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
		raw_text(&f.loop, fd, parts[i]);
		loop_until(&f.loop, &out.done, 1);
		assert_int_equal(out.status_seen, 200);
		assert_int_equal(out.piece_bytes, i * 4);
		assert_int_equal(out.code, ERR_UNREACHABLE);
		assert_non_null(strstr(out.error, "nothing came for"));
		free(raw_read(&f.loop, fd, NULL, 0)); /* and the connection is not kept */
		close(fd);
	}
	close(listening);
	stop(&f);
}

static int option_of(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

/* Machines that vanish, with or without something on its way to them, are found by TCP within a minute. */
static void vanished_machines_are_noticed(void **state)
{
	struct fixture f;
	struct outcome out = {0};
	(void)state;
	start(&f);

	call(&f, &out, "/park", (struct http_call_spec){.method = "GET"});
	loop_until(&f.loop, &f.parked_count, 1);
	int fd = TAILQ_FIRST(&f.client->sockets)->fd;
	assert_int_equal(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_in_range(option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE), 1, 30);
	assert_in_range(option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL), 1, 10);
	assert_in_range(option_of(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 1, 30000);
	http_answer_text(f.parked[0], 200, NULL, "ok");
	loop_until(&f.loop, &out.done, 1);
	stop(&f);
}

static void count_polls(uv_handle_t *handle, void *fd)
{
	int polled;

	if (handle->type == UV_POLL && !uv_is_closing(handle) && uv_fileno(handle, &polled) == 0 &&
	    polled == *(int *)fd)
		*(int *)fd = -1;
}

static bool is_polled(uv_loop_t *loop, int fd)
{
	uv_walk(loop, count_polls, &fd);
	return fd == -1;
}

/* The loop ends the process if it must look at a descriptor that is closed, or at another one of the same number.
 * libcurl says most times that it is done with a socket before it closes it; this is when it does not. */
static void a_closed_socket_is_not_polled(void **state)
{
	struct fixture f;
	struct outcome out = {0}, other = {0};
	(void)state;
	start(&f);

	call(&f, &out, "/park", (struct http_call_spec){.method = "GET", .timeout_ms = 300});
	loop_until(&f.loop, &f.parked_count, 1);
	int fd = TAILQ_FIRST(&f.client->sockets)->fd;
	assert_true(is_polled(&f.loop, fd));
	assert_int_equal(loop_close_socket(f.client, fd), 0);
	assert_false(is_polled(&f.loop, fd));
	/* Its number is taken by the next, which works, also when the call that had the old one has ended. */
	int again = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(again, fd);
	uv_poll_t poll;
	assert_int_equal(uv_poll_init(&f.loop, &poll, again), 0);
	uv_close((uv_handle_t *)&poll, NULL);
	call(&f, &other, "/echo", (struct http_call_spec){.method = "GET"});
	loop_until(&f.loop, &other.done, 1);
	assert_int_equal(other.status, 200);
	loop_until(&f.loop, &out.done, 1);
	assert_int_equal(out.code, ERR_UNREACHABLE);
	stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(methods_and_headers),
	    cmocka_unit_test(failures),
	    cmocka_unit_test(many_at_once),
	    cmocka_unit_test(pieces),
	    cmocka_unit_test(cancelling),
	    cmocka_unit_test(retiring),
	    cmocka_unit_test(lost_answer_is_not_repeated),
	    cmocka_unit_test(a_frozen_server_is_left),
	    cmocka_unit_test(vanished_machines_are_noticed),
	    cmocka_unit_test(a_closed_socket_is_not_polled),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
