/* Which member of a kind goes to which of the kind's places, and which of runs alike to which of their domains: in rank
 * order along the tree, beginning near the member that has no choice, so that neighbouring ranks are neighbours. */
#include "core/plan_internal.h"

#include <stdlib.h>

struct places {
	uint32_t count, room;
	uint32_t *sites;
};

struct ranking {
	const struct plan_problem *problem;
	struct places *places; /* by kind */
	uint32_t anchor;       /* site, or PLAN_NONE */
};

static int place_order(const void *a, const void *b, void *context)
{
	const struct ranking *ranking = context;
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
	if (ranking->anchor != PLAN_NONE) {
		const struct plan_problem *problem = ranking->problem;
		size_t near = plan__crossed(problem, plan__common(problem, ranking->anchor, left, TOPOLOGY_HOST));
		size_t far = plan__crossed(problem, plan__common(problem, ranking->anchor, right, TOPOLOGY_HOST));
		if (near != far)
			return near < far ? -1 : 1;
	}
	return left < right ? -1 : left > right;
}

/* Whether a comes before b by rank, unknown ones last. */
static bool ranks_before(const struct plan_problem *problem, uint32_t a, uint32_t b)
{
	const struct plan_member *members = problem->request->members;
	return (uint32_t)members[a].rank < (uint32_t)members[b].rank;
}

/* The lowest rank's site, if it has only one to be on. */
static uint32_t find_anchor(const struct ranking *ranking)
{
	const struct plan_problem *problem = ranking->problem;
	uint32_t lowest = PLAN_NONE, site = PLAN_NONE;
	for (uint32_t k = 0; k < problem->kind_count; k++)
		if (ranking->places[k].count > 0 &&
		    (lowest == PLAN_NONE || ranks_before(problem, problem->kinds[k].members[0], lowest))) {
			lowest = problem->kinds[k].members[0];
			site = ranking->places[k].count == 1 ? ranking->places[k].sites[0] : PLAN_NONE;
		}
	for (uint32_t i = 0; i < problem->request->count; i++)
		if (problem->fixed[i] != PLAN_NONE && (lowest == PLAN_NONE || ranks_before(problem, i, lowest))) {
			lowest = i;
			site = problem->fixed[i];
		}
	return site;
}

/* ---- runs ---- */

struct slot {
	uint32_t bundle, site; /* the first of its places */
};

static int slot_order(const void *a, const void *b, void *context)
{
	const struct slot *left = a, *right = b;
	int order = place_order(&left->site, &right->site, context);
	return order ? order : left->bundle < right->bundle ? -1 : left->bundle > right->bundle;
}

static int by_bundle(const void *a, const void *b)
{
	const struct slot *left = a, *right = b;
	return left->bundle < right->bundle ? -1 : left->bundle > right->bundle;
}

static bool is_run(const struct plan_problem *problem, uint32_t bundle)
{
	return bundle > problem->request->group_count && problem->bundles[bundle].fixed_count == 0;
}

static bool runs_alike(const struct ranking *ranking, uint32_t a, uint32_t b)
{
	const struct plan_problem *problem = ranking->problem;
	const struct plan_bundle *left = &problem->bundles[a], *right = &problem->bundles[b];
	if (left->parent != right->parent || left->kind_count != right->kind_count)
		return false;
	for (uint32_t k = 0; k < left->kind_count; k++)
		if (problem->kinds[left->first_kind + k].shape != problem->kinds[right->first_kind + k].shape ||
		    ranking->places[left->first_kind + k].count != ranking->places[right->first_kind + k].count)
			return false;
	return true;
}

static uint32_t first_place(const struct ranking *ranking, uint32_t bundle)
{
	const struct plan_bundle *of = &ranking->problem->bundles[bundle];
	for (uint32_t k = of->first_kind; k < of->first_kind + of->kind_count; k++)
		if (ranking->places[k].count > 0)
			return ranking->places[k].sites[0];
	return PLAN_NONE;
}

/* Runs alike get each other's places, so that they too go along the tree. */
static void order_alike(struct ranking *ranking, struct slot *slots, size_t count)
{
	const struct plan_problem *problem = ranking->problem;
	struct slot *sorted = xcalloc(count, sizeof(*sorted));
	uint32_t kinds = problem->bundles[slots[0].bundle].kind_count;
	struct places *moved = xcalloc(count * kinds + 1, sizeof(*moved));
	memcpy(sorted, slots, count * sizeof(*sorted));
	qsort_r(sorted, count, sizeof(*sorted), slot_order, ranking);
	qsort(slots, count, sizeof(*slots), by_bundle);
	for (size_t i = 0; i < count; i++)
		for (uint32_t k = 0; k < kinds; k++)
			moved[i * kinds + k] = ranking->places[problem->bundles[sorted[i].bundle].first_kind + k];
	for (size_t i = 0; i < count; i++)
		for (uint32_t k = 0; k < kinds; k++)
			ranking->places[problem->bundles[slots[i].bundle].first_kind + k] = moved[i * kinds + k];
	free(sorted);
	free(moved);
}

static void order_runs(struct ranking *ranking)
{
	const struct plan_problem *problem = ranking->problem;
	bool *done = xcalloc(problem->bundle_count, sizeof(*done));
	struct slot *slots = xcalloc(problem->bundle_count, sizeof(*slots));
	for (uint32_t b = 0; b < problem->bundle_count; b++) {
		size_t count = 0;
		for (uint32_t other = b; is_run(problem, b) && !done[b] && other < problem->bundle_count; other++) {
			if (!is_run(problem, other) || done[other] || !runs_alike(ranking, b, other) ||
			    first_place(ranking, other) == PLAN_NONE)
				continue;
			slots[count++] = (struct slot){other, first_place(ranking, other)};
		}
		for (size_t i = 0; i < count; i++)
			done[slots[i].bundle] = true;
		if (count > 1)
			order_alike(ranking, slots, count);
	}
	free(done);
	free(slots);
}

void plan__rank(const struct plan_problem *problem, const struct plan_steps *steps, uint32_t *sites)
{
	struct ranking ranking = {.problem = problem, .anchor = PLAN_NONE};
	ranking.places = xcalloc(problem->kind_count + 1, sizeof(*ranking.places));
	for (size_t i = 0; i < steps->count; i++) {
		struct places *places = &ranking.places[steps->items[i].kind];
		for (uint32_t n = 0; n < steps->items[i].count; n++) {
			size_t room = places->room;
			places->sites = xgrow(places->sites, places->count, &room, sizeof(*places->sites));
			places->room = (uint32_t)room;
			places->sites[places->count++] = steps->items[i].site;
		}
	}
	ranking.anchor = find_anchor(&ranking);
	for (uint32_t k = 0; k < problem->kind_count; k++)
		if (ranking.places[k].count > 1)
			qsort_r(
			    ranking.places[k].sites, ranking.places[k].count, sizeof(*sites), place_order, &ranking);
	order_runs(&ranking);
	for (uint32_t i = 0; i < problem->request->count; i++)
		sites[i] = problem->fixed[i];
	for (uint32_t k = 0; k < problem->kind_count; k++) {
		for (uint32_t n = 0; n < ranking.places[k].count; n++)
			sites[problem->kinds[k].members[n]] = ranking.places[k].sites[n];
		free(ranking.places[k].sites);
	}
	free(ranking.places);
}
