#include "base/reader.h"

#include "base/scan.h"

/* How this stays small: `at` is always in front of the next token. fail() moves `end` to the error as well, so that
 * every later call meets the end of the text, and no fast path has to ask whether something went wrong before. */

static const unsigned char type_of[256] = {
    ['{'] = READER_OBJECT,
    ['['] = READER_ARRAY,
    ['"'] = READER_STRING,
    ['t'] = READER_TRUE,
    ['f'] = READER_FALSE,
    ['n'] = READER_NULL,
    ['-'] = READER_NUMBER,
    ['0'] = READER_NUMBER,
    ['1'] = READER_NUMBER,
    ['2'] = READER_NUMBER,
    ['3'] = READER_NUMBER,
    ['4'] = READER_NUMBER,
    ['5'] = READER_NUMBER,
    ['6'] = READER_NUMBER,
    ['7'] = READER_NUMBER,
    ['8'] = READER_NUMBER,
    ['9'] = READER_NUMBER,
};

/* The first error stays. Always NULL, so that `return fail(…)` reads well where a position is returned. */
static __attribute__((cold, noinline)) const char *fail(struct reader *json, const char *at, const char *error)
{
	if (!json->error) {
		json->error = error;
		json->at = json->end = at;
	}
	return NULL;
}

/* --- tokens: each takes the position in front and returns the one behind, or NULL after fail() --- */

