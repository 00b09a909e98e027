#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/explain.h"
#include "cli/said.h"
#include "base/buf.h"

static const char usage[] =
    "usage: berth explain NAMESPACE/POD [-o text|json] [--ops ADDR:PORT]\n"
    "\n"
    "Says where a pod stands and why: how many nodes are left after each step, what the node\n"
    "that came furthest lacks, what would help; or where it fits, and the score by term.\n"
    "Of a gang's member besides: who is there and who is missing, the best domain of each\n"
    "level and how many members it takes, what blocks, and what runs out when.\n"
    "\n"
    "  -o, --output text|json  json is the daemon's own answer\n"
    "      --ops ADDR:PORT     the daemon's --listen-ops (127.0.0.1:8766)\n"
    "  -h, --help              prints this\n"
    "\n"
    "exit codes: 0 the pod fits or has its place, 1 it, or its gang, does not, or it is not known,\n"
    "2 bad usage, 3 the daemon does not answer\n";

static void print_duration(int64_t seconds)
{
	char text[DURATION_TEXT_MAX];
	printf(" %s", duration_text(seconds, text));
}

static void print_node(const json_t *object)
{
	const char *pool = text_of(object, "pool");
	printf("%s", text_of(object, "node"));
	if (*pool)
		printf(" (pool %s)", pool);
}

static void print_head(const json_t *answer)
{
	const json_t *held = json_object_get(answer, "reservation");
	const char *class_ = text_of(answer, "class");
	printf("%s  %s", text_of(answer, "pod"), text_of(answer, "state"));
	if (held) {
		printf(" on ");
		print_node(held);
		printf(" for");
		print_duration(number_of(held, "seconds"));
		if (json_object_get(held, "expiresInSeconds"))
			printf(", at most %" PRId64 " s more", number_of(held, "expiresInSeconds"));
	} else if (json_object_get(answer, "waitingSeconds")) {
		print_duration(number_of(answer, "waitingSeconds"));
		printf(", rejected for %s", text_of(answer, "rejectedFor"));
	} else if (json_object_get(answer, "rejectedFor")) {
		printf(", held back: %s", text_of(answer, "rejectedFor"));
	}
	const char *team = text_of(answer, "team");
	printf("%s%s%s%s\n", *class_ ? "  class " : "", class_, *team ? "  team " : "", team);
}

static void print_steps(const json_t *answer)
{
	struct columns columns;
	size_t i;
	json_t *step, *steps = json_object_get(answer, "steps");
	columns_init(&columns, 4);
	columns_add(&columns, "STEP");
	columns_add(&columns, "OUT");
	columns_add(&columns, "LEFT");
	columns_add(&columns, "WHY");
	columns_add(&columns, "nodes");
	columns_add(&columns, "0");
	columns_add(&columns, "%" PRId64, number_of(answer, "nodes"));
	columns_add(&columns, "%s", "");
	json_array_foreach(steps, i, step)
	{
		columns_add(&columns, "%s", text_of(step, "code"));
		columns_add(&columns, "%" PRId64, number_of(step, "nodes"));
		columns_add(&columns, "%" PRId64, number_of(step, "left"));
		columns_add(&columns, "%s", text_of(step, "text"));
	}
	columns_print(&columns, "  ", stdout);
}

static void print_score(const json_t *score)
{
	struct columns columns;
	const char *term;
	json_t *parts, *terms = json_object_get(score, "terms");
	columns_init(&columns, 4);
	columns_add(&columns, "TERM");
	columns_add(&columns, "VALUE");
	columns_add(&columns, "WEIGHT");
	columns_add(&columns, "SCORE");
	json_object_foreach(terms, term, parts)
	{
		double value = json_number_value(json_object_get(parts, "value"));
		double weight = json_number_value(json_object_get(parts, "weight"));
		columns_add(&columns, "%s", term);
		columns_add(&columns, "%.4f", value);
		columns_add(&columns, "%.9g", weight);
		columns_add(&columns, "%.4f", value * weight);
	}
	columns_add(&columns, "total");
	columns_add(&columns, "%s", "");
	columns_add(&columns, "%s", "");
	columns_add(&columns, "%.4f", json_number_value(json_object_get(score, "total")));
	columns_print(&columns, "  ", stdout);
}

static void print_list(const char *before, const json_t *list, const char *after)
{
	size_t i;
	json_t *item;
	printf("%s", before);
	if (json_array_size(list) == 0)
		printf("none known");
	json_array_foreach(list, i, item) printf("%s%s", i ? ", " : "", json_string_value(item));
	printf("%s", after);
}

static void print_obstacle(const json_t *nearest)
{
	const json_t *taint = json_object_get(nearest, "taint"), *memory = json_object_get(nearest, "gpuMemoryMiB"),
	             *dtypes = json_object_get(nearest, "dtypes");
	if (taint)
		printf("  taint %s%s%s:%s is not tolerated\n", text_of(taint, "key"),
		    *text_of(taint, "value") ? "=" : "", text_of(taint, "value"), text_of(taint, "effect"));
	if (memory)
		printf("  GPU memory: %" PRId64 " MiB asked for, %" PRId64 " MiB there\n", number_of(memory, "asked"),
		    number_of(memory, "there"));
	if (dtypes) {
		print_list("  number formats: ", json_object_get(dtypes, "asked"), " asked for, ");
		print_list("", json_object_get(dtypes, "there"), " there\n");
	}
}

