/* The policies in config/ are valid without a warning. */
#include "support.h"

#include "base/embedded.h"

static void check_shipped(struct slice text, const char *name)
{
	struct policy_report report;
	struct policy *policy = policy_load(text, test_catalogue(), &report);
	struct buf out;

	buf_init(&out, 1u << 20);
	policy_report_text(&report, name, text, false, &out);
	if (report.count || !policy)
		fail_msg("%s", out.data);
	buf_free(&out);
	policy_report_free(&report);
	policy_free(policy);
}

static void test_embedded_policy(void **state)
{
	struct slice text = embedded_text("policy.yaml");

	(void)state;
	assert_non_null(text.at);
	check_shipped(text, "policy.yaml");
}

static void test_variants(void **state)
{
	static const char *const files[] = {"config/policies/minimal.yaml", "config/policies/training-only.yaml",
	    "config/policies/inference-first.yaml"};

	(void)state;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		struct buf text;

		read_source(files[i], &text);
		check_shipped(buf_slice(&text), files[i]);
		buf_free(&text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_embedded_policy),
	    cmocka_unit_test(test_variants),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
