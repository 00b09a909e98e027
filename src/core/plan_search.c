/* Branch and bound over the members, one after the other: all terms of the score only grow as members are placed, so a
 * branch ends where the score so far is no better than the best plan known. Members of one kind go to sites in
 * ascending order, and of sites that are alike only the first untouched one is tried. */
#include "core/plan_internal.h"

#include <stdlib.h>

struct hold {
	uint32_t first; /* site of the first member, or PLAN_NONE */
	int level;      /* the tightest that holds all so far */
};

struct search {
	struct plan_problem *problem;
	struct plan_scope scope;
	size_t count;
	uint32_t kinds[PLAN_SEARCH_MEMBERS];
	uint32_t chosen[PLAN_SEARCH_MEMBERS]; /* site, or PLAN_NONE = left out */
	uint32_t spare;                       /* members that may still be left out */
	uint32_t *group_spare;                /* by bundle */
	struct hold *holds;                   /* by bundle */
	bool stopped;
};

/* ---- sites that are alike ---- */

static bool alike_to_rules(const struct plan_problem *problem, uint32_t a, uint32_t b)
{
	for (uint32_t r = 0; r < problem->rule_count; r++) {
		const struct plan_rule *rule = &problem->rules[r];
		if (rule->counts && rule->counts[a] != rule->counts[b])
			return false;
		for (uint32_t k = 0; k < rule->key_count; k++) {
			const struct plan_key *key = &problem->keys[rule->keys[k]];
			uint32_t left = key->sites[a], right = key->sites[b];
			if (left == right)
				continue;
			if (left == PLAN_NONE || right == PLAN_NONE || key->population[left] != 1 ||
			    key->population[right] != 1 || rule->count[k][left] != rule->count[k][right])
				return false;
			if (rule->carriers && rule->carriers[left] != rule->carriers[right])
				return false;
			if (rule->domain && rule->domain[left] != rule->domain[right])
				return false;
		}
	}
	return true;
}

static bool alike(const struct plan_problem *problem, uint32_t a, uint32_t b)
{
	const struct plan_site *left = &problem->sites[a], *right = &problem->sites[b];
	if (left->leaf != right->leaf || left->block != right->block || problem->site_used[a] > 0 ||
	    problem->site_used[b] > 0)
		return false;
	for (uint32_t c = 0; c < problem->columns; c++)
		if (problem->free[(size_t)a * problem->columns + c] != problem->free[(size_t)b * problem->columns + c])
			return false;
	for (uint32_t s = 0; s < problem->shape_count; s++)
		if (problem->shapes[s].may[a] != problem->shapes[s].may[b])
			return false;
	return alike_to_rules(problem, a, b);
}

static void find_twins(const struct search *search)
{
	struct plan_problem *problem = search->problem;
	for (uint32_t site = search->scope.first; site < search->scope.end; site++) {
		problem->sites[site].twin = site;
		for (uint32_t other = search->scope.first; other < site; other++)
			if (problem->sites[other].twin == other && alike(problem, other, site)) {
				problem->sites[site].twin = other;
				break;
			}
	}
}

/* ---- the score so far ---- */

struct saved {
	struct hold holds[3]; /* a member's run, sub-group and gang at most */
	struct plan_score score;
};

/* Puts the member's site into its bundles; false where one may not be spread so far. */
static bool enter(struct search *search, uint32_t kind, uint32_t site, struct saved *saved, struct plan_score *score)
{
	const struct plan_problem *problem = search->problem;
	bool allowed = true;
	size_t at = 0;
	for (uint32_t b = problem->kinds[kind].bundle; b != PLAN_NONE; b = problem->bundles[b].parent) {
		const struct plan_bundle *bundle = &problem->bundles[b];
		struct hold *hold = &search->holds[b];
		saved->holds[at++] = *hold;
		size_t before = plan__crossed(problem, hold->level);
		if (hold->first == PLAN_NONE)
			hold->first = site;
		else
			hold->level = plan__common(problem, hold->first, site, hold->level);
		size_t now = plan__crossed(problem, hold->level);
		if (bundle->require != TOPOLOGY_ROOT && (now > plan__crossed(problem, bundle->require) ||
		                                            plan__at(problem, site, bundle->require) == PLAN_NONE))
			allowed = false;
		if (b == 0)
			score->levels_crossed = now;
		if (b > 0 && bundle->prefer != TOPOLOGY_ROOT) {
			size_t most = plan__crossed(problem, bundle->prefer);
			score->beyond_preferred += (now > most ? now - most : 0) - (before > most ? before - most : 0);
		}
	}
	return allowed;
}

static void leave(struct search *search, uint32_t kind, const struct saved *saved)
{
	size_t at = 0;
	for (uint32_t b = search->problem->kinds[kind].bundle; b != PLAN_NONE; b = search->problem->bundles[b].parent)
		search->holds[b] = saved->holds[at++];
}

static void count_domains(const struct plan_problem *problem, uint32_t site, struct plan_score *score)
{
	score->domains_used += problem->site_used[site] == 0;
	for (uint32_t d = problem->sites[site].leaf; problem->domains[d].level >= 0; d = problem->domains[d].parent)
		score->domains_used += problem->domain_used[d] == 0;
	if (problem->sites[site].block > score->block_destroyed)
		score->block_destroyed = problem->sites[site].block;
}

/* ---- the search ---- */

