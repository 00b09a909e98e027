/* The end of a commit that cannot be finished: what is bound is taken back without a counted failure. The controllers
 * of the members are asked for, up their chain; the topmost that can be suspended is suspended, and resumed once its
 * pods are gone; a pod whose controller cannot, but makes it anew without counting, is evicted. Where a bound member
 * has neither, nothing is done, and berth says so.
 *
 * The mark on a suspended object outlives this process: the next one lists what is marked, and resumes it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cluster/suspension.h"
#include "scheduler/internal.h"

#define OWNERS_MAX 64            /* controllers of one gang's members; with more it is kept */
#define CHAIN_MAX 4              /* controllers above each other */
#define EMPTY_NS (45 * NS_PER_S) /* beside the members' grace: then the owner is resumed whatever is left */
#define AGAIN_NS (5 * NS_PER_S)  /* between tries of a write that failed, and of evictions */
#define MERGE_PATCH "application/merge-patch+json"
#define PATH_ROOM 2048
#define BODY_ROOM 65536

enum phase { ASKING, SUSPENDING, EMPTYING, RESUMING };

struct undo_owner {
	struct undo *undo;
	char *pods_owner;                /* UID of the controller of its pods */
	bool recreates;                  /* that controller, without counting: else its pods are evicted */
	const struct suspend_kind *kind; /* of the object asked for … */
	char *uid;                       /* … and its UID */
	size_t depth;
	const struct suspend_kind *found; /* of the topmost object that can be suspended, or NULL … */
	char *found_name, *found_uid;     /* … and which one */
	char *patch;                      /* that suspends it, as it was read; NULL: it is suspended */
	bool ours;                        /* to be resumed by berth */
	bool busy, done;
};

struct undo {
	struct scheduler *s;
	struct undo *next;
	char *key, *namespace_, *name; /* of the gang */
	enum phase phase;
	enum gang_state from;
	int64_t until_ns, again_ns;
	bool failed; /* a write was refused for good: the gang is kept */
	bool again;  /* the server could not be asked, or somebody wrote between: from the beginning, later */
	size_t count;
	struct undo_owner owners[OWNERS_MAX];
};

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

static struct undo *undo_find(const struct scheduler *s, const char *key)
{
	struct undo *undo = s->undos;
	while (undo && strcmp(undo->key, key) != 0)
		undo = undo->next;
	return undo;
}

static struct gang *gang_of(const struct undo *undo)
{
	return map_get(&undo->s->gangs->by_key, slice_of(undo->key));
}

static struct undo *undo_new(struct scheduler *s, const char *key, const char *namespace_, const char *name)
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

