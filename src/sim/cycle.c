#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "sim/driver_internal.h"

#define CYCLE_ARENA 65536

static void end(struct sim_driver *driver)
{
	struct sim_task *task = driver->cycle.task;

	driver->cycle.task = NULL;
	driver->cycle.call = NULL;
	task->in_cycle = false;
	arena_reset(&driver->cycle.arena);
	sim_task_release(task);
	sim_driver_kick(driver);
}

void sim_cycle_abandon(struct sim_driver *driver)
{
	if (driver->cycle.call)
		http_call_cancel(driver->cycle.call);
	if (driver->cycle.task)
		end(driver);
}

/* The pod left the queue meanwhile: bound by somebody, ended, deleted. */
static bool is_over(const struct sim_task *task)
{
	return !task->pod || task->pod->bound || task->pod->pod->terminal || task->pod->pod->deleting;
}

static void fail(struct sim_driver *driver, const char *text)
{
	struct sim_task *task = driver->cycle.task;

	driver->stats.filter_errors++;
	sim_queue_error(&driver->queue, &task->queued, clock_now());
	sim_driver_tell(driver, SIM_FAILED, task, NULL, text);
	sim_task_condition(task, "SchedulerError", text);
	end(driver);
}

static void reject(struct sim_driver *driver, const struct sim_refusals *refusals, size_t nodes)
{
	struct sim_task *task = driver->cycle.task;
	struct buf message;

	buf_init(&message, SIM_MESSAGE_MAX);
	sim_refusals_write(&message, refusals, nodes);
	char *text = buf_take(&message);

	driver->stats.rejected++;
	sim_queue_reject(&driver->queue, &task->queued, clock_now());
	sim_driver_tell(driver, SIM_REJECTED, task, NULL, text);
	sim_task_condition(task, "Unschedulable", text);
	free(text);
	end(driver);
}

static void choose(struct sim_driver *driver, struct slice name)
{
	struct sim_task *task = driver->cycle.task;
	struct sim_view_node *node = map_get(&driver->view->nodes, name);

	if (!node) {
		fail(driver, "the node chosen is gone");
		return;
	}
	driver->stats.placed++;
	driver->stats.nominated += driver->cycle.nominated;
	sim_view_assume(driver->view, task->pod, node);
	sim_driver_tell(driver, SIM_PLACED, task, node->name, "");
	sim_binding_begin(driver, task, node->name);
	end(driver);
}

/* --- calls --- */

static void ask(struct sim_driver *driver, const char *verb, const char *const *names, size_t count,
    void (*done)(void *ctx, const struct http_result *result))
{
	char url[512];
	struct buf body;

	buf_init(&body, SIM_EXTEND_BODY_MAX);
	sim_extend_write(&body, driver->cycle.task->pod->version->json, names, count);
	snprintf(url, sizeof url, "%s/%s", driver->url, verb);
	driver->cycle.asked_ns = clock_now();
	driver->cycle.call = http_call(driver->verbs, &(struct http_call_spec){
	                                                  .method = "POST",
	                                                  .url = url,
	                                                  .content_type = "application/json",
	                                                  .body = buf_slice(&body),
	                                                  .answer_max = SIM_EXTEND_BODY_MAX,
	                                                  .timeout_ms = SIM_FILTER_MS,
	                                                  .done = done,
	                                                  .ctx = driver,
	                                              });
	buf_free(&body);
}

static bool was_asked(const struct sim_cycle *cycle, struct slice name)
{
	for (size_t i = 0; i < cycle->count; i++)
		if (slice_is(name, cycle->names[i]))
			return true;
	return false;
}

static void filter_all(struct sim_driver *driver);

static void scored(void *ctx, const struct http_result *result)
{
	struct sim_driver *driver = ctx;
	struct sim_cycle *cycle = &driver->cycle;
	struct slice best = {"", 0};
	struct err err;

	cycle->call = NULL;
	if (is_over(cycle->task)) {
		end(driver);
		return;
	}
	/* An error of prioritize is ignored, and the first node is as good as any. */
	if (result->code != 0 || result->status != 200 || sim_extend_read_scores(result->body, &best, &err) != 0 ||
	    !was_asked(cycle, best))
		best = slice_of(cycle->names[0]);
	choose(driver, best);
}

/* More than one node is left: their names replace those asked. */
static void prioritize(struct sim_driver *driver, const struct sim_filter_reply *reply)
{
	struct sim_cycle *cycle = &driver->cycle;

	for (size_t i = 0; i < reply->count; i++)
		cycle->names[i] = arena_copy(&cycle->arena, reply->names[i]);
	cycle->count = reply->count;
	driver->stats.prioritizes++;
	ask(driver, "prioritize", cycle->names, cycle->count, scored);
}

