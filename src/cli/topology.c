#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/reader.h"
#include "berth/fleet.h"
#include "berth/survey.h"
#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/files.h"
#include "cli/nodes.h"
#include "cluster/node.h"

#define NODES_TEXT_MAX ((size_t)1 << 30)
#define PATH_TEXT_MAX 512
#define PROBLEM_TEXT_MAX 2048

static const char usage[] =
    "usage: berth topology check [-f FILE | --kubeconfig FILE] [--policy FILE] [-o text|json]\n"
    "                            [--catalogue FILE]\n"
    "\n"
    "How the labels of nodes bear the levels of the policy's topology, by pool: domains, nodes\n"
    "inside and outside of them, the smallest and the largest domain. CUT-OFF are nodes outside that\n"
    "have the level's label and lack that of a wider level.\n"
    "\n"
    "  berth topology check --policy policy.yaml\n"
    "  kubectl get nodes -o json | berth topology check --policy policy.yaml -f -\n"
    "\n"
    "  -f, --filename FILE     the nodes: a NodeList in JSON, or one Node; - is standard input.\n"
    "                          Otherwise those of the cluster are listed\n"
    "      --kubeconfig FILE   the cluster (KUBECONFIG, the pod's service account, ~/.kube/config)\n"
    "      --policy FILE       the policy (otherwise the built-in one)\n"
    "  -o, --output text|json  form of the answer\n"
    "      --catalogue FILE    GPU models besides the built-in ones\n"
    "  -h, --help              prints this\n"
    "\n"
    "Problems: a level that no node of a pool carries (what requires it can never run there), a name of\n"
    "a domain in two wider ones, a level without two nodes together.\n"
    "exit codes: 0 no problem, 2 problems, a file that cannot be used or bad usage,\n"
    "3 the API server does not answer, or refuses\n";

struct options {
	const char *nodes, *kubeconfig, *policy, *catalogue;
	bool json;
};

static int bad_usage(const char *reason)
{
	fprintf(stderr, "berth topology: %s\n%s", reason, usage);
	return EXIT_USAGE;
}

/* ---- reading ---- */

static int put_node(struct fleet *fleet, struct slice json, struct err *err)
{
	struct node_spec *spec = cluster_node_decode(json, &fleet->names, fleet->catalogue, err);

	if (!spec)
		return err->code;
	fleet_put_node(fleet, spec);
	return 0;
}

static int put_items(struct fleet *fleet, struct slice items, struct err *err)
{
	struct reader json;
	size_t index = 0;

	reader_open(&json, items);
	if (!reader_array(&json))
		return err_set(err, ERR_INPUT, "\"items\" is no list");
	for (; reader_next(&json); index++) {
		struct slice item;
		struct err why;

		reader_value(&json, &item);
		if (!json.error && put_node(fleet, item, &why))
			return err_set(err, ERR_INPUT, "items[%zu]: %s", index, why.text);
	}
	return reader_close(&json) ? 0 : err_set(err, ERR_INPUT, "items: %s", json.error);
}

static int put_nodes(struct fleet *fleet, struct slice text, struct err *err)
{
	struct slice items = {NULL, 0};
	struct reader json;

	reader_open(&json, text);
	if (reader_object(&json))
		for (struct slice key; reader_key(&json, &key);) {
			if (slice_is(key, "items"))
				reader_value(&json, &items);
			else
				reader_skip(&json);
		}
	if (!reader_close(&json))
		return err_set(err, ERR_INPUT, "not JSON: %s at byte %zu", json.error, (size_t)(json.at - json.start));
	return items.at ? put_items(fleet, items, err) : put_node(fleet, text, err);
}

/* ---- saying ---- */

static const char *pool_name(const struct fleet *fleet, uint16_t pool)
{
	return pool == POOL_NONE ? "-" : fleet->policy->pools[pool].name;
}

