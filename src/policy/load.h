/* The policy file: YAML text → struct policy, or every problem it has, at once, sorted by position. Strict: unknown and
 * duplicate keys, wrong types, dangling names, unreachable classes are all reported with a code, a place, the source
 * line and, where a known word is near, a suggestion. */
#ifndef POLICY_LOAD_H
#define POLICY_LOAD_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/yaml.h"
#include "berth/gpu.h"
#include "berth/policy.h"

#define POLICY_TEXT_MAX (1u << 20)
#define POLICY_PROBLEMS_MAX 20 /* shown; the rest is counted */

struct policy_problem {
	struct yaml_mark mark;
	bool warning;
	const char *code; /* "P003" */
	char *text;
	unsigned width; /* columns under the caret, at least 1 */
};

struct policy_report {
	struct arena arena;
	size_t count, room;              /* of those kept: at most POLICY_PROBLEMS_MAX, errors before warnings */
	struct policy_problem *problems; /* sorted by position */
	size_t errors, warnings;         /* all of them, shown or not */
};

/* NULL when there is an error; warnings may come with a policy. The report is always filled and freed with
 * policy_report_free. Without a catalogue the names of GPU models are not checked. */
struct policy *policy_load(struct slice text, const struct gpu_catalogue *catalogue, struct policy_report *report);
void policy_report_free(struct policy_report *report);
/* `FILE:LINE:COL: error P003: …`, the source line, a caret; one paragraph a problem, then a line that counts. */
void policy_report_text(
    const struct policy_report *report, const char *file, struct slice text, bool color, struct buf *out);
/* {"file", "valid", "errors", "warnings", "problems": [{"line","column","severity","code","message"}]} */
void policy_report_json(const struct policy_report *report, const char *file, struct buf *out);
/* The first error on one line, for the log and /readyz: "policy.yaml:3:1: P003: …". */
void policy_report_line(const struct policy_report *report, const char *file, struct buf *out);

/* Every code that a problem can have, one a line: "P003  error    duplicate key". */
void policy_codes(struct buf *out);

/* JSON Schema (draft 2020-12) of the file, from the same table that reads it. */
void policy_schema(struct buf *out);

#endif
