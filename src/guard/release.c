#include "guard/release.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "guard/resume.h"
#include "guard/ungate.h"
#include "kube/watch.h"

#define LOOK_MS 100
#define NAMESPACE_MAX 63
#define PATH_BYTES_MAX 128

struct release {
	const struct release_options *options;
	struct release_result *result;
	struct err *err;
	uv_loop_t loop;
	uv_timer_t timer; /* looks whether the list has contact */
	struct kube *kube;
	struct kube_watch *watch;
	struct gated **pods;
	size_t count, room;
	int64_t began_ns;
};

static void finish(struct release *release)
{
	uv_close((uv_handle_t *)&release->timer, NULL);
	kube_close(release->kube);
}

static void forget_pods(struct release *release)
{
	while (release->count > 0)
		gated_free(release->pods[--release->count]);
}

/* --- the writes --- */

static void one_done(void *ctx, struct gated *gated, const char *error)
{
	struct release *release = ctx;
	if (error)
		release->result->failed++;
	release->options->told(release->options->ctx, gated, error);
}

/* --- what is suspended --- */

static void resumed(void *ctx, const char *kind, const char *namespace_, const char *name, const char *error)
{
	struct release *release = ctx;
	release->result->suspended++;
	if (error)
		release->result->not_resumed++;
	release->options->resumed(release->options->ctx, kind, namespace_, name, error);
}

static void unlisted(void *ctx, const char *kind, const char *error)
{
	struct release *release = ctx;
	release->result->unlisted++;
	release->options->unlisted(release->options->ctx, kind, error);
}

static void all_resumed(void *ctx)
{
	finish(ctx);
}

/* Pods first: what is resumed makes new ones. */
static void all_done(void *ctx)
{
	struct release *release = ctx;
	resume_start(release->kube, release->options->namespace_, release->options->dry_run,
	    &(struct resume_handlers){.one = resumed, .unlisted = unlisted, .all = all_resumed, .ctx = release});
}

/* --- the list --- */

static void list_begins(void *ctx)
{
	forget_pods(ctx);
}

static void object_shown(void *ctx, enum kube_change change, struct slice object)
{
	struct release *release = ctx;
	struct gated *gated = change == KUBE_SEEN ? gated_read(object, NULL) : NULL;
	if (!gated)
		return;
	release->pods = xgrow(release->pods, release->count, &release->room, sizeof *release->pods);
	release->pods[release->count++] = gated;
}

static int by_name(const void *a, const void *b)
{
	const struct gated *one = *(struct gated *const *)a, *other = *(struct gated *const *)b;
	int order = strcmp(one->namespace_, other->namespace_);
	return order != 0 ? order : strcmp(one->name, other->name);
}

static void list_complete(void *ctx)
{
	struct release *release = ctx;
	kube_watch_stop(release->watch);
	release->watch = NULL;
	uv_timer_stop(&release->timer);
	release->result->found = release->count;
	if (release->count > 0)
		qsort(release->pods, release->count, sizeof *release->pods, by_name);
	if (release->options->dry_run)
		for (size_t i = 0; i < release->count; i++)
			release->options->told(release->options->ctx, release->pods[i], NULL);
	if (release->options->dry_run || release->count == 0)
		all_done(release);
	else
		ungate_start(release->kube, release->pods, release->count,
		    &(struct ungate_handlers){.one = one_done, .all = all_done, .ctx = release});
}

static void list_refused(void *ctx, unsigned status, const char *reason)
{
	struct release *release = ctx;
	err_set(release->err, ERR_REFUSED, "the pods cannot be listed: %s (HTTP %u)", reason, status);
	finish(release);
}

static void look(uv_timer_t *timer)
{
	struct release *release = timer->data;
	struct kube_watch_state state = kube_watch_state(release->watch);
	int64_t since = state.contact_ns > release->began_ns ? state.contact_ns : release->began_ns;
	if (clock_now() - since < RELEASE_PATIENCE_S * NS_PER_S)
		return;
	err_set(release->err, ERR_UNREACHABLE, "the pods cannot be listed: %s",
	    state.error ? state.error : "the API server does not answer");
	finish(release);
}

static bool begin(struct release *release)
{
	const char *namespace_ = release->options->namespace_;
	char path[PATH_BYTES_MAX] = "/api/v1/pods";
	if (namespace_) {
		size_t len = strspn(namespace_, "abcdefghijklmnopqrstuvwxyz0123456789-");
		if (len == 0 || len > NAMESPACE_MAX || namespace_[len] != '\0') {
			err_set(release->err, ERR_INPUT, "\"%s\" is no name of a namespace", namespace_);
			return false;
		}
		snprintf(path, sizeof path, "/api/v1/namespaces/%s/pods", namespace_);
	}
	release->kube = kube_open(&release->loop, release->options->kube, NULL, release->err);
	if (!release->kube)
		return false;
	release->began_ns = clock_now();
	release->watch = kube_watch_start(release->kube,
	    &(struct kube_watch_options){.path = path, .query = GATED_SELECTOR, .optional = true},
	    &(struct kube_watch_handlers){.begin = list_begins,
	        .object = object_shown,
	        .synced = list_complete,
	        .unavailable = list_refused,
	        .ctx = release});
	uv_timer_init(&release->loop, &release->timer);
	release->timer.data = release;
	uv_timer_start(&release->timer, look, LOOK_MS, LOOK_MS);
	return true;
}

int release_run(const struct release_options *options, struct release_result *result, struct err *err)
{
	struct release release = {.options = options, .result = result, .err = err};
	*result = (struct release_result){0};
	err->code = 0;
	uv_loop_init(&release.loop);
	if (begin(&release))
		uv_run(&release.loop, UV_RUN_DEFAULT);
	uv_loop_close(&release.loop);
	forget_pods(&release);
	free(release.pods);
	return err->code;
}
