/* A gang within the bounds of its team: no member goes where the team has no room for the gang. A pool that could not
 * take all of it is left out at first; only where the rest does not do is the gang tried over several. What a plan
 * comes to is summed up by the nodes it chose, since nodes of one pool may share their GPUs out in different ways. */
#include <stdlib.h>

#include "core/plan_internal.h"
#include "core/teams_internal.h"

struct within {
	const struct fleet *fleet;
	uint16_t team;
	size_t pools;
	int64_t room[POLICY_POOLS_MAX];
	bool barred[POLICY_POOLS_MAX];
};

static const struct ledger_entry *entry_of(const struct within *within, const struct plan_member *member)
{
	return ledger_find(within->fleet, slice_of(member->pod->uid));
}

/* Entries of the members themselves do not stand in the way, and those of fixed ones stay. */
static void find_rooms(struct within *within, const struct plan_request *request)
{
	struct teams_gone gone = {request->gone, request->gone_count};
	for (uint16_t pool = 0; pool < within->pools; pool++)
		within->room[pool] = teams__room(within->fleet, within->team, pool, NULL, &gone);
	for (size_t i = 0; i < request->count; i++) {
		const struct ledger_entry *entry = entry_of(within, &request->members[i]);
		if (!request->members[i].fixed && entry && entry->team != TEAM_NONE &&
		    within->room[entry->team_pool] != TEAM_NO_BOUND)
			within->room[entry->team_pool] += entry->team_milli;
	}
}

static int by_amount(const void *a, const void *b)
{
	int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
	return (left > right) - (left < right);
}

/* What as many members as the quorum wants ask for at least. */
static int64_t least_of(const struct within *within, const struct plan_request *request, uint16_t pool, int64_t *asks)
{
	size_t fixed = 0, count = 0, quorum = request->quorum > 0 ? request->quorum : request->count;
	int64_t sum = 0;
	for (size_t i = 0; i < request->count; i++) {
		fixed += request->members[i].fixed != NULL;
		if (!request->members[i].fixed)
			asks[count++] = team_least(within->fleet, pool, &request->members[i].pod->demand);
	}
	qsort(asks, count, sizeof *asks, by_amount);
	for (size_t i = 0; i < count && i + fixed < quorum; i++)
		sum = asks[i] == TEAM_NO_BOUND ? TEAM_NO_BOUND : resource_sum(sum, asks[i]);
	return sum;
}

/* The one of all bounds that is missed by the least is worth telling. */
static bool bar_pools(struct within *within, const struct plan_request *request, struct team_bound *bound)
{
	int64_t *asks = xcalloc(request->count, sizeof *asks), missing = TEAM_NO_BOUND;
	bool any = false;
	for (uint16_t pool = 0; pool < within->pools; pool++) {
		struct team_bound here;
		if (within->room[pool] == TEAM_NO_BOUND)
			continue;
		int64_t asked = least_of(within, request, pool, asks);
		within->barred[pool] = asked > within->room[pool];
		any |= within->barred[pool];
		if (asked == TEAM_NO_BOUND || asked - within->room[pool] <= 0 ||
		    asked - within->room[pool] >= missing || !team_bound_of(within->fleet, within->team, pool, &here))
			continue;
		missing = asked - within->room[pool];
		*bound = here;
		bound->asked = asked;
	}
	free(asks);
	return any;
}

/* The first pool in which the plan takes more than there is room for; `keep` gets how many members do not. */
static bool is_over(const struct within *within, const struct plan_request *request, const struct plan *plan,
    uint16_t *pool, bool *keep)
{
	int64_t taken[POLICY_POOLS_MAX] = {0};
	bool over = false;
	for (size_t i = 0; i < plan->placed; i++) {
		size_t member = plan->order[i];
		const struct node *node = plan->nodes[member];
		keep[member] = true;
		if (request->members[member].fixed || node->pool == POOL_NONE ||
		    within->room[node->pool] == TEAM_NO_BOUND)
			continue;
		int64_t milli = team_milli(node, &request->members[member].pod->demand);
		keep[member] = taken[node->pool] + milli <= within->room[node->pool];
		if (keep[member])
			taken[node->pool] += milli;
		else if (!over)
			*pool = node->pool;
		over |= !keep[member];
	}
	return over;
}

