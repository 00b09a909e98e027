/* What the guard's files share: the struct that owns all state. */
#ifndef GUARD_GUARD_INTERNAL_H
#define GUARD_GUARD_INTERNAL_H

#include "base/buf.h"
#include "berth/map.h"
#include "cluster/lease.h"
#include "guard/gated.h"
#include "guard/guard.h"
#include "http/server.h"
#include "kube/watch.h"

#define GUARD_LEASE_PATH_MAX 640

struct resume;
struct ungate;

struct guard {
	uv_loop_t *loop;
	struct kube *kube;
	struct kube_watch *pods;
	struct http_server *server;
	uv_timer_t timer;
	char lease_path[GUARD_LEASE_PATH_MAX], *lease_name;
	struct lease_age age;
	char *lease_error; /* why the last look saw nothing, or NULL */

	char *policy_file, *policy_error;
	uint64_t policy_hash; /* of the bytes read last */
	int64_t release_after_ns;

	struct map gated; /* uid → struct gated */
	uint32_t list;    /* number of the list under way or done; marks are compared with it */
	bool synced;
	struct ungate *ungate; /* the turn of releases under way, or NULL */
	int64_t resume_ns;     /* not sooner again */
	struct resume *resume; /* of suspended objects, under way, or NULL */
	uint64_t released, failed, resumed, not_resumed;

	unsigned closing;
	void (*done)(void *ctx);
	void *done_ctx;
};

/* guard_policy.c: reads the file again if its bytes have changed. */
void guard_look_at_policy(struct guard *guard);

/* guard_pages.c: /healthz, /readyz, /metrics. */
void guard_answer(void *ctx, struct http_request *request);

#endif
