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
	return raw.len > 0 && reader_is_plain(raw);
}

/* Behind the key "metadata": the two members of it that matter here. */
static void read_metadata(struct reader *json, struct slice *resource_version, struct slice *continue_)
{
	struct slice key;

	if (!reader_object(json))
		return;
	while (reader_key(json, &key)) {
		if (slice_is(key, "resourceVersion"))
			reader_string(json, resource_version);
		else if (continue_ && slice_is(key, "continue"))
			reader_string(json, continue_);
		else
			reader_skip(json);
	}
}

/* Of an object that was validated: reads no further than its metadata. */
static struct slice resource_version_of(struct slice object)
{
	struct slice key, resource_version = {"", 0};
	struct reader json;

	reader_open(&json, object);
	if (!reader_object(&json))
		return resource_version;
	while (reader_key(&json, &key)) {
		if (slice_is(key, "metadata")) {
			read_metadata(&json, &resource_version, NULL);
			break;
		}
		reader_skip(&json);
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
	struct reader json;

	*event = (struct watch_event){.object = {"", 0}, .resource_version = {"", 0}};
	reader_open(&json, line);
	if (reader_object(&json)) {
		while (reader_key(&json, &key)) {
			if (slice_is(key, "type"))
				reader_string(&json, &type);
			else if (slice_is(key, "object") && reader_peek(&json) == READER_OBJECT)
				reader_value(&json, &event->object);
			else
				reader_skip(&json);
		}
	}
	if (!reader_close(&json))
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
	struct reader json;

	*page = (struct list_page){.resource_version = {"", 0}, .continue_ = {"", 0}, .items = {"[]", 2}};
	reader_open(&json, body);
	if (reader_peek(&json) != READER_OBJECT)
		return "a list page is no JSON object";
	reader_object(&json);
	while (reader_key(&json, &key)) {
		if (slice_is(key, "metadata"))
			read_metadata(&json, &page->resource_version, &page->continue_);
		else if (slice_is(key, "items") && reader_peek(&json) == READER_ARRAY)
			reader_value(&json, &page->items);
		else
			reader_skip(&json);
	}
	if (!reader_close(&json))
		return "a list page is no JSON";
	if (!is_plain_text(page->resource_version))
		return "a list page has no resourceVersion";
	if (!reader_is_plain(page->continue_))
		return "a list page has an unusable continue token";
	return NULL;
}

void list_items_open(struct reader *json, const struct list_page *page)
{
	reader_open(json, page->items);
	reader_array(json);
}

bool list_item_next(struct reader *json, struct slice *item)
{
	while (reader_next(json)) {
		bool is_object = reader_peek(json) == READER_OBJECT;
		reader_value(json, item);
		if (is_object && !json->error)
			return true;
	}
	return false;
}

/* --- small answers --- */

/* details.causes: whether one is a disruption budget's, which asking again would not change. */
static bool read_causes(struct reader *json)
{
	struct slice key, reason;
	bool budget = false;

	if (!reader_object(json))
		return false;
	while (reader_key(json, &key)) {
		if (!slice_is(key, "causes")) {
			reader_skip(json);
			continue;
		}
		if (!reader_array(json))
			continue;
		while (reader_next(json)) {
			if (!reader_object(json))
				continue;
			while (reader_key(json, &key)) {
				if (!slice_is(key, "reason"))
					reader_skip(json);
				else if (reader_string(json, &reason))
					budget |= slice_is(reason, "DisruptionBudget");
			}
		}
	}
	return budget;
}

void status_decode(struct slice body, struct status_text *status)
{
	struct slice key;
	struct reader json;

	*status = (struct status_text){.message = {"", 0}, .reason = {"", 0}};
	reader_open(&json, body);
	if (reader_peek(&json) == READER_OBJECT && reader_object(&json)) {
		while (reader_key(&json, &key)) {
			if (slice_is(key, "message"))
				reader_string(&json, &status->message);
			else if (slice_is(key, "reason"))
				reader_string(&json, &status->reason);
			else if (slice_is(key, "code"))
				reader_int(&json, &status->code);
			else if (slice_is(key, "details"))
				status->budget = read_causes(&json);
			else
				reader_skip(&json);
		}
	}
	if (!reader_close(&json))
		*status = (struct status_text){.message = {"", 0}, .reason = {"", 0}};
}

static void read_member(struct reader *json, const char *name, struct slice *value)
{
	struct slice key;

	if (!reader_object(json))
		return;
	while (reader_key(json, &key)) {
		if (slice_is(key, name))
			reader_string(json, value);
		else
			reader_skip(json);
	}
}

bool pod_binding_decode(struct slice body, struct pod_binding *pod)
{
	struct slice key;
	struct reader json;

	*pod = (struct pod_binding){.uid = {"", 0}, .node = {"", 0}};
	reader_open(&json, body);
	if (reader_peek(&json) == READER_OBJECT && reader_object(&json)) {
		while (reader_key(&json, &key)) {
			if (slice_is(key, "metadata"))
				read_member(&json, "uid", &pod->uid);
			else if (slice_is(key, "spec"))
				read_member(&json, "nodeName", &pod->node);
			else
				reader_skip(&json);
		}
	}
	return reader_close(&json) && is_plain_text(pod->uid) && reader_is_plain(pod->node);
}
