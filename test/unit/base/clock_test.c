#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"

static void test_format(void **state)
{
	static const struct {
		int64_t ns;
		const char *text;
	} cases[] = {
	    {0, "1970-01-01T00:00:00.000Z"},
	    {INT64_C(1767323045678000000), "2026-01-02T03:04:05.678Z"},
	    {INT64_C(1767323045678999999), "2026-01-02T03:04:05.678Z"},
	    {-1, "1969-12-31T23:59:59.999Z"},
	    {-NS_PER_S, "1969-12-31T23:59:59.000Z"},
	    {INT64_C(951782400000000000), "2000-02-29T00:00:00.000Z"},
	    {INT64_MAX, "2262-04-11T23:47:16.854Z"},
	    {INT64_MIN, "1677-09-21T00:12:43.145Z"},
	};
	char text[CLOCK_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		clock_format(cases[i].ns, text);
		assert_string_equal(text, cases[i].text);
	}
}

static void test_format_micro(void **state)
{
	char text[CLOCK_TEXT_MAX];

	(void)state;
	clock_format_micro(INT64_C(1767323045678901234), text);
	assert_string_equal(text, "2026-01-02T03:04:05.678901Z");
	clock_format_micro(INT64_C(1767323045000000999), text);
	assert_string_equal(text, "2026-01-02T03:04:05.000000Z");
	clock_format_micro(-1, text);
	assert_string_equal(text, "1969-12-31T23:59:59.999999Z");
}

static void test_parse(void **state)
{
	static const struct {
		const char *text;
		int64_t ns;
	} cases[] = {
	    {"1970-01-01T00:00:00Z", 0},
	    {"2026-01-02T03:04:05Z", INT64_C(1767323045000000000)},
	    {"2026-01-02T03:04:05.678Z", INT64_C(1767323045678000000)},
	    {"2026-01-02t03:04:05.6z", INT64_C(1767323045600000000)},
	    {"2026-01-02T03:04:05.123456Z", INT64_C(1767323045123456000)},
	    {"2026-01-02T03:04:05.1234567899Z", INT64_C(1767323045123456789)},
	    {"2026-01-02T05:34:05+02:30", INT64_C(1767323045000000000)},
	    {"2026-01-01T22:04:05.5-05:00", INT64_C(1767323045500000000)},
	    {"2026-01-02T03:04:05-00:00", INT64_C(1767323045000000000)},
	    {"2016-12-31T23:59:60Z", INT64_C(1483228799000000000)},
	    {"1969-12-31T23:59:59.5Z", INT64_C(-500000000)},
	    {"2000-02-29T00:00:00Z", INT64_C(951782400000000000)},
	    {"2262-04-11T23:47:16.854775807Z", INT64_MAX},
	};
	int64_t ns;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_true(clock_parse(slice_of(cases[i].text), &ns));
		assert_int_equal(ns, cases[i].ns);
	}
}

static void test_parse_refuses(void **state)
{
	static const char *const cases[] = {
	    "",
	    "2026-01-02",
	    "2026-01-02T03:04:05",
	    "2026-01-02T03:04:05.Z",
	    "2026-01-02T03:04Z",
	    "2026-01-02 03:04:05Z",
	    "2026-1-2T03:04:05Z",
	    "2026-00-02T03:04:05Z",
	    "2026-13-02T03:04:05Z",
	    "2026-01-00T03:04:05Z",
	    "2026-01-32T03:04:05Z",
	    "2026-04-31T03:04:05Z",
	    "2026-02-29T03:04:05Z",
	    "1900-02-29T03:04:05Z",
	    "2026-01-02T24:04:05Z",
	    "2026-01-02T03:60:05Z",
	    "2026-01-02T03:04:61Z",
	    "2026-01-02T03:04:05+2:00",
	    "2026-01-02T03:04:05+0200",
	    "2026-01-02T03:04:05+24:00",
	    "2026-01-02T03:04:05+02:60",
	    "2026-01-02T03:04:05Zx",
	    " 2026-01-02T03:04:05Z",
	    "+026-01-02T03:04:05Z",
	    "0001-01-01T00:00:00Z",
	    "9999-12-31T23:59:59Z",
	    "2262-04-11T23:47:16.854775808Z",
	};
	int64_t ns;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		if (clock_parse(slice_of(cases[i]), &ns))
			fail_msg("accepted: %s", cases[i]);
}

/* A text cut anywhere is none, and no byte behind the slice is looked at. */
static void test_parse_cut_text(void **state)
{
	static const char text[] = "2026-01-02T03:04:05.678+01:00";
	int64_t ns;

	(void)state;
	assert_true(clock_parse(slice_of(text), &ns));
	for (size_t len = 0; len < sizeof text - 1; len++)
		assert_false(clock_parse((struct slice){text, len}, &ns));
}

static void test_round_trip(void **state)
{
	uint64_t random = 1;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		char text[CLOCK_TEXT_MAX];
		int64_t ns, back;

		random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
		ns = (int64_t)(random >> 2) / NS_PER_MS * NS_PER_MS;
		ns = i % 2 ? ns : -ns;
		clock_format(ns, text);
		assert_true(clock_parse(slice_of(text), &back));
		assert_int_equal(back, ns);
	}
}

static void test_clocks_move(void **state)
{
	int64_t before = clock_now(), wall = clock_wall();

	(void)state;
	for (int i = 0; i < 1000; i++) {
		int64_t now = clock_now();

		assert_true(now >= before);
		before = now;
	}
	/* Later than 2024, before 2200. */
	assert_true(wall > INT64_C(1704067200) * NS_PER_S && wall < INT64_C(7258118400) * NS_PER_S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_format),
	    cmocka_unit_test(test_format_micro),
	    cmocka_unit_test(test_parse),
	    cmocka_unit_test(test_parse_refuses),
	    cmocka_unit_test(test_parse_cut_text),
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_clocks_move),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
