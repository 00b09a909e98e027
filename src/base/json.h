/* A pull reader for JSON (RFC 8259) that allocates nothing: the caller walks a complete document in memory token by
 * token and skips what it does not want. It validates all that it passes, also what is skipped: structure, numbers,
 * literals, escapes, UTF-8, depth. The first error is final: `error` is set, at names the byte, and every later call
 * returns JSON_END or false. So a loop needs one check, at its end.
 *
 *   struct json j;
 *   json_open(&j, text);
 *   if (json_object(&j))                         // enters {
 *           for (struct slice key; json_key(&j, &key);)   // false at } or on error
 *                   if (slice_is(key, "name")) json_string(&j, &name); else json_skip(&j);
 *   if (!json_close(&j)) …j.error, j.at…
 *
 * Strings come back raw: the slice between the quotes. Without a backslash that is the text; otherwise json_unescape
 * gives it. Keys are raw, too: no key that is looked for is ever written with escapes by a Go encoder, and a key with
 * escapes is simply another key. Duplicate keys are all reported; callers let the last one count. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "berth/slice.h"

#define JSON_DEPTH_MAX 256

/* jansson has functions of these names, too. A source file includes one of the two headers; the linker sees other
 * names. */
#define JSON_SYMBOL(name) __asm__("base_" name)

enum json_type { JSON_END, JSON_OBJECT, JSON_ARRAY, JSON_STRING, JSON_NUMBER, JSON_TRUE, JSON_FALSE, JSON_NULL };

struct json {
	const char *at, *end, *start;
	const char *error; /* constant text, NULL while all is well */
	uint32_t depth;
	bool fresh;                                /* just behind { or [ : no comma is due */
	unsigned char nesting[JSON_DEPTH_MAX / 8]; /* a bit a level: 1 = object */
};

void json_open(struct json *json, struct slice text);
/* The type of the value ahead, without passing it. */
enum json_type json_peek(struct json *json);

/* Each passes one value of the type it names; on another type it is skipped and false (or the default) comes back, no
 * error. */
bool json_object(struct json *json) JSON_SYMBOL("json_object");
bool json_array(struct json *json) JSON_SYMBOL("json_array");
bool json_string(struct json *json, struct slice *raw) JSON_SYMBOL("json_string");
bool json_bool(struct json *json, bool *value);
/* An integer that fits; a number with fraction or exponent, or too large, is skipped and false comes back. */
bool json_int(struct json *json, int64_t *value);
/* Passes any value; `raw`, if given, gets its text, which json_open takes again. */
void json_skip(struct json *json);
void json_value(struct json *json, struct slice *raw);

/* Inside an object: the next member's key, its value ahead; false behind the closing brace. */
bool json_key(struct json *json, struct slice *raw_key);
/* Inside an array: true while another element is ahead; false behind the closing bracket. */
bool json_next(struct json *json);

/* To be called when the top value was passed: true if all was well and only white space is left. */
bool json_close(struct json *json);

/* Writes the text of a raw string into `out` (room for raw.len bytes is always enough; surrogate pairs are joined, lone
 * surrogates become U+FFFD); returns its length. */
size_t json_unescape(struct slice raw, char *out);
static inline bool json_is_plain(struct slice raw)
{
	return raw.len == 0 || memchr(raw.at, '\\', raw.len) == NULL;
}

#endif
