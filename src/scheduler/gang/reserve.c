/* reserveAfter: the first gang in line, of those whose class has it, is promised a start where what is known of run
 * times tells one, and the nodes that it will start on are held for it from then on; until then they take what ends
 * before (berth/hold.h). Where nothing tells one the next gang is looked at, and so it is for nodes of other pools. One
 * that was promised keeps its nodes, whoever comes before it in line, until it is planned, here or elsewhere, or could
 * start clearly sooner on others.
 *
 * Its start is foreseen anew while it waits, once a second at most and in steps. Guesses may prove wrong: half as long
 * again after the promise nobody behind it is let in any more. */
#include <stdlib.h>

#include "base/log.h"
#include "berth/forecast.h"
#include "scheduler/gang/ask.h"
#include "scheduler/gang/internal.h"
#include "scheduler/json.h"

#define LOOK_MS 500
#define STEP_MS 10                   /* between steps of a forecast … */
#define STEP_NS (4 * NS_PER_MS)      /* … of so much each */
#define LOOK_NS NS_PER_S             /* between two forecasts of a gang */
#define VAIN_NS (5 * NS_PER_S)       /* after one in vain */
#define PAUSE_PER_LOOK 20            /* times what the last took, of any gang: a twentieth of the loop at most */
#define ELSEWHERE_NS (10 * NS_PER_S) /* between two that look beyond the nodes that it has */

struct reserve {
	char *gang; /* its key */
	struct gang_asking *asking;
	struct forecast_search *search;
	struct map uids; /* of its members */
	size_t old_count, old_room;
	struct pod **olds;  /* pods of members that changed meanwhile: the forecast goes by these */
	const char **names; /* of the nodes that it has, or NULL: all nodes are looked at */
	int64_t took_ns;
};

static bool is_on(const struct scheduler *s)
{
	return s->policy.inforce && s->policy.inforce->reserves;
}

/* --- whose turn it is --- */

static bool has_reservations(const struct scheduler *s, const struct gang *gang)
{
	const struct policy_class *class_ = gang_class(s, gang);
	return class_ && class_->gang.reserve_after_ns >= 0;
}

static bool is_due(const struct scheduler *s, const struct gang *gang, int64_t now)
{
	return gang->state == GANG_QUEUED && gang_is_complete(gang) && gang->why != REASON_CODE_TEAM_LIMIT &&
	       has_reservations(s, gang) &&
	       (gang->promised_ns != 0 ||
	           now - gang_without_room_since(gang, now) >= gang_class(s, gang)->gang.reserve_after_ns);
}

static bool was_in_vain(const struct gang *gang)
{
	return gang->elsewhere_ns != 0 && gang->held_nodes == 0;
}

static bool is_long_ago(const struct gang *gang, int64_t now, int64_t pause_ns)
{
	return gang && (gang->forecast_ns == 0 || now - gang->forecast_ns >= pause_ns);
}

static struct gang *first_of(struct gang *gang, struct gang *first)
{
	return !first || gangs_order(gang, first) < 0 ? gang : first;
}

/* The first that was not looked at in vain, or one that has nodes, whoever was looked at longest ago; else the first of
 * those in vain. */
static struct gang *next_gang(const struct scheduler *s, int64_t now)
{
	size_t cursor = 0;
	struct gang *first = NULL, *held = NULL, *vain = NULL;
	for (struct gang *gang; (gang = gangs_next(s->gangs, &cursor));) {
		if (!is_due(s, gang, now))
			continue;
		if (gang->held_nodes > 0)
			held = !held || gang->forecast_ns < held->forecast_ns ? gang : held;
		else if (!was_in_vain(gang))
			first = first_of(gang, first);
		else if (is_long_ago(gang, now, VAIN_NS))
			vain = first_of(gang, vain);
	}
	if (!first || (held && held->forecast_ns < first->forecast_ns))
		first = held;
	return is_long_ago(first, now, LOOK_NS) ? first : vain;
}

void gang_reserve_again(struct scheduler *s)
{
	size_t cursor = 0;
	for (struct gang *gang; (gang = gangs_next(s->gangs, &cursor));)
		if (gang->held_nodes == 0)
			gang->forecast_ns = gang->elsewhere_ns = 0;
}

