#include <stdio.h>
#include <string.h>

#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/said.h"

static const char usage[] =
    "usage: berth queue [-o text|json] [--ops ADDR:PORT]\n"
    "\n"
    "What waits: the gangs in line, in their order, and behind them those that members are missing of;\n"
    "then the single pods without a place, counted by reason.\n"
    "MEMBERS are those present of those needed, GPUS what the present ones ask for; BEST is the domain\n"
    "of the level required that takes the most of them, HOLDS how many, SHORT what is missing there;\n"
    "STARTS when the gang is expected to start, where the policy's reserveAfter lets it be foreseen.\n"
    "\n"
    "  -o, --output text|json  json is the daemon's own answer\n"
    "      --ops ADDR:PORT     the daemon's --listen-ops (127.0.0.1:8766)\n"
    "  -h, --help              prints this\n"
    "\n"
    "exit codes: 0 answered, 2 bad usage, 3 the daemon does not answer\n";

#define STARTS "STARTS" /* only where a class has reserveAfter */
#define LENGTH(array) (sizeof(array) / sizeof *(array))

static void add_amount(struct columns *columns, const json_t *best)
{
	char text[AMOUNT_TEXT_MAX];
	const char *resource = text_of(best, "resource");
	if (*resource)
		columns_add(columns, "%s %s", amount_text(resource, number_of(best, "amount"), text), resource);
	else
		columns_add(columns, "-");
}

static void add_start(struct columns *columns, const json_t *gang)
{
	const json_t *seconds = json_object_get(gang, "startSeconds");
	char duration[DURATION_TEXT_MAX];
	int64_t left = json_is_integer(seconds) ? (int64_t)json_integer_value(seconds) : 0;
	if (!json_is_integer(seconds))
		columns_add(columns, "-");
	else if (left <= 0)
		columns_add(columns, "due");
	else
		columns_add(columns, "in %s", duration_text(left, duration));
}

static void add_gang(struct columns *columns, const json_t *gang, bool starts)
{
	const json_t *best = json_object_get(gang, "best"), *position = json_object_get(gang, "position");
	const char *domain = text_of(best, "domain");
	char duration[DURATION_TEXT_MAX];
	int64_t quorum = number_of(gang, "quorum");
	if (json_is_integer(position))
		columns_add(columns, "%" PRId64, (int64_t)json_integer_value(position));
	else
		columns_add(columns, "-");
	columns_add(columns, "%s/%s", text_of(gang, "namespace"), text_of(gang, "name"));
	columns_add(columns, "%" PRId64, number_of(gang, "priority"));
	columns_add(columns, "%s", text_or(gang, "class", "-"));
	if (quorum > 0)
		columns_add(columns, "%" PRId64 "/%" PRId64, number_of(gang, "present"), quorum);
	else
		columns_add(columns, "%" PRId64 "/?", number_of(gang, "present"));
	columns_add(columns, "%" PRId64, number_of(gang, "gpus"));
	columns_add(columns, "%s", duration_text(number_of(gang, "seconds"), duration));
	if (starts)
		add_start(columns, gang);
	columns_add(columns, "%s", text_of(gang, "code"));
	if (best)
		columns_add(columns, "%s%s%s", text_of(best, "level"), *domain ? " " : "", domain);
	else if (*text_of(gang, "teamBound"))
		columns_add(columns, "%s", text_of(gang, "teamBound"));
	else
		columns_add(columns, "-");
	if (best)
		columns_add(columns, "%" PRId64, number_of(best, "takes"));
	else
		columns_add(columns, "-");
	add_amount(columns, best);
}

static void print_gangs(const json_t *gangs)
{
	static const char *const heads[] = {"POS", "GANG", "PRIORITY", "CLASS", "MEMBERS", "GPUS", "WAITING", STARTS,
	    "REASON", "BEST", "HOLDS", "SHORT"};
	struct columns columns;
	bool starts = false;
	size_t i;
	json_t *gang;
	if (json_array_size(gangs) == 0)
		return;
	json_array_foreach(gangs, i, gang) starts |= json_object_get(gang, "start") != NULL;
	columns_init(&columns, starts ? LENGTH(heads) : LENGTH(heads) - 1);
	for (size_t c = 0; c < LENGTH(heads); c++)
		if (starts || strcmp(heads[c], STARTS) != 0)
			columns_add(&columns, "%s", heads[c]);
	json_array_foreach(gangs, i, gang) add_gang(&columns, gang, starts);
	columns_print(&columns, "", stdout);
}

static void print_singles(const json_t *singles)
{
	static const char *const heads[] = {"SINGLES", "GPUS", "WAITING", "REASON"};
	char duration[DURATION_TEXT_MAX];
	struct columns columns;
	size_t i;
	json_t *row;
	if (json_array_size(singles) == 0)
		return;
	columns_init(&columns, LENGTH(heads));
	for (size_t c = 0; c < LENGTH(heads); c++)
		columns_add(&columns, "%s", heads[c]);
	json_array_foreach(singles, i, row)
	{
		const char *code = text_of(row, "code");
		columns_add(&columns, "%" PRId64, number_of(row, "pods"));
		columns_add(&columns, "%" PRId64, number_of(row, "gpus"));
		columns_add(&columns, "%s", duration_text(number_of(row, "seconds"), duration));
		columns_add(&columns, "%s%s%s", code, *code ? ": " : "", text_of(row, "reason"));
	}
	columns_print(&columns, "", stdout);
}

static void print_text(const json_t *answer)
{
	const json_t *gangs = json_object_get(answer, "gangs"), *singles = json_object_get(answer, "singles");
	print_gangs(gangs);
	if (json_array_size(gangs) > 0 && json_array_size(singles) > 0)
		printf("\n");
	print_singles(singles);
	if (json_array_size(gangs) + json_array_size(singles) == 0)
		puts("nothing waits");
}

int cli_queue(int argc, char **argv)
{
	return ask_and_print(argc, argv, "queue", usage, print_text, NULL);
}
