/* Answers of instant queries, those of Prometheus 2.42 among them, as one number. */
#include "scheduler/signal/sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define VECTOR(samples) "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[" samples "]}}"
#define SAMPLE(value) "{\"metric\":{\"a\":\"b\"},\"value\":[1435781430.781,\"" value "\"]}"

static void test_values(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		size_t count, unread;
		double value;
	} cases[] = {
	    {VECTOR(SAMPLE("1")), 1, 0, 1},
	    {VECTOR(SAMPLE("1.5") "," SAMPLE("-4") "," SAMPLE("1e2")), 3, 0, 97.5},
	    {VECTOR(""), 0, 0, 0},
	    {VECTOR(SAMPLE("NaN") "," SAMPLE("+Inf") "," SAMPLE("-Inf") "," SAMPLE("3")), 1, 3, 3},
	    {VECTOR(SAMPLE("0x10") "," SAMPLE("") "," SAMPLE(" 1") "," SAMPLE("1 ") "," SAMPLE("1e999")), 0, 5, 0},
	    {VECTOR("{\"metric\":{},\"histogram\":[1435781430.781,{\"count\":\"2\",\"sum\":\"3\"}]}," SAMPLE("2")), 1,
	        1, 2},
	    {VECTOR("{\"metric\":{}},7,{\"value\":7},{\"value\":[]},{\"value\":[1,2]},{\"value\":[\"1\",\"2\"]}"), 0, 6,
	        0},
	    {VECTOR("{\"value\":[1,\"2\"],\"value\":[1,\"3\"]}"), 1, 0, 2},
	    {"{\"data\":{\"result\":[1700000000,\"7\"],\"resultType\":\"scalar\"},\"status\":\"success\"}", 1, 0, 7},
	    {"{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\",\"result\":[1,\"NaN\"]}}", 0, 1, 0},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct signal_sample sample;
		struct err err;
		assert_int_equal(signal_sample_read(slice_of(cases[i].text), &sample, &err), 0);
		assert_int_equal(sample.count, cases[i].count);
		assert_int_equal(sample.unread, cases[i].unread);
		assert_float_equal(sample.value, cases[i].value, 1e-9);
		assert_false(sample.warned);
	}
}

static void test_times_and_warnings(void **state)
{
	(void)state;
	struct signal_sample sample;
	struct err err;
	static const char text[] = "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[{\"value\":"
	                           "[20.6,\"1\"]},{\"value\":["
	                           "10.25,\"1\"]},{\"value\":[5,\"NaN\"]}]},\"warnings\":[\"partial\"]}";
	assert_int_equal(signal_sample_read(slice_of(text), &sample, &err), 0);
	assert_float_equal(sample.at_s, 10.25, 1e-9);
	assert_true(sample.warned);
}

static void test_what_is_no_answer(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
	    {"", "the answer is no JSON: "},
	    {"<html>", "the answer is no JSON: "},
	    {"[]", "the answer is no JSON: "},
	    {"{}", "the answer is none of an instant query"},
	    {"{\"status\":\"success\"}", "the answer is none of an instant query"},
	    {"{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"invalid \\\"x\\\"\"}",
	        "Prometheus says: invalid \"x\""},
	    {"{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[]}}",
	        "the query gives a matrix: an instant vector or a scalar is due"},
	    {"{\"status\":\"success\",\"data\":{\"resultType\":\"string\",\"result\":[1,\"a\"]}}",
	        "the query gives a string: an instant vector or a scalar is due"},
	    {"{\"status\":\"success\",\"data\":{\"result\":[1,\"a\"]}}", "the query gives a : "},
	    {VECTOR(SAMPLE("1e308") "," SAMPLE("1e308")), "the samples' sum is too large"},
	    {VECTOR("}"), "the answer is no JSON: "},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct signal_sample sample;
		struct err err;
		assert_int_equal(signal_sample_read(slice_of(cases[i][0]), &sample, &err), ERR_INPUT);
		if (strncmp(err.text, cases[i][1], strlen(cases[i][1])) != 0)
			fail_msg("case %zu: %s", i, err.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_values),
	    cmocka_unit_test(test_times_and_warnings),
	    cmocka_unit_test(test_what_is_no_answer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
