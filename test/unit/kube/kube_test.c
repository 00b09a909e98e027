#include "api.h"

#include <sys/stat.h>

#include "kube/exec.h"

struct fixture {
	struct api api;
	unsigned done;
	struct kube_answer last;
	char body[512], message[256], error[256];
	char token[64]; /* what the server wants; empty for none */
	const char *script;
	struct http_request *parked[64];
	unsigned parked_count, parked_gone;
	char folder[64];
};

static void on_done(void *ctx, const struct kube_answer *answer)
{
	struct fixture *f = ctx;

	f->done++;
	f->last = *answer;
	snprintf(f->body, sizeof(f->body), "%.*s", (int)answer->body.len, answer->body.at);
	snprintf(f->message, sizeof(f->message), "%.*s", (int)answer->message.len, answer->message.at);
	snprintf(f->error, sizeof(f->error), "%s", answer->error ? answer->error : "");
	assert_int_equal(answer->error == NULL, answer->code == 0 && answer->status / 100 == 2);
}

static void on_gone(void *ctx)
{
	struct fixture *f = ctx;
	f->parked_gone++;
}

static void answer(struct api *api, struct http_request *request, unsigned call)
{
	struct fixture *f = api->ctx;
	const char *auth = http_header(request, "Authorization");
	char wanted[128];

	snprintf(wanted, sizeof(wanted), "Bearer %s", f->token);
	if (f->token[0] && (!auth || strcmp(auth, wanted) != 0)) {
		api_status(request, 401, "Unauthorized", "who are you");
		return;
	}
	switch (f->script && call <= strlen(f->script) ? f->script[call - 1] : '2') {
	case 'c':
		http_cut(request);
		break;
	case '5':
		api_status(request, 500, "InternalError", "oh");
		break;
	case '9':
		api_status(request, 409, "Conflict", "no \\\"way\\\"");
		break;
	case 'r':
		http_add_header(request, "Retry-After", "1");
		api_status(request, 429, "TooManyRequests", "busy");
		break;
	case 'b': /* a disruption budget says no: no time is named */
		api_status(request, 429, "TooManyRequests", "budget");
		break;
	case 'd': /* it says so while its controller is behind: a time is named, and asking again would do no good */
		http_add_header(request, "Retry-After", "1");
		api_json(request, 429,
		    "{\"kind\":\"Status\",\"status\":\"Failure\",\"code\":429,\"details\":{\"name\":\"p\",\"causes\":["
		    "{\"reason\":\"DisruptionBudget\",\"message\":\"behind\"}]}}");
		break;
	case 'p':
		http_park(request, on_gone, f);
		f->parked[f->parked_count++] = request;
		break;
	default:
		api_json(request, 200, "{\"ok\":true}");
	}
}

static void call(struct fixture *f, const char *method, bool repeatable)
{
	kube_call(f->api.kube, &(struct kube_call_spec){.method = method,
	                           .path = "/api/v1/x?a=b",
	                           .repeatable = repeatable,
	                           .deadline_ms = 3000,
	                           .done = on_done,
	                           .ctx = f});
}

/* One call against a script: how often the server was asked, and how it ended. */
static void play(const char *script, const char *method, bool repeatable, unsigned calls, int code, unsigned status)
{
	struct fixture f = {.script = script};

	api_serve(&f.api, answer, &f);
	api_open(
	    &f.api, (struct kube_config){0}, (struct kube_options){.timeout_ms = strchr(script, 'p') ? 300 : 2000});
	call(&f, method, repeatable);
	loop_until(&f.api.loop, &f.done, 1);
	loop_for(&f.api.loop, 20);
	assert_int_equal(f.done, 1);
	assert_int_equal(f.api.calls, calls);
	assert_int_equal(f.last.code, code);
	assert_int_equal(f.last.status, status);
	assert_true(f.last.sent);
	api_stop(&f.api);
}

static void retry_rules(void **state)
{
	(void)state;
	play("2", "GET", true, 1, 0, 200);
	play("55c2", "PATCH", true, 4, 0, 200);
	play("52", "POST", false, 1, 0, 500);
	play("c2", "POST", false, 1, ERR_UNREACHABLE, 0);
	play("p2", "POST", false, 1, ERR_UNREACHABLE, 0);
	play("p2", "PUT", true, 2, 0, 200);
	play("r2", "POST", false, 2, 0, 200);
	play("b2", "POST", true, 1, 0, 429);
	play("d2", "POST", true, 1, 0, 429);
	play("9", "PATCH", true, 1, 0, 409);
}

