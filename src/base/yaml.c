#include "base/yaml.h"

#include <yaml.h>

#define CORE_TAG_PREFIX "tag:yaml.org,2002:"
#define ITEMS_FIRST_ROOM 8
#define BYTE_ORDER_MARK "\xef\xbb\xbf"

struct reading {
	yaml_parser_t parser;
	struct arena *arena;
	struct slice text;
	struct yaml_mark *mark;
	struct err *err;
	unsigned depth;
};

static int refuse(struct reading *reading, yaml_mark_t at, const char *reason)
{
	*reading->mark = (struct yaml_mark){(unsigned)at.line + 1, (unsigned)at.column + 1};
	return err_set(reading->err, ERR_INPUT, "%s", reason);
}

/* Where a byte stands, for what libyaml reports (or would pass over) before it knows lines. */
static int refuse_byte(struct reading *reading, size_t offset, const char *reason)
{
	yaml_mark_t at = {0};

	if (offset > reading->text.len)
		offset = reading->text.len;
	for (size_t i = 0; i < offset; i++) {
		unsigned char c = (unsigned char)reading->text.at[i];

		if (c == '\n') {
			at.line++;
			at.column = 0;
		} else if ((c & 0xc0) != 0x80) {
			at.column++;
		}
	}
	return refuse(reading, at, reason);
}

static int next_event(struct reading *reading, yaml_event_t *event)
{
	yaml_parser_t *parser = &reading->parser;

	if (yaml_parser_parse(parser, event))
		return 0;
	if (parser->error == YAML_READER_ERROR)
		return refuse_byte(reading, parser->problem_offset, parser->problem);
	return refuse(reading, parser->problem_mark, parser->problem ? parser->problem : "not YAML");
}

/* A core tag on a node of its kind. `quoted` tells afterwards whether a scalar is a string in any case. */
static int check_tag(
    struct reading *reading, const yaml_event_t *event, const char *tag, const char *names, bool *quoted)
{
	const size_t prefix = strlen(CORE_TAG_PREFIX);
	const char *found;

	if (!tag)
		return 0;
	if (strncmp(tag, CORE_TAG_PREFIX, prefix) != 0)
		return refuse(reading, event->start_mark, "tags other than the core ones are not supported");
	tag += prefix;
	found = *tag ? strstr(names, tag) : NULL;
	if (!found || found[-1] != ' ' || found[strlen(tag)] != ' ')
		return refuse(reading, event->start_mark, "tag does not fit the value");
	if (quoted)
		*quoted = strcmp(tag, "str") == 0;
	return 0;
}

static struct yaml_node *new_node(struct reading *reading, const yaml_event_t *event, enum yaml_type type)
{
	struct yaml_node *node = arena_calloc(reading->arena, 1, sizeof *node);

	node->type = type;
	node->mark.line = (unsigned)event->start_mark.line + 1;
	node->mark.column = (unsigned)event->start_mark.column + 1;
	return node;
}

static int read_scalar(struct reading *reading, const yaml_event_t *event, struct yaml_node **out)
{
	struct yaml_node *node = new_node(reading, event, YAML_SCALAR);
	struct slice value = {(const char *)event->data.scalar.value, event->data.scalar.length};

	if (event->data.scalar.anchor)
		return refuse(reading, event->start_mark, "anchors are not supported");
	if (memchr(value.at, '\0', value.len))
		return refuse(reading, event->start_mark, "a NUL character in a scalar");
	node->text = (struct slice){arena_copy(reading->arena, value), value.len};
	node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	*out = node;
	return check_tag(
	    reading, event, (const char *)event->data.scalar.tag, " str int float bool null ", &node->quoted);
}

/* Room for item number node->count in the items, and in the keys of a map. */
static void make_room(struct reading *reading, struct yaml_node *node, size_t *room)
{
	size_t larger = *room ? *room * 2 : ITEMS_FIRST_ROOM;
	struct yaml_node ***arrays[] = {&node->items, &node->keys};

	if (node->count < *room)
		return;
	for (size_t i = 0; i < (node->type == YAML_MAP ? 2 : 1); i++) {
		struct yaml_node **array = arena_calloc(reading->arena, larger, sizeof *array);

		if (node->count)
			memcpy(array, *arrays[i], node->count * sizeof *array);
		*arrays[i] = array;
	}
	*room = larger;
}

static int read_node(struct reading *reading, yaml_event_t *event, struct yaml_node **out);

