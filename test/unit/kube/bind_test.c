#include "api.h"

struct fixture {
	struct api api;
	unsigned done;
	enum kube_bind_result result;
	char error[256];
	const char *script; /* a letter for each call, see answer() */
};

static void on_bound(void *ctx, enum kube_bind_result result, const char *error)
{
	struct fixture *f = ctx;

	f->done++;
	f->result = result;
	snprintf(f->error, sizeof(f->error), "%s", error ? error : "");
	assert_int_equal(result != KUBE_BOUND, error != NULL);
}

static void on_gone(void *ctx)
{
	(void)ctx;
}

static void pod(struct http_request *request, const char *uid, const char *node)
{
	char text[256];
	snprintf(text, sizeof(text),
	    "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\",\"uid\":\"%s\"},\"spec\":{%s%s%s}}", uid,
	    node ? "\"nodeName\":\"" : "", node ? node : "", node ? "\"" : "");
	api_json(request, 200, text);
}

static void answer(struct api *api, struct http_request *request, unsigned call)
{
	struct fixture *f = api->ctx;

	assert_true(call <= strlen(f->script));
	switch (f->script[call - 1]) {
	case '2':
		api_json(request, 201, "{\"kind\":\"Status\",\"status\":\"Success\"}");
		break;
	case '4':
		api_status(request, 404, "NotFound", "pods \\\"p\\\" not found");
		break;
	case '9':
		api_status(request, 409, "Conflict", "pod p is already assigned");
		break;
	case '5':
		api_status(request, 503, "ServiceUnavailable", "not now");
		break;
	case '3':
		api_status(request, 403, "Forbidden", "not allowed");
		break;
	case 'r':
		http_add_header(request, "Retry-After", "1");
		api_status(request, 429, "TooManyRequests", "busy");
		break;
	case 'c':
		http_cut(request);
		break;
	case 'h': /* half an answer */
		http_stream(request, 201, NULL, NULL, NULL);
		http_stream_write(request, "{\"kind\":", 8);
		http_cut(request);
		break;
	case 'p':
		http_park(request, on_gone, f);
		break;
	case 'u':
		pod(request, "uid-1", NULL);
		break;
	case 'b':
		pod(request, "uid-1", "n1");
		break;
	case 'e':
		pod(request, "uid-1", "n2");
		break;
	case 'o':
		pod(request, "uid-2", "n1");
		break;
	default:
		fail();
	}
}

/* Binds with the server playing `script`; a POST is to be sent `posts` times. */
static void play(const char *script, enum kube_bind_result wanted, unsigned posts)
{
	struct fixture f = {.script = script};

	api_serve(&f.api, answer, &f);
	api_open(&f.api, (struct kube_config){0}, (struct kube_options){.timeout_ms = 300});
	kube_bind(f.api.kube, (struct kube_pod_ref){"ns", "p", "uid-1"}, "n1", slice_of("{\"berth.dev/plan\":\"x\"}"),
	    5000, on_bound, &f);
	assert_int_equal(f.done, 0);
	loop_until(&f.api.loop, &f.done, 1);
	if (f.result != wanted)
		fail_msg("%s: %d (%s), not %d", script, (int)f.result, f.error, (int)wanted);
	assert_call(&f.api, 0,
	    "POST /api/v1/namespaces/ns/pods/p/binding {\"apiVersion\":\"v1\",\"kind\":\"Binding\",\"metadata\":"
	    "{\"name\":\"p\",\"namespace\":\"ns\",\"uid\":\"uid-1\",\"annotations\":{\"berth.dev/plan\":\"x\"}},"
	    "\"target\":{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"name\":\"n1\"}}");
	unsigned sent = 0;
	for (unsigned i = 0; i < f.api.calls; i++)
		sent += strncmp(f.api.lines[i], "POST ", 5) == 0;
	assert_int_equal(sent, posts);
	assert_int_equal(f.api.calls, strlen(script));
	loop_for(&f.api.loop, 20);
	assert_int_equal(f.done, 1);
	api_stop(&f.api);
}

static void bound_at_once(void **state)
{
	(void)state;
	play("2", KUBE_BOUND, 1);
}

