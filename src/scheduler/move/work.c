/* Bound pods of ours by their nearest controller: what ends together with what, and what is known of it that the ledger
 * does not keep. */
#include <stdlib.h>
#include <string.h>

#include "scheduler/move/internal.h"

#define LWS_NAME "leaderworkerset.sigs.k8s.io/name"
#define LWS_GROUP "leaderworkerset.sigs.k8s.io/group-index"

struct work_pod *work_find(const struct scheduler *s, const char *uid)
{
	return s->moves ? map_get(&s->moves->pods, slice_of(uid)) : NULL;
}

/* --- pods come and go --- */

static bool is_kind(const struct pod *pod, const char *kind)
{
	return pod->owner_kind_count > 0 && strcmp(pod->owner_kinds[0], kind) == 0;
}

static enum work_way way_of(const struct pod *pod)
{
	if (!pod->owner_uid || !pod->owner_name || pod->owner_kind_count == 0)
		return WORK_ALONE;
	if (suspend_kind_of(pod->owner_kinds[0]))
		return WORK_SUSPENDED;
	if (is_kind(pod, "StatefulSet") && labels_get(&pod->labels, LWS_NAME) && labels_get(&pod->labels, LWS_GROUP))
		return WORK_GROUP;
	if (suspend_recreates(pod->owner_kinds[0]))
		return WORK_REPLICAS;
	return is_kind(pod, "DaemonSet") || is_kind(pod, "Node") ? WORK_NEVER : WORK_ALONE;
}

/* The pods of a group stand under two StatefulSets, that of the leaders and one of its own. */
static void write_key(const struct pod *pod, enum work_way way, struct buf *key)
{
	if (way == WORK_GROUP)
		buf_printf(key, "lws/%s/%s/%s", pod->namespace_, labels_get(&pod->labels, LWS_NAME),
		    labels_get(&pod->labels, LWS_GROUP));
	else
		buf_text(key, way == WORK_ALONE || way == WORK_NEVER ? pod->uid : pod->owner_uid);
}

static char *copy(const char *text)
{
	return text ? xstrdup(text) : NULL;
}

static struct work *work_of(struct moves *moves, const struct pod *pod)
{
	enum work_way way = way_of(pod);
	struct buf key;
	buf_init(&key, 2048);
	write_key(pod, way, &key);
	struct work *work = map_get(&moves->works, buf_slice(&key));
	if (!work) {
		work = xcalloc(1, sizeof *work);
		*work = (struct work){.key = xstrdup(key.data),
		    .namespace_ = xstrdup(pod->namespace_),
		    .owner_kind = pod->owner_kind_count > 0 ? xstrdup(pod->owner_kinds[0]) : NULL,
		    .owner_name = copy(pod->owner_name),
		    .owner_uid = copy(pod->owner_uid),
		    .way = way};
		map_put(&moves->works, slice_of(work->key), work);
		if (way != WORK_SUSPENDED && way != WORK_NEVER)
			maker_join(moves, work, pod, way == WORK_GROUP ? labels_get(&pod->labels, LWS_GROUP) : NULL);
	}
	buf_free(&key);
	return work;
}

static void work_free(struct work *work)
{
	free(work->key);
	free(work->namespace_);
	free(work->owner_kind);
	free(work->owner_name);
	free(work->owner_uid);
	free(work->top);
	free(work);
}

static void take_out(struct moves *moves, struct work_pod *pod)
{
	struct work *work = pod->work;
	*pod->link = pod->next;
	if (pod->next)
		pod->next->link = pod->link;
	map_remove(&moves->pods, slice_of(pod->uid));
	free(pod->uid);
	free(pod->name);
	free(pod);
	if (--work->count > 0)
		return;
	map_remove(&moves->works, slice_of(work->key));
	maker_leave(moves, work);
	work_free(work);
}

static struct work_pod *put_in(struct moves *moves, const struct pod *pod)
{
	struct work *work = work_of(moves, pod);
	struct work_pod *kept = xcalloc(1, sizeof *kept);
	*kept = (struct work_pod){.work = work, .uid = xstrdup(pod->uid), .name = xstrdup(pod->name)};
	kept->next = work->pods;
	kept->link = &work->pods;
	if (work->pods)
		work->pods->link = &kept->next;
	work->pods = kept;
	work->count++;
	map_put(&moves->pods, slice_of(kept->uid), kept);
	return kept;
}

