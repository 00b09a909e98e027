/* What is learned of run times: which pods are of one template, what is expected of it, and how little is kept. */
#include "berth/runtimes.h"

#include "world.h"

static void expect_key(const char *owner, const char *name, const char *tail)
{
	struct pod *pod = pod_new("uid");
	char key[RUNTIMES_KEY_MAX];
	pod->owner_name = owner;
	pod->name = name;
	if (owner)
		pod->owner_kinds[pod->owner_kind_count++] = "Job";
	runtimes_key(pod, "batch", 4, key);
	assert_string_equal(key + strlen("default/batch/") + (owner ? strlen("Job") : 0), tail);
	pod_free(pod);
}

static void names_that_differ_in_numbers_are_of_one_template(void **state)
{
	(void)state;
	expect_key("nightly-28493829", "nightly-28493829-x7k2p", "/4/nightly-#");
	expect_key(NULL, "run-7", "/4/run-#");
	expect_key("web-6d4cf56db6", "x", "/4/web-#");
	expect_key("train-llama-70b", "x", "/4/train-llama-70b");
	expect_key("exp-lr0.001", "x", "/4/exp-lr0.#");
	expect_key("sweep-bcdfg-3", "x", "/4/sweep-bcdfg-#");
	expect_key("", "x", "/4/");
}

static void a_key_has_an_end(void **state)
{
	struct pod *pod = pod_new("uid");
	char key[RUNTIMES_KEY_MAX], name[4 * RUNTIMES_KEY_MAX];
	(void)state;
	memset(name, 'a', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	pod->name = name;
	runtimes_key(pod, name, 1, key);
	assert_true(strlen(key) < sizeof(key));
	pod->namespace_ = name;
	runtimes_key(pod, name, 1, key);
	assert_true(strlen(key) < sizeof(key));
	pod_free(pod);
}

static void most_of_the_latest_runs_end_within_what_is_expected(void **state)
{
	struct runtimes runtimes = {0};
	(void)state;
	runtimes_learn(&runtimes, "a", 10 * SECOND);
	runtimes_learn(&runtimes, "a", 0); /* no run */
	runtimes_learn(&runtimes, "a", 10 * SECOND);
	assert_int_equal(runtimes_expect(&runtimes, "a"), 0);
	runtimes_learn(&runtimes, "a", 10 * SECOND);
	int64_t expected = runtimes_expect(&runtimes, "a");
	assert_true(expected >= 10 * SECOND && expected <= 10 * SECOND * 9 / 8);
	runtimes_learn(&runtimes, "a", 3600 * SECOND);
	assert_true(runtimes_expect(&runtimes, "a") >= 3600 * SECOND); /* the newest of four weighs more than a fifth */
	for (int i = 0; i < 6; i++)
		runtimes_learn(&runtimes, "a", 20 * SECOND);
	expected = runtimes_expect(&runtimes, "a");
	assert_true(expected >= 20 * SECOND && expected <= 20 * SECOND * 9 / 8);
	for (int i = 0; i < RUNTIMES_RUNS; i++)
		runtimes_learn(&runtimes, "a", INT64_MAX);
	assert_true(runtimes_expect(&runtimes, "a") > INT64_MAX / 2);
	assert_int_equal(runtimes_expect(&runtimes, "b"), 0);
	runtimes_free(&runtimes);
}

static void templates_that_ended_longest_ago_are_forgotten(void **state)
{
	struct runtimes runtimes = {0};
	char key[32];
	(void)state;
	for (int run = 0; run < RUNTIMES_LEAST; run++)
		runtimes_learn(&runtimes, "first", SECOND);
	for (int i = 0; i < RUNTIMES_MAX - 1; i++) {
		snprintf(key, sizeof(key), "t%d", i);
		for (int run = 0; run < RUNTIMES_LEAST; run++)
			runtimes_learn(&runtimes, key, SECOND);
	}
	assert_true(runtimes_expect(&runtimes, "first") > 0);
	runtimes_learn(&runtimes, "first", SECOND);
	runtimes_learn(&runtimes, "more", SECOND);
	assert_true(runtimes_expect(&runtimes, "first") > 0);
	assert_int_equal(runtimes_expect(&runtimes, "t0"), 0);
	assert_true(runtimes_expect(&runtimes, "t1") > 0);
	runtimes_free(&runtimes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_that_differ_in_numbers_are_of_one_template),
	    cmocka_unit_test(a_key_has_an_end),
	    cmocka_unit_test(most_of_the_latest_runs_end_within_what_is_expected),
	    cmocka_unit_test(templates_that_ended_longest_ago_are_forgotten),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
