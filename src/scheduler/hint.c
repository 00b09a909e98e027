/* The hinted road. A pod's cycle costs kube-scheduler most where all feasible nodes are filtered and sent; with
 * status.nominatedNodeName set it tries that node alone. So when pods stand in line, berth plans those in front as its
 * watch shows them, reserves, and writes the name. A hint that comes late, or is lost, changes nothing but speed. */
#include <stdlib.h>

#include "base/log.h"
#include "scheduler/advise.h"

#define HINTS_OUTSTANDING 256 /* planned reservations at a time: what the scheduler takes within a few seconds */
#define HINTS_IN_FLIGHT 32    /* writes at a time: creations and Bindings share the way */
#define HINT_DELAY_MS 5
/* A full pass costs kube-scheduler some 5 us a node, a hint costs the API server one more write, some 2.5 ms, and one
 * that lands after its pod's cycle is wasted (bench/road). In a large fleet a pass takes longer than the write. In a
 * smaller one the pods in front are left to their own cycles and those well behind them are hinted; in a small one pods
 * are hinted where the API server has time for it, and while kube-scheduler leaves them unasked. */
#define HINT_FLEET_LARGE 2000
#define HINT_FLEET_SMALL 500
#define HINT_AHEAD 48                  /* pods: their cycles take longer than a write does while others write, too */
#define HINT_QUICK_NS (15 * NS_PER_MS) /* a write that takes longer has waited for others */
#define HINT_MEMORY 8                  /* writes, that the mean goes over */
#define HINT_UNASKED_MS 250
#define HINT_FULL_MS 100  /* until the next look while no more may be outstanding */
#define HINTS_PER_TURN 32 /* then other work of the loop comes in between */
#define STATUS_MAX 512

struct hint_write {
	struct scheduler *scheduler;
	char *uid, *node; /* node NULL: taken back */
	bool last;        /* whatever is wanted when it is done, somebody else has written since */
	int64_t begun_ns;
};

static void nominate(struct scheduler *s, struct tracked *tracked);

static void write_free(struct hint_write *write)
{
	free(write->uid);
	free(write->node);
	free(write);
}