static void errors_are_told(void **state)
{
	struct fixture f = {.script = "9"};
	struct err err;
	(void)state;
	api_serve(&f.api, answer, &f);
	api_open(&f.api, (struct kube_config){0}, (struct kube_options){0});
	call(&f, "POST", false);
	loop_until(&f.api.loop, &f.done, 1);
	assert_string_equal(f.message, "no \\\"way\\\"");
	assert_non_null(strstr(f.error, "HTTP 409: no "));
	kube_close(f.api.kube);

	struct kube_config nowhere = {.server = (char *)"http://127.0.0.1:1"};
	f.api.kube = kube_open(&f.api.loop, &nowhere, NULL, &err);
	kube_call(f.api.kube,
	    &(struct kube_call_spec){.method = "POST", .path = "/x", .deadline_ms = 400, .done = on_done, .ctx = &f});
	int64_t from = clock_now();
	loop_until(&f.api.loop, &f.done, 2);
	assert_int_equal(f.last.code, ERR_UNREACHABLE);
	assert_false(f.last.sent);
	assert_true(clock_now() - from < NS_PER_S);
	api_stop(&f.api);
}

static void window(void **state)
{
	struct fixture f = {.script = "ppppppppppppppppppppp"};
	(void)state;
	api_serve(&f.api, answer, &f);
	api_open(&f.api, (struct kube_config){0}, (struct kube_options){.writes_in_flight = 4, .writes_waiting = 6});
	for (int i = 0; i < 12; i++)
		call(&f, "PATCH", true);
	assert_int_equal(f.done, 0);
	loop_until(&f.api.loop, &f.done, 2); /* four run, six wait, two too many */
	assert_int_equal(f.last.code, ERR_TOO_LARGE);
	assert_false(f.last.sent);
	loop_until(&f.api.loop, &f.parked_count, 4);
	loop_for(&f.api.loop, 50);
	assert_int_equal(f.parked_count, 4);
	for (unsigned i = 0; i < 10; i++) {
		loop_until(&f.api.loop, &f.parked_count, i + 4 < 10 ? i + 4 : 10);
		api_json(f.parked[i], 200, "{}");
		loop_until(&f.api.loop, &f.done, 3 + i);
	}
	/* Those that cannot be sent in time end on time, and so do those that run. */
	for (int i = 0; i < 8; i++)
		kube_call(
		    f.api.kube, &(struct kube_call_spec){
		                    .method = "GET", .path = "/x", .deadline_ms = 200, .done = on_done, .ctx = &f});
	loop_until(&f.api.loop, &f.done, 20);
	api_stop(&f.api);
}

/* --- leave to write --- */

static struct kube_leave leave;

static struct kube_leave current_leave(void *ctx)
{
	(void)ctx;
	return leave;
}

static void set_leave(int64_t send_ms, int64_t land_ms)
{
	leave = (struct kube_leave){clock_now() + send_ms * NS_PER_MS, clock_now() + land_ms * NS_PER_MS};
}

static void without_leave_nothing_is_written(void **state)
{
	struct fixture f = {.script = NULL};
	static const char *const methods[] = {"POST", "PATCH", "PUT", "DELETE"};
	(void)state;
	api_start(&f.api, answer, &f);
	kube_fence(f.api.kube, current_leave, &f);
	leave = (struct kube_leave){0, 0};
	for (unsigned i = 0; i < 4; i++) {
		call(&f, methods[i], true);
		assert_int_equal(f.done, i); /* not before the call has returned */
		loop_until(&f.api.loop, &f.done, i + 1);
		assert_int_equal(f.last.code, ERR_REFUSED);
		assert_false(f.last.sent);
	}
	assert_int_equal(f.api.calls, 0);
	call(&f, "GET", true); /* reading is free */
	loop_until(&f.api.loop, &f.done, 5);
	assert_int_equal(f.last.status, 200);
	set_leave(60000, 60000);
	call(&f, "PATCH", true);
	loop_until(&f.api.loop, &f.done, 6);
	assert_int_equal(f.last.status, 200);
	set_leave(60000, -1); /* no time to land */
	call(&f, "PATCH", true);
	loop_until(&f.api.loop, &f.done, 7);
	assert_int_equal(f.last.code, ERR_REFUSED);
	assert_int_equal(f.api.calls, 2);
	api_stop(&f.api);
}

