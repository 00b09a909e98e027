#include "raw.h"

#include <malloc.h>
#include <poll.h>
#include <sys/resource.h>

#include "berth/alloc.h"

#define BODY_MAX (1u << 20)
#define LARGE_BYTES (24u << 20) /* more than the kernel keeps for a connection */
#define PARKED_MAX 2048

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"

struct fixture {
	uv_loop_t loop;
	struct http_server *server;
	unsigned port, handled, gone, stopped;
	struct http_request *parked[PARKED_MAX];
	unsigned parked_count;
	struct http_request *stream;
	unsigned stream_gone;
	size_t last_body;
	bool in_handler;
};

static void on_gone(void *ctx)
{
	struct fixture *f = ctx;
	f->gone++;
}

static void on_stream_gone(void *ctx)
{
	struct fixture *f = ctx;
	f->stream_gone++;
	f->stream = NULL;
}

static void on_stopped(void *ctx)
{
	struct fixture *f = ctx;
	f->stopped++;
}

static void release(struct fixture *f)
{
	for (unsigned i = 0; i < f->parked_count; i++)
		http_answer_text(f->parked[i], 200, NULL, "done");
	f->parked_count = 0;
	if (f->stream)
		http_stream_end(f->stream);
}

static void handle(void *ctx, struct http_request *request)
{
	struct fixture *f = ctx;
	struct slice path = http_path(request), body = http_body(request);

	assert_false(f->in_handler);
	f->in_handler = true;
	f->handled++;
	f->last_body = body.len;
	if (slice_is(path, "/park")) {
		http_park(request, on_gone, f);
		f->parked[f->parked_count++] = request;
	} else if (slice_is(path, "/stream")) {
		http_stream(request, 200, NULL, on_stream_gone, f);
		f->stream = request;
	} else if (slice_is(path, "/echo")) {
		char *copy = xmalloc(body.len + 1);
		memcpy(copy, body.at, body.len + 1);
		http_answer(request, 200, "text/plain", copy, body.len);
	} else if (slice_is(path, "/query")) {
		const char *a = http_query(request, "a"), *b = http_query(request, "b"), *c = http_query(request, "c");
		char text[256];
		snprintf(text, sizeof(text), "a=[%s] b=[%s] c=[%s]", a ? a : "-", b ? b : "-", c ? c : "-");
		http_add_header(request, "Retry-After", "7");
		http_answer(request, 200, "text/plain", xstrdup(text), strlen(text));
	} else if (slice_is(path, "/ping")) {
		assert_int_equal(body.at[body.len], '\0');
		assert_true(http_started(request) <= clock_now());
		http_answer_text(request, 200, "text/plain", "pong");
	} else if (slice_is(path, "/large")) {
		http_answer(request, 200, "text/plain", memset(xmalloc(LARGE_BYTES), 'z', LARGE_BYTES), LARGE_BYTES);
	} else if (slice_is(path, "/release")) {
		release(f);
		http_answer_text(request, 200, "text/plain", "released");
	} else if (slice_is(path, "/stop")) {
		http_server_stop(f->server, on_stopped, f);
		http_answer_text(request, 200, "text/plain", "stopping");
	} else if (slice_is(path, "/cut")) {
		http_cut(request);
	} else if (slice_is(path, "/twice")) {
		http_park(request, on_gone, f);
		http_answer_text(request, 200, "text/plain", "at once");
	} else {
		http_answer_error(request, 404, "no \"%.*s\" here", (int)path.len, path.at);
	}
	f->in_handler = false;
}

static void start_limited(struct fixture *f, unsigned deadline_ms, unsigned connections_max)
{
	struct err err;

	memset(f, 0, sizeof(*f));
	assert_int_equal(uv_loop_init(&f->loop), 0);
	struct http_server_options options = {
	    .listen = "127.0.0.1:0",
	    .body_max = BODY_MAX,
	    .connections_max = connections_max,
	    .idle_s = 120,
	    .deadline_ms = deadline_ms,
	    .handler = handle,
	    .ctx = f,
	};
	f->server = http_server_start(&f->loop, &options, &err);
	assert_non_null(f->server);
	f->port = http_server_port(f->server);
	assert_true(f->port > 0);
}

