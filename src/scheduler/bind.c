/* The bind verb: the room reserved becomes a Binding, and the call is answered when the Binding exists, or cannot. One
 * job per pod UID, however many calls wait for it. A pod that nobody here knows (berth was restarted, the watch lags)
 * is read first. */
#include <stdlib.h>

#include "base/log.h"
#include "cluster/pod.h"
#include "scheduler/gang/gang.h"

#define BIND_DEADLINE_MS 25000 /* kube-scheduler's timeout of the bind entry is longer; given up well before 30 s */
#define READ_DEADLINE_MS 12000 /* of it, for reading a pod that is not known here */
#define PATH_MAX_BYTES 1024
#define ANNOTATIONS_MAX 8192

struct waiter {
	struct verbs_bind *parked;
	struct waiter *next;
};

struct bind_job {
	struct scheduler *s; /* NULL once the scheduler is closing */
	char *uid, *namespace_, *name, *node;
	struct waiter *waiters;
	bool pod_gone;
	bool parked; /* no Binding is under way: it waits for the rest of its gang */
	int64_t began_ns;
};

static void job_free(struct bind_job *job)
{
	free(job->uid);
	free(job->namespace_);
	free(job->name);
	free(job->node);
	free(job);
}

static char *copy(struct slice text)
{
	return xstrndup(text.at, text.len);
}

static void add_waiter(struct bind_job *job, struct verbs_bind *parked)
{
	struct waiter *waiter = xcalloc(1, sizeof *waiter);
	*waiter = (struct waiter){parked, job->waiters};
	job->waiters = waiter;
	verbs_bind_set(parked, job);
}

static void answer_waiters(struct bind_job *job, const char *error)
{
	while (job->waiters) {
		struct waiter *waiter = job->waiters;
		job->waiters = waiter->next;
		verbs_bind_answer(waiter->parked, error);
		free(waiter);
	}
}

/* The job is over: the reservation's pin is taken off, whoever waits is answered. */
static void finish(struct bind_job *job, enum reason reason)
{
	struct scheduler *s = job->s;
	struct ledger_entry *entry = ledger_find(s->fleet, slice_of(job->uid));
	if (entry && entry->state != LEDGER_BOUND)
		ledger_pin(s->fleet, entry, false, clock_now());
	expire_soon(s);
	metric_add(s->instruments.decisions, 1, reason == REASON_CODE_BOUND ? "bound" : "not_bound",
	    reason_code(reason), NULL);
	metric_observe(s->instruments.bind_seconds, (double)(clock_now() - job->began_ns) / (double)NS_PER_S, NULL);
	answer_waiters(job, reason == REASON_CODE_BOUND ? NULL : reason_text(reason));
	map_remove(&s->binds, slice_of(job->uid));
	gang_bind_ended(s, slice_of(job->uid), reason == REASON_CODE_BOUND);
	job_free(job);
}

/* --- the Binding --- */

static void binding_done(void *ctx, enum kube_bind_result result, const char *error)
{
	static const enum reason reasons[] = {
	    [KUBE_BOUND] = REASON_CODE_BOUND,
	    [KUBE_BOUND_ELSEWHERE] = REASON_CODE_BOUND_ELSEWHERE,
	    [KUBE_POD_GONE] = REASON_CODE_POD_GONE,
	    [KUBE_BIND_REFUSED] = REASON_CODE_BIND_REFUSED,
	    [KUBE_BIND_FAILED] = REASON_CODE_BIND_FAILED,
	};
	struct bind_job *job = ctx;
	struct scheduler *s = job->s;
	struct ledger_entry *entry = ledger_find(s->fleet, slice_of(job->uid));
	if (result != KUBE_BOUND)
		log_warn("a pod was not bound", "pod=%s/%s node=%s reason=%s error=%s", job->namespace_, job->name,
		    job->node, reason_code(reasons[result]), log_quote(error ? error : ""));
	if (result == KUBE_POD_GONE && entry && entry->state != LEDGER_BOUND) {
		feed_forget(s, slice_of(job->uid), REASON_CODE_WAKE_ROOM);
	} else if (result == KUBE_BOUND && entry && !job->pod_gone) {
		waiting_remove(s->waiting, slice_of(job->uid));
		struct tracked *tracked = roster_find(s->roster, slice_of(job->uid));
		if (tracked && entry->state != LEDGER_BOUND)
			ledger_reserve(s->fleet, tracked->pod, slice_of(job->node), LEDGER_BOUND,
			    scheduler_owns(tracked->pod), clock_now(), 0);
	}
	finish(job, reasons[result]);
}

