/* What teams borrow over time, and who of them goes first for it. */
#include <math.h>

#include "core/teams_internal.h"

#define NS_PER_SECOND 1e9
/* Whoever has just been given much is not given more before the rest: what a team borrows now counts as if it had done
 * so for this long. */
#define AHEAD_SECONDS 600.0

/* Of all pools, in thousandths. */
static double borrowed_of(const struct teams *teams, uint16_t team)
{
	double sum = 0;
	for (uint16_t pool = 0; pool < teams->policy->pool_count; pool++) {
		int64_t over = *teams__used(teams, team, pool) - teams__at(teams, team)->guaranteed[pool];
		sum += over > 0 ? (double)over : 0;
	}
	return sum;
}

static double share_of(const struct teams *teams, uint16_t team)
{
	double borrowed = borrowed_of(teams, team) / MILLI_GPU;
	return (teams->spent[team] + borrowed * AHEAD_SECONDS) / teams__at(teams, team)->weight;
}

/* The team above it, at that depth; the topmost are at 0. */
static uint16_t above(const struct teams *teams, uint16_t team, size_t depth)
{
	uint16_t path[POLICY_TEAM_DEPTH];
	size_t count = 0;
	for (; team != TEAM_NONE && count < POLICY_TEAM_DEPTH; team = teams__at(teams, team)->parent)
		path[count++] = team;
	return depth < count ? path[count - 1 - depth] : TEAM_NONE;
}

int team_order(const struct fleet *fleet, uint16_t a, uint16_t b)
{
	const struct teams *teams = fleet->teams;
	if (!teams || a == b || a == TEAM_NONE || b == TEAM_NONE)
		return 0;
	for (size_t depth = 0; depth < POLICY_TEAM_DEPTH; depth++) {
		uint16_t left = above(teams, a, depth), right = above(teams, b, depth);
		if (left == right)
			continue;
		if (left == TEAM_NONE || right == TEAM_NONE)
			return 0; /* one stands above the other */
		double x = share_of(teams, left), y = share_of(teams, right);
		return (x > y) - (x < y);
	}
	return 0;
}

double team_faded(double gpu_seconds, int64_t age_ns)
{
	return gpu_seconds * exp2(-(double)age_ns / (double)TEAM_HALF_LIFE_NS);
}

void team_settle(struct fleet *fleet, int64_t now_ns)
{
	struct teams *teams = fleet->teams;
	if (!teams)
		return;
	int64_t passed = teams->settled_ns == 0 ? 0 : now_ns - teams->settled_ns;
	teams->settled_ns = now_ns;
	if (passed <= 0)
		return;
	/* What is used all along at a rate of 1 comes to the integral of what is left of each moment's. */
	double kept = team_faded(1, passed);
	double seconds = (double)TEAM_HALF_LIFE_NS / NS_PER_SECOND / M_LN2 * (1 - kept);
	for (uint16_t t = 0; t < teams->policy->team_count; t++)
		teams->spent[t] = teams->spent[t] * kept + borrowed_of(teams, t) / MILLI_GPU * seconds;
}

double team_spent(const struct fleet *fleet, uint16_t team)
{
	return fleet->teams && team < fleet->teams->policy->team_count ? fleet->teams->spent[team] : 0;
}

void team_set_spent(struct fleet *fleet, uint16_t team, double gpu_seconds)
{
	if (fleet->teams && team < fleet->teams->policy->team_count)
		fleet->teams->spent[team] = gpu_seconds;
}
