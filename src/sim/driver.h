/* Plays kube-scheduler for the pods of one schedulerName: one pod at a time, in-tree filters, then the extender's
 * filter (the nominated node alone first, if there is one) and, with more than one node left, prioritize; then the pod
 * is assumed and bind is called beside the next cycles. Rejected pods wait until something happens in their favour;
 * errors back off.
 *
 * What it is told by: README.md says which wake-ups of kube-scheduler are played and which are not. */
#ifndef SIM_DRIVER_H
#define SIM_DRIVER_H

#include <uv.h>

#include "sim/view.h"

struct sim_driver;

enum sim_decision {
	SIM_PLACED,   /* chosen and assumed; the bind is under way */
	SIM_BOUND,    /* the extender says that the Binding exists */
	SIM_REJECTED, /* fits nowhere: `text` is the message of the condition */
	SIM_FAILED,   /* filter or bind failed: `text` says how */
};

struct sim_driver_options {
	const char *url;       /* of the extender, with its path: "http://127.0.0.1:8765/v1" */
	const char *scheduler; /* schedulerName; NULL = "berth" */
	/* Optional. `node` is NULL with SIM_REJECTED. Must not write to the store. */
	void (*decided)(
	    void *ctx, enum sim_decision decision, const struct sim_view_pod *pod, const char *node, const char *text);
	void *ctx;
};

struct sim_driver_stats {
	unsigned long cycles, filters, prioritizes, binds;
	unsigned long placed, bound, rejected, filter_errors, bind_errors,
	    nominated;                        /* nominated: placed by the one-node road */
	size_t waiting;                       /* rejected ones that wait */
	size_t binding;                       /* binds under way */
	int64_t filter_p50_ns, filter_p99_ns; /* of the latest calls, as seen by the caller; 0 = none yet */
};

BERTH_MUST_CHECK struct sim_driver *sim_driver_start(
    uv_loop_t *loop, struct sim_view *view, const struct sim_driver_options *options, struct err *err);
/* Cancels what is under way; frees on a later turn. Before the view is freed. */
void sim_driver_stop(struct sim_driver *driver);
struct sim_driver_stats sim_driver_stats(const struct sim_driver *driver);
/* A cycle is under way: whoever binds now does so behind its back. */
bool sim_driver_busy(const struct sim_driver *driver);

#endif
