#include "base/calendar.h"

#include <string.h>

#define DAY 86400
#define WEEKS_DAYS 7

static int64_t floor_day(int64_t local_s)
{
	int64_t day = local_s / DAY;
	return local_s % DAY < 0 ? day - 1 : day;
}

/* The window that begins on a local day, counted from 1970; false where none does. */
static bool window_of(const struct calendar *calendar, int64_t day, int64_t *opens, int64_t *closes)
{
	int64_t other, weekday = ((day + 3) % 7 + 7) % 7; /* 1970-01-01 was a Thursday */
	int64_t from = day * DAY + calendar->from_minute * 60, to = day * DAY + calendar->to_minute * 60;
	if (!(calendar->days & 1u << weekday))
		return false;
	if (to <= from)
		to += DAY;
	zone_instants(calendar->zone, from, opens, &other);
	zone_instants(calendar->zone, to, &other, closes);
	return true;
}

/* Windows that touch or overlap are one: the days are looked through in order, two from before and more than a week
 * from now on, behind which all comes again. */
struct calendar_state calendar_at(const struct calendar *calendar, int64_t now_s)
{
	struct calendar_state state = {.opens_s = INT64_MAX, .changes_s = INT64_MAX};
	int64_t today = floor_day(now_s + zone_offset(calendar->zone, now_s)), opens, closes;
	for (int64_t day = today - 2; day <= today + 2 * WEEKS_DAYS; day++) {
		if (!window_of(calendar, day, &opens, &closes) || closes <= now_s)
			continue;
		if (opens <= now_s) {
			if (!state.open)
				state.opens_s = opens;
			state.open = true;
			state.changes_s = closes;
		} else if (!state.open) {
			state.opens_s = state.changes_s = opens;
			break;
		} else if (opens <= state.changes_s) {
			state.changes_s = closes > state.changes_s ? closes : state.changes_s;
		} else {
			return state;
		}
	}
	/* What was open throughout never closes. */
	if (state.open && state.changes_s > now_s + (int64_t)(WEEKS_DAYS + 2) * DAY)
		state.changes_s = INT64_MAX;
	return state;
}

/* --- words --- */

static int day_named(struct slice text)
{
	static const char *const names[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
	for (int i = 0; i < WEEKS_DAYS; i++)
		if (slice_is(text, names[i]))
			return i;
	return -1;
}

static uint8_t days_of_item(struct slice item)
{
	const char *dash = item.len ? memchr(item.at, '-', item.len) : NULL;
	size_t len = dash ? (size_t)(dash - item.at) : item.len;
	int from = day_named((struct slice){item.at, len});
	int to = dash ? day_named((struct slice){dash + 1, item.len - len - 1}) : from;
	unsigned days = 0;
	if (from < 0 || to < 0)
		return 0;
	for (int day = from;; day = (day + 1) % WEEKS_DAYS) {
		days |= 1u << day;
		if (day == to)
			return (uint8_t)days;
	}
}

uint8_t calendar_days(struct slice text)
{
	unsigned days = 0;
	for (const char *at = text.at, *end = at + text.len; text.len > 0;) {
		const char *comma = memchr(at, ',', (size_t)(end - at)), *stop = comma ? comma : end;
		uint8_t item = days_of_item((struct slice){at, (size_t)(stop - at)});
		if (item == 0)
			return 0;
		days |= item;
		if (!comma)
			break;
		at = comma + 1;
	}
	return (uint8_t)days;
}

int calendar_minute(struct slice text)
{
	if (text.len != 5 || text.at[2] != ':')
		return -1;
	for (size_t i = 0; i < 5; i++)
		if (i != 2 && (text.at[i] < '0' || text.at[i] > '9'))
			return -1;
	int hour = (text.at[0] - '0') * 10 + text.at[1] - '0', minute = (text.at[3] - '0') * 10 + text.at[4] - '0';
	if (minute > 59 || hour > 24 || (hour == 24 && minute > 0))
		return -1;
	return hour * 60 + minute;
}
