#include "policy/scalar.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/duration.h"

#define NUMBER_LEN_MAX 32

static bool is_word_of(const char *text, const char *const *words)
{
	for (; *words; words++)
		if (strcasecmp(text, *words) == 0)
			return true;
	return false;
}

static const char *pass(const char *at, const char *set)
{
	return at + strspn(at, set);
}

/* 190:20:30, 190:20:30.15: base 60, which only YAML 1.1 knows. */
static bool is_sexagesimal(const char *at)
{
	while (*at == ':') {
		const char *digits = ++at;

		at = pass(at, "0123456789");
		if (at == digits)
			return false;
	}
	if (*at == '.')
		at = pass(at + 1, "0123456789_");
	return !*at;
}

static bool is_number(const char *at)
{
	static const char *const specials[] = {".inf", ".nan", NULL};
	static const char digits[] = "0123456789_";
	const char *first;

	at += *at == '+' || *at == '-';
	if (is_word_of(at, specials))
		return true;
	if (at[0] == '0' && at[1] && strchr("xXoObB", at[1]))
		return at[2] && !*pass(at + 2, "0123456789abcdefABCDEF_");
	if (*at == '_')
		return false;
	first = at;
	at = pass(at, digits);
	if (*at == ':')
		return at > first && is_sexagesimal(at);
	if (*at == '.') {
		at = pass(at + 1, digits);
		if (at - first == 1)
			return false;
	} else if (at == first) {
		return false;
	}
	if (*at == 'e' || *at == 'E') {
		at++;
		at += *at == '+' || *at == '-';
		first = at;
		at = pass(at, digits);
		if (at == first)
			return false;
	}
	return !*at;
}

enum scalar scalar_type(const struct yaml_node *node)
{
	static const char *const nulls[] = {"", "~", "null", NULL};
	static const char *const booleans[] = {"true", "false", "yes", "no", "on", "off", "y", "n", NULL};

	if (node->quoted)
		return SCALAR_STRING;
	if (is_word_of(node->text.at, nulls))
		return SCALAR_NULL;
	if (is_word_of(node->text.at, booleans))
		return SCALAR_BOOLEAN;
	return is_number(node->text.at) ? SCALAR_NUMBER : SCALAR_STRING;
}

static bool is_digits(const char *from, const char *to)
{
	return from < to && (size_t)(to - from) == strspn(from, "0123456789");
}

bool scalar_is_integer(const struct yaml_node *node)
{
	const char *at = node->text.at, *end = at + node->text.len;

	at += *at == '-';
	return !node->quoted && is_digits(at, end) && (*at != '0' || end - at == 1);
}

bool scalar_number(const struct yaml_node *node, double *value)
{
	const char *at = node->text.at, *first;

	if (node->quoted || node->text.len > NUMBER_LEN_MAX || at[strspn(at, "0123456789.eE+-")])
		return false;
	at += *at == '-';
	first = at;
	at = pass(at, "0123456789");
	if (at == first || (*first == '0' && at - first > 1))
		return false;
	if (*at == '.') {
		first = ++at;
		at = pass(at, "0123456789");
		if (at == first)
			return false;
	}
	if (*at == 'e' || *at == 'E') {
		at++;
		at += *at == '+' || *at == '-';
		first = at;
		at = pass(at, "0123456789");
		if (at == first)
			return false;
	}
	*value = strtod(node->text.at, NULL);
	return !*at && isfinite(*value);
}

/* The file's units are fewer than Go's. */
bool scalar_duration(struct slice text, double *ns)
{
	*ns = 0;
	for (size_t i = 0; i < text.len; i++)
		if (!memchr("0123456789.hms", text.at[i], 14))
			return false;
	return duration_parse(text, ns);
}
