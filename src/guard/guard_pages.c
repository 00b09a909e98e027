/* What the guard says of itself. It is ready once it knows the pods and has looked for the Lease. */
#include "base/clock.h"
#include "guard/guard_internal.h"

#define PAGE_MAX 8192

static long long seconds(int64_t ns)
{
	return (long long)(ns / NS_PER_S);
}

static bool pods_line(const struct guard *guard, struct buf *out)
{
	struct kube_watch_state state = kube_watch_state(guard->pods);
	if (guard->synced && state.connected)
		buf_printf(out, "ok   pods: %zu behind the gate\n", guard->gated.count);
	else
		buf_printf(out, "fail pods: %s (%s)\n",
		    guard->synced ? "the watch has no contact" : "the first list is not done",
		    state.error ? state.error : "no answer yet");
	return guard->synced && state.connected;
}

static bool lease_line(const struct guard *guard, struct buf *out)
{
	int64_t now = clock_now();
	if (guard->lease_error)
		buf_printf(out, "fail lease: %s: %s\n", guard->lease_name, guard->lease_error);
	else if (!guard->age.known)
		buf_printf(out, "fail lease: %s was not read yet\n", guard->lease_name);
	else if (lease_age_is_stale(&guard->age, now))
		buf_printf(out, "warn lease: %s %s for %lld s: no berth is active, pods are let go\n",
		    guard->lease_name, guard->age.there ? "was not renewed" : "is not there",
		    seconds(now - guard->age.changed_ns));
	else
		buf_printf(out, "ok   lease: %s %s %lld s ago\n", guard->lease_name,
		    guard->age.there ? "was seen renewed" : "was seen missing", seconds(now - guard->age.changed_ns));
	return guard->age.known && !guard->lease_error;
}

static void policy_line(const struct guard *guard, struct buf *out)
{
	if (guard->policy_error)
		buf_printf(out, "warn policy: %s; ", guard->policy_error);
	else
		buf_text(out, "ok   policy: ");
	buf_printf(out, "releaseAfter is %lld s\n", seconds(guard->release_after_ns));
}

static void metric(struct buf *out, const char *name, const char *type, const char *help, uint64_t value)
{
	buf_printf(
	    out, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", name, help, name, type, name, (unsigned long long)value);
}

static void metrics(const struct guard *guard, struct buf *out)
{
	metric(out, "berth_guard_gated_pods", "gauge", "Pods behind berth's gate.", guard->gated.count);
	metric(out, "berth_guard_lease_stale", "gauge", "1 while no berth is active.",
	    lease_age_is_stale(&guard->age, clock_now()));
	metric(out, "berth_guard_released_total", "counter", "Pods that were let go.", guard->released);
	metric(out, "berth_guard_resumed_total", "counter", "Objects suspended by berth that were resumed.",
	    guard->resumed);
	metric(out, "berth_guard_not_resumed_total", "counter", "Such that could not be.", guard->not_resumed);
	metric(out, "berth_guard_failed_total", "counter", "Releases that failed.", guard->failed);
}

void guard_answer(void *ctx, struct http_request *request)
{
	const struct guard *guard = ctx;
	struct slice path = http_path(request), method = http_method(request);
	unsigned status = 200;
	struct buf out;
	if (!slice_is(method, "GET") && !slice_is(method, "HEAD")) {
		http_add_header(request, "Allow", "GET, HEAD");
		http_answer_error(request, 405, "GET and HEAD only");
		return;
	}
	buf_init(&out, PAGE_MAX);
	if (slice_is(path, "/healthz")) {
		buf_text(&out, "ok\n");
	} else if (slice_is(path, "/readyz")) {
		bool ready = pods_line(guard, &out);
		ready = lease_line(guard, &out) && ready;
		policy_line(guard, &out);
		status = ready ? 200 : 503;
	} else if (slice_is(path, "/metrics")) {
		metrics(guard, &out);
	} else {
		http_answer_error(request, 404, "no such path: there are /healthz, /readyz and /metrics");
		return;
	}
	size_t len = out.len;
	http_answer(request, status, "text/plain; charset=utf-8", buf_take(&out), len);
}
