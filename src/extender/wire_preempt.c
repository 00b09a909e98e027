#include "extender/wire_internal.h"

#include "berth/map.h"

struct victims_list {
	bool given; /* neither absent nor null */
	const char *fault;
	struct wire_victims *nodes;
	size_t count, room;
};

/* The member `key` of an object. */
static void read_uid(struct reader *json, struct arena *arena, const char *key, struct slice *uid, const char **fault)
{
	*fault = "is missing";
	if (!reader_object(json))
		return;
	for (struct slice member; reader_key(json, &member);) {
		if (slice_is(member, key))
			wire_read_name(json, arena, uid, fault);
		else
			reader_skip(json);
	}
}

static void read_pod_uid(struct reader *json, struct arena *arena, struct slice *uid, const char **fault)
{
	*fault = "is missing";
	if (!reader_object(json))
		return;
	for (struct slice member; reader_key(json, &member);) {
		if (slice_is(member, "metadata"))
			read_uid(json, arena, "uid", uid, fault);
		else
			reader_skip(json);
	}
}

static void read_uids(struct reader *json, struct arena *arena, bool whole, struct wire_list *uids)
{
	enum reader_type type = reader_peek(json);
	const char *fault;
	struct slice uid;

	uids->fault = NULL;
	uids->count = 0;
	if (!reader_array(json)) {
		uids->fault = type == READER_NULL ? NULL : "Pods of a node's victims is not an array";
		return;
	}
	while (reader_next(json)) {
		if (whole)
			read_pod_uid(json, arena, &uid, &fault);
		else
			read_uid(json, arena, "UID", &uid, &fault);
		if (fault)
			uids->fault = "a victim has no UID";
		else if (!wire_list_add(uids, uid, 0, arena))
			uids->fault = "too many victims of a node";
	}
}

/* Returns the fault, or NULL. */
static const char *read_victims(struct reader *json, struct arena *arena, bool whole, struct wire_victims *victims)
{
	enum reader_type type = reader_peek(json);
	struct wire_list uids = {0};
	const char *fault = NULL;

	if (!reader_object(json))
		return type == READER_NULL ? NULL : "the victims of a node are not an object";
	for (struct slice key; reader_key(json, &key);) {
		if (slice_is(key, "Pods"))
			read_uids(json, arena, whole, &uids);
		else if (!slice_is(key, "NumPDBViolations"))
			reader_skip(json);
		else if (!reader_int(json, &victims->pdb_violations))
			fault = "NumPDBViolations is not an integer";
	}
	victims->uids = uids.items;
	victims->uid_count = uids.count;
	return uids.fault ? uids.fault : fault;
}

static void list_add(struct victims_list *list, const struct wire_victims *victims, struct arena *arena)
{
	if (list->count == list->room) {
		size_t room = list->room ? list->room * 2 : WIRE_FIRST_ROOM;
		struct wire_victims *nodes = arena_alloc(arena, room * sizeof(*nodes));

		if (list->count > 0)
			memcpy(nodes, list->nodes, list->count * sizeof(*nodes));
		list->nodes = nodes;
		list->room = room;
	}
	list->nodes[list->count++] = *victims;
}

static void read_by_node(struct reader *json, struct arena *arena, bool whole, struct victims_list *list)
{
	bool null = reader_peek(json) == READER_NULL;

	list->given = !null;
	list->fault = NULL;
	list->count = 0;
	if (!reader_object(json)) {
		list->fault = null ? NULL : "the victims by node are not an object";
		return;
	}
	for (struct slice key; reader_key(json, &key);) {
		struct wire_victims victims = {.node = key};
		const char *fault = read_victims(json, arena, whole, &victims);

		if (!wire_unescape(&victims.node, arena))
			fault = "a node's name has a NUL";
		else if (list->count == WIRE_NAMES_MAX)
			fault = "victims on too many nodes";
		else
			list_add(list, &victims, arena);
		if (fault)
			list->fault = fault;
	}
}

/* Of nodes named twice the last counts. */
static void drop_repeated(struct victims_list *list)
{
	struct map seen = {0};
	size_t kept = 0;

	for (size_t i = 0; i < list->count; i++) {
		struct wire_victims *before = map_get(&seen, list->nodes[i].node);

		if (before) {
			*before = list->nodes[i];
			continue;
		}
		list->nodes[kept] = list->nodes[i];
		map_put(&seen, list->nodes[kept].node, &list->nodes[kept]);
		kept++;
	}
	list->count = kept;
	map_free(&seen);
}

int wire_read_preempt(struct slice body, struct arena *arena, struct wire_preempt *preempt, struct err *err)
{
	struct reader json;
	struct victims_list meta = {0}, whole = {0};
	const char *pod_fault = "Pod is missing";
	int code = wire_open(&json, body, err);

	if (code)
		return code;
	*preempt = (struct wire_preempt){0};
	for (struct slice key; reader_key(&json, &key);) {
		if (slice_is(key, "Pod"))
			wire_read_pod(&json, &preempt->pod, &pod_fault);
		else if (slice_is(key, "NodeNameToMetaVictims"))
			read_by_node(&json, arena, false, &meta);
		else if (slice_is(key, "NodeNameToVictims"))
			read_by_node(&json, arena, true, &whole);
		else
			reader_skip(&json);
	}
	if (!reader_close(&json))
		return wire_bad_json(&json, err);
	const char *fault = pod_fault ? pod_fault : meta.fault ? meta.fault : whole.fault;
	if (!fault && !meta.given && !whole.given)
		fault = "NodeNameToMetaVictims and NodeNameToVictims are both missing";
	if (fault)
		return err_set(err, ERR_INPUT, "%s", fault);
	struct victims_list *list = meta.given ? &meta : &whole;
	drop_repeated(list);
	preempt->nodes = list->nodes;
	preempt->count = list->count;
	return 0;
}
