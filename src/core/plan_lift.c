/* Room that comes back when bound pods end, before they do. */
#include "core/plan_internal.h"

#include <stdlib.h>

#include "berth/headroom.h"

void plan__lifter_init(struct plan_lifter *lifter, const struct fleet *fleet, struct plan_problem *problem)
{
	*lifter = (struct plan_lifter){.fleet = fleet, .problem = problem};
	lifter->rows = xcalloc((size_t)problem->site_count + 1, sizeof(*lifter->rows));
	for (uint32_t i = 0; i < problem->site_count; i++)
		map_put(&lifter->sites, slice_of(problem->sites[i].name), (void *)(uintptr_t)(i + 1));
}

void plan__lifter_free(struct plan_lifter *lifter)
{
	map_free(&lifter->sites);
	free(lifter->rows);
}

void plan__lifter_next(struct plan_lifter *lifter)
{
	lifter->lift++;
}

static int64_t *row_of(struct plan_lifter *lifter, struct plan_lift *lift, uint32_t site)
{
	struct plan_lift_row *row = &lifter->rows[site];
	uint32_t columns = lifter->problem->columns;
	if (row->lift != lifter->lift) {
		*row = (struct plan_lift_row){lifter->lift, lift->count};
		lift->sites = xgrow(lift->sites, lift->count, &lift->room, sizeof(*lift->sites));
		if (lift->amount_room < lift->room * columns) {
			lift->amount_room = lift->room * columns;
			lift->amounts = xrealloc(lift->amounts, lift->amount_room * sizeof(*lift->amounts));
		}
		lift->sites[lift->count] = site;
		memset(&lift->amounts[(size_t)lift->count * columns], 0, columns * sizeof(*lift->amounts));
		lift->count++;
	}
	return &lift->amounts[(size_t)row->row * columns];
}

static void add_tally(struct plan_lift *lift, uint32_t rule, uint32_t key, uint32_t value)
{
	lift->tallies = xgrow(lift->tallies, lift->tally_count, &lift->tally_room, sizeof(*lift->tallies));
	lift->tallies[lift->tally_count++] = (struct plan_tally){rule, key, value};
}

/* As plan__rules counts what is bound. */
static void add_tallies(struct plan_problem *problem, struct plan_lift *lift, const struct ledger_entry *entry)
{
	if (problem->rule_count == 0 || !entry->traits || !entry->node->spec)
		return;
	struct pod *pod = ledger_pod(entry);
	for (uint32_t r = 0; r < problem->rule_count; r++) {
		const struct plan_rule *rule = &problem->rules[r];
		bool counted = false;
		if (!plan__rule_counts(rule, pod, entry->node))
			continue;
		for (uint32_t k = 0; k < rule->key_count; k++) {
			uint32_t value = plan__rule_value(problem, rule, k, entry->node);
			if (value == PLAN_NONE)
				continue;
			add_tally(lift, r, k, value);
			counted = true;
		}
		if (counted)
			add_tally(lift, r, PLAN_NONE, 0);
	}
	pod_free(pod);
}

/* What the class of the headroom on the node gives up there goes into its hold, which others may not use. */
static bool is_kept(const struct plan_lifter *lifter, const struct ledger_entry *entry, resource_id id)
{
	const struct headroom_hold *hold = entry->node->headroom;
	return hold && id == hold->resource && !(lifter->problem->headroom & UINT32_C(1) << hold->rule) &&
	       entry->class_ == lifter->fleet->policy->headroom[hold->rule].for_;
}

void plan__lifter_add(struct plan_lifter *lifter, struct plan_lift *lift, const struct ledger_entry *entry)
{
	struct plan_problem *problem = lifter->problem;
	uintptr_t known = (uintptr_t)map_get(&lifter->sites, slice_of(entry->node->name));
	add_tallies(problem, lift, entry);
	if (!known)
		return;
	int64_t *row = row_of(lifter, lift, (uint32_t)known - 1);
	for (uint32_t c = 0; c < problem->columns; c++)
		if (!is_kept(lifter, entry, problem->resources[c]))
			row[c] = resource_sum(row[c], resources_get(&entry->demand, problem->resources[c]));
}

void plan__lift_free(struct plan_lift *lift)
{
	free(lift->sites);
	free(lift->amounts);
	free(lift->tallies);
}

static void move_tallies(struct plan_problem *problem, const struct plan_lift *lift, uint32_t add)
{
	for (size_t i = 0; i < lift->tally_count; i++) {
		const struct plan_tally *tally = &lift->tallies[i];
		struct plan_rule *rule = &problem->rules[tally->rule];
		if (tally->key == PLAN_NONE)
			rule->any += add;
		else
			rule->count[tally->key][tally->value] += add;
	}
	for (uint32_t r = 0; r < problem->rule_count; r++)
		if (problem->rules[r].kind == RULE_SPREAD)
			plan__rule_low(problem, &problem->rules[r]);
}

/* Unsigned arithmetic wraps. */
void plan__lift(struct plan_problem *problem, const struct plan_lift *lift, bool back)
{
	for (uint32_t i = 0; i < lift->count; i++) {
		int64_t *row = &problem->free[(size_t)lift->sites[i] * problem->columns];
		const int64_t *amounts = &lift->amounts[(size_t)i * problem->columns];
		for (uint32_t c = 0; c < problem->columns; c++)
			row[c] += back ? -amounts[c] : amounts[c];
		plan__refit(problem, lift->sites[i]);
	}
	if (lift->tally_count > 0)
		move_tallies(problem, lift, back ? 1u : 0u - 1u);
}