/* Of the deadline, which is one for reading the pod and for its Binding. Not 0, which would stand for a default. */
static unsigned left_ms(const struct bind_job *job)
{
	int64_t left = job->began_ns + BIND_DEADLINE_MS * NS_PER_MS - clock_now();
	return left > NS_PER_MS ? (unsigned)(left / NS_PER_MS) : 1;
}

static void post(struct bind_job *job, const struct pod *pod, struct ledger_entry *entry)
{
	struct scheduler *s = job->s;
	struct buf annotations;
	buf_init(&annotations, ANNOTATIONS_MAX);
	ledger_pin(s->fleet, entry, true, clock_now());
	annotation_write(s, pod, entry, &annotations);
	kube_bind(s->kube, (struct kube_pod_ref){job->namespace_, job->name, job->uid}, job->node,
	    buf_slice(&annotations), left_ms(job), binding_done, job);
	buf_free(&annotations);
}

static void reserve_then_post(struct bind_job *job, const struct pod *pod)
{
	struct scheduler *s = job->s;
	struct ledger_entry *entry = ledger_reserve(s->fleet, pod, slice_of(job->node), LEDGER_ASSUMED,
	    scheduler_owns(pod), clock_now(), scheduler_ttl(s, pod));
	waiting_remove(s->waiting, slice_of(job->uid));
	wake_soon(s, REASON_CODE_WAKE_ROOM); /* its turn, or room held elsewhere, may just have been given up */
	post(job, pod, entry);
}

/* --- gangs: the calls of their members wait for one another --- */

static void park_or_post(struct bind_job *job, const struct pod *pod)
{
	struct scheduler *s = job->s;
	enum reason reason = gang_bind(s, pod, job->node, &job->parked);
	if (reason != REASON_CODE_FITS)
		finish(job, reason);
	else if (!job->parked)
		reserve_then_post(job, pod);
}

void bind_let_through(struct scheduler *s, struct slice uid)
{
	struct bind_job *job = map_get(&s->binds, uid);
	struct tracked *tracked = roster_find(s->roster, uid);
	if (!job || !job->parked || !tracked)
		return;
	job->parked = false;
	job->began_ns = clock_now();
	reserve_then_post(job, tracked->pod);
}

void bind_refuse(struct scheduler *s, struct slice uid, enum reason reason)
{
	struct bind_job *job = map_get(&s->binds, uid);
	if (job && job->parked)
		finish(job, reason);
}

/* --- room --- */

/* Room on the given node for a pod that holds none there, or whose node has gone since (the API server would take a
 * Binding to it): it is judged anew. */
static void place_then_post(struct bind_job *job, const struct pod *pod)
{
	struct scheduler *s = job->s;
	struct node *node = fleet_find(s->fleet, slice_of(job->node));
	enum reason reason = node && node->spec ? decide_node(s->fleet, pod, node, NULL) : REASON_CODE_NODE_UNKNOWN;
	if (reason != REASON_CODE_FITS) {
		struct ledger_entry *entry = ledger_find(s->fleet, slice_of(job->uid));
		if (entry && !entry->node->spec)
			ledger_release(s->fleet, entry);
		finish(job, reason);
		return;
	}
	reserve_then_post(job, pod);
}

/* --- a pod that is not known here --- */

/* The tracked pod, its owners as known by now; no hint may follow. */
static const struct pod *asked_for(struct scheduler *s, struct tracked *tracked)
{
	roster_asked(s->roster, tracked);
	feed_learn(s, tracked->pod);
	return tracked->pod;
}

static void pod_was_read(void *ctx, const struct kube_answer *answer)
{
	struct bind_job *job = ctx;
	struct scheduler *s = job->s;
	struct err err;
	struct pod *old;
	if (answer->code != 0 || answer->status != 200) {
		finish(job, answer->status == 404 ? REASON_CODE_POD_GONE : REASON_CODE_BIND_FAILED);
		return;
	}
	struct pod *pod = cluster_pod_decode(answer->body, &s->fleet->names, true, &err);
	if (!pod) {
		log_error("a pod cannot be read", "error=%s", log_quote(err.text));
		finish(job, REASON_CODE_BIND_FAILED);
		return;
	}
	bool gone = job->pod_gone || strcmp(pod->uid, job->uid) != 0 || pod->terminal;
	enum reason reason = gone ? REASON_CODE_POD_GONE : REASON_CODE_FITS;
	const struct ledger_entry *entry = ledger_find(s->fleet, slice_of(job->uid));
	const char *bound_to = entry && entry->state == LEDGER_BOUND ? entry->node->name : pod->node;
	if (!gone && bound_to)
		reason = strcmp(bound_to, job->node) == 0 ? REASON_CODE_BOUND : REASON_CODE_BOUND_ELSEWHERE;
	if (reason != REASON_CODE_FITS) {
		finish(job, reason);
		pod_free(pod);
		return;
	}
	struct tracked *tracked = roster_find(s->roster, slice_of(pod->uid));
	if (tracked)
		pod_free(pod); /* the watch has shown it meanwhile, no older */
	else
		tracked = roster_put(s->roster, pod, clock_now(), &old);
	const struct pod *asked = asked_for(s, tracked);
	if (asked->gang)
		park_or_post(job, asked);
	else
		place_then_post(job, asked);
}

