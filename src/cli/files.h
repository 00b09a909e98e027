/* Files that several subcommands read; what is wrong with one is said on standard error in the subcommand's name. */
#ifndef CLI_FILES_H
#define CLI_FILES_H

#include <stdbool.h>

#include "berth/policy.h"
#include "cluster/catalogue.h"

/* The built-in catalogue, with the models of a file besides if `path` is given; NULL was said. */
struct catalogue *files_catalogue(const char *subcommand, const char *path);
/* The policy in a file, or the built-in one without a path; NULL was said. Its warnings are `policy check`'s to say. */
struct policy *files_policy(const char *subcommand, const char *path, const struct gpu_catalogue *catalogue);
/* Colour on standard error. */
bool files_colored(void);

#endif
