/* The record of each move: a key of one ConfigMap, written before its first act and gone after its last, so that the
 * next process goes on from it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "scheduler/json.h"
#include "scheduler/move.h"

#define PATH_ROOM 1024

static bool is_good(const struct kube_answer *answer)
{
	return answer->code == 0 && answer->status < 300;
}

static bool is_final(const struct kube_answer *answer)
{
	return answer->code == 0 && answer->status >= 400 && answer->status < 500 && answer->status != 409 &&
	       answer->status != 429;
}

/* "NAMESPACE/NAME" → the path of the ConfigMap, or of all of them. */
void record_path(const struct scheduler *s, bool of_all, struct buf *path)
{
	const char *name = strchr(s->moves_name, '/');
	buf_init(path, PATH_ROOM);
	buf_printf(path, "/api/v1/namespaces/%.*s/configmaps%s", (int)(name - s->moves_name), s->moves_name,
	    of_all ? "" : name);
}

static void write_time(struct buf *out, const char *key, int64_t wall_ns)
{
	char text[CLOCK_TEXT_MAX];
	clock_format(wall_ns, text);
	buf_char(out, ',');
	member(out, key, text);
}

static void write_texts(struct buf *out, const char *key, char *const *texts, size_t count)
{
	buf_printf(out, ",\"%s\":[", key);
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

static void write_unit(const struct scheduler *s, const struct move_unit *unit, struct buf *out)
{
	buf_char(out, '{');
	member(out, "id", unit->id);
	buf_char(out, ',');
	member(out, "kind", unit->kind);
	buf_char(out, ',');
	member(out, "namespace", unit->namespace_);
	buf_char(out, ',');
	member(out, "name", unit->name);
	buf_char(out, ',');
	member(out, "uid", unit->uid);
	buf_char(out, ',');
	member(out, "class", unit->class_name);
	buf_printf(out, ",\"suspends\":%s,\"right\":%d,\"milliGPUs\":%" PRId64 ",\"cost\":%.0f,\"priority\":%d",
	    unit->suspends ? "true" : "false", (int)unit->right, unit->milli_gpus, unit->cost, unit->priority);
	if (unit->suspends) {
		buf_char(out, ',');
		member(out, "apiVersion", unit->suspends->api_version);
	}
	if (unit->since_ns > 0)
		write_time(out, "since", unit->since_ns);
	write_texts(out, "keys", unit->keys, unit->key_count);
	buf_text(out, ",\"pods\":[");
	for (size_t k = 0; k < unit->pod_count; k++) {
		buf_text(out, k ? ",[" : "[");
		buf_json_string(out, slice_of(unit->pods[k].uid));
		buf_char(out, ',');
		buf_json_string(out, slice_of(unit->pods[k].name));
		buf_char(out, ']');
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
	buf_char(out, ',');
	member(out, "stopped", move_stop_text(move->steps.stop));
	write_time(out, "begun", move->begun_ns);
	write_time(out, "endingAt", move->ending_ns);
	buf_printf(out, ",\"graceSeconds\":%" PRId64 ",\"terminationSeconds\":%" PRId64 ",\"cost\":%.0f,\"for\":{",
	    move->steps.grace_ns / NS_PER_S, move->steps.ends_ns / NS_PER_S, move->cost);
	member(out, "kind", move->kind);
	buf_char(out, ',');
	member(out, "namespace", move->namespace_);
	buf_char(out, ',');
	member(out, "name", move->name);
	buf_char(out, ',');
	member(out, "uid", move->uid);
	buf_char(out, ',');
	member(out, "class", move->class_name);
	buf_printf(out, ",\"priority\":%d,\"pods\":[", move->priority);
	for (size_t i = 0; i < move->place_count; i++) {
		buf_text(out, i ? ",[" : "[");
		buf_json_string(out, slice_of(move->places[i].uid));
		buf_char(out, ',');
		buf_json_string(out, slice_of(move->places[i].name));
		buf_char(out, ',');
		buf_json_string(out, slice_of(move->places[i].node));
		buf_char(out, ']');
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

static void answered(struct move *move, const struct kube_answer *answer)
{
	move->busy--;
	if (!is_good(answer)) {
		move->facts.refused |= is_final(answer);
		move->facts.failed |= !is_final(answer);
		log_warn("the record of a move could not be written", "move=%s configmap=%s error=%s", move->id,
		    move->s->moves_name, log_quote(answer->error ? answer->error : ""));
	}
	move_wake(move->s);
}

static void created(void *ctx, const struct kube_answer *answer)
{
	answered(ctx, answer);
}

/* The body of the ConfigMap, or of a patch of it, with the move's key alone. */
static bool body_of(const struct move *move, bool whole, bool gone, struct buf *body)
{
	const char *name = strchr(move->s->moves_name, '/');
	struct buf record;
	buf_init(&record, MOVE_RECORD_MAX);
	buf_init(body, 2 * MOVE_RECORD_MAX);
	if (!gone)
		write_move(move, &record);
	buf_char(body, '{');
	if (whole) {
		buf_text(body, "\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{");
		member(body, "name", name + 1);
		buf_text(body, "},");
	}
	buf_text(body, "\"data\":{");
	member(body, move->id, gone ? NULL : record.data);
	buf_text(body, "}}");
	bool fits = !record.overflow && !body->overflow;
	buf_free(&record);
	return fits;
}

static void patched(void *ctx, const struct kube_answer *answer)
{
	struct move *move = ctx;
	struct buf path, body;
	if (answer->code != 0 || answer->status != 404) {
		answered(move, answer);
		return;
	}
	record_path(move->s, true, &path);
	if (body_of(move, true, false, &body))
		kube_call(move->s->kube, &(struct kube_call_spec){.method = "POST",
		                             .path = buf_slice(&path).at,
		                             .body = buf_slice(&body),
		                             .done = created,
		                             .ctx = move});
	buf_free(&path);
	buf_free(&body);
}

static void patch(struct move *move, bool gone, kube_done *done)
{
	struct buf path, body;
	record_path(move->s, false, &path);
	if (body_of(move, false, gone, &body)) {
		move->busy++;
		kube_call(move->s->kube, &(struct kube_call_spec){.method = "PATCH",
		                             .path = buf_slice(&path).at,
		                             .content_type = "application/merge-patch+json",
		                             .body = buf_slice(&body),
		                             .repeatable = true,
		                             .done = done,
		                             .ctx = move});
	} else {
		log_warn("the record of a move is too large", "move=%s", move->id);
		move->facts.refused = true;
	}
	buf_free(&path);
	buf_free(&body);
}

void record_write(struct move *move)
{
	patch(move, false, patched);
}

static void erased(void *ctx, const struct kube_answer *answer)
{
	struct move *move = ctx;
	move->busy--;
	move->facts.failed |= !is_good(answer) && !is_final(answer);
	move_wake(move->s);
}

void record_erase(struct move *move)
{
	patch(move, true, erased);
}
