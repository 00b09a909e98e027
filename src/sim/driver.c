#include "sim/driver.h"

#include <stdlib.h>

#include "base/clock.h"
#include "sim/driver_internal.h"
#include "sim/podwrite.h"

void sim_driver_tell(struct sim_driver *driver, enum sim_decision decision, const struct sim_task *task,
    const char *node, const char *text)
{
	if (driver->options.decided && task->pod)
		driver->options.decided(driver->options.ctx, decision, task->pod, node, text);
}

void sim_task_condition(struct sim_task *task, const char *reason, const char *message)
{
	struct err err;

	if (!task->pod)
		return;
	json_auto_t *pod = sim_store_tree(task->pod->version);

	if (sim_condition_set(pod, "PodScheduled", "False", reason, message) &&
	    !sim_store_update(task->driver->view->store, SIM_PODS, pod, &err))
		task->driver->stats.filter_errors++;
}

void sim_task_release(struct sim_task *task)
{
	if (task->pod || task->in_cycle || task->binding)
		return;
	sim_queue_remove(&task->driver->queue, &task->queued);
	LIST_REMOVE(task, link);
	free(task->namespace_);
	free(task->name);
	free(task->uid);
	free(task);
}

/* --- what happens in the cluster --- */

static void seen(struct sim_driver *driver, struct sim_view_pod *pod)
{
	struct sim_task *task = pod->data;

	if (!pod->pod->scheduler || strcmp(pod->pod->scheduler, driver->scheduler) != 0)
		return;
	if (!task) {
		task = xcalloc(1, sizeof *task);
		task->driver = driver;
		task->pod = pod;
		task->namespace_ = xstrdup(pod->pod->namespace_);
		task->name = xstrdup(pod->pod->name);
		task->uid = xstrdup(pod->pod->uid);
		task->queued.priority = pod->pod->priority;
		pod->data = task;
		LIST_INSERT_HEAD(&driver->tasks, task, link);
		sim_queue_add(&driver->queue, &task->queued, clock_now());
		return;
	}
	if (task->queued.place == SIM_UNSCHEDULABLE) {
		/* Any change of the pod itself, its own status included. */
		sim_queue_wake(&driver->queue, &task->queued, clock_now());
	} else if (task->queued.place == SIM_NOT_QUEUED && !task->in_cycle && !task->binding && !pod->node) {
		sim_queue_add(&driver->queue, &task->queued, clock_now()); /* its gates are gone */
	}
}

static void gone(struct sim_driver *driver, struct sim_view_pod *pod)
{
	struct sim_task *task = pod->data;

	pod->data = NULL;
	if (!task)
		return;
	sim_queue_remove(&driver->queue, &task->queued);
	task->pod = NULL;
	sim_task_release(task);
}

static void happened(void *ctx, enum sim_view_event event, struct sim_view_pod *pod, struct sim_view_node *node)
{
	struct sim_driver *driver = ctx;

	switch (event) {
	case SIM_POD_SEEN:
		seen(driver, pod);
		break;
	case SIM_POD_BOUND:
		if (pod->data)
			sim_queue_remove(&driver->queue, &((struct sim_task *)pod->data)->queued);
		break;
	case SIM_POD_OVER:
		if (node)
			driver->wake_all = true;
		else if (pod->data)
			sim_queue_remove(&driver->queue, &((struct sim_task *)pod->data)->queued);
		break;
	case SIM_POD_GONE:
		gone(driver, pod);
		break;
	case SIM_NODE_SEEN:
		driver->wake_all = true;
		break;
	case SIM_POD_UPDATED:
	case SIM_NODE_GONE:
		return;
	}
	sim_driver_kick(driver);
}

/* --- the loop --- */

static bool may_run(const struct sim_task *task)
{
	return task->pod && !task->pod->bound && !task->pod->pod->terminal && !task->pod->pod->deleting &&
	       !task->pod->pod->gated;
}

