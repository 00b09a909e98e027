/* What a unit bears, and what it costs. */
#include "core/victims_internal.h"

#include <stdlib.h>

#include "berth/headroom.h"
#include "core/usage.h"

#define SECOND_NS 1e9
#define HOUR_NS (3600 * SECOND_NS)

const char *victims_bar_text(enum victims_bar bar)
{
	static const char *const texts[] = {
#define X(id, text) [VICTIMS_BAR_##id] = (text),
	    VICTIMS_BAR_TABLE(X)
#undef X
	};
	return texts[bar];
}

const char *victims_right_text(enum victims_right right)
{
	static const char *const texts[] = {
	    [VICTIMS_BY_PREEMPT] = "mayPreempt", [VICTIMS_BY_LENT] = "lendTo", [VICTIMS_BY_RECLAIM] = "reclaim"};
	return texts[right];
}

double victims_cost_total(const struct victims_cost *cost)
{
	return cost->lost_work + cost->class_ + cost->age + cost->units + cost->budgets + cost->blocks + cost->moves;
}

const struct ledger_entry **victims__entries(const struct fleet *fleet, const struct victims_unit *unit, size_t *count)
{
	const struct ledger_entry **entries = xcalloc(unit->member_count + 1, sizeof(*entries));
	*count = 0;
	for (size_t i = 0; i < unit->member_count; i++) {
		const struct ledger_entry *entry = ledger_find(fleet, slice_of(unit->members[i]));
		if (entry)
			entries[(*count)++] = entry;
	}
	return entries;
}

/* ---- rights ---- */

static const struct victims_team *team_at(const struct victims_request *request, uint16_t team)
{
	return team < request->team_count ? &request->teams[team] : NULL;
}

/* Whether `above` is the team or one above it. */
static bool is_within(const struct victims_request *request, uint16_t team, uint16_t above)
{
	while (team != above && team_at(request, team))
		team = request->teams[team].parent;
	return team == above;
}

/* What the whole demand takes of nodes like this one. */
static int64_t demand_on(struct victims_search *search, const struct node *node)
{
	const struct plan_request *demand = &search->request.demand;
	int64_t *milli = &search->demand_milli[node->pool];
	if (search->takes_milli > 0)
		return search->takes_milli;
	if (*milli < 0) {
		*milli = 0;
		for (size_t i = 0; i < demand->count; i++)
			*milli = resource_sum(*milli, usage_milli(node->spec, &demand->members[i].pod->demand));
	}
	return *milli;
}

/* What those below a team are guaranteed and do not use, but for one of them. */
static int64_t owed_below(const struct victims_request *request, uint16_t above, uint16_t but, uint16_t pool)
{
	int64_t owed = 0;
	for (uint16_t t = 0; t < request->team_count; t++) {
		const struct victims_team *team = &request->teams[t];
		int64_t unmet = team->guaranteed[pool] - team->used[pool];
		if (team->parent == above && t != but && unmet > 0)
			owed = resource_sum(owed, unmet);
	}
	return owed;
}

/* Some team of the demand's, but none that the unit is of as well, stays within its guarantee, and leaves the others
 * below it theirs. */
static bool may_claim(struct victims_search *search, uint16_t of, const struct node *node)
{
	const struct victims_request *request = &search->request;
	uint16_t below = VICTIMS_NONE;
	for (uint16_t t = request->team; team_at(request, t); below = t, t = request->teams[t].parent) {
		const struct victims_team *team = &request->teams[t];
		int64_t left = team->guaranteed[node->pool] - team->used[node->pool];
		if (!is_within(request, of, t) &&
		    demand_on(search, node) <= left - owed_below(request, t, below, node->pool))
			return true;
	}
	return false;
}

/* What a team is guaranteed beyond what those below it are is for all of them: whether they use more than that. */
static bool is_overused(const struct victims_request *request, uint16_t above, uint16_t pool)
{
	int64_t beyond = request->teams[above].used[pool], left = request->teams[above].guaranteed[pool];
	if (left == 0)
		return true;
	for (uint16_t t = 0; t < request->team_count; t++) {
		const struct victims_team *team = &request->teams[t];
		if (team->parent != above)
			continue;
		beyond -= team->used[pool] < team->guaranteed[pool] ? team->used[pool] : team->guaranteed[pool];
		left -= team->guaranteed[pool];
	}
	return beyond > left;
}

/* The unit's team is beyond its guarantee, and beyond its part of that of the team that it has in common with the
 * demand's. */
static bool is_beyond(const struct victims_request *request, uint16_t of, uint16_t pool)
{
	uint16_t common = of;
	if (request->teams[of].used[pool] <= request->teams[of].guaranteed[pool])
		return false;
	while (team_at(request, common) && !is_within(request, request->team, common))
		common = request->teams[common].parent;
	return !team_at(request, common) || is_overused(request, common, pool);
}

