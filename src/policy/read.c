#include "policy/read.h"

#include <stdarg.h>
#include <stdio.h>

#include "policy/kinds.h"
#include "policy/scalar.h"
#include "policy/table.h"
#include "policy/words.h"

#define PATH_MAX_LEN 256

struct reader {
	struct arena *arena;
	struct policy_report *report;
	char path[PATH_MAX_LEN]; /* of the value being read: "classes[1].match[0].owners" */
	size_t path_len;
};

#define PROBLEM(reader, problem, node, ...) report_add((reader)->report, problem, place_of(node), __VA_ARGS__)

/* Appends to the path; returns what path_back takes. */
static BERTH_PRINTF(2, 3) size_t path_to(struct reader *reader, const char *format, ...)
{
	size_t before = reader->path_len, room = sizeof reader->path - before;
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(reader->path + before, room, format, args);
	va_end(args);
	if (len > 0)
		reader->path_len += (size_t)len < room ? (size_t)len : room - 1;
	return before;
}

static void path_back(struct reader *reader, size_t len)
{
	reader->path_len = len;
	reader->path[len] = '\0';
}

static const char *path(const struct reader *reader)
{
	return reader->path_len ? reader->path : "the policy";
}

static const char *type_of(const struct yaml_node *node)
{
	static const char *const scalars[] = {
	    [SCALAR_STRING] = "a string",
	    [SCALAR_NUMBER] = "a number",
	    [SCALAR_BOOLEAN] = "a boolean",
	};

	if (node->type != YAML_SCALAR)
		return node->type == YAML_LIST ? "a list" : "a map";
	return scalars[scalar_type(node)];
}

static void wrong_type(struct reader *reader, const struct yaml_node *node, const char *due, const char *hint)
{
	if (node->type == YAML_SCALAR && scalar_type(node) == SCALAR_NULL)
		PROBLEM(reader, PROBLEM_WRONG_TYPE, node, "%s has no value; %s is due", path(reader), due);
	else
		PROBLEM(reader, PROBLEM_WRONG_TYPE, node, "%s must be %s, not %s%s", path(reader), due, type_of(node),
		    hint);
}

/* Whether the node is a string as YAML goes; what else it is was reported. */
static bool read_string(struct reader *reader, const struct yaml_node *node)
{
	enum scalar type = node->type == YAML_SCALAR ? scalar_type(node) : SCALAR_NULL;

	if (type == SCALAR_STRING)
		return true;
	if (type == SCALAR_NULL)
		wrong_type(reader, node, "a string", "");
	else
		PROBLEM(reader, PROBLEM_NEEDS_QUOTES, node,
		    "%s is %s to YAML, but a string is due; write it in quotes: %s", path(reader), type_of(node),
		    show(node->text).text);
	return false;
}

static bool is_word(struct reader *reader, const struct field *field, const struct yaml_node *node)
{
	struct words words = {0};
	const char *word;

	for (size_t i = 0; (word = field->word(i)); i++) {
		if (slice_is(node->text, word))
			return true;
		words_add(&words, word);
	}
	PROBLEM(reader, field->word_problem, node, "%s %s is not %s", path(reader), show(node->text).text,
	    words_choices(&words, node->text).text);
	return false;
}

static bool meets_rule(struct reader *reader, enum text_rule rule, const struct yaml_node *node)
{
	const char *meant;

	if (text_rule_met(rule, node->text))
		return true;
	meant = rule == TEXT_KIND ? kind_meant(node->text) : NULL;
	PROBLEM(reader, text_rule_problem(rule), node, "%s %s %s%s%s%s", path(reader), show(node->text).text,
	    text_rule_says(rule), meant ? ". Did you mean \"" : "", meant ? meant : "", meant ? "\"?" : "");
	return false;
}

static void read_text(
    struct reader *reader, const struct field *field, const struct yaml_node *node, const struct yaml_node **out)
{
	if (read_string(reader, node) &&
	    (field->word ? is_word(reader, field, node) : meets_rule(reader, field->rule, node)))
		*out = node;
}

static void read_number(
    struct reader *reader, const struct field *field, const struct yaml_node *node, struct doc_number *out)
{
	bool integer = field->kind == FIELD_INTEGER, plain = node->type == YAML_SCALAR && !node->quoted;
	double value = 0;

