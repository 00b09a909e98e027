/* What the planner is asked for a gang: a row for each member that counts, its sub-groups, and where they are to stand.
 */
#include "scheduler/gang/ask.h"

#include <stdlib.h>

#include "scheduler/gang/internal.h"

static int level_named(const struct policy *policy, const char *name)
{
	for (size_t i = 0; i < policy->level_count; i++)
		if (strcmp(policy->levels[i].name, name) == 0 || strcmp(policy->levels[i].node_label, name) == 0)
			return (int)i;
	return strcmp(name, "host") == 0 || strcmp(name, "kubernetes.io/hostname") == 0 ? TOPOLOGY_HOST : PLAN_NO_LEVEL;
}

/* A level that is not the policy's cannot be had. */
static bool take_level(const struct policy *policy, const char *name, int *level, struct gang_asking *asking)
{
	if (!name)
		return true;
	*level = level_named(policy, name);
	if (*level == PLAN_NO_LEVEL)
		asking->unknown_level = name;
	return *level != PLAN_NO_LEVEL;
}

/* A preference for a level that the policy does not have is none. */
static bool read_place(const struct policy *policy, const struct gang_place *place, struct plan_topology *topology,
    struct gang_asking *asking)
{
	topology->segment = place->segment_at && place->segment > 0 ? (size_t)place->segment : topology->segment;
	if (place->prefer && level_named(policy, place->prefer) != PLAN_NO_LEVEL)
		topology->prefer = level_named(policy, place->prefer);
	return take_level(policy, place->require, &topology->require, asking) &&
	       take_level(policy, place->segment_at, &topology->segment_level, asking);
}

int gang_level(const struct scheduler *s, const struct gang *gang)
{
	const struct policy_class *class_ = gang_class(s, gang);
	const char *said = gang_place_of(gang, NULL).require;
	if (said)
		return level_named(s->policy.inforce, said);
	return class_ ? class_->gang.require : PLAN_NO_LEVEL;
}

static uint16_t group_of(struct gang_asking *asking, const char *name)
{
	struct plan_request *request = &asking->request;
	for (size_t i = request->group_count; i-- > 0;)
		if (strcmp(asking->groups[i].name, name) == 0)
			return (uint16_t)i;
	if (request->group_count == PLAN_GROUPS_MAX)
		return 0;
	asking->groups[request->group_count] = (struct plan_group){.name = name, .topology = PLAN_ANYWHERE};
	return (uint16_t)request->group_count++;
}

static void ask_members(const struct scheduler *s, const struct gang *gang, struct gang_asking *asking)
{
	for (size_t i = 0; i < gang->terms.group_count; i++)
		group_of(asking, gang->terms.groups[i].name); /* in the object's order */
	for (size_t i = 0; i < gang->count; i++) {
		struct gang_member *member = gang->members[i];
		const struct pod_gang *said = member->pod->gang;
		if (member->state == GANG_AWAY || member->state == GANG_DONE)
			continue;
		volumes_resolve(s->volumes, member->pod); /* bound, maybe, since the watch showed it */
		const struct ledger_entry *entry = ledger_find(s->fleet, slice_of(member->pod->uid));
		uint16_t group = group_of(asking, said->group ? said->group : "");
		asking->groups[group].quorum++;
		asking->of[asking->request.count] = member;
		asking->members[asking->request.count++] = (struct plan_member){.pod = member->pod,
		    .rank = gang_rank(said, &gang->terms),
		    .group = group,
		    .fixed = member->placed && entry ? entry->node : NULL,
		    .limited = member->offered != NULL,
		    .only = {member->offered_count, member->offered},
		    .never = {member->refused_count, (const char *const *)member->refused}};
	}
}

/* Of a sub-group no more can be asked for than are there. */
static bool ask_groups(const struct scheduler *s, const struct gang *gang, struct gang_asking *asking)
{
	for (size_t i = 0; i < asking->request.group_count; i++) {
		struct plan_group *group = &asking->groups[i];
		const struct gang_group_terms *terms = gang_terms_group(&gang->terms, group->name);
		struct gang_place place = gang_place_of(gang, group->name);
		size_t wanted = terms && terms->quorum > 0 ? (size_t)terms->quorum : 0;
		if (wanted < group->quorum)
			group->quorum = wanted;
		if (!read_place(s->policy.inforce, &place, &group->topology, asking))
			return false;
	}
	if (asking->request.group_count == 1 && !*asking->groups[0].name)
		asking->request.group_count = 0; /* nobody speaks of sub-groups */
	return true;
}

bool gang_ask(const struct scheduler *s, const struct gang *gang, size_t quorum, struct gang_asking **out)
{
	const struct policy_class *class_ = gang_class(s, gang);
	struct gang_place place = gang_place_of(gang, NULL);
	struct gang_asking *asking = *out = xcalloc(1, sizeof *asking);
	struct plan_request *request = &asking->request;
	asking->of = xcalloc(gang->count + 1, sizeof(struct gang_member *));
	asking->members = xcalloc(gang->count + 1, sizeof *asking->members);
	*request = (struct plan_request){
	    .members = asking->members, .groups = asking->groups, .quorum = quorum, .topology = PLAN_ANYWHERE};
	if (class_) {
		request->topology.require = class_->gang.require;
		request->topology.prefer = class_->gang.prefer;
	}
	ask_members(s, gang, asking);
	return read_place(s->policy.inforce, &place, &request->topology, asking) && ask_groups(s, gang, asking);
}

static int level_asked(const struct plan_topology *topology)
{
	return topology->require != PLAN_NO_LEVEL ? topology->require
	       : topology->segment > 0            ? topology->segment_level
	                                          : PLAN_NO_LEVEL;
}

bool gang_level_line(const struct scheduler *s, const struct gang_asking *asking, struct buf *out)
{
	const struct plan_request *request = &asking->request;
	int level = level_asked(&request->topology);
	for (size_t i = 0; i < request->group_count && level == PLAN_NO_LEVEL; i++)
		level = level_asked(&request->groups[i].topology);
	bool known = level >= 0 && level < (int)s->policy.inforce->level_count;
	if (asking->unknown_level)
		buf_printf(out, "the policy's topology has no level %s", asking->unknown_level);
	else if (known)
		buf_printf(out, "level %s is told by the node label %s, under the levels before it",
		    s->policy.inforce->levels[level].name, s->policy.inforce->levels[level].node_label);
	return asking->unknown_level || known;
}

void gang_asked(struct gang_asking *asking)
{
	free(asking->of);
	free(asking->members);
	free(asking);
}
