#include "../http/raw.h"

#include "extender/ops.h"

struct fixture {
	uv_loop_t loop;
	struct ops *ops;
	bool ready;
	unsigned stopped;
};

static bool on_ready(void *ctx, struct buf *out)
{
	struct fixture *f = ctx;

	buf_text(out, f->ready ? "nodes ok\n" : "nodes not synced\n");
	return f->ready;
}

static void on_metrics(void *ctx, struct buf *out)
{
	(void)ctx;
	buf_text(out, "berth_up 1\n");
}

static void on_state(void *ctx, struct buf *out)
{
	(void)ctx;
	buf_text(out, "{\"nodes\":[]}");
}

static void on_queue(void *ctx, struct buf *out)
{
	(void)ctx;
	buf_text(out, "{\"gangs\":[]}");
}

static void on_moves(void *ctx, struct buf *out)
{
	(void)ctx;
	buf_text(out, "{\"moves\":[]}");
}

static void on_status(void *ctx, struct buf *out)
{
	(void)ctx;
	buf_text(out, "{\"pools\":[]}");
}

static unsigned on_explain(void *ctx, const char *pod, struct buf *out)
{
	(void)ctx;
	buf_printf(out, "{\"pod\":\"%s\"}", pod);
	return strcmp(pod, "a/gone") == 0 ? 404 : 200;
}

static void on_stopped(void *ctx)
{
	struct fixture *f = ctx;

	f->stopped++;
}

static void start(struct fixture *f)
{
	struct err err;
	struct ops_handlers handlers = {on_ready, on_metrics, on_state, on_status, on_queue, on_moves, on_explain, f};

	memset(f, 0, sizeof(*f));
	assert_int_equal(uv_loop_init(&f->loop), 0);
	f->ops = ops_start(&f->loop, "127.0.0.1:0", &handlers, &err);
	assert_non_null(f->ops);
	assert_true(ops_port(f->ops) > 0);
}

static void stop(struct fixture *f)
{
	ops_stop(f->ops, on_stopped, f);
	loop_until(&f->loop, &f->stopped, 1);
	assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(&f->loop), 0);
}

/* One call on a connection of its own. */
static char *ask(struct fixture *f, const char *method, const char *target)
{
	char text[512];
	int fd = raw_connect(ops_port(f->ops));

	snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n", method, target,
	    strcmp(method, "POST") == 0 ? "Content-Length: 0\r\n" : "");
	raw_text(&f->loop, fd, text);
	char *answer = raw_read(&f->loop, fd, NULL, 0);
	close(fd);
	assert_non_null(strstr(answer, "Content-Length: "));
	return answer;
}

static void assert_answer(
    struct fixture *f, const char *method, const char *target, const char *status, const char *type, const char *body)
{
	char *answer = ask(f, method, target), line[64];
	const char *end = strstr(answer, "\r\n\r\n");

	snprintf(line, sizeof(line), "HTTP/1.1 %s ", status);
	if (strncmp(answer, line, strlen(line)) != 0)
		fail_msg("%s %s: %s", method, target, answer);
	snprintf(line, sizeof(line), "Content-Type: %s\r\n", type);
	if (!strstr(answer, line))
		fail_msg("%s %s: %s", method, target, answer);
	assert_non_null(end);
	if (body)
		assert_string_equal(end + 4, body);
	free(answer);
}

#define TEXT "text/plain; charset=utf-8"
#define JSON "application/json"

