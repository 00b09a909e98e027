/* Windows of time that come again each week by local clocks: on some days, from one time to another, in a time zone. A
 * window that ends no later than it begins ends on the next day, and belongs to the day on which it begins. Where
 * clocks are changed a window is as long as it can be: it opens at the first of two instants that show its beginning
 * and closes at the last of two that show its end, and what no clock shows is not left out. */
#ifndef BASE_CALENDAR_H
#define BASE_CALENDAR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/zone.h"

#define CALENDAR_DAY_MINUTES (24 * 60)
#define CALENDAR_EVERY_DAY 0x7f

struct calendar {
	uint8_t days;                   /* a bit each, Monday the lowest */
	int16_t from_minute, to_minute; /* 0 … CALENDAR_DAY_MINUTES */
	const struct zone *zone;
};

struct calendar_state {
	bool open;
	int64_t opens_s;   /* when it opens next, or has opened; seconds since 1970 */
	int64_t changes_s; /* when it opens or closes next; INT64_MAX: it is always open */
};

struct calendar_state calendar_at(const struct calendar *calendar, int64_t now_s);

/* "mon-fri", "sat,sun", "fri-mon,wed": the days as bits; 0 where it is none. */
uint8_t calendar_days(struct slice text);
/* "08:00" to "24:00": the minute of the day; -1 where it is none. */
int calendar_minute(struct slice text);

#endif
