#include "cluster/node_term.h"

#include "cluster/fields.h"

/* Limits of label names and values (apimachinery, pkg/util/validation): a term that breaks them is invalid. */
#define LABEL_NAME_MAX 63
#define LABEL_PREFIX_MAX 253

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Letters and digits, inside also '-', '_' and '.'; at most LABEL_NAME_MAX of them. */
static bool is_label_name(const char *text, size_t len)
{
	if (len == 0 || len > LABEL_NAME_MAX || !is_alnum(text[0]) || !is_alnum(text[len - 1]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_alnum(text[i]) && text[i] != '-' && text[i] != '_' && text[i] != '.')
			return false;
	return true;
}

/* A DNS-1123 subdomain: lower-case words of letters, digits and inner '-', with dots between. */
static bool is_label_prefix(const char *text, size_t len)
{
	if (len == 0 || len > LABEL_PREFIX_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		bool first = i == 0 || text[i - 1] == '.', last = i + 1 == len || text[i + 1] == '.';

		if (text[i] == '.' ? first || i + 1 == len : text[i] == '-' ? first || last : !is_alnum(text[i]))
			return false;
		if (text[i] >= 'A' && text[i] <= 'Z')
			return false;
	}
	return true;
}

static bool is_label_key(const char *key)
{
	const char *slash = strchr(key, '/');

	if (!slash)
		return is_label_name(key, strlen(key));
	return is_label_prefix(key, (size_t)(slash - key)) && is_label_name(slash + 1, strlen(slash + 1));
}

static bool is_label_value(const char *value)
{
	return *value == '\0' || is_label_name(value, strlen(value));
}

/* A label value cannot begin with a sign, so digits are all that is left of an integer. */
static bool is_integer(const char *text)
{
	int64_t sum = 0;

	if (*text == '\0')
		return false;
	for (; *text; text++)
		if (*text < '0' || *text > '9' || __builtin_mul_overflow(sum, 10, &sum) ||
		    __builtin_add_overflow(sum, *text - '0', &sum))
			return false;
	return true;
}

static bool is_valid_expression(const struct selector_requirement *requirement)
{
	size_t count = requirement->value_count;

	if (!is_label_key(requirement->key))
		return false;
	for (size_t i = 0; i < count; i++)
		if (!is_label_value(requirement->values[i]))
			return false;
	switch (requirement->op) {
	case SELECTOR_IN:
	case SELECTOR_NOT_IN:
		return count > 0;
	case SELECTOR_EXISTS:
	case SELECTOR_DOES_NOT_EXIST:
		return count == 0;
	case SELECTOR_GT:
	case SELECTOR_LT:
		return count == 1 && is_integer(requirement->values[0]);
	}
	return false;
}

static bool is_valid_field(const struct selector_requirement *requirement)
{
	return (requirement->op == SELECTOR_IN || requirement->op == SELECTOR_NOT_IN) && requirement->value_count == 1;
}

static bool read_operator(struct reader *json, enum selector_op *op)
{
	static const char *const names[] = {[SELECTOR_IN] = "In",
	    [SELECTOR_NOT_IN] = "NotIn",
	    [SELECTOR_EXISTS] = "Exists",
	    [SELECTOR_DOES_NOT_EXIST] = "DoesNotExist",
	    [SELECTOR_GT] = "Gt",
	    [SELECTOR_LT] = "Lt"};
	struct slice name;

	if (!reader_string(json, &name))
		return false;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (slice_is(name, names[i])) {
			*op = (enum selector_op)i;
			return true;
		}
	return false;
}

static void read_values(struct reader *json, struct arena *arena, struct selector_requirement *requirement)
{
	size_t room = 0;
	struct slice raw;

	requirement->value_count = 0;
	if (!reader_array(json))
		return;
	while (reader_next(json)) {
		if (!reader_string(json, &raw))
			continue;
		requirement->values = field_grow(
		    arena, requirement->values, requirement->value_count, &room, sizeof *requirement->values);
		requirement->values[requirement->value_count++] = field_text(arena, raw);
	}
}

/* Returns whether it is one that the API server would take. */
static bool read_requirement(
    struct reader *json, struct arena *arena, bool fields, struct selector_requirement *requirement)
{
	bool known = false;
	struct slice key, raw;

	*requirement = (struct selector_requirement){.key = ""};
	if (!reader_object(json))
		return false;
	while (reader_key(json, &key)) {
		if (slice_is(key, "key")) {
			if (reader_string(json, &raw))
				requirement->key = field_text(arena, raw);
		} else if (slice_is(key, "operator")) {
			known = read_operator(json, &requirement->op);
		} else if (slice_is(key, "values")) {
			read_values(json, arena, requirement);
		} else {
			reader_skip(json);
		}
	}
	return known && (fields ? is_valid_field(requirement) : is_valid_expression(requirement));
}

static void read_selector(struct reader *json, struct arena *arena, bool fields, struct node_term *term)
{
	struct selector *selector = fields ? &term->fields : &term->expressions;
	size_t room = 0;

	*selector = (struct selector){0, NULL};
	if (!reader_array(json))
		return;
	while (reader_next(json)) {
		selector->requirements =
		    field_grow(arena, selector->requirements, selector->count, &room, sizeof *selector->requirements);
		term->invalid |= !read_requirement(json, arena, fields, &selector->requirements[selector->count++]);
	}
}

bool node_term_read_requirement(struct reader *json, struct arena *arena, struct selector_requirement *requirement)
{
	return read_requirement(json, arena, false, requirement);
}

void node_term_read(struct reader *json, struct arena *arena, struct node_term *term)
{
	struct slice key;

	*term = (struct node_term){.invalid = false};
	if (!reader_object(json))
		return;
	while (reader_key(json, &key)) {
		if (slice_is(key, "matchExpressions"))
			read_selector(json, arena, false, term);
		else if (slice_is(key, "matchFields"))
			read_selector(json, arena, true, term);
		else
			reader_skip(json);
	}
}
