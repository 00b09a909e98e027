/* Parts of what `berth explain` prints. */
#ifndef CLI_EXPLAIN_H
#define CLI_EXPLAIN_H

#include <jansson.h>
#include <stdbool.h>

/* The member "gang" of the daemon's answer. */
void explain_gang(const json_t *gang);
/* Whether the gang stands in the way: it has no plan yet, so no member of it goes anywhere. */
bool explain_gang_waits(const json_t *gang);

#endif
