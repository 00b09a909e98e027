/* An undo whose owners are known: suspended, waited for until their pods are gone, resumed. */
#include <string.h>

#include "base/log.h"
#include "scheduler/gang/internal.h"
#include "scheduler/gang/undo.h"

#define EMPTY_NS (45 * NS_PER_S) /* beside the members' grace: then the owner is resumed whatever is left */

/* --- resuming --- */

/* What was suspended is resumed, however long the server says no: rights come back. Only what is gone needs it not. */
static bool is_gone(const struct kube_answer *answer)
{
	return answer->code == 0 && answer->status == 404;
}

static void resume_written(void *ctx, const struct kube_answer *answer)
{
	struct undo_owner *owner = ctx;
	owner->busy = false;
	owner->done = undo_is_good(answer) || is_gone(answer);
	if (!undo_is_good(answer))
		log_warn("an owner could not be resumed", "kind=%s name=%s/%s error=%s", owner->found->kind,
		    owner->undo->namespace_, owner->found_name, log_quote(answer->error ? answer->error : ""));
	else
		undo_say(owner->undo, owner, NULL, "GangResumed",
		    "The gang could not be bound whole: its pods were taken back by suspending this object, and are "
		    "made "
		    "anew.");
	undo_resume(owner->undo);
}

/* Whoever took the mark away has taken over. */
static void resume_read(void *ctx, const struct kube_answer *answer)
{
	struct undo_owner *owner = ctx;
	struct arena arena;
	struct suspend_object object;
	struct buf body;
	owner->busy = false;
	if (!undo_is_good(answer)) {
		owner->done = is_gone(answer);
		undo_resume(owner->undo);
		return;
	}
	arena_init(&arena, 1024);
	if (!suspend_read(answer->body, owner->found, &arena, &object) || !object.marked ||
	    strcmp(object.uid, owner->found_uid) != 0) {
		owner->done = true;
		undo_resume(owner->undo);
	} else {
		buf_init(&body, UNDO_BODY_MAX);
		suspend_write(owner->found, &object, false, owner->undo->key, &body);
		undo_call(owner, "PATCH", owner->found, owner->found_name, buf_slice(&body), resume_written);
		buf_free(&body);
	}
	arena_free(&arena);
}

void undo_resume(struct undo *undo)
{
	bool all = true;
	for (size_t i = 0; i < undo->count; i++) {
		struct undo_owner *owner = &undo->owners[i];
		owner->done |= !owner->ours;
		all = all && owner->done;
	}
	if (all && undo->failed) {
		undo_keep(undo, "the API server did not let its owner be suspended");
		return;
	}
	if (all) {
		undo_over(undo);
		return;
	}
	if (undo_any_busy(undo) || clock_now() < undo->again_ns)
		return;
	undo->again_ns = clock_now() + UNDO_AGAIN_NS;
	for (size_t i = 0; i < undo->count; i++)
		if (!undo->owners[i].done)
			undo_call(&undo->owners[i], "GET", undo->owners[i].found, undo->owners[i].found_name,
			    (struct slice){NULL, 0}, resume_read);
}

/* --- until the pods are gone --- */

static bool stands_somewhere(const struct scheduler *s, const struct gang_member *member)
{
	const struct ledger_entry *entry = ledger_find(s->fleet, slice_of(member->pod->uid));
	return !entry || entry->node->spec;
}

/* Members that the owners' controllers are still to take away. One that is being deleted on a node that is gone is no
 * more; that it is being deleted shows that the controller has seen the suspension. */
static size_t left(const struct undo *undo)
{
	const struct gang *gang = undo_gang(undo);
	size_t count = 0;
	for (size_t i = 0; gang && i < gang->count; i++) {
		const struct gang_member *member = gang->members[i];
		count += member->state == GANG_BOUND && (!member->pod->deleting || stands_somewhere(undo->s, member));
	}
	return count;
}

static bool is_of(const struct undo *undo, const struct pod *pod)
{
	for (size_t i = 0; pod->owner_uid && i < undo->count; i++)
		if (undo->owners[i].recreates && !undo->owners[i].found &&
		    strcmp(undo->owners[i].pods_owner, pod->owner_uid) == 0)
			return true;
	return false;
}

