/* What people are told of moves: Events on both sides, each naming the other, and the log. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "scheduler/move/internal.h"

#define NOTE_MAX 900
#define NAMED_MAX 8 /* units that an Event names */

static const char *api_of(const char *kind)
{
	const struct suspend_kind *known = suspend_kind_of(kind);
	if (known)
		return known->api_version;
	if (strcmp(kind, "Pod") == 0 || strcmp(kind, "ReplicationController") == 0)
		return "v1";
	return strcmp(kind, "ReplicaSet") == 0 || strcmp(kind, "StatefulSet") == 0 ? "apps/v1" : NULL;
}

static void emit(struct scheduler *s, const char *api_version, const char *kind, const char *namespace_,
    const char *name, const char *uid, const char *type, const char *reason, const char *note)
{
	if (!*name)
		return;
	kube_emit(s->kube,
	    &(struct kube_event){.api_version = api_version,
	        .kind = kind,
	        .namespace_ = namespace_,
	        .name = name,
	        .uid = uid,
	        .type = type,
	        .reason = reason,
	        .action = "Move",
	        .note = note},
	    NULL, NULL);
}

/* Thousandths of a GPU as a number of GPUs. */
static void gpus_text(int64_t milli, char text[32])
{
	if (milli % 1000 == 0)
		snprintf(text, 32, "%" PRId64, milli / 1000);
	else
		snprintf(text, 32, "%.3f", (double)milli / 1000);
}

static void list_units(const struct move *move, struct buf *out)
{
	for (size_t i = 0; i < move->unit_count && i < NAMED_MAX; i++) {
		const struct move_unit *unit = &move->units[i];
		char gpus[32];
		gpus_text(unit->milli_gpus, gpus);
		buf_printf(out, "%s%s %s/%s (%s GPUs) by %s", i ? ", " : "", unit->kind, unit->namespace_, unit->name,
		    gpus, victims_right_text(unit->right));
	}
	if (move->unit_count > NAMED_MAX)
		buf_printf(out, " and %zu more", move->unit_count - NAMED_MAX);
}

void tell_unit(struct move_unit *unit, const char *reason, const char *until)
{
	const struct move *move = unit->move;
	struct buf note;
	char gpus[32];
	bool back = strcmp(reason, "GPUsGivenBack") == 0;
	gpus_text(unit->milli_gpus, gpus);
	buf_init(&note, 4096);
	if (back && !*move->name)
		buf_printf(&note, "resumed: it was suspended by %s, of which nothing more is known", move->id);
	else if (back)
		buf_printf(&note, "%s GPUs are given back by %s %s/%s: %s", gpus, move->kind, move->namespace_,
		    move->name, unit->gang ? "whoever was made in its place is held back no more" : "resumed");
	else
		buf_printf(&note, "%s GPUs go to %s %s/%s (class %s) by %s, at a cost of %.0f GPU-minutes%s%s%s", gpus,
		    move->kind, move->namespace_, move->name, move->class_name, victims_right_text(unit->right),
		    unit->cost / 60, until ? ": it ends at " : "", until ? until : "",
		    unit->suspends ? "; it is resumed once they are free again"
		    : unit->gang
		        ? "; its gang does without it, and whoever is made in its place is held back until then"
		        : "");
	if (unit->gang)
		buf_printf(&note, " (Pod %s)", unit->name);
	buf_printf(&note, " (%s)", move->id);
	log_info(back    ? "a unit is given back"
	         : until ? "a unit is to end"
	                 : "a unit is ended",
	    "move=%s kind=%s name=%s/%s gpus=%s", move->id, unit->kind, unit->namespace_, unit->name, gpus);
	bool owner = unit->gang && unit->of_kind && unit->of_name && unit->of_uid; /* it outlives the pod */
	const char *kind = owner ? unit->of_kind : unit->kind;
	emit(move->s, unit->suspends ? unit->suspends->api_version : api_of(kind), kind, unit->namespace_,
	    owner ? unit->of_name : unit->name, owner ? unit->of_uid : unit->uid, back ? "Normal" : "Warning", reason,
	    note.data);
	buf_free(&note);
}

void tell_begun(struct move *move)
{
	struct buf note;
	int64_t milli = 0;
	char gpus[32];
	struct scheduler *s = move->s;
	for (size_t i = 0; i < move->unit_count; i++)
		milli += move->units[i].milli_gpus;
	gpus_text(milli, gpus);
	buf_init(&note, 8192);
	buf_printf(
	    &note, "%s GPUs %s taken for %zu pods", gpus, move->observed ? "would be" : "are", move->place_count);
	if (move->node)
		buf_printf(&note, ", for which node %s is cut into slices (%s)", move->node, move->config);
	buf_printf(&note, ", at a cost of %.0f GPU-minutes, from ", move->cost / 60);
	list_units(move, &note);
	buf_printf(&note, " (%s)", move->id);
	log_info(move->observed ? "a move would be made" : "a move begins",
	    "move=%s for=%s/%s pods=%zu units=%zu gpus=%s cost_gpu_minutes=%.0f", move->id, move->namespace_,
	    move->name, move->place_count, move->unit_count, gpus, move->cost / 60);
	emit(s, api_of(move->kind), move->kind, move->namespace_, move->name, move->uid, "Normal",
	    move->observed ? "MoveObserved" : "GPUsTakenFor", note.data);
	metric_add(s->instruments.moves, 1, move->observed ? "observed" : "begun", NULL);
	buf_free(&note);
}

void tell_stopped(struct move *move)
{
	char note[512];
	snprintf(note, sizeof note, "the move is given up: %s; what was suspended is resumed (%s)",
	    move_stop_text(move->steps.stop), move->id);
	log_warn("a move is given up", "move=%s for=%s/%s why=%s", move->id, move->namespace_, move->name,
	    log_quote(move_stop_text(move->steps.stop)));
	emit(move->s, api_of(move->kind), move->kind, move->namespace_, move->name, move->uid, "Warning", "MoveGivenUp",
	    note);
	metric_add(move->s->instruments.moves, 1, "given_up", NULL);
}