/* --- a forecast --- */

static void asked(struct reserve *reserve)
{
	for (size_t i = 0; i < reserve->old_count; i++)
		pod_free(reserve->olds[i]);
	free(reserve->olds);
	map_free(&reserve->uids);
	free(reserve->gang);
	gang_asked(reserve->asking);
	free(reserve->names);
	free(reserve);
}

void gang_reserve_drop(struct scheduler *s)
{
	struct reserve *reserve = s->reserve;
	struct forecast forecast;
	s->reserve = NULL;
	if (s->gangs_rebuilt && !s->stopping) /* or nothing is to be ended, either */
		uv_timer_start(&s->reserve_timer, gang_reserve_on_timer, LOOK_MS, 0);
	if (!reserve)
		return;
	forecast_finish(reserve->search, &forecast);
	forecast_free(&forecast);
	asked(reserve);
}

bool gang_reserve_keeps(struct scheduler *s, struct pod *old)
{
	struct reserve *reserve = s->reserve;
	if (!reserve || !map_get(&reserve->uids, slice_of(old->uid)))
		return false;
	reserve->olds = xgrow(reserve->olds, reserve->old_count, &reserve->old_room, sizeof *reserve->olds);
	reserve->olds[reserve->old_count++] = old;
	return true;
}

void gang_reserve_changes(struct scheduler *s, struct slice uid)
{
	if (s->reserve && map_get(&s->reserve->uids, uid))
		gang_reserve_drop(s);
}

static void limit(const struct scheduler *s, struct reserve *reserve, size_t place, size_t nodes)
{
	size_t cursor = 0, count = 0;
	reserve->names = xcalloc(nodes + 1, sizeof *reserve->names);
	for (const struct node *node; (node = map_next(&s->fleet->nodes, &cursor));)
		if (node->held & 1u << place && count < nodes)
			reserve->names[count++] = node->name;
	for (size_t i = 0; i < reserve->asking->request.count; i++) {
		reserve->asking->members[i].limited = true;
		reserve->asking->members[i].only = (struct plan_names){count, reserve->names};
	}
}

static void begin(struct scheduler *s, struct gang *gang, int64_t now)
{
	struct reserve *reserve = xcalloc(1, sizeof *reserve);
	size_t place = hold_find(s->fleet, gang->key);
	reserve->gang = xstrdup(gang->key);
	gang->forecast_ns = now;
	if (!gang_ask(s, gang, gang_quorum(gang), &reserve->asking)) {
		asked(reserve);
		return;
	}
	const struct plan_request *request = &reserve->asking->request;
	for (size_t i = 0; i < request->count; i++)
		map_put(&reserve->uids, slice_of(request->members[i].pod->uid), reserve);
	if (place < HOLDS_MAX && now - gang->elsewhere_ns < ELSEWHERE_NS)
		limit(s, reserve, place, gang->held_nodes);
	reserve->search = forecast_begin(s->fleet, request, now);
	forecast_step(reserve->search, FORECAST_EFFORT); /* before its nodes change */
	reserve->took_ns = clock_now() - now;
	s->reserve = reserve;
}

/* --- what comes of it --- */

static void promise(struct scheduler *s, struct gang *gang, size_t place, int64_t start_ns, int64_t now)
{
	if (gang->promised_ns == 0) {
		promises_changed(s);
		gang->promised_ns = start_ns;
		gang->promised_at_ns = now;
		log_info("a gang is promised a start", "name=%s/%s in_s=%lld nodes=%zu", gang->namespace_, gang->name,
		    (long long)((start_ns - now) / NS_PER_S), gang->held_nodes);
	}
	gang->start_ns = start_ns;
	hold_time(s->fleet, place, start_ns, hold_until(gang->promised_ns, gang->promised_at_ns), now);
	if (s->fleet->improved)
		wake_soon(s, REASON_CODE_WAKE_ROOM);
}

