/* Units → victims: what each gives back where, and what it draws on. */
#include "core/victims_internal.h"

#include <stdlib.h>

#include "core/usage.h"

#define EFFORT_UNIT 300
#define EFFORT_MEMBER 300
#define EFFORT_SITE 60

static void add_draw(struct victim *victim, size_t budget, int64_t amount)
{
	for (size_t i = 0; i < victim->draw_count; i++) {
		struct victim_draw *draw = &victim->draws[i];
		if (draw->budget != budget)
			continue;
		draw->amount = resource_sum(draw->amount, amount);
		return;
	}
	victim->draws = xgrow(victim->draws, victim->draw_count, &victim->draw_room, sizeof(*victim->draws));
	victim->draws[victim->draw_count++] = (struct victim_draw){(uint32_t)budget, amount};
}

static bool is_demands(const struct victims_request *request, uint16_t team)
{
	uint16_t own = request->team;
	while (own != team && own < request->team_count)
		own = request->teams[own].parent;
	return own == team;
}

static void draw_teams(struct victims_search *search, struct victim *victim, const struct node *node, int64_t milli)
{
	const struct victims_request *request = &search->request;
	size_t pools = search->fleet->policy->pool_count;
	uint16_t team = victim->team;
	for (; team < request->team_count; team = request->teams[team].parent)
		if (request->teams[team].guaranteed[node->pool] > 0 && !is_demands(request, team))
			add_draw(victim, request->budget_count + team * pools + node->pool, milli);
}

void victims__add_draws(
    struct victims_search *search, struct victim *victim, const struct ledger_entry *const *entries, size_t count)
{
	const struct victims_unit *unit = &search->request.units[victim->unit];
	victim->team = victims__team(search, unit, entries, count);
	victim->pool = count > 0 ? entries[0]->node->pool : POOL_NONE;
	for (size_t i = 0; i < unit->draw_count; i++)
		if (unit->draws[i].budget < search->request.budget_count && unit->draws[i].pods > 0)
			add_draw(victim, unit->draws[i].budget, unit->draws[i].pods);
	for (size_t i = 0; i < count; i++) {
		const struct node *node = entries[i]->node;
		int64_t milli = node->spec ? usage_milli(node->spec, &entries[i]->demand) : 0;
		victim->milli = resource_sum(victim->milli, milli);
		if (milli > 0 && node->pool != POOL_NONE)
			draw_teams(search, victim, node, milli);
	}
}

enum victims_bar victims__judge_draws(const struct victims_search *search, const struct victim *victim)
{
	enum victims_bar bar = VICTIMS_BAR_NONE;
	for (size_t i = 0; i < victim->draw_count; i++) {
		const struct victim_draw *draw = &victim->draws[i];
		if (draw->amount <= search->allowed[draw->budget])
			continue;
		if (draw->budget >= search->request.budget_count)
			return VICTIMS_BAR_GUARANTEE;
		bar = VICTIMS_BAR_BUDGET;
	}
	return bar;
}

static void victim_free(struct victim *victim)
{
	plan__lift_free(&victim->lift);
	free(victim->draws);
}

static void add_victim(
    struct victims_search *search, struct victim *victim, const struct ledger_entry *const *entries, size_t count)
{
	plan__lifter_next(&search->lifter);
	for (size_t i = 0; i < count; i++)
		plan__lifter_add(&search->lifter, &victim->lift, entries[i]);
	victims__price(search, victim);
	search->victims = xgrow(search->victims, search->count, &search->room, sizeof(*search->victims));
	search->victims[search->count++] = *victim;
}

