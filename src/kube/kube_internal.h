/* What the client's files share: kube.c (opening, connections), request.c
 * (one unary call through the window, with its retries), bind.c, write.c,
 * watch.c. */
#ifndef KUBE_KUBE_INTERNAL_H
#define KUBE_KUBE_INTERNAL_H

#include <sys/queue.h>

#include "base/buf.h"
#include "http/client.h"
#include "kube/backoff.h"
#include "kube/credentials.h"
#include "kube/kube.h"

#define KUBE_WRITES_IN_FLIGHT 64
#define KUBE_WRITES_WAITING 100000
#define KUBE_TIMEOUT_MS 10000
#define KUBE_DEADLINE_MS 25000
#define KUBE_ANSWER_MAX (16u << 20) /* a unary answer: one object, or a Status */
#define KUBE_REQUEST_MAX (4u << 20) /* a unary request's body; the API server takes 3 MiB */
#define KUBE_WATCH_CONNECTIONS 64
#define KUBE_NAME_MAX 253
#define KUBE_URL_MAX (64u << 10)
#define KUBE_METADATA_ONLY "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"

struct kube_request;
struct kube_bind;
struct kube_watch;

TAILQ_HEAD(kube_request_list, kube_request);
TAILQ_HEAD(kube_bind_list, kube_bind);
TAILQ_HEAD(kube_watch_list, kube_watch);

struct kube {
	uv_loop_t *loop;
	struct kube_config config;
	struct kube_options options;
	struct credentials *credentials;
	unsigned cert_generation;
	struct http_client *unary, *streams;
	struct jitter jitter;
	struct kube_request_list waiting, others; /* others: running, or waiting for a time */
	unsigned in_flight, waiting_count;
	uv_timer_t credentials_timer; /* looks again while there are none */
	kube_may_write *may_write;    /* NULL = always */
	void *may_write_ctx;
	struct kube_bind_list binds;
	struct kube_watch_list watches;
	bool closing;
};

/* A unary call with what only this room asks for. */
struct kube_request_spec {
	struct kube_call_spec call;
	bool once;           /* no retry of any kind but the one after a 401 */
	int64_t delay_ns;    /* before the first attempt */
	int64_t deadline_ns; /* clock_now; instead of call.deadline_ms when not 0 */
};
void kube__request(struct kube *kube, const struct kube_request_spec *spec);
/* Ends in `done` on a later turn, without an attempt. */
void kube__refuse(struct kube *kube, int code, const char *error, kube_done *done, void *ctx);

/* Sends from the line what the window lets through. */
void kube__pump(struct kube *kube);
/* Ends all of them without callbacks. */
void kube__drop_requests(struct kube *kube);

/* Whether there are credentials to send with; brings the connections up to date with them. */
bool kube__ready(struct kube *kube);
/* Fills in URL and credentials and starts a call on the streams' connections. NULL while there are no credentials. */
struct http_call *kube__stream(struct kube *kube, const char *path, struct http_call_spec *spec, unsigned *generation);

/* Whether a text may stand in a path as one segment. */
bool kube__is_name(const char *text);

void kube__bind_free(struct kube_bind *bind);

#endif
