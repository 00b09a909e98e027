#include "base/zone.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

#define DAY 86400
#define HEAD_BYTES 44
#define COUNT_MAX 10000 /* transitions */
#define OFFSET_MAX (26 * 3600)

/* When a rule changes the clocks: in a week of a month, on a day of the year with or without 29 February. */
enum change_kind { CHANGE_WEEK, CHANGE_JULIAN, CHANGE_DAY };

struct change {
	enum change_kind kind;
	int month, week, day;
	int32_t at_s; /* after midnight by the clocks before it */
};

struct zone {
	size_t count;
	int64_t *at;      /* of the transitions, rising */
	int32_t *offsets; /* from each on */
	int32_t first;    /* before the first */
	bool has_rule, has_summer;
	int32_t standard, summer;
	struct change begins, ends; /* summer time */
};

/* --- days --- */

static bool is_leap(int64_t year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Days from 1970-01-01 to the first of a year; Gregorian, also backwards. */
static int64_t days_before_year(int64_t year)
{
	int64_t y = year - 1;
	return 365 * (year - 1970) + (y / 4 - 1969 / 4) - (y / 100 - 1969 / 100) + (y / 400 - 1969 / 400);
}

static int64_t year_of(int64_t at_s)
{
	int64_t day = at_s / DAY, year = 1970 + day / 366;
	while (days_before_year(year + 1) <= day)
		year++;
	return year;
}

static int month_length(int64_t year, int month)
{
	static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	return lengths[month - 1] + (month == 2 && is_leap(year));
}

/* The day of the year, from 0, of a change. */
static int64_t day_of(const struct change *change, int64_t year)
{
	int64_t first = 0;
	if (change->kind == CHANGE_DAY)
		return change->day;
	if (change->kind == CHANGE_JULIAN)
		return change->day - 1 + (is_leap(year) && change->day > 59);
	for (int month = 1; month < change->month; month++)
		first += month_length(year, month);
	int weekday = (int)((days_before_year(year) + first + 4) % 7); /* 1970-01-01 was a Thursday */
	int day = (change->day - weekday + 7) % 7 + (change->week - 1) * 7;
	while (day >= month_length(year, change->month))
		day -= 7;
	return first + day;
}

static int32_t by_rule(const struct zone *zone, int64_t at_s)
{
	if (!zone->has_summer)
		return zone->standard;
	int64_t year = year_of(at_s + zone->standard), base = days_before_year(year) * DAY;
	int64_t begins = base + day_of(&zone->begins, year) * DAY + zone->begins.at_s - zone->standard;
	int64_t ends = base + day_of(&zone->ends, year) * DAY + zone->ends.at_s - zone->summer;
	bool summer = begins < ends ? at_s >= begins && at_s < ends : at_s >= begins || at_s < ends;
	return summer ? zone->summer : zone->standard;
}

/* --- the footer --- */

static bool read_number(const char **at, int most, int *value)
{
	int sum = 0;
	if (**at < '0' || **at > '9')
		return false;
	for (; **at >= '0' && **at <= '9'; ++*at)
		if ((sum = sum * 10 + (**at - '0')) > most)
			return false;
	*value = sum;
	return true;
}

/* [+-]h[h[h]][:mm[:ss]] */
static bool read_time(const char **at, int32_t *seconds)
{
	int hours, minutes = 0, rest = 0, sign = **at == '-' ? -1 : 1;
	*at += **at == '-' || **at == '+';
	if (!read_number(at, 167, &hours))
		return false;
	if (**at == ':' && (++*at, !read_number(at, 59, &minutes)))
		return false;
	if (**at == ':' && (++*at, !read_number(at, 59, &rest)))
		return false;
	*seconds = sign * (hours * 3600 + minutes * 60 + rest);
	return true;
}

static bool skip_name(const char **at)
{
	const char *from = *at;
	if (**at == '<') {
		const char *close = strchr(*at, '>');
		*at = close ? close + 1 : *at;
		return close != NULL;
	}
	while ((**at >= 'A' && **at <= 'Z') || (**at >= 'a' && **at <= 'z'))
		++*at;
	return *at - from >= 3;
}

static bool read_change(const char **at, struct change *change)
{
	change->at_s = 2 * 3600;
	if (**at != ',')
		return false;
	++*at;
	if (**at == 'M') {
		change->kind = CHANGE_WEEK;
		++*at;
		if (!read_number(at, 12, &change->month) || change->month == 0 || *(*at)++ != '.' ||
		    !read_number(at, 5, &change->week) || change->week == 0 || *(*at)++ != '.' ||
		    !read_number(at, 6, &change->day))
			return false;
	} else {
		change->kind = **at == 'J' ? CHANGE_JULIAN : CHANGE_DAY;
		*at += **at == 'J';
		if (!read_number(at, 365, &change->day) || (change->kind == CHANGE_JULIAN && change->day == 0))
			return false;
	}
	return **at != '/' || (++*at, read_time(at, &change->at_s));
}

/* "CET-1CEST,M3.5.0,M10.5.0/3": offsets there are ahead of UTC where they are negative. */
static bool read_rule(struct zone *zone, const char *text)
{
	const char *at = text;
	if (!skip_name(&at) || !read_time(&at, &zone->standard))
		return false;
	zone->standard = -zone->standard;
	zone->has_rule = true;
	if (*at == '\0')
		return true;
	if (!skip_name(&at))
		return false;
	zone->summer = zone->standard + 3600;
	if (*at != ',') {
		if (!read_time(&at, &zone->summer))
			return false;
		zone->summer = -zone->summer;
	}
	zone->has_summer = read_change(&at, &zone->begins) && read_change(&at, &zone->ends);
	return zone->has_summer && *at == '\0';
}

/* --- the file --- */

static int64_t big_endian(const unsigned char *at, size_t size)
{
	uint64_t value = size == 4 && (at[0] & 0x80) ? UINT64_MAX : 0;
	for (size_t i = 0; i < size; i++)
		value = value << 8 | at[i];
	return (int64_t)value;
}

/* Counts of a header: isutcnt, isstdcnt, leapcnt, timecnt, typecnt, charcnt. */
struct head {
	size_t utc, standard, leaps, times, types, chars;
};

static bool read_head(const unsigned char *at, size_t left, struct head *head)
{
	size_t *const counts[] = {&head->utc, &head->standard, &head->leaps, &head->times, &head->types, &head->chars};
	if (left < HEAD_BYTES || memcmp(at, "TZif", 4) != 0 || at[4] < '2')
		return false;
	for (size_t i = 0; i < 6; i++)
		if ((*counts[i] = (size_t)(uint32_t)big_endian(at + 20 + 4 * i, 4)) > COUNT_MAX)
			return false;
	return head->types > 0 && head->types <= 256;
}

static size_t body_size(const struct head *head, size_t time_size)
{
	return head->times * time_size + head->times + head->types * 6 + head->chars + head->leaps * (time_size + 4) +
	       head->standard + head->utc;
}

static bool read_offset(const unsigned char *types, size_t type, const struct head *head, int32_t *offset)
{
	int64_t value = type < head->types ? big_endian(types + 6 * type, 4) : INT64_MAX;
	*offset = (int32_t)value;
	return value > -OFFSET_MAX && value < OFFSET_MAX;
}

static bool read_body(struct zone *zone, const unsigned char *at, const struct head *head)
{
	const unsigned char *kinds = at + head->times * 8, *types = kinds + head->times;
	zone->at = xcalloc(head->times + 1, sizeof *zone->at);
	zone->offsets = xcalloc(head->times + 1, sizeof *zone->offsets);
	for (zone->count = 0; zone->count < head->times; zone->count++) {
		size_t i = zone->count;
		zone->at[i] = big_endian(at + 8 * i, 8);
		if (!read_offset(types, kinds[i], head, &zone->offsets[i]) || (i > 0 && zone->at[i] <= zone->at[i - 1]))
			return false;
	}
	return read_offset(types, 0, head, &zone->first);
}

/* The second body has times of 64 bits, and the footer stands behind it between two line ends. */
static bool read_file(struct zone *zone, struct slice file)
{
	const unsigned char *at = (const unsigned char *)file.at, *end = at + file.len;
	char rule[128];
	struct head head;
	if (!read_head(at, file.len, &head))
		return false;
	size_t skip = HEAD_BYTES + body_size(&head, 4);
	if (skip > file.len || !read_head(at + skip, file.len - skip, &head))
		return false;
	at += skip + HEAD_BYTES;
	size_t body = body_size(&head, 8);
	if (body + 2 > (size_t)(end - at) || !read_body(zone, at, &head))
		return false;
	at += body;
	size_t left = (size_t)(end - at);
	const unsigned char *close = *at == '\n' ? memchr(at + 1, '\n', left - 1) : NULL;
	if (!close || (size_t)(close - at) > sizeof rule)
		return false;
	snprintf(rule, sizeof rule, "%.*s", (int)(close - at - 1), (const char *)at + 1);
	return rule[0] == '\0' || read_rule(zone, rule);
}

int zone_parse(struct slice file, struct zone **zone, struct err *err)
{
	*zone = xcalloc(1, sizeof **zone);
	if (read_file(*zone, file))
		return 0;
	zone_free(*zone);
	*zone = NULL;
	return err_set(err, ERR_INPUT, "not a file of the time zone database");
}

/* Nothing that leads out of the folder. */
static bool is_name(struct slice name)
{
	bool fresh = true;
	for (size_t i = 0; i < name.len; i++) {
		char c = name.at[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
		             c == '+' || c == '-';
		if (!plain && (c != '/' || fresh))
			return false;
		fresh = c == '/';
	}
	return !fresh && name.len <= ZONE_NAME_MAX;
}

int zone_load(struct slice name, struct zone **zone, struct err *err)
{
	char path[sizeof ZONE_FOLDER + ZONE_NAME_MAX + 2];
	struct buf file;
	*zone = NULL;
	if (!is_name(name))
		return err_set(err, ERR_MISSING, "no time zone has such a name");
	snprintf(path, sizeof path, ZONE_FOLDER "/%.*s", (int)name.len, name.at);
	buf_init(&file, ZONE_FILE_MAX);
	int code = file_read(path, &file, err);
	if (code == 0)
		code = zone_parse(buf_slice(&file), zone, err);
	buf_free(&file);
	return code == 0 ? 0 : err_set(err, ERR_MISSING, "the time zone database in " ZONE_FOLDER " has no such zone");
}

void zone_free(struct zone *zone)
{
	if (!zone)
		return;
	free(zone->at);
	free(zone->offsets);
	free(zone);
}

/* --- questions --- */

int32_t zone_offset(const struct zone *zone, int64_t at_s)
{
	size_t low = 0, high = zone->count;
	if (zone->has_rule && (zone->count == 0 || at_s >= zone->at[zone->count - 1]))
		return by_rule(zone, at_s);
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (zone->at[middle] <= at_s)
			low = middle + 1;
		else
			high = middle;
	}
	return low == 0 ? zone->first : zone->offsets[low - 1];
}

/* Clocks change by less than a day, and no two changes come within one. */
void zone_instants(const struct zone *zone, int64_t local_s, int64_t *first, int64_t *last)
{
	int64_t before = local_s - zone_offset(zone, local_s - DAY), after = local_s - zone_offset(zone, local_s + DAY);
	bool is_before = before + zone_offset(zone, before) == local_s;
	bool is_after = after + zone_offset(zone, after) == local_s;
	if (is_before != is_after)
		before = after = is_before ? before : after;
	*first = before < after ? before : after;
	*last = before < after ? after : before;
}
