#include "kube/stream.h"

/* --- lines --- */

void line_reader_init(struct line_reader *reader, size_t line_max)
{
	buf_init(&reader->partial, line_max);
}

void line_reader_free(struct line_reader *reader)
{
	buf_free(&reader->partial);
}

bool line_reader_is_partial(const struct line_reader *reader)
{
	return reader->partial.len > 0;
}

static struct slice without_return(struct slice line)
{
	if (line.len > 0 && line.at[line.len - 1] == '\r')
		line.len--;
	return line;
}

bool line_reader_feed(struct line_reader *reader, const char *bytes, size_t len, line_fn *take, void *ctx)
{
	struct buf *partial = &reader->partial;
	const char *end = bytes + len, *newline;

	while (bytes < end && (newline = memchr(bytes, '\n', (size_t)(end - bytes)))) {
		struct slice line = {bytes, (size_t)(newline - bytes)};
		bool whole = partial->len == 0;
		/* A line that lies in one piece is handed out where it lies. */
		if (!whole) {
			buf_add(partial, line.at, line.len);
			line = buf_slice(partial);
		}
		if (partial->overflow || line.len > partial->max)
			return false;
		line = without_return(line);
		bytes = newline + 1;
		if (line.len > 0 && !take(ctx, line))
			return false;
		if (!whole)
			buf_clear(partial);
	}
	buf_add(partial, bytes, (size_t)(end - bytes));
	return !partial->overflow;
}

/* --- metadata --- */

static bool is_plain_text(struct slice raw)
{
	return raw.len > 0 && json_is_plain(raw);
}

/* Behind the key "metadata": the two members of it that matter here. */
static void read_metadata(struct json *json, struct slice *resource_version, struct slice *continue_)
{
	struct slice key;

	if (!json_object(json))
		return;
	while (json_key(json, &key)) {
		if (slice_is(key, "resourceVersion"))
			json_string(json, resource_version);
		else if (continue_ && slice_is(key, "continue"))
			json_string(json, continue_);
		else
			json_skip(json);
	}
}

/* Of an object that was validated: reads no further than its metadata. */
static struct slice resource_version_of(struct slice object)
{
	struct slice key, resource_version = {"", 0};
	struct json json;

	json_open(&json, object);
	if (!json_object(&json))
		return resource_version;
	while (json_key(&json, &key)) {
		if (slice_is(key, "metadata")) {
			read_metadata(&json, &resource_version, NULL);
			break;
		}
		json_skip(&json);
	}
	return resource_version;
}

/* --- events --- */

static bool read_type(struct slice name, enum watch_event_type *type)
{
	static const struct {
		const char *name;
		enum watch_event_type type;
	} types[] = {
	    {"ADDED", WATCH_CHANGED},
	    {"MODIFIED", WATCH_CHANGED},
	    {"DELETED", WATCH_DELETED},
	    {"BOOKMARK", WATCH_BOOKMARK},
	    {"ERROR", WATCH_ERROR},
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		if (slice_is(name, types[i].name)) {
			*type = types[i].type;
			return true;
		}
	}
	return false;
}

const char *watch_event_decode(struct slice line, struct watch_event *event)
{
	struct slice key, type = {"", 0};
	struct json json;

	*event = (struct watch_event){.object = {"", 0}, .resource_version = {"", 0}};
	json_open(&json, line);
	if (json_object(&json)) {
		while (json_key(&json, &key)) {
			if (slice_is(key, "type"))
				json_string(&json, &type);
			else if (slice_is(key, "object") && json_peek(&json) == JSON_OBJECT)
				json_value(&json, &event->object);
			else
				json_skip(&json);
		}
	}
	if (!json_close(&json))
		return "a watch event is no JSON";
	if (!read_type(type, &event->type))
		return "a watch event has no known type";
	if (event->object.len == 0)
		return "a watch event has no object";
	if (event->type == WATCH_ERROR) {
		struct status_text status;
		status_decode(event->object, &status);
		event->status = status.code;
		return NULL;
	}
	event->resource_version = resource_version_of(event->object);
	return is_plain_text(event->resource_version) ? NULL : "a watch event has no resourceVersion";
}

/* --- pages --- */

const char *list_page_decode(struct slice body, struct list_page *page)
{
	struct slice key;
	struct json json;

	*page = (struct list_page){.resource_version = {"", 0}, .continue_ = {"", 0}, .items = {"[]", 2}};
	json_open(&json, body);
	if (json_peek(&json) != JSON_OBJECT)
		return "a list page is no JSON object";
	json_object(&json);
	while (json_key(&json, &key)) {
		if (slice_is(key, "metadata"))
			read_metadata(&json, &page->resource_version, &page->continue_);
		else if (slice_is(key, "items") && json_peek(&json) == JSON_ARRAY)
			json_value(&json, &page->items);
		else
			json_skip(&json);
	}
	if (!json_close(&json))
		return "a list page is no JSON";
	if (!is_plain_text(page->resource_version))
		return "a list page has no resourceVersion";
	if (!json_is_plain(page->continue_))
		return "a list page has an unusable continue token";
	return NULL;
}

void list_items_open(struct json *json, const struct list_page *page)
{
	json_open(json, page->items);
	json_array(json);
}

bool list_item_next(struct json *json, struct slice *item)
{
	while (json_next(json)) {
		bool is_object = json_peek(json) == JSON_OBJECT;
		json_value(json, item);
		if (is_object && !json->error)
			return true;
	}
	return false;
}

/* --- small answers --- */

void status_decode(struct slice body, struct status_text *status)
{
	struct slice key;
	struct json json;

	*status = (struct status_text){.message = {"", 0}, .reason = {"", 0}};
	json_open(&json, body);
	if (json_peek(&json) == JSON_OBJECT && json_object(&json)) {
		while (json_key(&json, &key)) {
			if (slice_is(key, "message"))
				json_string(&json, &status->message);
			else if (slice_is(key, "reason"))
				json_string(&json, &status->reason);
			else if (slice_is(key, "code"))
				json_int(&json, &status->code);
			else
				json_skip(&json);
		}
	}
	if (!json_close(&json))
		*status = (struct status_text){.message = {"", 0}, .reason = {"", 0}};
}

static void read_member(struct json *json, const char *name, struct slice *value)
{
	struct slice key;

	if (!json_object(json))
		return;
	while (json_key(json, &key)) {
		if (slice_is(key, name))
			json_string(json, value);
		else
			json_skip(json);
	}
}

bool pod_binding_decode(struct slice body, struct pod_binding *pod)
{
	struct slice key;
	struct json json;

	*pod = (struct pod_binding){.uid = {"", 0}, .node = {"", 0}};
	json_open(&json, body);
	if (json_peek(&json) == JSON_OBJECT && json_object(&json)) {
		while (json_key(&json, &key)) {
			if (slice_is(key, "metadata"))
				read_member(&json, "uid", &pod->uid);
			else if (slice_is(key, "spec"))
				read_member(&json, "nodeName", &pod->node);
			else
				json_skip(&json);
		}
	}
	return json_close(&json) && is_plain_text(pod->uid) && json_is_plain(pod->node);
}
