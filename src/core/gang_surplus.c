/* Which members of a whole gang are more than it needs. */
#include "berth/gangs.h"

#include <stdlib.h>
#include <string.h>

#include "berth/alloc.h"

/* Members that run, of all and of each sub-group that is spoken of. */
struct tally {
	size_t all, of_group[GANG_GROUPS_MAX];
};

static size_t group_of(const struct gang *gang, const struct gang_member *member)
{
	const struct gang_group_terms *group = gang_terms_group(&gang->terms, member->pod->gang->group);
	size_t at = group ? (size_t)(group - gang->terms.groups) : GANG_GROUPS_MAX;
	return at < GANG_GROUPS_MAX ? at : GANG_GROUPS_MAX;
}

static bool runs(const struct gang_member *member)
{
	return member->state == GANG_BOUND && !member->pod->deleting;
}

static void count(const struct gang *gang, const bool *gone, struct tally *tally)
{
	*tally = (struct tally){0};
	for (size_t i = 0; i < gang->count; i++) {
		if (!runs(gang->members[i]) || (gone && gone[i]))
			continue;
		size_t group = group_of(gang, gang->members[i]);
		tally->all++;
		if (group < GANG_GROUPS_MAX)
			tally->of_group[group]++;
	}
}

/* Of the gang's own terms: a group's quorum, or the least that its elasticity goes down to. */
static size_t needed(const struct gang *gang, size_t group)
{
	const struct gang_group_terms *terms = &gang->terms.groups[group];
	int32_t least = terms->least > terms->quorum ? terms->least : terms->quorum;
	return least > 0 && !terms->late ? (size_t)least : 0;
}

bool gang_bears(const struct gang *gang, const bool *gone)
{
	struct tally tally;
	if (gang->state != GANG_WHOLE || gang_quorum(gang) == 0)
		return false;
	count(gang, gone, &tally);
	for (size_t i = 0; i < gang->terms.group_count && i < GANG_GROUPS_MAX; i++)
		if (tally.of_group[i] < needed(gang, i))
			return false;
	return tally.all >= gang_quorum(gang);
}

static int32_t rank_of(const struct gang_member *member)
{
	return gang_rank(member->pod->gang, &member->gang->terms);
}

static bool may_go(const struct gang *gang, const struct gang_member *member)
{
	const struct gang_group_terms *group = gang_terms_group(&gang->terms, member->pod->gang->group);
	return runs(member) && !member->pod->gang->leads && rank_of(member) != 0 && !(group && group->part_size > 1);
}

int gang_last_first(const struct gang_member *a, const struct gang_member *b)
{
	int32_t left = rank_of(a), right = rank_of(b);
	if (left != right)
		return left > right ? -1 : 1;
	if (a->pod->created_ns != b->pod->created_ns)
		return a->pod->created_ns > b->pod->created_ns ? -1 : 1;
	return strcmp(b->pod->name, a->pod->name);
}

static int order(const void *a, const void *b)
{
	return gang_last_first(*(struct gang_member *const *)a, *(struct gang_member *const *)b);
}

size_t gang_surplus(const struct gang *gang, const bool *gone, struct gang_member **out)
{
	struct tally tally;
	size_t candidates = 0, taken = 0, quorum = gang_quorum(gang);
	if (!gang_bears(gang, gone))
		return 0;
	count(gang, gone, &tally);
	for (size_t i = 0; i < gang->count && tally.all > quorum; i++)
		if (!(gone && gone[i]) && may_go(gang, gang->members[i]))
			out[candidates++] = gang->members[i];
	if (candidates > 1)
		qsort(out, candidates, sizeof *out, order);
	for (size_t i = 0; i < candidates && tally.all > quorum; i++) {
		size_t group = group_of(gang, out[i]);
		if (group < GANG_GROUPS_MAX && tally.of_group[group] <= needed(gang, group))
			continue;
		if (group < GANG_GROUPS_MAX)
			tally.of_group[group]--;
		tally.all--;
		out[taken++] = out[i];
	}
	return taken;
}
