#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/reader.h"

/* In a block of its own, so that AddressSanitizer sees a read behind the end. */
static bool skip_accepts(const char *text, size_t len, const char **error, size_t *at)
{
	char *copy = malloc(len + 1);
	struct reader json;
	bool accepted;

	assert_non_null(copy);
	memcpy(copy + 1, text, len);
	reader_open(&json, (struct slice){copy + 1, len});
	reader_skip(&json);
	accepted = reader_close(&json);
	*error = json.error;
	*at = (size_t)(json.at - (copy + 1));
	free(copy);
	return accepted;
}

static void test_accepted(void **state)
{
	static const char *const cases[] = {
	    "null",
	    " true ",
	    "\t\r\n false",
	    "0",
	    "-0",
	    "-0.0e-0",
	    "1E+2",
	    "123456789012345678901234567890",
	    "1e999",
	    "\"\"",
	    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"",
	    "\"\\u0000\"",
	    "\"\\ud800\"",
	    "\"\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"",
	    "[]",
	    "[ ]",
	    "{}",
	    "{ }",
	    "[[],{},[{}]]",
	    " { \"a\" : [ 1 , 2 ] , \"a\" : { \"b\" : null } } ",
	};
	const char *error;
	size_t at;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		if (!skip_accepts(cases[i], strlen(cases[i]), &error, &at))
			fail_msg("%s: %s at %zu", cases[i], error, at);
}

struct refusal {
	const char *text, *error;
	size_t at;
};

static void check_refusals(const struct refusal *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const char *error;
		size_t at;

		if (skip_accepts(cases[i].text, strlen(cases[i].text), &error, &at))
			fail_msg("accepted: %s", cases[i].text);
		if (strcmp(error, cases[i].error) != 0 || at != cases[i].at)
			fail_msg("%s: %s at %zu", cases[i].text, error, at);
	}
}

static void test_refused_structure(void **state)
{
	static const struct refusal cases[] = {
	    {"", "unexpected end", 0},
	    {" \n", "unexpected end", 2},
	    {"}", "value expected", 0},
	    {"nul", "value expected", 0},
	    {"True", "value expected", 0},
	    {"truex", "text behind the value", 4},
	    {"1 2", "text behind the value", 2},
	    {"[", "unexpected end", 1},
	    {"[1", "unexpected end", 2},
	    {"[1,", "value expected", 3},
	    {"[1,]", "value expected", 3},
	    {"[,1]", "value expected", 1},
	    {"[1 2]", "',' or ']' expected", 3},
	    {"[1}", "',' or ']' expected", 2},
	    {"{1:2}", "key expected", 1},
	    {"{\"a\"", "':' expected", 4},
	    {"{\"a\" 1}", "':' expected", 5},
	    {"{\"a\":}", "value expected", 5},
	    {"{\"a\":1,}", "key expected", 7},
	    {"{,}", "key expected", 1},
	    {"{\"a\":1 \"b\":2}", "',' or '}' expected", 7},
	    {"{\"a\":1]", "',' or '}' expected", 6},
	    {"[1]]", "text behind the value", 3},
	    {"\xef\xbb\xbf{}", "value expected", 0},
	    {"[1,/**/2]", "value expected", 3},
	    {"[\v1]", "value expected", 1},
	};

	(void)state;
	check_refusals(cases, sizeof cases / sizeof cases[0]);
}