static void evicted(void *ctx, const struct kube_answer *answer)
{
	(void)ctx;
	if (!undo_is_good(answer))
		log_warn("a pod could not be evicted", "status=%u error=%s", answer->status,
		    log_quote(answer->error ? answer->error : ""));
}

static void evict(struct undo *undo)
{
	const struct gang *gang = undo_gang(undo);
	for (size_t i = 0; gang && i < gang->count; i++) {
		const struct gang_member *member = gang->members[i];
		if (member->state == GANG_BOUND && !member->pod->deleting && is_of(undo, member->pod))
			kube_evict(undo->s->kube, pod_ref(member->pod), false, evicted, NULL);
	}
}

void undo_empty(struct undo *undo)
{
	int64_t now = clock_now();
	size_t count = left(undo);
	if (count == 0 || now >= undo->until_ns) {
		if (count > 0)
			log_warn("pods of a gang that is undone do not end", "name=%s/%s left=%zu", undo->namespace_,
			    undo->name, count);
		undo->phase = UNDO_RESUMING;
		undo->again_ns = now;
		undo_resume(undo);
		return;
	}
	if (now < undo->again_ns)
		return;
	undo->again_ns = now + UNDO_AGAIN_NS;
	evict(undo);
}

static int64_t longest_grace(const struct gang *gang)
{
	int32_t grace_s = 0;
	for (size_t i = 0; gang && i < gang->count; i++)
		if (gang->members[i]->pod->grace_s > grace_s)
			grace_s = gang->members[i]->pod->grace_s;
	return grace_s * NS_PER_S;
}

void undo_begin_to_empty(struct undo *undo)
{
	struct gang *gang = undo_gang(undo);
	if (gang && gang->state == GANG_UNDOING)
		gang_let_go(undo->s, gang);
	undo->phase = UNDO_EMPTYING;
	undo->again_ns = clock_now();
	undo->until_ns = clock_now() + EMPTY_NS + longest_grace(gang);
	undo_empty(undo);
}

/* --- suspending --- */

static void suspended(struct undo *undo)
{
	if (undo_any_busy(undo))
		return;
	if (!undo->failed && !undo->again) {
		undo_begin_to_empty(undo);
		return;
	}
	/* Not all of them could be: those that were go on. */
	undo->phase = UNDO_RESUMING;
	undo->again_ns = clock_now();
	undo_resume(undo);
}

static void suspend_written(void *ctx, const struct kube_answer *answer)
{
	struct undo_owner *owner = ctx;
	struct undo *undo = owner->undo;
	owner->busy = false;
	owner->ours = undo_is_good(answer);
	undo->failed |= undo_is_final(answer);
	undo->again |= !undo_is_good(answer) && !undo_is_final(answer);
	if (!owner->ours)
		log_warn("an owner could not be suspended", "kind=%s name=%s/%s error=%s", owner->found->kind,
		    undo->namespace_, owner->found_name, log_quote(answer->error ? answer->error : ""));
	suspended(undo);
}

/* Of two members' controllers that lead to one object, the first sees to it. */
static bool is_seen_to(const struct undo *undo, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (undo->owners[i].found && strcmp(undo->owners[i].found_uid, undo->owners[at].found_uid) == 0)
			return true;
	return false;
}

void undo_suspend(struct undo *undo)
{
	struct gang *gang = undo_gang(undo);
	undo->phase = UNDO_SUSPENDING;
	if (gang) {
		undo->moved_ns = gang->moved_ns;
		undo->no_room_ns = gang->no_room_ns;
		undo->reached = gang->reached;
		gang_enter(undo->s, gang, GANG_UNDOING);
	}
	for (size_t i = 0; i < undo->count; i++) {
		struct undo_owner *owner = &undo->owners[i];
		if (owner->patch && !is_seen_to(undo, i))
			undo_call(
			    owner, "PATCH", owner->found, owner->found_name, slice_of(owner->patch), suspend_written);
	}
	suspended(undo);
}