static bool may_reclaim(struct victims_search *search, const struct victims_unit *unit,
    const struct ledger_entry *const *entries, size_t count)
{
	uint16_t of = victims__team(search, unit, entries, count);
	bool any = false;
	for (size_t i = 0; team_at(&search->request, of) && i < count; i++) {
		const struct node *node = entries[i]->node;
		if (!node->spec || node->pool == POOL_NONE || usage_milli(node->spec, &entries[i]->demand) == 0)
			continue;
		any = true;
		if (!is_beyond(&search->request, of, node->pool) || !may_claim(search, of, node))
			return false;
	}
	return any;
}

/* Whether some of its room is lent from the headroom of the demand's class, and due back. */
static bool is_lent(const struct victims_search *search, const struct victims_unit *unit,
    const struct ledger_entry *const *entries, size_t count)
{
	const struct fleet *fleet = search->fleet;
	bool lent = unit->lent_by != VICTIMS_NONE && unit->lent_by == search->request.class_;
	for (size_t i = 0; i < count && !lent; i++)
		lent = entries[i]->node->headroom && fleet->windows[entries[i]->node->headroom->rule].open &&
		       headroom_lent_by(fleet, entries[i]) == search->request.class_;
	return lent;
}

static enum victims_bar judge_right(struct victims_search *search, const struct victims_unit *unit,
    const struct ledger_entry *const *entries, size_t count, enum victims_right *right)
{
	const struct victims_request *request = &search->request;
	const struct policy *policy = search->fleet->policy;
	bool preempt = policy_may_preempt(policy, &policy->classes[request->class_], &policy->classes[unit->class_]);
	bool lent = is_lent(search, unit, entries, count);
	bool lower = unit->priority < request->priority;
	if (lent && lower) {
		*right = VICTIMS_BY_LENT;
	} else if (preempt && unit->priority <= request->priority) {
		*right = VICTIMS_BY_PREEMPT;
	} else if (may_reclaim(search, unit, entries, count)) {
		*right = VICTIMS_BY_RECLAIM;
		return lower ? VICTIMS_BAR_NONE : VICTIMS_BAR_PRIORITY;
	} else {
		return preempt || lent ? VICTIMS_BAR_PRIORITY : VICTIMS_BAR_NO_RIGHT;
	}
	return VICTIMS_BAR_NONE;
}

static int64_t since(const struct victims_search *search, int64_t start_ns)
{
	return start_ns < search->request.now_ns ? search->request.now_ns - start_ns : 0;
}

enum victims_bar victims__judge(struct victims_search *search, size_t number, const struct ledger_entry *const *entries,
    size_t count, enum victims_right *right)
{
	const struct victims_request *request = &search->request;
	const struct victims_unit *unit = &request->units[number];
	const struct policy *policy = search->fleet->policy;
	if (!policy || unit->class_ >= policy->class_count || request->class_ >= policy->class_count)
		return VICTIMS_BAR_NO_RIGHT;
	const struct policy_victim *rules = &policy->classes[unit->class_].victim;
	enum victims_bar bar = judge_right(search, unit, entries, count, right);
	if (bar != VICTIMS_BAR_NONE)
		return bar;
	if (unit->keep)
		return VICTIMS_BAR_KEPT;
	if (!unit->recreated && !rules->evict)
		return VICTIMS_BAR_NOT_RECREATED;
	if (since(search, unit->start_ns) < rules->min_runtime_ns)
		return VICTIMS_BAR_MIN_RUNTIME;
	return request->moves_max > 0 && unit->moves >= request->moves_max ? VICTIMS_BAR_MOVED : VICTIMS_BAR_NONE;
}

/* ---- cost ---- */

void victims__price(struct victims_search *search, struct victim *victim)
{
	const struct victims_unit *unit = &search->request.units[victim->unit];
	int64_t saved = unit->checkpoint_ns > unit->start_ns ? unit->checkpoint_ns : unit->start_ns, pods = 0;
	double hours = (double)since(search, unit->start_ns) / HOUR_NS;
	for (size_t i = 0; i < unit->draw_count; i++)
		pods = resource_sum(pods, unit->draws[i].pods);
	victim->cost = (struct victims_cost){
	    .lost_work = (double)victim->milli / MILLI_GPU * ((double)since(search, saved) / SECOND_NS),
	    .class_ = VICTIMS_COST_CLASS * (double)(search->fleet->policy->class_count - 1 - unit->class_),
	    .age = VICTIMS_COST_HOUR * (hours < VICTIMS_HOURS_MAX ? hours : VICTIMS_HOURS_MAX),
	    .units = VICTIMS_COST_UNIT,
	    .budgets = VICTIMS_COST_DRAW * (double)pods,
	    .moves = VICTIMS_COST_MOVE * (double)unit->moves};
	victim->price = victims_cost_total(&victim->cost);
}

bool victims__allowed(const struct victims_search *search, const struct victim *victim)
{
	for (size_t i = 0; i < victim->draw_count; i++) {
		uint32_t budget = victim->draws[i].budget;
		if (resource_sum(search->drawn[budget], victim->draws[i].amount) > search->allowed[budget])
			return false;
	}
	return true;
}
