#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "cli/cli.h"
#include "cli/files.h"
#include "policy/gate.h"
#include "policy/load.h"

#define OUTPUT_MAX ((size_t)1 << 20)

static const char usage[] =
    "usage: berth policy check FILE [-o text|json] [--catalogue FILE]\n"
    "       berth policy gate [--policy FILE] [--namespace-selector LABELS] [--scheduler NAME]\n"
    "       berth policy schema\n"
    "       berth policy codes\n"
    "\n"
    "check   reads a policy and reports everything that is wrong with it; FILE - is standard input\n"
    "gate    prints the admission policy by which pods of the classes under gate: are gated from the\n"
    "        beginning (Kubernetes 1.36 and later): berth policy gate | kubectl apply -f -\n"
    "schema  prints the JSON Schema of the policy, for editors\n"
    "codes   prints every code that check reports\n"
    "\n"
    "  -o, --output text|json  form of the report: text on standard error, json on standard output\n"
    "      --catalogue FILE    GPU models besides the built-in ones\n"
    "      --policy FILE       of gate: the policy; without it the built-in one, - is standard input\n"
    "      --namespace-selector LABELS\n"
    "                          of gate: only in namespaces with these labels: key, !key, key=value or\n"
    "                          key!=value, with commas between them\n"
    "      --scheduler NAME    of gate: schedulerName of the pods (default berth)\n"
    "  -h, --help              prints this\n"
    "\n"
    "exit codes of check and gate: 0 valid, 2 not valid, not readable or bad usage\n";

struct options {
	const char *file, *catalogue;
	struct gate_options gate;
	bool json;
};

static int bad_usage(const char *reason, const char *what)
{
	fprintf(stderr, "berth policy: %s%s%s\n%s", reason, what ? " " : "", what ? what : "", usage);
	return EXIT_USAGE;
}

static int print(FILE *stream, struct buf *text)
{
	bool written = !text->overflow && fwrite(text->data ? text->data : "", 1, text->len, stream) == text->len &&
	               fflush(stream) == 0;

	buf_free(text);
	return written ? EXIT_YES : EXIT_USAGE;
}

static void count(struct buf *out, size_t number, const char *one, const char *many)
{
	buf_printf(out, ", %zu %s", number, number == 1 ? one : many);
}

static int check(const struct options *options, const struct gpu_catalogue *catalogue, struct slice text)
{
	const char *name = strcmp(options->file, "-") == 0 ? "<stdin>" : options->file;
	struct policy_report report;
	struct policy *policy = policy_load(text, catalogue, &report);
	int result = policy ? EXIT_YES : EXIT_USAGE, printed = EXIT_YES;
	struct buf out;

	buf_init(&out, OUTPUT_MAX);
	if (options->json) {
		policy_report_json(&report, name, &out);
		printed = print(stdout, &out);
	} else {
		policy_report_text(&report, name, text, files_colored(), &out);
		print(stderr, &out);
	}
	if (policy && !options->json) {
		buf_printf(&out, "%s: valid", name);
		count(&out, policy->pool_count, "pool", "pools");
		count(&out, policy->class_count, "class", "classes");
		if (report.warnings)
			count(&out, report.warnings, "warning", "warnings");
		buf_char(&out, '\n');
		printed = print(stdout, &out);
	}
	policy_free(policy);
	policy_report_free(&report);
	return result == EXIT_YES ? printed : result;
}

/* 0, or the exit code + 1 when there is nothing left to do. */
static int read_options(int argc, char **argv, struct options *options)
{
	static const struct option known[] = {
	    {"output", required_argument, NULL, 'o'},
	    {"catalogue", required_argument, NULL, 'c'},
	    {"policy", required_argument, NULL, 'p'},
	    {"namespace-selector", required_argument, NULL, 'n'},
	    {"scheduler", required_argument, NULL, 's'},
	    {"help", no_argument, NULL, 'h'},
	    {NULL, 0, NULL, 0},
	};

	optind = 0;
	for (int option; (option = getopt_long(argc, argv, "o:h", known, NULL)) != -1;) {
		switch (option) {
		case 'o':
			options->json = strcmp(optarg, "json") == 0;
			if (!options->json && strcmp(optarg, "text") != 0)
				return bad_usage("unknown output", optarg) + 1;
			break;
		case 'c':
			options->catalogue = optarg;
			break;
		case 'p':
			options->file = optarg;
			break;
		case 'n':
			options->gate.namespace_selector = optarg;
			break;
		case 's':
			options->gate.scheduler = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			return EXIT_YES + 1;
		default:
			return bad_usage("bad option", NULL) + 1;
		}
	}
	return 0;
}

static int check_file(const struct options *options)
{
	struct catalogue *catalogue = files_catalogue("policy", options->catalogue);
	int result = EXIT_USAGE;
	struct buf text;
	struct err err;

	if (!catalogue)
		return EXIT_USAGE;
	buf_init(&text, POLICY_TEXT_MAX);
	if (file_read(options->file, &text, &err))
		fprintf(stderr, "berth policy: %s\n", err.text);
	else
		result = check(options, &catalogue->gpus, buf_slice(&text));
	buf_free(&text);
	catalogue_free(catalogue);
	return result;
}

static int gate(const struct options *options)
{
	struct catalogue *catalogue = files_catalogue("policy", options->catalogue);
	struct policy *policy = catalogue ? files_policy("policy", options->file, &catalogue->gpus) : NULL;
	int result = EXIT_USAGE;
	struct buf out;
	struct err err;

	buf_init(&out, OUTPUT_MAX);
	if (policy && gate_write(policy, &options->gate, &out, &err))
		fprintf(
		    stderr, "berth policy: %s: %s\n", options->file ? options->file : "the built-in policy", err.text);
	else if (policy)
		result = print(stdout, &out);
	buf_free(&out);
	policy_free(policy);
	if (catalogue)
		catalogue_free(catalogue);
	return result;
}

int cli_policy(int argc, char **argv)
{
	struct options options = {.gate.scheduler = "berth"};
	int done = read_options(argc, argv, &options), operands = argc - optind;
	const char *verb = operands > 0 ? argv[optind] : NULL;
	struct buf out;

	if (done)
		return done - 1;
	if (!verb)
		return bad_usage("a subcommand is missing", NULL);
	if (strcmp(verb, "check") == 0) {
		if (operands != 2)
			return bad_usage("check takes one file", NULL);
		options.file = argv[optind + 1];
		return check_file(&options);
	}
	if (operands != 1)
		return bad_usage("unexpected argument", argv[optind + 1]);
	if (strcmp(verb, "gate") == 0)
		return gate(&options);
	buf_init(&out, OUTPUT_MAX);
	if (strcmp(verb, "schema") == 0)
		policy_schema(&out);
	else if (strcmp(verb, "codes") == 0)
		policy_codes(&out);
	else
		return bad_usage("unknown subcommand", verb);
	return print(stdout, &out);
}
