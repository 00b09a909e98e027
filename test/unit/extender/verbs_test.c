#include "../http/raw.h"

#include <sys/resource.h>

#include "base/buf.h"
#include "extender/verbs.h"

#define PARKED_MAX 600

struct fixture {
	uv_loop_t loop;
	struct verbs *verbs;
	unsigned status; /* what the handlers answer */
	bool bind_at_once, holds;
	unsigned filters, prioritizes, preempts, binds, gone, stopped, answered;
	size_t last_count;
	char last_verb[16];
	unsigned last_status;
	struct verbs_bind *parked[PARKED_MAX];
	struct verbs_bind *answer_within_filter;
};

static unsigned on_filter(void *ctx, const struct wire_args *args, struct buf *reply)
{
	struct fixture *f = ctx;

	f->filters++;
	f->last_count = args->count;
	if (f->status != 200) {
		buf_text(reply, "{\"error\":\"not now\"}");
		return f->status;
	}
	buf_text(reply, "");
	if (f->answer_within_filter) {
		buf_text(reply, " ");
		verbs_bind_answer(f->answer_within_filter, "meanwhile");
		f->answer_within_filter = NULL;
	}
	wire_write_names(reply, args->items, args->count ? 1 : 0, NULL, 0);
	return 200;
}

static unsigned on_prioritize(void *ctx, const struct wire_args *args, struct buf *reply)
{
	struct fixture *f = ctx;
	struct wire_score score = {args->items[0], 10};

	f->prioritizes++;
	wire_write_scores(reply, &score, 1);
	return f->status;
}

static unsigned on_preempt(void *ctx, const struct wire_preempt *preempt, struct buf *reply)
{
	struct fixture *f = ctx;

	f->preempts++;
	f->last_count = preempt->count;
	wire_write_victims(reply, NULL, 0);
	return f->status;
}

static void on_bind(void *ctx, const struct wire_bind *bind, struct verbs_bind *parked)
{
	struct fixture *f = ctx;

	if (f->bind_at_once) {
		f->binds++;
		verbs_bind_answer(parked, slice_is(bind->node, "bad") ? "no" : NULL);
		assert_true(bind->pod_uid.len > 0); /* still to be read */
		return;
	}
	verbs_bind_set(parked, &f->parked[f->binds]);
	f->parked[f->binds++] = parked;
}

static void on_bind_gone(void *ctx, struct verbs_bind *parked)
{
	struct fixture *f = ctx;
	struct verbs_bind **place = verbs_bind_get(parked);

	assert_ptr_equal(*place, parked);
	*place = NULL;
	f->gone++;
}

static void on_answered(void *ctx, const char *verb, unsigned status, int64_t took_ns)
{
	struct fixture *f = ctx;

	assert_true(took_ns >= 0 && took_ns < 60 * NS_PER_S);
	f->answered++;
	snprintf(f->last_verb, sizeof(f->last_verb), "%s", verb);
	f->last_status = status;
}

static bool on_holds(void *ctx)
{
	struct fixture *f = ctx;

	return f->holds;
}

static void on_stopped(void *ctx)
{
	struct fixture *f = ctx;

	f->stopped++;
}

static void start(struct fixture *f)
{
	struct err err;
	struct verbs_handlers handlers = {
	    on_filter, on_prioritize, on_preempt, on_bind, on_bind_gone, on_answered, on_holds, f};

	memset(f, 0, sizeof(*f));
	f->status = 200;
	assert_int_equal(uv_loop_init(&f->loop), 0);
	f->verbs = verbs_start(&f->loop, "127.0.0.1:0", &handlers, &err);
	assert_non_null(f->verbs);
}

static void stop(struct fixture *f)
{
	verbs_stop(f->verbs, on_stopped, f);
	loop_until(&f->loop, &f->stopped, 1);
	assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(&f->loop), 0);
}

static void post(struct fixture *f, int fd, const char *path, const char *body)
{
	char head[256];

	snprintf(head, sizeof(head),
	    "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n", path,
	    strlen(body));
	raw_text(&f->loop, fd, head);
	raw_text(&f->loop, fd, body);
}

/* One call on the connection; the answer must end in `body`, and have a length. */
static void assert_post(
    struct fixture *f, int fd, const char *path, const char *body, unsigned status, const char *want)
{
	char line[64];

