#include "berth/plan.h"

#include <stdlib.h>

#include "core/plan_internal.h"

double plan_cost(const struct plan_score *score)
{
	return 1000 * (double)score->left_out + 100 * (double)score->levels_crossed +
	       10 * (double)score->beyond_preferred + (double)score->domains_used + (double)score->block_destroyed / 8;
}

/* ---- preparing ---- */

static bool level_known(const struct plan_problem *problem, int level)
{
	return level == TOPOLOGY_ROOT || level == TOPOLOGY_HOST || (level >= 0 && level < problem->levels);
}

static void check_levels(struct plan_problem *problem)
{
	for (uint32_t b = 0; b < problem->bundle_count; b++) {
		struct plan_bundle *bundle = &problem->bundles[b];
		if (!level_known(problem, bundle->prefer))
			bundle->prefer = TOPOLOGY_ROOT;
		if (bundle->prefer != TOPOLOGY_ROOT && bundle->require > bundle->prefer)
			bundle->prefer = bundle->require;
		if (!level_known(problem, bundle->require))
			problem->reason = REASON_CODE_LEVEL_MISSING;
	}
	int required = problem->bundles[0].require;
	for (uint32_t site = 0; problem->reason == REASON_CODE_FITS && site < problem->site_count; site++)
		problem->unlabelled += plan__at(problem, site, required) == PLAN_NONE;
}

static void add_up(struct plan_problem *problem)
{
	for (uint32_t s = 0; s < problem->shape_count; s++) {
		struct plan_shape *shape = &problem->shapes[s];
		for (uint32_t site = 0; site < problem->site_count; site++)
			shape->sum[problem->sites[site].leaf] += shape->left[site];
		for (uint32_t d = problem->domain_count; d-- > 1;)
			shape->sum[problem->domains[d].parent] += shape->sum[d];
		shape->total = shape->sum[0];
	}
}

static struct plan_problem *problem_new(const struct plan_request *request)
{
	struct arena arena;
	arena_init(&arena, (size_t)1 << 16);
	struct plan_problem *problem = arena_calloc(&arena, 1, sizeof(*problem));
	struct plan_request *copy = arena_alloc(&arena, sizeof(*copy));
	*copy = *request;
	problem->request = copy;
	problem->arena = arena;
	problem->reason = REASON_CODE_FITS;
	problem->blocking = SIZE_MAX;
	return problem;
}

static struct plan_problem *prepare_sites(const struct fleet *fleet, const struct plan_request *request, bool at_once)
{
	struct plan_problem *problem = problem_new(request);
	problem->at_once = at_once;
	if (request->count == 0)
		return problem;
	if (request->count > PLAN_MEMBERS_MAX || request->group_count > PLAN_GROUPS_MAX ||
	    !plan__shape(problem, fleet)) {
		problem->reason = REASON_CODE_GANG_TOO_VARIED;
		return problem;
	}
	plan__sites(problem, fleet);
	if (problem->reason != REASON_CODE_FITS)
		return problem;
	add_up(problem);
	plan__kinds(problem);
	check_levels(problem);
	problem->marked_sites = arena_calloc(&problem->arena, problem->site_count + 1, 1);
	problem->marked_domains = arena_calloc(&problem->arena, problem->domain_count + 1, 1);
	return problem;
}

struct plan_problem *plan__prepare_sites(const struct fleet *fleet, const struct plan_request *request)
{
	return prepare_sites(fleet, request, false);
}

static struct plan_problem *prepare(const struct fleet *fleet, const struct plan_request *request, bool at_once)
{
	struct plan_problem *problem = prepare_sites(fleet, request, at_once);
	if (request->count > 0 && problem->domain_count > 0)
		plan__rules(problem, fleet);
	return problem;
}

struct plan_problem *plan_prepare(const struct fleet *fleet, const struct plan_request *request)
{
	return prepare(fleet, request, false);
}

/* ---- solving ---- */

/* Tightest level first. */
static bool solve_wanted(struct plan_problem *problem)
{
	struct plan_scope all = plan__scope(problem, TOPOLOGY_ROOT, 0);
	bool search = !plan__searchable(problem, &all);
	for (int level = TOPOLOGY_HOST;; level = plan__wider(problem, level)) {
		if (plan__try_level(problem, level, search))
			return true;
		if (level == problem->bundles[0].require)
			return false;
	}
}

/* Beyond the longest row of members that fit there may be single ones that still do: one more of each kind, until it
 * does not. */
static void add_singles(struct plan_problem *problem, uint32_t *keep, uint32_t taken)
{
	bool *failed = xcalloc(problem->kind_count + 1, sizeof(*failed));
	for (uint32_t i = taken; i < problem->free_members; i++) {
		uint32_t kind = problem->kind_of[keep[i]], member = keep[i];
		if (failed[kind])
			continue;
		keep[i] = keep[taken];
		keep[taken] = member;
		plan__want(problem, keep, taken + 1);
		if (solve_wanted(problem))
			taken++;
		else
			failed[kind] = true;
	}
	free(failed);
}

static void solve_elastic(struct plan_problem *problem)
{
	uint32_t *keep = problem->keep;
	uint32_t fits = plan__least(problem), fails = problem->free_members;
	if (fits >= fails)
		return;
	plan__want(problem, keep, fits);
	if (!solve_wanted(problem))
		return;
	while (fails - fits > 1) {
		uint32_t middle = fits + (fails - fits) / 2;
		plan__want(problem, keep, middle);
		if (solve_wanted(problem))
			fits = middle;
		else
			fails = middle;
	}
	add_singles(problem, keep, fits);
}