static void read_pod_first(struct bind_job *job)
{
	char path[PATH_MAX_BYTES];
	snprintf(path, sizeof path, "/api/v1/namespaces/%s/pods/%s", job->namespace_, job->name);
	kube_call(job->s->kube, &(struct kube_call_spec){.method = "GET",
	                            .path = path,
	                            .repeatable = true,
	                            .deadline_ms = READ_DEADLINE_MS,
	                            .done = pod_was_read,
	                            .ctx = job});
}

/* --- the verb --- */

bool bind_path_safe(struct slice name)
{
	for (size_t i = 0; i < name.len; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-.", name.at[i]) || name.at[i] == '\0')
			return false;
	return name.len > 0 && name.len <= 253;
}

void bind_begin(void *ctx, const struct wire_bind *bind, struct verbs_bind *parked)
{
	struct scheduler *s = ctx;
	if (!scheduler_synced(s)) {
		verbs_bind_answer(parked, reason_text(REASON_CODE_NOT_SYNCED));
		return;
	}
	struct bind_job *job = map_get(&s->binds, bind->pod_uid);
	if (job && !job->pod_gone && slice_is(bind->node, job->node)) {
		add_waiter(job, parked);
		return;
	}
	struct ledger_entry *entry = ledger_find(s->fleet, bind->pod_uid);
	bool bound = entry && entry->state == LEDGER_BOUND;
	enum reason reason = REASON_CODE_FITS;
	if (bound)
		reason = slice_is(bind->node, entry->node->name) ? REASON_CODE_BOUND : REASON_CODE_BOUND_ELSEWHERE;
	else if (job)
		reason = job->pod_gone ? REASON_CODE_POD_GONE : REASON_CODE_BOUND_ELSEWHERE;
	else if (!bind_path_safe(bind->pod_namespace) || !bind_path_safe(bind->pod_name))
		reason = REASON_CODE_BIND_REFUSED;
	if (reason != REASON_CODE_FITS) {
		verbs_bind_answer(parked, reason == REASON_CODE_BOUND ? NULL : reason_text(reason));
		return;
	}
	if (!lease_may_write(s)) {
		verbs_bind_answer(parked, reason_text(REASON_CODE_NOT_ACTIVE));
		return;
	}
	job = xcalloc(1, sizeof *job);
	*job = (struct bind_job){.s = s,
	    .uid = copy(bind->pod_uid),
	    .namespace_ = copy(bind->pod_namespace),
	    .name = copy(bind->pod_name),
	    .node = copy(bind->node),
	    .began_ns = clock_now()};
	map_put(&s->binds, slice_of(job->uid), job);
	add_waiter(job, parked);
	struct tracked *tracked = roster_find(s->roster, slice_of(job->uid));
	if (!tracked)
		read_pod_first(job);
	else if (tracked->pod->gang)
		park_or_post(job, asked_for(s, tracked));
	else if (entry && entry->node->spec && !node_is_shut(entry->node) && strcmp(entry->node->name, job->node) == 0)
		reserve_then_post(job, asked_for(s, tracked));
	else
		place_then_post(job, asked_for(s, tracked));
}

void bind_gone(void *ctx, struct verbs_bind *parked)
{
	(void)ctx;
	struct bind_job *job = verbs_bind_get(parked);
	for (struct waiter **at = &job->waiters; *at; at = &(*at)->next) {
		if ((*at)->parked != parked)
			continue;
		struct waiter *waiter = *at;
		*at = waiter->next;
		free(waiter);
		break;
	}
	if (job->parked && !job->waiters)
		finish(job, REASON_CODE_STOPPING);
}

void bind_pod_gone(struct scheduler *s, struct slice uid)
{
	struct bind_job *job = map_get(&s->binds, uid);
	if (!job || job->pod_gone)
		return;
	if (job->parked) {
		finish(job, REASON_CODE_POD_GONE);
		return;
	}
	job->pod_gone = true;
	answer_waiters(job, reason_text(REASON_CODE_POD_GONE));
}

void bind_close(struct scheduler *s)
{
	size_t cursor = 0;
	for (struct bind_job *job; (job = map_next(&s->binds, &cursor));) {
		answer_waiters(job, reason_text(REASON_CODE_STOPPING));
		job_free(job);
	}
	map_free(&s->binds);
}