void moves_saw(struct scheduler *s, const struct pod *pod)
{
	struct moves *moves = s->moves;
	if (!moves)
		return;
	struct move_place *place = map_get(&moves->by_place, slice_of(pod->uid));
	if (place && !place->bound) {
		place->bound = true;
		moves_soon(s);
	}
	if (!scheduler_owns(pod))
		return;
	struct work_pod *kept = map_get(&moves->pods, slice_of(pod->uid));
	if (!kept) {
		kept = put_in(moves, pod);
		room_returned(s, pod);
	}
	kept->start_ns = pod->started_ns > 0 ? pod->started_ns : pod->created_ns;
	/* KubeRay makes a suspended cluster anew, that of a RayJob, too: what runs there begins from its start. */
	kept->checkpoint_ns = is_kind(pod, "RayCluster") || is_kind(pod, "RayJob") ? 0 : pod->checkpoint_ns;
	kept->priority = pod->priority;
	kept->grace_s = pod->grace_s;
	if (pod->deleting && !kept->deleting)
		kept->ends_ns = clock_now() + pod->grace_s * NS_PER_S;
	kept->deleting = pod->deleting;
	kept->keep =
	    (pod->not_safe ? VICTIMS_KEEP_NOT_SAFE : 0u) | (pod->do_not_disrupt ? VICTIMS_KEEP_DO_NOT_DISRUPT : 0u);
	kept->mark = s->pod_list;
	enum reason why;
	const struct policy *policy = s->policy.inforce;
	const struct policy_class *class_ = policy_class_of(policy, pod, &why);
	kept->class_ = class_ ? (uint16_t)(class_ - policy->classes) : UINT16_MAX;
	kept->policy_version = s->fleet->policy_version;
}

void moves_gone(struct scheduler *s, struct slice uid)
{
	struct moves *moves = s->moves;
	if (!moves)
		return;
	struct move_place *place = map_get(&moves->by_place, uid);
	struct work_pod *pod = map_get(&moves->pods, uid);
	if (place) {
		place->gone = true;
		moves_soon(s);
	}
	if (pod)
		take_out(moves, pod);
	if (pod && moves->list)
		moves_soon(s);
}

void work_free_all(struct moves *moves)
{
	size_t cursor = 0;
	for (struct work_pod *pod; (pod = map_next(&moves->pods, &cursor));) {
		free(pod->uid);
		free(pod->name);
		free(pod);
	}
	cursor = 0;
	for (struct work *work; (work = map_next(&moves->works, &cursor));)
		work_free(work);
	map_free(&moves->pods);
	map_free(&moves->works);
}

/* --- what a work is part of --- */

/* A Job that something unknown controls would be missed by it. */
static bool may_be_under(const char *kind)
{
	return strcmp(kind, "CronJob") == 0 || suspend_kind_of(kind);
}

/* Nothing above it suspends it. */
static bool is_top(const struct owners_job *job)
{
	return !job->owner_kind || !suspend_kind_of(job->owner_kind);
}

const char *work_unit(const struct scheduler *s, const struct work *work, const char **kind)
{
	struct owners_job job;
	if (work->way == WORK_GROUP)
		return work->key;
	if (work->way != WORK_SUSPENDED)
		return NULL;
	*kind = work->owner_kind;
	if (strcmp(work->owner_kind, "Job") != 0)
		return work->top ? work->top : work->owner_uid;
	if (!owners_find(s->owners, work->owner_uid, &job))
		return NULL; /* not shown yet: it may be Kueue's */
	/* Below what Kueue does not manage, what it manages is its own alone. */
	if ((job.queued && !(s->policy.inforce->moves.kueue && is_top(&job))) ||
	    (job.owner_kind && !may_be_under(job.owner_kind)))
		return NULL;
	if (work->top)
		return work->top;
	if (is_top(&job) || !job.owner_uid)
		return work->owner_uid;
	*kind = job.owner_kind;
	return job.owner_uid;
}

bool unit_has(const struct move_unit *unit, const struct pod *pod)
{
	struct owners_job job;
	if (strcmp(pod->namespace_, unit->namespace_) != 0 || !pod->owner_uid)
		return false;
	for (size_t i = 0; i < unit->key_count; i++)
		if (strcmp(unit->keys[i], pod->owner_uid) == 0)
			return true;
	if (unit->suspends && suspend_ends(unit->suspends, unit->name, unit->uid, pod))
		return true;
	return owners_find(unit->move->s->owners, pod->owner_uid, &job) && job.owner_uid &&
	       strcmp(job.owner_uid, unit->id) == 0;
}

size_t unit_pods_found(const struct move_unit *unit)
{
	const struct scheduler *s = unit->move->s;
	size_t count = 0, cursor = 0;
	for (const struct work *work; (work = map_next(&s->moves->works, &cursor));) {
		if (work->way != WORK_SUSPENDED || strcmp(work->namespace_, unit->namespace_) != 0)
			continue;
		const struct ledger_entry *entry = ledger_find(s->fleet, slice_of(work->pods->uid));
		struct pod *pod = entry ? ledger_pod(entry) : NULL;
		if (pod && unit_has(unit, pod))
			count += work->count;
		if (pod)
			pod_free(pod);
	}
	return count;
}

const struct policy_class *work_class(struct scheduler *s, struct work_pod *kept)
{
	const struct policy *policy = s->policy.inforce;
	if (kept->policy_version != s->fleet->policy_version) {
		enum reason why;
		const struct ledger_entry *entry = ledger_find(s->fleet, slice_of(kept->uid));
		struct pod *pod = entry ? ledger_pod(entry) : NULL;
		if (pod)
			owners_resolve(s->owners, pod);
		const struct policy_class *class_ = pod ? policy_class_of(policy, pod, &why) : NULL;
		kept->class_ = class_ ? (uint16_t)(class_ - policy->classes) : UINT16_MAX;
		kept->policy_version = s->fleet->policy_version;
		if (pod)
			pod_free(pod);
	}
	return kept->class_ == UINT16_MAX ? NULL : &policy->classes[kept->class_];
}
