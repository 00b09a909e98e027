#include "api.h"

#include "kube/stream.h"
#include "kube/watch.h"

/* A caller that keeps what a reflector tells it, as a real one would: names seen since `begin` are the content at
 * `synced`. */
struct fixture {
	struct api api;
	struct kube_watch *watch;
	unsigned begins, seen, deleted, synced, unavailable, unavailable_status;
	char log[8192];
	int scene;
	bool stop_at_object;
};

static void name_of(struct slice object, char out[64])
{
	const char *at = memmem(object.at, object.len, "\"name\":\"", 8);
	assert_non_null(at);
	snprintf(out, 64, "%.*s", (int)strcspn(at + 8, "\""), at + 8);
}

static void note(struct fixture *f, const char *text, const char *name)
{
	size_t len = strlen(f->log);
	snprintf(f->log + len, sizeof(f->log) - len, "%s%s ", text, name);
}

static void on_begin(void *ctx)
{
	struct fixture *f = ctx;
	f->begins++;
	note(f, "begin", "");
}

static void on_object(void *ctx, enum kube_change change, struct slice object)
{
	struct fixture *f = ctx;
	char name[64];

	assert_int_equal(object.at[0], '{');
	assert_int_equal(object.at[object.len - 1], '}');
	name_of(object, name);
	note(f, change == KUBE_SEEN ? "+" : "-", name);
	f->seen += change == KUBE_SEEN;
	f->deleted += change == KUBE_DELETED;
	if (f->stop_at_object) {
		kube_watch_stop(f->watch);
		f->watch = NULL;
	}
}

static void on_synced(void *ctx)
{
	struct fixture *f = ctx;
	f->synced++;
	note(f, "synced", "");
}

static void on_unavailable(void *ctx, unsigned status, const char *reason)
{
	struct fixture *f = ctx;
	assert_non_null(reason);
	f->unavailable++;
	f->unavailable_status = status;
}

static void start_with(
    struct fixture *f, api_answer *answer, struct kube_watch_options options, struct kube_options kube_options)
{
	memset(f, 0, sizeof(*f));
	api_serve(&f->api, answer, f);
	api_open(&f->api, (struct kube_config){0}, kube_options);
	struct kube_watch_handlers handlers = {
	    .begin = on_begin,
	    .object = on_object,
	    .synced = on_synced,
	    .unavailable = on_unavailable,
	    .ctx = f,
	};
	options.path = "/api/v1/pods";
	f->watch = kube_watch_start(f->api.kube, &options, &handlers);
}

static void start(struct fixture *f, api_answer *answer, struct kube_watch_options options)
{
	start_with(f, answer, options, (struct kube_options){0});
}

static void open_stream(struct api *api, struct http_request *request)
{
	http_stream(request, 200, NULL, api_stream_gone, api);
	api->stream = request;
}

static void send_event(struct api *api, const char *type, const char *name, const char *version)
{
	char text[512];
	int len = snprintf(text, sizeof(text),
	    "{\"type\":\"%s\",\"object\":{\"kind\":\"Pod\",\"metadata\":{\"name\":\"%s\",\"managedFields\":[{"
	    "\"resourceVersion\":\"x\"}],"
	    "\"resourceVersion\":\"%s\"},\"spec\":{\"a\":[1,{}]}}}\n",
	    type, name, version);
	assert_true(http_stream_write(api->stream, text, (size_t)len));
}

static const char page_one[] =
    "{\"kind\":\"PodList\",\"items\":[{\"metadata\":{\"name\":\"a\"}},{\"metadata\":{\"name\":\"b\"}}],"
    "\"metadata\":{\"resourceVersion\":\"100\",\"continue\":\"t/o=k+n\"}}";
static const char page_two[] =
    "{\"metadata\":{\"resourceVersion\":\"100\",\"remainingItemCount\":0},\"items\":[{\"metadata\":{\"name\":\"c\"}}]}";
static const char page_small[] =
    "{\"metadata\":{\"resourceVersion\":\"200\"},\"items\":[{\"metadata\":{\"name\":\"c\"}}]}";
static const char page_empty[] = "{\"metadata\":{\"resourceVersion\":\"7\"},\"items\":null}";

static void until(struct fixture *f, const char *text)
{
	int64_t end = clock_now() + RAW_WAIT_MS * NS_PER_MS;

	while (!strstr(f->log, text) && clock_now() < end)
		loop_turn(&f->api.loop);
	if (!strstr(f->log, text))
		fail_msg("\"%s\" did not happen: %s", text, f->log);
}