/* Either what may be ended or, later, what that bar keeps. */
size_t victims__gather(struct victims_search *search)
{
	size_t number = search->next++, count;
	const struct victims_unit *unit = &search->request.units[number];
	struct victim victim = {.unit = number, .whole = PLAN_NONE};
	if (search->phase == PHASE_BARRED &&
	    (search->bars[number] != search->missing || unit->part_of != VICTIMS_WHOLE))
		return 1;
	const struct ledger_entry **entries = victims__entries(search->fleet, unit, &count);
	if (search->phase == PHASE_GATHER) {
		enum victims_bar bar = victims__judge(search, number, entries, count, &victim.right);
		victims__add_draws(search, &victim, entries, count);
		search->bars[number] = (uint8_t)(bar != VICTIMS_BAR_NONE ? bar : victims__judge_draws(search, &victim));
		search->bar_counts[search->bars[number]]++;
	}
	if (search->phase == PHASE_BARRED || search->bars[number] == VICTIMS_BAR_NONE)
		add_victim(search, &victim, entries, count);
	else
		victim_free(&victim);
	free(entries);
	return EFFORT_UNIT + EFFORT_MEMBER * unit->member_count;
}

static int victim_order(const void *a, const void *b, void *ctx)
{
	const struct victim *left = a, *right = b;
	const struct victims_unit *units = ctx;
	int order = strcmp(units[left->unit].id, units[right->unit].id);
	return order != 0 ? order : (left->unit > right->unit) - (left->unit < right->unit);
}

static void link_parts(struct victims_search *search)
{
	uint32_t *of = xcalloc(search->request.unit_count + 1, sizeof(*of));
	for (uint32_t v = 0; v < search->count; v++)
		of[search->victims[v].unit] = v + 1;
	for (uint32_t v = 0; v < search->count; v++) {
		size_t whole = search->request.units[search->victims[v].unit].part_of;
		if (whole < search->request.unit_count && of[whole] > 0)
			search->victims[v].whole = of[whole] - 1;
	}
	free(of);
}

static void link_sites(struct victims_search *search)
{
	uint32_t sites = search->problem->site_count, sum = 0;
	search->use_first = xcalloc((size_t)sites + 2, sizeof(*search->use_first));
	for (uint32_t v = 0; v < search->count; v++)
		for (uint32_t i = 0; i < search->victims[v].lift.count; i++)
			search->use_first[search->victims[v].lift.sites[i] + 2]++;
	for (uint32_t i = 2; i < sites + 2; i++)
		sum = search->use_first[i] += sum;
	search->uses = xcalloc((size_t)sum + 1, sizeof(*search->uses));
	for (uint32_t v = 0; v < search->count; v++)
		for (uint32_t i = 0; i < search->victims[v].lift.count; i++)
			search->uses[search->use_first[search->victims[v].lift.sites[i] + 1]++] = v;
}

void victims__link(struct victims_search *search)
{
	if (search->count > 1)
		qsort_r(search->victims, search->count, sizeof(*search->victims), victim_order,
		    (void *)(uintptr_t)search->request.units);
	link_parts(search);
	link_sites(search);
	search->place = xcalloc(search->count + 1, sizeof(*search->place));
	for (uint32_t v = 0; v < search->count; v++)
		search->place[v] = PLAN_NONE;
}

void victims__mark(struct victims_search *search, uint32_t number, bool lifted)
{
	struct victim *victim = &search->victims[number];
	victim->lifted = lifted;
	if (victim->whole != PLAN_NONE)
		search->victims[victim->whole].parts_lifted += lifted ? 1u : 0u - 1u;
	for (size_t i = 0; i < victim->draw_count; i++)
		search->drawn[victim->draws[i].budget] += (lifted ? 1 : -1) * victim->draws[i].amount;
}

void victims__lift(struct victims_search *search, uint32_t number)
{
	plan__lift(search->problem, &search->victims[number].lift, false);
	victims__mark(search, number, true);
}

void victims__lower(struct victims_search *search, uint32_t number)
{
	plan__lift(search->problem, &search->victims[number].lift, true);
	victims__mark(search, number, false);
}

void victims__lower_all(struct victims_search *search)
{
	for (uint32_t v = 0; v < search->count; v++)
		if (search->victims[v].lifted)
			victims__lower(search, v);
}
