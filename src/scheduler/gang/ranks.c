/* Which rank which member has, and which ranks nobody has. */
#include <inttypes.h>
#include <stdlib.h>

#include "scheduler/gang/internal.h"

#define RANGES_SHOWN 8

int32_t gang_rank_of(const struct gang_member *member)
{
	const struct gang_terms *terms = &member->gang->terms;
	return gang_rank(member->pod->gang, terms->group_count > 0 ? terms : &member->pod->gang->terms);
}

int gang_by_rank(const void *a, const void *b)
{
	const struct gang_member *left = *(struct gang_member *const *)a, *right = *(struct gang_member *const *)b;
	uint32_t left_rank = (uint32_t)gang_rank_of(left), right_rank = (uint32_t)gang_rank_of(right);
	if (left_rank != right_rank)
		return left_rank < right_rank ? -1 : 1;
	return strcmp(left->pod->name, right->pod->name);
}

struct gang_member *gang_first_member(const struct gang *gang)
{
	struct gang_member *first = gang->count > 0 ? gang->members[0] : NULL;
	for (size_t i = 1; i < gang->count; i++)
		if (gang_by_rank(&gang->members[i], &first) < 0)
			first = gang->members[i];
	return first;
}

static int by_number(const void *a, const void *b)
{
	int32_t left = *(const int32_t *)a, right = *(const int32_t *)b;
	return (left > right) - (left < right);
}

/* Whether the ranks, in order, are places 0 … quorum-1 of which some are free. A number at the end of a pod's name may
 * count from 1: only a Job's are sure to begin at 0 when none is 0. */
static bool are_places(const struct gang *gang, const int32_t *ranks, size_t count, size_t quorum)
{
	if (count == 0 || ranks[0] < 0 || (ranks[0] > 0 && gang->dialect != GANG_INDEXED_JOB) ||
	    (size_t)ranks[count - 1] >= quorum)
		return false;
	for (size_t i = 1; i < count; i++)
		if (ranks[i] == ranks[i - 1])
			return false;
	return true;
}

static void write_gaps(const int32_t *ranks, size_t count, int32_t quorum, struct buf *out)
{
	size_t ranges = 0;
	int32_t next = 0;
	for (size_t i = 0; i <= count; i++) {
		int32_t end = i < count ? ranks[i] : quorum;
		if (end > next && ++ranges <= RANGES_SHOWN) {
			buf_printf(out, "%s%" PRId32, ranges > 1 ? ", " : "", next);
			if (end - 1 > next)
				buf_printf(out, "-%" PRId32, end - 1);
		}
		next = end + 1;
	}
	if (ranges > RANGES_SHOWN)
		buf_text(out, " and others");
}

bool gang_missing_ranks(const struct gang *gang, struct buf *out)
{
	size_t quorum = gang_quorum(gang), count = 0;
	if (gang_present(gang) >= quorum || gang_size(gang) > quorum || gang->terms.group_count > 1 ||
	    quorum > GANG_MEMBERS_MAX)
		return false;
	int32_t *ranks = xcalloc(gang->count + 1, sizeof *ranks);
	for (size_t i = 0; i < gang->count; i++)
		if (!gang->members[i]->pod->deleting)
			ranks[count++] = gang_rank_of(gang->members[i]);
	qsort(ranks, count, sizeof *ranks, by_number);
	bool known = count < quorum && are_places(gang, ranks, count, quorum);
	if (known)
		write_gaps(ranks, count, (int32_t)quorum, out);
	free(ranks);
	return known;
}
