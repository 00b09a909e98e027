/* What the tests of the policy share: a small catalogue, and loading a text. */
#ifndef TEST_POLICY_SUPPORT_H
#define TEST_POLICY_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/file.h"
#include "policy/load.h"

#define HEAD "apiVersion: berth.dev/v1alpha1\nkind: PlacementPolicy\n"
#define TAIL "classes: [{name: c, match: [{}]}]\nfallback: c\n"

static inline const struct gpu_catalogue *test_catalogue(void)
{
	static const char *products[] = {"NVIDIA-A100-SXM4-80GB"};
	static struct gpu_profile profiles[] = {
	    {.name = "1g.10gb", .slices = 1, .start_count = 7, .starts = {0, 1, 2, 3, 4, 5, 6}, .max = 7},
	    {.name = "1g.10gb+me", .slices = 1, .start_count = 7, .starts = {0, 1, 2, 3, 4, 5, 6}, .max = 1},
	    {.name = "3g.40gb", .slices = 4, .start_count = 2, .starts = {0, 4}, .max = 2}};
	static struct gpu_model models[] = {{.name = "H100", .profile_count = 3, .profiles = profiles},
	    {.name = "H200", .profile_count = 3, .profiles = profiles},
	    {.name = "A100", .product_count = 1, .products = products}, {.name = "L4"}, {.name = "L40S"},
	    {.name = "T4"}};
	static const struct gpu_catalogue catalogue = {.model_count = sizeof models / sizeof *models, .models = models};

	return &catalogue;
}

/* A text that must be valid, warnings or not. */
static inline struct policy *load_valid(const char *text)
{
	struct policy_report report;
	struct policy *policy = policy_load(slice_of(text), test_catalogue(), &report);

	for (size_t i = 0; i < report.count && !policy; i++)
		print_error("%u:%u: %s %s\n", report.problems[i].mark.line, report.problems[i].mark.column,
		    report.problems[i].code, report.problems[i].text);
	assert_non_null(policy);
	policy_report_free(&report);
	return policy;
}

/* A file of the source tree. */
static inline void read_source(const char *path, struct buf *out)
{
	const char *source = getenv("BERTH_SOURCE");
	struct err err = {0};
	char full[4096];

	assert_non_null(source);
	snprintf(full, sizeof full, "%s/%s", source, path);
	buf_init(out, 1u << 20);
	if (file_read(full, out, &err))
		fail_msg("%s", err.text);
}

#endif
