#include "cluster/repartition.h"

#include <stdio.h>

#include "base/clock.h"
#include "cluster/fields.h"

#define VERSION 1

/* --- the record --- */

static void copy(char to[REPARTITION_NAME_MAX], struct slice from)
{
	if (from.len < REPARTITION_NAME_MAX)
		snprintf(to, REPARTITION_NAME_MAX, "%.*s", (int)from.len, from.at);
}

static void read_name(struct reader *json, char to[REPARTITION_NAME_MAX])
{
	struct slice text;
	if (reader_string(json, &text))
		copy(to, text);
}

static void read_amounts(struct reader *json, struct repartition_amounts *amounts)
{
	struct slice key;
	*amounts = (struct repartition_amounts){0};
	if (!reader_object(json))
		return;
	while (reader_key(json, &key)) {
		struct repartition_amount item = {.amount = 0};
		copy(item.resource, key);
		if (reader_int(json, &item.amount) && item.resource[0] && amounts->count < REPARTITION_AMOUNTS_MAX)
			amounts->items[amounts->count++] = item;
	}
}

bool repartition_read(struct slice text, struct repartition_record *record)
{
	struct reader json;
	struct slice key, value;
	int64_t version = 0;
	*record = (struct repartition_record){.phase = REPARTITION_NONE};
	reader_open(&json, text);
	if (reader_object(&json))
		while (reader_key(&json, &key)) {
			if (slice_is(key, "version"))
				reader_int(&json, &version);
			else if (slice_is(key, "phase") && reader_string(&json, &value))
				record->phase = repartition_phase_named(value);
			else if (slice_is(key, "back"))
				reader_bool(&json, &record->back);
			else if (slice_is(key, "to"))
				read_name(&json, record->to);
			else if (slice_is(key, "from"))
				read_name(&json, record->from);
			else if (slice_is(key, "state"))
				read_name(&json, record->state);
			else if (slice_is(key, "move"))
				read_name(&json, record->move);
			else if (slice_is(key, "since") && reader_string(&json, &value))
				clock_parse(value, &record->since_ns);
			else if (slice_is(key, "want"))
				read_amounts(&json, &record->want);
			else if (slice_is(key, "had"))
				read_amounts(&json, &record->had);
			else
				reader_skip(&json);
		}
	return reader_close(&json) && version == VERSION && record->phase != REPARTITION_NONE && record->to[0] &&
	       record->since_ns > 0;
}

static void write_member(struct buf *out, const char *name, const char *text)
{
	buf_printf(out, ",\"%s\":", name);
	buf_json_string(out, slice_of(text));
}

static void write_amounts(struct buf *out, const char *name, const struct repartition_amounts *amounts)
{
	buf_printf(out, ",\"%s\":{", name);
	for (size_t i = 0; i < amounts->count; i++) {
		buf_text(out, i ? "," : "");
		buf_json_string(out, slice_of(amounts->items[i].resource));
		buf_char(out, ':');
		buf_json_int(out, amounts->items[i].amount);
	}
	buf_char(out, '}');
}

void repartition_write(const struct repartition_record *record, struct buf *out)
{
	char since[CLOCK_TEXT_MAX];
	clock_format(record->since_ns, since);
	buf_printf(out, "{\"version\":%d", VERSION);
	write_member(out, "phase", repartition_phase_name(record->phase));
	buf_text(out, record->back ? ",\"back\":true" : "");
	write_member(out, "to", record->to);
	if (record->from[0])
		write_member(out, "from", record->from);
	if (record->state[0])
		write_member(out, "state", record->state);
	if (record->move[0])
		write_member(out, "move", record->move);
	write_member(out, "since", since);
	write_amounts(out, "want", &record->want);
	write_amounts(out, "had", &record->had);
	buf_char(out, '}');
}

/* --- the node --- */

static const char *member_of(struct reader *json, struct arena *arena, const char *const names[2], const char *found[2])
{
	struct slice key;
	if (reader_object(json))
		while (reader_key(json, &key)) {
			int which = slice_is(key, names[0]) ? 0 : names[1] && slice_is(key, names[1]) ? 1 : -1;
			if (which >= 0)
				found[which] = field_string(json, arena);
			else
				reader_skip(json);
		}
	return found[0];
}

