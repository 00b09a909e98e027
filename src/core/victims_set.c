/* Which victims help in a scope, what they can give at most, and whether the demand fits. */
#include "core/victims_internal.h"

#include <math.h>
#include <stdlib.h>

#define FIT_BUDGET 20000 /* steps of the planner's search for one look: some 3 ms */
#define EFFORT_USE 60

size_t victims__effort(const struct victim *victim)
{
	return 100 + (size_t)60 * victim->lift.count;
}

bool victims__overlaps(const struct victims_search *search, uint32_t number)
{
	const struct victim *victim = &search->victims[number];
	return victim->parts_lifted > 0 || (victim->whole != PLAN_NONE && search->victims[victim->whole].lifted);
}

/* ---- what one victim gives at most ---- */

/* Members of a shape that come to fit on a site are no more than the room given back would hold together with what is
 * free there and too little for a member; of the resource that is scarcest there now. Whoever is first has that rest,
 * so each is given it: the sum is then no less than what any set gives. */
static double gain_at(const struct victims_search *search, const struct victim *victim, uint32_t use, uint32_t s)
{
	const struct plan_problem *problem = search->problem;
	const struct plan_shape *shape = &problem->shapes[s];
	uint32_t site = victim->lift.sites[use], scarce = PLAN_NONE;
	const int64_t *row = &problem->free[(size_t)site * problem->columns];
	uint32_t most = search->most[(size_t)s * problem->site_count + site], now = shape->left[site];
	double least = INFINITY;
	if (most <= now)
		return 0;
	for (uint32_t c = 0; c < problem->columns; c++) {
		double left = shape->demand[c] > 0 ? (double)row[c] / (double)shape->demand[c] : INFINITY;
		if (left >= least)
			continue;
		least = left;
		scarce = c;
	}
	if (scarce == PLAN_NONE)
		return 0;
	int64_t given = victim->lift.amounts[(size_t)use * problem->columns + scarce];
	int64_t rest = row[scarce] > 0 ? row[scarce] % shape->demand[scarce] : 0;
	double gain = given > 0 ? (double)(rest + given) / (double)shape->demand[scarce] : 0;
	return gain < most - now ? gain : most - now;
}

static uint32_t place_in(struct victims_search *search, uint32_t number)
{
	struct victim_set *set = &search->set;
	if (search->place[number] == PLAN_NONE) {
		set->victims = xgrow(set->victims, set->count, &set->room, sizeof(*set->victims));
		search->place[number] = set->count;
		set->victims[set->count++] = number;
	}
	return search->place[number];
}

/* Whether a look at the shapes one by one may miss what the victim gives. */
static bool helps_unseen(const struct victims_search *search, const struct victim *victim)
{
	return victim->lift.tally_count > 0 || search->problem->shape_count > 1;
}

static size_t collect(struct victims_search *search, const struct plan_scope *scope)
{
	size_t effort = 100;
	for (uint32_t site = scope->first; site < scope->end; site++)
		for (uint32_t u = search->use_first[site]; u < search->use_first[site + 1]; u++) {
			place_in(search, search->uses[u]);
			effort += EFFORT_USE;
		}
	for (uint32_t v = 0; search->problem->rule_count > 0 && v < search->count; v++)
		if (search->victims[v].lift.tally_count > 0)
			place_in(search, v);
	return effort;
}

/* ---- the order of the set ---- */

struct ranked {
	double ratio, worth;
	uint32_t victim, at; /* before they are ranked */
};

static int ranked_order(const void *a, const void *b)
{
	const struct ranked *left = a, *right = b;
	if (left->ratio != right->ratio)
		return left->ratio < right->ratio ? -1 : 1;
	return left->victim < right->victim ? -1 : 1;
}

static double worth_of(const struct victim_set *set, const double *gains, uint32_t shapes)
{
	double worth = 0;
	for (uint32_t s = 0; s < shapes; s++)
		if (set->missing[s] > 0)
			worth += (gains[s] < set->missing[s] ? gains[s] : set->missing[s]) / set->missing[s];
	return worth;
}

/* Gains of each in the scope; those that give nothing are left out. */
static void weigh(struct victims_search *search, struct ranked *ranked, double *gains)
{
	const struct plan_problem *problem = search->problem;
	struct victim_set *set = &search->set;
	uint32_t kept = 0;
	for (uint32_t i = 0; i < set->count; i++) {
		const struct victim *victim = &search->victims[set->victims[i]];
		double *of = &gains[(size_t)i * problem->shape_count], sum = 0;
		for (uint32_t use = 0; use < victim->lift.count; use++) {
			uint32_t site = victim->lift.sites[use];
			if (site < set->scope.first || site >= set->scope.end)
				continue;
			for (uint32_t s = 0; s < problem->shape_count; s++) {
				double gain = gain_at(search, victim, use, s);
				of[s] += gain;
				sum += gain;
			}
		}
		search->place[set->victims[i]] = PLAN_NONE;
		if (sum <= 0 && !helps_unseen(search, victim))
			continue;
		double worth = worth_of(set, of, problem->shape_count);
		ranked[kept++] =
		    (struct ranked){worth > 0 ? victim->price / worth : INFINITY, worth, set->victims[i], i};
	}
	set->count = kept;
	if (kept > 1)
		qsort(ranked, kept, sizeof(*ranked), ranked_order);
}