	post(f, fd, path, body);
	char *answer = raw_read(&f->loop, fd, want, 1);
	snprintf(line, sizeof(line), "HTTP/1.1 %u ", status);
	if (strncmp(answer, line, strlen(line)) != 0)
		fail_msg("%s %s: %s", path, body, answer);
	snprintf(line, sizeof(line), "Content-Length: %zu\r\n", strlen(want));
	if (!strstr(answer, line))
		fail_msg("%s: no \"%s\" in %s", path, line, answer);
	assert_non_null(strstr(answer, "Content-Type: application/json\r\n"));
	assert_string_equal(strstr(answer, "\r\n\r\n") + 4, want);
	free(answer);
}

#define ARGS "{\"Pod\":{},\"Nodes\":null,\"NodeNames\":[\"n1\",\"n2\"]}"
#define ONE_NODE                                                                                                       \
	"{\"Nodes\":null,\"NodeNames\":[\"n1\"],\"FailedNodes\":null,\"FailedAndUnresolvableNodes\":null,\"Error\":"   \
	"\"\"}"
#define BIND(node) "{\"PodName\":\"p\",\"PodNamespace\":\"d\",\"PodUID\":\"u\",\"Node\":\"" node "\"}"
#define PREEMPT "{\"Pod\":{},\"NodeNameToVictims\":null,\"NodeNameToMetaVictims\":{\"n\":{\"Pods\":[{\"UID\":\"u\"}]}}}"

static void verbs_on_one_connection(void **state)
{
	struct fixture f;

	(void)state;
	start(&f);
	f.bind_at_once = true;
	int fd = raw_connect(verbs_port(f.verbs));
	for (unsigned i = 1; i <= 3; i++) {
		assert_post(&f, fd, "/v1/filter", ARGS, 200, ONE_NODE);
		assert_string_equal(f.last_verb, "filter");
		assert_int_equal(f.last_count, 2);
		assert_post(&f, fd, "/v1/prioritize", ARGS, 200, "[{\"Host\":\"n1\",\"Score\":10}]");
		assert_string_equal(f.last_verb, "prioritize");
		assert_post(&f, fd, "/v1/preempt", PREEMPT, 200, "{\"NodeNameToMetaVictims\":{}}");
		assert_string_equal(f.last_verb, "preempt");
		assert_int_equal(f.last_count, 1);
		assert_post(&f, fd, "/v1/bind", BIND("n"), 200, "{\"Error\":\"\"}");
		assert_post(&f, fd, "/v1/bind", BIND("bad"), 200, "{\"Error\":\"no\"}");
		assert_string_equal(f.last_verb, "bind");
		assert_int_equal(f.answered, 5 * i);
	}
	assert_int_equal(verbs_parked(f.verbs), 0);
	assert_int_equal(f.gone, 0);
	close(fd);
	stop(&f);
}

static void refusals(void **state)
{
	static const char *const paths[] = {"/v1/filter", "/v1/prioritize", "/v1/bind", "/v1/preempt"};
	struct fixture f;

	(void)state;
	start(&f);
	int fd = raw_connect(verbs_port(f.verbs));
	for (size_t i = 0; i < 4; i++) {
		assert_post(&f, fd, paths[i], "{", 400, "{\"error\":\"bad JSON at byte 1: unexpected end\"}");
		assert_post(&f, fd, paths[i], "", 400, "{\"error\":\"bad JSON at byte 0: unexpected end\"}");
		assert_post(&f, fd, paths[i], "[]", 400, "{\"error\":\"the body is not a JSON object\"}");
		assert_string_equal(f.last_verb, paths[i] + 4);
		assert_int_equal(f.last_status, 400);
	}
	assert_int_equal(f.answered, 12);
	assert_post(&f, fd, "/v1/filter", "{\"Pod\":{}}", 400, "{\"error\":\"NodeNames and Nodes are both missing\"}");
	assert_post(&f, fd, "/v1/bind", "{\"PodName\":\"p\"}", 400, "{\"error\":\"PodNamespace is missing\"}");
	assert_int_equal(f.filters + f.prioritizes + f.preempts + f.binds, 0);
	static const char *const unknown[] = {"/", "/v1/filter/", "/filter", "/v1/Filter", "/v1/", "/metrics"};
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		assert_post(&f, fd, unknown[i], ARGS, 404,
		    "{\"error\":\"no such path: there are /v1/filter, /v1/prioritize, /v1/bind and /v1/preempt\"}");
	for (size_t i = 0; i < 4; i++) {
		char text[128];
		snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", paths[i]);
		raw_text(&f.loop, fd, text);
		char *answer = raw_read(&f.loop, fd, "POST only\"}", 1);
		assert_non_null(strstr(answer, "HTTP/1.1 405 "));
		assert_non_null(strstr(answer, "Allow: POST\r\n"));
		assert_non_null(strstr(answer, "Content-Length: "));
		free(answer);
	}
	f.status = 503;
	assert_post(&f, fd, "/v1/filter", ARGS, 503, "{\"error\":\"not now\"}");
	assert_int_equal(f.last_status, 503);
	f.status = 200;
	assert_post(&f, fd, "/v1/filter", ARGS, 200, ONE_NODE);
	close(fd);
	fd = raw_connect(verbs_port(f.verbs));
	raw_text(&f.loop, fd, "POST /v1/filter HTTP/1.1\r\nHost: x\r\nContent-Length: 67108865\r\n\r\n");
	char *answer = raw_read(&f.loop, fd, "}", 1);
	assert_non_null(strstr(answer, "HTTP/1.1 413 "));
	free(answer);
	close(fd);
	stop(&f);
}

