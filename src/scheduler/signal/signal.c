/* Signals of load: when they are looked at, what follows them, and what is said of them. A look a second, and one as
 * each answer comes; never in a call of kube-scheduler's. */
#include "scheduler/signal/internal.h"

#include <stdlib.h>

#include "base/log.h"
#include "berth/headroom.h"
#include "scheduler/json.h"

#define LOOK_MS 1000

static const struct policy_signals *named(const struct scheduler *s)
{
	return &s->policy.inforce->signals;
}

bool signal_has(const struct signals *signals, enum signal_source source)
{
	for (size_t i = 0; i < named(signals->s)->count; i++)
		if (named(signals->s)->items[i].source == source)
			return true;
	return false;
}

/* --- readings --- */

void signal_value(struct signals *signals, size_t at, double value, int64_t at_ns)
{
	signals->readings[at] = (struct signal_reading){.known = true, .value = value, .at_ns = at_ns};
}

void signal_trouble(struct signals *signals, size_t at, const char *why)
{
	const char *before = signals->troubles[at];
	if (before == why || (before && why && strcmp(before, why) == 0))
		return;
	if (why)
		log_warn("a signal of load says nothing new", "signal=%s error=%s", named(signals->s)->items[at].name,
		    log_quote(why));
	else
		log_info("a signal of load is read again", "signal=%s", named(signals->s)->items[at].name);
	free(signals->troubles[at]);
	signals->troubles[at] = why ? xstrdup(why) : NULL;
}

static bool is_fresh(const struct scheduler *s, size_t at)
{
	return signal_fresh(&s->signals->readings[at], clock_now(), named(s)->stale_after_ns);
}

static bool is_peak(const struct scheduler *s, size_t at)
{
	return is_fresh(s, at) && signal_peaks(&named(s)->items[at], s->signals->readings[at].value);
}

static void read_pending(struct signals *signals)
{
	const struct scheduler *s = signals->s;
	for (size_t i = 0; i < named(s)->count && signals->listed; i++)
		if (named(s)->items[i].source == SIGNAL_PENDING_PODS)
			signal_value(signals, i, (double)signals->pending_gpus[named(s)->items[i].for_], clock_now());
}

/* --- what follows --- */

/* What the one says that calls for most, and when it said so. */
static int64_t wanted_by(const struct scheduler *s, uint32_t follows, int64_t *read_ns)
{
	int64_t most = 0;
	*read_ns = 0;
	for (size_t i = 0; i < named(s)->count; i++) {
		const struct signal_reading *reading = &s->signals->readings[i];
		int64_t gpus = follows & UINT32_C(1) << i && is_fresh(s, i)
		                   ? signal_wants(&named(s)->items[i], reading->value)
		                   : 0;
		if (gpus <= most)
			continue;
		most = gpus;
		*read_ns = reading->at_ns;
	}
	return most;
}

void signals_follow(struct scheduler *s)
{
	const struct policy *policy = s->policy.inforce;
	for (size_t i = 0; s->signals && i < policy->headroom_count; i++) {
		const struct policy_headroom *rule = &policy->headroom[i];
		int64_t read_ns, more = rule->follows ? wanted_by(s, rule->follows, &read_ns) : 0;
		if (rule->follows == 0 || !headroom_follow(s->fleet, i, more, read_ns, clock_now()))
			continue;
		log_debug("headroom follows its class's load", "for=%s pool=%s gpus=%lld",
		    policy->classes[rule->for_].name, policy->pools[rule->pool].name,
		    (long long)s->fleet->follows[i].floor);
	}
}

void signals_look(struct scheduler *s)
{
	struct signals *signals = s->signals;
	if (!signals || !scheduler_synced(s))
		return;
	read_pending(signals);
	signal_autoscalers_look(signals);
	signal_query_look(signals);
	for (size_t i = 0; i < named(s)->count; i++)
		if (is_peak(s, i))
			signals->peaked_ns[i] = clock_now();
	headroom_look(s);
}

