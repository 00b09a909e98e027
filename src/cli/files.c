#include "cli/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/embedded.h"
#include "base/file.h"
#include "policy/load.h"

#define REPORT_MAX ((size_t)1 << 20)
#define CATALOGUE_MAX ((size_t)4 << 20)

struct catalogue *files_catalogue(const char *subcommand, const char *path)
{
	struct catalogue *catalogue = NULL;
	struct buf extra;
	struct err err;

	buf_init(&extra, CATALOGUE_MAX);
	if (!path || file_read(path, &extra, &err) == 0)
		catalogue = catalogue_load(embedded_text("gpus.yaml"), buf_slice(&extra), path, &err);
	if (!catalogue)
		fprintf(stderr, "berth %s: %s\n", subcommand, err.text);
	buf_free(&extra);
	return catalogue;
}

bool files_colored(void)
{
	const char *no_color = getenv("NO_COLOR");

	return (!no_color || !*no_color) && isatty(STDERR_FILENO);
}

static struct policy *load(struct slice text, const char *name, const struct gpu_catalogue *catalogue)
{
	struct policy_report report;
	struct policy *policy = policy_load(text, catalogue, &report);
	struct buf out;

	buf_init(&out, REPORT_MAX);
	if (!policy) {
		policy_report_text(&report, name, text, files_colored(), &out);
		fprintf(stderr, "%.*s", (int)out.len, out.data ? out.data : "");
	}
	buf_free(&out);
	policy_report_free(&report);
	return policy;
}

struct policy *files_policy(const char *subcommand, const char *path, const struct gpu_catalogue *catalogue)
{
	struct policy *policy = NULL;
	struct buf text;
	struct err err;

	if (!path)
		return load(embedded_text("policy.yaml"), "the built-in policy", catalogue);
	buf_init(&text, POLICY_TEXT_MAX);
	if (file_read(path, &text, &err))
		fprintf(stderr, "berth %s: %s\n", subcommand, err.text);
	else
		policy = load(buf_slice(&text), path, catalogue);
	buf_free(&text);
	return policy;
}