static void write_set(struct victims_search *search, const struct ranked *ranked, const double *gains)
{
	struct victim_set *set = &search->set;
	uint32_t shapes = search->problem->shape_count, count = set->count;
	set->gains = xcalloc((size_t)(count + 1) * shapes, sizeof(double));
	set->gains_from = xcalloc((size_t)(count + 1) * shapes, sizeof(double));
	set->worth = xcalloc((size_t)count + 1, sizeof(double));
	set->worth_until = xcalloc((size_t)count + 1, sizeof(double));
	set->price_until = xcalloc((size_t)count + 1, sizeof(double));
	for (uint32_t i = 0; i < count; i++) {
		set->victims[i] = ranked[i].victim;
		search->place[ranked[i].victim] = i;
		set->worth[i] = ranked[i].worth;
		set->worth_until[i + 1] = set->worth_until[i] + ranked[i].worth;
		set->price_until[i + 1] = set->price_until[i] + search->victims[ranked[i].victim].price;
		memcpy(&set->gains[(size_t)i * shapes], &gains[(size_t)ranked[i].at * shapes], shapes * sizeof(double));
	}
	for (uint32_t i = count; i-- > 0;)
		for (uint32_t s = 0; s < shapes; s++)
			set->gains_from[(size_t)i * shapes + s] =
			    set->gains_from[(size_t)(i + 1) * shapes + s] + set->gains[(size_t)i * shapes + s];
}

void victims__set_free(struct victim_set *set)
{
	free(set->victims);
	free(set->gains);
	free(set->worth);
	free(set->worth_until);
	free(set->price_until);
	free(set->gains_from);
	free(set->missing);
	*set = (struct victim_set){0};
}

size_t victims__set(struct victims_search *search, const struct plan_scope *scope)
{
	const struct plan_problem *problem = search->problem;
	struct victim_set *set = &search->set;
	for (uint32_t i = 0; i < set->count; i++)
		search->place[set->victims[i]] = PLAN_NONE;
	victims__set_free(set);
	set->scope = *scope;
	set->missing = xcalloc((size_t)problem->shape_count + 1, sizeof(double));
	for (uint32_t s = 0; s < problem->shape_count; s++) {
		set->missing[s] = (double)problem->wanted[s] - (double)plan__sum(problem, s, scope);
		set->wanted += set->missing[s] > 0;
	}
	size_t effort = collect(search, scope);
	struct ranked *ranked = xcalloc((size_t)set->count + 1, sizeof(*ranked));
	double *gains = xcalloc((size_t)set->count * problem->shape_count + 1, sizeof(*gains));
	for (uint32_t i = 0; i < set->count; i++)
		effort += victims__effort(&search->victims[set->victims[i]]);
	weigh(search, ranked, gains);
	write_set(search, ranked, gains);
	free(ranked);
	free(gains);
	return effort;
}

/* The cheapest for their worth, the last of them in part. */
double victims__least(const struct victims_search *search, uint32_t from, double worth)
{
	const struct victim_set *set = &search->set;
	double until = set->worth_until[from] + worth;
	uint32_t low = from, high = set->count;
	if (worth <= VICTIMS_EPSILON)
		return 0;
	if (set->worth_until[set->count] < until - VICTIMS_EPSILON)
		return INFINITY;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (set->worth_until[middle + 1] < until - VICTIMS_EPSILON)
			low = middle + 1;
		else
			high = middle;
	}
	if (low >= set->count)
		return set->price_until[set->count] - set->price_until[from];
	double part = set->worth[low] > 0 ? (until - set->worth_until[low]) / set->worth[low] : 1;
	return set->price_until[low] - set->price_until[from] +
	       (part < 1 ? part : 1) * search->victims[set->victims[low]].price;
}

/* ---- whether it fits, and what that costs ---- */

bool victims__fits(struct victims_search *search, const struct plan_scope *scope)
{
	struct plan_problem *problem = search->problem;
	if (!plan__might(problem, 0, scope))
		return false;
	if (search->simple)
		return true;
	plan__anew(problem);
	problem->budget = FIT_BUDGET;
	problem->effort = PLAN_EFFORT;
	return plan__try_scope(problem, scope, 0, true);
}

void victims__offer(struct victims_search *search)
{
	struct victim_best *best = &search->best;
	size_t count = 0;
	double price = 0;
	for (uint32_t v = 0; v < search->count; v++)
		if (search->victims[v].lifted) {
			price += search->victims[v].price;
			count++;
		}
	if (best->found && price >= best->price - VICTIMS_EPSILON)
		return;
	plan__anew(search->problem);
	plan_solve(search->problem);
	double blocks = VICTIMS_COST_BLOCK * (double)search->problem->score.block_destroyed;
	if (!search->problem->solved || !victims__within_bounds(search) ||
	    (best->found && price + blocks >= best->price - VICTIMS_EPSILON))
		return;
	while (best->room < count)
		best->victims = xgrow(best->victims, best->room, &best->room, sizeof(*best->victims));
	best->found = true;
	best->price = price + blocks;
	best->blocks = blocks;
	best->count = 0;
	for (uint32_t v = 0; v < search->count; v++)
		if (search->victims[v].lifted)
			best->victims[best->count++] = v;
}
