/* Values of options that several subcommands take. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

/* "30s", "1m30s", "500ms": Go's durations in h, m, s and ms, above 0. */
bool options_duration(const char *text, int64_t *ns);
/* debug, info, warn or error: sets the log's level. */
bool options_level(const char *text);

#endif
