/* Why there is no plan: how many members the best domain of each level takes with rules and sub-groups left aside, and
 * which member is left standing there for want of what. */
#include "core/plan_internal.h"

#include <stdlib.h>

/* What the sums promise. */
static uint64_t promise(const struct plan_problem *problem, const struct plan_scope *scope)
{
	uint64_t sum = 0;
	for (uint32_t s = 0; s < problem->shape_count; s++) {
		uint32_t left = plan__sum(problem, s, scope);
		sum += left < problem->wanted[s] ? left : problem->wanted[s];
	}
	return sum;
}

static bool best_of(const struct plan_problem *problem, int level, struct plan_scope *best)
{
	uint64_t most = 0;
	for (uint32_t i = 0; i < plan__scopes(problem, level); i++) {
		struct plan_scope scope = plan__scope(problem, level, i);
		uint64_t here = promise(problem, &scope);
		if (here > most) {
			most = here;
			*best = scope;
		}
	}
	return most > 0;
}

static enum reason reason_of(const struct plan_problem *problem, uint32_t column)
{
	switch (problem->resources[column]) {
	case RESOURCE_PODS:
		return REASON_CODE_NO_PODS;
	case RESOURCE_CPU:
		return REASON_CODE_NO_CPU;
	case RESOURCE_MEMORY:
		return REASON_CODE_NO_MEMORY;
	default:
		return problem->gpu_columns[column] ? REASON_CODE_NO_GPU : REASON_CODE_NO_RESOURCE;
	}
}

/* The resource that most nodes of the scope that are right for the shape have too little of; the first of equals. */
static void find_lack(struct plan_problem *problem, uint32_t s, const struct plan_scope *scope)
{
	const struct plan_shape *shape = &problem->shapes[s];
	uint32_t *lacking = xcalloc(problem->columns + 1, sizeof(*lacking)), best = 0;
	for (uint32_t site = scope->first; site < scope->end; site++)
		for (uint32_t c = 0; shape->may[site] && c < problem->columns; c++)
			lacking[c] += problem->free[(size_t)site * problem->columns + c] < shape->demand[c];
	for (uint32_t c = 1; c < problem->columns; c++)
		if (lacking[c] > lacking[best] || (lacking[c] == lacking[best] && problem->gpu_columns[c]))
			best = c;
	if (problem->columns > 0 && lacking[best] > 0) {
		problem->lacks_resource = true;
		problem->blocking_resource = problem->resources[best];
		problem->blocking_reason = reason_of(problem, best);
	} else {
		problem->blocking_reason = shape->furthest;
	}
	free(lacking);
}

static void find_blocking(struct plan_problem *problem, const struct plan_scope *scope)
{
	for (uint32_t k = 0; k < problem->kind_count && problem->blocking == SIZE_MAX; k++) {
		const struct plan_kind *kind = &problem->kinds[k];
		if (kind->placed >= kind->want)
			continue;
		problem->blocking = kind->members[kind->placed];
		find_lack(problem, kind->shape, scope);
	}
}

/* A member that no node takes even alone. */
static bool find_impossible(struct plan_problem *problem)
{
	for (uint32_t s = 0; s < problem->shape_count; s++) {
		const struct plan_shape *shape = &problem->shapes[s];
		if (shape->members == 0 || shape->total > 0)
			continue;
		struct plan_scope all = plan__scope(problem, TOPOLOGY_ROOT, 0);
		problem->reason = shape->furthest == REASON_CODE_FITS ? REASON_CODE_NO_CANDIDATES : shape->furthest;
		problem->blocking = shape->first;
		find_lack(problem, s, &all);
		return true;
	}
	return false;
}

static bool any_required(const struct plan_problem *problem)
{
	for (uint32_t b = 0; b < problem->bundle_count; b++)
		if (problem->bundles[b].require != TOPOLOGY_ROOT)
			return true;
	return false;
}

/* Whether no node that one of the bundle's members could use is in a domain of the level that it requires. */
static bool level_missing(const struct plan_problem *problem, const struct plan_bundle *bundle)
{
	uint32_t first = bundle->first_kind, end = first + bundle->kind_count;
	if (bundle->require == TOPOLOGY_ROOT || bundle->members == 0 || problem->site_count == 0)
		return false;
	for (uint32_t site = 0; site < problem->site_count; site++) {
		bool any = bundle->kind_count == 0;
		for (uint32_t k = first; !any && k < end; k++)
			any = problem->shapes[problem->kinds[k].shape].may[site] != 0;
		if (any && plan__at(problem, site, bundle->require) != PLAN_NONE)
			return false;
	}
	return true;
}

static bool any_level_missing(const struct plan_problem *problem)
{
	for (uint32_t b = 0; b < problem->bundle_count; b++)
		if (level_missing(problem, &problem->bundles[b]))
			return true;
	return false;
}

void plan__explain(struct plan_problem *problem)
{
	int required = problem->bundles[0].require;
	uint32_t taken = 0, least = plan__least(problem);
	struct plan_scope scope;
	bool impossible = find_impossible(problem);
	problem->unruled = true;
	for (int level = TOPOLOGY_HOST;; level = plan__wider(problem, level)) {
		uint32_t takes = 0;
		bool some = best_of(problem, level, &scope);
		if (some)
			takes = plan__pour(problem, &scope);
		struct plan_level *seen = level == TOPOLOGY_ROOT
		                              ? &problem->everywhere
		                              : &problem->seen[level == TOPOLOGY_HOST ? problem->levels : level];
		seen->takes = takes;
		seen->lacks = takes < least ? least - takes : 0;
		if (level != TOPOLOGY_ROOT)
			problem->witness[level == TOPOLOGY_HOST ? problem->levels : level] =
			    some ? scope.first : PLAN_NONE;
		if (level == required) {
			taken = takes;
			if (!impossible && some)
				find_blocking(problem, &scope);
		}
		plan__undo(problem, 0);
		if (level == TOPOLOGY_ROOT)
			break;
	}
	problem->unruled = false;
	if (impossible)
		return;
	if (any_level_missing(problem))
		problem->reason = REASON_CODE_LEVEL_MISSING;
	else if (taken >= least && problem->rule_count > 0)
		problem->reason = REASON_CODE_GANG_CONSTRAINTS;
	else if (problem->everywhere.takes >= least && any_required(problem))
		problem->reason = REASON_CODE_GANG_NO_DOMAIN;
	else
		problem->reason = REASON_CODE_GANG_NO_ROOM;
}
