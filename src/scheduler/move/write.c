/* The writes on the owners of units: each names the version that was read, and what comes back is read once more. And
 * what is suspended: whether it still is, and berth's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "scheduler/move/internal.h"

#define PATH_ROOM 2048
#define BODY_MAX 65536
#define CONFLICTS_MAX 5               /* in a row, of a mark that is to be taken away */
#define LOOK_NS (10 * NS_PER_S)       /* between two looks at what is suspended … */
#define ENDING_LOOK_NS (5 * NS_PER_S) /* … and whose pods are to end */

void unit_call(struct move_unit *unit, const char *method, const struct suspend_kind *kind, const char *name, bool dry,
    struct slice body, kube_done *done)
{
	struct buf path;
	buf_init(&path, PATH_ROOM);
	suspend_path(kind, unit->namespace_, name, &path);
	if (body.len > 0)
		buf_text(&path, dry ? "?fieldValidation=Strict&dryRun=All" : "?fieldValidation=Strict");
	unit->busy = true;
	kube_call(unit->move->s->kube, &(struct kube_call_spec){.method = method,
	                                   .path = buf_slice(&path).at,
	                                   .content_type = body.len > 0 ? "application/merge-patch+json" : NULL,
	                                   .body = body,
	                                   .repeatable = !dry, /* its phase tries again, while others are as good */
	                                   .done = done,
	                                   .ctx = unit});
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
	       (answer->status != 429 || answer->budget);
}

int64_t unit_cooled(const struct move_unit *unit)
{
	return clock_wall() + unit->move->s->policy.inforce->moves.cooldown_ns;
}

void unit_leave_alone(struct move_unit *unit, int64_t until_ns, const char *why)
{
	unit->alone = unit->move->barred = true;
	past_leave_alone(unit->move->s->moves, unit->id, until_ns, why);
	if (unit->gang)
		surplus_leave_alone(unit, until_ns, why);
	log_info("a unit is left alone", "kind=%s name=%s/%s why=%s", unit->kind, unit->namespace_, unit->name,
	    log_quote(why));
}

/* --- what owners say --- */

const char *unit_bar(const struct suspend_object *object, bool may_be_queued)
{
	int64_t until;
	if (object->queued && !may_be_queued)
		return "Kueue suspends and resumes it";
	if (object->managed)
		return "it is managed by another controller";
	if (object->barred)
		return "its controller would refuse the suspension";
	if (object->suspended)
		return "it is suspended already";
	if (object->mark && !move_is_mark(slice_of(object->mark)))
		return "it bears the mark of somebody else";
	if (object->kept)
		return "it asks not to be disturbed";
	if (object->reverts >= SUSPENDED_REVERTS_MAX)
		return "somebody resumed it again and again";
	if (object->alone_until && clock_parse(slice_of(object->alone_until), &until) && until > clock_wall())
		return "it was moved a short while ago";
	return NULL;
}

void unit_note(struct move_unit *unit, const struct suspend_object *object)
{
	int64_t since;
	free(unit->version);
	unit->version = object->version ? xstrdup(object->version) : NULL;
	unit->reverts = object->reverts;
	unit->suspended = object->suspended;
	unit->ours = object->mark && strcmp(object->mark, unit->move->id) == 0;
	/* The process that suspended it had no time to put it on record. */
	if (unit->ours && unit->since_ns == 0 && object->since && clock_parse(slice_of(object->since), &since)) {
		unit->since_ns = since;
		past_moved(unit->move->s->moves, unit->id, since);
	}
}

/* Marked and not suspended: a move suspended it, and somebody has resumed it. */
void unit_resumed_by_others(struct move_unit *unit, const struct suspend_object *object)
{
	unit->reverts = object->reverts + 1;
	unit_leave_alone(unit, unit->reverts >= SUSPENDED_REVERTS_MAX ? INT64_MAX : unit_cooled(unit),
	    "somebody resumed what a move had suspended");
	unit_forget_mark(unit);
}

/* --- writes --- */

