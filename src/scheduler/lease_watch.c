/* The Lease that says who is active, watched, and the one that the active berth renews, by which `berth guard` sees
 * that it is well. A berth that finds another in its place ends, and its caller starts a new one: what it had promised
 * is worth nothing. */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "scheduler/internal.h"

#define LEASE_PATH_MAX 640
#define LEASES_PATH "/apis/coordination.k8s.io/v1/namespaces/%.*s/leases%s%s"
/* kube-scheduler renews every 2 s: a watch that is silent for so long has lost its way, and the deadline is near. */
#define SILENCE_MS 7000
#define BEAT_MS 5000 /* between two renewals of berth's own Lease */
#define BEAT_DURATION_S 30
#define BEAT_DEADLINE_MS 4000
#define BEAT_BODY_MAX 1024
#define NAMESPACE_MAX 63
#define NAME_MAX_BYTES 253

/* --- the watch --- */

static void saw(struct scheduler *s, const struct lease *lease)
{
	switch (lead_saw(&s->lead, lease, clock_now(), clock_wall())) {
	case LEAD_SAME:
		break;
	case LEAD_BEGINS:
		log_info("the Lease is held beside this berth: nodes and pods are read anew", "lease=%s holder=%s",
		    s->lease_name, log_quote(lease->holder));
		scheduler_list_anew(s);
		break;
	case LEAD_LOST:
		log_warn("another berth leads now, this one begins anew", "lease=%s holder=%s", s->lease_name,
		    log_quote(s->lead.lease.holder));
		s->lease_lost = true;
		uv_timer_start(&s->lease_timer, lease_on_timer, 0, 0);
		return;
	}
	if (!s->lease_lost)
		lease_look(s);
}

static void list_begins(void *ctx)
{
	struct scheduler *s = ctx;
	s->lease_seen = false;
}

static void object_shown(void *ctx, enum kube_change change, struct slice object)
{
	struct scheduler *s = ctx;
	struct lease lease;
	struct err err;
	s->lease_seen = true;
	if (change == KUBE_DELETED)
		saw(s, NULL);
	else if (cluster_lease_decode(object, &lease, &err) == 0)
		saw(s, &lease);
	else /* as if it were not renewed */
		log_error("the Lease cannot be read", "error=%s", log_quote(err.text));
}

static void list_complete(void *ctx)
{
	struct scheduler *s = ctx;
	s->lease_synced = true;
	if (!s->lease_seen)
		saw(s, NULL);
}

static const struct kube_watch_handlers handlers = {
    .begin = list_begins, .object = object_shown, .synced = list_complete};

/* --- berth's own Lease --- */

static void beat(struct scheduler *s, bool create);

static void beaten(void *ctx, const struct kube_answer *answer)
{
	struct scheduler *s = ctx;
	bool created = s->beat_creates;
	if (answer->code == 0 && answer->status == 404 && !created) {
		beat(s, true);
		return;
	}
	if (answer->code != 0 || answer->status >= 300)
		log_warn("berth's own Lease was not renewed: a guard may let pods go", "lease=%s error=%s",
		    s->beat_name, log_quote(answer->error ? answer->error : ""));
	uv_timer_start(&s->beat_timer, lease_on_beat, BEAT_MS, 0);
}

static void beat(struct scheduler *s, bool create)
{
	const char *slash = strchr(s->beat_name, '/');
	char path[LEASE_PATH_MAX], now[CLOCK_TEXT_MAX];
	struct buf body;
	clock_format_micro(clock_wall(), now);
	buf_init(&body, BEAT_BODY_MAX);
	if (create)
		buf_printf(&body,
		    "{\"apiVersion\":\"coordination.k8s.io/v1\",\"kind\":\"Lease\",\"metadata\":{\"name\":\"%s\","
		    "\"labels\":{\"app.kubernetes.io/part-of\":\"berth\"}},",
		    slash + 1);
	else
		buf_char(&body, '{');
	buf_text(&body, "\"spec\":{\"holderIdentity\":");
	buf_json_string(&body, slice_of(s->identity));
	buf_printf(&body, ",\"leaseDurationSeconds\":%d,\"renewTime\":\"%s\"}}", BEAT_DURATION_S, now);
	snprintf(path, sizeof path, LEASES_PATH, (int)(slash - s->beat_name), s->beat_name, create ? "" : "/",
	    create ? "" : slash + 1);
	s->beat_creates = create;
	kube_call(s->kube, &(struct kube_call_spec){.method = create ? "POST" : "PATCH",
	                       .path = path,
	                       .content_type = create ? NULL : "application/merge-patch+json",
	                       .body = buf_slice(&body),
	                       .deadline_ms = BEAT_DEADLINE_MS,
	                       .done = beaten,
	                       .ctx = s});
	buf_free(&body);
}

