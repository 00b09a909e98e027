/* How long pods are expected to run: by annotation, of theirs or their Job's, or as their template ran before. Runs
 * that ended well teach; what a list still shows is learned as the policy begins to have use for it. Nothing here costs
 * anything while it has none. */
#include <stdlib.h>

#include "cluster/suspension.h"
#include "scheduler/internal.h"

#define UNKNOWN_MAX 65536 /* of a first list */

static const char *class_name(const struct policy_class *class_)
{
	return class_ ? class_->name : "";
}

static const struct policy_class *class_of(const struct scheduler *s, const struct pod *pod)
{
	enum reason why;
	return policy_class_of(s->policy.inforce, pod, &why);
}

static void write_key(
    const struct scheduler *s, const struct pod *pod, const struct policy_class *class_, char key[RUNTIMES_KEY_MAX])
{
	runtimes_key(pod, class_name(class_), decide_gpu_units(s->fleet, &pod->demand), key);
}

/* By its kind, as moves would end it; or because its class says so. */
static bool is_endable(const struct pod *pod, const struct policy_class *class_)
{
	const char *kind = pod->owner_kind_count > 0 ? pod->owner_kinds[0] : NULL;
	if (pod->not_safe || pod->do_not_disrupt)
		return false;
	return (class_ && class_->victim.evict) || (kind && (suspend_kind_of(kind) || suspend_recreates(kind)));
}

void runs_expect(struct scheduler *s, struct pod *pod)
{
	char key[RUNTIMES_KEY_MAX];
	struct owners_job job;
	pod->runtime_ns = 0;
	pod->endable = false;
	if (!s->policy.inforce || !s->policy.inforce->expects)
		return;
	const struct policy_class *class_ = class_of(s, pod);
	pod->endable = is_endable(pod, class_);
	pod->runtime_ns = pod->said_runtime_ns;
	if (pod->runtime_ns == 0 && pod->owner_uid && owners_find(s->owners, pod->owner_uid, &job))
		pod->runtime_ns = job.runtime_ns;
	if (pod->runtime_ns > 0)
		return;
	write_key(s, pod, class_, key);
	pod->runtime_ns = runtimes_expect(&s->runtimes, key);
}

/* Of a pod that does not say when it started, since it was seen. */
static int64_t began(const struct pod *pod, const struct ledger_entry *entry)
{
	return pod->started_ns > 0 ? clock_now() - (clock_wall() - pod->started_ns) : entry->since_ns;
}

void runs_bound(struct scheduler *s, struct pod *pod, struct ledger_entry *entry)
{
	if (!s->policy.inforce || !s->policy.inforce->expects)
		return;
	runs_expect(s, pod);
	ledger_expect(entry, pod, began(pod, entry));
	if (pod->runtime_ns > 0 || !s->runs_listing || s->runs_unknown.count >= UNKNOWN_MAX)
		return;
	char key[RUNTIMES_KEY_MAX];
	write_key(s, pod, class_of(s, pod), key);
	if (!map_get(&s->runs_unknown, slice_of(entry->uid))) {
		size_t size = strlen(entry->uid) + 1;
		char *kept = xmalloc(size + strlen(key) + 1);
		memcpy(kept, entry->uid, size);
		memcpy(kept + size, key, strlen(key) + 1);
		map_put(&s->runs_unknown, slice_of(kept), kept);
	}
}

void runs_listed(struct scheduler *s)
{
	size_t cursor = 0;
	for (char *kept; (kept = map_next(&s->runs_unknown, &cursor));) {
		struct ledger_entry *entry = ledger_find(s->fleet, slice_of(kept));
		struct pod pod = {.runtime_ns = runtimes_expect(&s->runtimes, kept + strlen(kept) + 1)};
		if (entry && pod.runtime_ns > 0) {
			pod.endable = entry->endable;
			ledger_expect(entry, &pod, entry->began_ns);
		}
		free(kept);
	}
	map_free(&s->runs_unknown);
	s->runs_listing = false;
}

/* A run counts once: as it ends, or as the first list shows it that is read for this. */
void runs_ended(struct scheduler *s, struct pod *pod)
{
	char key[RUNTIMES_KEY_MAX];
	const struct policy *policy = s->policy.inforce;
	const struct ledger_entry *entry = ledger_find(s->fleet, slice_of(pod->uid));
	bool seen = entry && entry->state == LEDGER_BOUND;
	if (!policy || !policy->expects || !pod->succeeded || !scheduler_owns(pod) || pod->started_ns == 0 ||
	    (!seen && (!s->runs_listing || pod->finished_ns == 0)))
		return;
	int64_t finished_ns = pod->finished_ns > 0 ? pod->finished_ns : clock_wall();
	owners_resolve(s->owners, pod);
	bool known = seen && entry->class_ < policy->class_count; /* it may have gone by what its gang asked for */
	write_key(s, pod, known ? &policy->classes[entry->class_] : class_of(s, pod), key);
	runtimes_learn(&s->runtimes, key, finished_ns - pod->started_ns);
}

/* What stands there was not looked at in this way. */
void runs_policy(struct scheduler *s, bool before)
{
	if (!s->policy.inforce->expects || before)
		return;
	s->runs_listing = true;
	if (s->pods_synced)
		scheduler_list_pods(s);
}

void runs_close(struct scheduler *s)
{
	runs_listed(s);
	runtimes_free(&s->runtimes);
}
