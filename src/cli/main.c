#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static const struct subcommand {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary;
} subcommands[] = {
    {"serve", cli_serve, "the daemon that kube-scheduler calls"},
    {"explain", cli_explain, "where a pod stands and why"},
    {"status", cli_status, "the fleet by pool, and whether berth is well"},
    {"queue", cli_queue, "what waits: gangs in line, pods by reason"},
    {"quarantine", cli_quarantine, "nodes that pods do not start on, and their release"},
    {"moves", cli_moves, "GPUs taken from work for other pods, and given back"},
    {"policy", cli_policy, "check a policy file, print its JSON Schema or its gate"},
    {"topology", cli_topology, "check the nodes' labels against the policy's topology"},
    {"guard", cli_guard, "lets go what waits behind berth's gate while no berth is active"},
    {"release", cli_release, "let go by hand what waits behind berth's gate"},
    {"demo", cli_demo, "watch berth fill a fleet, on the embedded cluster"},
    {"sim", cli_sim, "the embedded cluster alone: an API-server look-alike on loopback"},
};

#define SUBCOMMAND_COUNT (sizeof subcommands / sizeof *subcommands)

static void print_help(FILE *out)
{
	fputs("berth places GPU pods: a kube-scheduler extender with a policy file.\n\n"
	      "usage: berth SUBCOMMAND [OPTION ...]\n\n",
	    out);
	for (size_t i = 0; i < SUBCOMMAND_COUNT; i++)
		fprintf(out, "  %-10s %s\n", subcommands[i].name, subcommands[i].summary);
	fputs("\n  --help, --version; `berth SUBCOMMAND --help` for its options\n"
	      "exit codes: 0 ok, 1 no, 2 bad usage or file, 3 unreachable\n",
	    out);
}

int main(int argc, char **argv)
{
	static char program[32];
	const char *name = argc > 1 ? argv[1] : "";
	signal(SIGPIPE, SIG_IGN);
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
		print_help(stdout);
		return EXIT_YES;
	}
	if (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0) {
		puts("berth " BERTH_VERSION);
		return EXIT_YES;
	}
	for (size_t i = 0; i < SUBCOMMAND_COUNT; i++)
		if (strcmp(name, subcommands[i].name) == 0) {
			snprintf(program, sizeof program, "berth %s", name);
			argv[1] = program; /* what getopt says of options begins with it */
			return subcommands[i].run(argc - 1, argv + 1);
		}
	if (name[0] != '\0')
		fprintf(stderr, "berth: no subcommand \"%s\"\n\n", name);
	print_help(stderr);
	return EXIT_USAGE;
}