static void a_write_ends_with_its_leave(void **state)
{
	struct fixture f = {.script = "p5"};
	(void)state;
	api_start(&f.api, answer, &f);
	kube_fence(f.api.kube, current_leave, &f);
	set_leave(60000, 200);
	int64_t from = clock_now();
	call(&f, "POST", false); /* on its way, and not answered */
	loop_until(&f.api.loop, &f.done, 1);
	assert_int_equal(f.last.code, ERR_UNREACHABLE);
	assert_true(f.last.sent);
	assert_true(clock_now() - from < 2 * NS_PER_S);
	loop_until(&f.api.loop, &f.parked_gone, 1);
	set_leave(60000, 60000);
	call(&f, "PATCH", true);
	loop_until(&f.api.loop, &f.api.calls, 2);
	leave = (struct kube_leave){0, 0}; /* ends while a failed attempt waits for the next */
	loop_until(&f.api.loop, &f.done, 2);
	assert_int_equal(f.last.code, ERR_REFUSED);
	assert_true(f.last.sent);
	assert_int_equal(f.api.calls, 2);
	api_stop(&f.api);
}

/* As a process that was stopped between the decision to write and the first byte, and goes on too late. */
static void a_write_that_was_held_up_is_not_sent(void **state)
{
	struct fixture f = {.script = NULL};
	(void)state;
	api_start(&f.api, answer, &f);
	kube_fence(f.api.kube, current_leave, &f);
	for (unsigned kept = 0; kept < 2; kept++) { /* on a new connection, and on a kept one */
		set_leave(100, 60000);
		call(&f, "POST", true);
		usleep(150000);
		leave = (struct kube_leave){0, 0};
		loop_until(&f.api.loop, &f.done, 2 * kept + 1);
		assert_int_not_equal(f.last.code, 0);
		assert_false(f.last.sent);
		assert_int_equal(f.api.calls, kept);
		set_leave(60000, 60000);
		call(&f, "POST", false);
		loop_until(&f.api.loop, &f.done, 2 * kept + 2);
		assert_int_equal(f.last.status, 200);
	}
	api_stop(&f.api);
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void make_folder(struct fixture *f)
{
	snprintf(f->folder, sizeof(f->folder), "/tmp/kube_test_XXXXXX");
	assert_non_null(mkdtemp(f->folder));
}

static void rotated_token(void **state)
{
	struct fixture f = {.token = "new"};
	char path[128];
	(void)state;
	make_folder(&f);
	snprintf(path, sizeof(path), "%s/token", f.folder);
	write_file(path, "old\n");
	api_serve(&f.api, answer, &f);
	api_open(&f.api, (struct kube_config){.token_file = path}, (struct kube_options){0});

	call(&f, "POST", false); /* the old one, and nothing better: that is the answer */
	loop_until(&f.api.loop, &f.done, 1);
	assert_int_equal(f.last.status, 401);
	assert_int_equal(f.api.calls, 1);
	write_file(path, "new\n");
	call(&f, "POST", false); /* the old one, 401, read again, repeated once */
	loop_until(&f.api.loop, &f.done, 2);
	assert_int_equal(f.last.status, 200);
	assert_int_equal(f.api.calls, 3);
	snprintf(f.token, sizeof(f.token), "newer");
	write_file(path, "neither");
	call(&f, "POST", false);
	loop_until(&f.api.loop, &f.done, 3);
	assert_int_equal(f.last.status, 401);
	assert_int_equal(f.api.calls, 5);
	api_stop(&f.api);
	unlink(path);
	rmdir(f.folder);
}

static void plugin(void **state)
{
	struct fixture f = {.token = "t1"};
	char path[128], count[128], script[1024];
	struct kube_exec exec = {
	    .api_version = (char *)"client.authentication.k8s.io/v1", .provide_cluster_info = true};
	(void)state;
	make_folder(&f);
	snprintf(path, sizeof(path), "%s/plugin", f.folder);
	snprintf(count, sizeof(count), "%s/count", f.folder);
	snprintf(script, sizeof(script),
	    "#!/bin/sh\n"
	    "read x && exit 9\n"
	    "test \"$OWN\" = value || exit 8\n"
	    "case \"$KUBERNETES_EXEC_INFO\" in *'\"server\":\"http'*'\"interactive\":false'*) ;; *) exit 7;; esac\n"
	    "echo x >> %s\n"
	    "n=$(wc -l < %s)\n"
	    "echo "
	    "'{\"apiVersion\":\"client.authentication.k8s.io/"
	    "v1\",\"kind\":\"ExecCredential\",\"status\":{\"token\":\"'$1$n'\",'\n"
	    "echo '\"expirationTimestamp\":\"2200-01-01T00:00:00Z\"}}'\n",
	    count, count);
	write_file(path, script);
	chmod(path, 0700);
	char *args[] = {(char *)"t", NULL}, *env[] = {(char *)"OWN=value", NULL};
	exec.command = path;
	exec.args = args;
	exec.env = env;
	api_serve(&f.api, answer, &f);
	api_open(&f.api, (struct kube_config){.exec = &exec}, (struct kube_options){0});
	for (int i = 0; i < 5; i++)
		call(&f, "POST", false);
	loop_until(&f.api.loop, &f.done, 5);
	assert_int_equal(f.last.status, 200);
	assert_int_equal(f.api.calls, 5); /* nothing was sent before the plugin was done */
	/* Revoked: the calls that meet 401 share one run of the plugin. */
	snprintf(f.token, sizeof(f.token), "t2");
	for (int i = 0; i < 5; i++)
		call(&f, "POST", false);
	loop_until(&f.api.loop, &f.done, 10);
	assert_int_equal(f.last.status, 200);
	assert_int_equal(f.api.calls, 15);
	api_stop(&f.api);
	unlink(path);
	unlink(count);
	rmdir(f.folder);
}

static void failing_plugin(void **state)
{
	struct fixture f = {0};
	struct kube_exec exec = {
	    .command = (char *)"/nowhere/plugin", .api_version = (char *)"client.authentication.k8s.io/v1"};
	(void)state;
	api_serve(&f.api, answer, &f);
	api_open(&f.api, (struct kube_config){.exec = &exec}, (struct kube_options){0});
	kube_call(f.api.kube,
	    &(struct kube_call_spec){.method = "GET", .path = "/x", .deadline_ms = 300, .done = on_done, .ctx = &f});
	loop_until(&f.api.loop, &f.done, 1);
	assert_int_equal(f.last.code, ERR_UNREACHABLE);
	assert_false(f.last.sent);
	assert_non_null(strstr(f.error, "/nowhere/plugin"));
	assert_int_equal(f.api.calls, 0);
	api_stop(&f.api);
}

struct run {
	unsigned done;
	bool given;
	struct err err;
};

static void run_done(void *ctx, struct exec_credential *credential, const struct err *err)
{
	struct run *run = ctx;

	run->done++;
	run->given = credential != NULL;
	if (err)
		run->err = *err;
	if (credential)
		exec_credential_free(credential);
}

static void run_plugin(const char *shell, unsigned timeout_ms, const char *wanted)
{
	uv_loop_t loop;
	struct run run = {0};
	char *args[] = {(char *)"-c", (char *)(uintptr_t)shell, NULL};
	struct kube_exec exec = {
	    .command = (char *)"sh", .args = args, .api_version = (char *)"client.authentication.k8s.io/v1"};
	struct kube_config config = {.server = (char *)"https://x", .exec = &exec};

	uv_loop_init(&loop);
	exec_start(&loop, &config, timeout_ms, run_done, &run);
	assert_int_equal(run.done, 0);
	loop_until(&loop, &run.done, 1);
	assert_int_equal(run.given, wanted == NULL);
	if (wanted && !strstr(run.err.text, wanted))
		fail_msg("%s: %s", shell, run.err.text);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

#define CREDENTIAL(status) "echo '{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"status\":{" status "}}'"

static void plugin_ends(void **state)
{
	(void)state;
	run_plugin(CREDENTIAL("\"token\":\"a\""), 5000, NULL);
	run_plugin(CREDENTIAL("\"clientCertificateData\":\"c\",\"clientKeyData\":\"k\""), 5000, NULL);
	run_plugin(CREDENTIAL("\"clientCertificateData\":\"c\""), 5000, "together");
	run_plugin(CREDENTIAL(""), 5000, "neither");
	run_plugin(CREDENTIAL("\"token\":\"a\",\"expirationTimestamp\":\"soon\""), 5000, "RFC 3339");
	run_plugin("echo '{\"apiVersion\":\"client.authentication.k8s.io/v1beta1\",\"status\":{\"token\":\"a\"}}'",
	    5000, "apiVersion");
	run_plugin("echo hello", 5000, "no JSON");
	run_plugin("exit 3", 5000, "exited with 3");
	run_plugin("exec sleep 20", 200, "in time");
	run_plugin("sleep 20 & sleep 20", 200, "in time");
	run_plugin("exec yes", 5000, "too large");
}

static void writes(void **state)
{
	struct fixture f = {0};
	struct kube_pod_ref pod = {"ns", "p", "u\"1"};
	char note[2000];
	(void)state;
	api_serve(&f.api, answer, &f);
	api_open(&f.api, (struct kube_config){0}, (struct kube_options){.writes_in_flight = 1});
	memset(note, 'n', sizeof(note) - 1);
	memcpy(note + 1022, "\xe2\x82\xac", 3); /* a character across the cut */
	note[sizeof(note) - 1] = '\0';

	kube_patch_status(f.api.kube, pod, "\"status\":{\"nominatedNodeName\":\"n\"}", on_done, &f);
	kube_annotate(f.api.kube, pod, slice_of("{\"berth.dev/wake\":\"1\"}"), on_done, &f);
	kube_evict(f.api.kube, pod, false, on_done, &f);
	struct kube_event event = {"v1", "Pod", "ns", "p", "u1", "Normal", "Planned", "Plan", note};
	kube_emit(f.api.kube, &event, NULL, NULL);
	event.namespace_ = NULL;
	kube_emit(f.api.kube, &event, on_done, &f);
	pod.name = "..";
	kube_evict(f.api.kube, pod, false, on_done, &f);
	event.name = "a/b";
	kube_emit(f.api.kube, &event, on_done, &f);
	loop_until(&f.api.loop, &f.done, 6);
	assert_int_equal(f.api.calls, 5);
	assert_call(&f.api, 0,
	    "PATCH /api/v1/namespaces/ns/pods/p/status "
	    "{\"metadata\":{\"uid\":\"u\\\"1\"},\"status\":{\"nominatedNodeName\":\"n\"}}");
	assert_call(&f.api, 1,
	    "PATCH /api/v1/namespaces/ns/pods/p "
	    "{\"metadata\":{\"annotations\":{\"berth.dev/wake\":\"1\"},\"uid\":\"u\\\"1\"}}");
	assert_call(&f.api, 2,
	    "POST /api/v1/namespaces/ns/pods/p/eviction "
	    "{\"apiVersion\":\"policy/v1\",\"kind\":\"Eviction\",\"metadata\":"
	    "{\"name\":\"p\",\"namespace\":\"ns\"},\"deleteOptions\":{\"preconditions\":{\"uid\":\"u\\\"1\"}}}");
	assert_call(&f.api, 3,
	    "POST /apis/events.k8s.io/v1/namespaces/ns/events {\"apiVersion\":\"events.k8s.io/v1\",\"kind\":\"Event\"");
	assert_non_null(strstr(f.api.lines[3], "\"reportingController\":\"berth.dev/berth\""));
	const char *cut = strstr(f.api.lines[3], "\"note\":\"");
	assert_int_equal(strcspn(cut + 8, "\""), 1022);
	const char *time = strstr(f.api.lines[3], "\"eventTime\":\"");
	assert_int_equal(strcspn(time + 13, "\""), strlen("2026-01-02T03:04:05.678000Z"));
	assert_call(&f.api, 4, "POST /apis/events.k8s.io/v1/namespaces/default/events ");
	api_stop(&f.api);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(retry_rules),
	    cmocka_unit_test(errors_are_told),
	    cmocka_unit_test(window),
	    cmocka_unit_test(without_leave_nothing_is_written),
	    cmocka_unit_test(a_write_ends_with_its_leave),
	    cmocka_unit_test(a_write_that_was_held_up_is_not_sent),
	    cmocka_unit_test(rotated_token),
	    cmocka_unit_test(plugin),
	    cmocka_unit_test(failing_plugin),
	    cmocka_unit_test(plugin_ends),
	    cmocka_unit_test(writes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
