/* What the API server makes of the text is seen end to end; here, what is written for which class. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/gate.h"
#include "cluster/owners.h"
#include "policy/kinds.h"
#include "policy/load.h"

#define HEAD "apiVersion: berth.dev/v1alpha1\nkind: PlacementPolicy\n"

static const struct gate_options plain = {.scheduler = "berth"};

static struct policy *load(const char *text)
{
	struct policy_report report;
	struct policy *policy = policy_load(slice_of(text), NULL, &report);
	assert_non_null(policy);
	policy_report_free(&report);
	return policy;
}

static struct buf written(const char *text, const struct gate_options *options)
{
	struct policy *policy = load(text);
	struct buf out;
	struct err err;
	buf_init(&out, 1u << 20);
	assert_int_equal(gate_write(policy, options, &out, &err), 0);
	policy_free(policy);
	return out;
}

static void has(const struct buf *out, const char *part)
{
	if (!strstr(out->data, part))
		fail_msg("no %s in\n%s", part, out->data);
}

static void unknown_sizes_count_for_gated_classes_only(void **state)
{
	(void)state;
	struct buf out =
	    written(HEAD "classes:\n"
	                 "- {name: huge, match: [{namespaces: [a], gangGPUs: {min: 64}}, {owners: [Job]}]}\n"
	                 "- {name: large, match: [{gangGPUs: {min: 16}}]}\n"
	                 "- {name: gang, match: [{namespaces: [b], gangGPUs: {min: 8}}]}\n"
	                 "- {name: any, match: [{}]}\n"
	                 "fallback: any\ngate: {classes: [gang]}\n",
	        &plain);
	has(&out, "meets_0\n    expression: >-\n      (variables.kinds.exists(k, k in ['Job']))\n");
	has(&out, "meets_1\n    expression: >-\n      false\n");
	has(&out, "meets_2\n    expression: >-\n      (request.namespace.matches('^(b)$'))\n");
	has(&out, "meets_3\n    expression: >-\n      (true)\n");
	has(&out, "'variables.meets_3 ? false : false'");
	has(&out, "'variables.meets_2 ? true : variables.from_3'");
	buf_free(&out);
}

static void the_fallback_and_classes_without_match_may_be_gated(void **state)
{
	(void)state;
	struct buf out =
	    written(HEAD "classes: [{name: a}, {name: b}, {name: c, match: [{owners: [Job]}]}]\nfallback: a\n"
	                 "gate: {classes: [a, b, c]}\n",
	        &plain);
	has(&out, "'variables.meets_2 ? true : true'");
	has(&out, ": variables.named == 'a'\n      || variables.named == 'b'\n"
	          "      || variables.named == 'c' && variables.meets_2\n");
	buf_free(&out);
	out = written(HEAD "classes: [{name: a}, {name: b}]\nfallback: a\ngate: {classes: [a]}\n", &plain);
	has(&out, "variables.named == '' ? true\n      : variables.named == 'a'\n");
	buf_free(&out);
}

static void namespaces_are_selected_by_label(void **state)
{
	(void)state;
	struct gate_options options = {"gpu.batch", "a, !b,c=d, x.io/e==f,g!=h, i="};
	const char *text = HEAD "classes: [{name: a}]\nfallback: a\ngate: {classes: [a]}\n";
	struct buf out = written(text, &options);
	has(&out, "object.spec.schedulerName == 'gpu.batch'");
	has(&out, "      matchExpressions:\n"
	          "      - {key: \"a\", operator: Exists}\n"
	          "      - {key: \"b\", operator: DoesNotExist}\n"
	          "      - {key: \"c\", operator: In, values: [\"d\"]}\n"
	          "      - {key: \"x.io/e\", operator: In, values: [\"f\"]}\n"
	          "      - {key: \"g\", operator: NotIn, values: [\"h\"]}\n"
	          "      - {key: \"i\", operator: In, values: [\"\"]}\n");
	buf_free(&out);
	out = written(text, &plain);
	assert_null(strstr(out.data, "matchResources"));
	buf_free(&out);
}

static void what_cannot_be_written_is_refused(void **state)
{
	(void)state;
	static const struct gate_options wrong[] = {{"", NULL}, {"a'b", NULL}, {"a b", NULL}, {"berth", ""},
	    {"berth", "a,"}, {"berth", "a in (b)"}, {"berth", "=a"}, {"berth", "!"}, {"berth", "a=\"b"},
	    {"berth", "!a=b"}};
	struct policy *policy = load(HEAD "classes: [{name: a}]\nfallback: a\ngate: {classes: [a]}\n");
	struct policy *without = load(HEAD "classes: [{name: a}]\nfallback: a\n");
	struct buf out;
	struct err err;
	buf_init(&out, 1u << 20);
	assert_int_not_equal(gate_write(without, &plain, &out, &err), 0);
	assert_non_null(strstr(err.text, "gates no class"));
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		if (gate_write(policy, &wrong[i], &out, &err) == 0)
			fail_msg("%s, %s", wrong[i].scheduler, wrong[i].namespace_selector);
	buf_free(&out);
	policy_free(policy);
	policy_free(without);
}

/* The policy warns of kinds that pods do not tell of; those that labels tell of are no such kinds. */
static void kinds_that_labels_tell_of_are_seen(void **state)
{
	(void)state;
	size_t count;
	const struct owner_label *known = owners_labels(&count);
	for (size_t i = 0; i < count; i++)
		if (kind_between(slice_of(known[i].kind)))
			fail_msg("%s is seen by its label", known[i].kind);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(unknown_sizes_count_for_gated_classes_only),
	    cmocka_unit_test(the_fallback_and_classes_without_match_may_be_gated),
	    cmocka_unit_test(namespaces_are_selected_by_label),
	    cmocka_unit_test(what_cannot_be_written_is_refused),
	    cmocka_unit_test(kinds_that_labels_tell_of_are_seen),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
