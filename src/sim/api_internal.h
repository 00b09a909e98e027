/* What the files of the API look-alike share: api.c (start, stop, the gate of faults, dispatch), answer.c, list.c,
 * watch.c, objects.c (get, create, update, patch, delete), pods.c (the pod's rules, binding, eviction), control.c
 * (/sim/…). */
#ifndef SIM_API_INTERNAL_H
#define SIM_API_INTERNAL_H

#include <sys/queue.h>

#include "http/server.h"
#include "sim/api.h"
#include "sim/route.h"

#define SIM_SNAPSHOTS_MAX 64
#define SIM_SNAPSHOT_NS (INT64_C(300) * 1000000000)

/* A list that is being read in pages. */
struct sim_snapshot {
	uint64_t id, rv;
	enum sim_resource resource;
	struct sim_version **versions;
	size_t count;
	int64_t made_ns;
};

struct sim_watch;
struct sim_parked;
TAILQ_HEAD(sim_watch_list, sim_watch);
TAILQ_HEAD(sim_parked_list, sim_parked);

struct sim_api {
	uv_loop_t *loop;
	struct sim_store *store;
	struct http_server *server;
	char *token;
	struct sim_faults faults;
	struct sim_api_stats stats;

	struct sim_watch_list watches;
	size_t watch_count;
	uv_timer_t pump; /* delivers events, bookmarks and timeouts */
	int64_t pump_at_ns;
	int64_t lag_ns, bookmark_ns;

	struct sim_parked_list parked;
	size_t snapshot_count;
	uint64_t snapshot_ids;
	struct sim_snapshot snapshots[SIM_SNAPSHOTS_MAX];

	bool stopping;
	unsigned closing; /* handles and the server, still to be closed */
	void (*stopped)(void *ctx);
	void *stopped_ctx;
};

/* One request on its way to its answer. */
struct sim_call {
	struct sim_api *api;
	struct http_request *http;
	struct sim_route route;
	bool cut, drop;
};

/* answer.c: each ends the call. The body is taken over. */
void sim_answer(const struct sim_call *call, unsigned status, char *body, size_t len);
/* Takes nothing over. */
void sim_answer_tree(const struct sim_call *call, unsigned status, const json_t *tree);
/* The request asks what would be, and changes nothing. */
bool sim_is_dry(const struct sim_call *call);
void sim_answer_version(const struct sim_call *call, unsigned status, const struct sim_version *version);
/* A metav1.Status with `code` as HTTP status; "Success" for codes below 300. */
void sim_answer_status(const struct sim_call *call, unsigned code, const char *format, ...) BERTH_PRINTF(3, 4);
/* The same with a reason other than the code's usual one. */
void sim_answer_reason(const struct sim_call *call, unsigned code, const char *reason, const char *format, ...)
    BERTH_PRINTF(4, 5);
void sim_answer_not_found(const struct sim_call *call);
/* The text of such a Status, for ERROR events. */
void sim_status_text(struct buf *out, unsigned code, const char *reason, const char *message);

bool sim_wants_metadata(const struct sim_call *call);
/* The version as the caller wants it: whole, or as PartialObjectMetadata. */
void sim_write_version(struct buf *out, const struct sim_version *version, bool metadata_only);

/* list.c */
void sim_list(const struct sim_call *call);
void sim_snapshots_free(struct sim_api *api);

/* watch.c */
void sim_watch_open(const struct sim_call *call);
void sim_watch_changed(void *ctx, const struct sim_change *change);
void sim_watch_pump(uv_timer_t *timer);
/* The pump runs on the next turn of the loop. */
void sim_watch_kick(struct sim_api *api);

/* objects.c */
void sim_get(const struct sim_call *call);
void sim_create(const struct sim_call *call);
void sim_update(const struct sim_call *call);
void sim_patch_object(const struct sim_call *call);
void sim_delete(const struct sim_call *call);
/* The JSON object in the request's body, or NULL with the call answered. An empty body is allowed where `optional`: {}
 * then. */
json_t *sim_body_object(const struct sim_call *call, bool optional);
/* Deletes as DELETE does: 409 for a wrong uid, grace for a bound pod; `wanted_uid` may be NULL. False with the call
 * answered. */
bool sim_delete_object(const struct sim_call *call, const char *wanted_uid, int64_t grace_s);

/* pods.c */
void sim_pod_defaults(json_t *pod);
/* What may not change in a pod; false with `why`. */
bool sim_pod_change_allowed(const json_t *before, const json_t *after, const char **why);
void sim_bind(const struct sim_call *call);
void sim_evict(const struct sim_call *call);

/* control.c */
void sim_control(const struct sim_call *call);

#endif