/* The members kept alone; their places are brought back to where they stand among all. */
static void plan_some(
    const struct fleet *fleet, const struct plan_request *request, const bool *keep, struct plan *plan)
{
	struct plan_request some = *request;
	struct plan_member *members = xcalloc(request->count, sizeof *members);
	size_t *at = xcalloc(request->count, sizeof *at);
	some.members = members;
	some.count = 0;
	for (size_t i = 0; i < request->count; i++)
		if (keep[i] || request->members[i].fixed) {
			at[some.count] = i;
			members[some.count++] = request->members[i];
		}
	plan__once(fleet, &some, plan);
	struct node **nodes = xcalloc(request->count + 1, sizeof(struct node *));
	for (size_t i = 0; i < some.count; i++)
		nodes[at[i]] = plan->nodes[i];
	for (size_t i = 0; plan->reason == REASON_CODE_FITS && i < plan->placed; i++)
		plan->order[i] = at[plan->order[i]];
	if (plan->blocking != SIZE_MAX)
		plan->blocking = at[plan->blocking];
	plan->score.left_out += request->count - some.count;
	plan->count = request->count;
	free(plan->nodes);
	plan->nodes = nodes;
	free(members);
	free(at);
}

static size_t count_true(const bool *flags, size_t count)
{
	size_t sum = 0;
	for (size_t i = 0; i < count; i++)
		sum += flags[i];
	return sum;
}

/* Plans until the team has room for all of it. Pools that turn out too small are barred one by one, so it ends. */
static void plan_within(struct within *within, const struct plan_request *request, struct plan *plan)
{
	bool *keep = xcalloc(request->count, sizeof *keep);
	size_t quorum = request->quorum > 0 ? request->quorum : request->count;
	uint16_t pool = POOL_NONE;
	plan__once(within->fleet, request, plan);
	for (bool over = false;; over = true) {
		memset(keep, 0, request->count * sizeof *keep);
		if (plan->reason != REASON_CODE_FITS || !is_over(within, request, plan, &pool, keep)) {
			if (over && plan->reason != REASON_CODE_FITS)
				plan->reason = REASON_CODE_TEAM_LIMIT;
			break;
		}
		bool some = count_true(keep, request->count) >= quorum;
		plan_free(plan);
		if (some) {
			plan_some(within->fleet, request, keep, plan);
			memset(keep, 0, request->count * sizeof *keep);
			if (plan->reason != REASON_CODE_FITS || !is_over(within, request, plan, &pool, keep))
				break;
			plan_free(plan);
		}
		within->barred[pool] = true;
		plan__once(within->fleet, request, plan);
	}
	free(keep);
}

/* Whether some pool, or nodes in none, could take a member: else no node is worth a look. */
static bool is_anywhere(const struct within *within, const struct plan_request *request)
{
	enum reason why;
	const struct pod *pod = request->members[0].pod;
	const struct policy_class *class_ = policy_class_of(within->fleet->policy, pod, &why);
	for (uint16_t pool = 0; pool < within->pools; pool++)
		if (!within->barred[pool] && teams__class_allows(class_, pool) &&
		    team_least(within->fleet, pool, &pod->demand) != TEAM_NO_BOUND)
			return true;
	return teams__class_allows(class_, POOL_NONE) &&
	       team_least(within->fleet, POOL_NONE, &pod->demand) != TEAM_NO_BOUND;
}

static void refuse(const struct plan_request *request, const struct team_bound *bound, struct plan *plan)
{
	*plan = (struct plan){.reason = REASON_CODE_TEAM_LIMIT,
	    .count = request->count,
	    .blocking = SIZE_MAX,
	    .level = TOPOLOGY_ROOT,
	    .bound = *bound};
	plan->nodes = xcalloc(request->count + 1, sizeof(struct node *));
}

void plan_gang(const struct fleet *fleet, const struct plan_request *request, struct plan *plan)
{
	struct team_bound bound = {.team = TEAM_NONE};
	struct plan_request bounded = *request;
	struct within within = {.fleet = fleet, .team = TEAM_NONE};
	if (fleet->teams && request->count > 0)
		within.team = team_of(fleet, request->members[0].pod->namespace_);
	if (within.team == TEAM_NONE) {
		plan__once(fleet, request, plan);
		return;
	}
	within.pools = fleet->policy->pool_count;
	find_rooms(&within, request);
	bool barred = bar_pools(&within, request, &bound);
	if (bound.team != TEAM_NONE && !is_anywhere(&within, request)) {
		refuse(request, &bound, plan);
		return;
	}
	bounded.barred = within.barred;
	plan_within(&within, &bounded, plan);
	if (barred && plan->reason != REASON_CODE_FITS && plan->reason != REASON_CODE_TEAM_LIMIT) {
		struct plan apart;
		memset(within.barred, 0, sizeof within.barred);
		plan_within(&within, &bounded, &apart);
		bool better = apart.reason == REASON_CODE_FITS || apart.reason == REASON_CODE_TEAM_LIMIT;
		struct plan *worse = better ? plan : &apart;
		plan_free(worse);
		if (better)
			*plan = apart;
	}
	if (plan->reason == REASON_CODE_TEAM_LIMIT)
		plan->bound = bound;
}
