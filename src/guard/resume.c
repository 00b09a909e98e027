#include "guard/resume.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "berth/alloc.h"
#include "cluster/repartition.h"
#include "cluster/suspension.h"

#define PATH_ROOM 2048
#define BODY_MAX 65536
#define MOVE_MARK "move-"
#define NODES_PATH "/api/v1/nodes"

struct listing {
	struct resume *resume;
	const struct suspend_kind *kind;
	bool known; /* the API server has such objects */
};

struct marked {
	struct resume *resume;
	struct marked *next;
	const char *kind;
	char *namespace_, *name;
};

struct resume {
	struct kube *kube;
	struct resume_handlers handlers;
	char *namespace_;
	bool dry_run;
	size_t left; /* calls without an answer */
	struct listing *listings;
	struct marked *marked;
};

void resume_cancel(struct resume *resume)
{
	while (resume->marked) {
		struct marked *marked = resume->marked;
		resume->marked = marked->next;
		free(marked->namespace_);
		free(marked->name);
		free(marked);
	}
	free(resume->namespace_);
	free(resume->listings);
	free(resume);
}

static void one_less(struct resume *resume)
{
	if (--resume->left > 0)
		return;
	struct resume_handlers handlers = resume->handlers;
	resume_cancel(resume);
	handlers.all(handlers.ctx);
}

static bool is_good(const struct kube_answer *answer)
{
	return answer->code == 0 && answer->status < 300;
}

/* --- one object --- */

/* 404: it is gone. 409: somebody wrote in between; whoever that was, the next look sees what it is now. */
static void written(void *ctx, const struct kube_answer *answer)
{
	struct marked *marked = ctx;
	struct resume *resume = marked->resume;
	bool over = is_good(answer) || (answer->code == 0 && answer->status == 404);
	resume->handlers.one(resume->handlers.ctx, marked->kind, marked->namespace_, marked->name,
	    over            ? NULL
	    : answer->error ? answer->error
	                    : "no answer");
	one_less(resume);
}

static struct marked *mark_down(struct resume *resume, const char *kind, const char *namespace_, const char *name)
{
	struct marked *marked = xcalloc(1, sizeof *marked);
	*marked = (struct marked){.resume = resume,
	    .next = resume->marked,
	    .kind = kind,
	    .namespace_ = xstrdup(namespace_),
	    .name = xstrdup(name)};
	resume->marked = marked;
	return marked;
}

static void patch(struct marked *marked, const struct buf *path, const struct buf *body)
{
	marked->resume->left++;
	kube_call(marked->resume->kube, &(struct kube_call_spec){.method = "PATCH",
	                                    .path = buf_slice(path).at,
	                                    .content_type = "application/merge-patch+json",
	                                    .body = buf_slice(body),
	                                    .repeatable = true,
	                                    .done = written,
	                                    .ctx = marked});
}

/* What others write as a mark is theirs. */
static bool is_berths(const char *mark)
{
	return mark && (strcmp(mark, SUSPENDED_BY_BERTH) == 0 || strncmp(mark, MOVE_MARK, strlen(MOVE_MARK)) == 0);
}

static bool is_name(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-.");
	return len > 0 && name[len] == '\0';
}

static void write_one(struct listing *listing, const struct suspend_object *object)
{
	struct resume *resume = listing->resume;
	struct marked *marked = mark_down(resume, listing->kind->kind, object->namespace_, object->name);
	struct buf path, body;
	if (resume->dry_run) {
		resume->handlers.one(resume->handlers.ctx, marked->kind, marked->namespace_, marked->name, NULL);
		return;
	}
	buf_init(&path, PATH_ROOM);
	buf_init(&body, BODY_MAX);
	suspend_path(listing->kind, object->namespace_, object->name, &path);
	suspend_change(listing->kind, object, &(struct suspend_change){.spec = true}, &body);
	patch(marked, &path, &body);
	buf_free(&path);
	buf_free(&body);
}

static void item(void *ctx, struct slice text)
{
	struct listing *listing = ctx;
	struct arena arena;
	struct suspend_object object;
	arena_init(&arena, 1024);
	if (suspend_read(text, listing->kind, &arena, &object) && object.suspended && is_berths(object.mark) &&
	    is_name(object.namespace_) && is_name(object.name))
		write_one(listing, &object);
	arena_free(&arena);
}

/* --- one kind --- */

static void list(struct listing *listing);

