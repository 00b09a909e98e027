/* One change of a node: it is read, found to be as it was when the change was decided, and changed by a PATCH that
 * holds for exactly what was read. Whoever writes in between wins, and the next look decides anew. */
#include "scheduler/repartition/internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

#define PATH_BYTES_MAX 512
#define BODY_BYTES_MAX (256u << 10)
#define DEADLINE_MS 5000
#define REFUSED_NS (30 * NS_PER_S) /* before a right that was missing is tried again */

struct repartition_write {
	struct scheduler *s;
	char *name;
	enum repartition_act act;
	const char *why;
	bool begins; /* no record is to be there yet */
	struct repartition_record before, after;
};

static void call(struct repartition_write *write, const char *method, struct slice body, kube_done *done)
{
	char path[PATH_BYTES_MAX];
	snprintf(path, sizeof path, "/api/v1/nodes/%s", write->name);
	kube_call(write->s->kube, &(struct kube_call_spec){.method = method,
	                              .path = path,
	                              .content_type = body.len > 0 ? "application/merge-patch+json" : NULL,
	                              .body = body,
	                              .deadline_ms = DEADLINE_MS,
	                              .done = done,
	                              .ctx = write});
}

static void end(struct repartition_write *write, bool done)
{
	struct scheduler *s = write->s;
	s->repartitions->write = NULL;
	if (done)
		repartition_written(s, write->name, write->act, &write->before, &write->after, write->why);
	else
		repartition_not_written(s, write->name);
	free(write->name);
	free(write);
}

static void set_trouble(struct repartitions *all, const struct kube_answer *answer)
{
	char *before = all->trouble;
	bool refused = answer && answer->code == 0 && (answer->status == 401 || answer->status == 403);
	all->trouble = refused ? xstrdup(answer->error ? answer->error : "refused") : NULL;
	if (refused && !before)
		log_warn("nodes cannot be cut anew", "error=%s", log_quote(all->trouble));
	free(before);
}

/* Also where the answer was lost: what became of it is seen by the watch. */
static void failed(struct repartition_write *write, const struct kube_answer *answer)
{
	struct repartitions *all = write->s->repartitions;
	set_trouble(all, answer);
	all->not_before_ns = clock_now() + (all->trouble ? REFUSED_NS : NS_PER_S);
	log_info("a node was not changed", "node=%s act=%s status=%u error=%s", write->name,
	    repartition_act_name(write->act), answer->status, log_quote(answer->error ? answer->error : ""));
	end(write, false);
}

static bool is_good(const struct kube_answer *answer)
{
	return answer->code == 0 && answer->status < 300;
}

static void patched(void *ctx, const struct kube_answer *answer)
{
	struct repartition_write *write = ctx;
	if (!is_good(answer)) {
		failed(write, answer);
		return;
	}
	set_trouble(write->s->repartitions, NULL);
	end(write, true);
}

/* Whether the object is still as it was when the change was decided. */
static bool is_same(const struct repartition_write *write, const struct repartition_object *object)
{
	struct repartition_record there;
	bool any = object->text && repartition_read(slice_of(object->text), &there);
	if (write->begins)
		return !any && strcmp(object->config ? object->config : "", write->before.from) == 0;
	return any && there.phase == write->before.phase && there.since_ns == write->before.since_ns;
}

static void was_read(void *ctx, const struct kube_answer *answer)
{
	struct repartition_write *write = ctx;
	struct repartition_object object;
	struct arena arena;
	struct buf body;
	const char *label;
	if (!is_good(answer)) {
		failed(write, answer);
		return;
	}
	arena_init(&arena, 4096);
	if (!repartition_object_read(answer->body, &arena, &object) || !is_same(write, &object)) {
		arena_free(&arena);
		end(write, false);
		return;
	}
	/* What is written is read again with the milliseconds that stand there. */
	write->after =
	    repartition_after(&write->before, write->act, object.state, clock_wall() / NS_PER_MS * NS_PER_MS, &label);
	buf_init(&body, BODY_BYTES_MAX);
	repartition_patch(&object, &write->after, label, &body);
	if (body.overflow)
		end(write, false);
	else
		call(write, "PATCH", buf_slice(&body), patched);
	buf_free(&body);
	arena_free(&arena);
}

void repartition_write_begin(
    struct scheduler *s, const struct repartition_node *noted, enum repartition_act act, const char *why)
{
	if (!bind_path_safe(slice_of(noted->name)))
		return;
	struct repartition_write *write = xcalloc(1, sizeof *write);
	*write = (struct repartition_write){.s = s,
	    .name = xstrdup(noted->name),
	    .act = act,
	    .why = why,
	    .begins = noted->chosen,
	    .before = noted->record};
	s->repartitions->write = write;
	call(write, "GET", (struct slice){NULL, 0}, was_read);
}

/* The client was closed before: nothing is answered any more. */
void repartition_write_close(struct repartitions *all)
{
	if (!all->write)
		return;
	free(all->write->name);
	free(all->write);
	all->write = NULL;
}
