/* What a gang waits for, in one line. */
#include <inttypes.h>
#include <string.h>

#include "cluster/gang_table.h"
#include "scheduler/gang/internal.h"
#include "scheduler/gang/news.h"

#define GIB (INT64_C(1) << 30)

static void write_amount(const char *resource, int64_t amount, struct buf *out)
{
	if (strcmp(resource, "cpu") == 0)
		buf_printf(out, "%.6g", (double)amount / 1000);
	else if (strcmp(resource, "memory") == 0 || strcmp(resource, "ephemeral-storage") == 0)
		buf_printf(out, "%.4gGi", (double)amount / (double)GIB);
	else
		buf_printf(out, "%" PRId64, amount);
	buf_printf(out, " %s", resource);
}

void gang_shortage_line(const struct gang_shortage *shortage, size_t quorum, struct buf *out)
{
	if (shortage->bound[0] != '\0') {
		buf_text(out, shortage->bound);
		return;
	}
	if (shortage->missing[0] != '\0') {
		buf_text(out, shortage->missing);
		return;
	}
	if (shortage->level[0] == '\0') {
		buf_text(out, reason_text(shortage->why)); /* nothing was counted */
		return;
	}
	if (shortage->domain[0] != '\0')
		buf_printf(out, "best %s %s", shortage->level, shortage->domain);
	else
		buf_printf(out, "the %s", shortage->level);
	buf_printf(out, " holds %zu of %zu pods", shortage->takes, quorum);
	if (shortage->lacks == 0) {
		buf_printf(out, ", but %s", reason_text(shortage->why));
	} else if (shortage->resource) {
		buf_text(out, ", lacks ");
		write_amount(shortage->resource, shortage->amount, out);
	} else if (shortage->pod[0] != '\0') {
		buf_printf(out, ", %s: %s", shortage->pod, reason_text(shortage->blocking));
	}
}

static const char *ordinal(size_t number)
{
	static const char *const endings[] = {"th", "st", "nd", "rd"};
	size_t last = number % 10;
	return number / 10 % 10 == 1 || last > 3 ? endings[0] : endings[last];
}

bool gang_size_trouble(const struct gang *gang, struct buf *out)
{
	for (size_t i = 0; i < gang->count; i++) {
		const struct pod *pod = gang->members[i]->pod;
		int word = pod->trouble_key ? gang_word_of(slice_of(pod->trouble_key)) : -1;
		if (word < 0 ||
		    (gang_word_rows[word].role != GANG_ROLE_SIZE && gang_word_rows[word].role != GANG_ROLE_QUORUM))
			continue;
		buf_printf(out, "%s of %s cannot be read", pod->trouble_key, pod->name);
		return true;
	}
	return false;
}

static void write_unknown(struct scheduler *s, const struct gang *gang, struct buf *out)
{
	const char *name, *error, *kind = gang_source_kind(s, gang, &name, &error);
	size_t present = gang_present(gang);
	buf_printf(out, "%zu member%s present, of how many is not known", present, present == 1 ? "" : "s");
	struct buf trouble;
	buf_init(&trouble, GANG_LINE_MAX);
	if (kind)
		buf_printf(out, ": %s %s, %s", kind, name, error);
	else if (gang_size_trouble(gang, &trouble))
		buf_printf(out, ": %s", trouble.data);
	buf_free(&trouble);
}

/* Sub-groups that members are missing of, though the gang as a whole may have enough. */
static void write_short_groups(const struct gang *gang, struct buf *out)
{
	for (size_t i = 0; i < gang->terms.group_count; i++) {
		const struct gang_group_terms *group = &gang->terms.groups[i];
		size_t present = gang_group_present(gang, group);
		if (group->quorum > 0 && !group->late && present < (size_t)group->quorum)
			buf_printf(out, ", %zu of %" PRId32 " of %s", present, group->quorum, group->name);
	}
}

static void write_missing(const struct gang *gang, struct buf *out)
{
	struct buf ranks;
	buf_init(&ranks, GANG_RANKS_TEXT_MAX);
	if (gang_missing_ranks(gang, &ranks))
		buf_printf(out, ", missing rank%s %s", strpbrk(ranks.data, ",-") ? "s" : "", ranks.data);
	buf_free(&ranks);
}

void gang_line(struct scheduler *s, const struct gang *gang, size_t position, struct buf *out)
{
	const struct gang_shortage *shortage = &gang_news_of(s, gang)->shortage;
	size_t quorum = gang_quorum(gang), present = gang_present(gang);
	buf_printf(out, "gang %s/%s: ", gang->namespace_, gang->name);
	if (quorum == 0) {
		write_unknown(s, gang, out);
	} else if (position > 0) {
		buf_printf(out, "queued %zu%s: ", position, ordinal(position));
		if (shortage->why == REASON_CODE_FITS)
			buf_printf(out, "%zu of %zu members present", present, quorum);
		else
			gang_shortage_line(shortage, quorum, out);
		if (gang->held_nodes > 0)
			buf_printf(out, "; %zu node%s kept free for it", gang->held_nodes,
			    gang->held_nodes == 1 ? " is" : "s are");
		gang_reserve_line(gang, out);
	} else {
		buf_printf(out, "%zu of %zu members present", present, quorum);
		write_missing(gang, out);
		write_short_groups(gang, out);
	}
}
