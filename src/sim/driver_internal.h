/* What driver.c (queue, wake-ups, life), cycle.c (one pod's scheduling cycle) and binding.c (its end) share. */
#ifndef SIM_DRIVER_INTERNAL_H
#define SIM_DRIVER_INTERNAL_H

#include "berth/arena.h"
#include "http/client.h"
#include "sim/driver.h"
#include "sim/extend.h"
#include "sim/queue.h"

#define SIM_LATENCIES 1024 /* filter calls that the percentiles are of */
#define SIM_FILTER_MS 2000
#define SIM_BIND_MS 330000
#define SIM_BINDS_MAX 4096 /* connections of binds under way */
#define SIM_MESSAGE_MAX 8192

/* A pod of ours; freed when it is gone and no call is under way for it. */
struct sim_task {
	struct sim_queued queued;
	struct sim_driver *driver;
	struct sim_view_pod *pod; /* NULL once it is gone */
	char *namespace_, *name, *uid;
	bool in_cycle, binding;
	char *node; /* while binding */
	struct http_call *call;
	LIST_ENTRY(sim_task) link;
};
LIST_HEAD(sim_tasks, sim_task);

/* The cycle under way. */
struct sim_cycle {
	struct sim_task *task; /* NULL: none */
	bool nominated;        /* trying the nominated node alone */
	size_t count;          /* names sent */
	const char **names;
	struct sim_refusals refusals; /* of the in-tree filters */
	struct arena arena;
	struct http_call *call;
	int64_t asked_ns;
};

struct sim_driver {
	uv_loop_t *loop;
	struct sim_view *view;
	struct sim_driver_options options;
	char *url, *scheduler;
	struct http_client *verbs, *binds;
	struct sim_queue queue;
	struct sim_tasks tasks;
	struct sim_cycle cycle;
	uv_timer_t pump;
	bool wake_all; /* something happened that may help the rejected */
	bool stopping;
	struct sim_driver_stats stats;
	int64_t latencies[SIM_LATENCIES];
	size_t latency_count;
};

/* driver.c */
void sim_driver_kick(struct sim_driver *driver);
void sim_task_release(struct sim_task *task); /* frees it if it is gone and idle */
/* PodScheduled=False, if that changes anything. */
void sim_task_condition(struct sim_task *task, const char *reason, const char *message);
void sim_driver_tell(struct sim_driver *driver, enum sim_decision decision, const struct sim_task *task,
    const char *node, const char *text);

/* cycle.c */
void sim_cycle_begin(struct sim_driver *driver, struct sim_task *task);
void sim_cycle_abandon(struct sim_driver *driver);

/* binding.c */
void sim_binding_begin(struct sim_driver *driver, struct sim_task *task, const char *node);

#endif
