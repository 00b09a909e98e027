/* The pace of kube-scheduler. A pod whose turn comes before its hint has landed costs a full pass, and its hint for
 * nothing. So while hints are under way, filter's answer about the pod before waits until the next in line has its own:
 * kube-scheduler stands still for that moment, and the API server has the time. In a burst this is needed at the
 * beginning, and whenever writes fall behind; then hints land well ahead. Where pods come about as fast as they are
 * placed, it takes a look at whoever comes next, too: else each that finds the line empty would go ahead of its hint.
 */
#include "scheduler/internal.h"

#define PACE_MAX_MS 200   /* far below the extender's timeout */
#define PACE_SETTLE_MS 25 /* kube-scheduler's own watch may be a moment behind; measured, with processors busy */
#define PACE_STREAM_MS 30 /* from one pod that comes to the next, in a stream of them */
#define PACE_REST_MS 1000 /* after a wait in which no hint landed at all, so that little is lost by it */

static uint64_t left_ms(uint64_t of_ms, int64_t since_ns, int64_t now_ns)
{
	int64_t gone_ms = (now_ns - since_ns) / NS_PER_MS;
	return gone_ms < (int64_t)of_ms ? of_ms - (uint64_t)gone_ms : 0;
}

/* How long from now until the next in line may have its turn. */
static uint64_t wait_ms(const struct scheduler *s)
{
	const struct tracked *next = roster_hinted(s->roster);
	int64_t now = clock_now();
	if (next)
		return next->hint_state == HINT_COMING ? PACE_MAX_MS : left_ms(PACE_SETTLE_MS, next->landed_ns, now);
	if (hint_is_coming(s))
		return PACE_MAX_MS;
	return hint_streams(s) ? left_ms(PACE_STREAM_MS, s->arrived_ns, now) : 0;
}

static bool is_waiting(const struct scheduler *s)
{
	return uv_is_active((const uv_handle_t *)&s->pace_timer);
}

bool pace_holds(void *ctx)
{
	struct scheduler *s = ctx;
	uint64_t wait;
	s->answered_ns = clock_now();
	if (s->stopping || fleet_node_count(s->fleet) < HINT_FLEET_MIN || s->answered_ns < s->pace_rests_ns)
		return false;
	if (is_waiting(s))
		return true;
	wait = wait_ms(s);
	if (wait == 0)
		return false;
	s->pace_began_ns = s->answered_ns;
	uv_timer_start(&s->pace_timer, pace_on_timer, wait, 0);
	return true;
}

static void go_on(struct scheduler *s)
{
	s->answered_ns = clock_now();
	metric_add(s->instruments.paced_seconds, (double)(s->answered_ns - s->pace_began_ns) / (double)NS_PER_S, NULL);
	uv_timer_stop(&s->pace_timer);
	verbs_release(s->verbs);
}

/* For as long as there is to wait for, and no longer than is good. */
static void go_on_or_wait(struct scheduler *s)
{
	uint64_t wait = wait_ms(s), left = left_ms(PACE_MAX_MS, s->pace_began_ns, clock_now());
	if (wait > 0 && left > 0) {
		uv_timer_start(&s->pace_timer, pace_on_timer, wait < left ? wait : left, 0);
		return;
	}
	if (wait > 0 && s->hint_landed_ns < s->pace_began_ns)
		s->pace_rests_ns = clock_now() + PACE_REST_MS * NS_PER_MS;
	go_on(s);
}

void pace_look(struct scheduler *s)
{
	if (is_waiting(s))
		go_on_or_wait(s);
}

void pace_on_timer(uv_timer_t *timer)
{
	go_on_or_wait(timer->data);
}
