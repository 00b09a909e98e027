#include "policy/effect.h"

#include <stdio.h>
#include <string.h>

#include "policy/cover.h"
#include "policy/kinds.h"
#include "policy/preset.h"
#include "policy/table.h"
#include "policy/words.h"

#define PROBLEM(report, problem, node, ...) report_add(report, problem, place_of(node), __VA_ARGS__)

static void check_overlap(const struct doc_list *pools, size_t i, struct policy_report *report)
{
	const struct doc_pool *pool = DOC_ITEM(doc_pool, pools, i);

	for (size_t j = 0; j < i; j++) {
		const struct doc_pool *other = DOC_ITEM(doc_pool, pools, j);

		if (!cover_pool(other, pool) && !cover_pool(pool, other))
			continue;
		PROBLEM(report, PROBLEM_OVERLAPPING_POOLS, pool->head.node,
		    "pools[%zu] %s overlaps with pools[%zu] %s: every node of one is in the other, too, so it is in "
		    "neither",
		    i, show(pool->name->text).text, j, show(other->name->text).text);
		return;
	}
}

static void check_owner(const struct yaml_node *owner, const char *path, struct policy_report *report)
{
	const char *meant = kind_meant(owner->text);

	if (meant)
		PROBLEM(report, PROBLEM_KIND_SPELLING, owner, "%s %s is not a known kind. Did you mean \"%s\"?", path,
		    show(owner->text).text, meant);
}

static void check_owners(const struct doc_class *class, size_t i, struct policy_report *report)
{
	char path[96];

	for (size_t j = 0; j < class->match.count; j++) {
		const struct doc_list *owners = &DOC_ITEM(doc_match, &class->match, j)->owners;

		for (size_t k = 0; k < owners->count; k++) {
			if (!doc_text(owners, k))
				continue;
			snprintf(path, sizeof path, "classes[%zu].match[%zu].owners[%zu]", i, j, k);
			check_owner(doc_text(owners, k), path, report);
		}
	}
}

/* The class before `i` that takes all that this alternative takes, or `i`. */
static size_t taken_by(const struct doc_list *classes, size_t i, const struct doc_match *match)
{
	for (size_t j = 0; j < i; j++) {
		const struct doc_list *matches = &DOC_ITEM(doc_class, classes, j)->match;

		for (size_t k = 0; k < matches->count; k++)
			if (cover_match(DOC_ITEM(doc_match, matches, k), match))
				return j;
	}
	return i;
}

static void check_reach(const struct doc_list *classes, size_t i, struct policy_report *report)
{
	const struct doc_class *class = DOC_ITEM(doc_class, classes, i), *other;
	size_t last = i;

	for (size_t k = 0; k < class->match.count; k++) {
		last = taken_by(classes, i, DOC_ITEM(doc_match, &class->match, k));
		if (last == i)
			return;
	}
	if (last == i || !class->name)
		return;
	other = DOC_ITEM(doc_class, classes, last);
	PROBLEM(report, PROBLEM_UNREACHABLE_CLASS, class->name,
	    "classes[%zu] %s is never reached by its match: classes[%zu]%s%s, which comes before it, takes its pods", i,
	    show(class->name->text).text, last, other->name ? " " : "",
	    other->name ? show(other->name->text).text : "");
}

static bool has_text(const struct doc_list *list, struct slice text)
{
	size_t i = 0;

	while (i < list->count && !slice_equal(doc_text(list, i)->text, text))
		i++;
	return i < list->count;
}

static bool is_pool(const struct doc_list *pools, struct slice name)
{
	for (size_t i = 0; i < pools->count; i++) {
		const struct doc_pool *pool = DOC_ITEM(doc_pool, pools, i);

		if (pool->name && slice_equal(pool->name->text, name))
			return true;
	}
	return false;
}

/* The place of a level among the levels, the host last; SIZE_MAX for none of them. */
static size_t depth_of(const struct doc *doc, const struct yaml_node *name)
{
	struct levels levels;
	size_t i = 0;

	levels_collect(&doc->topology, &levels);
	while (i < levels.count && !slice_equal(levels.items[i].name, name->text))
		i++;
	return i < levels.count || slice_is(name->text, LEVEL_HOST) ? i : SIZE_MAX;
}

