/* The verbs' listener: kube-scheduler's calls, read, handed to the scheduler room and answered. The scheduler answers
 * filter, prioritize and preempt before it returns, and may have an answer of filter kept back; a bind is parked, with
 * its struct verbs_bind, and answered once, later or at once. */
#ifndef EXTENDER_VERBS_H
#define EXTENDER_VERBS_H

#include <uv.h>

#include "base/buf.h"
#include "base/err.h"
#include "extender/wire.h"

#define VERBS_BODY_MAX (64u << 20)
#define VERBS_CONNECTIONS_MAX 8192
#define VERBS_IDLE_S 180
#define VERBS_DEADLINE_MS 20000

struct verbs;
struct verbs_bind;

struct verbs_handlers {
	/* Writes the whole reply body with wire_write_…; returns the HTTP status: 200, or 503 (not synced yet) and 400
	 * (a pod that is none), with the reply then being {"error": …}. */
	unsigned (*filter)(void *ctx, const struct wire_args *args, struct buf *reply);
	unsigned (*prioritize)(void *ctx, const struct wire_args *args, struct buf *reply);
	unsigned (*preempt)(void *ctx, const struct wire_preempt *preempt, struct buf *reply);
	/* Must end in one verbs_bind_answer, unless bind_gone came for it. The request is valid until then. */
	void (*bind)(void *ctx, const struct wire_bind *bind, struct verbs_bind *parked);
	/* The caller of a parked bind hung up, or verbs_stop answers it: `parked` must not be answered any more. Does
	 * not answer. */
	void (*bind_gone)(void *ctx, struct verbs_bind *parked);
	/* A call was answered; for metrics. Verb is "filter", "prioritize", "bind" or "preempt". The time for which an
	 * answer is kept back does not count. */
	void (*answered)(void *ctx, const char *verb, unsigned status, int64_t took_ns);
	/* Whether what filter has just answered is kept back until verbs_release. NULL: never. */
	bool (*holds)(void *ctx);
	void *ctx;
};

BERTH_MUST_CHECK struct verbs *verbs_start(
    uv_loop_t *loop, const char *listen, const struct verbs_handlers *handlers, struct err *err);
unsigned verbs_port(const struct verbs *verbs);
/* Sends the answers that are kept back. Not to be called from a handler. */
void verbs_release(struct verbs *verbs);
/* Sends what is kept back, and answers every parked bind with {"Error": "…stopping"}, after bind_gone was called for
 * it; drains, frees. Not to be called from a handler. */
void verbs_stop(struct verbs *verbs, void (*done)(void *ctx), void *ctx);
/* error NULL or "" = the Binding exists. */
void verbs_bind_answer(struct verbs_bind *parked, const char *error);
/* A place for the scheduler's own pointer. */
void verbs_bind_set(struct verbs_bind *parked, void *data);
void *verbs_bind_get(const struct verbs_bind *parked);
size_t verbs_parked(const struct verbs *verbs);

#endif
