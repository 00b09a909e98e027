/* The API server's client: one struct kube for all calls, on the caller's libuv loop. Credentials are kept fresh here
 * (token files are read again every minute and on a 401; exec plugins run as child processes without blocking the loop,
 * and again shortly before expirationTimestamp or on a 401). Watches have a client of their own, so that no write waits
 * behind them. */
#ifndef KUBE_KUBE_H
#define KUBE_KUBE_H

#include <uv.h>

#include "base/err.h"
#include "berth/slice.h"
#include "kube/config.h"

struct kube;

struct kube_options {
	unsigned writes_in_flight; /* further writes wait in line; 0 = 64 */
	unsigned writes_waiting; /* bound on the line; beyond it a write ends at once with ERR_TOO_LARGE; 0 = 100,000 */
	unsigned timeout_ms;     /* of one attempt of a unary call; 0 = 10 s */
};

/* The config is copied. */
BERTH_MUST_CHECK struct kube *kube_open(
    uv_loop_t *loop, const struct kube_config *config, const struct kube_options *options, struct err *err);
/* Ends all calls and watches without further callbacks; frees on later turns of the loop. */
void kube_close(struct kube *kube);

/* For how long the caller may write, by clock_now: no attempt begins at or after the first time, and none goes on
 * beyond the second. Both 0: not at all. */
struct kube_leave {
	int64_t send_until_ns, land_until_ns;
};
typedef struct kube_leave kube_may_write(void *ctx);
/* Every attempt of a call other than GET asks this first; without leave the call ends with ERR_REFUSED. It is the one
 * gate that all writes pass. Without it all may write. */
void kube_fence(struct kube *kube, kube_may_write *may_write, void *ctx);

/* How a unary call ended. */
struct kube_answer {
	/* 0 when the server answered (whatever the status), else ERR_UNREACHABLE, ERR_TOO_LARGE, ERR_INPUT, ERR_REFUSED
	 */
	int code;
	unsigned status;              /* HTTP */
	struct slice body;            /* valid during the callback */
	struct slice message, reason; /* of a metav1.Status body, raw; empty otherwise */
	const char *error;            /* one line for people when code is not 0 or status is no 2xx */
	bool sent;                    /* false: the server certainly did nothing */
	bool budget;                  /* a disruption budget refuses the eviction */
	int64_t retry_after_ns;       /* what the server asked for; -1 when it did not */
};
typedef void kube_done(void *ctx, const struct kube_answer *answer);

struct kube_call_spec {
	const char *method, *path; /* path with query, from "/api…" */
	const char *content_type;  /* NULL = application/json where there is a body */
	struct slice body;         /* copied */
	/* Whether the call may simply be sent again after a lost answer or a 5xx. 429 (with Retry-After, and not for a
	 * disruption budget) and failures before anything was sent are retried for every call; backoff is jittered, 0.1
	 * s doubling to 5 s. */
	bool repeatable;
	bool brief;           /* of the object in the answer the metadata alone will do */
	unsigned deadline_ms; /* over all attempts; 0 = 25 s */
	kube_done *done;
	void *ctx;
};
void kube_call(struct kube *kube, const struct kube_call_spec *spec);

/* --- what berth does; names and namespaces are checked to be path-safe (ERR_INPUT otherwise) --- */
struct kube_pod_ref {
	const char *namespace_, *name, *uid; /* uid NULL = no precondition */
};
/* POST pods/NAME/binding with metadata.uid and the annotations, a JSON object's text, or empty. Not repeated blindly:
 * after a lost answer, 429 or 5xx the pod is read first. Ends with one of the results below, within deadline_ms. */
enum kube_bind_result {
	KUBE_BOUND, /* the Binding exists: made now, or found on this node */
	KUBE_BOUND_ELSEWHERE,
	KUBE_POD_GONE,     /* 404, or another UID under that name */
	KUBE_BIND_REFUSED, /* 409 on a pod that is neither bound nor gone, 4xx */
	KUBE_BIND_FAILED,  /* given up */
};
typedef void kube_bind_done(void *ctx, enum kube_bind_result result, const char *error);
void kube_bind(struct kube *kube, struct kube_pod_ref pod, const char *node, struct slice annotations,
    unsigned deadline_ms, kube_bind_done *done, void *ctx);
/* A strategic-merge PATCH of the pod (metadata.uid is put in as precondition), or of its status. `patch` is a JSON
 * object's members without braces and without metadata.uid, e.g. "\"status\":{\"nominatedNodeName\":\"n\"}"; for
 * annotations use kube_annotate. */
void kube_patch_status(struct kube *kube, struct kube_pod_ref pod, const char *members, kube_done *done, void *ctx);
/* Sets annotations: `annotations` is the text of a JSON object of strings. */
void kube_annotate(struct kube *kube, struct kube_pod_ref pod, struct slice annotations, kube_done *done, void *ctx);
/* Takes a scheduling gate away, and in the same write sets annotations, unless there are none. */
void kube_ungate(
    struct kube *kube, struct kube_pod_ref pod, const char *gate, struct slice annotations, kube_done *done, void *ctx);
/* policy/v1 Eviction with UID precondition; dry: whether it would be taken, asked once. */
void kube_evict(struct kube *kube, struct kube_pod_ref pod, bool dry, kube_done *done, void *ctx);
struct kube_event {
	const char *api_version, *kind, *namespace_, *name, *uid; /* what it is about */
	const char *type, *reason, *action, *note; /* type "Normal" or "Warning"; note is cut at 1,024 bytes */
};
/* events.k8s.io/v1; reportingController berth.dev/berth. Losing one is not an error: done may be NULL. */
void kube_emit(struct kube *kube, const struct kube_event *event, kube_done *done, void *ctx);

#endif