/* NULL when the reply can be used. */
static const char *reply_error(const struct sim_cycle *cycle, const struct http_result *result,
    const struct sim_filter_reply *reply, int code, char text[256])
{
	if (result->code != 0)
		snprintf(text, 256, "failed filter with extender: %.200s", result->error);
	else if (result->status != 200)
		snprintf(text, 256, "failed filter with extender, code %u", result->status);
	else if (code != 0)
		snprintf(text, 256, "failed filter with extender: the answer is no JSON");
	else if (reply->error.len)
		snprintf(text, 256, "%.*s", (int)(reply->error.len < 200 ? reply->error.len : 200), reply->error.at);
	else {
		for (size_t i = 0; i < reply->count; i++)
			if (!was_asked(cycle, reply->names[i])) {
				snprintf(
				    text, 256, "extender claims a filtered node that is not in the input node list");
				return text;
			}
		return NULL;
	}
	return text;
}

static void filtered(void *ctx, const struct http_result *result)
{
	struct sim_driver *driver = ctx;
	struct sim_cycle *cycle = &driver->cycle;
	struct sim_refusals refusals = cycle->refusals;
	struct sim_filter_reply reply = {0};
	struct err err;
	char text[256];
	int code = 0;

	cycle->call = NULL;
	driver->latencies[driver->latency_count++ % SIM_LATENCIES] = clock_now() - cycle->asked_ns;
	if (is_over(cycle->task)) {
		end(driver);
		return;
	}
	if (result->code == 0 && result->status == 200)
		code = sim_extend_read_filter(result->body, &cycle->arena, &reply, &refusals, &err);
	const char *error = reply_error(cycle, result, &reply, code, text);

	if (cycle->nominated && (error || reply.count == 0)) {
		filter_all(driver); /* the error is only logged, and the full pass follows */
	} else if (error) {
		fail(driver, error);
	} else if (reply.count == 0) {
		reject(driver, &refusals, sim_view_node_count(driver->view));
	} else if (reply.count == 1) {
		choose(driver, slice_of(arena_copy(&cycle->arena, reply.names[0])));
	} else {
		prioritize(driver, &reply);
	}
}

/* --- the cycle --- */

static void filter_all(struct sim_driver *driver)
{
	struct sim_cycle *cycle = &driver->cycle;
	struct sim_view *view = driver->view;
	size_t cursor = 0, nodes = 0;

	cycle->nominated = false;
	cycle->count = 0;
	cycle->refusals.count = 0;
	cycle->names = arena_alloc(&cycle->arena, (view->nodes.count + 1) * sizeof(char *));
	for (struct sim_view_node *node; (node = map_next(&view->nodes, &cursor));) {
		if (!node->spec)
			continue;
		const char *refusal = sim_view_refusal(view, cycle->task->pod, node);

		nodes++;
		if (refusal)
			sim_refusal_count(&cycle->refusals, slice_of(refusal));
		else
			cycle->names[cycle->count++] = arena_copy(&cycle->arena, slice_of(node->name));
	}
	if (cycle->count == 0) {
		reject(driver, &cycle->refusals, nodes);
		return;
	}
	driver->stats.filters++;
	ask(driver, "filter", cycle->names, cycle->count, filtered);
}

static bool filter_nominated(struct sim_driver *driver)
{
	struct sim_cycle *cycle = &driver->cycle;
	const struct pod *pod = cycle->task->pod->pod;
	struct sim_view_node *node =
	    pod->nominated && *pod->nominated ? sim_view_node(driver->view, pod->nominated) : NULL;

	if (!node || !node->spec || sim_view_refusal(driver->view, cycle->task->pod, node))
		return false;
	cycle->nominated = true;
	cycle->count = 1;
	cycle->refusals.count = 0;
	cycle->names = arena_alloc(&cycle->arena, sizeof(char *));
	cycle->names[0] = arena_copy(&cycle->arena, slice_of(node->name));
	driver->stats.filters++;
	ask(driver, "filter", cycle->names, 1, filtered);
	return true;
}

void sim_cycle_begin(struct sim_driver *driver, struct sim_task *task)
{
	if (!driver->cycle.arena.next_size)
		arena_init(&driver->cycle.arena, CYCLE_ARENA);
	driver->cycle.task = task;
	driver->stats.cycles++;
	task->in_cycle = true;
	if (!filter_nominated(driver))
		filter_all(driver);
}
