/* Whose gang goes first among equals by priority: those who claim what their team is guaranteed, then those who borrow,
 * by what their teams have spent. */
#include "scheduler/team/team.h"

/* Teams are few beside gangs, so each is ranked once, by how many go before it. */
static size_t rank_of(const struct scheduler *s, uint16_t team)
{
	size_t before = 0;
	for (uint16_t other = 0; other < s->policy.inforce->team_count; other++)
		before += team_order(s->fleet, other, team) < 0;
	return before;
}

void team_rank(const struct scheduler *s, struct gang *const *line, size_t count)
{
	size_t ranks[POLICY_TEAMS_MAX];
	for (uint16_t team = 0; team < s->policy.inforce->team_count; team++)
		ranks[team] = rank_of(s, team);
	for (size_t i = 0; i < count; i++) {
		const struct pod *pod = line[i]->count > 0 ? line[i]->members[0]->pod : NULL;
		uint16_t team = pod ? team_of(s->fleet, pod->namespace_) : TEAM_NONE;
		line[i]->claims = team != TEAM_NONE && team_may_claim(s->fleet, pod);
		line[i]->team_rank = team == TEAM_NONE || line[i]->claims ? 0 : ranks[team];
	}
}