	if (!plain || !scalar_number(node, &value) || (integer && !scalar_is_integer(node))) {
		/* Also 0x10, 1_000 and the like, which not every reader of YAML takes for the same number. */
		if (plain && scalar_type(node) == SCALAR_NUMBER)
			PROBLEM(reader, PROBLEM_WRONG_TYPE, node, "%s must be %s, not %s", path(reader),
			    integer ? "a whole decimal number" : "a decimal number", show(node->text).text);
		else
			wrong_type(reader, node, "a number",
			    node->type == YAML_SCALAR && node->quoted ? "; write it without quotes" : "");
		return;
	}
	if (value < field->min || value > field->max) {
		PROBLEM(reader, PROBLEM_OUT_OF_RANGE, node, "%s %s is out of range: %.0f to %.0f", path(reader),
		    show(node->text).text, field->min, field->max);
		return;
	}
	*out = (struct doc_number){node, value};
}

static void read_duration(
    struct reader *reader, const struct field *field, const struct yaml_node *node, struct doc_number *out)
{
	double value = 0;

	if (node->type != YAML_SCALAR || (!node->quoted && scalar_type(node) == SCALAR_NULL)) {
		wrong_type(reader, node, "a duration", "");
		return;
	}
	if (!scalar_duration(node->text, &value)) {
		PROBLEM(reader, PROBLEM_BAD_DURATION, node,
		    "%s %s is no duration: numbers with units (h, m, s, ms) are due, like 10m or 1h30m", path(reader),
		    show(node->text).text);
		return;
	}
	if (value < field->min || value > field->max) {
		PROBLEM(reader, PROBLEM_OUT_OF_RANGE, node, "%s %s is out of range: %.0fs to %.0fh", path(reader),
		    show(node->text).text, field->min / DURATION_SECOND, field->max / (3600 * DURATION_SECOND));
		return;
	}
	*out = (struct doc_number){node, value};
}

/* Only as both versions of YAML read it. */
static void read_boolean(struct reader *reader, const struct yaml_node *node, const struct yaml_node **out)
{
	bool plain = node->type == YAML_SCALAR && !node->quoted;

	if (!plain || !(slice_is(node->text, "true") || slice_is(node->text, "false")))
		PROBLEM(reader, PROBLEM_WRONG_TYPE, node, "%s must be true or false, not %s", path(reader),
		    node->type == YAML_SCALAR ? show(node->text).text : type_of(node));
	else
		*out = node;
}

static void read_labels(
    struct reader *reader, const struct field *field, const struct yaml_node *node, struct doc_list *out)
{
	struct doc_label *labels;

	if (node->type != YAML_MAP) {
		wrong_type(reader, node, "a map of labels", "");
		return;
	}
	if (node->count == 0)
		PROBLEM(reader, PROBLEM_EMPTY, node, "%s is empty", path(reader));
	out->node = node;
	out->items = labels = arena_calloc(reader->arena, field->list_max, sizeof *labels);
	for (size_t i = 0; i < node->count; i++) {
		const struct yaml_node *key = node->keys[i];
		const struct yaml_node *value = NULL;
		size_t before, j = 0;

		if (i == field->list_max) {
			PROBLEM(reader, PROBLEM_TOO_MANY, key, "%s has more than %zu labels", path(reader),
			    field->list_max);
			return;
		}
		while (j < i && !slice_equal(node->keys[j]->text, key->text))
			j++;
		if (j < i) {
			PROBLEM(reader, PROBLEM_DUPLICATE_KEY, key, "%s has the key %s twice; it is also in line %u",
			    path(reader), show(key->text).text, node->keys[j]->mark.line);
			continue;
		}
		before = path_to(reader, "[%s]", show(key->text).text);
		if (meets_rule(reader, TEXT_LABEL_KEY, key))
			read_text(reader, field, node->items[i], &value);
		path_back(reader, before);
		if (value)
			labels[out->count++] = (struct doc_label){key, value};
	}
}

