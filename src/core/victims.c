#include "berth/victims.h"

#include <math.h>
#include <stdlib.h>

#include "core/victims_internal.h"

#define EFFORT_SCOPE 200
#define EFFORT_PLAN 300000
#define EFFORT_RULES 5000000 /* nothing else in that step */

/* ---- begin ---- */

void victims__read_budgets(struct victims_search *search)
{
	const struct victims_request *request = &search->request;
	size_t pools = search->fleet->policy ? search->fleet->policy->pool_count : 0;
	search->budget_count = request->budget_count + request->team_count * pools;
	search->allowed = xcalloc(search->budget_count + 1, sizeof(*search->allowed));
	search->drawn = xcalloc(search->budget_count + 1, sizeof(*search->drawn));
	search->demand_milli = xcalloc(pools + 1, sizeof(*search->demand_milli));
	for (size_t i = 0; i < request->budget_count; i++)
		search->allowed[i] = request->budgets[i] > 0 ? request->budgets[i] : 0;
	for (size_t t = 0; t < request->team_count; t++)
		for (size_t p = 0; p < pools; p++) {
			int64_t beyond = request->teams[t].used[p] - request->teams[t].guaranteed[p];
			search->allowed[request->budget_count + t * pools + p] = beyond > 0 ? beyond : 0;
		}
	for (size_t p = 0; p < pools; p++)
		search->demand_milli[p] = -1;
}

/* Entries of pods that end by themselves, as they are now, with room for `more`; to be freed. */
static const struct ledger_entry **coming_now(const struct victims_search *search, size_t more, size_t *count)
{
	const struct victims_request *request = &search->request;
	const struct ledger_entry **gone =
	    xcalloc(request->coming_count + more + 1, sizeof(const struct ledger_entry *));
	*count = 0;
	for (size_t i = 0; i < request->coming_count; i++) {
		const struct ledger_entry *entry = ledger_find(search->fleet, slice_of(request->coming[i]));
		if (entry)
			gone[(*count)++] = entry;
	}
	return gone;
}

static void take_as_gone(struct victims_search *search)
{
	struct plan_request *demand = &search->request.demand;
	free((void *)(uintptr_t)demand->gone);
	demand->gone = coming_now(search, 0, &demand->gone_count);
}

static void prepare(struct victims_search *search)
{
	const struct victims_request *request = &search->request;
	struct plan_problem *problem = search->problem = plan__prepare_sites(search->fleet, &search->request.demand);
	struct map sites = {0};
	for (uint32_t i = 0; request->taken_count > 0 && i < problem->site_count; i++)
		map_put(&sites, slice_of(problem->sites[i].name), (void *)(uintptr_t)(i + 1));
	for (size_t i = 0; i < request->taken_count; i++) {
		uintptr_t site = (uintptr_t)map_get(&sites, slice_of(request->taken[i].node));
		int64_t *row = site ? &problem->free[(site - 1) * problem->columns] : NULL;
		for (uint32_t c = 0; row && c < problem->columns; c++)
			row[c] -= resources_get(request->taken[i].demand, problem->resources[c]);
		if (row)
			plan__refit(problem, (uint32_t)site - 1);
	}
	map_free(&sites);
}

struct victims_search *victims_begin(const struct fleet *fleet, const struct victims_request *request)
{
	struct victims_search *search = xcalloc(1, sizeof(*search));
	search->fleet = fleet;
	search->request = *request;
	search->request.demand.quorum = 0;
	search->request.demand.gone = NULL;
	take_as_gone(search);
	search->all_exact = true;
	victims__read_teams(search);
	victims__read_budgets(search);
	search->bars = xcalloc(request->unit_count + 1, 1);
	prepare(search);
	search->node_changes = fleet->node_changes;
	search->policy_version = fleet->policy_version;
	if (request->demand.count == 0 || search->problem->reason != REASON_CODE_FITS ||
	    request->unit_count > VICTIMS_UNITS_MAX) {
		search->verdict = request->demand.count == 0 ? VICTIMS_NOT_NEEDED : VICTIMS_NO_ROOM;
		search->phase = PHASE_DONE;
	}
	return search;
}

/* ---- the phases ---- */

static size_t enter(struct victims_search *search, enum victim_phase phase)
{
	search->phase = phase;
	search->next = 0;
	return EFFORT_SCOPE;
}

