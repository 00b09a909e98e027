/* HorizontalPodAutoscalers, watched while a signal goes by them: what they want for a class beyond its bound pods. One
 * whose pods were never seen tells nothing: whose class they are of is not known. */
#include <stdlib.h>

#include "base/log.h"
#include "scheduler/signal/internal.h"

#define PATH_AUTOSCALERS "/apis/autoscaling/v2/horizontalpodautoscalers"

static void begin(void *ctx)
{
	struct signals *signals = ctx;
	autoscalers_begin(signals->autoscalers);
}

static void object(void *ctx, enum kube_change change, struct slice text)
{
	struct signals *signals = ctx;
	struct err err;
	if ((change == KUBE_DELETED ? autoscalers_remove(signals->autoscalers, text, &err)
	                            : autoscalers_put(signals->autoscalers, text, clock_now(), &err)) != 0)
		log_error("an autoscaler cannot be read", "error=%s", log_quote(err.text));
}

static void synced(void *ctx)
{
	struct signals *signals = ctx;
	signals->refused = 0;
	autoscalers_synced(signals->autoscalers);
}

static void unavailable(void *ctx, unsigned status, const char *reason)
{
	struct signals *signals = ctx;
	if (signals->refused != status)
		log_warn("autoscalers may not be read: signals that go by them say nothing", "status=%u error=%s",
		    status, log_quote(reason ? reason : ""));
	signals->refused = status;
}

void signal_autoscalers_close(struct signals *signals)
{
	if (signals->watch)
		kube_watch_stop(signals->watch);
	autoscalers_free(signals->autoscalers);
	signals->watch = NULL;
	signals->autoscalers = NULL;
	signals->refused = 0;
}

void signal_autoscalers_follow(struct signals *signals)
{
	if (!signal_has(signals, SIGNAL_AUTOSCALERS)) {
		signal_autoscalers_close(signals);
		return;
	}
	if (signals->watch || !signals->s->kube)
		return;
	signals->autoscalers = autoscalers_new();
	signals->watch =
	    kube_watch_start(signals->s->kube, &(struct kube_watch_options){.path = PATH_AUTOSCALERS, .optional = true},
	        &(struct kube_watch_handlers){
	            .begin = begin, .object = object, .synced = synced, .unavailable = unavailable, .ctx = signals});
}

static double missing_of(const struct signals *signals, const struct autoscaler *autoscaler, uint16_t class_)
{
	const struct signal_target *target =
	    !autoscaler->kind || !autoscaler->target
	        ? NULL
	        : signal_target_find(signals, autoscaler->namespace_, autoscaler->kind, autoscaler->target);
	if (!target || target->class_ != class_)
		return 0;
	int64_t bound = (int64_t)target->bound, running = bound / target->pods_each;
	int64_t missing = autoscaler_wants(autoscaler, running, clock_now()) * target->pods_each - bound;
	return missing > 0 ? (double)missing * (double)target->gpus_each : 0;
}

static void look(struct signals *signals, size_t at, const struct kube_watch_state *state)
{
	double gpus = 0;
	size_t cursor = 0;
	uint16_t class_ = signals->s->policy.inforce->signals.items[at].for_;
	if (signals->refused || !state->synced || (!state->connected && state->lost_ns == 0)) {
		signal_trouble(signals, at,
		    signals->refused == 403
		        ? "reading autoscalers is not allowed: berth's ClusterRole needs list and watch"
		    : signals->refused == 404 ? "the API server has no autoscaling/v2"
		                              : "autoscalers were not read yet");
		return;
	}
	for (const struct autoscaler *one; (one = autoscalers_next(signals->autoscalers, &cursor));)
		gpus += missing_of(signals, one, class_);
	signal_value(signals, at, gpus, state->connected ? clock_now() : state->lost_ns);
	signal_trouble(signals, at, state->connected ? NULL : "the watch on autoscalers is lost");
}

void signal_autoscalers_look(struct signals *signals)
{
	const struct policy_signals *named = &signals->s->policy.inforce->signals;
	if (!signals->watch || !signals->listed)
		return;
	struct kube_watch_state state = kube_watch_state(signals->watch);
	for (size_t i = 0; i < named->count; i++)
		if (named->items[i].source == SIGNAL_AUTOSCALERS)
			look(signals, i, &state);
}
