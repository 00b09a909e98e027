#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cli/cli.h"
#include "guard/release.h"
#include "guard/resume.h"

static const char usage[] =
    "usage: berth release [-A | -n NAMESPACE] [--dry-run] [--kubeconfig FILE]\n"
    "\n"
    "Takes berth's scheduling gate (berth.dev/plan) from every pod that waits behind it: for the day when\n"
    "berth is gone and its pods are to go on without it; and resumes every object that bears the mark of a\n"
    "suspension by berth (berth.dev/suspended-by). With -A, nodes whose GPUs berth was cutting anew lose its taint\n"
    "(berth.dev/repartition) and get back the label they had. Needs the API server and no berth. Other gates on a\n"
    "pod stay. While a berth runs it plans such pods as it plans those that never had a gate.\n"
    "\n"
    "  -A, --all-namespaces    the pods of all namespaces\n"
    "  -n, --namespace NAME    those of one (default)\n"
    "      --dry-run           says which pods it would be, and writes nothing\n"
    "      --kubeconfig FILE   default: KUBECONFIG, the pod's service account, ~/.kube/config\n"
    "  -h, --help              prints this\n"
    "\n"
    "Prints a line a pod or object. It may list and patch them, or says what it may not.\n"
    "exit codes: 0 none waits behind the gate or is suspended any more, 1 some are, 2 bad usage, 3 the API server "
    "cannot be reached\n";

struct asked {
	const char *kubeconfig, *namespace_;
	bool all, dry_run, help;
};

static int read_options(int argc, char **argv, struct asked *asked)
{
	static const struct option known[] = {{"all-namespaces", no_argument, NULL, 'A'},
	    {"namespace", required_argument, NULL, 'n'}, {"dry-run", no_argument, NULL, 'd'},
	    {"kubeconfig", required_argument, NULL, 'k'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	optind = 0;
	for (int option; (option = getopt_long(argc, argv, "An:h", known, NULL)) != -1;) {
		switch (option) {
		case 'A':
			asked->all = true;
			break;
		case 'n':
			asked->namespace_ = optarg;
			break;
		case 'd':
			asked->dry_run = true;
			break;
		case 'k':
			asked->kubeconfig = optarg;
			break;
		case 'h':
			asked->help = true;
			fputs(usage, stdout);
			return EXIT_YES;
		default:
			fputs(usage, stderr);
			return EXIT_USAGE;
		}
	}
	if (optind < argc)
		fprintf(stderr, "berth release: unexpected argument %s\n\n%s", argv[optind], usage);
	else if (asked->all && asked->namespace_)
		fprintf(stderr, "berth release: -A or -n, not both\n\n%s", usage);
	else
		return EXIT_YES;
	return EXIT_USAGE;
}

static void told(void *ctx, const struct gated *gated, const char *error)
{
	const struct asked *asked = ctx;
	if (error) {
		fprintf(stderr, "berth release: %s/%s: %s\n", gated->namespace_, gated->name, error);
		return;
	}
	printf("%s/%s %s%s%s\n", gated->namespace_, gated->name, asked->dry_run ? "would be released" : "released",
	    gated->others ? ", still behind " : "", gated->others ? gated->others : "");
}

static void resumed(void *ctx, const char *kind, const char *namespace_, const char *name, const char *error)
{
	const struct asked *asked = ctx;
	const char *slash = *namespace_ ? "/" : "", *done = strcmp(kind, RESUME_NODE) == 0 ? "given back" : "resumed";
	if (error)
		fprintf(stderr, "berth release: %s %s%s%s: %s\n", kind, namespace_, slash, name, error);
	else
		printf("%s %s%s%s %s%s\n", kind, namespace_, slash, name, asked->dry_run ? "would be " : "", done);
}

static void unlisted(void *ctx, const char *kind, const char *error)
{
	(void)ctx;
	fprintf(stderr, "berth release: %s objects cannot be listed: %s\n", kind, error);
}

static void sum_up(const struct asked *asked, const struct release_result *result)
{
	const char *where = asked->all ? "any namespace" : asked->namespace_;
	if (result->found == 0)
		fprintf(stderr, "no pod in %s waits behind berth's gate%s\n", where,
		    asked->all ? "" : "; -A looks at all namespaces");
	else if (asked->dry_run)
		fprintf(stderr, "%zu pods would be released\n", result->found);
	else
		fprintf(stderr, "%zu of %zu pods released\n", result->found - result->failed, result->found);
	if (result->suspended > 0)
		fprintf(stderr, asked->dry_run ? "%zu objects would be resumed\n" : "%zu of %zu objects resumed\n",
		    result->suspended - result->not_resumed, result->suspended);
}

int cli_release(int argc, char **argv)
{
	struct asked asked = {.help = false};
	struct release_result result;
	struct kube_config kube = {0};
	struct err err;
	int code = read_options(argc, argv, &asked);
	if (code != EXIT_YES || asked.help)
		return code;
	if (!asked.all && !asked.namespace_)
		asked.namespace_ = "default";
	if (kube_config_load(asked.kubeconfig, &kube, &err) != 0) {
		fprintf(stderr, "berth release: %s\n", err.text);
		return EXIT_USAGE;
	}
	log_set_level(LOG_ERROR); /* the client's warnings are in the error that ends it */
	struct release_options options = {.kube = &kube,
	    .namespace_ = asked.all ? NULL : asked.namespace_,
	    .dry_run = asked.dry_run,
	    .told = told,
	    .resumed = resumed,
	    .unlisted = unlisted,
	    .ctx = &asked};
	if (release_run(&options, &result, &err) != 0) {
		fprintf(stderr, "berth release: %s\n", err.text);
		code = err.code == ERR_UNREACHABLE ? EXIT_UNREACHABLE : err.code == ERR_INPUT ? EXIT_USAGE : EXIT_NO;
	} else {
		sum_up(&asked, &result);
		bool left = result.failed + result.not_resumed + result.unlisted > 0 ||
		            (asked.dry_run && result.found + result.suspended > 0);
		code = left ? EXIT_NO : EXIT_YES;
	}
	kube_config_free(&kube);
	return code;
}
