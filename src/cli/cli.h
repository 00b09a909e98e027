/* The subcommands: one file each, each with its own options, help and exit codes. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

enum cli_exit {
	EXIT_YES = 0,
	EXIT_NO = 1,          /* the answer is no: not valid, does not fit, over-committed */
	EXIT_USAGE = 2,       /* bad flags, or a file that cannot be used */
	EXIT_UNREACHABLE = 3, /* the daemon or the API server cannot be reached */
};

/* argv[0] is the subcommand's name. */
int cli_serve(int argc, char **argv);
int cli_explain(int argc, char **argv);
int cli_status(int argc, char **argv);
int cli_queue(int argc, char **argv);
int cli_quarantine(int argc, char **argv);
int cli_moves(int argc, char **argv);
int cli_policy(int argc, char **argv);
int cli_guard(int argc, char **argv);
int cli_release(int argc, char **argv);
int cli_topology(int argc, char **argv);
int cli_demo(int argc, char **argv);
int cli_sim(int argc, char **argv);

#endif