static void describe(
    const struct fleet *fleet, const struct survey *survey, const struct survey_problem *problem, char *text)
{
	const struct policy_level *level = &fleet->policy->levels[problem->level];
	char first[PATH_TEXT_MAX], other[PATH_TEXT_MAX];
	const struct survey_row *row = survey->rows;

	switch (problem->trouble) {
	case SURVEY_LEVEL_MISSING:
		while (row->level != problem->level || row->pool != problem->pool)
			row++;
		snprintf(text, PROBLEM_TEXT_MAX,
		    "level %s, %s %s: Misconfigured, none of %zu nodes is in a domain; %zu have the label %s%s",
		    level->name, problem->pool == POOL_NONE ? "all" : "pool",
		    problem->pool == POOL_NONE ? "nodes" : pool_name(fleet, problem->pool), row->outside, row->cut_off,
		    level->node_label, row->cut_off ? ", but lack that of a wider level" : "");
		break;
	case SURVEY_NAME_TWICE:
		topology_path(problem->first, first, sizeof first);
		topology_path(problem->other, other, sizeof other);
		snprintf(text, PROBLEM_TEXT_MAX,
		    "level %s: %zu name%s in more than one wider domain, like %s and %s, which count as two",
		    level->name, problem->names, problem->names == 1 ? "" : "s", first, other);
		break;
	case SURVEY_NOTHING_TOGETHER:
		snprintf(text, PROBLEM_TEXT_MAX,
		    "level %s: every domain has one node, so the level says no more than the host", level->name);
		break;
	}
}

static void print_text(const struct fleet *fleet, const struct survey *survey)
{
	static const char *const heads[] = {
	    "LEVEL", "POOL", "DOMAINS", "INSIDE", "OUTSIDE", "CUT-OFF", "SMALLEST", "LARGEST"};
	struct columns columns;
	char text[PROBLEM_TEXT_MAX];

	if (fleet->policy->level_count == 0)
		puts("the policy has no topology: the host is the only level");
	columns_init(&columns, sizeof heads / sizeof *heads);
	for (size_t i = 0; survey->row_count > 0 && i < sizeof heads / sizeof *heads; i++)
		columns_add(&columns, "%s", heads[i]);
	for (size_t i = 0; i < survey->row_count; i++) {
		const struct survey_row *row = &survey->rows[i];
		const size_t counts[] = {
		    row->domains, row->inside, row->outside, row->cut_off, row->smallest, row->largest};

		columns_add(&columns, "%s", fleet->policy->levels[row->level].name);
		columns_add(&columns, "%s", pool_name(fleet, row->pool));
		for (size_t j = 0; j < sizeof counts / sizeof *counts; j++)
			columns_add(&columns, "%zu", counts[j]);
	}
	columns_print(&columns, "", stdout);
	for (size_t i = 0; i < survey->problem_count; i++) {
		describe(fleet, survey, &survey->problems[i], text);
		printf("problem: %s\n", text);
	}
}

