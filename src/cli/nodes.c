#include "cli/nodes.h"

#include <stdlib.h>
#include <uv.h>

#include "base/buf.h"
#include "base/reader.h"
#include "cli/ask.h"
#include "kube/kube.h"

#define PAGE_LIMIT 100 /* a page stays far below what one answer may have */
#define PATH_TEXT_MAX ((size_t)1 << 16)
#define DEADLINE_MS 10000

struct listing {
	struct kube *kube;
	nodes_page *page;
	void *ctx;
	struct err *err;
	int code;
};

static void next_page(struct listing *listing, const char *from);

/* metadata.continue, to be freed; NULL on the last page. */
static char *continuation(struct slice text)
{
	struct reader json;
	struct slice from = {NULL, 0};
	reader_open(&json, text);
	if (reader_object(&json))
		for (struct slice key; reader_key(&json, &key);) {
			if (!slice_is(key, "metadata") || reader_peek(&json) != READER_OBJECT) {
				reader_skip(&json);
				continue;
			}
			reader_object(&json);
			while (reader_key(&json, &key))
				if (slice_is(key, "continue"))
					reader_string(&json, &from);
				else
					reader_skip(&json);
		}
	if (!reader_close(&json) || from.len == 0)
		return NULL;
	char *token = xcalloc(1, from.len + 1);
	memcpy(token, from.at, from.len);
	return token;
}

static void answered(void *ctx, const struct kube_answer *answer)
{
	struct listing *listing = ctx;
	char *from = NULL;
	if (answer->code != 0)
		listing->code = err_set(listing->err, ERR_UNREACHABLE, "%s", answer->error);
	else if (answer->status != 200)
		listing->code = err_set(listing->err, ERR_UNREACHABLE, "the API server answered %u: %s", answer->status,
		    answer->error ? answer->error : "");
	else
		listing->code = listing->page(listing->ctx, answer->body, listing->err);
	if (listing->code == 0)
		from = continuation(answer->body);
	if (from)
		next_page(listing, from);
	else
		kube_close(listing->kube);
	free(from);
}

static void next_page(struct listing *listing, const char *from)
{
	struct buf path;
	char *escaped = ask_escape(from ? from : "");
	buf_init(&path, PATH_TEXT_MAX);
	buf_printf(&path, "/api/v1/nodes?limit=%d%s%s", PAGE_LIMIT, from ? "&continue=" : "", escaped);
	kube_call(listing->kube, &(struct kube_call_spec){.method = "GET",
	                             .path = path.overflow ? "/api/v1/nodes" : path.data,
	                             .repeatable = true,
	                             .deadline_ms = DEADLINE_MS,
	                             .done = answered,
	                             .ctx = listing});
	buf_free(&path);
	free(escaped);
}

int nodes_read(const char *kubeconfig, nodes_page *page, void *ctx, struct err *err)
{
	struct listing listing = {.page = page, .ctx = ctx, .err = err};
	struct kube_config config = {0};
	uv_loop_t loop;
	if (kube_config_load(kubeconfig, &config, err) != 0)
		return err->code;
	uv_loop_init(&loop);
	listing.kube = kube_open(&loop, &config, &(struct kube_options){0}, err);
	if (listing.kube)
		next_page(&listing, NULL);
	else
		listing.code = err->code;
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	kube_config_free(&config);
	return listing.code;
}
