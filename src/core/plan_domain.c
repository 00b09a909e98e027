#include "core/plan_internal.h"

#include <stdlib.h>

/* ---- levels ---- */

uint32_t plan__at(const struct plan_problem *problem, uint32_t site, int level)
{
	if (level == TOPOLOGY_HOST)
		return site;
	return level == TOPOLOGY_ROOT ? 0 : problem->up[(size_t)site * (size_t)problem->levels + (size_t)level];
}

size_t plan__crossed(const struct plan_problem *problem, int level)
{
	return level == TOPOLOGY_HOST ? 0 : (size_t)(problem->levels - level);
}

int plan__wider(const struct plan_problem *problem, int level)
{
	return level == TOPOLOGY_HOST ? problem->levels - 1 : level - 1;
}

int plan__common(const struct plan_problem *problem, uint32_t a, uint32_t b, int level)
{
	while (plan__at(problem, a, level) == PLAN_NONE || plan__at(problem, a, level) != plan__at(problem, b, level))
		level = plan__wider(problem, level);
	return level;
}

/* ---- what a plan costs ---- */

static bool inside(const struct plan_problem *problem, uint32_t bundle, uint32_t ancestor)
{
	while (bundle != ancestor && bundle != PLAN_NONE)
		bundle = problem->bundles[bundle].parent;
	return bundle == ancestor;
}

/* The tightest level that holds the bundle; TOPOLOGY_HOST when nothing is placed. */
static int spread_of(
    const struct plan_problem *problem, const struct plan_steps *steps, uint32_t number, uint32_t *first)
{
	const struct plan_bundle *bundle = &problem->bundles[number];
	int level = TOPOLOGY_HOST;
	*first = bundle->fixed_count > 0 ? bundle->fixed[0] : PLAN_NONE;
	for (uint32_t i = 1; i < bundle->fixed_count; i++)
		level = plan__common(problem, *first, bundle->fixed[i], level);
	for (size_t i = 0; i < steps->count; i++) {
		const struct plan_step *step = &steps->items[i];
		if (number != 0 && !inside(problem, problem->kinds[step->kind].bundle, number))
			continue;
		if (*first == PLAN_NONE)
			*first = step->site;
		else
			level = plan__common(problem, *first, step->site, level);
	}
	return level;
}

struct marks {
	uint8_t *sites, *domains;
};

static void mark(const struct plan_problem *problem, struct marks *marks, uint32_t site, size_t *used)
{
	if (marks->sites[site])
		return;
	marks->sites[site] = 1;
	++*used;
	for (uint32_t d = problem->sites[site].leaf; problem->domains[d].level >= 0; d = problem->domains[d].parent) {
		if (marks->domains[d])
			break;
		marks->domains[d] = 1;
		++*used;
	}
}

static void unmark(const struct plan_problem *problem, struct marks *marks, uint32_t site)
{
	marks->sites[site] = 0;
	for (uint32_t d = problem->sites[site].leaf; problem->domains[d].level >= 0; d = problem->domains[d].parent)
		marks->domains[d] = 0;
}

static void score_domains(const struct plan_problem *problem, const struct plan_steps *steps, struct plan_score *score)
{
	struct marks marks = {problem->marked_sites, problem->marked_domains};
	const struct plan_bundle *gang = &problem->bundles[0];
	for (uint32_t i = 0; i < gang->fixed_count; i++)
		mark(problem, &marks, gang->fixed[i], &score->domains_used);
	for (size_t i = 0; i < steps->count; i++) {
		uint32_t site = steps->items[i].site, block = problem->sites[site].block;
		mark(problem, &marks, site, &score->domains_used);
		if (block > score->block_destroyed)
			score->block_destroyed = block;
	}
	for (uint32_t i = 0; i < gang->fixed_count; i++)
		unmark(problem, &marks, gang->fixed[i]);
	for (size_t i = 0; i < steps->count; i++)
		unmark(problem, &marks, steps->items[i].site);
}

void plan__score(
    const struct plan_problem *problem, const struct plan_steps *steps, struct plan_score *score, int *level)
{
	uint32_t first, other;
	*score = (struct plan_score){.left_out = problem->free_members};
	for (size_t i = 0; i < steps->count; i++)
		score->left_out -= steps->items[i].count;
	*level = spread_of(problem, steps, 0, &first);
	score->levels_crossed = plan__crossed(problem, *level);
	for (uint32_t b = 1; b < problem->bundle_count; b++) {
		int prefer = problem->bundles[b].prefer;
		if (prefer == TOPOLOGY_ROOT)
			continue;
		size_t crossed = plan__crossed(problem, spread_of(problem, steps, b, &other));
		size_t most = plan__crossed(problem, prefer);
		score->beyond_preferred += crossed > most ? crossed - most : 0;
	}
	score_domains(problem, steps, score);
}