static void a_large_call(void **state)
{
	struct fixture f;
	struct buf body;

	(void)state;
	start(&f);
	buf_init(&body, 16u << 20);
	buf_text(&body, "{\"Pod\":{},\"NodeNames\":[\"n1\"");
	for (int i = 1; i < 100000; i++)
		buf_printf(&body, ",\"gpu-node-%06d.fleet.example\"", i);
	buf_text(&body, "]}");
	int fd = raw_connect(verbs_port(f.verbs));
	for (int i = 0; i < 2; i++) {
		assert_post(&f, fd, "/v1/filter", body.data, 200, ONE_NODE);
		assert_int_equal(f.last_count, 100000);
	}
	buf_free(&body);
	close(fd);
	stop(&f);
}

static unsigned park(struct fixture *f, int *fds, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		fds[i] = raw_connect(verbs_port(f->verbs));
		post(f, fds[i], "/v1/bind", i % 2 ? BIND("n") : BIND("\\u006e"));
	}
	loop_until(&f->loop, &f->binds, count);
	assert_int_equal(verbs_parked(f->verbs), count);
	return count;
}

static void assert_answer(struct fixture *f, int fd, const char *want)
{
	char *answer = raw_read(&f->loop, fd, "}", 1);

	assert_non_null(strstr(answer, "HTTP/1.1 200 "));
	assert_non_null(strstr(answer, "Content-Length: "));
	assert_string_equal(strstr(answer, "\r\n\r\n") + 4, want);
	free(answer);
}

static void five_hundred_parked(void **state)
{
	struct fixture f;
	int fds[500];

	(void)state;
	start(&f);
	park(&f, fds, 500);
	assert_int_equal(f.answered, 0);
	int other = raw_connect(verbs_port(f.verbs));
	assert_post(&f, other, "/v1/filter", ARGS, 200, ONE_NODE);
	for (unsigned i = 0; i < 500; i++)
		verbs_bind_answer(f.parked[i], i % 3 ? NULL : "refused");
	assert_int_equal(verbs_parked(f.verbs), 0);
	for (unsigned i = 0; i < 500; i++) {
		assert_answer(&f, fds[i], i % 3 ? "{\"Error\":\"\"}" : "{\"Error\":\"refused\"}");
		close(fds[i]);
	}
	assert_int_equal(f.answered, 501);
	assert_int_equal(f.gone, 0);
	close(other);
	stop(&f);
}

static void hang_ups_are_noticed(void **state)
{
	struct fixture f;
	int fds[40];

	(void)state;
	start(&f);
	park(&f, fds, 40);
	for (unsigned i = 0; i < 20; i++)
		close(fds[i]);
	loop_until(&f.loop, &f.gone, 20);
	assert_int_equal(verbs_parked(f.verbs), 20);
	for (unsigned i = 0; i < 40; i++)
		if (f.parked[i])
			verbs_bind_answer(f.parked[i], NULL);
	for (unsigned i = 20; i < 40; i++) {
		assert_answer(&f, fds[i], "{\"Error\":\"\"}");
		close(fds[i]);
	}
	assert_int_equal(verbs_parked(f.verbs), 0);
	assert_int_equal(f.gone, 20);
	stop(&f);
}

