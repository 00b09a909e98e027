/* Durations as Go writes them: numbers with a unit each, 1h30m, 1.5s, 250us. */
#ifndef BASE_DURATION_H
#define BASE_DURATION_H

#include <stdbool.h>

#include "berth/slice.h"

#define DURATION_TEXT_LEN_MAX 32

/* Nanoseconds; false where it is none, or is signed or longer than DURATION_TEXT_LEN_MAX. */
bool duration_parse(struct slice text, double *ns);

#endif