int plan__compare(const struct plan_score *a, const struct plan_score *b)
{
	const size_t left[] = {
	    a->left_out, a->levels_crossed, a->beyond_preferred, a->domains_used, a->block_destroyed};
	const size_t right[] = {
	    b->left_out, b->levels_crossed, b->beyond_preferred, b->domains_used, b->block_destroyed};
	for (size_t i = 0; i < sizeof(left) / sizeof(*left); i++)
		if (left[i] != right[i])
			return left[i] < right[i] ? -1 : 1;
	return 0;
}

bool plan__offer(struct plan_problem *problem, const struct plan_steps *steps)
{
	struct plan_score score;
	int level;
	plan__score(problem, steps, &score, &level);
	if (problem->solved && plan__compare(&score, &problem->score) >= 0)
		return false;
	problem->solved = true;
	problem->offers++;
	problem->score = score;
	problem->level = level;
	while (problem->best.room < steps->count)
		problem->best.items =
		    xgrow(problem->best.items, problem->best.room, &problem->best.room, sizeof(*problem->best.items));
	if (steps->count > 0)
		memcpy(problem->best.items, steps->items, steps->count * sizeof(*steps->items));
	problem->best.count = steps->count;
	return true;
}

/* ---- scopes: the domains of a level ---- */

struct plan_scope plan__scope(const struct plan_problem *problem, int level, uint32_t nth)
{
	if (level == TOPOLOGY_HOST)
		return (struct plan_scope){level, nth, nth, nth + 1};
	uint32_t index = level == TOPOLOGY_ROOT ? 0 : problem->by_level[level][nth];
	const struct plan_domain *domain = &problem->domains[index];
	return (struct plan_scope){level, index, domain->first, domain->end};
}

uint32_t plan__scopes(const struct plan_problem *problem, int level)
{
	if (level == TOPOLOGY_HOST)
		return problem->site_count;
	return level == TOPOLOGY_ROOT ? 1 : problem->level_domains[level];
}

uint32_t plan__sum(const struct plan_problem *problem, uint32_t shape, const struct plan_scope *scope)
{
	const struct plan_shape *of = &problem->shapes[shape];
	return scope->level == TOPOLOGY_HOST ? of->left[scope->index] : of->sum[scope->index];
}

static bool kinds_might(
    const struct plan_problem *problem, const struct plan_bundle *bundle, const struct plan_scope *scope)
{
	for (uint32_t k = bundle->first_kind; k < bundle->first_kind + bundle->kind_count; k++)
		if (plan__sum(problem, problem->kinds[k].shape, scope) < problem->kinds[k].want)
			return false;
	for (uint32_t child = bundle->first_child; child != PLAN_NONE; child = problem->bundles[child].next_sibling)
		if (!kinds_might(problem, &problem->bundles[child], scope))
			return false;
	return true;
}

bool plan__might(const struct plan_problem *problem, uint32_t number, const struct plan_scope *scope)
{
	const struct plan_bundle *bundle = &problem->bundles[number];
	/* A host may be outside the domains of a level that is wider. */
	if (scope->first < scope->end && bundle->require <= scope->level &&
	    plan__at(problem, scope->first, bundle->require) == PLAN_NONE)
		return false;
	for (uint32_t i = 0; i < bundle->fixed_count; i++)
		if (bundle->fixed[i] < scope->first || bundle->fixed[i] >= scope->end)
			return false;
	for (uint32_t s = 0; number == 0 && s < problem->shape_count; s++)
		if (plan__sum(problem, s, scope) < problem->wanted[s])
			return false;
	return number == 0 || kinds_might(problem, bundle, scope);
}

uint32_t plan__block(const struct plan_problem *problem, const struct plan_scope *scope)
{
	if (scope->level == TOPOLOGY_HOST)
		return problem->sites[scope->index].block;
	const struct plan_domain *domain = &problem->domains[scope->index];
	if (domain->level < 0 || domain->counted == 0 || domain->whole < domain->counted ||
	    domain->first == domain->end)
		return 0;
	return problem->sites[domain->first].block;
}
