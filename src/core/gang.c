#include "berth/gang.h"

#include <string.h>

#include "berth/arena.h"

static const char *copy_text(struct arena *arena, const char *text)
{
	return text ? arena_copy(arena, slice_of(text)) : NULL;
}

static struct gang_place copy_place(struct arena *arena, const struct gang_place *place)
{
	return (struct gang_place){copy_text(arena, place->require), copy_text(arena, place->prefer),
	    copy_text(arena, place->segment_at), place->segment};
}

void gang_terms_copy(struct arena *arena, const struct gang_terms *terms, struct gang_terms *copy)
{
	*copy = *terms;
	copy->place = copy_place(arena, &terms->place);
	copy->groups = arena_calloc(arena, terms->group_count + 1, sizeof *copy->groups);
	for (size_t i = 0; i < terms->group_count; i++) {
		copy->groups[i] = terms->groups[i];
		copy->groups[i].name = copy_text(arena, terms->groups[i].name);
		copy->groups[i].place = copy_place(arena, &terms->groups[i].place);
	}
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_place(const struct gang_place *a, const struct gang_place *b)
{
	return same_text(a->require, b->require) && same_text(a->prefer, b->prefer) &&
	       same_text(a->segment_at, b->segment_at) && a->segment == b->segment;
}

bool gang_terms_same(const struct gang_terms *a, const struct gang_terms *b)
{
	if (a->quorum != b->quorum || a->size != b->size || a->led != b->led || a->elastic != b->elastic ||
	    a->together != b->together || a->group_count != b->group_count || !same_place(&a->place, &b->place))
		return false;
	for (size_t i = 0; i < a->group_count; i++) {
		const struct gang_group_terms *left = &a->groups[i], *right = &b->groups[i];
		if (!same_text(left->name, right->name) || left->quorum != right->quorum || left->size != right->size ||
		    left->part_size != right->part_size || left->least != right->least || left->late != right->late ||
		    !same_place(&left->place, &right->place))
			return false;
	}
	return true;
}

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