/* The items up to the end event; a map's items come in pairs. */
static int read_items(struct reading *reading, struct yaml_node *node)
{
	yaml_event_type_t last = node->type == YAML_MAP ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT;
	struct yaml_node *key = NULL, *item = NULL;
	yaml_event_t event;
	size_t room = 0;
	int result;

	for (;;) {
		result = next_event(reading, &event);
		if (result)
			return result;
		if (event.type == last) {
			yaml_event_delete(&event);
			return 0;
		}
		if (node->type == YAML_MAP && !key && event.type != YAML_SCALAR_EVENT && event.type != YAML_ALIAS_EVENT)
			result = refuse(reading, event.start_mark, "a key must be a scalar");
		else
			result = read_node(reading, &event, &item);
		yaml_event_delete(&event);
		if (result)
			return result;
		if (node->type == YAML_MAP && !key) {
			key = item;
			continue;
		}
		make_room(reading, node, &room);
		if (key)
			node->keys[node->count] = key;
		node->items[node->count++] = item;
		key = NULL;
	}
}

static int read_container(struct reading *reading, yaml_event_t *event, struct yaml_node **out)
{
	bool map = event->type == YAML_MAPPING_START_EVENT;
	const yaml_char_t *anchor = map ? event->data.mapping_start.anchor : event->data.sequence_start.anchor;
	const yaml_char_t *tag = map ? event->data.mapping_start.tag : event->data.sequence_start.tag;
	int result = check_tag(reading, event, (const char *)tag, map ? " map " : " seq ", NULL);

	if (result)
		return result;
	if (anchor)
		return refuse(reading, event->start_mark, "anchors are not supported");
	if (reading->depth == YAML_DEPTH_MAX)
		return refuse(reading, event->start_mark, "nested too deeply");
	*out = new_node(reading, event, map ? YAML_MAP : YAML_LIST);
	reading->depth++;
	result = read_items(reading, *out);
	reading->depth--;
	return result;
}

static int read_node(struct reading *reading, yaml_event_t *event, struct yaml_node **out)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return read_scalar(reading, event, out);
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		return read_container(reading, event, out);
	default:
		return refuse(reading, event->start_mark, "aliases are not supported");
	}
}

static int read_stream(struct reading *reading, struct yaml_node **root)
{
	yaml_event_type_t type = YAML_NO_EVENT;
	bool document = false;
	yaml_event_t event;
	int result = 0;

	while (result == 0 && type != YAML_STREAM_END_EVENT) {
		result = next_event(reading, &event);
		if (result)
			return result;
		type = event.type;
		if (type == YAML_DOCUMENT_START_EVENT) {
			if (document)
				result = refuse(reading, event.start_mark, "more than one document");
			document = true;
		} else if (type != YAML_STREAM_START_EVENT && type != YAML_STREAM_END_EVENT &&
		           type != YAML_DOCUMENT_END_EVENT) {
			result = read_node(reading, &event, root);
		}
		yaml_event_delete(&event);
	}
	return result;
}

int yaml_parse(struct arena *arena, struct slice text, struct yaml_node **root, struct yaml_mark *mark, struct err *err)
{
	struct reading reading = {.arena = arena, .mark = mark, .err = err};
	const char *nul;
	int result;

	*root = NULL;
	*mark = (struct yaml_mark){1, 1};
	/* What some editors put in front; libyaml would count it as a column. */
	if (text.len >= strlen(BYTE_ORDER_MARK) && memcmp(text.at, BYTE_ORDER_MARK, strlen(BYTE_ORDER_MARK)) == 0)
		text = (struct slice){text.at + strlen(BYTE_ORDER_MARK), text.len - strlen(BYTE_ORDER_MARK)};
	if (text.len > YAML_TEXT_MAX)
		return err_set(err, ERR_TOO_LARGE, "larger than %u bytes", YAML_TEXT_MAX);
	reading.text = text;
	nul = text.len ? memchr(text.at, '\0', text.len) : NULL;
	if (nul)
		return refuse_byte(&reading, (size_t)(nul - text.at), "a NUL byte");
	if (!yaml_parser_initialize(&reading.parser))
		return err_set(err, ERR_SYSTEM, "no memory for the YAML parser");
	yaml_parser_set_encoding(&reading.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&reading.parser, (const unsigned char *)(text.at ? text.at : ""), text.len);
	result = read_stream(&reading, root);
	yaml_parser_delete(&reading.parser);
	/* "---" alone is an empty plain scalar to libyaml. */
	if (result || (*root && (*root)->type == YAML_SCALAR && (*root)->text.len == 0 && !(*root)->quoted))
		*root = NULL;
	return result;
}

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
	if (!map || map->type != YAML_MAP)
		return NULL;
	for (size_t i = 0; i < map->count; i++)
		if (slice_is(map->keys[i]->text, key))
			return map->items[i];
	return NULL;
}

const char *yaml_text(const struct yaml_node *node)
{
	return node && node->type == YAML_SCALAR ? node->text.at : NULL;
}
