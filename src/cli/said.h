/* What stands in the daemon's answers, read for printing: nothing there is "" or 0. */
#ifndef CLI_SAID_H
#define CLI_SAID_H

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static inline const char *text_or(const json_t *object, const char *name, const char *otherwise)
{
	const char *text = json_string_value(json_object_get(object, name));
	return text ? text : otherwise;
}

static inline const char *text_of(const json_t *object, const char *name)
{
	return text_or(object, name, "");
}

static inline int64_t number_of(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

#define AMOUNT_TEXT_MAX 48

/* As people write it: cores, GiB, counts. */
static inline const char *amount_text(const char *resource, int64_t amount, char out[AMOUNT_TEXT_MAX])
{
	if (strcmp(resource, "cpu") == 0)
		snprintf(out, AMOUNT_TEXT_MAX, "%.6g", (double)amount / 1000);
	else if (strcmp(resource, "memory") == 0 || strcmp(resource, "ephemeral-storage") == 0)
		snprintf(out, AMOUNT_TEXT_MAX, "%.4gGi", (double)amount / (double)(INT64_C(1) << 30));
	else
		snprintf(out, AMOUNT_TEXT_MAX, "%" PRId64, amount);
	return out;
}

#define DURATION_TEXT_MAX 64

static inline const char *duration_text(int64_t seconds, char out[DURATION_TEXT_MAX])
{
	if (seconds < 120)
		snprintf(out, DURATION_TEXT_MAX, "%" PRId64 " s", seconds);
	else if (seconds < 7200)
		snprintf(out, DURATION_TEXT_MAX, "%" PRId64 " min", seconds / 60);
	else
		snprintf(out, DURATION_TEXT_MAX, "%" PRId64 " h %" PRId64 " min", seconds / 3600, seconds / 60 % 60);
	return out;
}

#endif