static void test_refused_tokens(void **state)
{
	static const struct refusal cases[] = {
	    {"-", "digit expected", 1},
	    {"+1", "value expected", 0},
	    {"01", "text behind the value", 1},
	    {"-01", "text behind the value", 2},
	    {"1.", "digit expected", 2},
	    {".5", "value expected", 0},
	    {"1.e5", "digit expected", 2},
	    {"1e", "digit expected", 2},
	    {"1e+", "digit expected", 3},
	    {"NaN", "value expected", 0},
	    {"\"", "unterminated string", 1},
	    {"\"abc", "unterminated string", 4},
	    {"\"abc\\", "unterminated string", 5},
	    {"\"abc\\\"", "unterminated string", 6},
	    {"\"\\x41\"", "unknown escape in a string", 1},
	    {"\"\\u12g4\"", "four hexadecimal digits expected", 5},
	    {"\"\\u12", "four hexadecimal digits expected", 5},
	    {"\"\n\"", "control character in a string", 1},
	    {"\"12345678901234567\x1f\"", "control character in a string", 18},
	    {"\"\x80\"", "string is not UTF-8", 1},
	    {"\"\xc0\x80\"", "string is not UTF-8", 1},
	    {"\"\xc1\xbf\"", "string is not UTF-8", 1},
	    {"\"\xe0\x9f\xbf\"", "string is not UTF-8", 1},
	    {"\"\xed\xa0\x80\"", "string is not UTF-8", 1},
	    {"\"\xf0\x8f\xbf\xbf\"", "string is not UTF-8", 1},
	    {"\"\xf4\x90\x80\x80\"", "string is not UTF-8", 1},
	    {"\"\xf5\x80\x80\x80\"", "string is not UTF-8", 1},
	    {"\"\xc3\xa9\xe2\x82\"", "string is not UTF-8", 3},
	    {"\"\xe2\x82", "string is not UTF-8", 1},
	    {"{\"\xff\":1}", "string is not UTF-8", 2},
	};

	(void)state;
	check_refusals(cases, sizeof cases / sizeof cases[0]);
}

/* Each special byte, at each place of strings of each length around the widths that are read at once. */
static void test_special_bytes_at_every_place(void **state)
{
	static const char specials[] = {'"', '\\', '\x01', '\x1f', '\0', '\x80', '\xff'};
	char text[64];
	const char *error;
	size_t at;

	(void)state;
	for (size_t len = 1; len < 50; len++) {
		memset(text, 'a', sizeof text);
		text[0] = text[len + 1] = '"';
		assert_true(skip_accepts(text, len + 2, &error, &at));
		for (size_t place = 1; place <= len; place++) {
			for (size_t i = 0; i < sizeof specials; i++) {
				text[place] = specials[i];
				assert_false(skip_accepts(text, len + 2, &error, &at));
			}
			text[place] = 'a';
		}
	}
}

static void test_nul_byte_is_no_end(void **state)
{
	const char *error;
	size_t at;

	(void)state;
	assert_false(skip_accepts("1\0", 2, &error, &at));
	assert_int_equal(at, 1);
	assert_false(skip_accepts("\"a\0b\"", 5, &error, &at));
	assert_int_equal(at, 2);
}

static void test_depth(void **state)
{
	char text[4 * (READER_DEPTH_MAX + 1)];
	const char *error;
	size_t at, len;

	(void)state;
	for (size_t depth = READER_DEPTH_MAX; depth <= READER_DEPTH_MAX + 1; depth++) {
		bool fits = depth <= READER_DEPTH_MAX;

		memset(text, '[', depth);
		memset(text + depth, ']', depth);
		assert_int_equal(skip_accepts(text, 2 * depth, &error, &at), fits);
		if (!fits)
			assert_string_equal(error, "nested too deeply");
		/* Objects and arrays by turns: the brackets must match on every level. */
		for (len = 0; len < depth; len++)
			text[len] = '[';
		text[depth - 1] = '{';
		text[depth] = '}';
		memset(text + depth + 1, ']', depth - 1);
		assert_int_equal(skip_accepts(text, 2 * depth, &error, &at), fits);
		text[depth] = ']';
		assert_false(skip_accepts(text, 2 * depth, &error, &at));
	}
}

