/* Branch and bound over the victims of a scope, those first that give most for their price: a branch ends where what it
 * has and the least that is still to be had, the last victim taken in part, cost no less than the best set, or where
 * even all that is left would not do. */
#include "core/victims_internal.h"

#include <math.h>
#include <stdlib.h>

#define EFFORT_LOOK 60
#define EFFORT_OFFER 300000
#define EFFORT_ALL ((size_t)4000000000) /* of a scope that is searched to the end: some seconds */
#define EFFORT_SOME 4000000             /* of a larger one, after the greedy way */

struct victims_exact {
	uint32_t depth;
	bool entering;  /* what is at this depth was not looked at yet */
	bool included;  /* the victim before it was just taken in */
	uint8_t *taken; /* by depth */
	double price, worth;
	double *gains; /* by shape: of those taken */
	size_t effort;
	bool whole; /* everything is to be looked at */
};

static void begin(struct victims_search *search)
{
	struct victims_exact *exact = search->exact = xcalloc(1, sizeof(*exact));
	exact->taken = xcalloc((size_t)search->set.count + 1, sizeof(*exact->taken));
	exact->gains = xcalloc((size_t)search->problem->shape_count + 1, sizeof(*exact->gains));
	exact->entering = true;
	exact->whole = search->set.count <= VICTIMS_EXACT;
	exact->effort = exact->whole ? EFFORT_ALL : EFFORT_SOME;
}

void victims__exact_free(struct victims_search *search)
{
	if (!search->exact)
		return;
	free(search->exact->taken);
	free(search->exact->gains);
	free(search->exact);
	search->exact = NULL;
}

static void take(struct victims_search *search, bool back)
{
	struct victims_exact *exact = search->exact;
	const struct victim_set *set = &search->set;
	uint32_t at = exact->depth, shapes = search->problem->shape_count;
	double sign = back ? -1 : 1;
	if (back)
		victims__lower(search, set->victims[at]);
	else
		victims__lift(search, set->victims[at]);
	exact->price += sign * search->victims[set->victims[at]].price;
	exact->worth += sign * set->worth[at];
	for (uint32_t s = 0; s < shapes; s++)
		exact->gains[s] += sign * set->gains[(size_t)at * shapes + s];
}

/* Whether what is taken, or with all that is left, could be enough by its sums. */
static bool enough(const struct victims_search *search, bool with_rest)
{
	const struct victims_exact *exact = search->exact;
	const struct victim_set *set = &search->set;
	uint32_t shapes = search->problem->shape_count;
	for (uint32_t s = 0; s < shapes; s++) {
		double gain = exact->gains[s];
		if (with_rest)
			gain += set->gains_from[(size_t)exact->depth * shapes + s];
		if (gain < set->missing[s] - 1e-6)
			return false;
	}
	return true;
}

/* By the planner's sums, with all that is left lifted for the moment. */
static bool rest_might(struct victims_search *search)
{
	const struct victim_set *set = &search->set;
	bool might;
	for (uint32_t i = search->exact->depth; i < set->count; i++)
		plan__lift(search->problem, &search->victims[set->victims[i]].lift, false);
	might = plan__might(search->problem, 0, &set->scope);
	for (uint32_t i = search->exact->depth; i < set->count; i++)
		plan__lift(search->problem, &search->victims[set->victims[i]].lift, true);
	return might;
}

static bool is_hopeless(struct victims_search *search)
{
	const struct victims_exact *exact = search->exact;
	double least = exact->price + victims__least(search, exact->depth, search->set.wanted - exact->worth);
	if (!enough(search, true) || (search->best.found && least >= search->best.price - VICTIMS_EPSILON))
		return true;
	return exact->whole && !exact->included && exact->depth > 0 && !rest_might(search);
}

/* Back to the last victim that was taken and was not yet left out. */
static bool back(struct victims_search *search)
{
	struct victims_exact *exact = search->exact;
	while (exact->depth > 0) {
		exact->depth--;
		if (!exact->taken[exact->depth])
			continue;
		exact->taken[exact->depth] = false;
		take(search, true);
		exact->depth++;
		exact->entering = true;
		exact->included = false;
		return true;
	}
	return false;
}

static size_t look(struct victims_search *search)
{
	struct victims_exact *exact = search->exact;
	size_t effort = EFFORT_LOOK;
	bool first = exact->depth == 0 && !exact->included;
	if (exact->whole && !exact->included)
		for (uint32_t i = exact->depth; i < search->set.count; i++)
			effort += 2 * victims__effort(&search->victims[search->set.victims[i]]);
	if (is_hopeless(search)) {
		exact->entering = false;
		return effort;
	}
	if (!exact->included || first || !enough(search, false))
		return effort;
	if (!victims__fits(search, &search->set.scope))
		return effort + (search->simple ? 0 : EFFORT_OFFER);
	victims__offer(search);
	return effort + EFFORT_OFFER;
}

static bool may_take(const struct victims_search *search)
{
	uint32_t victim = search->set.victims[search->exact->depth];
	return victims__allowed(search, &search->victims[victim]) && !victims__overlaps(search, victim);
}

bool victims__exact(struct victims_search *search, size_t *effort)
{
	if (!search->exact)
		begin(search);
	struct victims_exact *exact = search->exact;
	bool over = false;
	size_t spent = look(search);
	if (!exact->entering || exact->depth == search->set.count) {
		over = !back(search);
	} else if (may_take(search)) {
		spent += victims__effort(&search->victims[search->set.victims[exact->depth]]);
		take(search, false);
		exact->taken[exact->depth++] = true;
		exact->included = true;
	} else {
		exact->taken[exact->depth++] = false;
		exact->included = false;
	}
	*effort += spent;
	exact->effort -= spent < exact->effort ? spent : exact->effort;
	if (over || exact->effort == 0) {
		search->all_exact &= over;
		victims__lower_all(search);
		victims__exact_free(search);
		return true;
	}
	return false;
}
