/* The two clocks, and how the wall clock is written. The core never reads either: callers hand times in. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "berth/slice.h"

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)
#define CLOCK_TEXT_MAX 32

/* Nanoseconds that never go back (CLOCK_MONOTONIC); all expiries and ages are in these. */
int64_t clock_now(void);
/* Nanoseconds since 1970 (CLOCK_REALTIME); for what people and the API server read. */
int64_t clock_wall(void);
/* RFC 3339 in UTC with milliseconds, "2026-01-02T03:04:05.678Z". */
void clock_format(int64_t wall_ns, char out[CLOCK_TEXT_MAX]);
/* The same with six digits behind the second, as the API server takes a MicroTime. */
void clock_format_micro(int64_t wall_ns, char out[CLOCK_TEXT_MAX]);
/* RFC 3339, with or without fraction, Z or offset. False when it is none. */
bool clock_parse(struct slice text, int64_t *wall_ns);

#endif