static void stream_open(struct fixture *f)
{
	int64_t end = clock_now() + RAW_WAIT_MS * NS_PER_MS;

	while (!f->api.stream && clock_now() < end)
		loop_turn(&f->api.loop);
	assert_non_null(f->api.stream);
}

/* --- pages, then events split anywhere --- */

static void answer_pages(struct api *api, struct http_request *request, unsigned call)
{
	if (http_query(request, "watch"))
		open_stream(api, request);
	else if (http_query(request, "continue"))
		api_json(request, 200, page_two);
	else
		api_json(request, 200, call == 1 ? page_one : page_small);
}

static void pages_and_events(void **state)
{
	struct fixture f;
	(void)state;
	start(&f, answer_pages, (struct kube_watch_options){.query = "fieldSelector=a%3Db"});

	until(&f, "synced");
	stream_open(&f);
	assert_string_equal(f.log, "begin +a +b +c synced ");
	assert_call(&f.api, 0, "GET /api/v1/pods?limit=500&fieldSelector=a=b ");
	assert_call(&f.api, 1, "GET /api/v1/pods?limit=500&continue=t/o=k+n&fieldSelector=a=b ");
	assert_call(
	    &f.api, 2, "GET /api/v1/pods?watch=1&resourceVersion=100&allowWatchBookmarks=true&fieldSelector=a=b ");
	send_event(&f.api, "ADDED", "d", "101");
	send_event(&f.api, "MODIFIED", "a", "102");
	send_event(&f.api, "DELETED", "b", "103");
	until(&f, "+d +a -b");
	const char *text =
	    "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"e\",\"resourceVersion\":\"104\"}}}\n"
	    "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"name\":\"\",\"resourceVersion\":\"200\"}}}\r\n";
	for (; *text; text++) {
		http_stream_write(f.api.stream, text, 1);
		loop_turn(&f.api.loop);
	}
	until(&f, "+e");
	loop_for(&f.api.loop, 30);
	struct kube_watch_state now = kube_watch_state(f.watch);
	assert_true(now.synced && now.connected && !now.unavailable);
	assert_int_equal(now.events, 4);
	assert_int_equal(now.errors, 0);
	assert_true(clock_now() - now.contact_ns < NS_PER_S);
	/* A proper end: opened at once, from the bookmark, and no error. */
	unsigned before = f.api.calls;
	int64_t from = clock_now();
	http_stream_end(f.api.stream);
	loop_until(&f.api.loop, &f.api.calls, before + 1);
	assert_true(clock_now() - from < 100 * NS_PER_MS);
	assert_call(&f.api, before, "GET /api/v1/pods?watch=1&resourceVersion=200&");
	stream_open(&f);
	/* A cut inside an event: from the same version, nothing listed. */
	http_stream_write(f.api.stream, "{\"type\":\"ADD", 12);
	loop_for(&f.api.loop, 20);
	http_cut(f.api.stream);
	loop_until(&f.api.loop, &f.api.calls, before + 2);
	assert_call(&f.api, before + 1, "GET /api/v1/pods?watch=1&resourceVersion=200&");
	now = kube_watch_state(f.watch);
	assert_int_equal(now.errors, 1);
	assert_int_equal(now.relists, 0);
	assert_int_equal(f.begins, 1);
	api_stop(&f.api);
}

/* A call has a time in which it must be over; a watch has none as long as something comes. */
static void a_watch_outlasts_a_call(void **state)
{
	struct fixture f;
	(void)state;
	start_with(&f, answer_pages, (struct kube_watch_options){.silence_ms = 1500},
	    (struct kube_options){.timeout_ms = 100});
	until(&f, "synced");
	stream_open(&f);
	unsigned calls = f.api.calls;
	for (int i = 0; i < 6; i++) {
		loop_for(&f.api.loop, 400);
		send_event(&f.api, "MODIFIED", "a", "101");
	}
	loop_until(&f.api.loop, &f.seen, 3 + 6);
	assert_int_equal(f.api.calls, calls);
	assert_int_equal(kube_watch_state(f.watch).errors, 0);
	api_stop(&f.api);
}

/* --- 410 in every place --- */

static void answer_gone(struct api *api, struct http_request *request, unsigned call)
{
	switch (call) {
	case 1:
	case 3:
		api_json(request, 200, page_one);
		break;
	case 2: /* the continue token has expired */
		api_status(request, 410, "Expired", "too old");
		break;
	case 4:
		api_json(request, 200, page_two);
		break;
	case 5: /* the watch, before it opens */
		api_status(request, 410, "Expired", "too old");
		break;
	case 6:
	case 8:
	case 10:
		api_json(request, 200, page_small);
		break;
	default:
		open_stream(api, request);
	}
}