/* A map of names to numbers. */
static void read_amounts(
    struct reader *reader, const struct field *field, const struct yaml_node *node, struct doc_list *out)
{
	struct doc_amount *amounts;
	size_t count = node->count < field->list_max ? node->count : field->list_max;

	if (node->type != YAML_MAP) {
		wrong_type(reader, node, "a map of names to numbers", "");
		return;
	}
	if (node->count == 0)
		PROBLEM(reader, PROBLEM_EMPTY, node, "%s is empty; leave the key out or name something", path(reader));
	if (node->count > count)
		PROBLEM(reader, PROBLEM_TOO_MANY, node->keys[count], "%s has more than %zu names", path(reader), count);
	out->node = node;
	out->items = amounts = arena_calloc(reader->arena, count, sizeof *amounts);
	for (size_t i = 0; i < count; i++) {
		const struct yaml_node *key = node->keys[i];
		struct doc_number amount = {0};
		size_t before, j = 0;

		while (j < i && !slice_equal(node->keys[j]->text, key->text))
			j++;
		if (j < i) {
			PROBLEM(reader, PROBLEM_DUPLICATE_KEY, key, "%s has the key %s twice; it is also in line %u",
			    path(reader), show(key->text).text, node->keys[j]->mark.line);
			continue;
		}
		before = path_to(reader, "[%s]", show(key->text).text);
		if (meets_rule(reader, TEXT_NAME, key))
			read_number(reader, field, node->items[i], &amount);
		path_back(reader, before);
		if (amount.node)
			amounts[out->count++] = (struct doc_amount){key, amount};
	}
}

static void read_object(struct reader *reader, const struct object *object, const struct yaml_node *node, void *out);

/* Texts in a list are a set. */
static void check_unique(struct reader *reader, const struct doc_list *list, size_t i)
{
	const struct yaml_node *text = doc_text(list, i), *other;

	for (size_t j = 0; text && j < i; j++) {
		other = doc_text(list, j);
		if (!other || !slice_equal(other->text, text->text))
			continue;
		PROBLEM(reader, PROBLEM_DUPLICATE_NAME, text, "%s %s is in the list twice; it is also in line %u",
		    path(reader), show(text->text).text, other->mark.line);
		return;
	}
}

static void read_list(
    struct reader *reader, const struct field *field, const struct yaml_node *node, struct doc_list *out)
{
	size_t size = field->kind == FIELD_OBJECT ? field->object->size : sizeof(struct yaml_node *);
	size_t count = node->count < field->list_max ? node->count : field->list_max;

	if (node->type != YAML_LIST) {
		wrong_type(reader, node, "a list",
		    node->type == YAML_MAP ? "; begin each item with \"- \"" : "; write it in brackets: [a, b]");
		return;
	}
	if (count == 0)
		PROBLEM(reader, PROBLEM_EMPTY, node, "%s is empty; leave the key out or name something", path(reader));
	if (node->count > count)
		PROBLEM(reader, PROBLEM_TOO_MANY, node->items[count], "%s has %zu items; at most %zu are allowed",
		    path(reader), node->count, count);
	*out = (struct doc_list){node, count, arena_calloc(reader->arena, count, size)};
	for (size_t i = 0; i < count; i++) {
		size_t before = path_to(reader, "[%zu]", i);
		void *item = (char *)out->items + i * size;

		if (field->kind == FIELD_OBJECT) {
			read_object(reader, field->object, node->items[i], item);
		} else {
			read_text(reader, field, node->items[i], item);
			check_unique(reader, out, i);
		}
		path_back(reader, before);
	}
}

static void read_value(struct reader *reader, const struct field *field, const struct yaml_node *node, void *out)
{
	if (field->kind == FIELD_LABELS)
		read_labels(reader, field, node, out);
	else if (field->kind == FIELD_AMOUNTS)
		read_amounts(reader, field, node, out);
	else if (field->list_max > 0)
		read_list(reader, field, node, out);
	else if (field->kind == FIELD_OBJECT)
		read_object(reader, field->object, node, out);
	else if (field->kind == FIELD_TEXT)
		read_text(reader, field, node, out);
	else if (field->kind == FIELD_BOOLEAN)
		read_boolean(reader, node, out);
	else if (field->kind == FIELD_DURATION)
		read_duration(reader, field, node, out);
	else
		read_number(reader, field, node, out);
}