/* As the reader of a pod does it: wanted members are taken, others skipped, whatever their order. */
static void test_walk(void **state)
{
	static const char text[] = "{\"meta\":{\"labels\":{\"a\":[1,{}]},\"name\":\"p\\u00e9\"},\"priority\":-7,"
	                           "\"names\":[\"n1\",\"n2\",\"n3\"],\"ready\":true,\"rest\":[[],{\"x\":{}}]}";
	struct slice name = {0}, key, names[4];
	int64_t priority = 0;
	bool ready = false;
	size_t count = 0;
	char unescaped[20];
	struct reader json;

	(void)state;
	reader_open(&json, slice_of(text));
	assert_true(reader_object(&json));
	while (reader_key(&json, &key)) {
		if (slice_is(key, "meta") && reader_object(&json)) {
			while (reader_key(&json, &key))
				if (slice_is(key, "name"))
					reader_string(&json, &name);
				else
					reader_skip(&json);
		} else if (slice_is(key, "priority")) {
			assert_true(reader_int(&json, &priority));
		} else if (slice_is(key, "names") && reader_array(&json)) {
			while (reader_next(&json))
				assert_true(reader_string(&json, &names[count++]));
		} else if (slice_is(key, "ready")) {
			assert_true(reader_bool(&json, &ready));
		} else {
			reader_skip(&json);
		}
	}
	assert_true(reader_close(&json));
	assert_false(reader_is_plain(name));
	assert_int_equal(reader_unescape(name, unescaped), 3);
	assert_memory_equal(unescaped, "p\xc3\xa9", 3);
	assert_int_equal(priority, -7);
	assert_int_equal(count, 3);
	assert_true(slice_is(names[2], "n3") && reader_is_plain(names[2]));
	assert_true(ready);
}

/* On a value of another type each reader passes it, says false, leaves its output alone and makes no error. */
static void test_other_types_are_skipped(void **state)
{
	static const char *const values[] = {"{\"a\":[1]}", "[1,{}]", "\"s\"", "1", "1.5", "true", "false", "null"};
	static const char accepted[] = "o-a-s-i---b-b---";

	(void)state;
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		for (const char *reader = "oasib"; *reader; reader++) {
			struct slice raw = {"kept", 4};
			int64_t number = 42;
			bool flag = true, taken = false;
			char text[40];
			struct reader json;

			if (accepted[2 * i] == *reader)
				continue;
			snprintf(text, sizeof text, "[%s,9]", values[i]);
			reader_open(&json, slice_of(text));
			assert_true(reader_array(&json) && reader_next(&json));
			taken = *reader == 'o'   ? reader_object(&json)
			        : *reader == 'a' ? reader_array(&json)
			        : *reader == 's' ? reader_string(&json, &raw)
			        : *reader == 'i' ? reader_int(&json, &number)
			                         : reader_bool(&json, &flag);
			assert_false(taken);
			assert_true(slice_is(raw, "kept") && number == 42 && flag);
			assert_true(reader_next(&json) && reader_int(&json, &number));
			assert_int_equal(number, 9);
			assert_false(reader_next(&json));
			assert_true(reader_close(&json));
		}
	}
}

