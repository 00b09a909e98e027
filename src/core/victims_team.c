/* Teams as the policy and the ledger have them, where a request does not say. */
#include "core/victims_internal.h"

#include <stdlib.h>

#include "berth/team.h"
#include "core/usage.h"

uint16_t victims__team(const struct victims_search *search, const struct victims_unit *unit,
    const struct ledger_entry *const *entries, size_t count)
{
	return unit->team != VICTIMS_NONE || !search->teams || count == 0 ? unit->team : entries[0]->team;
}

static void read_rooms(struct victims_search *search)
{
	const struct policy *policy = search->fleet->policy;
	bool bounded = false;
	search->rooms = xcalloc(policy->pool_count + 1, sizeof(*search->rooms));
	for (uint16_t p = 0; p < policy->pool_count; p++) {
		search->rooms[p] = team_room(search->fleet, search->request.team, p);
		bounded |= search->rooms[p] != TEAM_NO_BOUND;
	}
	if (bounded)
		return;
	free(search->rooms);
	search->rooms = NULL;
}

/* A pod that ends anyway may be what keeps a team above its guarantee yet. */
static void take_out_leaving(struct victims_search *search)
{
	const struct victims_request *request = &search->request;
	const struct policy *policy = search->fleet->policy;
	for (size_t i = 0; i < request->leaving_count; i++) {
		const struct ledger_entry *entry = ledger_find(search->fleet, slice_of(request->leaving[i]));
		uint16_t team, pool;
		int64_t milli = entry ? team_entry(entry, &team, &pool) : 0;
		for (; milli > 0 && team < policy->team_count; team = policy->teams[team].parent)
			search->team_amounts[team * policy->pool_count + pool] -= milli;
	}
}

void victims__read_teams(struct victims_search *search)
{
	struct victims_request *request = &search->request;
	const struct policy *policy = search->fleet->policy;
	if (!policy || policy->team_count == 0 || request->team_count > 0 || request->demand.count == 0)
		return;
	size_t teams = policy->team_count, pools = policy->pool_count;
	search->teams = xcalloc(teams, sizeof(*search->teams));
	search->team_amounts = xcalloc(teams * pools + 1, sizeof(*search->team_amounts));
	for (size_t t = 0; t < teams; t++) {
		int64_t *used = &search->team_amounts[t * pools];
		for (uint16_t p = 0; p < pools; p++)
			used[p] = team_used(search->fleet, (uint16_t)t, p);
		search->teams[t] = (struct victims_team){
		    policy->teams[t].name, policy->teams[t].parent, used, policy->teams[t].guaranteed};
	}
	take_out_leaving(search);
	request->team_count = teams;
	request->teams = search->teams;
	request->team = team_of(search->fleet, request->demand.members[0].pod->namespace_);
	if (request->team != TEAM_NONE)
		read_rooms(search);
}

void victims__read_pools(struct victims_search *search)
{
	const struct plan_problem *problem = search->problem;
	if (!search->rooms)
		return;
	free(search->site_pool);
	search->site_pool = xcalloc((size_t)problem->site_count + 1, sizeof(*search->site_pool));
	size_t pools = search->fleet->policy->pool_count;
	free(search->asks);
	search->asks = xcalloc(pools * problem->shape_count + 1, sizeof(*search->asks));
	for (uint32_t i = 0; i < problem->site_count; i++) {
		const struct node *node = problem->sites[i].node;
		search->site_pool[i] = node->pool;
		for (uint32_t s = 0; node->spec && node->pool < pools && s < problem->shape_count; s++)
			if (problem->shapes[s].may[i] && search->asks[s * pools + node->pool] == 0)
				search->asks[s * pools + node->pool] =
				    usage_milli(node->spec, &problem->shapes[s].pod->demand);
	}
}

/* What the victims of the same team give back of the pool. */
static int64_t given_back(const struct victims_search *search, uint16_t pool)
{
	int64_t sum = 0;
	for (size_t v = 0; v < search->count; v++) {
		const struct victim *victim = &search->victims[v];
		if (victim->lifted && victim->team == search->request.team && victim->pool == pool)
			sum = resource_sum(sum, victim->milli);
	}
	return sum;
}

bool victims__within_bounds(const struct victims_search *search)
{
	const struct plan_problem *problem = search->problem;
	size_t pools = search->rooms ? search->fleet->policy->pool_count : 0;
	for (uint16_t pool = 0; search->rooms && pool < pools; pool++) {
		int64_t taken = 0;
		if (search->rooms[pool] == TEAM_NO_BOUND)
			continue;
		for (size_t i = 0; i < problem->best.count; i++) {
			const struct plan_step *step = &problem->best.items[i];
			if (search->site_pool[step->site] == pool)
				taken = resource_sum(
				    taken, search->asks[problem->kinds[step->kind].shape * pools + pool] * step->count);
		}
		if (taken > resource_sum(search->rooms[pool], given_back(search, pool)))
			return false;
	}
	return true;
}

void victims__free_teams(struct victims_search *search)
{
	free(search->teams);
	free(search->team_amounts);
	free(search->rooms);
	free(search->site_pool);
	free(search->asks);
}
