/* The records of moves, as the process before left them: each is gone on with from what it says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/reader.h"
#include "cluster/fields.h"
#include "scheduler/move/internal.h"

#define READ_AGAIN_NS (5 * NS_PER_S)

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

/* What a member beyond its gang's quorum is known by. */
static bool read_surplus(struct slice key, struct reader *json, struct arena *arena, struct move_unit *unit)
{
	const struct {
		const char *key;
		char **text;
	} texts[] = {{"gang", &unit->gang}, {"group", &unit->group}, {"ofKind", &unit->of_kind},
	    {"ofName", &unit->of_name}, {"ofUID", &unit->of_uid}};
	int64_t number;
	if (slice_is(key, "rank"))
		unit->rank =
		    reader_int(json, &number) && number >= 0 && number < GANG_MEMBERS_MAX ? (int32_t)number : -1;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (slice_is(key, texts[i].key)) {
			if (reader_peek(json) == READER_NULL)
				reader_skip(json);
			else
				replace(texts[i].text, json, arena);
			return true;
		}
	return slice_is(key, "rank");
}

static void read_unit(struct reader *json, struct arena *arena, struct move *move)
{
	struct move_unit *unit = move_add_unit(move);
	bool suspends = false;
	const char *api_version = NULL;
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
		else if (slice_is(key, "replicaOf"))
			replace(&unit->maker, json, arena);
		else if (slice_is(key, "suspends"))
			reader_bool(json, &suspends);
		else if (slice_is(key, "apiVersion"))
			api_version = field_string(json, arena);
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
		else if (!read_surplus(key, json, arena, unit))
			reader_skip(json);
	}
	if (unit->gang)
		move->surplus_count++;
	if (suspends)
		unit->suspends =
		    api_version ? suspend_kind_named(api_version, unit->kind) : suspend_kind_of(unit->kind);
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
		else if (slice_is(key, "repartition"))
			replace(&move->node, json, arena);
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
	bool lent, told;
	struct slice stopped;
};

static bool read_record(struct slice text, struct arena *arena, struct move *move, struct read *read)
{
	struct reader json;
	struct slice state;
	int64_t number;
	*read = (struct read){.told = true};
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
			else if (slice_is(key, "told"))
				reader_bool(&json, &read->told);
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
	return reader_close(&json) && read->version == MOVE_RECORD_VERSION;
}

static bool is_whole(const struct move *move)
{
	if (!move->namespace_ || !move->kind || !move->name || !move->uid || !move->class_name)
		return false;
	for (size_t i = 0; i < move->unit_count; i++) {
		const struct move_unit *unit = &move->units[i];
		if (!unit->id || !unit->kind || !unit->namespace_ || !unit->name || !unit->uid || !unit->class_name ||
		    !bind_path_safe(slice_of(unit->namespace_)) || !bind_path_safe(slice_of(unit->name)) ||
		    (unit->gang && (unit->pod_count != 1 || unit->key_count == 0 || unit->suspends)))
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
		/* By a clock that is behind it would be longer than it was to be. */
		int64_t left = move->ending_ns - clock_wall(), grace = bounded_s(read.grace_s);
		left = left < grace ? left : grace;
		if (read.lent || read.told)
			move_resume(&move->steps, read.lent, move->node != NULL, bounded_s(read.grace_s),
			    bounded_s(read.ends_s), clock_now() + (left > 0 ? left : 0));
		else
			move_resume_untold(&move->steps, move->node != NULL, bounded_s(read.grace_s),
			    bounded_s(read.ends_s), clock_now());
		for (enum move_stop stop = MOVE_STOP_NOT; stop <= MOVE_STOP_NOT_CUT; stop++)
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

static void shown(void *ctx, struct slice key, struct slice text)
{
	struct scheduler *s = ctx;
	char id[MOVE_ID_MAX];
	if (makers_shown(s->moves, key, text) || !move_is_mark(key))
		return;
	snprintf(id, sizeof id, "%.*s", (int)key.len, key.at);
	take_up(s, id, text);
}

static void was_read(void *ctx)
{
	struct scheduler *s = ctx;
	s->moves->reading = false;
	s->moves->taken_up = s->moves->kept.read;
	if (!s->moves->taken_up)
		log_warn("the records of moves cannot be read: none is made", "configmap=%s error=%s", s->moves_name,
		    log_quote(s->moves->kept.trouble ? s->moves->kept.trouble : ""));
	move_wake(s);
	if (!s->moves_unread)
		return;
	s->moves_unread = false;
	for (struct move *move = s->moves->list; move; move = move->next)
		if (move_holds(&move->steps))
			room_hold(move);
	lease_take_up(s);
}

/* The room that moves hold is theirs before anybody else is given it. */
bool moves_take_up(struct scheduler *s)
{
	if (!s->kube || !s->moves || s->moves->reading || s->moves->read_ns != 0)
		return false;
	s->moves_unread = true;
	record_read(s);
	return true;
}

void record_read(struct scheduler *s)
{
	if (s->moves->reading || clock_now() < s->moves->read_ns)
		return;
	if (!s->moves->kept.kube)
		record_open(s);
	s->moves->reading = true;
	s->moves->read_ns = clock_now() + READ_AGAIN_NS;
	keep_read(&s->moves->kept, shown, was_read, s);
}