/* What stood there longer than it was to, or came by right, may take the start away; the nodes stay its own. */
static void unpromise(struct scheduler *s, struct gang *gang, size_t place, int64_t now)
{
	hold_time(s->fleet, place, 0, 0, now);
	gang->start_ns = 0;
	gang->elsewhere_ns = 0;
}

static void end_hold(struct scheduler *s, struct gang *gang, size_t place)
{
	gang->held_nodes = 0;
	hold_end(s->fleet, place);
	promises_changed(s);
	wake_soon(s, REASON_CODE_WAKE_ROOM);
}

/* One promise a pool: those further behind wait for their turn. */
static bool is_taken(const struct scheduler *s, const struct forecast *forecast)
{
	bool taken[POLICY_POOLS_MAX + 1] = {false};
	unsigned promised = 0;
	size_t cursor = 0;
	for (size_t place = 0; place < HOLDS_MAX; place++)
		if (s->fleet->holds[place].key && s->fleet->holds[place].start_ns > 0)
			promised |= 1u << place;
	for (const struct node *node; promised && (node = map_next(&s->fleet->nodes, &cursor));)
		if (node->held & promised)
			taken[node->pool < POLICY_POOLS_MAX ? node->pool : POLICY_POOLS_MAX] = true;
	for (size_t i = 0; i < forecast->count; i++) {
		uint16_t pool = forecast->nodes[i]->pool;
		if (taken[pool < POLICY_POOLS_MAX ? pool : POLICY_POOLS_MAX])
			return true;
	}
	return false;
}

static void apply(struct scheduler *s, struct gang *gang, const struct forecast *forecast, bool elsewhere, int64_t now)
{
	size_t place = hold_find(s->fleet, gang->key);
	if (elsewhere)
		gang->elsewhere_ns = now;
	if (gang->state != GANG_QUEUED || (forecast->start_ns != FORECAST_NEVER && forecast->start_ns <= now))
		return; /* there is room: it is planned next */
	if (forecast->start_ns == FORECAST_NEVER) {
		if (place < HOLDS_MAX && !elsewhere)
			unpromise(s, gang, place, now);
		return;
	}
	if (place == HOLDS_MAX && is_taken(s, forecast))
		return;
	if (place < HOLDS_MAX && elsewhere) {
		if (!hold_is_worse(&s->fleet->holds[place], forecast->start_ns, now))
			return;
		end_hold(s, gang, place);
		place = HOLDS_MAX;
	}
	if (place == HOLDS_MAX)
		place = gang_hold_begin(s, gang, forecast->nodes, forecast->count);
	if (place < HOLDS_MAX)
		promise(s, gang, place, forecast->start_ns, now);
}

/* False where it is not done yet. */
static bool go_on(struct scheduler *s)
{
	struct reserve *reserve = s->reserve;
	struct gang *gang = map_get(&s->gangs->by_key, slice_of(reserve->gang));
	struct forecast forecast;
	int64_t began = clock_now();
	bool done = false;
	int64_t took_ns = 0;
	while (!done && took_ns < STEP_NS) {
		done = forecast_step(reserve->search, FORECAST_EFFORT);
		took_ns = clock_now() - began;
	}
	reserve->took_ns += took_ns;
	if (!done || took_ns >= STEP_NS)
		return false;
	s->reserve = NULL;
	forecast_finish(reserve->search, &forecast);
	if (gang) {
		apply(s, gang, &forecast, !reserve->names, clock_now());
		gang->forecast_ns = clock_now();
	}
	s->reserve_after_ns = clock_now() + reserve->took_ns * PAUSE_PER_LOOK;
	forecast_free(&forecast);
	asked(reserve);
	return true;
}

/* A gang whose class has no reservations any more goes by holdDomainAfter again. */
static void end_those_over(struct scheduler *s)
{
	for (size_t place = 0; place < HOLDS_MAX; place++) {
		struct node_hold *hold = &s->fleet->holds[place];
		struct gang *gang = hold->key ? map_get(&s->gangs->by_key, slice_of(hold->key)) : NULL;
		if (!gang || (hold->start_ns == 0 && gang->promised_ns == 0))
			continue;
		const struct policy_class *class_ = gang_class(s, gang);
		hold->gang_class = class_ ? (size_t)(class_ - s->policy.inforce->classes) : SIZE_MAX;
		if (class_ && class_->gang.reserve_after_ns >= 0)
			continue;
		gang->promised_ns = gang->start_ns = 0;
		end_hold(s, gang, place);
	}
}