static void an_answer_of_filter_can_be_kept_back(void **state)
{
	struct fixture f;
	int fds[3];

	(void)state;
	start(&f);
	f.holds = true;
	for (unsigned i = 0; i < 3; i++) {
		fds[i] = raw_connect(verbs_port(f.verbs));
		post(&f, fds[i], "/v1/filter", ARGS);
	}
	loop_until(&f.loop, &f.answered, 3); /* as far as metrics go */
	int other = raw_connect(verbs_port(f.verbs));
	assert_post(&f, other, "/v1/prioritize", ARGS, 200, "[{\"Host\":\"n1\",\"Score\":10}]");
	f.status = 503; /* an error is not kept back */
	assert_post(&f, other, "/v1/filter", ARGS, 503, "{\"error\":\"not now\"}");
	close(fds[0]);
	for (unsigned i = 0; i < 20; i++)
		uv_run(&f.loop, UV_RUN_NOWAIT);
	verbs_release(f.verbs);
	assert_answer(&f, fds[1], ONE_NODE);
	assert_answer(&f, fds[2], ONE_NODE);
	f.status = 200;
	post(&f, fds[1], "/v1/filter", ARGS);
	loop_until(&f.loop, &f.filters, 5);
	verbs_stop(f.verbs, on_stopped, &f);
	assert_answer(&f, fds[1], ONE_NODE);
	close(fds[1]);
	close(fds[2]);
	close(other);
	loop_until(&f.loop, &f.stopped, 1);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(&f.loop), 0);
}

static void stop_answers_the_parked(void **state)
{
	struct fixture f;
	int fds[30];

	(void)state;
	start(&f);
	park(&f, fds, 30);
	verbs_stop(f.verbs, on_stopped, &f);
	assert_int_equal(f.gone, 30);
	for (unsigned i = 0; i < 30; i++) {
		assert_answer(&f, fds[i], "{\"Error\":\"berth is stopping\"}");
		close(fds[i]);
	}
	loop_until(&f.loop, &f.stopped, 1);
	assert_int_equal(f.answered, 30);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(&f.loop), 0);
}

/* A call of which half was there when the stop began: its caller sees the connection close, the handlers see nothing.
 */
static void stop_lets_no_call_in(void **state)
{
	static const char *const paths[] = {"/v1/bind", "/v1/filter"}, *const bodies[] = {BIND("n"), ARGS};
	struct fixture f;
	int fds[2];

	(void)state;
	start(&f);
	for (int i = 0; i < 2; i++) {
		char head[128];

		fds[i] = raw_connect(verbs_port(f.verbs));
		snprintf(head, sizeof(head), "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", paths[i],
		    strlen(bodies[i]));
		raw_text(&f.loop, fds[i], head);
	}
	loop_for(&f.loop, 20);
	for (int i = 0; i < 2; i++)
		assert_int_equal(send(fds[i], bodies[i], strlen(bodies[i]), MSG_NOSIGNAL), strlen(bodies[i]));
	verbs_stop(f.verbs, on_stopped, &f);
	loop_until(&f.loop, &f.stopped, 1);
	assert_int_equal(f.binds + f.filters, 0);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(&f.loop), 0);
}

/* The answer of a parked bind must not get into the reply that is being written. */
static void answered_within_another_call(void **state)
{
	struct fixture f;
	int fd;

	(void)state;
	start(&f);
	park(&f, &fd, 1);
	f.answer_within_filter = f.parked[0];
	int other = raw_connect(verbs_port(f.verbs));
	assert_post(&f, other, "/v1/filter", ARGS, 200, " " ONE_NODE);
	assert_answer(&f, fd, "{\"Error\":\"meanwhile\"}");
	close(fd);
	close(other);
	stop(&f);
}

static void listen_errors_are_said(void **state)
{
	struct fixture f;
	struct err err;
	struct verbs_handlers handlers = {0};
	char listen[32];

	(void)state;
	start(&f);
	snprintf(listen, sizeof(listen), "127.0.0.1:%u", verbs_port(f.verbs));
	assert_null(verbs_start(&f.loop, listen, &handlers, &err));
	assert_non_null(strstr(err.text, listen));
	stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(verbs_on_one_connection),
	    cmocka_unit_test(refusals),
	    cmocka_unit_test(a_large_call),
	    cmocka_unit_test(five_hundred_parked),
	    cmocka_unit_test(hang_ups_are_noticed),
	    cmocka_unit_test(an_answer_of_filter_can_be_kept_back),
	    cmocka_unit_test(stop_answers_the_parked),
	    cmocka_unit_test(stop_lets_no_call_in),
	    cmocka_unit_test(answered_within_another_call),
	    cmocka_unit_test(listen_errors_are_said),
	};
	struct rlimit limit;

	/* Both ends of every connection are here, and the server has another descriptor for each parked one. */
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