static void gone_everywhere(void **state)
{
	struct fixture f;
	(void)state;
	start(&f, answer_gone, (struct kube_watch_options){0});

	until(&f, "begin +a +b begin +a +b +c synced begin +c synced");
	stream_open(&f);
	assert_call(&f.api, 6, "GET /api/v1/pods?watch=1&resourceVersion=200&");
	/* Mid-stream. */
	send_event(&f.api, "ADDED", "x", "201");
	const char *text =
	    "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,\"reason\":\"Expired\"}}\n";
	http_stream_write(f.api.stream, text, strlen(text));
	until(&f, "+x begin +c synced");
	assert_int_equal(f.synced, 3);
	assert_true(kube_watch_state(f.watch).synced);
	while (!f.api.stream || f.api.calls < 9)
		loop_turn(&f.api.loop);
	/* What is no event is not guessed at. */
	http_stream_write(f.api.stream, "{\"type\":\"ADDED\"}\n", 17);
	loop_until(&f.api.loop, &f.synced, 4);
	assert_int_equal(kube_watch_state(f.watch).relists, 4);
	api_stop(&f.api);
}

/* --- silence, busy servers, broken answers --- */

static void answer_trouble(struct api *api, struct http_request *request, unsigned call)
{
	if (http_query(request, "watch")) {
		open_stream(api, request);
	} else if (call == 1) {
		http_add_header(request, "Retry-After", "1");
		api_status(request, 429, "TooManyRequests", "busy");
	} else if (call == 2) {
		http_stream(request, 200, NULL, NULL, NULL);
		http_stream_write(request, page_one, 40);
		http_cut(request);
	} else if (call == 3) {
		api_json(request, 200, "{\"items\":[{\"metadata\":{\"name\":\"z\"}}],");
	} else if (call == 4) {
		api_status(request, 500, "InternalError", "no \\\"luck\\\"");
	} else if (call == 5) {
		http_cut(request);
	} else {
		api_json(request, 200, page_empty);
	}
}

static void trouble(void **state)
{
	struct fixture f;
	(void)state;
	start(&f, answer_trouble, (struct kube_watch_options){.silence_ms = 300});
	int64_t from = clock_now();

	loop_until(&f.api.loop, &f.api.calls, 1);
	loop_for(&f.api.loop, 20);
	struct kube_watch_state now = kube_watch_state(f.watch);
	assert_false(now.connected);
	assert_true(now.lost_ns > 0);
	assert_non_null(strstr(now.error, "429"));
	loop_until(&f.api.loop, &f.api.calls, 2);
	assert_true(clock_now() - from >= NS_PER_S); /* Retry-After */
	loop_until(&f.api.loop, &f.synced, 1);
	assert_string_equal(f.log, "begin synced ");
	assert_true(f.api.calls >= 6);
	stream_open(&f);
	now = kube_watch_state(f.watch);
	/* A GET that a kept connection lost without a byte is repeated below us, so that one may not count. */
	assert_in_range(now.errors, 4, 5);
	/* Nothing comes: after 300 ms it is opened again from the same version. */
	unsigned before = f.api.calls;
	from = clock_now();
	loop_until(&f.api.loop, &f.api.calls, before + 1);
	assert_true(clock_now() - from >= 200 * NS_PER_MS);
	assert_call(&f.api, before, "GET /api/v1/pods?watch=1&resourceVersion=7&");
	assert_true(f.api.streams_gone >= 1);
	assert_int_equal(f.begins, 1);
	api_stop(&f.api);
}

static void answer_short(struct api *api, struct http_request *request, unsigned call)
{
	(void)api;
	(void)call;
	/* A watch that opens and ends at once. */
	api_json(request, 200, http_query(request, "watch") ? "" : page_empty);
}

/* Answers that never last are no contact: how long it has been lost goes on counting from the first. */
static void watches_that_end_at_once(void **state)
{
	struct fixture f;
	(void)state;
	start(&f, answer_short, (struct kube_watch_options){0});
	loop_until(&f.api.loop, &f.api.calls, 2);
	loop_for(&f.api.loop, 20);
	int64_t lost_ns = kube_watch_state(f.watch).lost_ns;
	assert_true(lost_ns > 0);
	loop_until(&f.api.loop, &f.api.calls, 5);
	loop_for(&f.api.loop, 20);
	assert_int_equal(kube_watch_state(f.watch).lost_ns, lost_ns);
	assert_int_equal(f.begins, 1);
	api_stop(&f.api);
}

