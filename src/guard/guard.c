#include "guard/guard.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "guard/guard_internal.h"
#include "guard/resume.h"
#include "guard/ungate.h"

#define RELEASE_AFTER_NS (600 * NS_PER_S) /* the default of the policy's key */
#define TURN_MAX 500                      /* pods of one turn; before the next one the Lease is read again */
#define RESUME_AGAIN_NS (30 * NS_PER_S)   /* between two looks for what is suspended */
#define LEASE_DEADLINE_MS 5000
#define BODY_MAX 4096
#define CONNECTIONS_MAX 64
#define IDLE_S 60
#define REQUEST_DEADLINE_MS 10000

/* --- the pods behind the gate --- */

static void forget(struct guard *guard, struct slice uid)
{
	struct gated *gated = map_get(&guard->gated, uid);
	if (!gated)
		return;
	gated->gone = true;
	if (gated->asked) /* then its release ends first */
		return;
	map_remove(&guard->gated, uid);
	gated_free(gated);
}

static void list_begins(void *ctx)
{
	struct guard *guard = ctx;
	guard->list++;
}

static void object_shown(void *ctx, enum kube_change change, struct slice object)
{
	struct guard *guard = ctx;
	struct slice uid;
	struct gated *shown = gated_read(object, &uid);
	struct gated *known = uid.len > 0 ? map_get(&guard->gated, uid) : NULL;
	if (!shown || change == KUBE_DELETED) {
		forget(guard, uid);
	} else if (known) {
		known->mark = guard->list;
	} else {
		shown->seen_ns = clock_now();
		shown->mark = guard->list;
		map_put(&guard->gated, slice_of(shown->uid), shown);
		return;
	}
	if (shown)
		gated_free(shown);
}

static void list_complete(void *ctx)
{
	struct guard *guard = ctx;
	size_t cursor = 0, count = 0;
	struct gated **gone = xcalloc(guard->gated.count + 1, sizeof *gone);
	for (struct gated *gated; (gated = map_next(&guard->gated, &cursor));)
		if (gated->mark != guard->list)
			gone[count++] = gated;
	while (count > 0)
		forget(guard, slice_of(gone[--count]->uid));
	free(gone);
	guard->synced = true;
	log_info("pods listed", "gated=%zu", guard->gated.count);
}

/* --- letting go --- */

static void one_done(void *ctx, struct gated *gated, const char *error)
{
	struct guard *guard = ctx;
	if (error) {
		guard->failed++;
		log_warn("a pod could not be let go", "pod=%s/%s error=%s", gated->namespace_, gated->name,
		    log_quote(error));
	} else {
		guard->released++;
		log_info("pod let go", "pod=%s/%s", gated->namespace_, gated->name);
	}
	gated->asked = false;
	if (gated->gone)
		forget(guard, slice_of(gated->uid));
}

static void turn_done(void *ctx)
{
	struct guard *guard = ctx;
	guard->ungate = NULL;
}

static void release_due(struct guard *guard)
{
	int64_t now = clock_now(), wall = clock_wall();
	struct gated *due[TURN_MAX];
	size_t cursor = 0, count = 0;
	if (guard->ungate || !guard->synced)
		return;
	for (struct gated *gated; count < TURN_MAX && (gated = map_next(&guard->gated, &cursor));)
		if (gated_for(gated, now, wall) >= guard->release_after_ns) {
			gated->asked = true;
			due[count++] = gated;
		}
	if (count == 0)
		return;
	log_warn("no berth is active: pods are let go", "pods=%zu lease=%s", count, guard->lease_name);
	guard->ungate = ungate_start(
	    guard->kube, due, count, &(struct ungate_handlers){.one = one_done, .all = turn_done, .ctx = guard});
}

/* --- what is suspended --- */

static void one_resumed(void *ctx, const char *kind, const char *namespace_, const char *name, const char *error)
{
	struct guard *guard = ctx;
	if (error) {
		guard->not_resumed++;
		log_warn("what berth suspended could not be resumed", "kind=%s name=%s/%s error=%s", kind, namespace_,
		    name, log_quote(error));
	} else {
		guard->resumed++;
		log_info("what berth suspended is resumed", "kind=%s name=%s/%s", kind, namespace_, name);
	}
}

static void unlisted(void *ctx, const char *kind, const char *error)
{
	(void)ctx;
	log_warn("what berth suspended cannot be listed", "kind=%s error=%s", kind, log_quote(error));
}

static void all_resumed(void *ctx)
{
	struct guard *guard = ctx;
	guard->resume = NULL;
}

/* Once no berth was active for as long as pods stay behind the gate: one that comes back sooner sees to it itself. */
static void resume_due(struct guard *guard)
{
	int64_t now = clock_now();
	if (guard->resume || now - guard->age.changed_ns < guard->release_after_ns || now < guard->resume_ns)
		return;
	guard->resume_ns = now + RESUME_AGAIN_NS;
	guard->resume = resume_start(guard->kube, NULL, false,
	    &(struct resume_handlers){.one = one_resumed, .unlisted = unlisted, .all = all_resumed, .ctx = guard});
}

/* --- the Lease --- */

static void set_lease_error(struct guard *guard, const char *error)
{
	free(guard->lease_error);
	guard->lease_error = error ? xstrdup(error) : NULL;
	if (error)
		log_warn("the Lease cannot be read, nothing is let go", "error=%s", log_quote(error));
}