static void write_change(struct move_unit *unit, const struct suspend_change *change, bool dry, kube_done *done)
{
	struct buf body;
	struct suspend_object object = {.uid = unit->uid, .version = unit->version};
	buf_init(&body, BODY_MAX);
	suspend_change(unit->suspends, &object, change, &body);
	unit_call(unit, "PATCH", unit->suspends, unit->name, dry, buf_slice(&body), done);
	buf_free(&body);
}

/* What the server has made of the write, in `suspended` and `ours`; false where that cannot be told. */
static bool read_back(struct move_unit *unit, const struct kube_answer *answer)
{
	struct arena arena;
	struct suspend_object object;
	arena_init(&arena, 1024);
	bool good = is_good(answer) && suspend_read(answer->body, unit->suspends, &arena, &object) &&
	            strcmp(object.uid, unit->uid) == 0;
	if (good && unit->dry) {
		unit->suspended = object.suspended;
		unit->ours = object.mark && strcmp(object.mark, unit->move->id) == 0;
	} else if (good) {
		unit_note(unit, &object);
	}
	arena_free(&arena);
	return good;
}

static void again_later(struct move_unit *unit, const struct kube_answer *answer)
{
	struct move_facts *facts = &unit->move->facts;
	if (is_final(answer)) {
		facts->refused = true;
		unit_leave_alone(unit, unit_cooled(unit),
		    answer->budget ? "a disruption budget refuses it" : "the API server refuses it");
	} else {
		facts->failed = true;
	}
	log_warn("an owner could not be written", "move=%s kind=%s name=%s/%s dry=%d error=%s", unit->move->id,
	    unit->kind, unit->namespace_, unit->name, unit->dry, log_quote(answer->error ? answer->error : ""));
}

static void suspended(void *ctx, const struct kube_answer *answer)
{
	struct move_unit *unit = ctx;
	struct move *move = unit->move;
	unit->busy = false;
	if (!is_good(answer) || !read_back(unit, answer)) {
		again_later(unit, answer);
		/* It may have been done all the same: should the move stop now, its owner is asked. */
		if (!unit->dry && !is_final(answer))
			unit->state = UNIT_ENDED;
	} else if (!unit->suspended || !unit->ours) {
		/* Whoever changes what is written has the last word. */
		move->facts.refused = true;
		unit->state = UNIT_STANDS;
		if (unit->ours && !unit->dry)
			unit_resumed_by_others(unit, &(struct suspend_object){.reverts = unit->reverts});
		else
			unit_leave_alone(unit, unit_cooled(unit), "its suspension does not stay");
	} else if (unit->dry) {
		unit->done = true;
		unit->suspended = unit->ours = false;
	} else {
		unit->done = true;
		unit->state = UNIT_ENDED;
		unit->look_ns = clock_now() + ENDING_LOOK_NS;
		tell_unit(unit, "GPUsTaken", NULL);
	}
	move_wake(move->s);
}

/* --- suspending: what is there is read first, so that a write that was answered by nobody is not written twice --- */

static void write_suspend(struct move_unit *unit)
{
	char since[CLOCK_TEXT_MAX], moved[MOVE_TIMES_MAX * CLOCK_TEXT_MAX], time[CLOCK_TEXT_MAX];
	struct scheduler *s = unit->move->s;
	if (!unit->dry && unit->since_ns == 0) {
		unit->since_ns = clock_wall() / NS_PER_MS * NS_PER_MS;
		past_moved(s->moves, unit->id, unit->since_ns);
	}
	clock_format(unit->dry ? clock_wall() : unit->since_ns, since);
	const struct unit_past *past = past_of(s->moves, unit->id);
	size_t len = 0;
	moved[0] = '\0';
	for (size_t i = 0; i < MOVE_TIMES_MAX && past->moved_ns[i] > clock_wall() - MOVE_DAY_NS; i++) {
		clock_format(past->moved_ns[i], time);
		len += (size_t)snprintf(moved + len, sizeof moved - len, "%s%s", len ? "," : "", time);
	}
	write_change(unit,
	    &(struct suspend_change){
	        .mark = unit->move->id, .since = since, .moved = moved[0] ? moved : NULL, .spec = true},
	    unit->dry, suspended);
}

