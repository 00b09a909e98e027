#include "extender/wire_internal.h"

int wire_bad_json(const struct reader *json, struct err *err)
{
	return err_set(err, ERR_INPUT, "bad JSON at byte %zu: %s", (size_t)(json->at - json->start), json->error);
}

int wire_open(struct reader *json, struct slice body, struct err *err)
{
	reader_open(json, body);
	if (reader_object(json))
		return 0;
	return reader_close(json) ? err_set(err, ERR_INPUT, "the body is not a JSON object") : wire_bad_json(json, err);
}

bool wire_unescape(struct slice *text, struct arena *arena)
{
	if (reader_is_plain(*text))
		return true; /* the reader refuses a NUL that is not escaped */
	char *copy = arena_alloc(arena, text->len);
	*text = (struct slice){copy, reader_unescape(*text, copy)};
	return !memchr(text->at, '\0', text->len);
}

void wire_read_name(struct reader *json, struct arena *arena, struct slice *name, const char **fault)
{
	enum reader_type type = reader_peek(json);

	*fault = NULL;
	*name = (struct slice){"", 0};
	if (!reader_string(json, name))
		*fault = type == READER_NULL ? "is missing" : "is not a string";
	else if (!wire_unescape(name, arena))
		*fault = "has a NUL";
	else if (name->len == 0)
		*fault = "is empty";
}

void wire_read_pod(struct reader *json, struct slice *pod, const char **fault)
{
	enum reader_type type = reader_peek(json);

	reader_value(json, pod);
	*fault = type == READER_OBJECT ? NULL : type == READER_NULL ? "Pod is missing" : "Pod is not an object";
}

/* --- lists --- */

static void list_grow(struct wire_list *list, size_t room, struct arena *arena)
{
	struct slice *items = arena_alloc(arena, room * sizeof(*items));

	if (list->count > 0)
		memcpy(items, list->items, list->count * sizeof(*items));
	list->items = items;
	list->room = room;
}

/* Room for as many items of the size of the first as the rest of the text can hold: one block for names that are about
 * equally long, as those of a fleet are. */
static void list_first_room(struct wire_list *list, size_t rest, size_t first, struct arena *arena)
{
	size_t room = rest / (first + 3) + WIRE_FIRST_ROOM; /* two quotes and a comma */

	list_grow(list, room < WIRE_NAMES_MAX ? room : WIRE_NAMES_MAX, arena);
}

bool wire_list_add(struct wire_list *list, struct slice item, size_t rest, struct arena *arena)
{
	if (list->count == WIRE_NAMES_MAX)
		return false;
	if (list->room == 0)
		list_first_room(list, rest, item.len, arena);
	else if (list->count == list->room)
		list_grow(list, list->room * 2, arena);
	list->items[list->count++] = item;
	return true;
}

static void list_begin(struct wire_list *list, bool given)
{
	list->given = given;
	list->fault = NULL;
	list->count = 0;
}

/* --- filter and prioritize --- */

static void read_node_names(struct reader *json, struct arena *arena, struct wire_list *names)
{
	bool null = reader_peek(json) == READER_NULL;
	struct slice name;

	list_begin(names, !null);
	if (!reader_array(json)) {
		names->fault = null ? NULL : "NodeNames is not an array";
		return;
	}
	while (reader_next(json)) {
		if (!reader_string(json, &name))
			names->fault = "a name in NodeNames is not a string";
		else if (!wire_unescape(&name, arena))
			names->fault = "a name in NodeNames has a NUL";
		else if (!wire_list_add(names, name, (size_t)(json->end - json->at), arena))
			names->fault = "too many names in NodeNames";
	}
}

static void read_node_items(struct reader *json, struct arena *arena, struct wire_list *nodes)
{
	enum reader_type type = reader_peek(json);
	struct slice node;

	list_begin(nodes, true);
	if (!reader_array(json)) {
		nodes->fault = type == READER_NULL ? NULL : "Nodes.items is not an array";
		return;
	}
	while (reader_next(json)) {
		type = reader_peek(json);
		reader_value(json, &node);
		if (type != READER_OBJECT)
			nodes->fault = "an item of Nodes is not an object";
		else if (!wire_list_add(nodes, node, (size_t)(json->end - json->at), arena))
			nodes->fault = "too many items in Nodes";
	}
}

static void read_node_list(struct reader *json, struct arena *arena, struct wire_list *nodes)
{
	bool null = reader_peek(json) == READER_NULL;
	struct slice key;

	list_begin(nodes, !null);
	if (!reader_object(json)) {
		nodes->fault = null ? NULL : "Nodes is not an object";
		return;
	}
	while (reader_key(json, &key)) {
		if (slice_is(key, "items"))
			read_node_items(json, arena, nodes);
		else
			reader_skip(json);
	}
}

int wire_read_args(struct slice body, struct arena *arena, struct wire_args *args, struct err *err)
{
	struct reader json;
	struct wire_list names = {0}, nodes = {0};
	const char *pod_fault = "Pod is missing";
	int code = wire_open(&json, body, err);

	if (code)
		return code;
	*args = (struct wire_args){0};
	for (struct slice key; reader_key(&json, &key);) {
		if (slice_is(key, "Pod"))
			wire_read_pod(&json, &args->pod, &pod_fault);
		else if (slice_is(key, "NodeNames"))
			read_node_names(&json, arena, &names);
		else if (slice_is(key, "Nodes"))
			read_node_list(&json, arena, &nodes);
		else
			reader_skip(&json);
	}
	if (!reader_close(&json))
		return wire_bad_json(&json, err);
	const char *fault = pod_fault ? pod_fault : names.fault ? names.fault : nodes.fault;
	if (!fault && !names.given && !nodes.given)
		fault = "NodeNames and Nodes are both missing";
	if (fault)
		return err_set(err, ERR_INPUT, "%s", fault);
	args->by_name = names.given;
	args->items = names.given ? names.items : nodes.items;
	args->count = names.given ? names.count : nodes.count;
	return 0;
}

/* --- bind --- */

int wire_read_bind(struct slice body, struct arena *arena, struct wire_bind *bind, struct err *err)
{
	struct {
		const char *key, *fault;
		struct slice *value;
	} members[] = {
	    {"PodName", "is missing", &bind->pod_name},
	    {"PodNamespace", "is missing", &bind->pod_namespace},
	    {"PodUID", "is missing", &bind->pod_uid},
	    {"Node", "is missing", &bind->node},
	};
	const size_t count = sizeof(members) / sizeof(members[0]);
	struct reader json;
	int code = wire_open(&json, body, err);

	if (code)
		return code;
	for (struct slice key; reader_key(&json, &key);) {
		size_t i = 0;

		while (i < count && !slice_is(key, members[i].key))
			i++;
		if (i < count)
			wire_read_name(&json, arena, members[i].value, &members[i].fault);
		else
			reader_skip(&json);
	}
	if (!reader_close(&json))
		return wire_bad_json(&json, err);
	for (size_t i = 0; i < count; i++)
		if (members[i].fault)
			return err_set(err, ERR_INPUT, "%s %s", members[i].key, members[i].fault);
	return 0;
}
