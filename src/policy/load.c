#include "policy/load.h"

#include <inttypes.h>
#include <stdio.h>

#include "policy/check.h"
#include "policy/compile.h"
#include "policy/cycle.h"
#include "policy/effect.h"
#include "policy/mig.h"
#include "policy/read.h"
#include "policy/signals.h"
#include "policy/teams.h"

#define FNV_OFFSET UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)

/* FNV-1a: the hash is written into annotations, so it must be the same in every version. */
static uint64_t hash_text(struct slice text)
{
	uint64_t hash = FNV_OFFSET;

	for (size_t i = 0; i < text.len; i++)
		hash = (hash ^ (unsigned char)text.at[i]) * FNV_PRIME;
	return hash;
}

static const struct yaml_node *parse(struct slice text, struct arena *tree, struct policy_report *report)
{
	struct place place = {{1, 1}, 1};
	struct yaml_node *root = NULL;
	struct err err;

	if (text.len > POLICY_TEXT_MAX)
		report_add(report, PROBLEM_SYNTAX, place, "the policy is larger than %u bytes", POLICY_TEXT_MAX);
	else if (yaml_parse(tree, text, &root, &place.mark, &err))
		report_add(report, PROBLEM_SYNTAX, place, "%s", err.text);
	else if (!root)
		report_add(report, PROBLEM_SYNTAX, place, "the policy is empty");
	return report->errors ? NULL : root;
}

struct policy *policy_load(struct slice text, const struct gpu_catalogue *catalogue, struct policy_report *report)
{
	const struct yaml_node *root;
	struct policy *policy = NULL;
	struct arena tree;
	struct doc doc;

	report_init(report);
	arena_init(&tree, text.len < POLICY_TEXT_MAX ? text.len * 2 : 0);
	root = parse(text, &tree, report);
	if (root) {
		policy_read(root, &tree, &doc, report);
		policy_check(&doc, catalogue, report);
		policy_check_cycles(&doc, report);
		policy_check_teams(&doc, report);
		policy_check_signals(&doc, report);
		policy_check_mig(&doc, catalogue, report);
		policy_check_effect(&doc, report);
		if (report->errors == 0)
			policy = policy_compile(&doc);
	}
	if (policy)
		snprintf(policy->hash, sizeof policy->hash, "%016" PRIx64, hash_text(text));
	report_sort(report);
	arena_free(&tree);
	return policy;
}
