/* The record of each move: a key of one ConfigMap, written before its first act and gone after its last, so that the
 * next process goes on from it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "scheduler/json.h"
#include "scheduler/move/internal.h"

static bool is_good(const struct kube_answer *answer)
{
	return answer->code == 0 && answer->status < 300;
}

static bool is_final(const struct kube_answer *answer)
{
	return answer->code == 0 && answer->status >= 400 && answer->status < 500 && answer->status != 409 &&
	       answer->status != 429;
}

static void write_texts(struct buf *out, const char *const *texts, size_t count)
{
	buf_char(out, '[');
	for (size_t i = 0; i < count; i++) {
		buf_text(out, i ? "," : "");
		buf_json_string(out, slice_of(texts[i]));
	}
	buf_char(out, ']');
}

static void write_room(const struct scheduler *s, const struct unit_room *room, struct buf *out)
{
	buf_char(out, '{');
	member(out, "node", room->node);
	buf_printf(out, ",\"pods\":%zu,\"each\":{", room->count);
	for (uint16_t i = 0; i < room->demand.count; i++) {
		buf_text(out, i ? "," : "");
		buf_json_string(out, slice_of(resource_names_text(&s->fleet->names, room->demand.items[i].id)));
		buf_printf(out, ":%" PRId64, room->demand.items[i].amount);
	}
	buf_text(out, "}}");
}

static void write_surplus(const struct move_unit *unit, struct buf *out)
{
	next_member(out, "gang", unit->gang);
	next_member(out, "group", unit->group);
	buf_printf(out, ",\"rank\":%" PRId32, unit->rank);
	next_member(out, "ofKind", unit->of_kind);
	next_member(out, "ofName", unit->of_name);
	next_member(out, "ofUID", unit->of_uid);
}

static void write_named(struct buf *out, const char *kind, const char *namespace_, const char *name, const char *uid,
    const char *class_name)
{
	member(out, "kind", kind);
	next_member(out, "namespace", namespace_);
	next_member(out, "name", name);
	next_member(out, "uid", uid);
	next_member(out, "class", class_name);
}

static void write_unit(const struct scheduler *s, const struct move_unit *unit, struct buf *out)
{
	buf_char(out, '{');
	member(out, "id", unit->id);
	buf_char(out, ',');
	write_named(out, unit->kind, unit->namespace_, unit->name, unit->uid, unit->class_name);
	buf_printf(out, ",\"suspends\":%s,\"right\":%d,\"milliGPUs\":%" PRId64 ",\"cost\":%.0f,\"priority\":%d",
	    unit->suspends ? "true" : "false", (int)unit->right, unit->milli_gpus, unit->cost, unit->priority);
	if (unit->suspends)
		next_member(out, "apiVersion", unit->suspends->api_version);
	if (unit->maker)
		next_member(out, "replicaOf", unit->maker);
	if (unit->gang)
		write_surplus(unit, out);
	if (unit->since_ns > 0)
		next_time(out, "since", unit->since_ns);
	buf_text(out, ",\"keys\":");
	write_texts(out, (const char *const *)unit->keys, unit->key_count);
	buf_text(out, ",\"pods\":[");
	for (size_t k = 0; k < unit->pod_count; k++) {
		buf_text(out, k ? "," : "");
		write_texts(out, (const char *[]){unit->pods[k].uid, unit->pods[k].name}, 2);
	}
	buf_text(out, "],\"rooms\":[");
	for (size_t k = 0; k < unit->room_count; k++) {
		buf_text(out, k ? "," : "");
		write_room(s, &unit->rooms[k], out);
	}
	buf_text(out, "]}");
}

/* Units that are over are left out: the record is of what is still to be done. */
static void write_move(const struct move *move, struct buf *out)
{
	bool first = true;
	buf_printf(out, "{\"version\":%d,", MOVE_RECORD_VERSION);
	member(out, "state", move_holds(&move->steps) ? "ending" : "lent");
	next_member(out, "stopped", move_stop_text(move->steps.stop));
	next_time(out, "begun", move->begun_ns);
	next_time(out, "endingAt", move->ending_ns);
	buf_printf(out, ",\"told\":%s", move->steps.told || move->steps.grace_ns == 0 ? "true" : "false");
	buf_printf(out, ",\"graceSeconds\":%" PRId64 ",\"terminationSeconds\":%" PRId64 ",\"cost\":%.0f,\"for\":{",
	    move->steps.grace_ns / NS_PER_S, move->steps.ends_ns / NS_PER_S, move->cost);
	write_named(out, move->kind, move->namespace_, move->name, move->uid, move->class_name);
	if (move->node) {
		buf_char(out, ',');
		member(out, "repartition", move->node);
	}
	buf_printf(out, ",\"priority\":%d,\"pods\":[", move->priority);
	for (size_t i = 0; i < move->place_count; i++) {
		const struct move_place *place = &move->places[i];
		buf_text(out, i ? "," : "");
		write_texts(out, (const char *[]){place->uid, place->name, place->node}, 3);
	}
	buf_text(out, "]},\"units\":[");
	for (size_t i = 0; i < move->unit_count; i++) {
		if (move->units[i].state == UNIT_BACK || move->units[i].state == UNIT_LEFT)
			continue;
		buf_text(out, first ? "" : ",");
		first = false;
		write_unit(move->s, &move->units[i], out);
	}
	buf_text(out, "]}");
}

/* One that may not be erased is read again by the next process, and found to be over. */
static void note_written(struct move *move, const struct kube_answer *answer)
{
	struct scheduler *s = move->s;
	move->recording = false;
	move->busy--;
	if (is_good(answer))
		return;
	move->facts.refused |= is_final(answer) && move->steps.phase != MOVE_ERASE;
	move->facts.failed |= !is_final(answer);
	log_warn("the record of a move could not be written", "move=%s configmap=%s error=%s", move->id, s->moves_name,
	    log_quote(answer->error ? answer->error : ""));
}

/* Units without a record may be several moves by one id. */
static void written(void *ctx, struct slice key, const struct kube_answer *answer)
{
	struct scheduler *s = ctx;
	for (struct move *move = s->moves->list; move; move = move->next)
		if (move->recording && slice_is(key, move->id))
			note_written(move, answer);
	move_wake(s);
}

static void set(struct move *move, const char *text)
{
	if (!move->recording)
		move->busy++;
	move->recording = true;
	keep_set(&move->s->moves->kept, move->id, text);
}

void record_write(struct move *move)
{
	struct buf text;
	buf_init(&text, KEEP_KEY_MAX);
	write_move(move, &text);
	if (text.overflow) {
		log_warn("the record of a move is too large", "move=%s", move->id);
		move->facts.refused = true;
	} else {
		set(move, buf_slice(&text).at);
	}
	buf_free(&text);
}

void record_erase(struct move *move)
{
	set(move, NULL);
}

/* "NAMESPACE/NAME" → the ConfigMap. */
void record_open(struct scheduler *s)
{
	const char *slash = strchr(s->moves_name, '/');
	char *namespace_ = xstrndup(s->moves_name, (size_t)(slash - s->moves_name));
	keep_open(&s->moves->kept, s->kube, namespace_, slash + 1);
	s->moves->kept.written = written;
	free(namespace_);
}
