/* Any bytes as a policy: it is either loaded or has errors, and the report is bounded and well-formed in each of its
 * forms. Also as one plain scalar: what is a number and an integer, jansson says too. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include <jansson.h>

#include "base/reader.h"
#include "policy/load.h"
#include "policy/scalar.h"

#define REPORT_MAX ((size_t)256 << 10)
#define SCALAR_MAX 32

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

/* Short enough that no number is cut, and without what JSON allows around a value. */
static void check_scalar(struct slice text)
{
	char *copy = xstrndup(text.at, text.len);
	struct yaml_node plain = {.type = YAML_SCALAR, .text = {copy, text.len}}, quoted = plain;
	double value = 0;

	quoted.quoted = true;
	if (text.len > 0 && text.len <= SCALAR_MAX && strcspn(copy, " \t\r\n") == text.len) {
		json_t *theirs = json_loadb(copy, text.len, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, NULL);
		bool ours = scalar_number(&plain, &value);

		REQUIRE(ours == json_is_real(theirs));
		REQUIRE(!ours || (value == json_real_value(theirs) && scalar_type(&plain) == SCALAR_NUMBER));
		REQUIRE(!scalar_is_integer(&plain) || (ours && value == trunc(value)));
		json_decref(theirs);
		theirs = json_loadb(copy, text.len, JSON_DECODE_ANY, NULL);
		REQUIRE(!json_is_integer(theirs) || scalar_is_integer(&plain));
		REQUIRE(!json_is_boolean(theirs) || scalar_type(&plain) == SCALAR_BOOLEAN);
		REQUIRE(!json_is_null(theirs) || scalar_type(&plain) == SCALAR_NULL);
		json_decref(theirs);
		REQUIRE(scalar_type(&quoted) == SCALAR_STRING && !scalar_number(&quoted, &value) &&
		        !scalar_is_integer(&quoted));
	}
	free(copy);
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
	check_scalar(text);
	if (policy)
		check_policy(policy);
	policy_free(policy);
	policy_report_free(&report);
	return 0;
}
