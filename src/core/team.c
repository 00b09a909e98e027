#include "berth/team.h"

#include <stdlib.h>

#include "core/index.h"
#include "core/teams_internal.h"
#include "core/usage.h"

static bool is_counted(const struct teams *teams, uint16_t team, uint16_t pool)
{
	return teams && team < teams->policy->team_count && pool < teams->policy->pool_count;
}

/* --- whose namespace it is --- */

struct teams_namespace {
	uint16_t team;
	char name[];
};

static uint16_t find_team(const struct policy *policy, const char *namespace_)
{
	for (size_t t = 0; t < policy->team_count; t++)
		for (size_t i = 0; i < policy->teams[t].namespace_count; i++)
			if (glob_matches(policy->teams[t].namespaces[i], namespace_))
				return (uint16_t)t;
	return (uint16_t)(policy->team_count - 1);
}

uint16_t team_of(const struct fleet *fleet, const char *namespace_)
{
	struct teams *teams = fleet->teams;
	struct slice key = slice_of(namespace_);
	if (!teams || key.len == 0)
		return TEAM_NONE;
	struct teams_namespace *known = map_get(&teams->by_namespace, key);
	if (!known) {
		known = xcalloc(1, sizeof(*known) + key.len + 1);
		memcpy(known->name, namespace_, key.len);
		known->team = find_team(teams->policy, namespace_);
		map_put(&teams->by_namespace, (struct slice){known->name, key.len}, known);
	}
	return known->team;
}

/* --- what is used --- */

int64_t team_milli(const struct node *node, const struct resources *demand)
{
	return node->spec ? usage_milli(node->spec, demand) : 0;
}

int64_t team_whole_node(const struct node *node)
{
	return team_milli(node, &node->spec->allocatable);
}

int64_t team_used(const struct fleet *fleet, uint16_t team, uint16_t pool)
{
	return is_counted(fleet->teams, team, pool) ? *teams__used(fleet->teams, team, pool) : 0;
}

void teams__add(struct fleet *fleet, uint16_t team, uint16_t pool, int64_t milli)
{
	struct teams *teams = fleet->teams;
	if (!is_counted(teams, team, pool))
		return;
	for (; team != TEAM_NONE; team = teams__at(teams, team)->parent)
		*teams__used(teams, team, pool) += milli;
}

static void join(struct fleet *fleet, struct ledger_entry *entry, uint16_t team)
{
	entry->team = TEAM_NONE;
	entry->team_milli = 0;
	if (team == TEAM_NONE || !entry->node->spec || entry->node->pool == POOL_NONE)
		return;
	entry->team = team;
	entry->team_pool = entry->node->pool;
	entry->team_milli = (int32_t)team_milli(entry->node, &entry->demand);
	teams__add(fleet, team, entry->team_pool, entry->team_milli);
}

void teams__join(struct fleet *fleet, struct ledger_entry *entry)
{
	join(fleet, entry, entry->hold ? TEAM_NONE : team_of(fleet, entry->namespace_));
}

static void mark_fallen(struct teams *teams, uint16_t team)
{
	for (; team != TEAM_NONE; team = teams__at(teams, team)->parent)
		teams->fell[team] = true;
	teams->any_fell = true;
}

void teams__leave(struct fleet *fleet, struct ledger_entry *entry)
{
	if (!fleet->teams || entry->team == TEAM_NONE)
		return;
	teams__add(fleet, entry->team, entry->team_pool, -(int64_t)entry->team_milli);
	if (entry->team_milli > 0)
		mark_fallen(fleet->teams, entry->team);
	entry->team = TEAM_NONE;
}

void teams__recount(struct fleet *fleet, struct node *node)
{
	for (struct ledger_entry *entry = fleet->teams ? node->entries : NULL; entry; entry = entry->node_next) {
		if (entry->team != TEAM_NONE && entry->team_pool == node->pool &&
		    entry->team_milli == team_milli(node, &entry->demand))
			continue;
		teams__leave(fleet, entry);
		teams__join(fleet, entry);
	}
}

int64_t team_entry(const struct ledger_entry *entry, uint16_t *team, uint16_t *pool)
{
	*team = entry->team;
	*pool = entry->team == TEAM_NONE ? POOL_NONE : entry->team_pool;
	return entry->team == TEAM_NONE ? 0 : entry->team_milli;
}

/* --- bounds --- */

static int64_t room_of(const struct teams *teams, uint16_t team, uint16_t pool)
{
	int64_t limit = teams__at(teams, team)->limit[pool];
	return limit < 0 ? TEAM_NO_BOUND : limit - *teams__used(teams, team, pool);
}

