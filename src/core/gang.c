#include "berth/gang.h"

#include <string.h>

const struct gang_group_terms *gang_terms_group(const struct gang_terms *terms, const char *name)
{
	if (name)
		for (size_t i = 0; i < terms->group_count; i++)
			if (strcmp(terms->groups[i].name, name) == 0)
				return &terms->groups[i];
	return NULL;
}

int32_t gang_rank(const struct pod_gang *gang, const struct gang_terms *terms)
{
	if (gang->part <= 0 || gang->rank < 0)
		return gang->rank;
	const struct gang_group_terms *group = terms ? gang_terms_group(terms, gang->group) : NULL;
	if (!group || group->part_size <= gang->rank)
		return -1;
	int64_t rank = (int64_t)gang->part * group->part_size + gang->rank;
	return rank < GANG_MEMBERS_MAX ? (int32_t)rank : -1;
}