static void answer_missing(struct api *api, struct http_request *request, unsigned call)
{
	(void)api;
	api_status(request, call == 1 ? 404 : 403, "NotFound", "no such thing");
}

static void optional_resource(void **state)
{
	struct fixture f;
	(void)state;
	start(&f, answer_missing, (struct kube_watch_options){.optional = true, .metadata_only = true});
	loop_until(&f.api.loop, &f.unavailable, 1);
	assert_int_equal(f.unavailable_status, 404);
	assert_true(kube_watch_state(f.watch).unavailable);
	loop_for(&f.api.loop, 300);
	assert_int_equal(f.api.calls, 1);
	assert_int_equal(f.begins, 0);
	api_stop(&f.api);

	start(&f, answer_missing, (struct kube_watch_options){0});
	loop_until(&f.api.loop, &f.api.calls, 3);
	assert_int_equal(f.unavailable, 0);
	api_stop(&f.api);
}

static void stopping_in_a_handler(void **state)
{
	struct fixture f;
	(void)state;
	start(&f, answer_pages, (struct kube_watch_options){0});
	f.stop_at_object = true;
	until(&f, "+a");
	loop_for(&f.api.loop, 100);
	assert_string_equal(f.log, "begin +a ");
	api_stop(&f.api);

	start(&f, answer_pages, (struct kube_watch_options){0});
	until(&f, "synced");
	stream_open(&f);
	f.stop_at_object = true;
	send_event(&f.api, "ADDED", "d", "101");
	send_event(&f.api, "ADDED", "e", "102");
	until(&f, "+d");
	loop_for(&f.api.loop, 100);
	assert_null(strstr(f.log, "+e"));
	assert_null(f.api.stream);
	api_stop(&f.api);
}

/* --- the pure parts --- */

static bool count_line(void *ctx, struct slice line)
{
	unsigned *count = ctx;
	assert_true(line.len > 0);
	return ++*count < 100;
}

static void decoding(void **state)
{
	struct line_reader reader;
	struct watch_event event;
	struct list_page page;
	unsigned lines = 0;
	(void)state;

	line_reader_init(&reader, 8);
	assert_true(line_reader_feed(&reader, "ab\n\ncd\r\nef", 10, count_line, &lines));
	assert_int_equal(lines, 2);
	assert_true(line_reader_is_partial(&reader));
	assert_true(line_reader_feed(&reader, "gh\n", 3, count_line, &lines));
	assert_int_equal(lines, 3);
	assert_false(line_reader_is_partial(&reader));
	assert_false(line_reader_feed(&reader, "123456789", 9, count_line, &lines));
	line_reader_free(&reader);
	line_reader_init(&reader, 8);
	assert_false(line_reader_feed(&reader, "123456789\n", 10, count_line, &lines));
	line_reader_free(&reader);

	assert_null(watch_event_decode(
	    slice_of("{\"object\":{\"metadata\":{\"resourceVersion\":\"5\"}},\"type\":\"DELETED\"}"), &event));
	assert_int_equal(event.type, WATCH_DELETED);
	assert_true(slice_is(event.resource_version, "5"));
	assert_null(watch_event_decode(slice_of("{\"type\":\"ERROR\",\"object\":{\"code\":410}}"), &event));
	assert_int_equal(event.status, 410);
	assert_non_null(watch_event_decode(slice_of("{\"type\":\"ADDED\",\"object\":{\"metadata\":{}}}"), &event));
	assert_non_null(watch_event_decode(
	    slice_of("{\"type\":\"NEW\",\"object\":{\"metadata\":{\"resourceVersion\":\"5\"}}}"), &event));
	assert_non_null(watch_event_decode(slice_of("{\"type\":\"ADDED\",\"object\":null}"), &event));
	assert_non_null(watch_event_decode(slice_of("[]"), &event));
	assert_non_null(watch_event_decode(slice_of("{\"type\":\"ADDED\",\"object\":{}"), &event));
	assert_non_null(list_page_decode(slice_of("{\"items\":[]}"), &page));
	assert_non_null(list_page_decode(slice_of("[]"), &page));
	assert_null(list_page_decode(slice_of("{\"metadata\":{\"resourceVersion\":\"1\"}}"), &page));
	assert_int_equal(page.continue_.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(decoding),
	    cmocka_unit_test(pages_and_events),
	    cmocka_unit_test(a_watch_outlasts_a_call),
	    cmocka_unit_test(gone_everywhere),
	    cmocka_unit_test(trouble),
	    cmocka_unit_test(watches_that_end_at_once),
	    cmocka_unit_test(optional_resource),
	    cmocka_unit_test(stopping_in_a_handler),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
