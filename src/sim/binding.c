#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "sim/driver_internal.h"

/* The pod goes back to the queue, and its room is free again. */
static void failed(struct sim_task *task, const char *node, const char *text)
{
	struct sim_driver *driver = task->driver;

	driver->stats.bind_errors++;
	if (!task->pod || task->pod->bound || task->pod->pod->terminal)
		return;
	sim_view_forget(driver->view, task->pod);
	driver->wake_all = true;
	sim_queue_error(&driver->queue, &task->queued, clock_now());
	sim_driver_tell(driver, SIM_FAILED, task, node, text);
	sim_task_condition(task, "SchedulerError", text);
}

static void answered(void *ctx, const struct http_result *result)
{
	struct sim_task *task = ctx;
	struct sim_driver *driver = task->driver;
	struct slice error = {"", 0};
	struct err err;
	char text[256] = "", *node = task->node;

	task->call = NULL;
	task->binding = false;
	task->node = NULL;
	driver->stats.binding--;
	if (result->code != 0)
		snprintf(text, sizeof text, "failed bind with extender: %.200s", result->error);
	else if (result->status != 200)
		snprintf(text, sizeof text, "failed bind with extender, code %u", result->status);
	else if (sim_extend_read_bind(result->body, &error, &err) != 0)
		snprintf(text, sizeof text, "%.200s", err.text);
	else if (error.len)
		snprintf(text, sizeof text, "%.*s", (int)(error.len < 200 ? error.len : 200), error.at);
	if (text[0]) {
		failed(task, node, text);
	} else {
		driver->stats.bound++;
		sim_driver_tell(driver, SIM_BOUND, task, node, "");
	}
	free(node);
	sim_task_release(task);
	sim_driver_kick(driver);
}

void sim_binding_begin(struct sim_driver *driver, struct sim_task *task, const char *node)
{
	char url[512];
	struct buf body;

	buf_init(&body, 8192);
	sim_extend_write_bind(&body, task->namespace_, task->name, task->uid, node);
	snprintf(url, sizeof url, "%s/bind", driver->url);
	task->binding = true;
	task->node = xstrdup(node);
	driver->stats.binds++;
	driver->stats.binding++;
	task->call = http_call(driver->binds, &(struct http_call_spec){
	                                          .method = "POST",
	                                          .url = url,
	                                          .content_type = "application/json",
	                                          .body = buf_slice(&body),
	                                          .answer_max = 65536,
	                                          .timeout_ms = SIM_BIND_MS,
	                                          .done = answered,
	                                          .ctx = task,
	                                      });
	buf_free(&body);
}