static void listed(void *ctx, const struct kube_answer *answer)
{
	struct listing *listing = ctx;
	struct resume *resume = listing->resume;
	bool absent = answer->code == 0 && answer->status == 404;
	if (is_good(answer) && !listing->known) {
		listing->known = true;
		list(listing);
	} else if (is_good(answer)) {
		suspend_read_list(answer->body, item, listing);
	} else if (absent && listing->kind->older) {
		listing->kind = listing->kind->older;
		list(listing);
	} else if (!absent) {
		resume->handlers.unlisted(
		    resume->handlers.ctx, listing->kind->kind, answer->error ? answer->error : "no answer");
	}
	one_less(resume);
}

/* Kinds that come with an operator are asked for only where the API server has them. */
static void list(struct listing *listing)
{
	struct buf path;
	buf_init(&path, PATH_ROOM);
	if (listing->known) {
		buf_printf(&path, "/apis/%s", listing->kind->api_version);
		if (listing->resume->namespace_)
			buf_printf(&path, "/namespaces/%s", listing->resume->namespace_);
		buf_printf(&path, "/%s?labelSelector=berth.dev%%2Fsuspended-by", listing->kind->plural);
	} else {
		buf_printf(&path, "/apis/%s", listing->kind->api_version);
	}
	listing->resume->left++;
	kube_call(listing->resume->kube,
	    &(struct kube_call_spec){
	        .method = "GET", .path = buf_slice(&path).at, .repeatable = true, .done = listed, .ctx = listing});
	buf_free(&path);
}

/* --- nodes that were being cut anew --- */

static void take_back(
    struct resume *resume, const struct repartition_object *object, const struct repartition_record *record)
{
	struct marked *marked = mark_down(resume, RESUME_NODE, "", object->name);
	struct repartition_record after;
	const char *label;
	struct buf path, body;
	if (resume->dry_run) {
		resume->handlers.one(resume->handlers.ctx, marked->kind, marked->namespace_, marked->name, NULL);
		return;
	}
	after = repartition_abandon(record, object->config, clock_wall(), &label);
	buf_init(&path, PATH_ROOM);
	buf_init(&body, BODY_MAX);
	buf_printf(&path, NODES_PATH "/%s", object->name);
	repartition_patch(object, &after, label, &body);
	patch(marked, &path, &body);
	buf_free(&path);
	buf_free(&body);
}

static void node(void *ctx, struct slice text)
{
	struct resume *resume = ctx;
	struct arena arena;
	struct repartition_object object;
	struct repartition_record record;
	arena_init(&arena, 1024);
	if (repartition_object_read(text, &arena, &object) && is_name(object.name) && object.text &&
	    repartition_read(slice_of(object.text), &record) && repartition_taints(record.phase))
		take_back(resume, &object, &record);
	arena_free(&arena);
}

static void nodes_listed(void *ctx, const struct kube_answer *answer)
{
	struct resume *resume = ctx;
	if (is_good(answer))
		suspend_read_list(answer->body, node, resume);
	else
		resume->handlers.unlisted(
		    resume->handlers.ctx, RESUME_NODE, answer->error ? answer->error : "no answer");
	one_less(resume);
}

static void list_nodes(struct resume *resume)
{
	resume->left++;
	kube_call(resume->kube, &(struct kube_call_spec){.method = "GET",
	                            .path = NODES_PATH "?labelSelector=berth.dev%2Frepartition",
	                            .repeatable = true,
	                            .done = nodes_listed,
	                            .ctx = resume});
}

struct resume *resume_start(
    struct kube *kube, const char *namespace_, bool dry_run, const struct resume_handlers *handlers)
{
	size_t count;
	const struct suspend_kind *kinds = suspend_kinds(&count);
	struct resume *resume = xcalloc(1, sizeof *resume);
	*resume = (struct resume){.kube = kube,
	    .handlers = *handlers,
	    .namespace_ = namespace_ ? xstrdup(namespace_) : NULL,
	    .dry_run = dry_run,
	    .left = 1};
	resume->listings = xcalloc(count, sizeof *resume->listings);
	for (size_t i = 0; i < count; i++) {
		resume->listings[i] =
		    (struct listing){.resume = resume, .kind = &kinds[i], .known = strcmp(kinds[i].kind, "Job") == 0};
		list(&resume->listings[i]);
	}
	if (!namespace_)
		list_nodes(resume);
	one_less(resume);
	return resume;
}