bool team_bound_of(const struct fleet *fleet, uint16_t team, uint16_t pool, struct team_bound *bound)
{
	const struct teams *teams = fleet->teams;
	uint16_t by = TEAM_NONE;
	if (!is_counted(teams, team, pool))
		return false;
	for (; team != TEAM_NONE; team = teams__at(teams, team)->parent)
		if (teams__at(teams, team)->limit[pool] >= 0 &&
		    (by == TEAM_NONE || room_of(teams, team, pool) < room_of(teams, by, pool)))
			by = team;
	if (by == TEAM_NONE)
		return false;
	*bound = (struct team_bound){by, pool, *teams__used(teams, by, pool), teams__at(teams, by)->limit[pool], 0};
	return true;
}

int64_t team_room(const struct fleet *fleet, uint16_t team, uint16_t pool)
{
	struct team_bound bound;
	return team_bound_of(fleet, team, pool, &bound) ? bound.limit - bound.used : TEAM_NO_BOUND;
}

/* Of one resource; the nodes of a pool may share it out in different ways. */
static int64_t least_of(const struct index_lane *lane, uint16_t pool, int64_t amount)
{
	int64_t least = TEAM_NO_BOUND;
	for (size_t i = 0; lane && i < lane->shape_count; i++) {
		const struct index_shape *shape = lane->shapes[i];
		if (shape->pool != pool || shape->allocatable == 0)
			continue;
		int64_t milli = usage_lane_milli(&shape->lane, amount);
		least = milli < least ? milli : least;
	}
	return least;
}

int64_t team_least(const struct fleet *fleet, uint16_t pool, const struct resources *demand)
{
	int64_t sum = 0;
	for (uint16_t i = 0; i < demand->count && sum != TEAM_NO_BOUND; i++) {
		resource_id id = demand->items[i].id;
		if (demand->items[i].amount <= 0 || id < RESOURCE_FIRST_OTHER ||
		    !gpu_resource_named(fleet->catalogue, slice_of(resource_names_text(&fleet->names, id))))
			continue;
		int64_t least = least_of(index_find(fleet->index, id), pool, demand->items[i].amount);
		sum = least == TEAM_NO_BOUND ? TEAM_NO_BOUND : resource_sum(sum, least);
	}
	return sum;
}

static int64_t unmet(const struct teams *teams, uint16_t team, uint16_t pool)
{
	int64_t left = teams__at(teams, team)->guaranteed[pool] - *teams__used(teams, team, pool);
	return left > 0 ? left : 0;
}

/* What is left of a team's guarantee beside what those below it are guaranteed and do not use; `but` is the one that
 * asks. */
static int64_t left_beside(const struct teams *teams, uint16_t team, uint16_t but, uint16_t pool)
{
	int64_t left = unmet(teams, team, pool);
	for (uint16_t t = 0; left > 0 && t < teams->policy->team_count; t++)
		if (teams__at(teams, t)->parent == team && t != but)
			left -= unmet(teams, t, pool);
	return left > 0 ? left : 0;
}

int64_t team_claim(const struct fleet *fleet, uint16_t team, uint16_t pool)
{
	const struct teams *teams = fleet->teams;
	int64_t claim = 0;
	if (!is_counted(teams, team, pool))
		return 0;
	for (uint16_t below = TEAM_NONE; team != TEAM_NONE; below = team, team = teams__at(teams, team)->parent) {
		int64_t left = left_beside(teams, team, below, pool);
		claim = left > claim ? left : claim;
	}
	return claim;
}

int64_t team_borrowed(const struct fleet *fleet, uint16_t team, uint16_t pool)
{
	const struct teams *teams = fleet->teams;
	int64_t borrowed = TEAM_NO_BOUND;
	if (!is_counted(teams, team, pool) || team_claim(fleet, team, pool) > 0)
		return 0;
	for (uint16_t t = team; t != TEAM_NONE; t = teams__at(teams, t)->parent) {
		int64_t over = *teams__used(teams, t, pool) - teams__at(teams, t)->guaranteed[pool];
		if ((t == team || teams__at(teams, t)->guaranteed[pool] > 0) && over < borrowed)
			borrowed = over;
	}
	return borrowed > 0 ? borrowed : 0;
}

/* What the entries count for, of the team or of one below it. */
static int64_t part_of(const struct teams *teams, uint16_t team, uint16_t pool, const struct teams_gone *gone)
{
	int64_t sum = 0;
	for (size_t i = 0; gone && i < gone->count; i++) {
		uint16_t of = gone->entries[i]->team_pool == pool ? gone->entries[i]->team : TEAM_NONE;
		while (of != TEAM_NONE && of != team)
			of = teams__at(teams, of)->parent;
		sum += of == team ? gone->entries[i]->team_milli : 0;
	}
	return sum;
}

int64_t teams__room(const struct fleet *fleet, uint16_t team, uint16_t pool, const struct ledger_entry *own,
    const struct teams_gone *gone)
{
	const struct teams *teams = fleet->teams;
	if (!is_counted(teams, team, pool))
		return teams && teams->claims_only ? 0 : TEAM_NO_BOUND;
	int64_t room = teams->claims_only ? team_claim(fleet, team, pool) : TEAM_NO_BOUND;
	for (uint16_t t = team; t != TEAM_NONE; t = teams__at(teams, t)->parent)
		if (teams__at(teams, t)->limit[pool] >= 0 &&
		    room_of(teams, t, pool) + part_of(teams, t, pool, gone) < room)
			room = room_of(teams, t, pool) + part_of(teams, t, pool, gone);
	if (room != TEAM_NO_BOUND && own && own->team != TEAM_NONE && own->team_pool == pool)
		room += own->team_milli;
	return room;
}

