/* Wake-ups: a rejected pod sleeps until one of its own events, a node's, or five minutes later, and berth's state also
 * changes where kube-scheduler sees nothing: a reservation expires, the policy changes, berth's own watch catches up.
 * So berth writes one annotation on each pod that would now be accepted, which makes the scheduler ask again. */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "scheduler/gang/gang.h"

#define WAKE_DELAY_MS 20 /* events of one burst are answered together */
#define WAKE_INTERVAL_MS 50
#define SLEEPERS_MS 5000 /* kube-scheduler asks sooner about what it has in its queue */
#define ANNOTATION_MAX 256
#define WAKE_KEY_MAX 24

struct wake_write {
	struct scheduler *scheduler;
	char *uid;
	char key[WAKE_KEY_MAX]; /* of that wake-up: the one before may still be written */
};

static void write_free(struct wake_write *write)
{
	free(write->uid);
	free(write);
}

/* A pod that is gone keeps no room from others. Any other is woken once more when its turn ends. */
static void patched(void *ctx, const struct kube_answer *answer)
{
	struct wake_write *write = ctx;
	struct scheduler *s = write->scheduler;
	map_remove(&s->wakes, slice_of(write->key));
	if (answer->code == 0 && answer->status == 404) {
		waiting_absent(s->waiting, slice_of(write->uid));
		wake_soon(s, REASON_CODE_WAKE_ROOM);
	} else if (answer->code != 0 || answer->status >= 300) {
		log_warn("a pod could not be woken", "uid=%s status=%u error=%s", write->uid, answer->status,
		    log_quote(answer->error ? answer->error : ""));
		waiting_unwoken(s->waiting, slice_of(write->uid));
	}
	write_free(write);
}

void wake_annotation(struct scheduler *s, enum reason cause, uint64_t number, struct buf *out)
{
	buf_printf(out, "\"berth.dev/wake\":\"%s/%llu\"", reason_code(cause), (unsigned long long)number);
	metric_add(s->instruments.wakeups, 1, reason_code(cause), NULL);
}

static void wake(void *ctx, struct waiting_pod *waiting, struct node *node)
{
	struct scheduler *s = ctx;
	struct buf annotation;
	struct wake_write *write = xcalloc(1, sizeof *write);
	*write = (struct wake_write){.scheduler = s, .uid = xstrdup(waiting->pod->uid)};
	snprintf(write->key, sizeof write->key, "%llu", (unsigned long long)++s->wakes_made);
	map_put(&s->wakes, slice_of(write->key), write);
	buf_init(&annotation, ANNOTATION_MAX);
	buf_char(&annotation, '{');
	wake_annotation(s, s->wake_cause, waiting->woken_total, &annotation);
	buf_char(&annotation, '}');
	kube_annotate(s->kube, pod_ref(waiting->pod), buf_slice(&annotation), patched, write);
	buf_free(&annotation);
	log_debug("pod woken", "pod=%s/%s for=%s cause=%s", waiting->pod->namespace_, waiting->pod->name, node->name,
	    reason_code(s->wake_cause));
}

static void start_timer(struct scheduler *s, uint64_t ms)
{
	if (!s->stopping && !uv_is_active((uv_handle_t *)&s->wake_timer))
		uv_timer_start(&s->wake_timer, wake_on_timer, ms, 0);
}

void wake_soon(struct scheduler *s, enum reason cause)
{
	if (!s->wake_due) {
		s->wake_due = true;
		s->wake_cause = cause;         /* of several within the delay, the first */
		uv_timer_stop(&s->wake_timer); /* it may stand for the end of a turn, later */
		start_timer(s, WAKE_DELAY_MS);
	}
}

void wake_on_timer(uv_timer_t *timer)
{
	struct scheduler *s = timer->data;
	int64_t now = clock_now();
	s->wake_due = false;
	if (!scheduler_synced(s) || !lease_may_write(s))
		return; /* a list under way calls again when it is complete, a role when it changes */
	int64_t turn_ends = waiting_expire(s->waiting, s->fleet, now, wake, s);
	gang_now(s);
	struct node *improved = fleet_take_improved(s->fleet);
	size_t woken = waiting_count(s->waiting) == 0
	                   ? 0
	                   : waiting_wake_for(s->waiting, s->fleet, improved, now, WAKES_PER_PASS, wake, s);
	if (woken > 0)
		turn_ends = now + WAITING_TURN_NS < turn_ends ? now + WAITING_TURN_NS : turn_ends;
	if (woken == WAKES_PER_PASS) {
		s->wake_due = true;
		start_timer(s, WAKE_INTERVAL_MS);
	} else if (turn_ends != LEDGER_NEVER) {
		start_timer(s, turn_ends > now ? (uint64_t)((turn_ends - now) / NS_PER_MS) + 1 : 1);
	}
}

void wake_single(struct scheduler *s, struct tracked *tracked)
{
	struct pod *pod = tracked->pod;
	if (!tracked->asked) {
		roster_backlog_add(s->roster, tracked);
		hint_soon(s);
		wake_sleepers_later(s);
		return;
	}
	waiting_put(s->waiting, pod, REASON_CODE_GANG_SIZE_UNKNOWN, clock_now(), clock_wall());
	s->wake_cause = REASON_CODE_WAKE_GANG;
	if (waiting_wake_one(s->waiting, s->fleet, slice_of(pod->uid), clock_now(), wake, s))
		wake_soon(s, REASON_CODE_WAKE_GANG); /* its turn ends in time */
}

/* --- pods rejected by the process before this one: kube-scheduler does not ask again, and nothing here remembers ---
 */

static bool sleeps(const struct scheduler *s, const struct tracked *tracked)
{
	return !tracked->asked && !tracked->pod->gated && !tracked->pod->deleting && !tracked->pod->gang &&
	       !ledger_find(s->fleet, slice_of(tracked->pod->uid));
}

static void sleepers_on_timer(uv_timer_t *timer)
{
	struct scheduler *s = timer->data;
	size_t cursor = 0;
	/* A backlog is hinted, which wakes its pods, too. */
	if (!scheduler_synced(s) || !lease_may_write(s) || s->roster->backlog_count >= HINT_BACKLOG_MIN) {
		wake_sleepers_later(s);
		return;
	}
	for (struct tracked *tracked; (tracked = roster_next(s->roster, &cursor));) {
		if (!sleeps(s, tracked))
			continue;
		roster_asked(s->roster, tracked);
		hint_withdraw(s, tracked); /* nothing is held for it, and others are kept from that node */
		waiting_put(s->waiting, tracked->pod, REASON_CODE_NOT_SYNCED, clock_now(), clock_wall());
	}
	if (waiting_count(s->waiting) == 0)
		return;
	fleet_set_policy(s->fleet, s->policy.inforce); /* every node is offered anew */
	wake_soon(s, REASON_CODE_WAKE_NODE);
}

void wake_sleepers_later(struct scheduler *s)
{
	if (!s->stopping)
		uv_timer_start(&s->sleepers_timer, sleepers_on_timer, SLEEPERS_MS, 0);
}

void wake_close(struct scheduler *s)
{
	size_t cursor = 0;
	for (struct wake_write *write; (write = map_next(&s->wakes, &cursor));)
		write_free(write);
	map_free(&s->wakes);
}

void wake_now(struct scheduler *s)
{
	if (!s->wake_due)
		return;
	uv_timer_stop(&s->wake_timer);
	wake_on_timer(&s->wake_timer);
}
