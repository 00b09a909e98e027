/* /v1/moves: the moves, and the demands for which none is made. */
#include <inttypes.h>
#include <string.h>

#include "scheduler/json.h"
#include "scheduler/move/internal.h"

#define LINE_BYTES_MAX 4096

static const char *const unit_states[] = {"stands", "ended", "back", "left"};

static void write_time(const char *name, int64_t wall_ns, struct buf *out)
{
	char text[CLOCK_TEXT_MAX];
	clock_format(wall_ns, text);
	member(out, name, wall_ns > 0 ? text : NULL);
	buf_char(out, ',');
}

static void write_named(
    const char *kind, const char *namespace_, const char *name, const char *class_name, struct buf *out)
{
	member(out, "kind", kind);
	next_member(out, "namespace", namespace_);
	next_member(out, "name", name);
	next_member(out, "class", class_name);
}

static void write_unit(const struct move_unit *unit, struct buf *out)
{
	int64_t over = unit->move->over_ns;
	int64_t until = unit->back_ns > 0 ? unit->back_ns : over > 0 ? over : clock_wall();
	double seconds = unit->since_ns > 0 ? (double)(until - unit->since_ns) / (double)NS_PER_S : 0;
	buf_char(out, '{');
	write_named(unit->kind, unit->namespace_, unit->name, unit->class_name, out);
	next_member(out, "way", unit->suspends ? "suspend" : "evict");
	if (unit->gang) {
		struct buf of;
		buf_init(&of, 1024);
		buf_printf(&of, "%s %s", unit->of_kind ? unit->of_kind : "", unit->of_name ? unit->of_name : "");
		next_member(out, "surplusOf", of.data);
		buf_free(&of);
	}
	next_member(out, "right", victims_right_text(unit->right));
	next_member(out, "state", unit_states[unit->state]);
	buf_char(out, ',');
	write_time("since", unit->since_ns, out);
	write_time("back", unit->back_ns, out);
	buf_printf(out, "\"milliGPUs\":%" PRId64 ",\"costGPUMinutes\":%.1f,\"takenGPUMinutes\":%.1f}", unit->milli_gpus,
	    unit->cost / 60, seconds / 60 * (double)unit->milli_gpus / 1000);
}

static const char *phase_of(const struct move *move)
{
	return move->observed ? "observed" : move->asking ? "asking" : move_phase_name(move->steps.phase);
}

static void write_move(const struct move *move, struct buf *out)
{
	buf_char(out, '{');
	member(out, "id", move->id);
	next_member(out, "phase", phase_of(move));
	next_member(out, "stopped", move->steps.stop != MOVE_STOP_NOT ? move_stop_text(move->steps.stop) : NULL);
	buf_char(out, ',');
	write_time("begun", move->begun_ns, out);
	write_time("endingAt", move->ending_ns, out);
	write_time("over", move->over_ns, out);
	buf_printf(out, "\"costGPUMinutes\":%.1f,\"for\":{", move->cost / 60);
	write_named(move->kind, move->namespace_, move->name, move->class_name, out);
	buf_char(out, ',');
	member(out, "repartition", move->node);
	size_t bound = move->bound;
	for (size_t i = 0; move->places && i < move->place_count; i++)
		bound += move->places[i].bound;
	buf_printf(out, ",\"pods\":%zu,\"bound\":%zu},\"units\":[", move->place_count, bound);
	for (size_t i = 0; i < move->unit_count; i++) {
		buf_text(out, i ? ",\n " : "\n ");
		write_unit(&move->units[i], out);
	}
	buf_text(out, "]}");
}

static void write_waiting(const struct demand_tried *tried, struct buf *out)
{
	buf_char(out, '{');
	write_named(tried->kind, tried->namespace_, tried->name, tried->class_name, out);
	buf_printf(out, ",\"pods\":%zu,", tried->pods);
	member(out, "why", tried->why);
	buf_char(out, '}');
}

/* --- of one pod --- */

static const struct move_unit *ends(const struct scheduler *s, const char *uid)
{
	const struct work_pod *pod = work_find(s, uid);
	for (const struct move *move = pod ? s->moves->list : NULL; move; move = move->next)
		for (size_t i = 0; i < move->unit_count; i++)
			for (size_t k = 0; k < move->units[i].pod_count; k++)
				if (strcmp(move->units[i].pods[k].uid, uid) == 0)
					return &move->units[i];
	return NULL;
}

static void explain_waiting(const struct scheduler *s, const struct pod *pod, struct buf *line)
{
	const struct move_place *place = map_get(&s->moves->by_place, slice_of(pod->uid));
	const struct gang_member *member = gangs_find(s->gangs, slice_of(pod->uid));
	const struct demand_tried *tried = place ? NULL : demand_tried_of(s->moves, member ? member->gang : NULL, pod);
	if (place)
		buf_printf(line, "%s %s room for it on node %s (%s)", place->move->id,
		    place->move->observed ? "would make" : "makes", place->node, phase_of(place->move));
	else if (tried && tried->why)
		buf_printf(line, "no move makes room for it: %s", tried->why);
}

void moves_explain(const struct scheduler *s, const struct pod *waiting, const char *uid, struct buf *out)
{
	char at[CLOCK_TEXT_MAX];
	struct buf line;
	const struct move_unit *unit = s->moves && !waiting ? ends(s, uid) : NULL;
	buf_init(&line, LINE_BYTES_MAX);
	if (s->moves && waiting)
		explain_waiting(s, waiting, &line);
	if (unit) {
		clock_format(unit->move->ending_ns, at);
		buf_printf(&line, "%s %s it for %s %s/%s (%s)%s%s", unit->move->id,
		    unit->move->observed ? "would end" : "ends", unit->move->kind, unit->move->namespace_,
		    unit->move->name, phase_of(unit->move), unit->move->ending_ns ? ", at " : "",
		    unit->move->ending_ns ? at : "");
	}
	if (line.len > 0) {
		buf_char(out, ',');
		member(out, "move", line.data);
	}
	buf_free(&line);
}

/* --- all of them --- */

static void write_moves(const struct move *list, struct buf *out)
{
	bool first = true;
	buf_char(out, '[');
	for (const struct move *move = list; move; move = move->next) {
		if (move->observed && move->unit_count == 0)
			continue;
		buf_text(out, first ? "\n" : ",\n");
		first = false;
		write_move(move, out);
	}
	buf_char(out, ']');
}

void moves_answer(void *ctx, struct buf *out)
{
	struct scheduler *s = ctx;
	static const char *const modes[] = {"off", "observe", "act"};
	size_t cursor = 0;
	bool first = true;
	buf_char(out, '{');
	member(out, "mode", modes[s->policy.inforce->moves.mode]);
	buf_text(out, ",\"moves\":");
	write_moves(s->moves ? s->moves->list : NULL, out);
	buf_text(out, ",\n\"over\":");
	write_moves(s->moves ? s->moves->over : NULL, out);
	buf_text(out, ",\n\"waiting\":[");
	for (const struct demand_tried *tried; s->moves && (tried = map_next(&s->moves->tried, &cursor));) {
		buf_text(out, first ? "\n" : ",\n");
		first = false;
		write_waiting(tried, out);
	}
	buf_text(out, "]}\n");
}
