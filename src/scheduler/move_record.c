/* The record of each move: a key of one ConfigMap, written before its first act and gone after its last, so that the
 * next process goes on from it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/reader.h"
#include "cluster/fields.h"
#include "scheduler/json.h"
#include "scheduler/move.h"

#define PATH_ROOM 1024
#define READ_AGAIN_NS (5 * NS_PER_S)
#define RECORD_VERSION 1

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
static void path_of(const struct scheduler *s, bool of_all, struct buf *path)
{
	const char *name = strchr(s->moves_name, '/');
	buf_init(path, PATH_ROOM);
	buf_printf(path, "/api/v1/namespaces/%.*s/configmaps%s", (int)(name - s->moves_name), s->moves_name,
	    of_all ? "" : name);
}

/* --- writing --- */

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
	buf_printf(out, "{\"version\":%d,", RECORD_VERSION);
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
	path_of(move->s, true, &path);
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
	path_of(move->s, false, &path);
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

/* --- reading --- */

static char *text_of(struct reader *json, struct arena *arena)
{
	const char *text = field_string(json, arena);
	return xstrdup(text ? text : "");
}

static int64_t time_of(struct reader *json)
{
	struct slice text;
	int64_t wall;
	return reader_string(json, &text) && clock_parse(text, &wall) ? wall : 0;
}

static void read_texts(struct reader *json, struct arena *arena, char ***texts, size_t *count)
{
	if (!reader_array(json))
		return;
	while (reader_next(json)) {
		*texts = xrealloc(*texts, (*count + 1) * sizeof **texts);
		(*texts)[(*count)++] = text_of(json, arena);
	}
}

/* [UID, name] or [UID, name, node]. */
static size_t read_row(struct reader *json, struct arena *arena, char *row[3])
{
	size_t count = 0;
	row[0] = row[1] = row[2] = NULL;
	if (!reader_array(json))
		return 0;
	while (reader_next(json)) {
		if (count < 3)
			row[count++] = text_of(json, arena);
		else
			reader_skip(json);
	}
	return count;
}

static void read_pods(struct reader *json, struct arena *arena, struct move_unit *unit)
{
	char *row[3];
	if (!reader_array(json))
		return;
	while (reader_next(json)) {
		if (read_row(json, arena, row) >= 2) {
			unit->pods = xrealloc(unit->pods, (unit->pod_count + 1) * sizeof *unit->pods);
			unit->pods[unit->pod_count++] = (struct unit_pod){row[0], row[1], NULL, false};
		} else {
			free(row[0]);
			free(row[1]);
		}
		free(row[2]);
	}
}

static void read_each(struct scheduler *s, struct reader *json, struct resource_list *list)
{
	int64_t amount;
	if (!reader_object(json))
		return;
	for (struct slice key; reader_key(json, &key);) {
		int id = resource_names_id(&s->fleet->names, key);
		int64_t *at = id < 0 ? NULL : resource_list_at(list, (resource_id)id);
		if (reader_int(json, &amount) && at && amount >= 0)
			*at = amount;
	}
}

static void read_rooms(struct scheduler *s, struct reader *json, struct arena *arena, struct move_unit *unit)
{
	int64_t number;
	if (!reader_array(json))
		return;
	while (reader_next(json)) {
		struct unit_room room = {.node = NULL};
		if (!reader_object(json))
			continue;
		for (struct slice key; reader_key(json, &key);) {
			if (slice_is(key, "node") && !room.node)
				room.node = text_of(json, arena);
			else if (slice_is(key, "pods"))
				room.count = reader_int(json, &number) && number > 0 && number < PLAN_MEMBERS_MAX
				                 ? (size_t)number
				                 : 0;
			else if (slice_is(key, "each"))
				read_each(s, json, &room.demand);
			else
				reader_skip(json);
		}
		if (!room.node)
			continue;
		unit->rooms = xrealloc(unit->rooms, (unit->room_count + 1) * sizeof *unit->rooms);
		unit->rooms[unit->room_count++] = room;
	}
}

static void replace(char **text, struct reader *json, struct arena *arena)
{
	free(*text);
	*text = text_of(json, arena);
}

