/* Any bytes as a policy: it is either loaded or has errors, and the report is bounded and well-formed in each of its
 * forms. */
#include <stdint.h>
#include <stdlib.h>

#include "base/reader.h"
#include "policy/load.h"

#define REPORT_MAX ((size_t)256 << 10)

#define REQUIRE(condition)                                                                                             \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			abort();                                                                                       \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_json(const struct policy_report *report)
{
	struct buf out;
	struct reader json;

	buf_init(&out, REPORT_MAX);
	policy_report_json(report, "policy.yaml", &out);
	REQUIRE(!out.overflow);
	reader_open(&json, buf_slice(&out));
	reader_skip(&json);
	REQUIRE(reader_close(&json));
	buf_free(&out);
}

static void check_text(const struct policy_report *report, struct slice text)
{
	struct buf out;

	buf_init(&out, REPORT_MAX);
	policy_report_text(report, "policy.yaml", text, false, &out);
	REQUIRE(!out.overflow);
	REQUIRE((out.len > 0) == (report->errors + report->warnings > 0));
	/* Nothing in a file becomes a command to the terminal. */
	for (size_t i = 0; i < out.len; i++)
		REQUIRE((unsigned char)out.data[i] >= ' ' || out.data[i] == '\n' || out.data[i] == '\t');
	buf_clear(&out);
	policy_report_line(report, "policy.yaml", &out);
	REQUIRE((out.len > 0) == (report->errors > 0));
	buf_free(&out);
}

static void check_policy(const struct policy *policy)
{
	REQUIRE(policy->fallback < policy->class_count);
	REQUIRE(!policy->classes[policy->fallback].has_only && policy->classes[policy->fallback].max_gpus_per_pod == 0);
	for (size_t i = 0; i < policy->class_count; i++) {
		const struct policy_class *class = &policy->classes[i];

		for (size_t j = 0; j < class->only_count; j++)
			REQUIRE(class->only[j] < policy->pool_count);
		for (size_t j = 0; j < class->prefer_count; j++)
			REQUIRE(class->prefer[j] < policy->pool_count);
		REQUIRE(class->spread_level >= -1 && class->spread_level <= (int)policy->level_count);
		for (size_t j = 0; j < SCORE_TERM_COUNT; j++)
			REQUIRE(class->weights[j] >= 0 && class->weights[j] <= 1e6);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct gpu_model models[] = {{.name = "H100"}, {.name = "A100"}, {.name = "L4"}, {.name = "T4"}};
	static const struct gpu_catalogue catalogue = {.model_count = 4, .models = models};
	struct slice text = {(const char *)data, size};
	struct policy_report report;
	struct policy *policy = policy_load(text, &catalogue, &report);

	REQUIRE((policy != NULL) == (report.errors == 0));
	REQUIRE(report.count <= POLICY_PROBLEMS_MAX && report.count <= report.errors + report.warnings);
	for (size_t i = 0; i < report.count; i++) {
		REQUIRE(report.problems[i].mark.line > 0 && report.problems[i].mark.column > 0 &&
		        report.problems[i].width > 0);
		REQUIRE(i == 0 || report.problems[i - 1].mark.line <= report.problems[i].mark.line);
	}
	check_json(&report);
	check_text(&report, text);
	if (policy)
		check_policy(policy);
	policy_free(policy);
	policy_report_free(&report);
	return 0;
}