static void pump(uv_timer_t *timer)
{
	struct sim_driver *driver = timer->data;
	int64_t now = clock_now();

	if (driver->wake_all) {
		driver->wake_all = false;
		sim_queue_wake_all(&driver->queue, now);
	}
	sim_queue_flush(&driver->queue, now);
	while (!driver->cycle.task) {
		struct sim_queued *queued = sim_queue_pop(&driver->queue, now);

		if (!queued)
			break;
		struct sim_task *task = sim_container_of(queued, struct sim_task, queued);

		/* A gated pod is in no queue; the event of its last gate's end brings it back. */
		if (may_run(task))
			sim_cycle_begin(driver, task);
	}
	int64_t next = driver->cycle.task ? INT64_MAX : sim_queue_next(&driver->queue);

	if (next != INT64_MAX && !uv_is_active((uv_handle_t *)timer))
		uv_timer_start(timer, pump, next > now ? (uint64_t)((next - now) / NS_PER_MS + 1) : 0, 0);
}

void sim_driver_kick(struct sim_driver *driver)
{
	if (!driver->stopping)
		uv_timer_start(&driver->pump, pump, 0, 0);
}

/* --- life --- */

struct sim_driver *sim_driver_start(
    uv_loop_t *loop, struct sim_view *view, const struct sim_driver_options *options, struct err *err)
{
	struct http_client *verbs = http_client_open(loop, &(struct http_client_options){.connections_max = 4}, err);
	struct http_client *binds =
	    verbs ? http_client_open(loop, &(struct http_client_options){.connections_max = SIM_BINDS_MAX}, err) : NULL;

	if (!binds) {
		if (verbs)
			http_client_close(verbs);
		return NULL;
	}
	struct sim_driver *driver = xcalloc(1, sizeof *driver);

	driver->loop = loop;
	driver->view = view;
	driver->options = *options;
	driver->url = xstrdup(options->url);
	driver->scheduler = xstrdup(options->scheduler ? options->scheduler : "berth");
	driver->verbs = verbs;
	driver->binds = binds;
	sim_queue_init(&driver->queue);
	LIST_INIT(&driver->tasks);
	uv_timer_init(loop, &driver->pump);
	driver->pump.data = driver;
	sim_view_listen(view, happened, driver);
	struct sim_view_pod *pod;

	TAILQ_FOREACH(pod, &view->pending, link)
	seen(driver, pod);
	sim_driver_kick(driver);
	return driver;
}

static void free_driver(uv_handle_t *handle)
{
	struct sim_driver *driver = handle->data;

	sim_queue_free(&driver->queue);
	arena_free(&driver->cycle.arena);
	free(driver->url);
	free(driver->scheduler);
	free(driver);
}

void sim_driver_stop(struct sim_driver *driver)
{
	struct sim_task *task;

	driver->stopping = true;
	sim_view_unlisten(driver->view, driver);
	sim_cycle_abandon(driver);
	while ((task = LIST_FIRST(&driver->tasks))) {
		if (task->call)
			http_call_cancel(task->call);
		free(task->node);
		if (task->pod)
			task->pod->data = NULL;
		task->pod = NULL;
		task->binding = false;
		sim_task_release(task);
	}
	http_client_close(driver->verbs);
	http_client_close(driver->binds);
	uv_close((uv_handle_t *)&driver->pump, free_driver);
}

static int by_value(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

struct sim_driver_stats sim_driver_stats(const struct sim_driver *driver)
{
	struct sim_driver_stats stats = driver->stats;
	size_t count = driver->latency_count < SIM_LATENCIES ? driver->latency_count : SIM_LATENCIES;

	stats.waiting = driver->queue.unschedulable_count + driver->queue.backoff.count;
	if (count > 0) {
		int64_t *sorted = xmalloc(count * sizeof *sorted);

		memcpy(sorted, driver->latencies, count * sizeof *sorted);
		qsort(sorted, count, sizeof *sorted, by_value);
		stats.filter_p50_ns = sorted[count / 2];
		stats.filter_p99_ns = sorted[count * 99 / 100];
		free(sorted);
	}
	return stats;
}

bool sim_driver_busy(const struct sim_driver *driver)
{
	return driver->cycle.task != NULL;
}
