#include "cli/explain.h"

#include <string.h>

#include "cli/columns.h"
#include "cli/said.h"

#define NAMES_SHOWN 8
#define MEMBERS_SHOWN 16

bool explain_gang_waits(const json_t *gang)
{
	const char *state = text_of(gang, "state");
	return gang && (strcmp(state, "gathering") == 0 || strcmp(state, "queued") == 0);
}

static void print_head(const json_t *gang)
{
	char duration[DURATION_TEXT_MAX];
	const char *code = text_of(gang, "code"), *plan = text_of(gang, "plan");
	printf("gang %s/%s  %s for %s", text_of(gang, "namespace"), text_of(gang, "name"), text_of(gang, "state"),
	    duration_text(number_of(gang, "seconds"), duration));
	if (*plan)
		printf("  plan %s", plan);
	printf("\n");
	if (*code)
		printf("%s: %s\n", code, text_of(gang, "reason"));
}

/* Who tells the size, where it is not the pods themselves. */
static void print_object(const json_t *object)
{
	const char *error = text_of(object, "error");
	if (!object)
		return;
	printf("  its size is told by %s %s%s%s\n", text_of(object, "kind"), text_of(object, "name"),
	    *error ? ": " : "", error);
}

static void print_counts(const json_t *gang)
{
	static const char *const counted[] = {"gated", "parked", "bound", "holes"};
	int64_t quorum = number_of(gang, "quorum"), size = number_of(gang, "size");
	int64_t missing = number_of(gang, "missing");
	const char *ranks = text_of(gang, "missingRanks");
	printf("  members: %" PRId64, number_of(gang, "present"));
	if (quorum > 0 && size <= quorum)
		printf(" of %" PRId64, quorum);
	printf(" present");
	if (size > quorum)
		printf(" of %" PRId64 ", %" PRId64 " needed", size, quorum);
	if (missing > 0)
		printf(", %" PRId64 " missing%s%s%s", missing, *ranks ? " (rank " : "", ranks, *ranks ? ")" : "");
	for (size_t i = 0; i < sizeof counted / sizeof *counted; i++)
		if (number_of(gang, counted[i]) > 0)
			printf(", %" PRId64 " %s", number_of(gang, counted[i]), counted[i]);
	printf("\n");
}

static void print_groups(const json_t *groups)
{
	size_t i;
	json_t *group;
	json_array_foreach(groups, i, group)
	{
		int64_t quorum = number_of(group, "quorum");
		printf("  of %s: %" PRId64, text_of(group, "name"), number_of(group, "present"));
		if (quorum > 0)
			printf(" of %" PRId64, quorum);
		printf(" present\n");
	}
}

static void print_names(const json_t *members)
{
	size_t i, count = json_array_size(members);
	json_t *one;
	if (count == 0)
		return;
	printf("  there are: ");
	json_array_foreach(members, i, one)
	{
		const char *state = text_of(one, "state");
		bool told = strcmp(state, "deleting") == 0 || strcmp(state, "gated by others") == 0;
		if (i == NAMES_SHOWN)
			break;
		printf("%s%s%s%s%s", i ? ", " : "", text_of(one, "pod"), told ? " (" : "", told ? state : "",
		    told ? ")" : "");
	}
	if (count > NAMES_SHOWN)
		printf(" and %zu more", count - NAMES_SHOWN);
	printf("\n");
}

static void add_level(struct columns *columns, const char *level, const char *best, const json_t *row, const char *note)
{
	columns_add(columns, "%s", level);
	columns_add(columns, "%s", best);
	columns_add(columns, "%" PRId64, number_of(row, "takes"));
	columns_add(columns, "%" PRId64, number_of(row, "lacks"));
	columns_add(columns, "%s", note);
}