static inline const char *pass_space(const char *at, const char *end)
{
	while (at < end && (unsigned char)*at <= ' ' && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
		at++;
	return at;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static const char *pass_escape(struct reader *json, const char *at)
{
	if (json->end - at < 2)
		return fail(json, json->end, "unterminated string");
	switch (at[1]) {
	case '"':
	case '\\':
	case '/':
	case 'b':
	case 'f':
	case 'n':
	case 'r':
	case 't':
		return at + 2;
	case 'u':
		break;
	default:
		return fail(json, at, "unknown escape in a string");
	}
	at += 2;
	for (int i = 0; i < 4; i++, at++)
		if (at == json->end || hex_digit(*at) < 0)
			return fail(json, at, "four hexadecimal digits expected");
	return at;
}

static __attribute__((noinline)) const char *pass_special(struct reader *json, const char *at)
{
	size_t len;

	if (*at == '\\')
		return pass_escape(json, at);
	if ((unsigned char)*at < ' ')
		return fail(json, at, "control character in a string");
	for (; at < json->end && (unsigned char)*at >= 0x80; at += len) {
		len = utf8_sequence(at, json->end);
		if (len == 0)
			return fail(json, at, "string is not UTF-8");
	}
	return at;
}

/* From behind the opening quote. */
static inline const char *pass_string(struct reader *json, const char *at)
{
	while (at) {
		at = scan_plain(at, json->end);
		if (at == json->end)
			return fail(json, at, "unterminated string");
		if (*at == '"')
			return at + 1;
		at = pass_special(json, at);
	}
	return NULL;
}

static inline const char *pass_digits(const char *at, const char *end)
{
	while (at < end && *at >= '0' && *at <= '9')
		at++;
	return at;
}

static const char *pass_number(struct reader *json, const char *at, bool *integer)
{
	const char *end = json->end, *digits;

	at += *at == '-';
	digits = at;
	at = at < end && *at == '0' ? at + 1 : pass_digits(at, end);
	if (at == digits)
		return fail(json, at, "digit expected");
	*integer = true;
	if (at < end && *at == '.') {
		*integer = false;
		digits = ++at;
		at = pass_digits(at, end);
		if (at == digits)
			return fail(json, at, "digit expected");
	}
	if (at < end && (*at == 'e' || *at == 'E')) {
		*integer = false;
		at++;
		at += at < end && (*at == '+' || *at == '-');
		digits = at;
		at = pass_digits(at, end);
		if (at == digits)
			return fail(json, at, "digit expected");
	}
	return at;
}

static inline const char *pass_literal(struct reader *json, const char *at, const char *literal, size_t len)
{
	if ((size_t)(json->end - at) < len || memcmp(at, literal, len) != 0)
		return fail(json, at, "value expected");
	return at + len;
}

static const char *pass_scalar(struct reader *json, enum reader_type type, const char *at)
{
	bool integer;

	switch (type) {
	case READER_STRING:
		return pass_string(json, at + 1);
	case READER_NUMBER:
		return pass_number(json, at, &integer);
	case READER_TRUE:
		return pass_literal(json, at, "true", 4);
	case READER_FALSE:
		return pass_literal(json, at, "false", 5);
	case READER_NULL:
		return pass_literal(json, at, "null", 4);
	default:
		return NULL;
	}
}

/* --- containers --- */

static inline bool inside_object(const struct reader *json)
{
	uint32_t level = json->depth - 1;

	return json->nesting[level / 8] >> level % 8 & 1;
}

static bool enter(struct reader *json, bool object)
{
	unsigned char *nesting = &json->nesting[json->depth / 8], bit = (unsigned char)(1u << json->depth % 8);

	if (json->depth == READER_DEPTH_MAX) {
		fail(json, json->at, "nested too deeply");
		return false;
	}
	*nesting = (unsigned char)(object ? *nesting | bit : *nesting & ~bit);
	json->depth++;
	json->fresh = true;
	json->at++;
	return true;
}

/* The position of the next item of the container, or NULL behind its end. */
static inline const char *next_item(struct reader *json, bool object)
{
	const char *at;

	if (json->depth == 0 || inside_object(json) != object)
		return fail(json, json->at, object ? "not inside an object" : "not inside an array");
	at = pass_space(json->at, json->end);
	if (at == json->end)
		return fail(json, at, "unexpected end");
	if (*at == (object ? '}' : ']')) {
		json->depth--;
		json->fresh = false;
		json->at = at + 1;
		return NULL;
	}
	if (json->fresh)
		json->fresh = false;
	else if (*at == ',')
		at = pass_space(at + 1, json->end);
	else
		return fail(json, at, object ? "',' or '}' expected" : "',' or ']' expected");
	return at;
}

static inline bool pass_key(struct reader *json, struct slice *raw_key)
{
	const char *first = next_item(json, true), *at;

	if (!first)
		return false;
	if (first == json->end || *first != '"') {
		fail(json, first, "key expected");
		return false;
	}
	at = pass_string(json, ++first);
	if (!at)
		return false;
	*raw_key = (struct slice){first, (size_t)(at - 1 - first)};
	at = pass_space(at, json->end);
	if (at == json->end || *at != ':') {
		fail(json, at, "':' expected");
		return false;
	}
	json->at = at + 1;
	return true;
}

static inline bool pass_comma(struct reader *json)
{
	const char *at = next_item(json, false);

	if (!at)
		return false;
	if (at == json->end || type_of[(unsigned char)*at] == READER_END) {
		fail(json, at, "value expected");
		return false;
	}
	json->at = at;
	return true;
}

/* --- what callers see --- */

void reader_open(struct reader *json, struct slice text)
{
	json->start = json->at = text.at ? text.at : "";
	json->end = json->at + text.len;
	json->error = NULL;
	json->depth = 0;
	json->fresh = false;
}

enum reader_type reader_peek(struct reader *json)
{
	const char *at = pass_space(json->at, json->end);
	enum reader_type type = at < json->end ? (enum reader_type)type_of[(unsigned char)*at] : READER_END;

	json->at = at;
	if (type == READER_END)
		fail(json, at, at < json->end ? "value expected" : "unexpected end");
	return type;
}

bool reader_object(struct reader *json)
{
	if (reader_peek(json) == READER_OBJECT)
		return enter(json, true);
	reader_skip(json);
	return false;
}

bool reader_array(struct reader *json)
{
	if (reader_peek(json) == READER_ARRAY)
		return enter(json, false);
	reader_skip(json);
	return false;
}

bool reader_key(struct reader *json, struct slice *raw_key)
{
	return pass_key(json, raw_key);
}

bool reader_next(struct reader *json)
{
	return pass_comma(json);
}

/* Without recursion: into every container, on to the next item, and out again until the first level is reached. */
void reader_skip(struct reader *json)
{
	uint32_t depth = json->depth;
	struct slice key;

	do {
		enum reader_type type = reader_peek(json);
		const char *behind;

		if (type == READER_OBJECT || type == READER_ARRAY) {
			enter(json, type == READER_OBJECT);
		} else {
			behind = pass_scalar(json, type, json->at);
			if (behind)
				json->at = behind;
		}
		while (json->depth > depth && !json->error)
			if (inside_object(json) ? pass_key(json, &key) : pass_comma(json))
				break;
	} while (json->depth > depth && !json->error);
}

void reader_value(struct reader *json, struct slice *raw)
{
	const char *first;

	reader_peek(json);
	first = json->at;
	reader_skip(json);
	if (raw)
		*raw = json->error ? (struct slice){"", 0} : (struct slice){first, (size_t)(json->at - first)};
}

bool reader_string(struct reader *json, struct slice *raw)
{
	const char *first, *at;

	if (reader_peek(json) != READER_STRING) {
		reader_skip(json);
		return false;
	}
	first = json->at + 1;
	at = pass_string(json, first);
	if (!at)
		return false;
	*raw = (struct slice){first, (size_t)(at - 1 - first)};
	json->at = at;
	return true;
}

bool reader_bool(struct reader *json, bool *value)
{
	enum reader_type type = reader_peek(json);

	reader_skip(json);
	if ((type != READER_TRUE && type != READER_FALSE) || json->error)
		return false;
	*value = type == READER_TRUE;
	return true;
}

/* Downwards from 0, as there is one negative number more than there are positive ones. */
static bool read_int(const char *at, const char *end, int64_t *value)
{
	bool negative = *at == '-';
	int64_t sum = 0;

	for (at += negative; at < end; at++)
		if (__builtin_mul_overflow(sum, 10, &sum) || __builtin_sub_overflow(sum, *at - '0', &sum))
			return false;
	if (!negative && __builtin_sub_overflow(0, sum, &sum))
		return false;
	*value = sum;
	return true;
}

bool reader_int(struct reader *json, int64_t *value)
{
	const char *first, *at;
	bool integer;

	if (reader_peek(json) != READER_NUMBER) {
		reader_skip(json);
		return false;
	}
	first = json->at;
	at = pass_number(json, first, &integer);
	if (!at)
		return false;
	json->at = at;
	return integer && read_int(first, at, value);
}

bool reader_close(struct reader *json)
{
	const char *first = pass_space(json->start, json->end);

	if (json->error)
		return false;
	json->at = pass_space(json->at, json->end);
	if (json->depth > 0 || json->at <= first)
		fail(json, json->at, json->at == json->end ? "unexpected end" : "value not passed");
	else if (json->at < json->end)
		fail(json, json->at, "text behind the value");
	return !json->error;
}

/* The four digits of a \u escape at `at`, or a value no escape has. */
static uint32_t read_unit(const char *at, const char *end)
{
	uint32_t unit = 0;

	if (end - at < 6 || at[0] != '\\' || at[1] != 'u')
		return UINT32_MAX;
	for (int i = 2; i < 6; i++) {
		int digit = hex_digit(at[i]);

		if (digit < 0)
			return UINT32_MAX;
		unit = unit << 4 | (uint32_t)digit;
	}
	return unit;
}

/* One escape; *out moves on by what was written. Text that the reader would refuse is left as it is. */
static const char *unescape_one(const char *at, const char *end, char **out)
{
	static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
	uint32_t unit = read_unit(at, end), low;
	const char *letter = NULL;

	if (unit == UINT32_MAX) {
		if (end - at >= 2)
			letter = memchr(letters, at[1], sizeof letters - 1);
		*(*out)++ = letter ? meanings[letter - letters] : *at;
		return at + (letter ? 2 : 1);
	}
	at += 6;
	if (unit >= 0xd800 && unit < 0xdc00) {
		low = read_unit(at, end);
		if (low >= 0xdc00 && low < 0xe000) {
			unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
			at += 6;
		}
	}
	if (unit >= 0xd800 && unit < 0xe000)
		unit = 0xfffd;
	*out += utf8_write(unit, *out);
	return at;
}

size_t reader_unescape(struct slice raw, char *out)
{
	const char *at = raw.at, *end = at + raw.len;
	char *first = out;

	while (at < end) {
		const char *backslash = memchr(at, '\\', (size_t)(end - at));
		size_t plain = (size_t)((backslash ? backslash : end) - at);

		memcpy(out, at, plain);
		out += plain;
		at += plain;
		if (at < end)
			at = unescape_one(at, end, &out);
	}
	return (size_t)(out - first);
}