/* Its owner is gone, so that its pods go as well: there is nothing left to suspend. */
static void note_vanished(struct move_unit *unit)
{
	unit->done = true;
	log_info("the owner of a unit is gone", "move=%s kind=%s name=%s/%s", unit->move->id, unit->kind,
	    unit->namespace_, unit->name);
	if (unit->dry)
		return;
	unit->state = UNIT_ENDED;
	unit->look_ns = clock_now() + ENDING_LOOK_NS;
}

/* The process before may have suspended it; then whoever took the mark away has resumed it. */
static bool has_lost_pods(const struct move_unit *unit)
{
	for (size_t k = 0; k < unit->pod_count; k++) {
		const struct work_pod *pod = work_find(unit->move->s, unit->pods[k].uid);
		if (!pod || pod->deleting)
			return true;
	}
	return false;
}

static void read_before(void *ctx, const struct kube_answer *answer)
{
	struct move_unit *unit = ctx;
	struct move *move = unit->move;
	struct arena arena;
	struct suspend_object object;
	unit->busy = false;
	arena_init(&arena, 1024);
	bool read = is_good(answer) && suspend_read(answer->body, unit->suspends, &arena, &object);
	if ((answer->code == 0 && answer->status == 404) || (read && strcmp(object.uid, unit->uid) != 0)) {
		note_vanished(unit);
	} else if (read) {
		unit_note(unit, &object);
		const char *why = unit->ours && unit->suspended ? NULL : unit_bar(&object, false);
		if (unit->ours && unit->suspended) {
			unit->done = true;
			unit->state = UNIT_ENDED;
		} else if (object.mark && !object.suspended && !object.queued && move_is_mark(slice_of(object.mark))) {
			move->facts.refused = true;
			unit->state = UNIT_LEFT;
			unit_resumed_by_others(unit, &object);
		} else if (why) {
			move->facts.refused = true;
			unit_leave_alone(unit, unit_cooled(unit), why);
		} else if (move->adopted && unit->state == UNIT_ENDED && has_lost_pods(unit)) {
			move->facts.refused = true;
			unit->state = UNIT_LEFT;
			unit_leave_alone(
			    unit, unit_cooled(unit), "somebody may have resumed what a move had suspended");
		} else {
			write_suspend(unit);
		}
	} else {
		again_later(unit, answer);
	}
	arena_free(&arena);
	move_wake(move->s);
}

void unit_suspend(struct move_unit *unit, bool dry)
{
	unit->dry = dry;
	unit_call(unit, "GET", unit->suspends, unit->name, false, (struct slice){NULL, 0}, read_before);
}

/* --- what is suspended: somebody else always wins --- */

/* Whoever resumed it may have written it once more meanwhile. */
static void read_again(void *ctx, const struct kube_answer *answer)
{
	struct move_unit *unit = ctx;
	struct arena arena;
	struct suspend_object object;
	unsigned reverts = unit->reverts;
	unit->busy = false;
	arena_init(&arena, 1024);
	if (is_good(answer) && suspend_read(answer->body, unit->suspends, &arena, &object) &&
	    strcmp(object.uid, unit->uid) == 0 && object.mark && !object.suspended) {
		unit_note(unit, &object);
		unit->reverts = reverts;
		unit_forget_mark(unit);
	}
	arena_free(&arena);
	move_wake(unit->move->s);
}

static void forgotten(void *ctx, const struct kube_answer *answer)
{
	struct move_unit *unit = ctx;
	unit->busy = false;
	if (answer->code == 0 && answer->status == 409 && ++unit->conflicts < CONFLICTS_MAX)
		unit_call(unit, "GET", unit->suspends, unit->name, false, (struct slice){NULL, 0}, read_again);
	else if (!is_good(answer))
		log_warn("a mark could not be taken away", "kind=%s name=%s/%s error=%s", unit->kind, unit->namespace_,
		    unit->name, log_quote(answer->error ? answer->error : ""));
	move_wake(unit->move->s);
}

static void write_alone(const struct move_unit *unit, char text[CLOCK_TEXT_MAX])
{
	clock_format(unit_cooled(unit), text);
}