/* Looks at the nodes once more: where they have changed, all is begun anew. */
static size_t read_rules(struct victims_search *search)
{
	struct plan_problem *problem = search->problem;
	take_as_gone(search);
	if (search->node_changes != search->fleet->node_changes) {
		struct plan plan;
		plan_finish(search->fleet, problem, &plan);
		plan_free(&plan);
		prepare(search);
		problem = search->problem;
		search->verdict = VICTIMS_NO_ROOM;
		if (problem->reason != REASON_CODE_FITS)
			return enter(search, PHASE_DONE);
	}
	plan__rules(problem, search->fleet);
	victims__read_pools(search);
	plan__want(problem, plan__keep_order(problem), problem->free_members);
	search->simple = problem->shape_count == 1 && problem->rule_count == 0 && problem->bundle_count == 1 &&
	                 problem->bundles[0].fixed_count == 0;
	return enter(search, PHASE_NONE) + (problem->rule_count > 0 ? EFFORT_RULES : 0);
}

static size_t scopes(const struct victims_search *search)
{
	return plan__scopes(search->problem, search->problem->bundles[0].require);
}

static struct plan_scope scope_at(const struct victims_search *search, size_t nth)
{
	return plan__scope(search->problem, search->problem->bundles[0].require, (uint32_t)nth);
}

static size_t gather(struct victims_search *search)
{
	if (search->next == 0)
		plan__lifter_init(&search->lifter, search->fleet, search->problem);
	if (search->next < search->request.unit_count)
		return victims__gather(search);
	victims__link(search);
	return enter(search, PHASE_LIFT);
}

/* One domain of those where the demand may fit with nothing ended. */
static size_t try_none(struct victims_search *search)
{
	if (search->next == scopes(search))
		return enter(search, PHASE_GATHER);
	struct plan_scope scope = scope_at(search, search->next++);
	if (!victims__fits(search, &scope))
		return EFFORT_SCOPE;
	search->verdict = VICTIMS_NOT_NEEDED;
	return enter(search, PHASE_PLAN);
}

static size_t note_most(struct victims_search *search)
{
	const struct plan_problem *problem = search->problem;
	size_t sites = problem->site_count;
	search->most = xcalloc(sites * problem->shape_count + 1, sizeof(*search->most));
	for (uint32_t s = 0; s < problem->shape_count; s++)
		memcpy(&search->most[s * sites], problem->shapes[s].left, sites * sizeof(*search->most));
	search->scopes = xcalloc(scopes(search) + 1, sizeof(*search->scopes));
	for (size_t i = 0; i < scopes(search); i++) {
		struct plan_scope scope = scope_at(search, i);
		if (plan__might(search->problem, 0, &scope))
			search->scopes[search->scope_count++].scope = scope;
	}
	return enter(search, PHASE_LOWER) + sites + EFFORT_SCOPE / 4 * scopes(search);
}

/* A part gives nothing beside the whole. */
static size_t lift_all(struct victims_search *search)
{
	if (search->next == search->count)
		return note_most(search);
	struct victim *victim = &search->victims[search->next++];
	if (victim->whole == PLAN_NONE)
		plan__lift(search->problem, &victim->lift, false);
	return victims__effort(victim);
}

static size_t lower_all(struct victims_search *search)
{
	if (search->next == search->count)
		return enter(search, PHASE_BOUND);
	struct victim *victim = &search->victims[search->next++];
	if (victim->whole == PLAN_NONE)
		plan__lift(search->problem, &victim->lift, true);
	return victims__effort(victim);
}

static int scope_order(const void *a, const void *b)
{
	const struct victim_scope *left = a, *right = b;
	if (left->bound != right->bound)
		return left->bound < right->bound ? -1 : 1;
	return left->scope.first < right->scope.first ? -1 : 1;
}

static size_t bound(struct victims_search *search)
{
	if (search->next < search->scope_count) {
		struct victim_scope *scope = &search->scopes[search->next++];
		size_t effort = victims__set(search, &scope->scope);
		scope->bound = victims__least(search, 0, search->set.wanted);
		return effort;
	}
	if (search->scope_count > 1)
		qsort(search->scopes, search->scope_count, sizeof(*search->scopes), scope_order);
	return enter(search, PHASE_SCOPE);
}

static size_t end_search(struct victims_search *search)
{
	if (search->best.found) {
		search->verdict = VICTIMS_FOUND;
		for (size_t i = 0; i < search->best.count; i++)
			victims__lift(search, search->best.victims[i]);
		return enter(search, PHASE_PLAN);
	}
	/* All victims and, one bar after the other, what that keeps. */
	for (uint32_t v = 0; v < search->count; v++)
		if (search->victims[v].whole == PLAN_NONE)
			victims__lift(search, v);
	search->missing = VICTIMS_BAR_NONE;
	return enter(search, PHASE_BARRED) + EFFORT_SCOPE * search->count;
}

