#include "sim/extend.h"

#include <stdlib.h>

#include "base/reader.h"
#include "berth/map.h"

void sim_extend_write(struct buf *out, struct slice pod, const char *const *names, size_t count)
{
	buf_text(out, "{\"Pod\":");
	buf_add(out, pod.at, pod.len);
	buf_text(out, ",\"Nodes\":null,\"NodeNames\":[");
	for (size_t i = 0; i < count; i++) {
		if (i)
			buf_char(out, ',');
		buf_json_string(out, slice_of(names[i]));
	}
	buf_text(out, "]}");
}

void sim_extend_write_bind(struct buf *out, const char *namespace_, const char *name, const char *uid, const char *node)
{
	buf_text(out, "{\"PodName\":");
	buf_json_string(out, slice_of(name));
	buf_text(out, ",\"PodNamespace\":");
	buf_json_string(out, slice_of(namespace_));
	buf_text(out, ",\"PodUID\":");
	buf_json_string(out, slice_of(uid));
	buf_text(out, ",\"Node\":");
	buf_json_string(out, slice_of(node));
	buf_char(out, '}');
}

/* --- reasons --- */

void sim_refusal_count(struct sim_refusals *refusals, struct slice text)
{
	size_t at = 0;

	while (at < refusals->count && !slice_equal(refusals->texts[at].text, text))
		at++;
	if (at == SIM_REFUSAL_TEXTS_MAX)
		at--;
	if (at == refusals->count) {
		refusals->texts[at].text = text;
		refusals->texts[at].nodes = 0;
		refusals->count++;
	}
	refusals->texts[at].nodes++;
}

static int by_line(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void sim_refusals_write(struct buf *out, const struct sim_refusals *refusals, size_t node_count)
{
	char *lines[SIM_REFUSAL_TEXTS_MAX];

	for (size_t i = 0; i < refusals->count; i++) {
		struct buf line;

		buf_init(&line, 4096);
		buf_printf(&line, "%zu %.*s", refusals->texts[i].nodes, (int)refusals->texts[i].text.len,
		    refusals->texts[i].text.at);
		lines[i] = buf_take(&line);
	}
	qsort(lines, refusals->count, sizeof *lines, by_line);
	buf_printf(out, "0/%zu nodes are available", node_count);
	for (size_t i = 0; i < refusals->count; i++) {
		buf_printf(out, "%s%s", i ? ", " : ": ", lines[i]);
		free(lines[i]);
	}
	buf_char(out, '.');
}

/* --- replies --- */

/* A node name and why it was refused. */
struct failed {
	struct slice node, text;
};
struct failed_list {
	struct failed *items;
	size_t count, room;
};

static void read_failed(struct reader *json, struct failed_list *list)
{
	if (!reader_object(json))
		return;
	for (struct slice node; reader_key(json, &node);) {
		struct slice text = {"", 0};

		reader_string(json, &text);
		list->items = xgrow(list->items, list->count, &list->room, sizeof *list->items);
		list->items[list->count++] = (struct failed){node, text};
	}
}

static void read_names(struct reader *json, struct arena *arena, struct sim_filter_reply *reply)
{
	size_t room = 0;
	struct slice *names = NULL;

	reply->count = 0;
	if (!reader_array(json))
		return;
	while (reader_next(json)) {
		struct slice raw;

		if (!reader_string(json, &raw))
			continue;
		names = xgrow(names, reply->count, &room, sizeof *names);
		names[reply->count++] = raw;
	}
	reply->names = arena_alloc(arena, (reply->count + 1) * sizeof *names);
	if (reply->count)
		memcpy(reply->names, names, reply->count * sizeof *names);
	free(names);
}

static void count_failed(const struct failed_list *plain, const struct failed_list *unresolvable,
    struct sim_filter_reply *reply, struct sim_refusals *refusals)
{
	struct map seen = {0};

	for (size_t i = 0; i < unresolvable->count; i++)
		if (!map_put(&seen, unresolvable->items[i].node, &unresolvable->items[i]))
			sim_refusal_count(refusals, unresolvable->items[i].text);
	for (size_t i = 0; i < plain->count; i++)
		if (!map_put(&seen, plain->items[i].node, &plain->items[i]))
			sim_refusal_count(refusals, plain->items[i].text);
	reply->failed = seen.count;
	map_free(&seen);
}

int sim_extend_read_filter(struct slice body, struct arena *arena, struct sim_filter_reply *reply,
    struct sim_refusals *refusals, struct err *err)
{
	struct failed_list plain = {0}, unresolvable = {0};
	struct reader json;

	*reply = (struct sim_filter_reply){.error = {"", 0}};
	reader_open(&json, body);
	bool object = reader_object(&json);

	if (object) {
		for (struct slice key; reader_key(&json, &key);) {
			if (slice_is(key, "NodeNames"))
				read_names(&json, arena, reply);
			else if (slice_is(key, "FailedNodes"))
				read_failed(&json, &plain);
			else if (slice_is(key, "FailedAndUnresolvableNodes"))
				read_failed(&json, &unresolvable);
			else if (slice_is(key, "Error"))
				reader_string(&json, &reply->error);
			else
				reader_skip(&json);
		}
	}
	if (reader_close(&json) && object)
		count_failed(&plain, &unresolvable, reply, refusals);
	free(plain.items);
	free(unresolvable.items);
	if (!object || json.error)
		return err_set(err, ERR_INPUT, "the extender's answer is no JSON object");
	return 0;
}

int sim_extend_read_scores(struct slice body, struct slice *best, struct err *err)
{
	struct reader json;
	int64_t highest = INT64_MIN;

	*best = (struct slice){"", 0};
	reader_open(&json, body);
	if (!reader_array(&json))
		return err_set(err, ERR_INPUT, "the extender's answer is no JSON list");
	while (reader_next(&json)) {
		struct slice host = {"", 0};
		int64_t score = 0;

		if (!reader_object(&json))
			continue;
		for (struct slice key; reader_key(&json, &key);) {
			if (slice_is(key, "Host"))
				reader_string(&json, &host);
			else if (slice_is(key, "Score"))
				reader_int(&json, &score);
			else
				reader_skip(&json);
		}
		if (score > highest) {
			highest = score;
			*best = host;
		}
	}
	return reader_close(&json) ? 0 : err_set(err, ERR_INPUT, "the extender's answer is no JSON");
}

int sim_extend_read_bind(struct slice body, struct slice *error, struct err *err)
{
	struct reader json;

	*error = (struct slice){"", 0};
	reader_open(&json, body);
	if (!reader_object(&json))
		return err_set(err, ERR_INPUT, "the extender's answer is no JSON object");
	for (struct slice key; reader_key(&json, &key);) {
		if (slice_is(key, "Error"))
			reader_string(&json, error);
		else
			reader_skip(&json);
	}
	return reader_close(&json) ? 0 : err_set(err, ERR_INPUT, "the extender's answer is no JSON");
}