static void read_metadata(struct reader *json, struct arena *arena, struct repartition_object *object)
{
	static const char *const label_names[] = {MIG_CONFIG_LABEL, MIG_STATE_LABEL};
	static const char *const annotation_names[] = {REPARTITION_KEY, NULL};
	const char *labels[2] = {NULL, NULL}, *annotations[2] = {NULL, NULL};
	struct slice key, name;
	if (!reader_object(json))
		return;
	while (reader_key(json, &key)) {
		if (slice_is(key, "name"))
			object->name = reader_string(json, &name) && name.len ? field_name(arena, name) : NULL;
		else if (slice_is(key, "resourceVersion"))
			object->version = field_string(json, arena);
		else if (slice_is(key, "labels"))
			member_of(json, arena, label_names, labels);
		else if (slice_is(key, "annotations"))
			member_of(json, arena, annotation_names, annotations);
		else
			reader_skip(json);
	}
	object->config = labels[0];
	object->state = labels[1];
	object->text = annotations[0];
}

static bool is_ours(struct slice taint)
{
	struct reader json;
	struct slice key, text = {NULL, 0};
	reader_open(&json, taint);
	if (reader_object(&json))
		while (reader_key(&json, &key)) {
			if (slice_is(key, "key"))
				reader_string(&json, &text);
			else
				reader_skip(&json);
		}
	return slice_is(text, REPARTITION_KEY);
}

static void read_taints(struct reader *json, struct arena *arena, struct repartition_object *object)
{
	size_t room = 0;
	object->tainted = false;
	object->other_count = 0; /* of duplicate keys the last counts */
	if (!reader_array(json))
		return;
	while (reader_next(json)) {
		struct slice taint = {NULL, 0};
		reader_value(json, &taint);
		if (is_ours(taint)) {
			object->tainted = true;
			continue;
		}
		object->others = field_grow(arena, object->others, object->other_count, &room, sizeof *object->others);
		object->others[object->other_count++] = taint;
	}
}

bool repartition_object_read(struct slice json, struct arena *arena, struct repartition_object *object)
{
	struct reader reader;
	struct slice key;
	*object = (struct repartition_object){.name = NULL};
	reader_open(&reader, json);
	if (reader_object(&reader))
		while (reader_key(&reader, &key)) {
			if (slice_is(key, "metadata")) {
				read_metadata(&reader, arena, object);
			} else if (slice_is(key, "spec") && reader_object(&reader)) {
				while (reader_key(&reader, &key)) {
					if (slice_is(key, "taints"))
						read_taints(&reader, arena, object);
					else
						reader_skip(&reader);
				}
			} else if (!slice_is(key, "spec")) {
				reader_skip(&reader);
			}
		}
	return reader_close(&reader) && object->name && object->version;
}

static void write_taints(
    const struct repartition_object *object, const struct repartition_record *record, struct buf *out)
{
	bool any = false;
	buf_text(out, "\"spec\":{\"taints\":[");
	for (size_t i = 0; i < object->other_count; i++, any = true) {
		buf_text(out, any ? "," : "");
		buf_add(out, object->others[i].at, object->others[i].len);
	}
	if (repartition_taints(record->phase)) {
		buf_text(out, any ? "," : "");
		buf_text(out, "{\"key\":\"" REPARTITION_KEY "\",\"value\":");
		buf_json_string(out, slice_of(record->to));
		buf_text(out, ",\"effect\":\"NoSchedule\"}");
	}
	buf_text(out, "]}");
}

static void write_label(struct buf *out, const char *key, const char *value)
{
	buf_json_string(out, slice_of(key));
	buf_char(out, ':');
	if (*value)
		buf_json_string(out, slice_of(value));
	else
		buf_text(out, "null");
}

void repartition_patch(const struct repartition_object *object, const struct repartition_record *record,
    const char *label, struct buf *out)
{
	struct buf text;
	buf_text(out, "{\"metadata\":{\"resourceVersion\":");
	buf_json_string(out, slice_of(object->version));
	buf_text(out, ",\"annotations\":{\"" REPARTITION_KEY "\":");
	if (record->phase == REPARTITION_NONE) {
		buf_text(out, "null");
	} else {
		buf_init(&text, REPARTITION_TEXT_MAX);
		repartition_write(record, &text);
		buf_json_string(out, buf_slice(&text));
		buf_free(&text);
	}
	buf_text(out, "},\"labels\":{");
	write_label(
	    out, REPARTITION_KEY, repartition_taints(record->phase) ? repartition_phase_name(record->phase) : "");
	if (label) {
		buf_char(out, ',');
		write_label(out, MIG_CONFIG_LABEL, label);
	}
	buf_text(out, "}},");
	write_taints(object, record, out);
	buf_char(out, '}');
}