static void signals_on_timer(uv_timer_t *timer)
{
	signals_look(timer->data);
}

bool signals_calm(const struct scheduler *s, const char *class_name, int64_t for_ns)
{
	const struct policy *policy = s->policy.inforce;
	for (size_t i = 0; s->signals && i < named(s)->count; i++)
		if (strcmp(policy->classes[named(s)->items[i].for_].name, class_name) == 0 &&
		    (is_peak(s, i) ||
		        (s->signals->peaked_ns[i] > 0 && clock_now() - s->signals->peaked_ns[i] < for_ns)))
			return false;
	return true;
}

/* --- begin, change, end --- */

static bool is_same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/* Under the same name, from the same source. */
static bool says_the_same(const struct policy *before, size_t old, const struct policy *policy, size_t at)
{
	const struct policy_signal *other = &before->signals.items[old], *signal = &policy->signals.items[at];
	return strcmp(other->name, signal->name) == 0 && other->source == signal->source &&
	       is_same(other->query, signal->query) && is_same(before->signals.url, policy->signals.url);
}

static void keep_reading(struct signals *signals, const struct policy *before, const struct signals *old, size_t at)
{
	for (size_t i = 0; i < before->signals.count; i++) {
		if (!says_the_same(before, i, signals->s->policy.inforce, at))
			continue;
		signals->readings[at] = old->readings[i];
		signals->peaked_ns[at] = old->peaked_ns[i];
	}
}

/* Some signal that both rules follow says the same by both policies, and means as many GPUs. */
static bool follow_the_same(const struct policy *before, uint32_t old, const struct policy *policy, uint32_t follows)
{
	for (size_t i = 0; i < before->signals.count; i++)
		for (size_t k = 0; k < policy->signals.count; k++)
			if (old & UINT32_C(1) << i && follows & UINT32_C(1) << k &&
			    says_the_same(before, i, policy, k) &&
			    before->signals.items[i].gpus_per >= policy->signals.items[k].gpus_per &&
			    before->signals.items[i].gpus_per <= policy->signals.items[k].gpus_per)
				return true;
	return false;
}

void signals_keep_follows(
    struct scheduler *s, const struct policy *before, const struct signal_follow follows[POLICY_HEADROOMS_MAX])
{
	const struct policy *policy = s->policy.inforce;
	bool taken[POLICY_HEADROOMS_MAX] = {false};
	for (size_t at = 0; at < policy->headroom_count; at++)
		for (size_t i = 0; i < before->headroom_count; i++) {
			const struct policy_headroom *old = &before->headroom[i], *rule = &policy->headroom[at];
			if (taken[i] ||
			    strcmp(before->classes[old->for_].name, policy->classes[rule->for_].name) != 0 ||
			    strcmp(before->pools[old->pool].name, policy->pools[rule->pool].name) != 0 ||
			    !follow_the_same(before, old->follows, policy, rule->follows))
				continue;
			taken[i] = true;
			headroom_keep_follow(s->fleet, at, &follows[i]);
			break;
		}
}

static void signals_free(struct signals *signals)
{
	signal_query_close(signals);
	signal_autoscalers_close(signals);
	signal_pods_drop(signals);
	for (size_t i = 0; i < POLICY_SIGNALS_MAX; i++)
		free(signals->troubles[i]);
	free(signals);
}

void signals_start(struct scheduler *s)
{
	if (s->signals)
		signal_autoscalers_follow(s->signals);
}

void signals_policy(struct scheduler *s, const struct policy *before)
{
	struct signals *old = s->signals;
	s->signals = NULL;
	if (named(s)->count > 0 && !s->stopping) {
		s->signals = xcalloc(1, sizeof *s->signals);
		s->signals->s = s;
		for (size_t i = 0; old && before && i < named(s)->count; i++)
			keep_reading(s->signals, before, old, i);
		uv_timer_start(&s->signal_timer, signals_on_timer, 0, LOOK_MS);
	} else {
		uv_timer_stop(&s->signal_timer);
	}
	if (old)
		signals_free(old);
	signals_start(s);
	/* What pods say by the new classes is not known of those that were shown before. */
	if (s->signals && s->pods &&
	    (signal_has(s->signals, SIGNAL_AUTOSCALERS) || signal_has(s->signals, SIGNAL_PENDING_PODS)))
		scheduler_list_pods(s);
}