static bool same_node(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static void hinted(void *ctx, const struct kube_answer *answer)
{
	struct hint_write *write = ctx;
	struct scheduler *s = write->scheduler;
	struct tracked *tracked = roster_find(s->roster, slice_of(write->uid));
	map_remove(&s->hints, slice_of(write->uid));
	s->hint_done_ns = clock_now();
	s->hint_took_ns += (s->hint_done_ns - write->begun_ns - s->hint_took_ns) / HINT_MEMORY;
	if (answer->code != 0 || (answer->status >= 300 && answer->status != 404 && answer->status != 409))
		log_warn("a pod could not be hinted", "status=%u error=%s", answer->status,
		    log_quote(answer->error ? answer->error : ""));
	if (tracked && !write->last && !same_node(write->node, tracked->hint) && !s->stopping)
		nominate(s, tracked);
	else if (tracked && tracked->pod->gang && !s->stopping)
		gang_nominated(s, tracked);
	write_free(write);
	hint_soon(s);
}

/* Two writes of one pod at a time could land in either order. */
static void nominate(struct scheduler *s, struct tracked *tracked)
{
	struct hint_write *write;
	struct buf status;
	if (map_get(&s->hints, slice_of(tracked->pod->uid)))
		return;
	buf_init(&status, STATUS_MAX);
	buf_text(&status, "\"status\":{\"nominatedNodeName\":");
	if (tracked->hint)
		buf_json_string(&status, slice_of(tracked->hint));
	else
		buf_text(&status, "null");
	buf_char(&status, '}');
	write = xcalloc(1, sizeof *write);
	write->scheduler = s;
	write->begun_ns = clock_now();
	write->uid = xstrdup(tracked->pod->uid);
	write->node = tracked->hint ? xstrdup(tracked->hint) : NULL;
	map_put(&s->hints, slice_of(write->uid), write);
	kube_patch_status(s->kube, pod_ref(tracked->pod), status.data, hinted, write);
	buf_free(&status);
}

static void hint(struct scheduler *s, struct tracked *tracked)
{
	struct decision decision;
	struct pod *pod = tracked->pod;
	waiting_hold_turns(s->waiting, s->fleet); /* no hint past a pod that was just woken for the room */
	decide_fleet_best(s->fleet, pod, &decision);
	waiting_release_turns(s->waiting, s->fleet);
	if (!decision.node) { /* its cycle will say why */
		hint_withdraw(s, tracked);
		return;
	}
	ledger_reserve(
	    s->fleet, pod, slice_of(decision.node->name), LEDGER_PLANNED, true, clock_now(), scheduler_ttl(s, pod));
	expire_soon(s);
	free(tracked->hint);
	tracked->hint = xstrdup(decision.node->name);
	log_debug("pod hinted", "pod=%s/%s node=%s", pod->namespace_, pod->name, decision.node->name);
	metric_add(s->instruments.hints, 1, NULL);
	if (!pod->nominated || strcmp(pod->nominated, decision.node->name) != 0)
		nominate(s, tracked);
}

bool hint_nominate(struct scheduler *s, struct tracked *tracked, const char *node)
{
	bool stands = same_node(tracked->pod->nominated, node) && !map_get(&s->hints, slice_of(tracked->pod->uid));
	char *copy = xstrdup(node);
	free(tracked->hint);
	tracked->hint = copy;
	if (!stands)
		nominate(s, tracked);
	return !stands;
}

static bool is_full(const struct scheduler *s)
{
	return s->fleet->ledger.count[LEDGER_PLANNED] >= HINTS_OUTSTANDING;
}

/* Pods that stand before the first in line and are not asked about yet. */
static size_t ahead(const struct scheduler *s)
{
	return s->fleet->ledger.count[LEDGER_PLANNED] + s->roster->left_count;
}

/* Leaves those in front to their own cycles where others stand behind them. */
static void leave_the_near(struct scheduler *s)
{
	size_t nodes = fleet_node_count(s->fleet);
	if (nodes < HINT_FLEET_SMALL || nodes >= HINT_FLEET_LARGE)
		return;
	while (ahead(s) < HINT_AHEAD && ahead(s) + s->roster->backlog_count > HINT_AHEAD)
		roster_leave(s->roster);
}

/* Whether the API server writes at once: what it took of late, of which each second that passes forgets half. */
static bool writes_are_quick(const struct scheduler *s, int64_t now)
{
	int64_t seconds = (now - s->hint_done_ns) / NS_PER_S;
	return seconds > 30 || s->hint_took_ns >> seconds <= HINT_QUICK_NS;
}

/* Whether a hint pays now. */
static bool pays(const struct scheduler *s, int64_t now)
{
	size_t nodes = fleet_node_count(s->fleet);
	if (nodes >= HINT_FLEET_LARGE)
		return true;
	return nodes >= HINT_FLEET_SMALL ? ahead(s) >= HINT_AHEAD : writes_are_quick(s, now);
}

/* How long to wait before the next look, in ms; 0 when it is time to hint. */
static uint64_t not_before(const struct scheduler *s)
{
	int64_t since = s->roster->backlog[0]->since_ns, now = clock_now(), unasked;
	if (is_full(s))
		return HINT_FULL_MS;
	if (pays(s, now))
		return 0;
	if (since < s->filter_ns)
		since = s->filter_ns;
	unasked = (now - since) / NS_PER_MS;
	return unasked >= HINT_UNASKED_MS ? 0 : (uint64_t)(HINT_UNASKED_MS - unasked);
}

static bool may_hint(const struct scheduler *s)
{
	return !s->stopping && lease_may_write(s) && s->roster->backlog_count >= HINT_BACKLOG_MIN &&
	       s->hints.count < HINTS_IN_FLIGHT;
}

void hint_soon(struct scheduler *s)
{
	uint64_t wait;
	if (!may_hint(s) || uv_is_active((uv_handle_t *)&s->hint_timer))
		return;
	wait = not_before(s);
	uv_timer_start(&s->hint_timer, hint_on_timer, wait > HINT_DELAY_MS ? wait : HINT_DELAY_MS, 0);
}

void hint_on_timer(uv_timer_t *timer)
{
	struct scheduler *s = timer->data;
	unsigned done = 0;
	if (!scheduler_synced(s))
		return;
	wake_now(s); /* those who were rejected stand before those who have not asked yet */
	leave_the_near(s);
	while (may_hint(s) && done < HINTS_PER_TURN && not_before(s) == 0) {
		struct tracked *tracked = roster_backlog_pop(s->roster);
		/* A pod whose scores only kube-scheduler knows is left to its full pass. */
		feed_learn(s, tracked->pod);
		if (!advise_applies(s, tracked->pod))
			hint(s, tracked);
		done++;
	}
	hint_soon(s);
}

bool hint_make_way(struct scheduler *s, const struct pod *pod)
{
	const struct ledger *ledger = &s->fleet->ledger;
	bool any = false;
	for (size_t i = 0; i < ledger->heap_count;) {
		struct ledger_entry *entry = ledger->heap[i];
		struct tracked *tracked = roster_find(s->roster, slice_of(entry->uid));
		if (entry->state != LEDGER_PLANNED || !tracked || tracked->pod->gang ||
		    tracked->pod->priority >= pod->priority) {
			i++;
			continue;
		}
		ledger_release(s->fleet, entry);
		roster_backlog_add(s->roster, tracked);
		any = true;
		i = 0; /* the heap has moved */
	}
	if (any)
		hint_soon(s);
	return any;
}

void hint_withdraw(struct scheduler *s, struct tracked *tracked)
{
	const char *nominated = tracked->pod->nominated;
	/* What somebody else has nominated since is not berth's to take away. */
	bool ours = tracked->hint && (!nominated || strcmp(nominated, tracked->hint) == 0);
	free(tracked->hint);
	tracked->hint = NULL;
	if (ours)
		nominate(s, tracked);
}

void hint_leave(struct scheduler *s, struct tracked *tracked)
{
	struct hint_write *write = map_get(&s->hints, slice_of(tracked->pod->uid));
	if (write)
		write->last = true;
	free(tracked->hint);
	tracked->hint = NULL;
}

void hint_adopt(struct scheduler *s)
{
	size_t cursor = 0;
	for (struct tracked *tracked; (tracked = roster_next(s->roster, &cursor));) {
		const struct policy_class *class_;
		enum reason why;
		if (tracked->hint || !tracked->pod->nominated || tracked->pod->gated)
			continue;
		feed_learn(s, tracked->pod);
		class_ = policy_class_of(s->policy.inforce, tracked->pod, &why);
		if (!class_ || class_->may_preempt_count == 0)
			tracked->hint = xstrdup(tracked->pod->nominated);
	}
}

void hint_close(struct scheduler *s)
{
	size_t cursor = 0;
	for (struct hint_write *write; (write = map_next(&s->hints, &cursor));)
		write_free(write);
	map_free(&s->hints);
}
