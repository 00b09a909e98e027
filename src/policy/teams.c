#include "policy/teams.h"

#include <string.h>

#include "policy/cover.h"
#include "policy/words.h"

#define PROBLEM(report, problem, node, ...) report_add(report, problem, place_of(node), __VA_ARGS__)

static const struct doc_team *team_at(const struct doc_list *teams, size_t i)
{
	return DOC_ITEM(doc_team, teams, i);
}

/* The place of the team above, or how many teams there are. */
static size_t above(const struct doc_list *teams, size_t i)
{
	const struct yaml_node *parent = team_at(teams, i)->parent;
	size_t at = 0;

	if (!parent)
		return teams->count;
	while (at < teams->count &&
	       !(team_at(teams, at)->name && slice_equal(team_at(teams, at)->name->text, parent->text)))
		at++;
	return at;
}

/* Of the teams of a cycle the first says so. */
static void check_above(const struct doc_list *teams, size_t i, struct policy_report *report)
{
	const struct yaml_node *parent = team_at(teams, i)->parent;
	size_t at = above(teams, i), depth = 1;
	bool first = true;

	for (; at < teams->count && at != i && depth <= teams->count; depth++) {
		first &= at > i;
		at = above(teams, at);
	}
	if (at == i && first)
		PROBLEM(report, PROBLEM_TEAM_CYCLE, parent, "teams[%zu].parent %s stands below this team", i,
		    show(parent->text).text);
	else if (at == teams->count && depth > POLICY_TEAM_DEPTH)
		PROBLEM(report, PROBLEM_TOO_MANY, parent,
		    "teams[%zu].parent %s: more than %d teams one above the other", i, show(parent->text).text,
		    POLICY_TEAM_DEPTH);
}

static const struct doc_amount *amount_of(const struct doc_list *amounts, struct slice pool)
{
	for (size_t i = 0; i < amounts->count; i++)
		if (slice_equal(DOC_ITEM(doc_amount, amounts, i)->name->text, pool))
			return DOC_ITEM(doc_amount, amounts, i);
	return NULL;
}

/* What a guarantee is above: the team's own limit, or that of one over it. */
static void check_limits(const struct doc_list *teams, size_t i, struct policy_report *report)
{
	const struct doc_list *guaranteed = &team_at(teams, i)->guaranteed;

	for (size_t g = 0; g < guaranteed->count; g++) {
		const struct doc_amount *amount = DOC_ITEM(doc_amount, guaranteed, g);
		size_t at = i, steps = 0;

		for (; at < teams->count && steps <= teams->count; at = above(teams, at), steps++) {
			const struct doc_amount *limit = amount_of(&team_at(teams, at)->limit, amount->name->text);

			if (!limit || limit->amount.value >= amount->amount.value)
				continue;
			PROBLEM(report, PROBLEM_BROKEN_GUARANTEE, amount->amount.node,
			    "teams[%zu].guaranteed[%s] %g is above the limit of %g in line %u", i,
			    amount->name->text.at, amount->amount.value, limit->amount.value,
			    limit->amount.node->mark.line);
			break;
		}
	}
}

/* What the teams below one are guaranteed in all, where it says itself what it is guaranteed. */
static void check_sums(const struct doc_list *teams, size_t i, struct policy_report *report)
{
	const struct doc_list *guaranteed = &team_at(teams, i)->guaranteed;

	for (size_t g = 0; g < guaranteed->count; g++) {
		const struct doc_amount *amount = DOC_ITEM(doc_amount, guaranteed, g);
		double sum = 0;

		for (size_t t = 0; t < teams->count; t++) {
			const struct doc_amount *below =
			    t != i && above(teams, t) == i
			        ? amount_of(&team_at(teams, t)->guaranteed, amount->name->text)
			        : NULL;

			sum += below ? below->amount.value : 0;
		}
		if (sum > amount->amount.value)
			PROBLEM(report, PROBLEM_BROKEN_GUARANTEE, amount->amount.node,
			    "teams[%zu].guaranteed[%s] %g is less than the %g that the teams below it are guaranteed",
			    i, amount->name->text.at, amount->amount.value, sum);
	}
}

/* Patterns of which teams before this one have all namespaces. */
static void check_reach(const struct doc_list *teams, size_t i, struct policy_report *report)
{
	const struct doc_list *patterns = &team_at(teams, i)->namespaces;

	for (size_t p = 0; p < patterns->count; p++) {
		const struct yaml_node *pattern = doc_text(patterns, p);
		size_t taker = cover_namespace(teams, i, pattern);

		if (pattern && taker < i)
			PROBLEM(report, PROBLEM_NO_EFFECT, pattern,
			    "teams[%zu].namespaces[%zu] %s has no effect: teams[%zu], which comes before it, has these "
			    "namespaces",
			    i, p, show(pattern->text).text, taker);
	}
}

void policy_check_teams(const struct doc *doc, struct policy_report *report)
{
	for (size_t i = 0; i < doc->teams.count; i++) {
		if (team_at(&doc->teams, i)->head.broken)
			continue;
		check_above(&doc->teams, i, report);
		check_limits(&doc->teams, i, report);
		check_sums(&doc->teams, i, report);
		check_reach(&doc->teams, i, report);
	}
}
