/* Which domains are tried for a bundle, and in which order. */
#include "core/plan_internal.h"

#include <stdlib.h>

#define SUCCESSES 8 /* plans of one level that are compared */
#define FAILURES 32 /* domains of one level that are tried in vain */

/* How promising a scope is: used ones first, if asked; then those where the least is broken; then where the least is
 * left over. */
struct candidate {
	struct plan_scope scope;
	uint32_t unused, block;
	uint64_t left;
};

static int candidate_order(const void *a, const void *b)
{
	const struct candidate *left = a, *right = b;
	if (left->unused != right->unused)
		return left->unused < right->unused ? -1 : 1;
	if (left->block != right->block)
		return left->block < right->block ? -1 : 1;
	if (left->left != right->left)
		return left->left < right->left ? -1 : 1;
	return left->scope.index < right->scope.index ? -1 : 1;
}

static uint64_t left_over(const struct plan_problem *problem, uint32_t number, const struct plan_scope *scope)
{
	uint64_t left = 0;
	if (number > 0) {
		const struct plan_bundle *bundle = &problem->bundles[number];
		for (uint32_t k = bundle->first_kind; k < bundle->first_kind + bundle->kind_count; k++)
			left += plan__sum(problem, problem->kinds[k].shape, scope);
		return left;
	}
	for (uint32_t s = 0; s < problem->shape_count; s++)
		left += plan__sum(problem, s, scope);
	return left;
}

struct candidates {
	size_t count, room;
	struct candidate *items;
};

static void collect(const struct plan_problem *problem, uint32_t bundle, int level, const struct plan_scope *within,
    struct candidates *candidates)
{
	uint32_t count = plan__scopes(problem, level);
	for (uint32_t i = 0; i < count; i++) {
		struct candidate candidate = {.scope = plan__scope(problem, level, i)};
		if (candidate.scope.first < within->first || candidate.scope.end > within->end ||
		    !plan__might(problem, bundle, &candidate.scope))
			continue;
		bool used = level == TOPOLOGY_HOST ? problem->site_used[candidate.scope.index] > 0
		                                   : problem->domain_used[candidate.scope.index] > 0;
		candidate.unused = bundle > 0 && !used;
		candidate.block = plan__block(problem, &candidate.scope);
		candidate.left = left_over(problem, bundle, &candidate.scope);
		candidates->items =
		    xgrow(candidates->items, candidates->count, &candidates->room, sizeof(*candidates->items));
		candidates->items[candidates->count++] = candidate;
	}
	if (candidates->count > 1)
		qsort(candidates->items, candidates->count, sizeof(*candidates->items), candidate_order);
}

/* One that packing made: by the rules it must hold as well. */
static bool accept(struct plan_problem *problem)
{
	size_t count = 0;
	for (size_t i = 0; i < problem->steps.count; i++)
		count += problem->steps.items[i].count;
	struct plan_steps taken = problem->steps;
	bool holds = true;
	if (problem->rule_count > 0) {
		struct plan_unit *units = xcalloc(count + 1, sizeof(*units));
		uint32_t *order = xcalloc(count + 1, sizeof(*order));
		size_t at = 0;
		for (size_t i = 0; i < taken.count; i++) {
			const struct plan_step *step = &taken.items[i];
			uint32_t shape = problem->kinds[step->kind].shape;
			for (uint32_t n = 0; n < step->count; n++)
				units[at++] = (struct plan_unit){shape, step->site};
			plan__rules_undo(problem, shape, step->site, step->count);
		}
		holds = plan__rules_order(problem, units, count, order);
		for (size_t i = 0; i < taken.count; i++)
			plan__rules_take(problem, problem->kinds[taken.items[i].kind].shape, taken.items[i].site,
			    taken.items[i].count);
		free(units);
		free(order);
	}
	if (holds)
		plan__offer(problem, &problem->steps);
	return holds;
}

/* Everything is tried while there is effort left; then the first of each level alone. */
static bool may_try(struct plan_problem *problem, const struct plan_scope *scope, uint32_t tried)
{
	size_t effort = scope->end - scope->first + problem->free_members;
	if (problem->effort < effort && tried > 0)
		return false;
	problem->effort -= problem->effort < effort ? problem->effort : effort;
	return true;
}

bool plan__try_scope(struct plan_problem *problem, const struct plan_scope *scope, uint32_t failures, bool search)
{
	bool packed = false;
	for (uint32_t way = 0; !packed && may_try(problem, scope, failures + way) && plan__aim(problem, scope, way);
	     way++) {
		packed = plan__pack(problem, 0, scope) && accept(problem);
		plan__undo(problem, 0);
	}
	if (!packed && search && plan__searchable(problem, scope)) {
		size_t before = problem->offers;
		plan__search(problem, scope, false);
		packed = problem->offers > before;
	}
	return packed;
}

bool plan__try_level(struct plan_problem *problem, int level, bool search)
{
	struct plan_scope all = plan__scope(problem, TOPOLOGY_ROOT, 0);
	struct candidates candidates = {0};
	uint32_t successes = 0, failures = 0;
	collect(problem, 0, level, &all, &candidates);
	for (size_t i = 0; i < candidates.count && successes < SUCCESSES && failures < FAILURES; i++) {
		bool packed = plan__try_scope(problem, &candidates.items[i].scope, failures, search);
		successes += packed;
		failures += !packed;
	}
	free(candidates.items);
	return successes > 0;
}

bool plan__choose(struct plan_problem *problem, uint32_t bundle, const struct plan_scope *within)
{
	const struct plan_bundle *of = &problem->bundles[bundle];
	int level = of->prefer != TOPOLOGY_ROOT ? of->prefer : of->require;
	uint32_t failures = 0;
	bool packed = false;
	for (; !packed && level != TOPOLOGY_ROOT && level >= of->require; level = plan__wider(problem, level)) {
		if (within->level == TOPOLOGY_HOST || level <= within->level)
			break;
		struct candidates candidates = {0};
		collect(problem, bundle, level, within, &candidates);
		for (size_t i = 0; i < candidates.count && !packed && failures < FAILURES; i++) {
			packed = plan__pack(problem, bundle, &candidates.items[i].scope);
			failures += !packed;
		}
		free(candidates.items);
	}
	bool inside_already = within->level == TOPOLOGY_HOST || of->require <= within->level;
	return packed || (inside_already && plan__pack(problem, bundle, within));
}
