/* An undo begins: who controls the members, and whether that, or what stands above it, can be suspended. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "scheduler/gang/internal.h"
#include "scheduler/gang/undo.h"

#define CHAIN_MAX 4 /* controllers above each other */

static bool stands_on(const struct gang *gang, const struct undo_owner *owner)
{
	for (size_t i = 0; i < gang->count; i++) {
		const struct gang_member *member = gang->members[i];
		if (member->state == GANG_BOUND && !member->pod->deleting &&
		    suspend_ends(owner->found, owner->found_name, owner->found_uid, member->pod))
			return true;
	}
	return false;
}

/* Of an object that has several gangs none is ended for another. */
static bool has_others(const struct undo *undo)
{
	size_t cursor = 0;
	for (const struct gang *gang; (gang = gangs_next(undo->s->gangs, &cursor));) {
		if (strcmp(gang->namespace_, undo->namespace_) != 0 || strcmp(gang->key, undo->key) == 0)
			continue;
		for (size_t i = 0; i < undo->count; i++)
			if (undo->owners[i].found && stands_on(gang, &undo->owners[i]))
				return true;
	}
	return false;
}

static void asked(struct undo *undo)
{
	const struct gang *gang = undo_gang(undo);
	if (undo_any_busy(undo))
		return;
	/* While they were asked for the last member may have come, or all have gone. */
	bool wanted = gang && gang->in_state[GANG_BOUND] > 0 &&
	              (gang->broken || (gang->state == GANG_COMMITTING && clock_now() >= gang->deadline_ns));
	if (!wanted || undo->again) {
		undo_over(undo);
		return;
	}
	for (size_t i = 0; i < undo->count; i++)
		if (!undo->owners[i].found && !undo->owners[i].recreates) {
			undo_keep(
			    undo, "the controller of a bound pod can neither be suspended nor makes it anew uncounted");
			return;
		}
	if (has_others(undo)) {
		undo_keep(undo, "what could be suspended has another gang, which stands");
		return;
	}
	undo_suspend(undo);
}

static void ask(struct undo_owner *owner, const char *kind, const char *name, const char *uid);

static void forget_found(struct undo_owner *owner)
{
	free(owner->found_name);
	free(owner->found_uid);
	free(owner->patch);
	owner->found = NULL;
	owner->found_name = owner->found_uid = owner->patch = NULL;
	owner->ours = false;
}

static void note_found(struct undo_owner *owner, const struct suspend_object *object)
{
	struct buf body;
	forget_found(owner);
	owner->found = owner->kind;
	owner->found_name = xstrdup(object->name);
	owner->found_uid = xstrdup(object->uid);
	owner->ours = object->suspended && object->marked;
	if (object->suspended)
		return;
	buf_init(&body, UNDO_BODY_MAX);
	suspend_write(owner->kind, object, true, owner->undo->key, &body);
	owner->patch = buf_take(&body);
}

static void answered(void *ctx, const struct kube_answer *answer)
{
	struct undo_owner *owner = ctx;
	struct arena arena;
	struct suspend_object object;
	owner->busy = false;
	owner->undo->again |= !undo_is_good(answer) && !undo_is_final(answer);
	if (answer->code == 0 && answer->status == 403)
		forget_found(owner); /* who may not be asked would resume what stands below it */
	arena_init(&arena, 1024);
	if (undo_is_good(answer) && suspend_read(answer->body, owner->kind, &arena, &object) &&
	    strcmp(object.uid, owner->uid) == 0 && bind_path_safe(slice_of(object.name))) {
		if (!object.queued && !object.barred)
			note_found(owner, &object);
		if (object.owner_kind && object.owner_name && object.owner_uid && ++owner->depth < CHAIN_MAX)
			ask(owner, object.owner_kind, object.owner_name, object.owner_uid);
	}
	arena_free(&arena);
	asked(owner->undo);
}

static void ask(struct undo_owner *owner, const char *kind, const char *name, const char *uid)
{
	owner->kind = suspend_kind_of(kind);
	if (!owner->kind || !bind_path_safe(slice_of(name)))
		return;
	free(owner->uid);
	owner->uid = xstrdup(uid);
	undo_call(owner, "GET", owner->kind, name, (struct slice){NULL, 0}, answered);
}

static bool is_known(const struct undo *undo, const char *uid)
{
	for (size_t i = 0; i < undo->count; i++)
		if (strcmp(undo->owners[i].pods_owner, uid) == 0)
			return true;
	return false;
}

/* A bound member of each controller, in `of`; false where one has none, or there are too many. */
static bool collect(struct undo *undo, const struct gang *gang, const struct pod *of[UNDO_OWNERS_MAX])
{
	for (size_t i = 0; i < gang->count; i++) {
		const struct pod *pod = gang->members[i]->pod;
		if (gang->members[i]->state != GANG_BOUND || (pod->owner_uid && is_known(undo, pod->owner_uid)))
			continue;
		if (!pod->owner_uid || !pod->owner_name || pod->owner_kind_count == 0 || undo->count == UNDO_OWNERS_MAX)
			return false;
		of[undo->count] = pod;
		undo->owners[undo->count++] = (struct undo_owner){.undo = undo,
		    .pods_owner = xstrdup(pod->owner_uid),
		    .recreates = suspend_recreates(pod->owner_kinds[0])};
	}
	return true;
}

void gang_undo(struct scheduler *s, struct gang *gang)
{
	const struct pod *of[UNDO_OWNERS_MAX];
	gang->undoing = true;
	if (undo_find(s, gang->key))
		return; /* one of a gang of that name, whose owner is being resumed */
	struct undo *undo = undo_new(s, gang->key, gang->namespace_, gang->name);
	undo->from = gang->state;
	if (!collect(undo, gang, of)) {
		undo_keep(undo, "a bound pod has no controller, or the pods have too many");
		return;
	}
	log_warn("a gang is to be undone", "name=%s/%s bound=%zu present=%zu quorum=%zu owners=%zu", gang->namespace_,
	    gang->name, gang->in_state[GANG_BOUND], gang_present(gang), gang_quorum(gang), undo->count);
	for (size_t i = 0; i < undo->count; i++)
		ask(&undo->owners[i], of[i]->owner_kinds[0], of[i]->owner_name, of[i]->owner_uid);
	asked(undo);
}
