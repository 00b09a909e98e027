/* Packing places many members at a time, in no order that kube-scheduler would accept, so rules that depend on order
 * are turned into bounds before: a spread constraint into a quota for each domain, an affinity of members to one
 * another into a pin on one domain. What comes out is checked by plan__rules_order. */
#include "core/plan_internal.h"

#include <stdlib.h>

#define PINS 8

/* Members to place that a rule means. */
static uint32_t wanted(const struct plan_problem *problem, const bool *by_shape)
{
	uint32_t sum = 0;
	for (uint32_t k = 0; k < problem->kind_count; k++)
		if (by_shape[problem->kinds[k].shape])
			sum += problem->kinds[k].want;
	return sum;
}

/* How many of the widest of these shapes each value of the rule's first key takes within the scope. */
static uint32_t *capacities(const struct plan_problem *problem, const struct plan_rule *rule, const bool *by_shape,
    const struct plan_scope *scope)
{
	const struct plan_key *key = &problem->keys[rule->keys[0]];
	uint32_t *room = xcalloc(key->values + 1, sizeof(*room));
	for (uint32_t site = scope->first; site < scope->end; site++) {
		uint32_t most = 0;
		if (key->sites[site] == PLAN_NONE || (rule->counts && !rule->counts[site]))
			continue;
		for (uint32_t s = 0; s < problem->shape_count; s++)
			if (by_shape[s] && problem->shapes[s].left[site] > most)
				most = problem->shapes[s].left[site];
		room[key->sites[site]] += most;
	}
	return room;
}

/* No domain can lose its place as the emptiest, or it does not matter: what may be added to the fewest there is now. */
static void quotas_by_skew(const struct plan_problem *problem, struct plan_rule *rule)
{
	const struct spread_constraint *spread = &rule->pod->spread[rule->index];
	uint32_t low = rule->domains < (uint32_t)spread->min_domains ? 0 : rule->low;
	for (uint32_t v = 0; v < problem->keys[rule->keys[0]].values; v++)
		rule->quota[v] = low + (uint32_t)spread->max_skew;
}

/* Poured evenly: always where fewest are, as far as there is room. */
static void quotas_by_pouring(
    const struct plan_problem *problem, struct plan_rule *rule, const struct plan_scope *scope)
{
	uint32_t values = problem->keys[rule->keys[0]].values;
	uint32_t *room = capacities(problem, rule, rule->means, scope);
	for (uint32_t v = 0; v < values; v++)
		rule->quota[v] = rule->count[0][v];
	for (uint32_t left = wanted(problem, rule->means); left > 0; left--) {
		uint32_t best = PLAN_NONE;
		for (uint32_t v = 0; v < values; v++)
			if (rule->quota[v] - rule->count[0][v] < room[v] &&
			    (best == PLAN_NONE || rule->quota[v] < rule->quota[best]))
				best = v;
		if (best == PLAN_NONE)
			break;
		rule->quota[best]++;
	}
	free(room);
}

/* The value to pin to, the `nth` by how well the members fit: the smallest that takes all, then the largest. */
static uint32_t choose_pin(
    const struct plan_problem *problem, const struct plan_rule *rule, const struct plan_scope *scope, uint32_t nth)
{
	uint32_t *room = capacities(problem, rule, rule->carries, scope), need = wanted(problem, rule->carries);
	uint32_t best = PLAN_NONE;
	for (uint32_t turn = 0; turn <= nth; turn++) {
		best = PLAN_NONE;
		for (uint32_t v = 0; v < problem->keys[rule->keys[0]].values; v++) {
			if (room[v] == 0)
				continue;
			bool enough = room[v] >= need, enough_best = best != PLAN_NONE && room[best] >= need;
			if (best == PLAN_NONE || (enough && !enough_best) ||
			    (enough == enough_best && (enough ? room[v] < room[best] : room[v] > room[best])))
				best = v;
		}
		if (best == PLAN_NONE)
			break;
		if (turn < nth)
			room[best] = 0;
	}
	free(room);
	return best;
}

bool plan__aim(struct plan_problem *problem, const struct plan_scope *scope, uint32_t way)
{
	bool spreads = false, pinned = false;
	for (uint32_t r = 0; r < problem->rule_count; r++) {
		const struct plan_rule *rule = &problem->rules[r];
		spreads |= rule->kind == RULE_SPREAD;
		pinned |= rule->kind == RULE_AFFINITY && rule->any == 0;
	}
	uint32_t quotas = spreads ? 2 : 1, pins = pinned ? PINS : 1;
	if (way >= quotas * pins)
		return false;
	bool any_pin = !pinned;
	for (uint32_t r = 0; r < problem->rule_count; r++) {
		struct plan_rule *rule = &problem->rules[r];
		if (rule->kind == RULE_SPREAD && way % quotas == 0)
			quotas_by_skew(problem, rule);
		else if (rule->kind == RULE_SPREAD)
			quotas_by_pouring(problem, rule, scope);
		rule->pin = PLAN_NONE;
		if (rule->kind == RULE_AFFINITY && rule->any == 0)
			rule->pin = choose_pin(problem, rule, scope, way / quotas);
		any_pin |= rule->pin != PLAN_NONE;
	}
	return any_pin;
}

static uint32_t affinity_room(
    const struct plan_problem *problem, const struct plan_rule *rule, uint32_t s, uint32_t site, uint32_t want)
{
	if (rule->pin != PLAN_NONE)
		return problem->keys[rule->keys[0]].sites[site] == rule->pin ? want : 0;
	for (uint32_t k = 0; rule->carries[s] && rule->any > 0 && k < rule->key_count; k++)
		if (rule->count[k][problem->keys[rule->keys[k]].sites[site]] == 0)
			return 0;
	return want;
}

uint32_t plan__aim_room(const struct plan_problem *problem, uint32_t s, uint32_t site, uint32_t want)
{
	const struct plan_shape *shape = &problem->shapes[s];
	if (problem->unruled || want == 0)
		return want;
	if (shape->rule_count > 0 && plan__rules_bar(problem, s, site, problem->free_members))
		return 0;
	for (uint32_t i = 0; i < shape->rule_count && want > 0; i++) {
		const struct plan_rule *rule = &problem->rules[shape->rules[i]];
		uint32_t value = problem->keys[rule->keys[0]].sites[site];
		if (rule->kind == RULE_AFFINITY) {
			want = affinity_room(problem, rule, s, site, want);
		} else if (rule->kind == RULE_ANTI) {
			if (rule->carries[s] && rule->means[s] && value != PLAN_NONE)
				want = 1;
		} else if (rule->means[s] && rule->counts[site]) {
			uint32_t there = rule->count[0][value], quota = rule->quota[value];
			uint32_t room = quota > there ? quota - there : 0;
			want = room < want ? room : want;
		}
	}
	return want;
}
