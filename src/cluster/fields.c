#include "cluster/fields.h"

#include <stdlib.h>

static const char *known_text(struct slice text)
{
	static const char *const known[] = {"berth", "default-scheduler", "default", "kube-system", "ReplicaSet",
	    "Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "JobSet", "Workflow", "Node", "PyTorchJob",
	    "MPIJob", "RayCluster", "TrainJob", "LeaderWorkerSet", "True", "False", "Unknown", "Ready", "true", "false",
	    ""};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (slice_is(text, known[i]))
			return known[i];
	return NULL;
}

struct slice field_plain(struct arena *arena, struct slice raw)
{
	char *text;

	if (reader_is_plain(raw))
		return raw;
	text = arena_text(arena, raw.len);
	return (struct slice){text, reader_unescape(raw, text)};
}

const char *field_text(struct arena *arena, struct slice raw)
{
	const char *known = known_text(raw);
	char *text;

	if (known)
		return known;
	if (reader_is_plain(raw))
		return arena_copy(arena, raw);
	text = arena_text(arena, raw.len);
	text[reader_unescape(raw, text)] = '\0';
	return text;
}

const char *field_name(struct arena *arena, struct slice raw)
{
	if (reader_is_plain(raw))
		return field_text(arena, raw);
	char *text = arena_alloc(arena, raw.len + 1);
	size_t len = reader_unescape(raw, text);
	text[len] = '\0';
	return memchr(text, '\0', len) ? NULL : text;
}

const char *field_string(struct reader *json, struct arena *arena)
{
	struct slice raw;

	return reader_string(json, &raw) && raw.len > 0 ? field_text(arena, raw) : NULL;
}

void *field_grow(struct arena *arena, void *items, size_t count, size_t *room, size_t size)
{
	void *larger;

	if (count < *room)
		return items;
	*room = *room ? *room * 2 : 4;
	larger = arena_alloc(arena, *room * size);
	if (count)
		memcpy(larger, items, count * size);
	return larger;
}

/* Equal keys stand next to each other, in the order they were given in: qsort need not keep it, so the position counts
 * too. */
struct placed_label {
	struct label label;
	size_t place;
};

static int label_order(const void *a, const void *b)
{
	const struct placed_label *left = a, *right = b;
	int order = strcmp(left->label.key, right->label.key);

	return order ? order : (left->place > right->place) - (left->place < right->place);
}

static size_t label_count(struct reader json)
{
	size_t count = 0;
	struct slice key;

	if (reader_object(&json))
		for (; reader_key(&json, &key); count++)
			reader_skip(&json);
	return count;
}

struct labels field_labels(struct reader *json, struct arena *arena)
{
	size_t room = label_count(*json), count = 0;
	struct labels labels = {0, NULL};
	struct placed_label *placed;
	struct slice key, value;

	if (room == 0) {
		reader_skip(json);
		return labels;
	}
	placed = xcalloc(room, sizeof *placed);
	labels.items = arena_alloc(arena, room * sizeof *labels.items);
	if (reader_object(json))
		while (reader_key(json, &key))
			if (reader_string(json, &value) && count < room) {
				placed[count] =
				    (struct placed_label){{field_text(arena, key), field_text(arena, value)}, count};
				count++;
			}
	if (count > 1)
		qsort(placed, count, sizeof *placed, label_order);
	for (size_t i = 0; i < count; i++)
		if (i + 1 == count || strcmp(placed[i].label.key, placed[i + 1].label.key) != 0)
			labels.items[labels.count++] = placed[i].label;
	free(placed);
	return labels;
}

static void read_owner(struct reader *json, struct owner *owner)
{
	struct owner one = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
	bool controller = false;

	if (reader_object(json))
		for (struct slice key; reader_key(json, &key);) {
			if (slice_is(key, "kind"))
				reader_string(json, &one.kind);
			else if (slice_is(key, "uid"))
				reader_string(json, &one.uid);
			else if (slice_is(key, "name"))
				reader_string(json, &one.name);
			else if (slice_is(key, "controller"))
				reader_bool(json, &controller);
			else
				reader_skip(json);
		}
	if (controller && one.kind.len && one.uid.len)
		*owner = one;
}

void field_owner(struct reader *json, struct owner *owner)
{
	*owner = (struct owner){{NULL, 0}, {NULL, 0}, {NULL, 0}};
	if (reader_array(json))
		while (reader_next(json))
			read_owner(json, owner);
}
