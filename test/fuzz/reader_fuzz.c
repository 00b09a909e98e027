/* The pull reader against jansson: both accept the same texts and read the same values from them; README.md lists what
 * differs on purpose. Also: however a value is passed (read, skipped, entered), the same text is accepted and the
 * reader ends at the same place, and what the JSON writer writes is read back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/reader.h"

#define CHECK(condition)                                                                                               \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Unescapes into a block of exactly the size that reader_unescape asks for. */
static struct slice unescape(struct slice raw)
{
	char *out = xmalloc(raw.len);
	struct slice text = {out, reader_unescape(raw, out)};

	CHECK(text.len <= raw.len);
	if (reader_is_plain(raw))
		CHECK(slice_equal(raw, text));
	return text;
}

/* Writes the text as JSON, reads that back and expects the same. */
static void check_writer(struct slice text)
{
	struct slice raw = {0}, back;
	struct reader json;
	struct buf written;

	buf_init(&written, 6 * text.len + 2);
	buf_json_string(&written, text);
	CHECK(!written.overflow);
	reader_open(&json, buf_slice(&written));
	CHECK(reader_string(&json, &raw) && reader_close(&json));
	back = unescape(raw);
	CHECK(slice_equal(back, text));
	free((char *)back.at);
	buf_free(&written);
}

static json_t *build(struct reader *json);

static json_t *build_object(struct reader *json)
{
	json_t *object = json_object();
	struct slice raw_key;

	if (!reader_object(json))
		CHECK(json->error);
	while (reader_key(json, &raw_key)) {
		struct slice key = unescape(raw_key);

		/* jansson refuses a text with a NUL in a key, so such a tree is not compared. */
		CHECK(json_object_setn_new(object, key.at, key.len, build(json)) == 0);
		free((char *)key.at);
	}
	return object;
}

static json_t *build_array(struct reader *json)
{
	json_t *array = json_array();

	if (!reader_array(json))
		CHECK(json->error);
	while (reader_next(json))
		CHECK(json_array_append_new(array, build(json)) == 0);
	return array;
}

static json_t *build_string(struct reader *json)
{
	struct slice raw = {"", 0}, text;
	json_t *string;

	if (!reader_string(json, &raw))
		CHECK(json->error);
	text = unescape(raw);
	check_writer(text);
	string = json_stringn(text.at, text.len);
	CHECK(string);
	free((char *)text.at);
	return string;
}

static json_t *build_number(struct reader *json)
{
	struct reader twin = *json;
	struct slice raw;
	int64_t integer;
	json_t *real;
	char *text;

	if (reader_int(json, &integer))
		return json_integer(integer);
	reader_value(&twin, &raw);
	CHECK(twin.at == json->at && twin.error == json->error);
	text = xstrndup(raw.at, raw.len);
	/* Infinity is no jansson value: what is too large for a double jansson refuses, and nothing is compared. */
	real = json_real(strtod(text, NULL));
	free(text);
	return real ? real : json_null();
}

static json_t *build(struct reader *json)
{
	bool flag = false;

	switch (reader_peek(json)) {
	case READER_OBJECT:
		return build_object(json);
	case READER_ARRAY:
		return build_array(json);
	case READER_STRING:
		return build_string(json);
	case READER_NUMBER:
		return build_number(json);
	case READER_TRUE:
	case READER_FALSE:
		if (!reader_bool(json, &flag))
			CHECK(json->error);
		return json_boolean(flag);
	default:
		reader_skip(json);
		return json_null();
	}
}

/* Passes one value by a reader that the input chooses, mostly of another type than the value. */
static void pass_somehow(struct reader *json, const uint8_t **choice, const uint8_t *choices_end)
{
	struct slice raw;
	int64_t integer;
	bool flag;

	switch (*choice < choices_end ? *(*choice)++ % 8 : 7) {
	case 0:
		if (reader_object(json))
			while (reader_key(json, &raw))
				pass_somehow(json, choice, choices_end);
		break;
	case 1:
		if (reader_array(json))
			while (reader_next(json))
				pass_somehow(json, choice, choices_end);
		break;
	case 2:
		reader_string(json, &raw);
		break;
	case 3:
		reader_bool(json, &flag);
		break;
	case 4:
		reader_int(json, &integer);
		break;
	case 5:
		reader_value(json, &raw);
		break;
	default:
		reader_skip(json);
	}
}

static void check_passing(struct slice text, const struct reader *built)
{
	const uint8_t *choice = (const uint8_t *)text.at;
	struct reader json;

	reader_open(&json, text);
	reader_skip(&json);
	reader_close(&json);
	CHECK(json.at == built->at && json.error == built->error);
	reader_open(&json, text);
	pass_somehow(&json, &choice, choice + text.len);
	reader_close(&json);
	CHECK(json.at == built->at && json.error == built->error);
}

/* A \u escape in the range of the surrogates, of which jansson refuses those that are not paired. */
static bool has_surrogate_escape(struct slice text)
{
	for (size_t i = 0; i + 4 <= text.len; i++)
		if (text.at[i] == '\\' && text.at[i + 1] == 'u' && (text.at[i + 2] == 'd' || text.at[i + 2] == 'D') &&
		    strchr("89abcdefABCDEF", text.at[i + 3]))
			return true;
	return false;
}

static void check_against_jansson(struct slice text, const json_t *built, const struct reader *json)
{
	json_error_t error;
	json_t *theirs = json_loadb(text.at, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);

	if (theirs && json->error) {
		/* jansson loses a NUL behind a number. */
		CHECK(memchr(text.at, '\0', text.len) || strcmp(json->error, "nested too deeply") == 0);
	} else if (theirs) {
		CHECK(json_equal(built, theirs));
	} else if (!json->error) {
		enum json_error_code code = json_error_code(&error);

		CHECK(code == json_error_numeric_overflow || code == json_error_null_byte_in_key ||
		      has_surrogate_escape(text));
	}
	json_decref(theirs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = {(const char *)data, size};
	struct reader json;
	json_t *built;

	reader_open(&json, text);
	built = build(&json);
	reader_close(&json);
	check_passing(text, &json);
	check_against_jansson(text, built, &json);
	json_decref(built);
	return 0;
}