static void say(
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

static void over(struct undo *undo)
{
	struct scheduler *s = undo->s;
	struct gang *gang = gang_of(undo);
	struct undo **at = &s->undos;
	if (gang) {
		gang->undoing = false;
		gang->kept = undo->failed;
		gang->undo_after_ns = clock_now() + (undo->again ? AGAIN_NS : 0);
		if (gang->state == GANG_UNDOING && (undo->failed || undo->again))
			gang_enter(s, gang, undo->from);
		gangs_mark(s->gangs, gang);
	}
	while (*at != undo)
		at = &(*at)->next;
	*at = undo->next;
	undo_free(undo);
	gang_soon(s);
}

static void keep(struct undo *undo, const char *why)
{
	char note[512];
	struct gang *gang = gang_of(undo);
	snprintf(note, sizeof note,
	    "The gang %s cannot be completed and cannot be undone: %s. %zu bound pods stay as they are.", undo->name,
	    why, gang ? gang->in_state[GANG_BOUND] : 0);
	say(undo, NULL, eldest(gang), "GangKept", note);
	if (gang)
		gang_drop_holes(undo->s, gang);
	undo->failed = true;
	over(undo);
}

static bool any_busy(const struct undo *undo)
{
	for (size_t i = 0; i < undo->count; i++)
		if (undo->owners[i].busy)
			return true;
	return false;
}

/* --- calls --- */

static void call(struct undo_owner *owner, const char *method, const struct suspend_kind *kind, const char *name,
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

static bool is_good(const struct kube_answer *answer)
{
	return answer->code == 0 && answer->status < 300;
}

/* The server answered, and would answer the same again. */
static bool is_final(const struct kube_answer *answer)
{
	return answer->code == 0 && answer->status >= 400 && answer->status < 500 && answer->status != 409 &&
	       answer->status != 429;
}

/* --- resuming --- */

static void resume(struct undo *undo);

static void resume_written(void *ctx, const struct kube_answer *answer)
{
	struct undo_owner *owner = ctx;
	owner->busy = false;
	owner->done = is_good(answer) || is_final(answer);
	if (!is_good(answer))
		log_warn("an owner could not be resumed", "kind=%s name=%s/%s error=%s", owner->found->kind,
		    owner->undo->namespace_, owner->found_name, log_quote(answer->error ? answer->error : ""));
	else
		say(owner->undo, owner, NULL, "GangResumed",
		    "The gang could not be bound whole: its pods were taken back by suspending this object, and are "
		    "made "
		    "anew.");
	resume(owner->undo);
}

/* Whoever took the mark away has taken over. */
static void resume_read(void *ctx, const struct kube_answer *answer)
{
	struct undo_owner *owner = ctx;
	struct arena arena;
	struct suspend_object object;
	struct buf body;
	owner->busy = false;
	if (!is_good(answer)) {
		owner->done = is_final(answer);
		resume(owner->undo);
		return;
	}
	arena_init(&arena, 1024);
	if (!suspend_read(answer->body, owner->found, &arena, &object) || !object.marked ||
	    strcmp(object.uid, owner->found_uid) != 0) {
		owner->done = true;
		resume(owner->undo);
	} else {
		buf_init(&body, BODY_ROOM);
		suspend_write(owner->found, &object, false, owner->undo->key, &body);
		call(owner, "PATCH", owner->found, owner->found_name, buf_slice(&body), resume_written);
		buf_free(&body);
	}
	arena_free(&arena);
}

static void resume(struct undo *undo)
{
	bool all = true;
	for (size_t i = 0; i < undo->count; i++) {
		struct undo_owner *owner = &undo->owners[i];
		owner->done |= !owner->ours;
		all = all && owner->done;
	}
	if (all && undo->failed) {
		keep(undo, "the API server did not let its owner be suspended");
		return;
	}
	if (all) {
		over(undo);
		return;
	}
	if (any_busy(undo) || clock_now() < undo->again_ns)
		return;
	undo->again_ns = clock_now() + AGAIN_NS;
	for (size_t i = 0; i < undo->count; i++)
		if (!undo->owners[i].done)
			call(&undo->owners[i], "GET", undo->owners[i].found, undo->owners[i].found_name,
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
	const struct gang *gang = gang_of(undo);
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
	if (!is_good(answer))
		log_warn("a pod could not be evicted", "status=%u error=%s", answer->status,
		    log_quote(answer->error ? answer->error : ""));
}

static void evict(struct undo *undo)
{
	const struct gang *gang = gang_of(undo);
	for (size_t i = 0; gang && i < gang->count; i++) {
		const struct gang_member *member = gang->members[i];
		if (member->state == GANG_BOUND && !member->pod->deleting && is_of(undo, member->pod))
			kube_evict(undo->s->kube, pod_ref(member->pod), evicted, NULL);
	}
}

static void empty(struct undo *undo)
{
	int64_t now = clock_now();
	size_t count = left(undo);
	if (count == 0 || now >= undo->until_ns) {
		if (count > 0)
			log_warn("pods of a gang that is undone do not end", "name=%s/%s left=%zu", undo->namespace_,
			    undo->name, count);
		undo->phase = RESUMING;
		undo->again_ns = now;
		resume(undo);
		return;
	}
	if (now < undo->again_ns)
		return;
	undo->again_ns = now + AGAIN_NS;
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

static void begin_to_empty(struct undo *undo)
{
	struct gang *gang = gang_of(undo);
	if (gang && gang->state == GANG_UNDOING)
		gang_let_go(undo->s, gang);
	undo->phase = EMPTYING;
	undo->again_ns = clock_now();
	undo->until_ns = clock_now() + EMPTY_NS + longest_grace(gang);
	empty(undo);
}

/* --- suspending --- */

static void suspended(struct undo *undo)
{
	if (any_busy(undo))
		return;
	if (!undo->failed && !undo->again) {
		begin_to_empty(undo);
		return;
	}
	/* Not all of them could be: those that were go on. */
	undo->phase = RESUMING;
	undo->again_ns = clock_now();
	resume(undo);
}

static void suspend_written(void *ctx, const struct kube_answer *answer)
{
	struct undo_owner *owner = ctx;
	struct undo *undo = owner->undo;
	owner->busy = false;
	owner->ours = is_good(answer);
	undo->failed |= is_final(answer);
	undo->again |= !is_good(answer) && !is_final(answer);
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

static void suspend(struct undo *undo)
{
	struct gang *gang = gang_of(undo);
	undo->phase = SUSPENDING;
	if (gang)
		gang_enter(undo->s, gang, GANG_UNDOING);
	for (size_t i = 0; i < undo->count; i++) {
		struct undo_owner *owner = &undo->owners[i];
		if (owner->patch && !is_seen_to(undo, i))
			call(owner, "PATCH", owner->found, owner->found_name, slice_of(owner->patch), suspend_written);
	}
	suspended(undo);
}

/* --- asking --- */

/* Whether the object's suspension would end the pod, as far as the pod tells. */
static bool comes_from(const struct pod *pod, const struct undo_owner *owner)
{
	static const char *const keys[] = {"jobset.sigs.k8s.io/jobset-name", "training.kubeflow.org/job-name",
	    "ray.io/cluster", "ray.io/originated-from-cr-name", "batch.kubernetes.io/job-name"};
	if (pod->owner_uid && strcmp(pod->owner_uid, owner->found_uid) == 0)
		return true;
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		const char *value = labels_get(&pod->labels, keys[i]);
		if (value && strcmp(value, owner->found_name) == 0)
			return true;
	}
	return false;
}

static bool stands_on(const struct gang *gang, const struct undo_owner *owner)
{
	for (size_t i = 0; i < gang->count; i++) {
		const struct gang_member *member = gang->members[i];
		if (member->state == GANG_BOUND && !member->pod->deleting && comes_from(member->pod, owner))
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
	const struct gang *gang = gang_of(undo);
	if (any_busy(undo))
		return;
	/* While they were asked for the last member may have come, or all have gone. */
	bool wanted = gang && gang->in_state[GANG_BOUND] > 0 &&
	              (gang->broken || (gang->state == GANG_COMMITTING && clock_now() >= gang->deadline_ns));
	if (!wanted || undo->again) {
		over(undo);
		return;
	}
	for (size_t i = 0; i < undo->count; i++)
		if (!undo->owners[i].found && !undo->owners[i].recreates) {
			keep(
			    undo, "the controller of a bound pod can neither be suspended nor makes it anew uncounted");
			return;
		}
	if (has_others(undo)) {
		keep(undo, "what could be suspended has another gang, which stands");
		return;
	}
	suspend(undo);
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
	buf_init(&body, BODY_ROOM);
	suspend_write(owner->kind, object, true, owner->undo->key, &body);
	owner->patch = buf_take(&body);
}

static void answered(void *ctx, const struct kube_answer *answer)
{
	struct undo_owner *owner = ctx;
	struct arena arena;
	struct suspend_object object;
	owner->busy = false;
	owner->undo->again |= !is_good(answer) && !is_final(answer);
	if (answer->code == 0 && answer->status == 403)
		forget_found(owner); /* who may not be asked would resume what stands below it */
	arena_init(&arena, 1024);
	if (is_good(answer) && suspend_read(answer->body, owner->kind, &arena, &object) &&
	    strcmp(object.uid, owner->uid) == 0) {
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
	call(owner, "GET", owner->kind, name, (struct slice){NULL, 0}, answered);
}

static bool is_known(const struct undo *undo, const char *uid)
{
	for (size_t i = 0; i < undo->count; i++)
		if (strcmp(undo->owners[i].pods_owner, uid) == 0)
			return true;
	return false;
}

/* A bound member of each controller, in `of`; false where one has none, or there are too many. */
static bool collect(struct undo *undo, const struct gang *gang, const struct pod *of[OWNERS_MAX])
{
	for (size_t i = 0; i < gang->count; i++) {
		const struct pod *pod = gang->members[i]->pod;
		if (gang->members[i]->state != GANG_BOUND || (pod->owner_uid && is_known(undo, pod->owner_uid)))
			continue;
		if (!pod->owner_uid || !pod->owner_name || pod->owner_kind_count == 0 || undo->count == OWNERS_MAX)
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
	const struct pod *of[OWNERS_MAX];
	if (undo_find(s, gang->key))
		return;
	struct undo *undo = undo_new(s, gang->key, gang->namespace_, gang->name);
	undo->from = gang->state;
	gang->undoing = true;
	if (!collect(undo, gang, of)) {
		keep(undo, "a bound pod has no controller, or the pods have too many");
		return;
	}
	log_warn("a gang is to be undone", "name=%s/%s bound=%zu present=%zu quorum=%zu owners=%zu", gang->namespace_,
	    gang->name, gang->in_state[GANG_BOUND], gang_present(gang), gang_quorum(gang), undo->count);
	for (size_t i = 0; i < undo->count; i++)
		ask(&undo->owners[i], of[i]->owner_kinds[0], of[i]->owner_name, of[i]->owner_uid);
	asked(undo);
}

/* --- what the process before left --- */

struct undo_listing {
	struct scheduler *s;
	const struct suspend_kind *kind;
	bool known; /* the server has such objects */
};

static void take_up(void *ctx, struct slice item)
{
	const struct undo_listing *listing = ctx;
	struct scheduler *s = listing->s;
	struct arena arena;
	struct suspend_object object;
	arena_init(&arena, 1024);
	if (suspend_read(item, listing->kind, &arena, &object) && object.marked && object.suspended) {
		const char *key = object.gang ? object.gang : object.uid;
		struct undo *undo = undo_find(s, key);
		if (!undo)
			undo = undo_new(s, key, object.namespace_, object.name);
		struct gang *gang = gang_of(undo);
		log_info("an owner that was suspended for an undo is taken up", "kind=%s name=%s/%s",
		    listing->kind->kind, object.namespace_, object.name);
		if (undo->count < OWNERS_MAX)
			undo->owners[undo->count++] = (struct undo_owner){.undo = undo,
			    .pods_owner = xstrdup(object.uid),
			    .found = listing->kind,
			    .found_name = xstrdup(object.name),
			    .found_uid = xstrdup(object.uid),
			    .ours = true};
		if (gang && gang->in_state[GANG_BOUND] > 0 && gang->state != GANG_UNDOING) {
			gang->undoing = true;
			gang_enter(s, gang, GANG_UNDOING);
		}
		begin_to_empty(undo);
	}
	arena_free(&arena);
}

static void list_marked(struct undo_listing *listing);

static void listed(void *ctx, const struct kube_answer *answer)
{
	struct undo_listing *listing = ctx;
	struct scheduler *s = listing->s;
	if (is_good(answer) && !listing->known) {
		listing->known = true;
		list_marked(listing);
		return;
	}
	if (is_good(answer))
		suspend_read_list(answer->body, take_up, listing);
	else if (!is_final(answer))
		s->undo_lists_due |= 1u << (listing - s->undo_listings);
	gang_soon(s);
}

/* Kinds that come with an operator are asked for only where the server has them. */
static void list_marked(struct undo_listing *listing)
{
	struct buf path;
	buf_init(&path, PATH_ROOM);
	if (listing->known)
		suspend_path(listing->kind, NULL, NULL, &path);
	else
		buf_printf(&path, "/apis/%s", listing->kind->api_version);
	if (listing->known)
		buf_text(&path, "?labelSelector=berth.dev%2Fsuspended-by%3D" SUSPENDED_BY_BERTH);
	kube_call(listing->s->kube,
	    &(struct kube_call_spec){
	        .method = "GET", .path = buf_slice(&path).at, .repeatable = true, .done = listed, .ctx = listing});
	buf_free(&path);
}

static void list_due(struct scheduler *s)
{
	size_t count;
	const struct suspend_kind *kinds = suspend_kinds(&count);
	if (s->undo_lists_due == 0 || clock_now() < s->undo_lists_ns)
		return;
	s->undo_lists_ns = clock_now() + AGAIN_NS;
	for (size_t i = 0; i < count; i++)
		if (s->undo_lists_due & 1u << i) {
			s->undo_listings[i] = (struct undo_listing){s, &kinds[i], strcmp(kinds[i].kind, "Job") == 0};
			list_marked(&s->undo_listings[i]);
		}
	s->undo_lists_due = 0;
}

void gang_undo_take_up(struct scheduler *s)
{
	size_t count;
	suspend_kinds(&count);
	s->undo_listings = xcalloc(count, sizeof *s->undo_listings);
	s->undo_lists_due = (1u << count) - 1;
	list_due(s);
}

void gang_undo_tick(struct scheduler *s)
{
	list_due(s);
	for (struct undo *undo = s->undos, *next; undo; undo = next) {
		next = undo->next;
		if (undo->phase == EMPTYING)
			empty(undo);
		else if (undo->phase == RESUMING)
			resume(undo);
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
