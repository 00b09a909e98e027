#include "base/duration.h"

#include <stdlib.h>
#include <string.h>

#define DIGITS_MAX 9

/* The unit at the front of the text, or NULL. */
static const char *pass_unit(const char *at, double *ns)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = {{"ms", 1e6}, {"us", 1e3}, {"\xc2\xb5s", 1e3}, {"\xce\xbcs", 1e3}, {"ns", 1}, {"h", 3600e9},
	    {"m", 60e9}, {"s", 1e9}};

	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		size_t len = strlen(units[i].name);

		if (strncmp(at, units[i].name, len) != 0)
			continue;
		*ns = units[i].ns;
		return at + len;
	}
	return NULL;
}

static const char *pass_digits(const char *at)
{
	size_t len = strspn(at, "0123456789");

	return len > 0 && len <= DIGITS_MAX ? at + len : NULL;
}

bool duration_parse(struct slice text, double *ns)
{
	char copy[DURATION_TEXT_LEN_MAX + 1];
	const char *at = copy, *first;
	double unit = 0;

	*ns = 0;
	if (text.len == 0 || text.len > DURATION_TEXT_LEN_MAX)
		return false;
	memcpy(copy, text.at, text.len);
	copy[text.len] = '\0';
	while (*at) {
		first = at;
		at = pass_digits(at);
		if (at && *at == '.')
			at = pass_digits(at + 1);
		if (!at)
			return false;
		at = pass_unit(at, &unit);
		if (!at)
			return false;
		*ns += strtod(first, NULL) * unit;
	}
	return at == copy + text.len;
}