static void print_levels(const json_t *gang)
{
	const json_t *fleet = json_object_get(gang, "fleet"), *levels = json_object_get(gang, "levels");
	struct columns columns;
	size_t i;
	json_t *row;
	if (!fleet)
		return;
	columns_init(&columns, 5);
	columns_add(&columns, "LEVEL");
	columns_add(&columns, "BEST");
	columns_add(&columns, "TAKES");
	columns_add(&columns, "LACKS");
	columns_add(&columns, "%s", "");
	add_level(&columns, "fleet", "-", fleet, "");
	json_array_foreach(levels, i, row) add_level(&columns, text_of(row, "level"), text_or(row, "best", "-"), row,
	    json_is_true(json_object_get(row, "required")) ? "required" : "");
	columns_print(&columns, "  ", stdout);
	json_array_foreach(levels, i, row)
	{
		int64_t outside = number_of(row, "outside");
		if (outside > 0)
			printf("  %" PRId64 " node%s in no %s\n", outside, outside == 1 ? " is" : "s are",
			    text_of(row, "level"));
	}
}

static void print_blocking(const json_t *gang)
{
	const json_t *blocking = json_object_get(gang, "blocking");
	if (!blocking)
		return;
	printf("  blocking: %s, %s", text_of(blocking, "pod"), text_of(blocking, "reason"));
	if (json_object_get(blocking, "resource"))
		printf(" (%s, %" PRId64 " a pod)", text_of(blocking, "resource"), number_of(blocking, "asked"));
	printf("\n");
}

static void print_places(const json_t *gang)
{
	const json_t *within = json_object_get(gang, "within"), *members = json_object_get(gang, "members");
	struct columns columns;
	size_t i;
	json_t *one;
	if (within)
		printf("  within %s%s%s\n", text_of(within, "level"), *text_of(within, "domain") ? " " : "",
		    text_of(within, "domain"));
	columns_init(&columns, 3);
	columns_add(&columns, "MEMBER");
	columns_add(&columns, "STATE");
	columns_add(&columns, "NODE");
	json_array_foreach(members, i, one)
	{
		if (i == MEMBERS_SHOWN)
			break;
		columns_add(&columns, "%s", text_of(one, "pod"));
		columns_add(&columns, "%s", text_of(one, "state"));
		columns_add(&columns, "%s", text_or(one, "node", "-"));
	}
	columns_print(&columns, "  ", stdout);
	if (json_array_size(members) > MEMBERS_SHOWN)
		printf("  and %zu more\n", json_array_size(members) - MEMBERS_SHOWN);
}

static void print_deadlines(const json_t *deadlines)
{
	char duration[DURATION_TEXT_MAX];
	size_t i;
	json_t *one;
	json_array_foreach(deadlines, i, one)
	{
		int64_t left = number_of(one, "inSeconds");
		printf("  %s: %s left\n", text_of(one, "name"), duration_text(left > 0 ? left : 0, duration));
	}
}

void explain_gang(const json_t *gang)
{
	int64_t held = number_of(gang, "heldNodes");
	print_head(gang);
	print_object(json_object_get(gang, "object"));
	if (json_object_get(gang, "sizeTrouble"))
		printf("  %s\n", text_of(gang, "sizeTrouble"));
	print_counts(gang);
	print_groups(json_object_get(gang, "groups"));
	if (explain_gang_waits(gang))
		print_names(json_object_get(gang, "members"));
	else
		print_places(gang);
	if (json_object_get(gang, "levelMissing"))
		printf("  %s\n", text_of(gang, "levelMissing"));
	print_levels(gang);
	print_blocking(gang);
	if (json_object_get(gang, "teamBound"))
		printf("  %s\n", text_of(json_object_get(gang, "teamBound"), "line"));
	if (held > 0)
		printf("  %" PRId64 " node%s kept free for it\n", held, held == 1 ? " is" : "s are");
	print_deadlines(json_object_get(gang, "deadlines"));
	if (json_is_true(json_object_get(gang, "kept")))
		puts("  it can be neither completed nor undone: what is bound stays");
}