static void print_json(const struct fleet *fleet, const struct survey *survey)
{
	static const char *const troubles[] = {
	    [SURVEY_LEVEL_MISSING] = "Misconfigured",
	    [SURVEY_NAME_TWICE] = "NameTwice",
	    [SURVEY_NOTHING_TOGETHER] = "NothingTogether",
	};
	json_t *rows = json_array(), *problems = json_array(), *answer;
	char text[PROBLEM_TEXT_MAX];

	for (size_t i = 0; i < survey->row_count; i++) {
		const struct survey_row *row = &survey->rows[i];

		json_array_append_new(
		    rows, json_pack("{s:s, s:s?, s:I, s:I, s:I, s:I, s:I, s:I}", "level",
		              fleet->policy->levels[row->level].name, "pool",
		              row->pool == POOL_NONE ? NULL : pool_name(fleet, row->pool), "domains",
		              (json_int_t)row->domains, "inside", (json_int_t)row->inside, "outside",
		              (json_int_t)row->outside, "cutOff", (json_int_t)row->cut_off, "smallest",
		              (json_int_t)row->smallest, "largest", (json_int_t)row->largest));
	}
	for (size_t i = 0; i < survey->problem_count; i++) {
		const struct survey_problem *problem = &survey->problems[i];

		describe(fleet, survey, problem, text);
		json_array_append_new(problems,
		    json_pack("{s:s, s:s, s:s?, s:s}", "code", troubles[problem->trouble], "level",
		        fleet->policy->levels[problem->level].name, "pool",
		        problem->pool == POOL_NONE ? NULL : pool_name(fleet, problem->pool), "message", text));
	}
	answer = json_pack(
	    "{s:I, s:o, s:o}", "nodes", (json_int_t)fleet_node_count(fleet), "levels", rows, "problems", problems);
	json_dumpf(answer, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(answer);
}

/* ---- the subcommand ---- */

static int read_file(const char *path, struct fleet *fleet)
{
	struct buf text;
	struct err err;
	int result = EXIT_YES;

	buf_init(&text, NODES_TEXT_MAX);
	if (file_read(path, &text, &err) || put_nodes(fleet, buf_slice(&text), &err)) {
		fprintf(stderr, "berth topology: %s: %s\n", path, err.text);
		result = EXIT_USAGE;
	}
	buf_free(&text);
	return result;
}

static int put_page(void *ctx, struct slice list, struct err *err)
{
	return put_nodes(ctx, list, err);
}

static int read_cluster(const char *kubeconfig, struct fleet *fleet)
{
	struct err err;
	int code = nodes_read(kubeconfig, put_page, fleet, &err);

	if (code == 0)
		return EXIT_YES;
	fprintf(stderr, "berth topology: the nodes cannot be read: %s\n", err.text);
	return code == ERR_UNREACHABLE ? EXIT_UNREACHABLE : EXIT_USAGE;
}

static int check(const struct options *options, struct fleet *fleet)
{
	struct survey survey;
	int result = options->nodes ? read_file(options->nodes, fleet) : read_cluster(options->kubeconfig, fleet);

	if (result != EXIT_YES)
		return result;
	survey_make(fleet, &survey);
	if (options->json)
		print_json(fleet, &survey);
	else
		print_text(fleet, &survey);
	result = survey.problem_count || fflush(stdout) ? EXIT_USAGE : EXIT_YES;
	survey_free(&survey);
	return result;
}

/* 0, or the exit code + 1 when there is nothing left to do. */
static int read_options(int argc, char **argv, struct options *options)
{
	static const struct option known[] = {
	    {"filename", required_argument, NULL, 'f'},
	    {"kubeconfig", required_argument, NULL, 'k'},
	    {"policy", required_argument, NULL, 'p'},
	    {"output", required_argument, NULL, 'o'},
	    {"catalogue", required_argument, NULL, 'c'},
	    {"help", no_argument, NULL, 'h'},
	    {NULL, 0, NULL, 0},
	};

	optind = 0;
	for (int option; (option = getopt_long(argc, argv, "f:o:h", known, NULL)) != -1;) {
		switch (option) {
		case 'f':
			options->nodes = optarg;
			break;
		case 'k':
			options->kubeconfig = optarg;
			break;
		case 'p':
			options->policy = optarg;
			break;
		case 'o':
			options->json = strcmp(optarg, "json") == 0;
			if (!options->json && strcmp(optarg, "text") != 0)
				return bad_usage("-o is text or json") + 1;
			break;
		case 'c':
			options->catalogue = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			return EXIT_YES + 1;
		default:
			return bad_usage("bad option") + 1;
		}
	}
	if (argc - optind != 1 || strcmp(argv[optind], "check") != 0)
		return bad_usage("check is the one thing to do") + 1;
	if (options->nodes && options->kubeconfig)
		return bad_usage("the nodes are either in a file or in a cluster") + 1;
	if (options->policy && options->nodes && strcmp(options->policy, "-") == 0 && strcmp(options->nodes, "-") == 0)
		return bad_usage("standard input cannot be both the policy and the nodes") + 1;
	return 0;
}

int cli_topology(int argc, char **argv)
{
	struct options options = {0};
	int done = read_options(argc, argv, &options), result = EXIT_USAGE;
	struct catalogue *catalogue;
	struct policy *policy;
	struct fleet *fleet;

	if (done)
		return done - 1;
	catalogue = files_catalogue("topology", options.catalogue);
	if (!catalogue)
		return EXIT_USAGE;
	policy = files_policy("topology", options.policy, &catalogue->gpus);
	if (policy) {
		fleet = fleet_new(&catalogue->gpus);
		fleet_set_policy(fleet, policy);
		result = check(&options, fleet);
		fleet_free(fleet);
		policy_free(policy);
	}
	catalogue_free(catalogue);
	return result;
}