void plan__anew(struct plan_problem *problem)
{
	problem->reason = REASON_CODE_FITS;
	problem->blocking = SIZE_MAX;
	problem->lacks_resource = false;
	problem->solved = problem->exact = problem->explained = false;
	problem->offers = 0;
	problem->best.count = 0;
	for (uint32_t s = 0; s < problem->shape_count; s++)
		problem->shapes[s].total = problem->shapes[s].sum[0];
}

void plan_solve(struct plan_problem *problem)
{
	if (problem->reason != REASON_CODE_FITS || problem->request->count == 0)
		return;
	struct plan_scope all = plan__scope(problem, TOPOLOGY_ROOT, 0);
	uint32_t *keep = plan__keep_order(problem);
	problem->budget = PLAN_BUDGET;
	problem->effort = PLAN_EFFORT;
	plan__want(problem, keep, problem->free_members);
	if (!solve_wanted(problem))
		solve_elastic(problem);
	plan__want(problem, keep, problem->free_members);
	if (plan__searchable(problem, &all))
		problem->exact = plan__search(problem, &all, true);
	if (!problem->solved) {
		plan__explain(problem);
		problem->explained = true;
	}
}

/* ---- the plan ---- */

static void order_members(struct plan_problem *problem, const uint32_t *sites, struct plan *plan)
{
	const struct plan_request *request = problem->request;
	struct plan_unit *units = xcalloc(request->count, sizeof(*units));
	uint32_t *members = xcalloc(request->count, sizeof(*members));
	uint32_t *order = xcalloc(request->count, sizeof(*order));
	size_t count = 0, at = 0;
	plan->order = xcalloc(request->count, sizeof(*plan->order));
	for (uint32_t i = 0; i < request->count; i++)
		if (problem->fixed[i] != PLAN_NONE)
			plan->order[at++] = i;
	for (uint32_t i = 0; i < problem->free_members; i++) {
		uint32_t member = problem->keep[i];
		if (sites[member] == PLAN_NONE)
			continue;
		members[count] = member;
		units[count++] = (struct plan_unit){problem->shape_of[member], sites[member]};
	}
	problem->budget = PLAN_BUDGET;
	if (!plan__rules_order(problem, units, count, order))
		plan->reason = REASON_CODE_GANG_CONSTRAINTS;
	for (size_t i = 0; i < count; i++)
		plan->order[at++] = members[order[i]];
	plan->placed = at;
	free(units);
	free(members);
	free(order);
}

static struct node *node_of(const struct fleet *fleet, const struct plan_problem *problem, uint32_t site)
{
	const struct plan_site *of = &problem->sites[site];
	return problem->at_once ? of->node : fleet_find(fleet, slice_of(of->name));
}

/* By a node that is in it, since the fleet may have changed meanwhile. */
static void find_domain(const struct fleet *fleet, struct plan *plan)
{
	size_t first = 0;
	while (first < plan->count && !plan->nodes[first])
		first++;
	if (plan->level == TOPOLOGY_ROOT)
		plan->domain = topology_root(fleet);
	else if (plan->level != TOPOLOGY_HOST && first < plan->count)
		plan->domain = topology_domain_of(plan->nodes[first], plan->level);
}

static void write_levels(const struct fleet *fleet, const struct plan_problem *problem, struct plan *plan)
{
	for (int level = 0; level <= problem->levels; level++) {
		struct plan_level *seen = &plan->levels[level];
		uint32_t site = problem->witness[level];
		*seen = problem->seen[level];
		struct node *node = site == PLAN_NONE ? NULL : node_of(fleet, problem, site);
		if (node && level == problem->levels)
			seen->host = node;
		else if (node)
			seen->domain = topology_domain_of(node, level);
	}
	plan->fleet = problem->everywhere;
	plan->fleet.domain = topology_root(fleet);
}

static void write_plan(const struct fleet *fleet, struct plan_problem *problem, struct plan *plan)
{
	const struct plan_request *request = problem->request;
	uint32_t *sites = xcalloc(request->count + 1, sizeof(*sites));
	plan__rank(problem, &problem->best, sites);
	if (!problem->at_once && !plan__still_there(problem, fleet, sites)) {
		plan->reason = REASON_CODE_PLAN_OVERTAKEN;
	} else {
		plan->score = problem->score;
		plan->level = problem->level;
		plan->exact = problem->exact;
		for (size_t i = 0; i < request->count; i++)
			if (sites[i] != PLAN_NONE)
				plan->nodes[i] = node_of(fleet, problem, sites[i]);
		find_domain(fleet, plan);
		order_members(problem, sites, plan);
	}
	free(sites);
}

void plan_finish(const struct fleet *fleet, struct plan_problem *problem, struct plan *plan)
{
	*plan = (struct plan){.reason = problem->reason,
	    .count = problem->request->count,
	    .level = TOPOLOGY_ROOT,
	    .blocking = problem->blocking,
	    .blocking_reason = problem->blocking_reason,
	    .lacks_resource = problem->lacks_resource,
	    .blocking_resource = problem->blocking_resource,
	    .level_count = (size_t)problem->levels + 1,
	    .unlabelled = problem->unlabelled};
	plan->nodes = xcalloc(plan->count + 1, sizeof(*plan->nodes));
	if (problem->solved)
		write_plan(fleet, problem, plan);
	else if (problem->explained)
		write_levels(fleet, problem, plan);
	plan__rules_free(problem);
	free(problem->steps.items);
	free(problem->best.items);
	struct arena arena = problem->arena;
	arena_free(&arena);
}

void plan__once(const struct fleet *fleet, const struct plan_request *request, struct plan *plan)
{
	struct plan_problem *problem = prepare(fleet, request, true);
	plan_solve(problem);
	plan_finish(fleet, problem, plan);
}

void plan_free(struct plan *plan)
{
	free(plan->nodes);
	free(plan->order);
	*plan = (struct plan){0};
}
