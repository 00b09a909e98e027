/* The pace of kube-scheduler. A pod whose turn comes before its hint has landed costs a full pass, and its hint for
 * nothing. So while hints are under way, filter's answer about the pod before waits until the next in line has its own:
 * kube-scheduler stands still for that moment, and the API server has the time. In a burst this is needed at the
 * beginning, and whenever writes fall behind; then hints land well ahead. */
#include "scheduler/internal.h"

#define PACE_MAX_MS 200   /* far below the extender's timeout */
#define PACE_SETTLE_MS 25 /* kube-scheduler's own watch may be a moment behind; measured, with processors busy */
#define PACE_REST_MS 1000 /* after a wait in which no hint landed at all, so that little is lost by it */

/* How long from now until the next in line may have its turn. */
static uint64_t wait_ms(const struct scheduler *s)
{
	const struct tracked *next = roster_hinted(s->roster);
	if (!next)
		return hint_is_coming(s) ? PACE_MAX_MS : 0;
	if (next->hint_state == HINT_COMING)
		return PACE_MAX_MS;
	int64_t since_ms = (clock_now() - next->landed_ns) / NS_PER_MS;
	return since_ms < PACE_SETTLE_MS ? (uint64_t)(PACE_SETTLE_MS - since_ms) : 0;
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

void pace_look(struct scheduler *s)
{
	uint64_t wait;
	if (!is_waiting(s))
		return;
	wait = wait_ms(s);
	if (wait == 0)
		go_on(s);
	else if (wait < uv_timer_get_due_in(&s->pace_timer))
		uv_timer_start(&s->pace_timer, pace_on_timer, wait, 0);
}

void pace_on_timer(uv_timer_t *timer)
{
	struct scheduler *s = timer->data;
	if (s->hint_landed_ns < s->pace_began_ns && wait_ms(s) > 0)
		s->pace_rests_ns = clock_now() + PACE_REST_MS * NS_PER_MS;
	go_on(s);
}
