/* The expected numbers are what apimachinery v0.36.3 gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cluster/quantity.h"

static void assert_quantity(const char *text, int64_t value, int64_t milli)
{
	int64_t got_value, got_milli;

	if (!quantity_parse(slice_of(text), &got_value, &got_milli))
		fail_msg("%s is refused", text);
	if (got_value != value || got_milli != milli)
		fail_msg("%s gives %lld and %lld", text, (long long)got_value, (long long)got_milli);
}

static void suffixes(void **state)
{
	(void)state;
	assert_quantity("0", 0, 0);
	assert_quantity("3", 3, 3000);
	assert_quantity("500m", 1, 500);
	assert_quantity("1500u", 1, 2);
	assert_quantity("1n", 1, 1);
	assert_quantity("2k", 2000, 2000000);
	assert_quantity("1.5G", 1500000000, 1500000000000);
	assert_quantity("3T", 3000000000000, 3000000000000000);
	assert_quantity("1Ki", 1024, 1024000);
	assert_quantity("80Gi", INT64_C(85899345920), INT64_C(85899345920000));
	assert_quantity("1.5Mi", 1572864, 1572864000);
	assert_quantity("1e3", 1000, 1000000);
	assert_quantity("1E3", 1000, 1000000);
	assert_quantity("1E", INT64_C(1000000000000000000), 0);
	assert_quantity("25e-1", 3, 2500);
	assert_quantity("+7", 7, 7000);
}

static void rounding(void **state)
{
	(void)state;
	assert_quantity("0.1", 1, 100);
	assert_quantity("0.0001", 1, 1);
	assert_quantity("1.0000000001", 2, 1001);
	assert_quantity("-1.5", -2, -1500);
	assert_quantity("-0.1m", -1, -1);
	assert_quantity("0.000000000000000000000000000001", 1, 1);
	assert_quantity("0.3Ki", 308, 307200);
	assert_quantity("000.000", 0, 0);
}

static void odd_but_taken(void **state)
{
	(void)state;
	assert_quantity(".", 0, 0);
	assert_quantity("+", 0, 0);
	assert_quantity("Ki", 0, 0);
	assert_quantity("1.", 1, 1000);
	assert_quantity(".5", 1, 500);
	assert_quantity("1.Gi", 1073741824, INT64_C(1073741824000));
	assert_quantity("1e4294967297", 10, 10000);
}

static void overflow(void **state)
{
	(void)state;
	assert_quantity("9223372036854775807", INT64_MAX, -1000);
	assert_quantity("8Ei", INT64_MAX, -1000);
	assert_quantity("100Ei", INT64_MAX, -1000);
	assert_quantity("-100Ei", -INT64_MAX, 1000);
	assert_quantity("1e30", 0, 0);
}

static void refused(void **state)
{
	static const char *const texts[] = {"", "x", "1x", "1 ", " 1", "1.2.3", "1e", "1ee3", "1Gii", "1gi", "1K",
	    "1e1.5", "--1", "1e99999999999999999999", "Ei", "1_000", "0x10"};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (quantity_parse(slice_of(texts[i]), NULL, NULL))
			fail_msg("\"%s\" is taken", texts[i]);
}

static void exact_amounts(void **state)
{
	quantity_nano a, b;

	(void)state;
	assert_true(quantity_parse_nano(slice_of("0.5m"), &a));
	assert_int_equal(quantity_nano_milli(a), 1);
	assert_int_equal(quantity_nano_milli(a + a), 1);
	assert_true(quantity_parse_nano(slice_of("1e30"), &b));
	assert_true(b == QUANTITY_NANO_MAX);
	assert_int_equal(quantity_nano_value(b), INT64_MAX);
	assert_int_equal(quantity_nano_milli(b), INT64_MAX);
	assert_true(quantity_parse_nano(slice_of("9Ei"), &b));
	assert_true(b == QUANTITY_NANO_MAX);
	assert_false(quantity_parse_nano(slice_of("-1"), &a));
	assert_true(quantity_parse_nano(slice_of("-0"), &a));
	assert_true(quantity_parse_nano(slice_of("Ki"), &a) && a == 0);
	assert_false(quantity_parse_nano(slice_of("one"), &a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(suffixes),
	    cmocka_unit_test(rounding),
	    cmocka_unit_test(odd_but_taken),
	    cmocka_unit_test(overflow),
	    cmocka_unit_test(refused),
	    cmocka_unit_test(exact_amounts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
