/* The operations listener: /healthz, /readyz, /metrics and the read-only answers, on the pod's address. GET and HEAD
 * only. */
#ifndef EXTENDER_OPS_H
#define EXTENDER_OPS_H

#include <uv.h>

#include "base/buf.h"
#include "base/err.h"

struct ops;

struct ops_handlers {
	/* One line per check into out; true = 200, false = 503. */
	bool (*ready)(void *ctx, struct buf *out);
	/* Prometheus text format. */
	void (*metrics)(void *ctx, struct buf *out);
	/* JSON of /v1/state. */
	void (*state)(void *ctx, struct buf *out);
	/* JSON of /v1/status: the fleet in a few numbers. */
	void (*status)(void *ctx, struct buf *out);
	/* JSON of /v1/queue: what waits. */
	void (*queue)(void *ctx, struct buf *out);
	/* JSON of /v1/moves: GPUs taken from units of work. */
	void (*moves)(void *ctx, struct buf *out);
	/* JSON of /v1/explain?pod=NAMESPACE/NAME; the HTTP status (200, 400, 404). */
	unsigned (*explain)(void *ctx, const char *pod, struct buf *out);
	void *ctx;
};

#define OPS_ANSWER_MAX (512u << 20) /* /v1/state of 100,000 pods is about 40 MB */

BERTH_MUST_CHECK struct ops *ops_start(
    uv_loop_t *loop, const char *listen, const struct ops_handlers *handlers, struct err *err);
unsigned ops_port(const struct ops *ops);
void ops_stop(struct ops *ops, void (*done)(void *ctx), void *ctx);

#endif
