#include <stdio.h>
#include <string.h>

#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/said.h"

static const char usage[] =
    "usage: berth moves [-o text|json] [--ops ADDR:PORT]\n"
    "\n"
    "GPUs taken from units of work for pods that may preempt them: from whom, for whom, for how long, at\n"
    "what cost. COST is the work that is lost and what else counts against ending the unit, in GPU-minutes;\n"
    "TAKEN what it has done without since, until it is given back. FOR names a node where that is emptied to be cut\n"
    "into MIG slices for them. Then the last moves that are over; and the pods that wait and for which no move is\n"
    "made, and why.\n"
    "With moves.mode: observe the moves are those that would be made.\n"
    "\n"
    "  -o, --output text|json  json is the daemon's own answer\n"
    "      --ops ADDR:PORT     the daemon's --listen-ops (127.0.0.1:8766)\n"
    "  -h, --help              prints this\n"
    "\n"
    "exit codes: 0 answered, 2 bad usage, 3 the daemon does not answer\n";

#define LENGTH(array) (sizeof(array) / sizeof *(array))

static void add_gpus(struct columns *columns, int64_t milli)
{
	if (milli % 1000 == 0)
		columns_add(columns, "%" PRId64, milli / 1000);
	else
		columns_add(columns, "%.3f", (double)milli / 1000);
}

static double real_of(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

static void add_unit(struct columns *columns, const json_t *move, const json_t *unit)
{
	const json_t *demand = json_object_get(move, "for");
	columns_add(columns, "%s", text_of(move, "id"));
	columns_add(columns, "%s", text_of(move, "phase"));
	const char *node = text_of(demand, "repartition");
	columns_add(columns, "%s %s/%s%s%s", text_of(demand, "kind"), text_of(demand, "namespace"),
	    text_of(demand, "name"), *node ? ", slices of " : "", node);
	const char *of = text_or(unit, "surplusOf", NULL);
	columns_add(columns, "%s %s/%s%s%s%s", text_of(unit, "kind"), text_of(unit, "namespace"), text_of(unit, "name"),
	    of ? " (" : "", of ? of : "", of ? ")" : "");
	add_gpus(columns, number_of(unit, "milliGPUs"));
	columns_add(columns, "%s", text_of(unit, "way"));
	columns_add(columns, "%s", text_of(unit, "state"));
	columns_add(columns, "%s", text_or(unit, "since", "-"));
	columns_add(columns, "%.0f", real_of(unit, "costGPUMinutes"));
	columns_add(columns, "%.0f", real_of(unit, "takenGPUMinutes"));
}

static void add_moves(struct columns *columns, const json_t *moves)
{
	size_t i, k;
	json_t *move, *unit;
	json_array_foreach(moves, i, move)
	{
		json_array_foreach(json_object_get(move, "units"), k, unit) add_unit(columns, move, unit);
	}
}

static size_t print_moves(const json_t *moves, const json_t *over)
{
	static const char *const heads[] = {
	    "MOVE", "PHASE", "FOR", "FROM", "GPUS", "WAY", "STATE", "SINCE", "COST", "TAKEN"};
	struct columns columns;
	size_t i, rows = 0;
	json_t *move;
	json_array_foreach(moves, i, move) rows += json_array_size(json_object_get(move, "units"));
	json_array_foreach(over, i, move) rows += json_array_size(json_object_get(move, "units"));
	if (rows == 0)
		return 0;
	columns_init(&columns, LENGTH(heads));
	for (size_t c = 0; c < LENGTH(heads); c++)
		columns_add(&columns, "%s", heads[c]);
	add_moves(&columns, moves);
	add_moves(&columns, over);
	columns_print(&columns, "", stdout);
	return rows;
}

static void print_text(const json_t *answer)
{
	const json_t *waiting = json_object_get(answer, "waiting");
	size_t i;
	json_t *row;
	if (strcmp(text_of(answer, "mode"), "off") == 0)
		puts("the policy has no moves");
	if (print_moves(json_object_get(answer, "moves"), json_object_get(answer, "over")) == 0 &&
	    strcmp(text_of(answer, "mode"), "off") != 0)
		puts("no moves");
	json_array_foreach(waiting, i, row)
	    printf("%s %s/%s: %" PRId64 " pods wait, and no move is made for them: %s\n", text_of(row, "kind"),
	        text_of(row, "namespace"), text_of(row, "name"), number_of(row, "pods"), text_of(row, "why"));
}

int cli_moves(int argc, char **argv)
{
	return ask_and_print(argc, argv, "moves", usage, print_text, NULL);
}
