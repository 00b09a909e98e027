#include "cluster/gang_walk.h"

#include "base/reader.h"

#define PATH_MAX_BYTES 192
#define SCRATCH_SIZE 4096

struct stepping {
	struct gang_walk *walk;
	struct reader *json;
	char path[PATH_MAX_BYTES];
};

static void raw_init(struct gang_raw *raw)
{
	*raw = (struct gang_raw){.flag = {false}};
	for (size_t i = 0; i < GANG_NUMBER_COUNT; i++)
		raw->number[i] = -1;
}

/* A path that the table has, or one that leads to some: `next` gets what follows it there. */
static const struct gang_path *find_path(const struct stepping *step, size_t len, char *next)
{
	const struct gang_path *row = gang_path_rows, *end = row + gang_path_count;

	for (*next = '\0'; row < end; row++) {
		if ((row->object != GANG_OBJECT_NONE && row->object != step->walk->object) ||
		    strncmp(row->path, step->path, len) != 0)
			continue;
		if (row->path[len] == '\0')
			return row;
		if (strchr(".[#@", row->path[len]))
			*next = row->path[len] == '.' && row->path[len + 1] == '*' ? '*' : row->path[len];
	}
	return NULL;
}

static bool is_filled(struct reader *json)
{
	bool filled = false;

	switch (reader_peek(json)) {
	case READER_ARRAY:
		reader_array(json);
		for (; reader_next(json); filled = true)
			reader_skip(json);
		return filled;
	case READER_OBJECT:
	case READER_TRUE:
		filled = true; /* fall through */
	default:
		reader_skip(json);
		return filled;
	}
}

/* "PodGroup" in v1alpha2, {"all": {}} since. */
static bool is_together(struct reader *json)
{
	struct slice text;
	bool together = false;

	if (reader_peek(json) != READER_OBJECT)
		return reader_string(json, &text) && slice_is(text, "PodGroup");
	reader_object(json);
	while (reader_key(json, &text)) {
		together |= slice_is(text, "all") && reader_peek(json) == READER_OBJECT;
		reader_skip(json);
	}
	return together;
}

static void read_value(struct stepping *step, enum gang_value value, struct gang_raw *into)
{
	if (value < GANG_NUMBER_COUNT) {
		bool unset = reader_peek(step->json) == READER_NULL;
		int64_t number = -1;

		if (!reader_int(step->json, &number) && !unset)
			step->walk->trouble = "a number that is none";
		else if (!unset && number < 0)
			step->walk->trouble = "a number below zero";
		into->number[value] = number > INT32_MAX ? INT32_MAX : number;
	} else if (value < GANG_TEXT_END) {
		reader_string(step->json, &into->text[value]);
	} else {
		into->flag[value] = value == GANG_VALUE_TOGETHER ? is_together(step->json) : is_filled(step->json);
	}
}

static struct gang_raw *open_group(struct gang_walk *walk)
{
	struct gang_raw *group = arena_alloc(&walk->scratch, sizeof *group);

	raw_init(group);
	if (walk->group_count == GANG_GROUPS_MAX)
		walk->trouble = "too many sub-groups";
	else
		walk->groups[walk->group_count++] = group;
	return group;
}

/* No key of ours holds what paths are made of; one that does must not be taken for a path. */
static bool is_odd(struct slice key)
{
	for (size_t i = 0; i < key.len; i++)
		if (strchr(".[]#*", key.at[i]))
			return true;
	return false;
}

static size_t append(struct stepping *step, size_t len, struct slice text)
{
	if (len + text.len >= sizeof step->path)
		return 0;
	memcpy(step->path + len, text.at, text.len);
	return len + text.len;
}

static void walk_at(struct stepping *step, size_t len, struct gang_raw *into)
{
	char next;
	const struct gang_path *row = find_path(step, len, &next);
	struct slice key;

	if (row) {
		read_value(step, row->value, into);
	} else if (next == '[' || next == '#') {
		size_t inner = append(step, len, slice_of(next == '#' ? "#" : "[]"));

		if (reader_array(step->json))
			while (reader_next(step->json))
				walk_at(step, inner, next == '#' ? into : open_group(step->walk));
	} else if (next == '.' || next == '*' || next == '@') {
		if (!reader_object(step->json))
			return;
		while (reader_key(step->json, &key)) {
			size_t inner = append(step, len, slice_of(next == '@' ? "@" : "."));
			struct gang_raw *inside = into;

			if (next != '*')
				inner = inner && (next == '@' || !is_odd(key)) ? append(step, inner, key) : 0;
			else if (inner && (inner = append(step, inner, slice_of("*")))) {
				inside = open_group(step->walk);
				inside->text[GANG_VALUE_NAME] = key;
			}
			if (inner)
				walk_at(step, inner, inside);
			else
				reader_skip(step->json);
		}
	} else {
		reader_skip(step->json);
	}
}

int gang_walk(struct gang_walk *walk, enum gang_object object, struct slice json, struct err *err)
{
	struct reader reader;
	struct stepping step = {.walk = walk, .json = &reader};

	*walk = (struct gang_walk){.object = object};
	raw_init(&walk->all);
	arena_init(&walk->scratch, SCRATCH_SIZE);
	reader_open(&reader, json);
	walk_at(&step, 0, &walk->all);
	if (!reader_close(&reader))
		return err_set(err, ERR_INPUT, "%s: %s at byte %zu", gang_object_rows[object].kind, reader.error,
		    (size_t)(reader.at - reader.start));
	return 0;
}

void gang_walk_end(struct gang_walk *walk)
{
	arena_free(&walk->scratch);
}
