/* Headroom: windows by the clock and the zones of the policy, handed to the core, which holds the room. A look a second
 * at most, and only while the policy has headroom; the choice of nodes is made anew when something changed that could
 * change it. */
#include <stdlib.h>

#include "base/calendar.h"
#include "base/log.h"
#include "berth/headroom.h"
#include "scheduler/json.h"
#include "scheduler/signal/signal.h"

#define LOOK_MS 1000

static size_t rule_count(const struct scheduler *s)
{
	return s->policy.inforce->headroom_count;
}

static const char *class_name(const struct scheduler *s, const struct policy_headroom *rule)
{
	return s->policy.inforce->classes[rule->for_].name;
}

/* --- windows --- */

static struct calendar_state state_of(const struct scheduler *s, size_t i, int64_t now_s)
{
	const struct policy_headroom *rule = &s->policy.inforce->headroom[i];
	struct calendar calendar = {.days = rule->days,
	    .from_minute = rule->from_minute,
	    .to_minute = rule->to_minute,
	    .zone = s->headroom_zones[i]};
	if (!rule->has_when || !calendar.zone)
		return (struct calendar_state){.open = true, .opens_s = now_s, .changes_s = INT64_MAX};
	return calendar_at(&calendar, now_s);
}

static void set_windows(struct scheduler *s)
{
	struct headroom_window windows[POLICY_HEADROOMS_MAX];
	int64_t now = clock_wall();
	for (size_t i = 0; i < rule_count(s); i++) {
		struct calendar_state state = state_of(s, i, now / NS_PER_S);
		const struct policy_headroom *rule = &s->policy.inforce->headroom[i];
		windows[i] = (struct headroom_window){.open = state.open};
		if (!state.open)
			windows[i].left_ns = state.opens_s == INT64_MAX ? INT64_MAX : state.opens_s * NS_PER_S - now;
		if (state.open != s->fleet->windows[i].open)
			log_info(state.open ? "GPUs are kept free from now on" : "GPUs are lent from now on",
			    "for=%s pool=%s gpus=%lld", class_name(s, rule), s->policy.inforce->pools[rule->pool].name,
			    (long long)rule->gpus);
	}
	headroom_windows(s->fleet, windows, rule_count(s));
}

/* --- looks --- */

void headroom_look(struct scheduler *s)
{
	if (rule_count(s) == 0 || !scheduler_synced(s))
		return;
	set_windows(s);
	signals_follow(s);
	if (headroom_due(s->fleet) && headroom_place(s->fleet))
		log_debug("headroom", "nodes are chosen anew");
	if (s->fleet->improved)
		wake_soon(s, REASON_CODE_WAKE_ROOM);
}

void headroom_on_timer(uv_timer_t *timer)
{
	struct scheduler *s = timer->data;
	headroom_look(s);
}

static void free_zones(struct scheduler *s)
{
	for (size_t i = 0; i < POLICY_HEADROOMS_MAX; i++) {
		zone_free(s->headroom_zones[i]);
		s->headroom_zones[i] = NULL;
	}
}

/* The zones were there when the policy was read; one that is gone since is said, and its window stays open. */
void headroom_rules_changed(struct scheduler *s)
{
	struct err err;
	free_zones(s);
	for (size_t i = 0; i < rule_count(s); i++) {
		const char *zone = s->policy.inforce->headroom[i].time_zone;
		if (zone_load(slice_of(zone), &s->headroom_zones[i], &err) != 0)
			log_error("a time zone cannot be read: GPUs are kept free at all times", "zone=%s error=%s",
			    zone, log_quote(err.text));
	}
	if (rule_count(s) == 0 || s->stopping)
		uv_timer_stop(&s->headroom_timer);
	else
		uv_timer_start(&s->headroom_timer, headroom_on_timer, LOOK_MS, LOOK_MS);
	headroom_look(s);
}

void headroom_close(struct scheduler *s)
{
	free_zones(s);
}

/* --- what is said --- */

static void time_member(struct buf *out, const char *name, int64_t at_s)
{
	char text[CLOCK_TEXT_MAX];
	buf_char(out, ',');
	if (at_s != INT64_MAX)
		clock_format(at_s * NS_PER_S, text);
	member(out, name, at_s == INT64_MAX ? NULL : text);
}

void headroom_write(const struct scheduler *s, struct buf *out)
{
	buf_char(out, '[');
	for (size_t i = 0; i < rule_count(s); i++) {
		const struct policy_headroom *rule = &s->policy.inforce->headroom[i];
		struct headroom_state state = headroom_state_of(s->fleet, i);
		struct calendar_state window = state_of(s, i, clock_wall() / NS_PER_S);
		buf_text(out, i ? ",\n{" : "\n{");
		member(out, "for", class_name(s, rule));
		next_member(out, "pool", s->policy.inforce->pools[rule->pool].name);
		buf_printf(out,
		    ",\"gpus\":%lld,\"open\":%s,\"wanted\":%lld,\"used\":%lld,\"held\":%lld,\"lent\":%lld,"
		    "\"missing\":%lld,\"nodes\":%zu,\"due\":%lld",
		    (long long)rule->gpus, s->fleet->windows[i].open ? "true" : "false", (long long)state.wanted,
		    (long long)state.used, (long long)state.held, (long long)state.lent, (long long)state.missing,
		    state.nodes, (long long)state.due);
		signals_write_follow(s, i, out);
		time_member(out, "changes", window.changes_s);
		buf_char(out, '}');
	}
	buf_char(out, ']');
}

bool headroom_keeps_from(const struct scheduler *s, const struct policy_class *class_, size_t i, int64_t *gpus)
{
	*gpus = 0;
	for (const struct headroom_hold *hold = s->fleet->headroom; hold; hold = hold->next)
		if (hold->rule == i)
			*gpus += headroom_kept_from(s->fleet, class_, hold->node);
	return *gpus > 0;
}

void headroom_line(const struct scheduler *s, size_t i, int64_t gpus, struct buf *out)
{
	const struct policy_headroom *rule = &s->policy.inforce->headroom[i];
	struct calendar_state window = state_of(s, i, clock_wall() / NS_PER_S);
	char text[CLOCK_TEXT_MAX];
	buf_printf(out, "%lld GPUs of pool %s are kept free for class %s", (long long)gpus,
	    s->policy.inforce->pools[rule->pool].name, class_name(s, rule));
	if (s->fleet->follows[i].floor > rule->gpus)
		buf_printf(out, ", which has %lld by its load", (long long)s->fleet->follows[i].floor);
	if (window.changes_s == INT64_MAX)
		return;
	clock_format(window.changes_s * NS_PER_S, text);
	buf_printf(out, window.open ? " until %s" : ", whose time begins %s", text);
}