static size_t next_scope(struct victims_search *search)
{
	if (search->scope_at == search->scope_count)
		return end_search(search);
	const struct victim_scope *scope = &search->scopes[search->scope_at++];
	if (search->best.found && scope->bound >= search->best.price - VICTIMS_EPSILON) {
		search->scope_at = search->scope_count;
		return EFFORT_SCOPE;
	}
	size_t effort = victims__set(search, &scope->scope);
	return enter(search, search->set.count > VICTIMS_EXACT ? PHASE_PACK : PHASE_EXACT) + effort;
}

static bool fits_anywhere(struct victims_search *search)
{
	for (size_t i = 0; i < scopes(search); i++) {
		struct plan_scope scope = scope_at(search, i);
		if (victims__fits(search, &scope))
			return true;
	}
	return false;
}

/* Which of the budgets all victims together would exceed. */
static enum victims_bar exceeded(const struct victims_search *search)
{
	for (size_t i = 0; i < search->request.budget_count; i++)
		if (search->drawn[i] > search->allowed[i])
			return VICTIMS_BAR_BUDGET;
	return VICTIMS_BAR_GUARANTEE;
}

/* What they are parts of is lifted in its turn. */
static void lower_parts(struct victims_search *search)
{
	for (uint32_t v = 0; v < search->count; v++)
		if (search->victims[v].lifted &&
		    search->request.units[search->victims[v].unit].part_of != VICTIMS_WHOLE)
			victims__lower(search, v);
}

/* The bar that would pass by itself comes first. */
static size_t lift_barred(struct victims_search *search)
{
	if (search->missing == VICTIMS_BAR_NONE || search->next == search->request.unit_count) {
		if (fits_anywhere(search)) {
			search->verdict = VICTIMS_BARRED;
			if (search->missing == VICTIMS_BAR_NONE)
				search->missing = exceeded(search);
			return enter(search, PHASE_PLAN);
		}
		if (search->missing == VICTIMS_BAR_NONE)
			lower_parts(search);
		search->missing = search->missing == VICTIMS_BAR_NONE ? VICTIMS_BAR_COUNT - 1 : search->missing - 1;
		if (search->missing == VICTIMS_BAR_NONE) {
			search->verdict = VICTIMS_NO_ROOM;
			return enter(search, PHASE_PLAN);
		}
		return enter(search, PHASE_BARRED) + EFFORT_PLAN;
	}
	size_t before = search->count, effort = victims__gather(search);
	if (search->count > before)
		plan__lift(search->problem, &search->victims[before].lift, false);
	return effort;
}

static size_t make_plan(struct victims_search *search)
{
	plan__anew(search->problem);
	if (search->verdict == VICTIMS_BARRED)
		search->problem->reason = REASON_CODE_GANG_NO_ROOM;
	else
		plan_solve(search->problem);
	search->phase = PHASE_DONE;
	return EFFORT_PLAN;
}

static size_t step(struct victims_search *search)
{
	size_t effort = 1;
	switch (search->phase) {
	case PHASE_GATHER:
		return gather(search);
	case PHASE_RULES:
		return read_rules(search);
	case PHASE_NONE:
		return try_none(search);
	case PHASE_LIFT:
		return lift_all(search);
	case PHASE_LOWER:
		return lower_all(search);
	case PHASE_BOUND:
		return bound(search);
	case PHASE_SCOPE:
		return next_scope(search);
	case PHASE_PACK:
		if (victims__pack(search, &effort))
			enter(search, search->settled ? PHASE_SCOPE : PHASE_GREEDY);
		return effort;
	case PHASE_GREEDY:
		if (victims__greedy(search, &effort))
			enter(search, PHASE_EXACT);
		return effort;
	case PHASE_EXACT:
		if (victims__exact(search, &effort))
			enter(search, PHASE_SCOPE);
		return effort;
	case PHASE_BARRED:
		return lift_barred(search);
	case PHASE_PLAN:
		return make_plan(search);
	case PHASE_DONE:
		break;
	}
	return effort;
}

bool victims_step(struct victims_search *search, size_t effort)
{
	if (search->policy_version != search->fleet->policy_version) {
		search->phase = PHASE_DONE;
		search->verdict = VICTIMS_OVERTAKEN;
	}
	for (size_t spent = 0; spent < effort && search->phase != PHASE_DONE;)
		spent += step(search);
	return search->phase == PHASE_DONE;
}

/* ---- the answer ---- */

