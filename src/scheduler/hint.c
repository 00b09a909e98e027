/* The hinted road. A pod's cycle costs kube-scheduler most where all feasible nodes are filtered and sent; with
 * status.nominatedNodeName set it tries that node alone. So when pods stand in line, berth plans those in front as its
 * watch shows them, reserves, and writes the name. A hint that comes late, or is lost, changes nothing but speed. */
#include <stdlib.h>

#include "base/log.h"
#include "scheduler/advise.h"
#include "scheduler/gang/gang.h"

#define HINTS_OUTSTANDING 256 /* planned reservations at a time: what the scheduler takes within a few seconds */
#define HINT_DELAY_MS 5
/* A full pass costs kube-scheduler some 5 us a node, a hint costs the API server one more write, some 2.5 ms (both
 * bench/road). So hints pay in a fleet of some size, as long as their writes, many at a time, are done faster than so
 * many passes. In a small fleet pods are hinted where the API server has time for it; in any, while kube-scheduler
 * leaves them unasked. */
#define HINT_PASS_NS_A_NODE 5000       /* until passes have been seen */
#define HINT_PASS_MAX_NS NS_PER_S      /* what takes longer was not the pass alone */
#define HINT_QUICK_NS (15 * NS_PER_MS) /* a write that takes longer has waited for others */
#define HINT_MEMORY 8                  /* writes, or passes, that a mean goes over */
#define HINT_UNASKED_MS 250
#define HINT_STREAM_NS (250 * NS_PER_MS) /* from one that was followed to the next: more than filter waits */
#define HINT_FULL_MS 100                 /* until the next look while no more may be outstanding */
#define HINTS_PER_TURN 32                /* then other work of the loop comes in between */
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
	if (tracked && (answer->code != 0 || answer->status >= 300))
		roster_hint(s->roster, tracked, HINT_NONE, 0); /* else the watch shows it */
	if (answer->code != 0 || (answer->status >= 300 && answer->status != 404 && answer->status != 409))
		log_warn("a pod could not be hinted", "status=%u error=%s", answer->status,
		    log_quote(answer->error ? answer->error : ""));
	if (tracked && !write->last && !same_node(write->node, tracked->hint) && !s->stopping)
		nominate(s, tracked);
	else if (tracked && tracked->pod->gang && !s->stopping)
		gang_nominated(s, tracked);
	write_free(write);
	pace_look(s);
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
	bool stands = same_node(pod->nominated, decision.node->name);
	roster_hint(s->roster, tracked, stands ? HINT_LANDED : HINT_COMING, clock_now());
	if (!stands)
		nominate(s, tracked);
}

void hint_seen(struct scheduler *s, struct tracked *tracked)
{
	if (tracked->hint_state != HINT_COMING || !same_node(tracked->pod->nominated, tracked->hint))
		return;
	s->hint_landed_ns = clock_now();
	roster_hint(s->roster, tracked, HINT_LANDED, s->hint_landed_ns);
	pace_look(s);
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

/* How long a write takes of late; each second since the last forgets half of it. */
static int64_t took(const struct scheduler *s, int64_t now)
{
	int64_t seconds = (now - s->hint_done_ns) / NS_PER_S;
	return seconds > 30 ? 0 : s->hint_took_ns >> seconds;
}

/* How long a full pass takes of late. */
static int64_t pass(const struct scheduler *s)
{
	return s->pass_took_ns > 0 ? s->pass_took_ns : HINT_PASS_NS_A_NODE * (int64_t)fleet_node_count(s->fleet);
}

void hint_saw_pass(struct scheduler *s, const struct pod *pod)
{
	const struct tracked *tracked = roster_find(s->roster, slice_of(pod->uid));
	int64_t took_ns = clock_now() - s->answered_ns;
	s->followed_ns = 0;
	if (!tracked || tracked->since_ns > s->answered_ns || took_ns > HINT_PASS_MAX_NS)
		return; /* kube-scheduler may have had nothing to do meanwhile */
	s->pass_took_ns = pass(s) + (took_ns - pass(s)) / HINT_MEMORY;
}

void hint_was_followed(struct scheduler *s)
{
	s->followed_ns = clock_now();
	metric_add(s->instruments.hints_followed, 1, NULL);
	hint_soon(s); /* one that waits is enough now */
}

bool hint_streams(const struct scheduler *s)
{
	return s->followed_ns > 0 && clock_now() - s->followed_ns < HINT_STREAM_NS &&
	       fleet_node_count(s->fleet) >= HINT_FLEET_MIN;
}

/* Whether a hint pays now. */
static bool pays(const struct scheduler *s, int64_t now)
{
	bool large = fleet_node_count(s->fleet) >= HINT_FLEET_MIN;
	return took(s, now) <= (large ? HINTS_IN_FLIGHT * pass(s) : HINT_QUICK_NS);
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
	size_t enough = hint_streams(s) ? 1 : HINT_BACKLOG_MIN;
	return !s->stopping && lease_may_write(s) && s->roster->backlog_count >= enough &&
	       s->hints.count < HINTS_IN_FLIGHT;
}

bool hint_is_coming(const struct scheduler *s)
{
	return may_hint(s) && pays(s, clock_now()) && !is_full(s);
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
	if (!scheduler_synced(s) || gang_unread(s))
		return;
	wake_now(s); /* those who were rejected stand before those who have not asked yet */
	while (may_hint(s) && done < HINTS_PER_TURN && not_before(s) == 0) {
		struct tracked *tracked = roster_backlog_pop(s->roster);
		/* A pod whose scores only kube-scheduler knows is left to its full pass. */
		feed_learn(s, tracked->pod);
		if (!advise_applies(s, tracked->pod))
			hint(s, tracked);
		done++;
	}
	pace_look(s);
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
	roster_hint(s->roster, tracked, HINT_NONE, 0);
	free(tracked->hint);
	tracked->hint = NULL;
	if (ours)
		nominate(s, tracked);
}

void hint_leave(struct scheduler *s, struct tracked *tracked)
{
	struct hint_write *write = map_get(&s->hints, slice_of(tracked->pod->uid));
	roster_hint(s->roster, tracked, HINT_NONE, 0);
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