static void check_gang(const struct doc *doc, const struct doc_gang *gang, size_t i, struct policy_report *report)
{
	size_t require, prefer;

	if (!gang->require || !gang->prefer)
		return;
	require = depth_of(doc, gang->require);
	prefer = depth_of(doc, gang->prefer);
	if (require != SIZE_MAX && prefer <= require)
		PROBLEM(report, PROBLEM_NO_EFFECT, gang->prefer,
		    "classes[%zu].gang.prefer %s has no effect: it is not below %s, which is required", i,
		    show(gang->prefer->text).text, show(gang->require->text).text);
}

/* Words of a gated class that CEL cannot weigh when a pod is created. */
static void check_seen(const struct doc_class *class, size_t i, struct policy_report *report)
{
	for (size_t j = 0; j < class->match.count; j++) {
		const struct doc_match *match = DOC_ITEM(doc_match, &class->match, j);

		if (match->gang_gpus.min.node)
			PROBLEM(report, PROBLEM_UNSEEN_MATCH, match->gang_gpus.head.node,
			    "classes[%zu].match[%zu].gangGPUs is not known when a pod is created: pods of smaller "
			    "gangs "
			    "are gated, too, until berth has seen them",
			    i, j);
		for (size_t k = 0; k < match->owners.count; k++) {
			const struct yaml_node *owner = doc_text(&match->owners, k);
			const char *between = owner ? kind_between(owner->text) : NULL;

			if (between)
				PROBLEM(report, PROBLEM_UNSEEN_MATCH, owner,
				    "classes[%zu].match[%zu].owners[%zu] %s does not control its pods itself, a %s "
				    "does: they are not gated for its sake",
				    i, j, k, show(owner->text).text, between);
		}
	}
}

static void check_gate(const struct doc *doc, struct policy_report *report)
{
	for (size_t i = 0; i < doc->classes.count; i++) {
		const struct doc_class *class = DOC_ITEM(doc_class, &doc->classes, i);

		for (size_t j = 0; class->name && j < doc->gate.classes.count; j++) {
			const struct yaml_node *gated = doc_text(&doc->gate.classes, j);

			if (gated && slice_equal(gated->text, class->name->text))
				check_seen(class, i, report);
		}
	}
}

static void check_moves(const struct doc *doc, struct policy_report *report)
{
	if (!doc->moves.head.node)
		return;
	for (size_t i = 0; i < doc->classes.count; i++) {
		const struct doc_class *class = DOC_ITEM(doc_class, &doc->classes, i);

		if (class->may_preempt.node || class->head.broken)
			return;
	}
	PROBLEM(report, PROBLEM_NO_EFFECT, doc->moves.head.node,
	    "moves has no effect: no class has \"mayPreempt\", so nobody may take room from anybody");
}

static void check_class(const struct doc *doc, const struct doc_class *class, size_t i, struct policy_report *report)
{
	const struct doc_number *apart = &class->place.terms[SCORE_SIBLINGS_APART];
	const struct doc_number *fit = &class->place.terms[SCORE_MODEL_FIT];

	/* An absent key may be one that could not be read. */
	if (class->head.broken)
		return;
	for (size_t j = 0; j < class->prefer.count; j++) {
		const struct yaml_node *pool = doc_text(&class->prefer, j);

		if (class->only.node && is_pool(&doc->pools, pool->text) && !has_text(&class->only, pool->text))
			PROBLEM(report, PROBLEM_NO_EFFECT, pool,
			    "classes[%zu].prefer[%zu] %s has no effect: it is not in \"only\"", i, j,
			    show(pool->text).text);
	}
	check_gang(doc, &class->gang, i, report);
	if (apart->node && apart->value > 0 && !class->replicas.head.node)
		PROBLEM(report, PROBLEM_NO_EFFECT, apart->node,
		    "classes[%zu].place.siblingsApart has no effect without replicas.spreadOver", i);
	if (fit->node && fit->value > 0 && !class->prefer.node)
		PROBLEM(report, PROBLEM_NO_EFFECT, fit->node,
		    "classes[%zu].place.modelFit has no effect without prefer", i);
}

void policy_check_effect(const struct doc *doc, struct policy_report *report)
{
	for (size_t i = 0; i < doc->pools.count; i++)
		check_overlap(&doc->pools, i, report);
	for (size_t i = 0; i < doc->classes.count; i++) {
		const struct doc_class *class = DOC_ITEM(doc_class, &doc->classes, i);

		check_owners(class, i, report);
		check_reach(&doc->classes, i, report);
		check_class(doc, class, i, report);
	}
	check_gate(doc, report);
	check_moves(doc, report);
}