static void look(uv_timer_t *timer);

static void lease_came(void *ctx, const struct kube_answer *answer)
{
	struct guard *guard = ctx;
	struct lease lease;
	struct err err;
	bool missing = answer->code == 0 && answer->status == 404;
	if (answer->code != 0 || (answer->status != 200 && !missing))
		set_lease_error(guard, answer->error ? answer->error : "no answer");
	else if (!missing && cluster_lease_decode(answer->body, &lease, &err) != 0)
		set_lease_error(guard, err.text);
	else {
		set_lease_error(guard, NULL);
		lease_age_saw(&guard->age, missing ? NULL : &lease, clock_now());
		if (lease_age_is_stale(&guard->age, clock_now())) {
			release_due(guard);
			resume_due(guard);
		}
	}
	uv_timer_start(&guard->timer, look, GUARD_LOOK_MS, 0);
}

static void look(uv_timer_t *timer)
{
	struct guard *guard = timer->data;
	guard_look_at_policy(guard);
	kube_call(guard->kube, &(struct kube_call_spec){.method = "GET",
	                           .path = guard->lease_path,
	                           .deadline_ms = LEASE_DEADLINE_MS,
	                           .done = lease_came,
	                           .ctx = guard});
}

/* --- start and stop --- */

static bool set_lease(struct guard *guard, const char *lease, struct err *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-.";
	size_t namespace_ = strspn(lease, allowed), name = 0;
	if (lease[namespace_] == '/')
		name = strspn(lease + namespace_ + 1, allowed);
	if (namespace_ == 0 || name == 0 || lease[namespace_ + 1 + name] != '\0' || namespace_ > 63 || name > 253) {
		err_set(err, ERR_INPUT, "a Lease is NAMESPACE/NAME, not \"%s\"", lease);
		return false;
	}
	snprintf(guard->lease_path, sizeof guard->lease_path, "/apis/coordination.k8s.io/v1/namespaces/%.*s/leases/%s",
	    (int)namespace_, lease, lease + namespace_ + 1);
	guard->lease_name = xstrdup(lease);
	return true;
}

static bool open_server(struct guard *guard, const char *listen, struct err *err)
{
	guard->server = http_server_start(guard->loop,
	    &(struct http_server_options){.listen = listen,
	        .body_max = BODY_MAX,
	        .connections_max = CONNECTIONS_MAX,
	        .idle_s = IDLE_S,
	        .deadline_ms = REQUEST_DEADLINE_MS,
	        .handler = guard_answer,
	        .ctx = guard},
	    err);
	if (!guard->server)
		err_wrap(err, "--listen %s", listen);
	return guard->server != NULL;
}

static bool open_kube(struct guard *guard, const struct kube_config *config, struct err *err)
{
	guard->kube = kube_open(guard->loop, config, NULL, err);
	if (!guard->kube) {
		err_wrap(err, "cannot use the kubeconfig");
		return false;
	}
	guard->pods =
	    kube_watch_start(guard->kube, &(struct kube_watch_options){.path = "/api/v1/pods", .query = GATED_SELECTOR},
	        &(struct kube_watch_handlers){
	            .begin = list_begins, .object = object_shown, .synced = list_complete, .ctx = guard});
	return true;
}

struct guard *guard_start(uv_loop_t *loop, const struct guard_options *options, struct err *err)
{
	struct guard *guard = xcalloc(1, sizeof *guard);
	guard->loop = loop;
	guard->release_after_ns = RELEASE_AFTER_NS;
	guard->policy_file = options->policy_file ? xstrdup(options->policy_file) : NULL;
	uv_timer_init(loop, &guard->timer);
	guard->timer.data = guard;
	if (!set_lease(guard, options->lease, err) || !open_server(guard, options->listen, err) ||
	    !open_kube(guard, options->kube, err)) {
		guard_stop(guard, NULL, NULL);
		return NULL;
	}
	uv_timer_start(&guard->timer, look, 0, 0);
	return guard;
}

unsigned guard_port(const struct guard *guard)
{
	return http_server_port(guard->server);
}

static void free_state(struct guard *guard)
{
	size_t cursor = 0;
	for (struct gated *gated; (gated = map_next(&guard->gated, &cursor));)
		gated_free(gated);
	map_free(&guard->gated);
	free(guard->lease_name);
	free(guard->lease_error);
	free(guard->policy_file);
	free(guard->policy_error);
	free(guard);
}

static void one_closed(void *ctx)
{
	struct guard *guard = ctx;
	if (--guard->closing > 0)
		return;
	void (*done)(void *) = guard->done;
	void *done_ctx = guard->done_ctx;
	free_state(guard);
	if (done)
		done(done_ctx);
}

static void timer_closed(uv_handle_t *handle)
{
	one_closed(handle->data);
}

void guard_stop(struct guard *guard, void (*done)(void *ctx), void *ctx)
{
	guard->done = done;
	guard->done_ctx = ctx;
	guard->closing = 1 + (guard->server != NULL);
	uv_close((uv_handle_t *)&guard->timer, timer_closed);
	if (guard->kube)
		kube_close(guard->kube);
	if (guard->ungate)
		ungate_cancel(guard->ungate);
	if (guard->resume)
		resume_cancel(guard->resume);
	if (guard->server)
		http_server_stop(guard->server, one_closed, guard);
}
