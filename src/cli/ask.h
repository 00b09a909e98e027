/* One GET to the daemon's ops listener. */
#ifndef CLI_ASK_H
#define CLI_ASK_H

#include <jansson.h>
#include <stdbool.h>

#define ASK_OPS_DEFAULT "127.0.0.1:8766"

struct answer {
	unsigned status; /* HTTP */
	char *text;      /* as the daemon sent it */
	json_t *json;    /* the same, read */
};

/* EXIT_YES, or EXIT_UNREACHABLE with the reason said on stderr after "berth NAME: ". An answer that is no JSON object
 * counts as unreachable: something else listens there. Free with answer_free in any case. */
int ask(const char *name, const char *ops, const char *path, struct answer *answer);
void answer_free(struct answer *answer);
/* The text with all but unreserved characters as %XX, for a query; the caller frees it. */
char *ask_escape(const char *text);
/* The options that the askers share: -o text|json, --ops ADDR:PORT, -h. EXIT_YES to go on, with optind at the first
 * argument; else what to exit with, and *done when that was the help. */
int ask_options(int argc, char **argv, const char *name, const char *usage, const char **ops, bool *json, bool *done);
/* A subcommand without arguments of its own: asks for /v1/NAME and prints the answer, by `print` or, with -o json, as
 * it came. What to exit with; `holds` says whether that is EXIT_YES, NULL = it is. */
int ask_and_print(int argc, char **argv, const char *name, const char *usage, void (*print)(const json_t *answer),
    bool (*holds)(const json_t *answer));

#endif
