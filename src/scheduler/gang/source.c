#include "scheduler/gang/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "berth/alloc.h"

#define PATH_MAX_BYTES 640 /* two names of an object */

struct gang_source {
	char *path;
	TAILQ_HEAD(, gang_follower) followers;
	size_t count;
};

struct gang_follower {
	char *uid;
	struct gang_source *source;
	TAILQ_ENTRY(gang_follower) link;
};

static struct slice path_of(char path[PATH_MAX_BYTES], const char *namespace_, const char *name)
{
	snprintf(path, PATH_MAX_BYTES, "%s/%s", namespace_, name);
	return slice_of(path);
}

static struct gang_source *source_at(struct gang_sources *sources, struct slice path)
{
	struct gang_source *source = map_get(&sources->by_path, path);
	if (source)
		return source;
	source = xcalloc(1, sizeof *source);
	source->path = xstrndup(path.at, path.len);
	TAILQ_INIT(&source->followers);
	map_put(&sources->by_path, slice_of(source->path), source);
	return source;
}

static void source_free(struct gang_source *source)
{
	free(source->path);
	free(source);
}

static void follower_free(struct gang_follower *follower)
{
	free(follower->uid);
	free(follower);
}

void gang_source_follow(struct gang_sources *sources, const char *uid, const char *namespace_, const char *name)
{
	char text[PATH_MAX_BYTES];
	struct slice path = path_of(text, namespace_, name);
	struct gang_follower *follower = map_get(&sources->by_uid, slice_of(uid));
	if (follower && slice_is(path, follower->source->path))
		return;
	gang_source_leave(sources, slice_of(uid));
	follower = xcalloc(1, sizeof *follower);
	follower->uid = xstrdup(uid);
	follower->source = source_at(sources, path);
	TAILQ_INSERT_TAIL(&follower->source->followers, follower, link);
	follower->source->count++;
	map_put(&sources->by_uid, slice_of(follower->uid), follower);
}

void gang_source_leave(struct gang_sources *sources, struct slice uid)
{
	struct gang_follower *follower = map_remove(&sources->by_uid, uid);
	if (!follower)
		return;
	TAILQ_REMOVE(&follower->source->followers, follower, link);
	if (--follower->source->count == 0) {
		map_remove(&sources->by_path, slice_of(follower->source->path));
		source_free(follower->source);
	}
	follower_free(follower);
}

/* The UIDs are copied first: visitors change the lists. */
static void visit_and_free(char **uids, size_t count, gang_source_visit *visit, void *ctx)
{
	for (size_t i = 0; i < count; i++) {
		visit(ctx, slice_of(uids[i]));
		free(uids[i]);
	}
	free(uids);
}

void gang_source_each(
    const struct gang_sources *sources, const char *namespace_, const char *name, gang_source_visit *visit, void *ctx)
{
	char text[PATH_MAX_BYTES];
	const struct gang_source *source = map_get(&sources->by_path, path_of(text, namespace_, name));
	const struct gang_follower *follower;
	size_t count = 0;
	if (!source)
		return;
	char **uids = xcalloc(source->count, sizeof *uids);
	TAILQ_FOREACH(follower, &source->followers, link) uids[count++] = xstrdup(follower->uid);
	visit_and_free(uids, count, visit, ctx);
}

void gang_source_all(const struct gang_sources *sources, gang_source_visit *visit, void *ctx)
{
	size_t count = 0, cursor = 0;
	char **uids = xcalloc(sources->by_uid.count + 1, sizeof *uids);
	for (const struct gang_follower *follower; (follower = map_next(&sources->by_uid, &cursor));)
		uids[count++] = xstrdup(follower->uid);
	visit_and_free(uids, count, visit, ctx);
}

void gang_source_free(struct gang_sources *sources)
{
	size_t cursor = 0;
	for (struct gang_follower *follower; (follower = map_next(&sources->by_uid, &cursor));)
		follower_free(follower);
	cursor = 0;
	for (struct gang_source *source; (source = map_next(&sources->by_path, &cursor));)
		source_free(source);
	map_free(&sources->by_uid);
	map_free(&sources->by_path);
}
