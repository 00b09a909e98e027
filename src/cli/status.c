#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/said.h"

static const char usage[] =
    "usage: berth status [-o text|json] [--ops ADDR:PORT]\n"
    "\n"
    "The fleet by pool, what waits and is reserved, the policy in force, the watches.\n"
    "OPEN are the nodes that take new pods; CLOSED the free GPUs of the others; k-GPU says how\n"
    "many pods of k GPUs the free ones would take, MOST how many GPUs one pod could get now.\n"
    "Teams' GPUs count slices and shares by their part; BORROWED is what they use above what is guaranteed.\n"
    "\n"
    "  -o, --output text|json  json is the daemon's own answer\n"
    "      --ops ADDR:PORT     the daemon's --listen-ops (127.0.0.1:8766)\n"
    "  -h, --help              prints this\n"
    "\n"
    "exit codes: 0 ready, 1 not ready, 2 bad usage, 3 the daemon does not answer\n";

static const char *const gpu_states[] = {"total", "free", "used", "held", "foreign", "closed", "unhealthy"};
static const char *const slot_sizes[] = {"1", "2", "4", "8"};

#define LENGTH(array) (sizeof(array) / sizeof *(array))

static void print_pools(const json_t *pools)
{
	static const char *const heads[] = {"POOL", "RESOURCE", "NODES", "OPEN", "GPUS", "FREE", "USED", "HELD",
	    "FOREIGN", "CLOSED", "UNHEALTHY", "1-GPU", "2-GPU", "4-GPU", "8-GPU", "MOST"};
	struct columns columns;
	size_t i;
	json_t *row;
	columns_init(&columns, LENGTH(heads));
	for (size_t c = 0; c < LENGTH(heads); c++)
		columns_add(&columns, "%s", heads[c]);
	json_array_foreach(pools, i, row)
	{
		columns_add(&columns, "%s", text_or(row, "pool", "-"));
		columns_add(&columns, "%s", text_or(row, "resource", "-"));
		columns_add(&columns, "%" PRId64, number_of(row, "nodes"));
		columns_add(&columns, "%" PRId64, number_of(row, "open"));
		for (size_t c = 0; c < LENGTH(gpu_states); c++)
			columns_add(&columns, "%" PRId64, number_of(json_object_get(row, "gpus"), gpu_states[c]));
		for (size_t c = 0; c < LENGTH(slot_sizes); c++)
			columns_add(&columns, "%" PRId64, number_of(json_object_get(row, "slots"), slot_sizes[c]));
		columns_add(&columns, "%" PRId64, number_of(row, "largest"));
	}
	columns_print(&columns, "", stdout);
}

/* GPUs, with what there is behind the point. */
static void add_gpus(struct columns *columns, const json_t *row, const char *name)
{
	const json_t *value = json_object_get(row, name);
	if (json_is_number(value))
		columns_add(columns, "%.7g", json_number_value(value));
	else
		columns_add(columns, "-");
}

static void print_teams(const json_t *teams)
{
	static const char *const heads[] = {"TEAM", "PARENT", "POOL", "USED", "GUARANTEED", "LIMIT", "BORROWED"};
	struct columns columns;
	size_t i, j;
	json_t *team, *row;
	if (json_array_size(teams) == 0)
		return;
	columns_init(&columns, LENGTH(heads));
	for (size_t c = 0; c < LENGTH(heads); c++)
		columns_add(&columns, "%s", heads[c]);
	json_array_foreach(teams, i, team)
	{
		json_array_foreach(json_object_get(team, "pools"), j, row)
		{
			columns_add(&columns, "%s", text_or(team, "name", "-"));
			columns_add(&columns, "%s", text_or(team, "parent", "-"));
			columns_add(&columns, "%s", text_or(row, "pool", "-"));
			add_gpus(&columns, row, "used");
			add_gpus(&columns, row, "guaranteed");
			add_gpus(&columns, row, "limit");
			add_gpus(&columns, row, "borrowed");
		}
	}
	printf("\n");
	columns_print(&columns, "", stdout);
}

static void print_short(const json_t *lines)
{
	size_t i;
	json_t *line;
	json_array_foreach(lines, i, line) printf("teams         %s\n", json_string_value(line));
}

static void print_waiting(const json_t *waiting)
{
	const char *code;
	json_t *count;
	const char *separator = ": ";
	printf("waiting       %" PRId64, number_of(waiting, "pods"));
	json_object_foreach(json_object_get(waiting, "codes"), code, count)
	{
		printf("%s%s %" PRId64, separator, code, (int64_t)json_integer_value(count));
		separator = ", ";
	}
	printf("\n");
}

/* "; 24 by chat-queue, chat-scaling, at most 64" */
static void print_follow(const json_t *follow)
{
	size_t i;
	json_t *name;
	if (!follow)
		return;
	printf("; %" PRId64 " by ", number_of(follow, "floor"));
	json_array_foreach(json_object_get(follow, "signals"), i, name)
	{
		printf("%s%s", i ? ", " : "", json_string_value(name));
	}
	printf(", at most %" PRId64, number_of(follow, "max"));
}