static void lost_answers(void **state)
{
	(void)state;
	play("cb", KUBE_BOUND, 1); /* it had happened */
	play("hb", KUBE_BOUND, 1);
	play("pb", KUBE_BOUND, 1);  /* no answer in time */
	play("cu2", KUBE_BOUND, 2); /* it had not */
	play("ce", KUBE_BOUND_ELSEWHERE, 1);
	play("co", KUBE_POD_GONE, 1);
	play("c4", KUBE_POD_GONE, 1);
	play("cucu2", KUBE_BOUND, 3);
	play("5u5b", KUBE_BOUND, 2);
	play("5cb", KUBE_BOUND, 1); /* reading is repeated */
}

static void refusals(void **state)
{
	(void)state;
	play("9b", KUBE_BOUND, 1); /* an earlier one of ours */
	play("9e", KUBE_BOUND_ELSEWHERE, 1);
	play("9u", KUBE_BIND_REFUSED, 1); /* still gated, or being deleted */
	play("94", KUBE_POD_GONE, 1);
	play("9o", KUBE_POD_GONE, 1);
	play("44", KUBE_POD_GONE, 1);
	play("4u", KUBE_BIND_REFUSED, 1);
	play("3", KUBE_BIND_REFUSED, 1);
}

static void busy_server(void **state)
{
	(void)state;
	int64_t from = clock_now();
	play("ru2", KUBE_BOUND, 2);
	assert_true(clock_now() - from >= NS_PER_S);
}

/* The pod cannot be read either: nothing is sent again. */
static void unreadable_pod(void **state)
{
	(void)state;
	play("53", KUBE_BIND_FAILED, 1);
}

static void deadline(void **state)
{
	struct fixture f = {.script = "pppppppppppp"};
	(void)state;
	api_serve(&f.api, answer, &f);
	api_open(&f.api, (struct kube_config){0}, (struct kube_options){.timeout_ms = 200});
	int64_t from = clock_now();
	kube_bind(
	    f.api.kube, (struct kube_pod_ref){"ns", "p", "uid-1"}, "n1", (struct slice){NULL, 0}, 700, on_bound, &f);
	loop_until(&f.api.loop, &f.done, 1);
	assert_int_equal(f.result, KUBE_BIND_FAILED);
	assert_true(clock_now() - from < 1200 * NS_PER_MS);
	api_stop(&f.api);
}

/* Nothing listens: nothing was sent, so the POST is simply tried again until its time is over. */
static void no_server(void **state)
{
	struct fixture f = {.script = ""};
	struct err err;
	(void)state;
	api_serve(&f.api, answer, &f);
	struct kube_config config = {.server = (char *)"http://127.0.0.1:1"};
	f.api.kube = kube_open(&f.api.loop, &config, NULL, &err);
	kube_bind(f.api.kube, (struct kube_pod_ref){"ns", "p", NULL}, "n1", (struct slice){NULL, 0}, 500, on_bound, &f);
	loop_until(&f.api.loop, &f.done, 1);
	assert_int_equal(f.result, KUBE_BIND_FAILED);
	kube_bind(
	    f.api.kube, (struct kube_pod_ref){"ns", "p/../q", NULL}, "n1", (struct slice){NULL, 0}, 500, on_bound, &f);
	assert_int_equal(f.done, 1);
	loop_until(&f.api.loop, &f.done, 2);
	assert_int_equal(f.result, KUBE_BIND_REFUSED);
	kube_bind(f.api.kube, (struct kube_pod_ref){"ns", "p", NULL}, "n1", slice_of("{\"a\":1"), 500, on_bound, &f);
	loop_until(&f.api.loop, &f.done, 3);
	assert_int_equal(f.result, KUBE_BIND_REFUSED);
	/* Closing ends what runs without a word. */
	kube_bind(f.api.kube, (struct kube_pod_ref){"ns", "p", NULL}, "n1", (struct slice){NULL, 0}, 500, on_bound, &f);
	loop_for(&f.api.loop, 20);
	kube_close(f.api.kube);
	f.api.kube = NULL;
	loop_for(&f.api.loop, 700);
	assert_int_equal(f.done, 3);
	api_stop(&f.api);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bound_at_once),
	    cmocka_unit_test(lost_answers),
	    cmocka_unit_test(refusals),
	    cmocka_unit_test(busy_server),
	    cmocka_unit_test(unreadable_pod),
	    cmocka_unit_test(deadline),
	    cmocka_unit_test(no_server),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