static void end(struct search *search)
{
	struct plan_problem *problem = search->problem;
	struct plan_unit units[PLAN_SEARCH_MEMBERS];
	uint32_t order[PLAN_SEARCH_MEMBERS];
	size_t count = 0;
	for (size_t i = 0; i < search->count; i++)
		if (search->chosen[i] != PLAN_NONE)
			units[count++] = (struct plan_unit){problem->kinds[search->kinds[i]].shape, search->chosen[i]};
	if (problem->rule_count > 0) {
		for (size_t i = 0; i < count; i++)
			plan__rules_undo(problem, units[i].shape, units[i].site, 1);
		bool holds = plan__rules_order(problem, units, count, order);
		for (size_t i = 0; i < count; i++)
			plan__rules_take(problem, units[i].shape, units[i].site, 1);
		if (!holds)
			return;
	}
	plan__offer(problem, &problem->steps);
}

static void look(struct search *search, size_t depth, const struct plan_score *score);

static void try_site(struct search *search, size_t depth, const struct plan_score *score, uint32_t site)
{
	struct plan_problem *problem = search->problem;
	struct plan_score with = *score;
	struct saved saved;
	uint32_t kind = search->kinds[depth];
	if (enter(search, kind, site, &saved, &with)) {
		size_t before = problem->steps.count;
		count_domains(problem, site, &with);
		search->chosen[depth] = site;
		plan__take(problem, kind, site, 1);
		look(search, depth + 1, &with);
		plan__undo(problem, before);
	}
	leave(search, kind, &saved);
}

static void try_without(struct search *search, size_t depth, const struct plan_score *score)
{
	const struct plan_problem *problem = search->problem;
	struct plan_score with = *score;
	uint32_t group = problem->kinds[search->kinds[depth]].bundle;
	while (group != 0 && problem->bundles[group].parent != 0)
		group = problem->bundles[group].parent;
	if (search->spare == 0 || search->group_spare[group] == 0)
		return;
	search->spare--;
	search->group_spare[group]--;
	with.left_out++;
	search->chosen[depth] = PLAN_NONE;
	look(search, depth + 1, &with);
	search->spare++;
	search->group_spare[group]++;
}

static void look(struct search *search, size_t depth, const struct plan_score *score)
{
	struct plan_problem *problem = search->problem;
	bool tried[PLAN_SEARCH_SITES] = {false};
	if (problem->budget == 0)
		search->stopped = true;
	if (search->stopped || (problem->solved && plan__compare(score, &problem->score) >= 0))
		return;
	problem->budget--;
	if (depth == search->count) {
		end(search);
		return;
	}
	const struct plan_shape *shape = &problem->shapes[problem->kinds[search->kinds[depth]].shape];
	uint32_t coming = (uint32_t)(search->count - depth) - 1;
	bool same = depth > 0 && search->kinds[depth - 1] == search->kinds[depth];
	uint32_t from = same ? search->chosen[depth - 1] : search->scope.first;
	for (uint32_t site = from; from != PLAN_NONE && site < search->scope.end; site++) {
		uint32_t twin = problem->sites[site].twin;
		if (shape->left[site] == 0 ||
		    plan__rules_bar(problem, problem->kinds[search->kinds[depth]].shape, site, coming))
			continue;
		if (problem->site_used[site] == 0) {
			if (tried[twin - search->scope.first])
				continue;
			tried[twin - search->scope.first] = true;
		}
		try_site(search, depth, score, site);
	}
	try_without(search, depth, score);
}

static void begin(struct search *search, bool elastic, struct plan_score *score)
{
	struct plan_problem *problem = search->problem;
	struct plan_steps none = {0};
	int level;
	search->group_spare = xcalloc(problem->bundle_count, sizeof(*search->group_spare));
	search->holds = xcalloc(problem->bundle_count, sizeof(*search->holds));
	for (uint32_t b = 0; b < problem->bundle_count; b++) {
		const struct plan_bundle *bundle = &problem->bundles[b];
		struct hold *hold = &search->holds[b];
		*hold = (struct hold){bundle->fixed_count > 0 ? bundle->fixed[0] : PLAN_NONE, TOPOLOGY_HOST};
		for (uint32_t i = 1; i < bundle->fixed_count; i++)
			hold->level = plan__common(problem, hold->first, bundle->fixed[i], hold->level);
		search->group_spare[b] = bundle->members > bundle->quorum ? bundle->members - bundle->quorum : 0;
	}
	search->spare = elastic ? search->group_spare[0] : 0;
	for (uint32_t k = 0; k < problem->kind_count; k++) {
		uint32_t members = elastic ? problem->kinds[k].count : problem->kinds[k].want;
		for (uint32_t i = 0; i < members; i++)
			search->kinds[search->count++] = k;
	}
	plan__score(problem, &none, score, &level);
	score->left_out = problem->free_members - (uint32_t)search->count;
}

bool plan__searchable(const struct plan_problem *problem, const struct plan_scope *scope)
{
	return problem->free_members <= PLAN_SEARCH_MEMBERS && scope->end - scope->first <= PLAN_SEARCH_SITES;
}

/* A bundle whose fixed members are too far apart already has no plan. */
static bool fixed_hold(const struct search *search)
{
	const struct plan_problem *problem = search->problem;
	for (uint32_t b = 0; b < problem->bundle_count; b++) {
		const struct plan_bundle *bundle = &problem->bundles[b];
		if (bundle->fixed_count == 0 || bundle->require == TOPOLOGY_ROOT)
			continue;
		if (plan__crossed(problem, search->holds[b].level) > plan__crossed(problem, bundle->require) ||
		    plan__at(problem, search->holds[b].first, bundle->require) == PLAN_NONE)
			return false;
	}
	return true;
}

bool plan__search(struct plan_problem *problem, const struct plan_scope *scope, bool elastic)
{
	struct search search = {.problem = problem, .scope = *scope};
	struct plan_score score;
	begin(&search, elastic, &score);
	find_twins(&search);
	if (fixed_hold(&search))
		look(&search, 0, &score);
	free(search.group_spare);
	free(search.holds);
	return !search.stopped;
}
