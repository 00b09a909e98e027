/* List, then watch, for ever: one reflector a resource. Lists come in pages of 500 (limit, continue), watches with
 * bookmarks and timeoutSeconds. A 410, an ERROR event, a watch that cannot go on from its resourceVersion: the resource
 * is listed anew, and what the new list does not hold is reported gone at its end, so the caller's state is never empty
 * in between. Broken or silent watches (no event, no bookmark for silence_ms) are opened again from the last
 * resourceVersion, with jittered backoff.
 *
 * Objects come as the text of the object, valid during the callback. */
#ifndef KUBE_WATCH_H
#define KUBE_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "berth/slice.h"
#include "kube/kube.h"

#define KUBE_PAGE_LIMIT 500
#define KUBE_PAGE_MAX                                                                                                  \
	(256u << 20) /* bytes of one list page: 500 objects of etcd's limit of 1.5 MiB do not come close in practice   \
	              */
#define KUBE_EVENT_MAX (16u << 20) /* bytes of one watch event */

enum kube_change { KUBE_SEEN, KUBE_DELETED }; /* ADDED, MODIFIED and list items are all SEEN */

struct kube_watch_handlers {
	/* A list begins: all SEEN objects until synced are its content. */
	void (*begin)(void *ctx);
	/* Whole object text. A DELETED object is the last one known. */
	void (*object)(void *ctx, enum kube_change change, struct slice object);
	/* The list is complete: what was not SEEN since begin is gone. */
	void (*synced)(void *ctx);
	/* Optional: 404 or 403 on the list of an optional resource; tried again every minute. `reason` is one
	 * constant-ish line. */
	void (*unavailable)(void *ctx, unsigned status, const char *reason);
	void *ctx;
};

struct kube_watch_options {
	const char *path;   /* "/api/v1/pods" */
	const char *query;  /* extra query such as a fieldSelector, already encoded; NULL for none */
	bool metadata_only; /* ask for PartialObjectMetadata */
	bool optional;      /* 404 and 403 are reported as unavailable instead of being retried as failures */
	unsigned
	    silence_ms; /* 0 = 75 s: bookmarks come about once a minute; a silent watch is closed and opened again */
	unsigned timeout_s; /* timeoutSeconds of one watch; 0 = 300, jittered by up to 50 % more */
};

struct kube_watch_state {
	bool synced;        /* a first list was completed */
	bool connected;     /* a watch is open, or a list is being read, and answering */
	int64_t contact_ns; /* clock_now of the last byte received */
	int64_t lost_ns;    /* since when not connected; 0 while connected */
	uint64_t relists, events, errors;
	const char *error; /* why it is not connected, or NULL */
	bool unavailable;
};

struct kube_watch *kube_watch_start(
    struct kube *kube, const struct kube_watch_options *options, const struct kube_watch_handlers *handlers);
void kube_watch_stop(struct kube_watch *watch);
struct kube_watch_state kube_watch_state(const struct kube_watch *watch);

#endif