void gang_reserve_on_timer(uv_timer_t *timer)
{
	struct scheduler *s = timer->data;
	int64_t now = clock_now();
	end_those_over(s);
	bool awaited = promises_tick(s);
	if (!is_on(s) || s->stopping || !s->gangs_rebuilt || !lease_may_write(s))
		return; /* begun again as gangs stand in line */
	hold_pass(s->fleet, now);
	struct gang *gang = s->reserve || now < s->reserve_after_ns ? NULL : next_gang(s, now);
	if (gang)
		begin(s, gang, now);
	bool more = s->reserve && (clock_now() - now >= STEP_NS || !go_on(s));
	if (more || awaited || s->gangs->in_state[GANG_QUEUED] > 0)
		uv_timer_start(timer, gang_reserve_on_timer, more ? STEP_MS : LOOK_MS, 0);
}

void gang_reserve(struct scheduler *s)
{
	if (is_on(s) && !s->stopping && !uv_is_active((uv_handle_t *)&s->reserve_timer))
		uv_timer_start(&s->reserve_timer, gang_reserve_on_timer, 0, 0);
}

/* --- what is said --- */

void gang_reserve_started(struct scheduler *s, struct gang *gang)
{
	int64_t error = clock_now() - gang->promised_ns;
	if (gang->promised_ns != 0) {
		log_info("a gang has started", "name=%s/%s promised_in_s=%lld late_s=%lld", gang->namespace_,
		    gang->name, (long long)((gang->promised_ns - gang->promised_at_ns) / NS_PER_S),
		    (long long)(error / NS_PER_S));
		metric_observe(
		    s->instruments.promise_error, (double)(error < 0 ? -error : error) / (double)NS_PER_S, NULL);
	}
	if (gang->promised_ns != 0)
		promises_changed(s);
	gang->promised_ns = gang->promised_at_ns = gang->start_ns = gang->elsewhere_ns = 0;
}

static void write_time(const char *name, int64_t at_ns, struct buf *out)
{
	char text[CLOCK_TEXT_MAX];
	clock_format(clock_wall() + (at_ns - clock_now()), text);
	next_member(out, name, at_ns != 0 ? text : NULL);
}

void gang_reserve_line(const struct gang *gang, struct buf *out)
{
	char text[CLOCK_TEXT_MAX];
	if (gang->promised_ns == 0)
		return;
	clock_format(clock_wall() + (gang->promised_ns - clock_now()), text);
	buf_printf(out, "; promised to start by %.16sZ", text); /* to the minute: it is written anew as it changes */
}

bool gang_reserve_help(const struct scheduler *s, const struct pod *pod, struct buf *line)
{
	int64_t left_ns = 0;
	for (size_t place = 0; place < HOLDS_MAX; place++)
		if (s->fleet->holds[place].key && s->fleet->holds[place].left_ns > left_ns)
			left_ns = s->fleet->holds[place].left_ns;
	if (left_ns < NS_PER_S)
		return false;
	buf_printf(line,
	    "nodes are kept for gangs that start in %lld s at the latest; before, they take pods that end: ",
	    (long long)(left_ns / NS_PER_S));
	if (pod->runtime_ns == 0)
		buf_text(line, "the pod says no " POD_RUNTIME);
	else
		buf_printf(line, "this one is expected to run for %lld s", (long long)(pod->runtime_ns / NS_PER_S));
	return true;
}

void gang_reserve_write(const struct scheduler *s, const struct gang *gang, struct buf *out)
{
	if (!has_reservations(s, gang))
		return;
	write_time("start", gang->state == GANG_QUEUED ? gang->start_ns : 0, out);
	write_time("promised", gang->promised_ns, out);
	if (gang->start_ns != 0 && gang->state == GANG_QUEUED)
		buf_printf(out, ",\"startSeconds\":%lld", (long long)((gang->start_ns - clock_now()) / NS_PER_S));
}