static void read_unit(struct reader *json, struct arena *arena, struct move *move)
{
	struct move_unit *unit = move_add_unit(move);
	bool suspends = false;
	int64_t number;
	if (!reader_object(json))
		return;
	for (struct slice key; reader_key(json, &key);) {
		if (slice_is(key, "id"))
			replace(&unit->id, json, arena);
		else if (slice_is(key, "kind"))
			replace(&unit->kind, json, arena);
		else if (slice_is(key, "namespace"))
			replace(&unit->namespace_, json, arena);
		else if (slice_is(key, "name"))
			replace(&unit->name, json, arena);
		else if (slice_is(key, "uid"))
			replace(&unit->uid, json, arena);
		else if (slice_is(key, "class"))
			replace(&unit->class_name, json, arena);
		else if (slice_is(key, "suspends"))
			reader_bool(json, &suspends);
		else if (slice_is(key, "right"))
			unit->right = reader_int(json, &number) && number >= 0 && number <= VICTIMS_BY_RECLAIM
			                  ? (enum victims_right)number
			                  : VICTIMS_BY_PREEMPT;
		else if (slice_is(key, "milliGPUs"))
			unit->milli_gpus = reader_int(json, &number) ? number : 0;
		else if (slice_is(key, "cost"))
			unit->cost = reader_int(json, &number) ? (double)number : 0;
		else if (slice_is(key, "priority"))
			unit->priority = reader_int(json, &number) ? (int32_t)number : 0;
		else if (slice_is(key, "since"))
			unit->since_ns = time_of(json);
		else if (slice_is(key, "keys"))
			read_texts(json, arena, &unit->keys, &unit->key_count);
		else if (slice_is(key, "pods"))
			read_pods(json, arena, unit);
		else if (slice_is(key, "rooms"))
			read_rooms(move->s, json, arena, unit);
		else
			reader_skip(json);
	}
	unit->suspends = suspends ? suspend_kind_of(unit->kind) : NULL;
}

static void read_places(struct reader *json, struct arena *arena, struct move *move)
{
	char *row[3];
	if (!reader_array(json))
		return;
	while (reader_next(json)) {
		if (read_row(json, arena, row) == 3) {
			move->places = xrealloc(move->places, (move->place_count + 1) * sizeof *move->places);
			move->places[move->place_count++] =
			    (struct move_place){.uid = row[0], .name = row[1], .node = row[2]};
		} else {
			for (size_t i = 0; i < 3; i++)
				free(row[i]);
		}
	}
}

static void read_for(struct reader *json, struct arena *arena, struct move *move)
{
	int64_t number;
	if (!reader_object(json))
		return;
	for (struct slice key; reader_key(json, &key);) {
		if (slice_is(key, "kind"))
			replace(&move->kind, json, arena);
		else if (slice_is(key, "namespace"))
			replace(&move->namespace_, json, arena);
		else if (slice_is(key, "name"))
			replace(&move->name, json, arena);
		else if (slice_is(key, "uid"))
			replace(&move->uid, json, arena);
		else if (slice_is(key, "class"))
			replace(&move->class_name, json, arena);
		else if (slice_is(key, "priority"))
			move->priority = reader_int(json, &number) ? (int32_t)number : 0;
		else if (slice_is(key, "pods"))
			read_places(json, arena, move);
		else
			reader_skip(json);
	}
}

struct read {
	int64_t version, grace_s, ends_s;
	bool lent;
	struct slice stopped;
};

static bool read_record(struct slice text, struct arena *arena, struct move *move, struct read *read)
{
	struct reader json;
	struct slice state;
	int64_t number;
	*read = (struct read){.version = 0};
	reader_open(&json, text);
	if (reader_peek(&json) == READER_OBJECT && reader_object(&json))
		for (struct slice key; reader_key(&json, &key);) {
			if (slice_is(key, "version"))
				reader_int(&json, &read->version);
			else if (slice_is(key, "state"))
				read->lent = reader_string(&json, &state) && slice_is(state, "lent");
			else if (slice_is(key, "stopped"))
				reader_string(&json, &read->stopped);
			else if (slice_is(key, "begun"))
				move->begun_ns = time_of(&json);
			else if (slice_is(key, "endingAt"))
				move->ending_ns = time_of(&json);
			else if (slice_is(key, "graceSeconds"))
				reader_int(&json, &read->grace_s);
			else if (slice_is(key, "terminationSeconds"))
				reader_int(&json, &read->ends_s);
			else if (slice_is(key, "cost"))
				move->cost = reader_int(&json, &number) ? (double)number : 0;
			else if (slice_is(key, "for"))
				read_for(&json, arena, move);
			else if (slice_is(key, "units") && reader_peek(&json) == READER_ARRAY && reader_array(&json))
				while (reader_next(&json))
					read_unit(&json, arena, move);
			else
				reader_skip(&json);
		}
	return reader_close(&json) && read->version == RECORD_VERSION;
}

