/* The end of a commit that cannot be finished: what is bound is taken back without a counted failure. The controllers
 * of the members are asked for, up their chain; the topmost that can be suspended is suspended, and resumed once its
 * pods are gone; a pod whose controller cannot, but makes it anew without counting, is evicted. Where a bound member
 * has neither, nothing is done, and berth says so.
 *
 * The mark on a suspended object outlives this process: the next one lists what is marked, and resumes it. */
#include "scheduler/gang/undo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "scheduler/gang/internal.h"

#define MERGE_PATCH "application/merge-patch+json"
#define PATH_ROOM 2048

static void undo_free(struct undo *undo)
{
	for (size_t i = 0; i < undo->count; i++) {
		struct undo_owner *owner = &undo->owners[i];
		free(owner->pods_owner);
		free(owner->uid);
		free(owner->found_name);
		free(owner->found_uid);
		free(owner->patch);
	}
	free(undo->key);
	free(undo->namespace_);
	free(undo->name);
	free(undo);
}

struct undo *undo_find(const struct scheduler *s, const char *key)
{
	struct undo *undo = s->undos;
	while (undo && strcmp(undo->key, key) != 0)
		undo = undo->next;
	return undo;
}

struct gang *undo_gang(const struct undo *undo)
{
	return map_get(&undo->s->gangs->by_key, slice_of(undo->key));
}

struct undo *undo_new(struct scheduler *s, const char *key, const char *namespace_, const char *name)
{
	struct undo *undo = xcalloc(1, sizeof *undo);
	*undo = (struct undo){.s = s,
	    .next = s->undos,
	    .key = xstrdup(key),
	    .namespace_ = xstrdup(namespace_),
	    .name = xstrdup(name),
	    .from = GANG_COMMITTING,
	    .until_ns = INT64_MAX};
	s->undos = undo;
	return undo;
}

/* --- what is said --- */

void undo_say(
    struct undo *undo, const struct undo_owner *owner, const struct pod *pod, const char *reason, const char *note)
{
	log_warn("gang", "name=%s/%s said=%s note=%s", undo->namespace_, undo->name, reason, log_quote(note));
	struct kube_event event = {.api_version = "v1",
	    .kind = "Pod",
	    .namespace_ = undo->namespace_,
	    .type = "Warning",
	    .reason = reason,
	    .action = "Undo",
	    .note = note};
	if (owner) {
		event.api_version = owner->found->api_version;
		event.kind = owner->found->kind;
		event.name = owner->found_name;
		event.uid = owner->found_uid;
	} else if (pod) {
		event.name = pod->name;
		event.uid = pod->uid;
	}
	if (event.name)
		kube_emit(undo->s->kube, &event, NULL, NULL);
}

/* The member that events are about where no owner is known. */
static const struct pod *eldest(const struct gang *gang)
{
	const struct pod *pod = NULL;
	for (size_t i = 0; gang && i < gang->count; i++)
		if (!pod || gang->members[i]->pod->created_ns < pod->created_ns)
			pod = gang->members[i]->pod;
	return pod;
}

/* --- the end --- */

void undo_over(struct undo *undo)
{
	struct scheduler *s = undo->s;
	struct gang *gang = undo_gang(undo);
	struct undo **at = &s->undos;
	if (gang) {
		gang->undoing = false;
		gang->undo_after_ns = clock_now() + (undo->again ? UNDO_AGAIN_NS : 0);
		if (gang->state == GANG_UNDOING && (undo->failed || undo->again)) {
			gang_enter(s, gang, undo->from);
			if (undo->moved_ns != 0) { /* its limit does not begin anew */
				gang->moved_ns = undo->moved_ns;
				gang->reached = undo->reached;
				gang->no_room_ns = undo->no_room_ns;
			}
		}
		gang->kept = undo->failed; /* to become whole ends it */
		gangs_mark(s->gangs, gang);
	}
	while (*at != undo)
		at = &(*at)->next;
	*at = undo->next;
	undo_free(undo);
	gang_soon(s);
}

void undo_keep(struct undo *undo, const char *why)
{
	char note[512];
	struct gang *gang = undo_gang(undo);
	snprintf(note, sizeof note,
	    "The gang %s cannot be completed and cannot be undone: %s. %zu bound pods stay as they are.", undo->name,
	    why, gang ? gang->in_state[GANG_BOUND] : 0);
	undo_say(undo, NULL, eldest(gang), "GangKept", note);
	if (gang)
		gang_drop_holes(undo->s, gang);
	undo->failed = true;
	undo_over(undo);
}

bool undo_any_busy(const struct undo *undo)
{
	for (size_t i = 0; i < undo->count; i++)
		if (undo->owners[i].busy)
			return true;
	return false;
}

/* --- calls --- */

void undo_call(struct undo_owner *owner, const char *method, const struct suspend_kind *kind, const char *name,
    struct slice body, kube_done *done)
{
	struct buf path;
	buf_init(&path, PATH_ROOM);
	suspend_path(kind, owner->undo->namespace_, name, &path);
	owner->busy = true;
	kube_call(owner->undo->s->kube, &(struct kube_call_spec){.method = method,
	                                    .path = buf_slice(&path).at,
	                                    .content_type = body.len > 0 ? MERGE_PATCH : NULL,
	                                    .body = body,
	                                    .repeatable = true,
	                                    .done = done,
	                                    .ctx = owner});
	buf_free(&path);
}

bool undo_is_good(const struct kube_answer *answer)
{
	return answer->code == 0 && answer->status < 300;
}

/* The server answered, and would answer the same again. */
bool undo_is_final(const struct kube_answer *answer)
{
	return answer->code == 0 && answer->status >= 400 && answer->status < 500 && answer->status != 409 &&
	       answer->status != 429;
}

/* --- all of them --- */

void gang_undo_tick(struct scheduler *s)
{
	undo_list_due(s);
	for (struct undo *undo = s->undos, *next; undo; undo = next) {
		next = undo->next;
		if (undo->phase == UNDO_EMPTYING)
			undo_empty(undo);
		else if (undo->phase == UNDO_RESUMING)
			undo_resume(undo);
	}
}

bool gang_undo_busy(const struct scheduler *s)
{
	return s->undos || s->undo_lists_due;
}

void gang_undo_close(struct scheduler *s)
{
	while (s->undos) {
		struct undo *undo = s->undos;
		s->undos = undo->next;
		undo_free(undo);
	}
	free(s->undo_listings);
}
