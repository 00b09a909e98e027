/* What gangs lose: members that end or go, nodes that go under them. And what stays of a gang that was whole: it is
 * never undone, so that the next process must know it, whatever members are bound then. */
#include "base/log.h"
#include "scheduler/gang/internal.h"

#define MARK_AGAIN_NS (10 * NS_PER_S)
#define MARKS 2 /* members that bear the mark; one that goes is followed by another */

/* --- members --- */

static bool node_failed(const struct ledger_entry *entry)
{
	return entry && (!entry->node->spec || !entry->node->spec->ready);
}

static bool restarts(const struct scheduler *s, const struct gang *gang)
{
	const struct policy_class *class_ = gang_class(s, gang);
	return gang->state == GANG_WHOLE && class_ && class_->gang.restart_on_loss;
}

void gang_leaves(struct scheduler *s, const struct gang_member *member)
{
	struct gang *gang = member->gang;
	if (member->state == GANG_BOUND && restarts(s, gang) &&
	    node_failed(ledger_find(s->fleet, slice_of(member->pod->uid))))
		gang->broken = true;
}

void gang_gone(struct scheduler *s, struct slice uid)
{
	struct gang_member *member = gangs_find(s->gangs, uid);
	gang_source_leave(&s->gang_sources, uid);
	if (!member)
		return;
	struct gang *gang = member->gang;
	gang_leaves(s, member);
	/* One that is kept as it is waits for nobody. */
	if (member->placed && member->state != GANG_DONE && !gang->kept &&
	    (gang->state == GANG_PLANNED || gang->state == GANG_RELEASED || gang->state == GANG_COMMITTING))
		gang_make_hole(s, member);
	gangs_remove(s->gangs, member);
	if (gang->state == GANG_WHOLE)
		gang_mark_whole(s, gang);
	gang_soon(s);
}

/* A pod without a controller is nobody's second try: it counts only where its gang is still being bound. */
static bool stands_for_its_part(const struct scheduler *s, const struct gang_member *member, const struct pod *pod)
{
	if (!pod->succeeded)
		return false;
	if (!s->gangs_rebuilt)
		return pod->owner_uid != NULL;
	if (!member)
		return false;
	return member->gang->state == GANG_COMMITTING || (member->gang->state == GANG_WHOLE && pod->owner_uid);
}

bool gang_ended(struct scheduler *s, struct pod *pod)
{
	struct gang_member *member = gangs_find(s->gangs, slice_of(pod->uid));
	gang_resolve(s, pod);
	if (!pod->gang || !scheduler_owns(pod))
		return false;
	if (stands_for_its_part(s, member, pod)) {
		member = gang_enrol(s, pod, GANG_DONE);
		member->owned = true;
		member->mark = s->pod_list;
		gangs_place(s->gangs, member, true);
		gang_soon(s);
		return true;
	}
	if (member && pod->rejected && pod->node) {
		log_warn("a kubelet did not take a member", "pod=%s/%s node=%s", pod->namespace_, pod->name, pod->node);
		gangs_shun(member->gang, pod->node);
		gangs_place(s->gangs, member, false); /* its room there is none, so no hole is kept */
	}
	return false;
}

void gang_forget_unseen(struct scheduler *s)
{
	size_t cursor = 0;
	for (struct gang *gang; (gang = gangs_next(s->gangs, &cursor));)
		for (size_t i = gang->count; i-- > 0;)
			if (gang->members[i]->state == GANG_DONE && gang->members[i]->mark != s->pod_list) {
				gang_source_leave(&s->gang_sources, slice_of(gang->members[i]->pod->uid));
				gangs_remove(s->gangs, gang->members[i]);
			}
}

/* --- nodes --- */

void gang_node_lost(struct scheduler *s)
{
	s->gang_nodes_lost = true;
	gang_soon(s);
}

/* GPUs of a node that a health rule of the policy avoids are good for nothing that has to go on. */
static bool is_sick(const struct scheduler *s, const struct ledger_entry *entry)
{
	return entry->node->avoided && decide_gpu_units(s->fleet, &entry->demand) > 0;
}

/* Its pod there counts as lost before anybody deletes it: what deletes it counts it as failed. */
static bool stands_on_nothing(const struct scheduler *s, const struct gang *gang)
{
	for (size_t i = 0; i < gang->count; i++) {
		const struct gang_member *member = gang->members[i];
		const struct ledger_entry *entry = ledger_find(s->fleet, slice_of(member->pod->uid));
		if (member->state == GANG_BOUND && entry &&
		    (!entry->node->spec || (gang->state == GANG_WHOLE && is_sick(s, entry))))
			return true;
	}
	return false;
}

void gang_check_nodes(struct scheduler *s)
{
	size_t cursor = 0;
	if (!s->gang_nodes_lost || !s->gangs_rebuilt)
		return;
	s->gang_nodes_lost = false;
	for (struct gang *gang; (gang = gangs_next(s->gangs, &cursor));)
		if ((gang->state == GANG_COMMITTING || restarts(s, gang)) && !gang->kept &&
		    stands_on_nothing(s, gang)) {
			gang->broken = true;
			gangs_mark(s->gangs, gang);
		}
}

/* --- the mark --- */

bool gang_was_whole(const struct gang *gang)
{
	for (size_t i = 0; i < gang->count; i++)
		if (gang->members[i]->pod->gang_whole)
			return true;
	return false;
}

static void marked(void *ctx, const struct kube_answer *answer)
{
	struct scheduler *s = ctx;
	if (answer->code == 0 && answer->status < 300)
		return;
	log_warn("a member of a whole gang could not be marked", "status=%u error=%s", answer->status,
	    log_quote(answer->error ? answer->error : ""));
	if (s->mark_after_ns == 0)
		s->mark_after_ns = clock_now() + MARK_AGAIN_NS;
	gang_soon(s);
}

void gang_mark_again(struct scheduler *s, int64_t now)
{
	size_t cursor = 0;
	if (s->mark_after_ns == 0 || now < s->mark_after_ns)
		return;
	s->mark_after_ns = 0;
	for (struct gang *gang; (gang = gangs_next(s->gangs, &cursor));) {
		for (size_t i = 0; i < gang->count; i++)
			gang->members[i]->marked = false; /* the watch shows those that are */
		if (gang->state == GANG_WHOLE)
			gang_mark_whole(s, gang);
	}
}

static bool may_bear(const struct gang_member *member)
{
	return member->state == GANG_BOUND && !member->pod->deleting;
}

void gang_mark_whole(struct scheduler *s, struct gang *gang)
{
	size_t count = 0;
	for (size_t i = 0; i < gang->count; i++)
		count += may_bear(gang->members[i]) && (gang->members[i]->marked || gang->members[i]->pod->gang_whole);
	for (size_t i = 0; i < gang->count && count < MARKS && gang_quorum(gang) > 1; i++) {
		struct gang_member *member = gang->members[i];
		if (!may_bear(member) || member->marked || member->pod->gang_whole)
			continue;
		member->marked = true;
		kube_annotate(s->kube, pod_ref(member->pod), slice_of("{\"" POD_GANG_WHOLE "\":\"true\"}"), marked, s);
		count++;
	}
}