/* A berth that sees no pods for long lets none go either: then the guard may. */
static bool is_well(const struct scheduler *s)
{
	struct kube_watch_state pods = kube_watch_state(s->pods);
	return s->taken_up && lease_may_write(s) && (pods.lost_ns == 0 || clock_now() - pods.lost_ns < STALE_NS);
}

void lease_on_beat(uv_timer_t *timer)
{
	struct scheduler *s = timer->data;
	if (is_well(s))
		beat(s, false);
	else
		uv_timer_start(&s->beat_timer, lease_on_beat, BEAT_MS / 10, 0);
}

/* --- start and end --- */

/* NAMESPACE/NAME, safe to stand in a path. */
static bool is_lease_name(const char *text)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-.";
	size_t namespace_ = strspn(text, allowed), name = 0;
	if (text[namespace_] == '/')
		name = strspn(text + namespace_ + 1, allowed);
	return namespace_ > 0 && namespace_ <= NAMESPACE_MAX && name > 0 && name <= NAME_MAX_BYTES &&
	       text[namespace_ + 1 + name] == '\0';
}

int lease_take_name(const char *flag, const char *given, char **out, struct err *err)
{
	if (given && !is_lease_name(given))
		return err_set(err, ERR_INPUT, "%s takes NAMESPACE/NAME, not \"%s\"", flag, given);
	*out = given ? xstrdup(given) : NULL;
	return 0;
}

int lease_init(struct scheduler *s, const struct scheduler_options *options, struct err *err)
{
	s->identity = xstrdup(options->identity ? options->identity : "");
	s->lost = options->lost;
	s->lost_ctx = options->lost_ctx;
	if (lease_take_name("--lease", options->lease, &s->lease_name, err) != 0 ||
	    lease_take_name("--active-lease", options->active_lease, &s->beat_name, err) != 0)
		return err->code;
	lead_init(&s->lead, s->lease_name ? s->identity : NULL,
	    options->renew_deadline_ns > 0 ? options->renew_deadline_ns : LEAD_RENEW_NS);
	s->role = lead_role(&s->lead, clock_now());
	return 0;
}

static struct kube_leave leave(void *ctx)
{
	const struct scheduler *s = ctx;
	return (struct kube_leave){lead_send_until(&s->lead), lead_land_until(&s->lead)};
}

void lease_open(struct scheduler *s)
{
	struct kube_watch_handlers with_ctx = handlers;
	char path[LEASE_PATH_MAX], query[LEASE_PATH_MAX];
	with_ctx.ctx = s;
	kube_fence(s->kube, leave, s);
	if (s->beat_name)
		uv_timer_start(&s->beat_timer, lease_on_beat, 0, 0);
	if (!s->lease_name)
		return;
	const char *slash = strchr(s->lease_name, '/');
	snprintf(path, sizeof path, LEASES_PATH, (int)(slash - s->lease_name), s->lease_name, "", "");
	snprintf(query, sizeof query, "fieldSelector=metadata.name%%3D%s", slash + 1);
	s->lease = kube_watch_start(
	    s->kube, &(struct kube_watch_options){.path = path, .query = query, .silence_ms = SILENCE_MS}, &with_ctx);
}

void lease_close(struct scheduler *s)
{
	free(s->identity);
	free(s->lease_name);
	free(s->beat_name);
}
