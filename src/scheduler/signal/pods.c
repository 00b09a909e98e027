/* Pods of the classes whose load is told by pods or by autoscalers: how many of each controller are bound, and how many
 * GPUs those without a node ask for. Kept in step by the watch on pods, a pod at a time. */
#include <stdlib.h>

#include "cluster/scaled.h"
#include "scheduler/signal/internal.h"

struct signal_pod {
	char *uid;
	struct signal_target *target; /* NULL: nobody that could be scaled controls it */
	uint16_t class_;
	int64_t gpus;
	bool bound;
};

/* --- what an autoscaler would name --- */

/* A replica of a LeaderWorkerSet is a whole group. */
static int32_t pods_each(const struct pod *pod, const char *kind)
{
	bool group = strcmp(kind, "LeaderWorkerSet") == 0 && pod->said_gang && pod->said_gang->terms.size > 0;
	return group ? pod->said_gang->terms.size : 1;
}

const struct signal_target *signal_target_find(
    const struct signals *signals, const char *namespace_, const char *kind, const char *name)
{
	char key[SCALED_KEY_MAX];
	scaled_key(key, namespace_, kind, slice_of(name));
	return map_get(&signals->targets, slice_of(key));
}

static struct signal_target *target_of(struct signals *signals, const struct pod *pod)
{
	const char *kind;
	struct slice name;
	char key[SCALED_KEY_MAX];
	if (!scaled_by(pod, &kind, &name))
		return NULL;
	scaled_key(key, pod->namespace_, kind, name);
	struct signal_target *target = map_get(&signals->targets, slice_of(key));
	if (!target) {
		target = xcalloc(1, sizeof *target);
		target->key = xstrdup(key);
		map_put(&signals->targets, slice_of(target->key), target);
	}
	target->pods_each = pods_each(pod, kind);
	return target;
}

/* --- pods come and go --- */

static void count(struct signals *signals, const struct signal_pod *pod, int by)
{
	if (!pod->bound)
		signals->pending_gpus[pod->class_] += by * pod->gpus;
	else if (pod->target)
		pod->target->bound = by > 0 ? pod->target->bound + 1 : pod->target->bound - 1;
}

static void target_free(struct signal_target *target)
{
	free(target->key);
	free(target);
}

static void forget(struct signals *signals, struct signal_pod *pod)
{
	struct signal_target *target = pod->target;
	count(signals, pod, -1);
	map_remove(&signals->pods, slice_of(pod->uid));
	free(pod->uid);
	free(pod);
	if (!target || --target->count > 0)
		return;
	map_remove(&signals->targets, slice_of(target->key));
	target_free(target);
}

/* A class, by its place, of which pods say something. */
static bool matters(const struct policy *policy, uint16_t class_)
{
	for (size_t i = 0; i < policy->signals.count; i++)
		if (policy->signals.items[i].for_ == class_ && policy->signals.items[i].source != SIGNAL_QUERY)
			return true;
	return false;
}

static bool class_of(const struct scheduler *s, const struct pod *pod, uint16_t *class_)
{
	enum reason why;
	const struct policy *policy = s->policy.inforce;
	const struct policy_class *found = policy_class_of(policy, pod, &why);
	*class_ = found ? (uint16_t)(found - policy->classes) : UINT16_MAX;
	return found && matters(policy, *class_);
}

void signals_saw(struct scheduler *s, const struct pod *pod)
{
	uint16_t class_;
	if (!s->signals)
		return;
	int64_t gpus = signal_gpus_of(s->fleet, &pod->demand);
	struct signal_pod *kept = map_get(&s->signals->pods, slice_of(pod->uid));
	if (gpus == 0 || pod->deleting || !scheduler_owns(pod) || !class_of(s, pod, &class_)) {
		if (kept)
			forget(s->signals, kept);
		return;
	}
	if (kept) {
		count(s->signals, kept, -1);
	} else {
		kept = xcalloc(1, sizeof *kept);
		*kept = (struct signal_pod){.uid = xstrdup(pod->uid), .target = target_of(s->signals, pod)};
		map_put(&s->signals->pods, slice_of(kept->uid), kept);
		if (kept->target)
			kept->target->count++;
	}
	kept->class_ = class_;
	kept->gpus = gpus;
	kept->bound = pod->node != NULL;
	if (kept->target) {
		kept->target->class_ = class_;
		kept->target->gpus_each = gpus;
	}
	count(s->signals, kept, 1);
}

void signals_gone(struct scheduler *s, struct slice uid)
{
	struct signal_pod *kept = s->signals ? map_get(&s->signals->pods, uid) : NULL;
	if (kept)
		forget(s->signals, kept);
}

void signals_listed(struct scheduler *s)
{
	if (s->signals)
		s->signals->listed = true;
}

void signal_pods_drop(struct signals *signals)
{
	size_t cursor = 0;
	for (struct signal_pod *pod; (pod = map_next(&signals->pods, &cursor));) {
		free(pod->uid);
		free(pod);
	}
	cursor = 0;
	for (struct signal_target *target; (target = map_next(&signals->targets, &cursor));)
		target_free(target);
	map_free(&signals->pods);
	map_free(&signals->targets);
	memset(signals->pending_gpus, 0, sizeof signals->pending_gpus);
}