static bool is_whole(const struct move *move)
{
	if (!move->namespace_ || !move->kind || !move->name || !move->uid || !move->class_name)
		return false;
	for (size_t i = 0; i < move->unit_count; i++) {
		const struct move_unit *unit = &move->units[i];
		if (!unit->id || !unit->kind || !unit->namespace_ || !unit->name || !unit->uid || !unit->class_name ||
		    !bind_path_safe(slice_of(unit->namespace_)) || !bind_path_safe(slice_of(unit->name)))
			return false;
	}
	return true;
}

static int64_t bounded_s(int64_t seconds)
{
	return (seconds < 0 ? 0 : seconds > 86400 ? 86400 : seconds) * NS_PER_S;
}

static void take_up(struct scheduler *s, const char *id, struct slice text)
{
	struct move *move = move_new(s, id);
	struct arena arena;
	struct read read;
	arena_init(&arena, 4096);
	if (read_record(text, &arena, move, &read) && is_whole(move)) {
		int64_t left = move->ending_ns - clock_wall();
		move_resume(&move->steps, read.lent, bounded_s(read.grace_s), bounded_s(read.ends_s),
		    clock_now() + (left > 0 ? left : 0));
		for (enum move_stop stop = MOVE_STOP_NOT; stop <= MOVE_STOP_CALLED_OFF; stop++)
			if (slice_is(read.stopped, move_stop_text(stop)))
				move->steps.stop = stop;
		log_info("a move is taken up", "move=%s for=%s/%s units=%zu state=%s", move->id, move->namespace_,
		    move->name, move->unit_count, read.lent ? "lent" : "ending");
		move_adopt(move);
	} else {
		log_error("the record of a move cannot be read: what it suspended is found by its mark", "move=%s", id);
		move_free(move);
	}
	arena_free(&arena);
}

static void read_data(struct scheduler *s, struct slice body)
{
	struct reader json;
	struct arena arena;
	struct slice text;
	arena_init(&arena, 4096);
	reader_open(&json, body);
	if (reader_peek(&json) == READER_OBJECT && reader_object(&json))
		for (struct slice key; reader_key(&json, &key);) {
			if (!slice_is(key, "data") || reader_peek(&json) != READER_OBJECT) {
				reader_skip(&json);
				continue;
			}
			reader_object(&json);
			while (reader_key(&json, &key)) {
				char id[MOVE_ID_MAX];
				bool known = reader_string(&json, &text) && key.len < sizeof id && move_is_mark(key);
				if (!known)
					continue;
				snprintf(id, sizeof id, "%.*s", (int)key.len, key.at);
				take_up(s, id, field_plain(&arena, text));
			}
		}
	arena_free(&arena);
}

static void came(void *ctx, const struct kube_answer *answer)
{
	struct scheduler *s = ctx;
	s->moves->reading = false;
	if (is_good(answer))
		read_data(s, answer->body);
	s->moves->taken_up = is_good(answer) || (answer->code == 0 && answer->status == 404);
	if (!s->moves->taken_up)
		log_warn("the records of moves cannot be read: none is made", "configmap=%s error=%s", s->moves_name,
		    log_quote(answer->error ? answer->error : ""));
	move_wake(s);
}

void record_read(struct scheduler *s)
{
	struct buf path;
	if (s->moves->reading || clock_now() < s->moves->read_ns)
		return;
	s->moves->reading = true;
	s->moves->read_ns = clock_now() + READ_AGAIN_NS;
	path_of(s, false, &path);
	kube_call(
	    s->kube, &(struct kube_call_spec){
	                 .method = "GET", .path = buf_slice(&path).at, .repeatable = true, .done = came, .ctx = s});
	buf_free(&path);
}
