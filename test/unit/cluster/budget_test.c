#include "cluster/budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void put(struct budgets *budgets, const char *name, const char *spec, const char *status)
{
	char json[512];
	struct err err;
	snprintf(json, sizeof json,
	    "{\"metadata\":{\"namespace\":\"n\",\"name\":\"%s\",\"generation\":2},\"spec\":%s,\"status\":%s}", name,
	    spec, status);
	assert_int_equal(budgets_put(budgets, slice_of(json), &err), 0);
}

static void test_what_is_allowed(void **state)
{
	(void)state;
	struct budgets *budgets = budgets_new();
	static const int64_t due[] = {3, 0, 0, 0};
	size_t count;
	put(budgets, "a", "{}", "{\"disruptionsAllowed\":3,\"observedGeneration\":2}");
	put(budgets, "b", "{}", "{\"disruptionsAllowed\":3,\"observedGeneration\":1}"); /* counted before it changed */
	put(budgets, "c", "{}", "{}");
	put(budgets, "d", "{}", "{\"disruptionsAllowed\":-1,\"observedGeneration\":2}");
	const struct budget **all = budgets_all(budgets, &count);
	assert_int_equal(count, 4);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(all[i]->allowed, due[i]);
	free(all);
	budgets_free(budgets);
}

static void test_whose_they_are(void **state)
{
	(void)state;
	struct budgets *budgets = budgets_new();
	struct label items[] = {{"app", "web"}};
	struct labels labels = {1, items};
	static const struct {
		const char *spec;
		bool web;
	} cases[] = {
	    {"{}", false},
	    {"{\"selector\":null}", false},
	    {"{\"selector\":{}}", true},
	    {"{\"selector\":{\"matchLabels\":{\"app\":\"web\"}}}", true},
	    {"{\"selector\":{\"matchLabels\":{\"app\":\"db\"}}}", false},
	    {"{\"selector\":{\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"Exists\"}]}}", true},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		size_t count;
		put(budgets, "a", cases[i].spec, "{}");
		const struct budget **all = budgets_all(budgets, &count);
		assert_int_equal(count, 1);
		if (budget_is_for(all[0], "n", &labels) != cases[i].web)
			fail_msg("case %zu", i);
		assert_false(budget_is_for(all[0], "other", &labels));
		free(all);
	}
	budgets_free(budgets);
}

static void test_lists_and_deletions(void **state)
{
	(void)state;
	struct budgets *budgets = budgets_new();
	struct err err;
	budgets_begin(budgets);
	put(budgets, "a", "{}", "{}");
	put(budgets, "b", "{}", "{}");
	budgets_synced(budgets);
	assert_int_equal(budgets_count(budgets), 2);
	budgets_begin(budgets);
	put(budgets, "b", "{}", "{}");
	budgets_synced(budgets);
	assert_int_equal(budgets_count(budgets), 1);
	assert_int_equal(
	    budgets_remove(budgets, slice_of("{\"metadata\":{\"namespace\":\"n\",\"name\":\"b\"}}"), &err), 0);
	assert_int_equal(budgets_count(budgets), 0);
	assert_int_equal(budgets_put(budgets, slice_of("{\"metadata\":{\"name\":\"b\"}}"), &err), ERR_INPUT);
	assert_int_equal(budgets_put(budgets, slice_of("["), &err), ERR_INPUT);
	budgets_free(budgets);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_is_allowed),
	    cmocka_unit_test(test_whose_they_are),
	    cmocka_unit_test(test_lists_and_deletions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
