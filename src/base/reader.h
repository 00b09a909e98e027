/* A pull reader for JSON (RFC 8259) that allocates nothing: the caller walks a complete document in memory token by
 * token and skips what it does not want. It validates all that it passes, also what is skipped: structure, numbers,
 * literals, escapes, UTF-8, depth. The first error is final: `error` is set, at names the byte, and every later call
 * returns READER_END or false. So a loop needs one check, at its end.
 *
 *   struct reader j;
 *   reader_open(&j, text);
 *   if (reader_object(&j))                         // enters {
 *           for (struct slice key; reader_key(&j, &key);)   // false at } or on error
 *                   if (slice_is(key, "name")) reader_string(&j, &name); else reader_skip(&j);
 *   if (!reader_close(&j)) …j.error, j.at…
 *
 * Strings come back raw: the slice between the quotes. Without a backslash that is the text; otherwise reader_unescape
 * gives it. Keys are raw, too: no key that is looked for is ever written with escapes by a Go encoder, and a key with
 * escapes is simply another key. Duplicate keys are all reported; callers let the last one count. */
#ifndef BASE_READER_H
#define BASE_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "berth/slice.h"

#define READER_DEPTH_MAX 256

enum reader_type {
	READER_END,
	READER_OBJECT,
	READER_ARRAY,
	READER_STRING,
	READER_NUMBER,
	READER_TRUE,
	READER_FALSE,
	READER_NULL
};

struct reader {
	const char *at, *end, *start;
	const char *error; /* constant text, NULL while all is well */
	uint32_t depth;
	bool fresh;                                  /* just behind { or [ : no comma is due */
	unsigned char nesting[READER_DEPTH_MAX / 8]; /* a bit a level: 1 = object */
};

void reader_open(struct reader *reader, struct slice text);
/* The type of the value ahead, without passing it. */
enum reader_type reader_peek(struct reader *reader);

/* Each passes one value of the type it names; on another type it is skipped and false (or the default) comes back, no
 * error. */
bool reader_object(struct reader *reader);
bool reader_array(struct reader *reader);
bool reader_string(struct reader *reader, struct slice *raw);
bool reader_bool(struct reader *reader, bool *value);
/* An integer that fits; a number with fraction or exponent, or too large, is skipped and false comes back. */
bool reader_int(struct reader *reader, int64_t *value);
/* Passes any value; `raw`, if given, gets its text, which reader_open takes again. */
void reader_skip(struct reader *reader);
void reader_value(struct reader *reader, struct slice *raw);

/* Inside an object: the next member's key, its value ahead; false behind the closing brace. */
bool reader_key(struct reader *reader, struct slice *raw_key);
/* Inside an array: true while another element is ahead; false behind the closing bracket. */
bool reader_next(struct reader *reader);

/* To be called when the top value was passed: true if all was well and only white space is left. */
bool reader_close(struct reader *reader);

/* Writes the text of a raw string into `out` (room for raw.len bytes is always enough; surrogate pairs are joined, lone
 * surrogates become U+FFFD); returns its length. */
size_t reader_unescape(struct slice raw, char *out);
static inline bool reader_is_plain(struct slice raw)
{
	return raw.len == 0 || memchr(raw.at, '\\', raw.len) == NULL;
}

#endif