bool team_may_claim(const struct fleet *fleet, const struct pod *pod)
{
	enum reason why;
	uint16_t team = team_of(fleet, pod->namespace_);
	const struct policy_class *class_ = team == TEAM_NONE ? NULL : policy_class_of(fleet->policy, pod, &why);
	for (uint16_t pool = 0; team != TEAM_NONE && pool < fleet->policy->pool_count; pool++) {
		int64_t claim = teams__class_allows(class_, pool) ? team_claim(fleet, team, pool) : 0;
		if (claim > 0 && team_least(fleet, pool, &pod->demand) <= claim)
			return true;
	}
	return false;
}

bool team_bound_for(const struct fleet *fleet, const struct pod *pod, struct team_bound *found)
{
	enum reason why;
	uint16_t team = team_of(fleet, pod->namespace_);
	const struct policy_class *class_ = team == TEAM_NONE ? NULL : policy_class_of(fleet->policy, pod, &why);
	int64_t missing = TEAM_NO_BOUND;
	for (uint16_t pool = 0; team != TEAM_NONE && pool < fleet->policy->pool_count; pool++) {
		struct team_bound bound;
		if (!teams__class_allows(class_, pool) || !team_bound_of(fleet, team, pool, &bound))
			continue;
		bound.asked = team_least(fleet, pool, &pod->demand);
		int64_t over = bound.asked == TEAM_NO_BOUND ? 0 : bound.used + bound.asked - bound.limit;
		if (over <= 0 || over >= missing)
			continue;
		missing = over;
		*found = bound;
	}
	return missing != TEAM_NO_BOUND;
}

void team_claims_only(struct fleet *fleet, bool on)
{
	if (fleet->teams)
		fleet->teams->claims_only = on;
}

/* --- use that fell --- */

bool teams__fell(const struct fleet *fleet, uint16_t team)
{
	const struct teams *teams = fleet->teams;
	if (!teams || team == TEAM_NONE)
		return false;
	for (bool fell = teams->all_fell;; team = teams__at(teams, team)->parent) {
		if (fell || team == TEAM_NONE)
			return fell;
		fell = teams->fell[team];
	}
}

void teams__fell_all(struct fleet *fleet)
{
	if (fleet->teams)
		fleet->teams->any_fell = fleet->teams->all_fell = true;
}

void teams__forget_fallen(struct fleet *fleet)
{
	if (!fleet->teams || !fleet->teams->any_fell)
		return;
	memset(fleet->teams->fell, 0, fleet->teams->policy->team_count * sizeof(*fleet->teams->fell));
	fleet->teams->any_fell = fleet->teams->all_fell = false;
}

/* --- a policy's teams --- */

void teams__free(struct fleet *fleet)
{
	struct teams *teams = fleet->teams;
	size_t cursor = 0;
	if (!teams)
		return;
	for (struct teams_namespace *known; (known = map_next(&teams->by_namespace, &cursor));)
		free(known);
	map_free(&teams->by_namespace);
	free(teams->used);
	free(teams->spent);
	free(teams->fell);
	free(teams);
	fleet->teams = NULL;
}

/* What was spent under the policy before stays with the team of that name. */
static struct teams *teams_new(const struct policy *policy, const struct teams *old)
{
	struct teams *teams = xcalloc(1, sizeof(*teams));
	teams->policy = policy;
	teams->used = xcalloc(policy->team_count * (policy->pool_count + 1), sizeof(*teams->used));
	teams->spent = xcalloc(policy->team_count, sizeof(*teams->spent));
	teams->fell = xcalloc(policy->team_count, sizeof(*teams->fell));
	teams->settled_ns = old ? old->settled_ns : 0;
	for (size_t i = 0; old && i < old->policy->team_count; i++)
		for (size_t t = 0; t < policy->team_count; t++)
			if (strcmp(policy->teams[t].name, old->policy->teams[i].name) == 0)
				teams->spent[t] = old->spent[i];
	return teams;
}

void teams__set_policy(struct fleet *fleet, const struct policy *policy)
{
	struct teams *teams = policy && policy->team_count > 0 ? teams_new(policy, fleet->teams) : NULL;
	size_t cursor = 0;
	bool before = fleet->teams != NULL;
	teams__free(fleet);
	fleet->teams = teams;
	for (struct node *node; (before || teams) && (node = map_next(&fleet->nodes, &cursor));)
		for (struct ledger_entry *entry = node->entries; entry; entry = entry->node_next)
			teams__join(fleet, entry);
}