static void write_chosen(const struct victims_search *search, struct victims_answer *answer)
{
	answer->count = search->best.count;
	answer->chosen = xcalloc(answer->count + 1, sizeof(*answer->chosen));
	for (size_t i = 0; i < answer->count; i++) {
		const struct victim *victim = &search->victims[search->best.victims[i]];
		size_t at = i;
		for (; at > 0 && answer->chosen[at - 1].unit > victim->unit; at--)
			answer->chosen[at] = answer->chosen[at - 1];
		answer->chosen[at] = (struct victims_chosen){victim->unit, victim->right, victim->cost, victim->milli};
		answer->cost.lost_work += victim->cost.lost_work;
		answer->cost.class_ += victim->cost.class_;
		answer->cost.age += victim->cost.age;
		answer->cost.units += victim->cost.units;
		answer->cost.budgets += victim->cost.budgets;
		answer->cost.moves += victim->cost.moves;
	}
	answer->cost.blocks = search->best.blocks;
	answer->exact = search->all_exact;
}

/* The chosen units' entries as they are now, and those of pods that end by themselves. */
static const struct ledger_entry **gone_now(
    const struct fleet *fleet, const struct victims_search *search, const struct victims_answer *answer, size_t *count)
{
	size_t members = 0;
	for (size_t i = 0; i < answer->count; i++)
		members += search->request.units[answer->chosen[i].unit].member_count;
	const struct ledger_entry **gone = coming_now(search, members, count);
	for (size_t i = 0; i < answer->count; i++) {
		const struct victims_unit *unit = &search->request.units[answer->chosen[i].unit];
		for (size_t m = 0; m < unit->member_count; m++) {
			const struct ledger_entry *entry = ledger_find(fleet, slice_of(unit->members[m]));
			if (entry)
				gone[(*count)++] = entry;
		}
	}
	return gone;
}

static void search_free(struct victims_search *search)
{
	victims__pack_free(search);
	victims__greedy_free(search);
	victims__exact_free(search);
	victims__set_free(&search->set);
	plan__lifter_free(&search->lifter);
	for (size_t v = 0; v < search->count; v++) {
		plan__lift_free(&search->victims[v].lift);
		free(search->victims[v].draws);
	}
	free(search->victims);
	free(search->bars);
	victims__free_teams(search);
	free(search->demand_milli);
	free(search->allowed);
	free(search->drawn);
	free(search->use_first);
	free(search->uses);
	free(search->most);
	free(search->scopes);
	free(search->place);
	free(search->best.victims);
	free((void *)(uintptr_t)search->request.demand.gone);
	free(search);
}

void victims_finish(const struct fleet *fleet, struct victims_search *search, struct victims_answer *answer)
{
	bool done = search->phase == PHASE_DONE && search->policy_version == fleet->policy_version;
	struct plan_request request = *search->problem->request;
	*answer = (struct victims_answer){.verdict = done ? search->verdict : VICTIMS_OVERTAKEN};
	memcpy(answer->bars, search->bar_counts, sizeof(answer->bars));
	if (answer->verdict == VICTIMS_BARRED)
		answer->missing = search->missing;
	if (answer->verdict == VICTIMS_FOUND)
		write_chosen(search, answer);
	if (!done || search->verdict == VICTIMS_OVERTAKEN)
		plan__anew(search->problem);
	request.gone = gone_now(fleet, search, answer, &request.gone_count);
	search->problem->request = &request;
	plan_finish(fleet, search->problem, &answer->plan);
	bool placed = answer->plan.reason == REASON_CODE_FITS && answer->plan.placed == answer->plan.count;
	bool held = answer->verdict != VICTIMS_FOUND && answer->verdict != VICTIMS_NOT_NEEDED;
	if (!held && !placed)
		answer->verdict = VICTIMS_OVERTAKEN;
	free((void *)(uintptr_t)request.gone);
	search_free(search);
}

void victims_answer_free(struct victims_answer *answer)
{
	free(answer->chosen);
	plan_free(&answer->plan);
	*answer = (struct victims_answer){0};
}

void victims_choose(const struct fleet *fleet, const struct victims_request *request, struct victims_answer *answer)
{
	struct victims_search *search = victims_begin(fleet, request);
	while (!victims_step(search, SIZE_MAX))
		;
	victims_finish(fleet, search, answer);
}

enum victims_bar victims_judge(
    const struct fleet *fleet, const struct victims_request *request, size_t unit, enum victims_right *right)
{
	struct victims_search search = {.fleet = fleet, .request = *request, .phase = PHASE_GATHER};
	struct victim victim = {.unit = unit, .whole = PLAN_NONE};
	size_t count;
	victims__read_teams(&search);
	victims__read_budgets(&search);
	const struct ledger_entry **entries = victims__entries(fleet, &request->units[unit], &count);
	enum victims_bar bar = victims__judge(&search, unit, entries, count, right);
	victims__add_draws(&search, &victim, entries, count);
	if (bar == VICTIMS_BAR_NONE)
		bar = victims__judge_draws(&search, &victim);
	victims__free_teams(&search);
	free(entries);
	free(victim.draws);
	free(search.demand_milli);
	free(search.allowed);
	free(search.drawn);
	return bar;
}