static void paths(void **state)
{
	struct fixture f;

	(void)state;
	start(&f);
	assert_answer(&f, "GET", "/healthz", "200", TEXT, "ok\n");
	assert_answer(&f, "GET", "/readyz", "503", TEXT, "nodes not synced\n");
	f.ready = true;
	assert_answer(&f, "GET", "/readyz", "200", TEXT, "nodes ok\n");
	assert_answer(&f, "GET", "/readyz?verbose", "200", TEXT, "nodes ok\n");
	assert_answer(&f, "GET", "/metrics", "200", "text/plain; version=0.0.4; charset=utf-8", "berth_up 1\n");
	assert_answer(&f, "GET", "/v1/state", "200", JSON, "{\"nodes\":[]}");
	assert_answer(&f, "GET", "/v1/status", "200", JSON, "{\"pools\":[]}");
	assert_answer(&f, "GET", "/v1/queue", "200", JSON, "{\"gangs\":[]}");
	assert_answer(&f, "GET", "/v1/moves", "200", JSON, "{\"moves\":[]}");
	assert_answer(&f, "GET", "/v1/explain?pod=a/b", "200", JSON, "{\"pod\":\"a/b\"}");
	assert_answer(&f, "GET", "/v1/explain?pod=a%2Fb", "200", JSON, "{\"pod\":\"a/b\"}");
	assert_answer(&f, "GET", "/v1/explain?pod=a/gone", "404", JSON, "{\"pod\":\"a/gone\"}");
	stop(&f);
}

static void head_has_no_body(void **state)
{
	static const char *const targets[] = {"/healthz", "/readyz", "/metrics", "/v1/state", "/v1/status", "/v1/queue",
	    "/v1/moves", "/v1/explain?pod=a/b"};
	struct fixture f;

	(void)state;
	start(&f);
	f.ready = true;
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		char *head = ask(&f, "HEAD", targets[i]), *get = ask(&f, "GET", targets[i]);
		char *length = strstr(head, "Content-Length: "), *same = strstr(get, "Content-Length: ");

		assert_non_null(strstr(head, "HTTP/1.1 200 "));
		assert_int_equal(strtoul(length + 16, NULL, 10), strtoul(same + 16, NULL, 10));
		assert_string_equal(strstr(head, "\r\n\r\n"), "\r\n\r\n");
		free(head);
		free(get);
	}
	stop(&f);
}

static void bad_requests(void **state)
{
	static const char *const bad_pods[] = {
	    "", "?pod", "?pod=", "?pod=a", "?pod=/a", "?pod=a/", "?pod=a/b/c", "?other=a/b"};
	struct fixture f;
	char target[64];

	(void)state;
	start(&f);
	for (size_t i = 0; i < sizeof(bad_pods) / sizeof(bad_pods[0]); i++) {
		snprintf(target, sizeof(target), "/v1/explain%s", bad_pods[i]);
		assert_answer(
		    &f, "GET", target, "400", JSON, "{\"error\":\"which pod? /v1/explain?pod=NAMESPACE/NAME\"}");
	}
	assert_answer(&f, "GET", "/", "404", JSON,
	    "{\"error\":\"no such path: there are /healthz, /readyz, /metrics, /v1/state, /v1/status, /v1/queue, "
	    "/v1/moves and "
	    "/v1/explain?pod=NAMESPACE/NAME\"}");
	assert_answer(&f, "GET", "/v1/filter", "404", JSON, NULL);
	char *answer = ask(&f, "POST", "/metrics");
	assert_non_null(strstr(answer, "HTTP/1.1 405 "));
	assert_non_null(strstr(answer, "Allow: GET, HEAD\r\n"));
	free(answer);
	stop(&f);
}

static void listen_errors_are_said(void **state)
{
	struct fixture f;
	struct err err;
	struct ops_handlers handlers = {
	    on_ready, on_metrics, on_state, on_status, on_queue, on_moves, on_explain, NULL};

	(void)state;
	assert_int_equal(uv_loop_init(&f.loop), 0);
	assert_null(ops_start(&f.loop, "nowhere", &handlers, &err));
	assert_true(strlen(err.text) > 0);
	assert_int_equal(uv_loop_close(&f.loop), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(paths),
	    cmocka_unit_test(head_has_no_body),
	    cmocka_unit_test(bad_requests),
	    cmocka_unit_test(listen_errors_are_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