static void test_ints(void **state)
{
	static const struct {
		const char *text;
		bool fits;
		int64_t value;
	} cases[] = {
	    {"0", true, 0},
	    {"-0", true, 0},
	    {" 12 ", true, 12},
	    {"9223372036854775807", true, INT64_MAX},
	    {"-9223372036854775808", true, INT64_MIN},
	    {"9223372036854775808", false, 0},
	    {"-9223372036854775809", false, 0},
	    {"99999999999999999999999", false, 0},
	    {"1.0", false, 0},
	    {"1e3", false, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct reader json;
		int64_t value = 0;

		reader_open(&json, slice_of(cases[i].text));
		assert_int_equal(reader_int(&json, &value), cases[i].fits);
		assert_int_equal(value, cases[i].value);
		assert_true(reader_close(&json));
	}
}

static void test_raw_values(void **state)
{
	static const char text[] = "{ \"a\" : \"x\" , \"b\" : [ 1, 2 ] , \"c\":{} }";
	static const char *const raws[] = {"\"x\"", "[ 1, 2 ]", "{}"};
	struct slice key, raw;
	struct reader json;
	size_t i = 0;

	(void)state;
	reader_open(&json, slice_of(text));
	assert_true(reader_object(&json));
	for (; reader_key(&json, &key); i++) {
		reader_value(&json, &raw);
		assert_true(slice_is(raw, raws[i]));
	}
	assert_int_equal(i, 3);
	assert_true(reader_close(&json));
	reader_open(&json, slice_of("[1"));
	reader_value(&json, &raw);
	assert_int_equal(raw.len, 0);
	reader_value(&json, NULL);
	assert_false(reader_close(&json));
}

static void test_peek(void **state)
{
	static const char text[] = "[{},[],\"\",1,-1,true,false,null]";
	static const enum reader_type types[] = {READER_OBJECT, READER_ARRAY, READER_STRING, READER_NUMBER,
	    READER_NUMBER, READER_TRUE, READER_FALSE, READER_NULL};
	struct reader json;
	size_t i = 0;

	(void)state;
	reader_open(&json, slice_of(text));
	assert_int_equal(reader_peek(&json), READER_ARRAY);
	assert_true(reader_array(&json));
	for (; reader_next(&json); i++) {
		assert_int_equal(reader_peek(&json), types[i]);
		reader_skip(&json);
	}
	assert_int_equal(i, 8);
	assert_true(reader_close(&json));
}

/* After the first error nothing moves any more, whatever is called, also where what stands there could be read. */
static void test_first_error_is_final(void **state)
{
	static const char text[] = "{\"a\":[1 [2]],\"b\":2}";
	struct slice key = {0};
	struct reader json;
	int64_t value;
	bool flag;

	(void)state;
	reader_open(&json, slice_of(text));
	assert_true(reader_object(&json) && reader_key(&json, &key) && reader_array(&json));
	assert_true(reader_next(&json) && reader_int(&json, &value));
	assert_false(reader_next(&json));
	for (int i = 0; i < 2; i++) {
		assert_false(reader_next(&json));
		assert_false(reader_key(&json, &key));
		assert_int_equal(reader_peek(&json), READER_END);
		assert_false(reader_object(&json) || reader_array(&json) || reader_string(&json, &key));
		assert_false(reader_int(&json, &value) || reader_bool(&json, &flag));
		reader_skip(&json);
		reader_value(&json, NULL);
		assert_false(reader_close(&json));
		assert_string_equal(json.error, "',' or ']' expected");
		assert_ptr_equal(json.at, text + 8);
	}
}

static void test_misuse_is_an_error(void **state)
{
	struct slice key;
	struct reader json;

	(void)state;
	reader_open(&json, slice_of("1"));
	assert_false(reader_key(&json, &key));
	assert_string_equal(json.error, "not inside an object");
	reader_open(&json, slice_of("[1]"));
	assert_true(reader_array(&json));
	assert_false(reader_key(&json, &key));
	assert_false(reader_close(&json));
	reader_open(&json, slice_of("{\"a\":1}"));
	assert_true(reader_object(&json));
	assert_false(reader_next(&json));
	reader_open(&json, slice_of("1"));
	assert_false(reader_close(&json));
	reader_open(&json, slice_of("[1]"));
	assert_true(reader_array(&json));
	assert_false(reader_close(&json));
	reader_open(&json, (struct slice){NULL, 0});
	reader_skip(&json);
	assert_false(reader_close(&json));
}

static void check_unescape(const char *raw, const char *expected, size_t len)
{
	char out[100];

	assert_int_equal(reader_unescape(slice_of(raw), out), len);
	assert_memory_equal(out, expected, len);
}

static void test_unescape(void **state)
{
	(void)state;
	check_unescape("", "", 0);
	check_unescape("plain", "plain", 5);
	check_unescape("\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t", 8);
	check_unescape("a\\u0000b", "a\0b", 3);
	check_unescape("\\u0041\\u00e9\\u20AC\\ud83d\\uDE00.", "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80.", 11);
	check_unescape("\\ud83d", "\xef\xbf\xbd", 3);
	check_unescape("\\ud83dx", "\xef\xbf\xbdx", 4);
	check_unescape("\\ude00\\ud83d\\u0041",
	    "\xef\xbf\xbd\xef\xbf\xbd"
	    "A",
	    7);
	check_unescape("\\ude00\\ude00", "\xef\xbf\xbd\xef\xbf\xbd", 6);
	check_unescape("\\ud83d\\ud83d\\ude00", "\xef\xbf\xbd\xf0\x9f\x98\x80", 7);
	/* What the reader would refuse does no harm. */
	check_unescape("a\\", "a\\", 2);
	check_unescape("\\u12", "\\u12", 4);
	check_unescape("\\x", "\\x", 2);
}

static uint64_t random_state = 88172645463325252u;

static size_t random_below(size_t limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (size_t)(random_state % limit);
}

/* Any UTF-8 text that is written comes back. */
static void test_write_and_read_back(void **state)
{
	static const char *const pieces[] = {"node-a100-", "\"", "\\", "\n", "\x01", "\xc3\xa9", "\xf0\x9f\x98\x80",
	    "/", "\x7f", "u0041", "0123456789abcdef", "\xed\x9f\xbf"};

	(void)state;
	for (int round = 0; round < 5000; round++) {
		struct slice raw = {0};
		struct buf text, written;
		char back[1000];
		struct reader json;

		buf_init(&text, 1000);
		buf_init(&written, 6000);
		for (size_t left = random_below(40); left > 0; left--)
			buf_text(&text, pieces[random_below(sizeof pieces / sizeof pieces[0])]);
		buf_json_string(&written, buf_slice(&text));
		reader_open(&json, buf_slice(&written));
		assert_true(reader_string(&json, &raw) && reader_close(&json));
		assert_int_equal(reader_unescape(raw, back), text.len);
		assert_memory_equal(back, buf_slice(&text).at, text.len);
		buf_free(&text);
		buf_free(&written);
	}
}

static void write_random_value(struct buf *out, unsigned depth, size_t *values)
{
	static const char *const scalars[] = {"1", "-2.5e3", "true", "false", "null", "\"\"", "\"a\\nb\"", "\"[{,\""};
	static const char *const blanks[] = {"", "", " ", "\n\t"};
	size_t kind = depth == 0 ? 2 : random_below(3), items = random_below(5);

	++*values;
	buf_text(out, blanks[random_below(4)]);
	if (kind == 2) {
		buf_text(out, scalars[random_below(sizeof scalars / sizeof scalars[0])]);
		items = 0;
	} else {
		buf_char(out, kind ? '[' : '{');
		buf_text(out, blanks[random_below(4)]);
	}
	for (size_t i = 0; i < items; i++) {
		buf_text(out, i ? "," : "");
		if (kind == 0)
			buf_printf(out, "%s\"k%zu\"%s:", blanks[random_below(4)], i, blanks[random_below(4)]);
		write_random_value(out, depth - 1, values);
	}
	if (kind != 2)
		buf_char(out, kind ? ']' : '}');
	buf_text(out, blanks[random_below(4)]);
}

/* Enters everything. Counts values, and checks that reader_value would have passed the same text. */
static void walk(struct reader *json, size_t *values)
{
	struct reader twin = *json;
	struct slice key;

	++*values;
	reader_value(&twin, NULL);
	switch (reader_peek(json)) {
	case READER_OBJECT:
		assert_true(reader_object(json));
		while (reader_key(json, &key))
			walk(json, values);
		break;
	case READER_ARRAY:
		assert_true(reader_array(json));
		while (reader_next(json))
			walk(json, values);
		break;
	default:
		reader_skip(json);
	}
	assert_ptr_equal(json->at, twin.at);
	assert_int_equal(json->depth, twin.depth);
}

static void test_random_documents(void **state)
{
	(void)state;
	for (int round = 0; round < 2000; round++) {
		size_t written = 0, walked = 0;
		struct reader json;
		struct buf text;

		buf_init(&text, 1 << 20);
		write_random_value(&text, 6, &written);
		reader_open(&json, buf_slice(&text));
		walk(&json, &walked);
		assert_true(reader_close(&json));
		assert_int_equal(written, walked);
		buf_free(&text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_accepted),
	    cmocka_unit_test(test_refused_structure),
	    cmocka_unit_test(test_refused_tokens),
	    cmocka_unit_test(test_special_bytes_at_every_place),
	    cmocka_unit_test(test_nul_byte_is_no_end),
	    cmocka_unit_test(test_depth),
	    cmocka_unit_test(test_walk),
	    cmocka_unit_test(test_other_types_are_skipped),
	    cmocka_unit_test(test_ints),
	    cmocka_unit_test(test_raw_values),
	    cmocka_unit_test(test_peek),
	    cmocka_unit_test(test_first_error_is_final),
	    cmocka_unit_test(test_misuse_is_an_error),
	    cmocka_unit_test(test_unescape),
	    cmocka_unit_test(test_write_and_read_back),
	    cmocka_unit_test(test_random_documents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