void signals_close(struct scheduler *s)
{
	if (s->signals)
		signals_free(s->signals);
	s->signals = NULL;
}

/* --- what is said --- */

static int64_t age_s(const struct scheduler *s, size_t at)
{
	int64_t age_ns = clock_now() - s->signals->readings[at].at_ns;
	return age_ns > 0 ? age_ns / NS_PER_S : 0;
}

void signals_report(const struct scheduler *s, struct buf *out)
{
	const struct signals *signals = s->signals;
	if (!signals)
		return;
	for (size_t i = 0; i < named(s)->count; i++)
		if (signals->troubles[i])
			buf_printf(out, "info signal %s: %s\n", named(s)->items[i].name, signals->troubles[i]);
	if (signals->watch && !signals->refused && kube_watch_state(signals->watch).synced)
		buf_text(out, "ok   horizontalpodautoscalers.autoscaling: watched\n");
}

static const char *source_text(const struct policy_signal *signal)
{
	return signal->source == SIGNAL_QUERY         ? "query"
	       : signal->source == SIGNAL_AUTOSCALERS ? "autoscalers"
	                                              : "pendingPods";
}

void signals_write(const struct scheduler *s, struct buf *out)
{
	for (size_t i = 0; s->signals && i < named(s)->count; i++) {
		const struct policy_signal *signal = &named(s)->items[i];
		const struct signal_reading *reading = &s->signals->readings[i];
		buf_text(out, i ? ",\n{" : "\n{");
		member(out, "name", signal->name);
		next_member(out, "for", s->policy.inforce->classes[signal->for_].name);
		next_member(out, "from", source_text(signal));
		if (reading->known)
			buf_printf(out, ",\"value\":%.12g,\"ageSeconds\":%lld", reading->value, (long long)age_s(s, i));
		else
			buf_text(out, ",\"value\":null,\"ageSeconds\":null");
		bool fresh = is_fresh(s, i);
		buf_printf(out, ",\"fresh\":%s,\"gpus\":%lld,\"peak\":%s,", fresh ? "true" : "false",
		    fresh ? (long long)signal_wants(signal, reading->value) : 0, is_peak(s, i) ? "true" : "false");
		member(out, "error", s->signals->troubles[i]);
		buf_char(out, '}');
	}
}

void signals_write_follow(const struct scheduler *s, size_t at, struct buf *out)
{
	const struct policy_headroom *rule = &s->policy.inforce->headroom[at];
	bool any = false;
	if (rule->follows == 0)
		return;
	buf_printf(out, ",\"follow\":{\"floor\":%lld,\"max\":%lld,\"signals\":[",
	    (long long)s->fleet->follows[at].floor, (long long)rule->follow_max);
	for (size_t i = 0; i < named(s)->count; i++) {
		if (!(rule->follows & UINT32_C(1) << i))
			continue;
		if (any)
			buf_char(out, ',');
		buf_json_string(out, slice_of(named(s)->items[i].name));
		any = true;
	}
	buf_text(out, "]}");
}

void signals_gather(struct scheduler *s)
{
	metric_reset(s->instruments.signal_value);
	metric_reset(s->instruments.signal_age);
	for (size_t i = 0; s->signals && i < named(s)->count; i++) {
		const struct signal_reading *reading = &s->signals->readings[i];
		if (!reading->known)
			continue;
		metric_set(s->instruments.signal_value, reading->value, named(s)->items[i].name, NULL);
		metric_set(s->instruments.signal_age, (double)(clock_now() - reading->at_ns) / (double)NS_PER_S,
		    named(s)->items[i].name, NULL);
	}
}