void unit_forget_mark(struct move_unit *unit)
{
	char until[CLOCK_TEXT_MAX];
	write_alone(unit, until);
	write_change(unit, &(struct suspend_change){.reverts = unit->reverts, .alone_until = until}, false, forgotten);
}

static void gone_over(struct move_unit *unit, const char *why)
{
	unit->state = UNIT_LEFT;
	unit->back_ns = clock_wall();
	room_drop_unit(unit);
	log_info("a suspended unit is berth's no more", "move=%s kind=%s name=%s/%s why=%s", unit->move->id, unit->kind,
	    unit->namespace_, unit->name, log_quote(why));
}

static void came_back(struct move_unit *unit)
{
	unit->state = UNIT_BACK;
	unit->back_ns = clock_wall();
	past_leave_alone(unit->move->s->moves, unit->id, unit_cooled(unit), "it was moved a short while ago");
	tell_unit(unit, "GPUsGivenBack", NULL);
}

static void resumed(void *ctx, const struct kube_answer *answer)
{
	struct move_unit *unit = ctx;
	unit->busy = false;
	if (is_good(answer) && read_back(unit, answer) && !unit->suspended) {
		came_back(unit);
	} else if (answer->code == 0 && answer->status == 404) {
		gone_over(unit, "it is gone");
	} else {
		unit->may_be_back |= !is_final(answer);
		log_warn("an owner could not be resumed", "move=%s kind=%s name=%s/%s error=%s", unit->move->id,
		    unit->kind, unit->namespace_, unit->name, log_quote(answer->error ? answer->error : ""));
	}
	move_wake(unit->move->s);
}

/* Returns whether it is still berth's to resume. */
static bool still_ours(struct move_unit *unit, const struct kube_answer *answer)
{
	struct arena arena;
	struct suspend_object object;
	bool ours = false;
	if (answer->code == 0 && answer->status == 404) {
		gone_over(unit, "it is gone");
		return false;
	}
	if (!is_good(answer))
		return false;
	arena_init(&arena, 1024);
	if (!suspend_read(answer->body, unit->suspends, &arena, &object)) {
		log_warn("an owner cannot be read", "kind=%s name=%s/%s", unit->kind, unit->namespace_, unit->name);
	} else if (strcmp(object.uid, unit->uid) != 0) {
		gone_over(unit, "it was made anew");
	} else {
		unit_note(unit, &object);
		bool queued = object.queued && !unit->suspends->runs; /* by Kueue's own object it may be written */
		ours = unit->ours && unit->suspended && !queued;
		if (unit->ours && queued) {
			gone_over(unit, "Kueue suspends and resumes it by now");
		} else if (unit->ours && !unit->suspended) {
			gone_over(unit, "somebody resumed it");
			unit->resumed = true;
			unit_resumed_by_others(unit, &object);
		} else if (!unit->ours && unit->may_be_back && !object.mark && !unit->suspended) {
			came_back(unit); /* the answer was lost */
		} else if (!unit->ours) {
			gone_over(unit, "its mark was taken away");
		}
	}
	arena_free(&arena);
	return ours;
}

static void read_before_return(void *ctx, const struct kube_answer *answer)
{
	struct move_unit *unit = ctx;
	unit->busy = false;
	if (still_ours(unit, answer)) {
		char until[CLOCK_TEXT_MAX];
		write_alone(unit, until);
		write_change(unit, &(struct suspend_change){.spec = true, .alone_until = until}, false, resumed);
	}
	move_wake(unit->move->s);
}

void unit_resume(struct move_unit *unit)
{
	unit->dry = false;
	unit_call(unit, "GET", unit->suspends, unit->name, false, (struct slice){NULL, 0}, read_before_return);
}

static void looked(void *ctx, const struct kube_answer *answer)
{
	struct move_unit *unit = ctx;
	unit->busy = false;
	still_ours(unit, answer);
	move_wake(unit->move->s);
}

void unit_look(struct move_unit *unit)
{
	unit->look_ns = clock_now() + (move_holds(&unit->move->steps) ? ENDING_LOOK_NS : LOOK_NS);
	unit->dry = false;
	unit_call(unit, "GET", unit->suspends, unit->name, false, (struct slice){NULL, 0}, looked);
}