static void print_signals(const json_t *signals)
{
	size_t i;
	json_t *signal;
	json_array_foreach(signals, i, signal)
	{
		const json_t *value = json_object_get(signal, "value");
		const char *error = text_or(signal, "error", NULL);
		printf("signal        %s for %s: ", text_or(signal, "name", ""), text_or(signal, "for", ""));
		if (json_is_number(value))
			printf("%.6g, %" PRId64 " s ago", json_number_value(value), number_of(signal, "ageSeconds"));
		else
			printf("not known");
		if (json_is_true(json_object_get(signal, "peak")))
			printf(", peak");
		if (json_is_true(json_object_get(signal, "fresh")))
			printf(", %" PRId64 " more GPUs wanted", number_of(signal, "gpus"));
		else if (json_is_number(value))
			printf(", too old, ignored");
		printf("%s%s\n", error ? ": " : "", error ? error : "");
	}
}

static void print_headroom(const json_t *rules)
{
	size_t i;
	json_t *rule;
	json_array_foreach(rules, i, rule)
	{
		bool open = json_is_true(json_object_get(rule, "open"));
		const char *changes = text_or(rule, "changes", NULL);
		printf("headroom      %s in %s: %" PRId64 " held, %" PRId64 " used, %" PRId64 " lent, %" PRId64
		       " missing",
		    text_or(rule, "for", ""), text_or(rule, "pool", ""), number_of(rule, "held"),
		    number_of(rule, "used"), number_of(rule, "lent"), number_of(rule, "missing"));
		if (changes)
			printf(open ? ", until %s" : ", from %s", changes);
		print_follow(json_object_get(rule, "follow"));
		printf("\n");
	}
}

static void print_quarantine(const json_t *nodes)
{
	size_t i;
	json_t *node;
	if (json_array_size(nodes) == 0)
		return;
	printf("quarantine    %zu: ", json_array_size(nodes));
	json_array_foreach(nodes, i, node)
	{
		printf("%s%s until %s", i ? ", " : "", text_or(node, "node", ""), text_or(node, "until", ""));
	}
	printf("\n");
}

static void print_repartition(const json_t *nodes)
{
	size_t i;
	json_t *node;
	json_array_foreach(nodes, i, node)
	{
		const char *move = text_or(node, "move", "");
		printf("repartition   %s to %s: %s since %s%s%s\n", text_or(node, "node", ""), text_or(node, "to", ""),
		    text_or(node, "phase", ""), text_or(node, "since", ""), *move ? ", emptied by " : "", move);
	}
}

static void print_watches(const json_t *watches)
{
	size_t i;
	json_t *watch;
	json_array_foreach(watches, i, watch)
	{
		bool synced = json_is_true(json_object_get(watch, "synced"));
		bool connected = json_is_true(json_object_get(watch, "connected"));
		const char *error = text_or(watch, "error", NULL);
		printf("watch         %s: %s", text_or(watch, "resource", ""),
		    !synced     ? "not read yet"
		    : connected ? "connected"
		                : "lost");
		if (json_object_get(watch, "contactSeconds"))
			printf(", last contact %" PRId64 " s ago", number_of(watch, "contactSeconds"));
		printf("%s%s\n", error ? ", " : "", error ? error : "");
	}
}

static void print_text(const json_t *answer)
{
	const json_t *policy = json_object_get(answer, "policy"), *held = json_object_get(answer, "reservations");
	const char *error = text_or(policy, "error", NULL);
	print_pools(json_object_get(answer, "pools"));
	print_teams(json_object_get(answer, "teams"));
	printf("\n");
	print_short(json_object_get(answer, "short"));
	print_waiting(json_object_get(answer, "waiting"));
	printf("reservations  planned %" PRId64 ", assumed %" PRId64 ", bound %" PRId64 "\n",
	    number_of(held, "planned"), number_of(held, "assumed"), number_of(held, "bound"));
	print_headroom(json_object_get(answer, "headroom"));
	print_signals(json_object_get(answer, "signals"));
	print_quarantine(json_object_get(answer, "quarantine"));
	print_repartition(json_object_get(answer, "repartition"));
	printf("policy        %s since %s\n", text_or(policy, "hash", ""), text_or(policy, "loaded", ""));
	if (error)
		printf("              the newest file is not in force: %s\n", error);
	print_watches(json_object_get(answer, "watches"));
	const char *role = text_or(answer, "role", "active");
	bool active = strcmp(role, "active") == 0;
	printf("berth %s   %s%s%s\n", text_or(answer, "version", ""),
	    json_is_true(json_object_get(answer, "ready")) ? "ready" : "not ready", active ? "" : ", ",
	    active ? "" : role);
}

static bool is_ready(const json_t *answer)
{
	return json_is_true(json_object_get(answer, "ready"));
}

int cli_status(int argc, char **argv)
{
	return ask_and_print(argc, argv, "status", usage, print_text, is_ready);
}
