#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "berth/node.h"
#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/said.h"
#include "kube/kube.h"

static const char usage[] =
    "usage: berth quarantine [-o text|json] [--ops ADDR:PORT]\n"
    "       berth quarantine release NODE [--kubeconfig FILE]\n"
    "\n"
    "Nodes that get no new pods for a while, as pods of different owners failed to start there.\n"
    "release ends it now: it writes the annotation " NODE_RELEASED " onto the node,\n"
    "with your own rights and whether or not a berth runs; what failed before does not count again.\n"
    "\n"
    "  -o, --output text|json  json is part of the daemon's own answer\n"
    "      --ops ADDR:PORT     the daemon's --listen-ops (127.0.0.1:8766)\n"
    "      --kubeconfig FILE   default: KUBECONFIG, the pod's service account, ~/.kube/config\n"
    "  -h, --help              prints this\n"
    "\n"
    "exit codes: 0 no node is in quarantine, or it was released, 1 some are, 2 bad usage or no such node,\n"
    "            3 the daemon or the API server cannot be reached\n";

#define PATH_BYTES_MAX 512
#define NODE_NAME_MAX 253
#define BODY_MAX 512

/* --- the list --- */

static void print_list(const json_t *nodes)
{
	static const char *const heads[] = {"NODE", "SINCE", "UNTIL", "FAILED", "OWNERS"};
	struct columns columns;
	size_t i;
	json_t *node;
	if (json_array_size(nodes) == 0) {
		printf("no node is in quarantine\n");
		return;
	}
	columns_init(&columns, sizeof heads / sizeof *heads);
	for (i = 0; i < sizeof heads / sizeof *heads; i++)
		columns_add(&columns, "%s", heads[i]);
	json_array_foreach(nodes, i, node)
	{
		columns_add(&columns, "%s", text_or(node, "node", ""));
		columns_add(&columns, "%s", text_or(node, "since", ""));
		columns_add(&columns, "%s", text_or(node, "until", ""));
		columns_add(&columns, "%" PRId64, number_of(node, "failedStarts"));
		columns_add(&columns, "%" PRId64, number_of(node, "owners"));
	}
	columns_print(&columns, "", stdout);
}

static int list(int argc, char **argv)
{
	struct answer answer;
	const char *ops;
	bool as_json, done;
	int code = ask_options(argc, argv, "quarantine", usage, &ops, &as_json, &done);
	if (code != EXIT_YES || done)
		return code;
	if (optind != argc) {
		fprintf(stderr, "berth quarantine: unexpected argument %s\n\n%s", argv[optind], usage);
		return EXIT_USAGE;
	}
	code = ask("quarantine", ops, "/v1/status", &answer);
	if (code == EXIT_YES && answer.status != 200) {
		fprintf(stderr, "berth quarantine: %s\n", text_or(answer.json, "error", "the daemon refused"));
		code = EXIT_UNREACHABLE;
	} else if (code == EXIT_YES) {
		const json_t *nodes = json_object_get(answer.json, "quarantine");
		if (as_json) {
			json_dumpf(nodes, stdout, JSON_COMPACT);
			printf("\n");
		} else {
			print_list(nodes);
		}
		code = json_array_size(nodes) > 0 ? EXIT_NO : EXIT_YES;
	}
	answer_free(&answer);
	return code;
}

/* --- the release --- */

struct release {
	struct kube *kube;
	const char *node;
	int code;
};

static void released(void *ctx, const struct kube_answer *answer)
{
	struct release *release = ctx;
	if (answer->code == 0 && answer->status < 300) {
		printf("%s released\n", release->node);
		release->code = EXIT_YES;
	} else {
		fprintf(stderr, "berth quarantine: %s: %s\n", release->node,
		    answer->error ? answer->error : "the API server does not answer");
		release->code = answer->code == 0 ? EXIT_USAGE : EXIT_UNREACHABLE;
	}
	kube_close(release->kube);
}

static bool is_node_name(const char *name)
{
	size_t len = strlen(name);
	return len > 0 && len <= NODE_NAME_MAX && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-.") == len;
}

static int patch_node(const struct kube_config *config, const char *node)
{
	struct release release = {.node = node, .code = EXIT_UNREACHABLE};
	char path[PATH_BYTES_MAX], now[CLOCK_TEXT_MAX];
	uv_loop_t loop;
	struct buf body;
	struct err err;
	uv_loop_init(&loop);
	release.kube = kube_open(&loop, config, &(struct kube_options){0}, &err);
	if (!release.kube) {
		fprintf(stderr, "berth quarantine: %s\n", err.text);
		uv_run(&loop, UV_RUN_DEFAULT);
		uv_loop_close(&loop);
		return EXIT_USAGE;
	}
	clock_format(clock_wall(), now);
	snprintf(path, sizeof path, "/api/v1/nodes/%s", node);
	buf_init(&body, BODY_MAX);
	buf_printf(&body, "{\"metadata\":{\"annotations\":{\"" NODE_RELEASED "\":\"%s\"}}}", now);
	kube_call(release.kube, &(struct kube_call_spec){.method = "PATCH",
	                            .path = path,
	                            .content_type = "application/merge-patch+json",
	                            .body = buf_slice(&body),
	                            .repeatable = true,
	                            .done = released,
	                            .ctx = &release});
	buf_free(&body);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	return release.code;
}

static int release_node(int argc, char **argv)
{
	static const struct option known[] = {
	    {"kubeconfig", required_argument, NULL, 'k'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	const char *kubeconfig = NULL;
	struct kube_config config = {0};
	struct err err;
	optind = 0;
	for (int option; (option = getopt_long(argc, argv, "h", known, NULL)) != -1;) {
		if (option == 'k') {
			kubeconfig = optarg;
			continue;
		}
		fputs(usage, option == 'h' ? stdout : stderr);
		return option == 'h' ? EXIT_YES : EXIT_USAGE;
	}
	if (optind + 1 != argc || !is_node_name(argv[optind])) {
		fprintf(stderr, "berth quarantine: release takes the name of one node\n\n%s", usage);
		return EXIT_USAGE;
	}
	if (kube_config_load(kubeconfig, &config, &err) != 0) {
		fprintf(stderr, "berth quarantine: %s\n", err.text);
		return EXIT_USAGE;
	}
	log_set_level(LOG_ERROR); /* the client's warnings are in the error that ends it */
	int code = patch_node(&config, argv[optind]);
	kube_config_free(&config);
	return code;
}

int cli_quarantine(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "release") == 0) {
		argv[1] = argv[0]; /* for what getopt says */
		return release_node(argc - 1, argv + 1);
	}
	return list(argc, argv);
}