static void unknown_key(struct reader *reader, const struct object *object, const struct yaml_node *key)
{
	struct words words = {0};

	for (size_t i = 0; i < object->field_count; i++)
		words_add(&words, object->fields[i].key);
	for (size_t i = 0; object->synonyms && object->synonyms[i]; i += 2)
		words_add_synonym(&words, object->synonyms[i], object->synonyms[i + 1]);
	if (object->synonyms)
		PROBLEM(reader, PROBLEM_UNKNOWN_VALUE, key, "%s %s is not %s", path(reader), show(key->text).text,
		    words_choices(&words, key->text).text);
	else
		PROBLEM(reader, PROBLEM_UNKNOWN_KEY, key,
		    "%s has the key %s, which is not known by this version of berth.%s", path(reader),
		    show(key->text).text, words_suggestion(&words, key->text).text);
}

static size_t find_field(const struct object *object, struct slice key)
{
	size_t i = 0;

	while (i < object->field_count && !slice_is(key, object->fields[i].key))
		i++;
	return i;
}

/* What holds between the keys of an object; seen[] has the key node of each field that is there. */
static void check_keys(struct reader *reader, const struct object *object, const struct yaml_node *node,
    const struct yaml_node *const *seen)
{
	char choices[128] = "";
	size_t chosen = 0;

	for (size_t i = 0; i < object->field_count; i++) {
		const struct field *field = &object->fields[i];
		size_t len = strlen(choices);

		if (field->required && !seen[i])
			PROBLEM(reader, PROBLEM_MISSING_KEY, node, "%s has no \"%s\"", path(reader), field->key);
		if (field->with && seen[i] && !seen[find_field(object, slice_of(field->with))])
			PROBLEM(reader, PROBLEM_MISSING_KEY, seen[i], "%s has \"%s\" without \"%s\"", path(reader),
			    field->key, field->with);
		if (!field->choice)
			continue;
		chosen += seen[i] != NULL;
		snprintf(choices + len, sizeof choices - len, "%s%s", len ? " or " : "", field->key);
	}
	if (object->choice == CHOICE_EXACTLY_ONE && chosen > 1)
		PROBLEM(
		    reader, object->choice_problem, node, "%s must have either %s, not both", path(reader), choices);
	else if (object->choice != CHOICE_FREE && chosen == 0)
		PROBLEM(reader, object->choice_problem, node, "%s must have %s", path(reader), choices);
	if (object->needs_key && node->count == 0)
		PROBLEM(reader, PROBLEM_EMPTY, node, "%s is empty", path(reader));
}

static void read_object(struct reader *reader, const struct object *object, const struct yaml_node *node, void *out)
{
	const struct yaml_node **seen = arena_calloc(reader->arena, object->field_count, sizeof *seen);
	size_t errors = reader->report->errors;
	struct doc_head *head = out;

	if (node->type != YAML_MAP) {
		wrong_type(reader, node, "a map", "");
		head->broken = true;
		return;
	}
	head->node = node;
	for (size_t i = 0; i < node->count; i++) {
		const struct yaml_node *key = node->keys[i];
		size_t index = find_field(object, key->text), before;
		const struct field *field = &object->fields[index];

		if (index == object->field_count) {
			unknown_key(reader, object, key);
			continue;
		}
		if (seen[index]) {
			PROBLEM(reader, PROBLEM_DUPLICATE_KEY, key,
			    "%s has the key \"%s\" twice; it is also in line %u", path(reader), field->key,
			    seen[index]->mark.line);
			continue;
		}
		seen[index] = key;
		before = path_to(reader, "%s%s", reader->path_len ? "." : "", field->key);
		read_value(reader, field, node->items[i], (char *)out + field->offset);
		path_back(reader, before);
	}
	check_keys(reader, object, node, seen);
	head->broken = reader->report->errors > errors;
}

void policy_read(const struct yaml_node *root, struct arena *arena, struct doc *doc, struct policy_report *report)
{
	struct reader reader = {.arena = arena, .report = report};

	*doc = (struct doc){0};
	read_object(&reader, &policy_object, root, doc);
}
