#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

static void test_set_and_wrap(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(err_set(&err, ERR_MISSING, "no field %s", "spec"), ERR_MISSING);
	assert_int_equal(err_wrap(&err, "pod %s/%s", "ml", "train-0"), ERR_MISSING);
	assert_int_equal(err_wrap(&err, "cannot read %s", "pods.json"), ERR_MISSING);
	assert_int_equal(err.code, ERR_MISSING);
	assert_string_equal(err.text, "cannot read pods.json: pod ml/train-0: no field spec");
}

static void test_arguments_may_be_the_text_itself(void **state)
{
	struct err err;

	(void)state;
	err_set(&err, ERR_INPUT, "inner");
	err_set(&err, ERR_REFUSED, "outer (%s)", err.text);
	assert_string_equal(err.text, "outer (inner)");
	err_wrap(&err, "%s", err.text);
	assert_string_equal(err.text, "outer (inner): outer (inner)");
}

static void test_long_texts_are_cut(void **state)
{
	struct err err;

	(void)state;
	err_set(&err, ERR_INPUT, "%0*d", 5000, 7);
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
	assert_int_equal(err_wrap(&err, "context"), ERR_INPUT);
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
	assert_memory_equal(err.text, "context: 000", 12);
	err_set(&err, ERR_INPUT, "fine");
	err_wrap(&err, "%0*d", 5000, 7);
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
}

/* These texts go into JSON; a cut never leaves a piece of a character. */
static void test_cut_between_characters(void **state)
{
	struct err err;

	(void)state;
	for (int fill = 1010; fill < ERR_TEXT_MAX; fill++) {
		size_t len;

		err_set(&err, ERR_INPUT, "%0*d%s", fill, 7,
		    "\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80");
		len = strlen(err.text);
		assert_int_equal((len - (size_t)fill) % 4, 0);
		assert_true(len > ERR_TEXT_MAX - 1 - 4);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_set_and_wrap),
	    cmocka_unit_test(test_arguments_may_be_the_text_itself),
	    cmocka_unit_test(test_long_texts_are_cut),
	    cmocka_unit_test(test_cut_between_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