static void start_with(struct fixture *f, unsigned deadline_ms)
{
	start_limited(f, deadline_ms, 4096);
}

static void stop(struct fixture *f)
{
	http_server_stop(f->server, on_stopped, f);
	loop_until(&f->loop, &f->stopped, 1);
	assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(&f->loop), 0);
}

static void keep_alive_and_query(void **state)
{
	struct fixture f;
	(void)state;
	start_with(&f, 5000);
	int fd = raw_connect(f.port);

	raw_text(&f.loop, fd, GET("/ping"));
	char *text = raw_read(&f.loop, fd, "pong", 1);
	assert_non_null(strstr(text, "HTTP/1.1 200 OK"));
	assert_non_null(strstr(text, "Content-Length: 4"));
	free(text);
	raw_text(&f.loop, fd, GET("/query?a=1%202+3&b&d=%zz&%61b=x"));
	text = raw_read(&f.loop, fd, "c=[", 1);
	assert_non_null(strstr(text, "a=[1 2 3] b=[] c=[-]"));
	assert_non_null(strstr(text, "Retry-After: 7"));
	free(text);
	raw_text(&f.loop, fd, GET("http://x/%70ing?a"));
	free(raw_read(&f.loop, fd, "pong", 1));
	raw_text(&f.loop, fd, GET("/a%00%zz\"b"));
	text = raw_read(&f.loop, fd, "}", 1);
	assert_non_null(strstr(text, "404 Not Found"));
	assert_non_null(strstr(text, "{\"error\":\"no \\\"/a%00%zz\\\"b\\\" here\"}"));
	free(text);
	raw_text(&f.loop, fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
	text = raw_read(&f.loop, fd, "\r\n\r\n", 1);
	assert_non_null(strstr(text, "200 OK"));
	assert_non_null(strstr(text, "Content-Length: 0"));
	free(text);
	raw_text(&f.loop, fd, GET("/twice"));
	free(raw_read(&f.loop, fd, "at once", 1));
	assert_int_equal(f.gone, 0);
	raw_text(&f.loop, fd, GET("/cut"));
	assert_true(raw_closed(&f.loop, fd, 1000));
	assert_int_equal(f.handled, 7);
	close(fd);
	stop(&f);
}

static void pipelining(void **state)
{
	struct fixture f;
	char block[8192] = "";
	(void)state;
	start_with(&f, 5000);
	int fd = raw_connect(f.port);

	for (int i = 0; i < 20; i++)
		strncat(block, i % 4 == 3 ? GET("/park") : GET("/ping"), sizeof(block) - strlen(block) - 1);
	raw_text(&f.loop, fd, block);
	for (unsigned i = 0; i < 5; i++) {
		loop_until(&f.loop, &f.parked_count, i + 1);
		assert_int_equal(f.handled, 4 * (i + 1));
		http_answer_text(f.parked[i], 200, NULL, "parked");
	}
	char *text = raw_read(&f.loop, fd, "parked", 5);
	assert_int_equal(raw_count(text, "pong"), 15);
	free(text);
	close(fd);
	stop(&f);
}

static void large_bodies(void **state)
{
	struct fixture f;
	size_t len = 966u * 1024;
	char *body = malloc(len + 1), head[256];
	(void)state;
	start_with(&f, 20000);
	int fd = raw_connect(f.port);

	for (size_t i = 0; i < len; i++)
		body[i] = (char)('a' + i % 26);
	body[len - 1] = '!';
	body[len] = '\0';
	for (int i = 0; i < 3; i++) {
		snprintf(head, sizeof(head), "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", len);
		raw_text(&f.loop, fd, head);
		raw_send(&f.loop, fd, body, len);
		char *text = raw_read(&f.loop, fd, "!", 1);
		assert_memory_equal(strstr(text, "\r\n\r\n") + 4, body, len);
		free(text);
	}
	raw_text(&f.loop, fd,
	    "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
	    "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n");
	char *text = raw_read(&f.loop, fd, "hello!", 1);
	free(text);
	raw_text(&f.loop, fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
	free(raw_read(&f.loop, fd, "100 Continue", 1));
	raw_text(&f.loop, fd, "ab!");
	free(raw_read(&f.loop, fd, "ab!", 1));
	close(fd);
	free(body);
	stop(&f);
}

/* Sends, reads to the end of the connection, and expects a status. */
static void expect_refusal(struct fixture *f, const char *request, const char *status)
{
	int fd = raw_connect(f->port);
	raw_text(&f->loop, fd, request);
	char *text = raw_read(&f->loop, fd, NULL, 0);
	if (strncmp(text, "HTTP/1.1 ", 9) != 0 || strncmp(text + 9, status, 3) != 0)
		fail_msg("%s: wanted %s, got: %s", request, status, text);
	assert_non_null(strstr(text, "{\"error\":\""));
	assert_int_equal(raw_count(text, "HTTP/1.1"), 1);
	free(text);
	close(fd);
}

static void strictness(void **state)
{
	struct fixture f;
	char text[256];
	(void)state;
	start_with(&f, 5000);

	expect_refusal(&f, "GET /ping HTTP/1.1\r\n\r\n", "400");
	expect_refusal(&f, "GET /ping HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400");
	expect_refusal(&f, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab", "400");
	expect_refusal(&f,
	    "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
	    "1\r\na\r\n0\r\n\r\n",
	    "400");
	expect_refusal(&f,
	    "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"
	    "\r\n1\r\na\r\n0\r\n\r\n",
	    "400");
	expect_refusal(&f, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", "400");
	expect_refusal(&f, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length : 2\r\n\r\nab", "400");
	expect_refusal(&f, "POST /echo HTTP/1.1\r\nHost: x\r\n\r\n", "411");
	snprintf(text, sizeof(text), "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %u\r\n\r\nab", BODY_MAX + 1);
	expect_refusal(&f, text, "413");
	snprintf(text, sizeof(text),
	    "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %u\r\n\r\n", BODY_MAX + 1);
	expect_refusal(&f, text, "413");
	assert_int_equal(f.handled, 0);
	stop(&f);
}

static void sender_of_too_much_reads_413(void **state)
{
	struct fixture f;
	char *chunk = malloc(65536 + 16);
	(void)state;
	start_with(&f, 20000);
	int fd = raw_connect(f.port);

	int head = sprintf(chunk, "10000\r\n");
	memset(chunk + head, 'x', 65536);
	memcpy(chunk + head + 65536, "\r\n", 2);
	raw_text(&f.loop, fd, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < 17; i++)
		raw_send(&f.loop, fd, chunk, (size_t)head + 65538);
	char *text = raw_read(&f.loop, fd, "too large", 1);
	assert_non_null(strstr(text, "413"));
	free(text);
	close(fd);

	/* Announced, and the sender goes on for a while before it reads. */
	fd = raw_connect(f.port);
	raw_text(&f.loop, fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n");
	for (int i = 0; i < 8; i++)
		raw_send(&f.loop, fd, chunk, 65536);
	text = raw_read(&f.loop, fd, "too large", 1);
	assert_non_null(strstr(text, "413"));
	free(text);
	close(fd);
	assert_int_equal(f.handled, 0);
	free(chunk);
	stop(&f);
}

static void header_bounds(void **state)
{
	struct fixture f;
	size_t len = 40 << 10;
	char *big = malloc(len + 64);
	(void)state;
	start_with(&f, 5000);
	int fd = raw_connect(f.port);

	int head = sprintf(big, "GET /ping HTTP/1.1\r\nHost: x\r\nX: ");
	memset(big + head, 'y', len);
	raw_send(&f.loop, fd, big, (size_t)head + len);
	raw_text(&f.loop, fd, "\r\n\r\n");
	assert_true(raw_closed(&f.loop, fd, 3000));
	close(fd);
	assert_int_equal(f.handled, 0);
	free(big);
	stop(&f);
}

static void deadlines(void **state)
{
	struct fixture f;
	(void)state;
	start_with(&f, 300);
	int body = raw_connect(f.port), headers = raw_connect(f.port), dripping = raw_connect(f.port);

	raw_text(&f.loop, body, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nab");
	raw_text(&f.loop, headers, "GET /ping HTTP/1.1\r\nHo");
	raw_text(&f.loop, dripping, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n");
	int64_t from = clock_now();
	for (int i = 0; i < 6; i++) {
		raw_text(&f.loop, dripping, "x");
		loop_for(&f.loop, 40);
	}
	int fds[] = {body, headers, dripping};
	for (int i = 0; i < 3; i++) {
		char *text = raw_read(&f.loop, fds[i], NULL, 0);
		assert_non_null(strstr(text, "408 Request Timeout"));
		assert_non_null(strstr(text, "{\"error\":"));
		free(text);
		close(fds[i]);
	}
	assert_true(clock_now() - from < 1500 * NS_PER_MS);
	/* A parked request has no deadline here. */
	int parked = raw_connect(f.port);
	raw_text(&f.loop, parked, GET("/park"));
	loop_for(&f.loop, 700);
	assert_int_equal(f.parked_count, 1);
	http_answer_text(f.parked[0], 200, NULL, "late but well");
	free(raw_read(&f.loop, parked, "late but well", 1));
	close(parked);
	assert_int_equal(f.handled, 1);
	stop(&f);
}

/* A request line that never ends is cut; who is only silent between requests is not. */
static void dripping_request_line(void **state)
{
	struct fixture f;
	char byte;
	(void)state;
	start_with(&f, 300);
	int dripping = raw_connect(f.port), quiet = raw_connect(f.port), fresh = raw_connect(f.port);

	raw_text(&f.loop, quiet, GET("/ping"));
	free(raw_read(&f.loop, quiet, "pong", 1));
	int64_t from = clock_now();
	ssize_t got = -1;
	while (got < 0 && clock_now() - from < 3 * NS_PER_S) {
		(void)!send(dripping, "G", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		loop_for(&f.loop, 40);
		got = recv(dripping, &byte, 1, MSG_DONTWAIT);
		if (got < 0 && errno == ECONNRESET)
			got = 0;
	}
	assert_int_equal(got, 0);
	assert_true(clock_now() - from < 1500 * NS_PER_MS);
	raw_text(&f.loop, quiet, GET("/ping"));
	free(raw_read(&f.loop, quiet, "pong", 1));
	raw_text(&f.loop, fresh, GET("/ping"));
	free(raw_read(&f.loop, fresh, "pong", 1));
	close(dripping);
	close(quiet);
	close(fresh);
	stop(&f);
}

static void park_many(unsigned count)
{
	struct fixture f;
	static int fds[PARKED_MAX];
	start_with(&f, 5000);

	for (unsigned i = 0; i < count; i++) {
		fds[i] = raw_connect(f.port);
		raw_text(&f.loop, fds[i], GET("/park"));
	}
	loop_until(&f.loop, &f.parked_count, count);
	for (unsigned i = 0; i < count; i++)
		http_answer_text(f.parked[i], 200, NULL, "done");
	for (unsigned i = 0; i < count; i++) {
		free(raw_read(&f.loop, fds[i], "done", 1));
		close(fds[i]);
	}
	assert_int_equal(f.gone, 0);
	stop(&f);
}

static void parked_400(void **state)
{
	(void)state;
	park_many(400);
}

/* The usual soft limit of descriptors is no limit to it. */
static void parked_2000(void **state)
{
	(void)state;
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_max < 8192)
		skip();
	limit.rlim_cur = 1024;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	park_many(2000);
}

static void assert_at_rest(struct fixture *f)
{
	struct pollfd loop = {.fd = uv_backend_fd(&f->loop), .events = POLLIN};

	loop_for(&f->loop, 50);
	assert_int_equal(poll(&loop, 1, 0), 0);
	assert_true(uv_backend_timeout(&f->loop) != 0);
}

/* Who comes when all places are taken waits, is neither refused nor lost, and keeps nobody busy. */
static void beyond_the_limit_waits(void **state)
{
	struct fixture f;
	int fds[6];
	(void)state;
	start_limited(&f, 0, 4);

	for (unsigned i = 0; i < 4; i++) {
		fds[i] = raw_connect(f.port);
		raw_text(&f.loop, fds[i], GET("/park"));
		loop_until(&f.loop, &f.parked_count, i + 1);
	}
	for (unsigned i = 4; i < 6; i++) {
		fds[i] = raw_connect(f.port);
		raw_text(&f.loop, fds[i], GET("/ping"));
	}
	assert_at_rest(&f);
	assert_int_equal(f.handled, 4);
	/* A place is free when a connection ends, not when its request does. */
	http_answer_text(f.parked[0], 200, NULL, "done");
	free(raw_read(&f.loop, fds[0], "done", 1));
	assert_at_rest(&f);
	assert_int_equal(f.handled, 4);
	for (unsigned i = 0; i < 2; i++) {
		close(fds[i]);
		free(raw_read(&f.loop, fds[4 + i], "pong", 1));
	}
	assert_int_equal(f.gone, 1);
	for (unsigned i = 2; i < 6; i++)
		close(fds[i]);
	stop(&f);
}

/* The same where the process has no descriptor left for one more. */
static void without_descriptors_who_comes_waits(void **state)
{
	struct fixture f;
	struct rlimit usual, few;
	(void)state;
	start_limited(&f, 0, 8);
	int first = raw_connect(f.port), waiting = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	raw_text(&f.loop, first, GET("/ping"));
	free(raw_read(&f.loop, first, "pong", 1));
	int next = dup(waiting);
	close(next);
	getrlimit(RLIMIT_NOFILE, &usual);
	few = usual;
	few.rlim_cur = (rlim_t)next;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)f.port)};
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(waiting, (struct sockaddr *)&address, sizeof(address)), 0);
	raw_text(&f.loop, waiting, GET("/ping"));
	assert_at_rest(&f);
	assert_int_equal(f.handled, 1);
	close(first);
	free(raw_read(&f.loop, waiting, "pong", 1));
	setrlimit(RLIMIT_NOFILE, &usual);
	close(waiting);
	stop(&f);
}

static void hang_up_while_parked(void **state)
{
	struct fixture f;
	(void)state;
	start_with(&f, 5000);
	int leaving = raw_connect(f.port), staying = raw_connect(f.port);

	raw_text(&f.loop, leaving, GET("/park"));
	loop_until(&f.loop, &f.parked_count, 1);
	raw_text(&f.loop, staying, GET("/park"));
	loop_until(&f.loop, &f.parked_count, 2);
	close(leaving);
	int64_t from = clock_now();
	loop_until(&f.loop, &f.gone, 1);
	assert_true(clock_now() - from < 100 * NS_PER_MS);
	http_answer_text(f.parked[1], 200, NULL, "still here");
	free(raw_read(&f.loop, staying, "still here", 1));
	close(staying);
	loop_for(&f.loop, 50);
	assert_int_equal(f.gone, 1);
	stop(&f);
}

static void answer_the_first(uv_check_t *check)
{
	struct fixture *f = check->data;
	uv_check_stop(check);
	http_answer_text(f->parked[0], 200, NULL, "too late");
}

/* Who has answered may be gone itself, also when the client was so a moment earlier: `gone` is not called any more. */
static void answered_in_the_turn_of_the_hang_up(void **state)
{
	struct fixture f;
	uv_check_t after_poll;
	(void)state;
	start_with(&f, 5000);
	int leaving = raw_connect(f.port);

	raw_text(&f.loop, leaving, GET("/park"));
	loop_until(&f.loop, &f.parked_count, 1);
	loop_for(&f.loop, 20);
	uv_check_init(&f.loop, &after_poll);
	after_poll.data = &f;
	close(leaving);
	uv_check_start(&after_poll, answer_the_first);
	loop_for(&f.loop, 50);
	assert_false(uv_is_active((uv_handle_t *)&after_poll));
	assert_int_equal(f.gone, 0);
	uv_close((uv_handle_t *)&after_poll, NULL);
	stop(&f);
}

static void streaming(void **state)
{
	struct fixture f;
	(void)state;
	start_with(&f, 5000);
	int fd = raw_connect(f.port);

	raw_text(&f.loop, fd, GET("/stream"));
	int64_t from = clock_now();
	char *text = raw_read(&f.loop, fd, "\r\n\r\n", 1);
	assert_non_null(strstr(text, "Transfer-Encoding: chunked"));
	free(text);
	for (int i = 0; i < 5; i++) {
		assert_true(http_stream_write(f.stream, "event\n", 6));
		free(raw_read(&f.loop, fd, "event", 1));
		loop_for(&f.loop, 5);
	}
	/* Nothing is held back until more comes. */
	assert_true(clock_now() - from < 150 * NS_PER_MS);
	http_stream_write(f.stream, "last", 4);
	http_stream_end(f.stream);
	text = raw_read(&f.loop, fd, "\r\n0\r\n\r\n", 1);
	assert_non_null(strstr(text, "last"));
	free(text);
	assert_int_equal(f.stream_gone, 1);
	/* The connection goes on. */
	raw_text(&f.loop, fd, GET("/stream"));
	free(raw_read(&f.loop, fd, "\r\n\r\n", 1));
	http_stream_write(f.stream, "half", 4);
	http_cut(f.stream);
	text = raw_read(&f.loop, fd, NULL, 0);
	assert_non_null(strstr(text, "half"));
	assert_null(strstr(text, "\r\n0\r\n"));
	free(text);
	close(fd);
	assert_int_equal(f.stream_gone, 2);
	/* A hang-up is noticed although nothing is written. */
	fd = raw_connect(f.port);
	raw_text(&f.loop, fd, GET("/stream"));
	free(raw_read(&f.loop, fd, "\r\n\r\n", 1));
	close(fd);
	loop_until(&f.loop, &f.stream_gone, 3);
	stop(&f);
}

static void slow_reader(void **state)
{
	struct fixture f;
	size_t piece = 1 << 20, written = 0, got = 0;
	char *block = malloc(piece), *in = malloc(piece);
	(void)state;
	start_with(&f, 5000);
	int fd = raw_connect(f.port);

	memset(block, 'z', piece);
	raw_text(&f.loop, fd, GET("/stream"));
	free(raw_read(&f.loop, fd, "\r\n\r\n", 1));
	for (int i = 0; i < 30; i++, written += piece) {
		assert_true(http_stream_write(f.stream, block, piece));
		loop_turn(&f.loop);
	}
	http_stream_end(f.stream);
	int64_t end = clock_now() + 20 * NS_PER_S;
	bool ended = false;
	while (!ended && clock_now() < end) {
		loop_turn(&f.loop);
		ssize_t len = recv(fd, in, piece, MSG_DONTWAIT);
		for (ssize_t i = 0; i < len; i++)
			got += in[i] == 'z';
		ended = len >= 5 && memcmp(in + len - 5, "0\r\n\r\n", 5) == 0;
	}
	assert_true(got == written);
	/* Who does not read at all is cut. */
	raw_text(&f.loop, fd, GET("/stream"));
	free(raw_read(&f.loop, fd, "\r\n\r\n", 1));
	unsigned count = 0;
	while (count < 200 && http_stream_write(f.stream, block, piece)) {
		count++;
		loop_turn(&f.loop);
	}
	assert_true(count >= 64 && count < 100);
	loop_until(&f.loop, &f.stream_gone, 2);
	close(fd);
	free(block);
	free(in);
	stop(&f);
}

static void stop_with_waiting(void **state)
{
	struct fixture f;
	int parked[3], stream;
	(void)state;
	start_with(&f, 5000);

	for (unsigned i = 0; i < 3; i++) {
		parked[i] = raw_connect(f.port);
		raw_text(&f.loop, parked[i], GET("/park"));
		loop_until(&f.loop, &f.parked_count, i + 1);
	}
	stream = raw_connect(f.port);
	raw_text(&f.loop, stream, GET("/stream"));
	free(raw_read(&f.loop, stream, "\r\n\r\n", 1));
	int idle = raw_connect(f.port), half = raw_connect(f.port);
	raw_text(&f.loop, half, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nab");
	loop_for(&f.loop, 20);
	/* Answered just before: it leaves whole. */
	http_answer_text(f.parked[0], 200, NULL, "in time");
	int64_t from = clock_now();
	http_server_stop(f.server, on_stopped, &f);
	loop_until(&f.loop, &f.stopped, 1);
	assert_true(clock_now() - from < 1000 * NS_PER_MS);
	assert_int_equal(f.gone, 2);
	assert_int_equal(f.stream_gone, 1);
	for (int i = 0; i < 3; i++) {
		char *text = raw_read(&f.loop, parked[i], NULL, 0);
		assert_non_null(strstr(text, i == 0 ? "in time" : "503 Service Unavailable"));
		free(text);
		close(parked[i]);
	}
	assert_true(raw_closed(&f.loop, stream, 500));
	assert_true(raw_closed(&f.loop, idle, 500));
	assert_true(raw_closed(&f.loop, half, 500));
	close(stream);
	close(idle);
	close(half);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(&f.loop), 0);
}

static bool nobody_listens(unsigned port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	bool refused = connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0 && errno == ECONNREFUSED;
	close(fd);
	return refused;
}

/* Much more than fits into the kernel is on its way when the server stops. */
static void a_large_answer_leaves_before_the_stop(void **state)
{
	struct fixture f;
	(void)state;
	start_with(&f, 5000);
	int fd = raw_connect(f.port);

	raw_text(&f.loop, fd, GET("/large"));
	free(raw_read(&f.loop, fd, "\r\n\r\n", 1));
	http_server_stop(f.server, on_stopped, &f);
	loop_for(&f.loop, 20);
	assert_int_equal(f.stopped, 0);
	assert_true(nobody_listens(f.port));
	char *text = raw_read(&f.loop, fd, NULL, 0);
	assert_true(strlen(text) > LARGE_BYTES - 65536 && text[strlen(text) - 1] == 'z');
	free(text);
	loop_until(&f.loop, &f.stopped, 1);
	close(fd);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(&f.loop), 0);
}

/* What a handler sets going happens after it: no handler runs inside of another. */
static void a_handler_answers_others(void **state)
{
	struct fixture f;
	int parked[8], pings[8];
	(void)state;
	start_with(&f, 5000);

	for (unsigned i = 0; i < 8; i++) {
		parked[i] = raw_connect(f.port);
		raw_text(&f.loop, parked[i], GET("/park") GET("/ping"));
		loop_until(&f.loop, &f.parked_count, i + 1);
	}
	int stream = raw_connect(f.port), releasing = raw_connect(f.port);
	raw_text(&f.loop, stream, GET("/stream"));
	free(raw_read(&f.loop, stream, "\r\n\r\n", 1));
	/* All of these are there when the server looks next. */
	for (unsigned i = 0; i < 8; i++) {
		if (i == 4)
			assert_true(send(releasing, GET("/release"), strlen(GET("/release")), 0) > 0);
		pings[i] = raw_connect(f.port);
		assert_true(send(pings[i], GET("/ping"), strlen(GET("/ping")), 0) > 0);
	}
	free(raw_read(&f.loop, releasing, "released", 1));
	for (unsigned i = 0; i < 8; i++) {
		char *text = raw_read(&f.loop, parked[i], "pong", 1);
		assert_non_null(strstr(text, "done"));
		free(text);
		free(raw_read(&f.loop, pings[i], "pong", 1));
		close(parked[i]);
		close(pings[i]);
	}
	loop_until(&f.loop, &f.stream_gone, 1);
	assert_int_equal(f.gone, 0);
	close(stream);
	close(releasing);
	stop(&f);
}

static void a_handler_stops_the_server(void **state)
{
	struct fixture f;
	(void)state;
	start_with(&f, 5000);
	int parked = raw_connect(f.port), stopping = raw_connect(f.port);

	raw_text(&f.loop, parked, GET("/park"));
	loop_until(&f.loop, &f.parked_count, 1);
	raw_text(&f.loop, stopping, GET("/stop"));
	char *text = raw_read(&f.loop, stopping, NULL, 0);
	assert_non_null(strstr(text, "stopping"));
	free(text);
	text = raw_read(&f.loop, parked, NULL, 0);
	assert_non_null(strstr(text, "503 Service Unavailable"));
	free(text);
	loop_until(&f.loop, &f.stopped, 1);
	assert_int_equal(f.gone, 1);
	close(parked);
	close(stopping);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(&f.loop), 0);
}

#ifdef __SANITIZE_ADDRESS__
size_t __sanitizer_get_current_allocated_bytes(void);
#endif

static size_t heap_used(void)
{
#ifdef __SANITIZE_ADDRESS__
	return __sanitizer_get_current_allocated_bytes();
#else
	struct mallinfo2 info = mallinfo2();
	return info.uordblks + info.hblkhd;
#endif
}

/* Who announces a large body, and sends none of it, gets no room for all of it. */
static void announced_bodies_take_no_room(void **state)
{
	struct fixture f;
	int fds[50];
	char head[128];
	(void)state;
	start_with(&f, 5000);

	snprintf(head, sizeof(head), "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %u\r\n\r\n", BODY_MAX);
	size_t before = heap_used();
	for (unsigned i = 0; i < 50; i++) {
		fds[i] = raw_connect(f.port);
		raw_text(&f.loop, fds[i], head);
	}
	loop_for(&f.loop, 20);
	assert_true(heap_used() - before < 50 * (BODY_MAX / 4));
	for (unsigned i = 0; i < 50; i++)
		close(fds[i]);
	assert_int_equal(f.handled, 0);
	stop(&f);
}

static void no_spin_while_parked(void **state)
{
	struct fixture f;
	(void)state;
	start_with(&f, 5000);
	int fd = raw_connect(f.port);

	raw_text(&f.loop, fd, GET("/park"));
	loop_until(&f.loop, &f.parked_count, 1);
	for (int i = 0; i < 3; i++)
		assert_at_rest(&f);
	http_answer_text(f.parked[0], 200, NULL, "done");
	free(raw_read(&f.loop, fd, "done", 1));
	close(fd);
	stop(&f);
}

static void start_errors(void **state)
{
	uv_loop_t loop;
	struct err err;
	struct fixture f;
	char address[64];
	(void)state;
	start_with(&f, 0);
	uv_loop_init(&loop);
	struct http_server_options options = {
	    .listen = "nowhere", .connections_max = 8, .idle_s = 1, .handler = handle};
	assert_null(http_server_start(&loop, &options, &err));
	assert_int_equal(err.code, ERR_INPUT);
	snprintf(address, sizeof(address), "127.0.0.1:%u", f.port);
	options.listen = address;
	assert_null(http_server_start(&loop, &options, &err));
	assert_int_equal(err.code, ERR_SYSTEM);
	assert_non_null(strstr(err.text, "in use"));
	uv_loop_close(&loop);
	stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(keep_alive_and_query),
	    cmocka_unit_test(pipelining),
	    cmocka_unit_test(large_bodies),
	    cmocka_unit_test(strictness),
	    cmocka_unit_test(sender_of_too_much_reads_413),
	    cmocka_unit_test(header_bounds),
	    cmocka_unit_test(deadlines),
	    cmocka_unit_test(dripping_request_line),
	    cmocka_unit_test(parked_400),
	    cmocka_unit_test(parked_2000),
	    cmocka_unit_test(beyond_the_limit_waits),
	    cmocka_unit_test(without_descriptors_who_comes_waits),
	    cmocka_unit_test(hang_up_while_parked),
	    cmocka_unit_test(answered_in_the_turn_of_the_hang_up),
	    cmocka_unit_test(streaming),
	    cmocka_unit_test(slow_reader),
	    cmocka_unit_test(stop_with_waiting),
	    cmocka_unit_test(a_large_answer_leaves_before_the_stop),
	    cmocka_unit_test(a_handler_answers_others),
	    cmocka_unit_test(a_handler_stops_the_server),
	    cmocka_unit_test(announced_bodies_take_no_room),
	    cmocka_unit_test(no_spin_while_parked),
	    cmocka_unit_test(start_errors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