static void print_lacks(const json_t *lacks)
{
	struct columns columns;
	size_t i;
	json_t *lack;
	bool ill = false;
	char text[AMOUNT_TEXT_MAX];
	if (json_array_size(lacks) == 0)
		return;
	json_array_foreach(lacks, i, lack) ill |= number_of(lack, "unhealthy") > 0;
	columns_init(&columns, ill ? 5 : 4);
	columns_add(&columns, "LACKS");
	columns_add(&columns, "ASKED");
	columns_add(&columns, "FREE");
	columns_add(&columns, "ALLOCATABLE");
	if (ill)
		columns_add(&columns, "UNHEALTHY");
	json_array_foreach(lacks, i, lack)
	{
		const char *resource = text_of(lack, "resource");
		columns_add(&columns, "%s", resource);
		columns_add(&columns, "%s", amount_text(resource, number_of(lack, "asked"), text));
		columns_add(&columns, "%s", amount_text(resource, number_of(lack, "free"), text));
		columns_add(&columns, "%s", amount_text(resource, number_of(lack, "allocatable"), text));
		if (ill)
			columns_add(&columns, "%" PRId64, number_of(lack, "unhealthy"));
	}
	columns_print(&columns, "  ", stdout);
}

static void print_why_not(const json_t *answer)
{
	const json_t *nearest = json_object_get(answer, "nearest");
	size_t i;
	json_t *line;
	if (nearest) {
		printf("came furthest: ");
		print_node(nearest);
		printf(", %s\n", text_of(nearest, "text"));
		print_obstacle(nearest);
		print_lacks(json_object_get(nearest, "lacks"));
	}
	json_array_foreach(json_object_get(answer, "help"), i, line) printf("%s\n", json_string_value(line));
}

static void print_requests(json_t *requests)
{
	const char *resource, *separator = "requests ";
	char text[AMOUNT_TEXT_MAX];
	json_t *amount;
	json_object_foreach(requests, resource, amount)
	{
		if (strcmp(resource, "pods") == 0)
			continue; /* always one */
		printf("%s%s %s", separator, resource, amount_text(resource, json_integer_value(amount), text));
		separator = ", ";
	}
	printf("\n");
}

static void print_devices(const json_t *held)
{
	const char *say = text_of(held, "devicesSay");
	size_t i;
	json_t *device;
	if (!*say)
		return;
	printf("devices %s", say);
	json_array_foreach(json_object_get(held, "devices"), i, device)
	    printf("%s index %" PRId64, i ? "," : ":", number_of(device, "index"));
	printf("\n");
}

/* What the Binding said, under the policy of its day. */
static void print_decision(const json_t *decision)
{
	const char *pool = text_of(decision, "pool");
	if (!decision)
		return;
	printf("decided as class %s", text_of(decision, "class"));
	if (*pool)
		printf(", pool %s", pool);
	printf(", by policy %s%s\n", text_of(decision, "policy"),
	    json_is_true(json_object_get(decision, "inForce")) ? "" : ", which is no longer in force");
}

static void print_text(const json_t *answer)
{
	const json_t *held = json_object_get(answer, "reservation"), *best = json_object_get(answer, "best");
	const json_t *gang = json_object_get(answer, "gang");
	const char *code = text_of(answer, "code");
	print_head(answer);
	if (gang)
		explain_gang(gang);
	if (*text_of(answer, "move"))
		printf("%s\n", text_of(answer, "move"));
	if (held) {
		print_requests(json_object_get(held, "requests"));
		print_devices(held);
		print_decision(json_object_get(answer, "decision"));
		if (json_object_get(held, "terms"))
			print_score(held);
		return;
	}
	if (gang)
		printf("the pod alone\n");
	if (!best) {
		printf("%s: %s (%s)\n", code, text_of(answer, "reason"), text_of(answer, "kind"));
		print_steps(answer);
		print_why_not(answer);
		return;
	}
	printf("fits on %" PRId64 " of %" PRId64 " nodes, best on ", number_of(answer, "fits"),
	    number_of(answer, "nodes"));
	print_node(best);
	printf("\n");
	print_score(best);
	print_steps(answer);
}

static bool is_pod_name(const char *text)
{
	const char *slash = strchr(text, '/');
	return slash && slash > text && slash[1] != '\0' && !strchr(slash + 1, '/');
}

static int show(const char *pod, const struct answer *answer, bool as_json)
{
	if (answer->status != 200) {
		const char *error = text_of(answer->json, "error");
		fprintf(stderr, "berth explain: %s: %s\n", pod, *error ? error : "the daemon refused");
		return answer->status == 404 ? EXIT_NO : answer->status == 400 ? EXIT_USAGE : EXIT_UNREACHABLE;
	}
	if (as_json)
		fputs(answer->text, stdout);
	else
		print_text(answer->json);
	bool placed = json_object_get(answer->json, "reservation");
	bool fits = json_object_get(answer->json, "best") && !explain_gang_waits(json_object_get(answer->json, "gang"));
	return placed || fits ? EXIT_YES : EXIT_NO;
}

int cli_explain(int argc, char **argv)
{
	struct answer answer;
	struct buf path;
	const char *ops;
	bool as_json, done;
	int code = ask_options(argc, argv, "explain", usage, &ops, &as_json, &done);
	if (code != EXIT_YES || done)
		return code;
	if (optind + 1 != argc || !is_pod_name(argv[optind])) {
		fprintf(stderr, "berth explain: which pod? NAMESPACE/POD\n\n%s", usage);
		return EXIT_USAGE;
	}
	char *escaped = ask_escape(argv[optind]);
	buf_init(&path, (size_t)1 << 16);
	buf_printf(&path, "/v1/explain?pod=%s", escaped);
	code = ask("explain", ops, path.overflow ? "/v1/explain" : path.data, &answer);
	if (code == EXIT_YES)
		code = show(argv[optind], &answer, as_json);
	answer_free(&answer);
	buf_free(&path);
	free(escaped);
	return code;
}
