#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"

static void test_writes_and_terminates(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 1000);
	assert_true(slice_is(buf_slice(&buf), ""));
	buf_text(&buf, "node");
	buf_char(&buf, '-');
	buf_printf(&buf, "%d/%s", 17, "x");
	buf_add(&buf, "", 0);
	assert_string_equal(buf.data, "node-17/x");
	assert_int_equal(buf.len, 9);
	buf_clear(&buf);
	assert_string_equal(buf.data, "");
	buf_free(&buf);
	assert_null(buf.data);
	buf_text(&buf, "again");
	assert_string_equal(buf.data, "again");
	buf_free(&buf);
}

/* Every maximum is kept exactly: `max` bytes fit, one more does not, whatever the steps. */
static void test_maximum_is_exact(void **state)
{
	(void)state;
	for (size_t max = 0; max < 1100; max += max < 20 ? 1 : 90) {
		for (size_t step = 1; step < 300; step = step * 3 + 1) {
			struct buf buf;
			char bytes[300];

			memset(bytes, 'x', sizeof bytes);
			buf_init(&buf, max);
			while (buf.len + step <= max)
				buf_add(&buf, bytes, step);
			buf_add(&buf, bytes, max - buf.len);
			assert_false(buf.overflow);
			assert_int_equal(buf.len, max);
			assert_int_equal(strlen(buf_slice(&buf).at), max);
			buf_char(&buf, 'y');
			assert_true(buf.overflow);
			assert_int_equal(buf.len, max);
			buf_clear(&buf);
			assert_false(buf.overflow);
			buf_free(&buf);
		}
	}
}

static void test_nothing_is_written_after_an_overflow(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 10);
	buf_text(&buf, "12345");
	assert_false(buf_reserve(&buf, 6));
	assert_true(buf.overflow);
	assert_false(buf_reserve(&buf, 1));
	buf_text(&buf, "6");
	buf_printf(&buf, "%d", 7);
	assert_string_equal(buf.data, "12345");
	buf_free(&buf);
	assert_false(buf.overflow);
}

static void test_printf_longer_than_the_room(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 5000);
	buf_printf(&buf, "%0999d|", 1);
	buf_printf(&buf, "%01999d|", 2);
	assert_int_equal(buf.len, 3000);
	assert_int_equal(buf.data[998], '1');
	assert_int_equal(buf.data[2998], '2');
	buf_printf(&buf, "%02001d", 3);
	assert_true(buf.overflow);
	buf_free(&buf);
}

static void test_consume(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 100);
	buf_consume(&buf, 3);
	buf_text(&buf, "one\ntwo\n");
	buf_consume(&buf, 4);
	assert_string_equal(buf.data, "two\n");
	buf_consume(&buf, 0);
	buf_consume(&buf, 99);
	assert_string_equal(buf.data, "");
	buf_free(&buf);
}

static void test_take(void **state)
{
	struct buf buf;
	char *text;

	(void)state;
	buf_init(&buf, 100);
	text = buf_take(&buf);
	assert_string_equal(text, "");
	free(text);
	buf_text(&buf, "mine");
	text = buf_take(&buf);
	assert_string_equal(text, "mine");
	free(text);
	assert_int_equal(buf.len, 0);
	buf_text(&buf, "next");
	assert_string_equal(buf.data, "next");
	buf_free(&buf);
}

static void check_json(const char *text, size_t len, const char *expected)
{
	struct buf buf;

	buf_init(&buf, 1000);
	buf_json_string(&buf, (struct slice){text, len});
	assert_string_equal(buf.data, expected);
	buf_free(&buf);
}

static void test_json_strings(void **state)
{
	(void)state;
	check_json("", 0, "\"\"");
	check_json(NULL, 0, "\"\"");
	check_json("gpu-node-pool-a100-europe-west4-b-000017", 40, "\"gpu-node-pool-a100-europe-west4-b-000017\"");
	check_json("a\"b\\c/d", 7, "\"a\\\"b\\\\c/d\"");
	check_json("\n\r\t\b\x1f\x7f", 6, "\"\\n\\r\\t\\u0008\\u001f\x7f\"");
	check_json("a\0b", 3, "\"a\\u0000b\"");
	check_json("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
	check_json("\xff"
	           "a\xc3",
	    3,
	    "\"\xef\xbf\xbd"
	    "a\xef\xbf\xbd\"");
	check_json("\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

static void check_int(int64_t value, const char *expected)
{
	struct buf buf;

	buf_init(&buf, 30);
	buf_json_int(&buf, value);
	assert_string_equal(buf.data, expected);
	buf_free(&buf);
}

static void test_json_ints(void **state)
{
	(void)state;
	check_int(0, "0");
	check_int(-1, "-1");
	check_int(1234567890, "1234567890");
	check_int(INT64_MAX, "9223372036854775807");
	check_int(INT64_MIN, "-9223372036854775808");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_writes_and_terminates),
	    cmocka_unit_test(test_maximum_is_exact),
	    cmocka_unit_test(test_nothing_is_written_after_an_overflow),
	    cmocka_unit_test(test_printf_longer_than_the_room),
	    cmocka_unit_test(test_consume),
	    cmocka_unit_test(test_take),
	    cmocka_unit_test(test_json_strings),
	    cmocka_unit_test(test_json_ints),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
