/* Windows by local clocks over weeks in which clocks are changed, against libc's own reading of the same database. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/calendar.h"

#define HOUR 3600
#define DAY (24 * HOUR)

static struct zone *zone_named(const char *name)
{
	struct zone *zone;
	struct err err;
	if (zone_load(slice_of(name), &zone, &err) != 0)
		fail_msg("%s: %s", name, err.text);
	return zone;
}

/* UTC */
static int64_t at(int year, int month, int day, int hour, int minute)
{
	struct tm tm = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour, .tm_min = minute};
	return timegm(&tm);
}

static const char *const zones[] = {"Europe/Berlin", "America/New_York", "America/Santiago", "Australia/Lord_Howe",
    "Asia/Kolkata", "Africa/Casablanca", "Europe/Dublin", "Pacific/Chatham", "Asia/Tehran", "UTC", "Antarctica/Troll"};

static void offsets_are_libc_s(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof zones / sizeof *zones; i++) {
		struct zone *zone = zone_named(zones[i]);
		setenv("TZ", zones[i], 1);
		tzset();
		for (int64_t t = at(1999, 1, 1, 0, 0); t < at(2075, 1, 1, 0, 0); t += 5 * HOUR + 1800) {
			struct tm tm;
			time_t time = (time_t)t;
			localtime_r(&time, &tm);
			if (tm.tm_gmtoff != zone_offset(zone, t))
				fail_msg("%s at %lld: %ld, not %d", zones[i], (long long)t, tm.tm_gmtoff,
				    zone_offset(zone, t));
		}
		zone_free(zone);
	}
}

static void instants_show_the_time(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof zones / sizeof *zones; i++) {
		struct zone *zone = zone_named(zones[i]);
		for (int64_t local = at(2026, 1, 1, 0, 0); local < at(2027, 1, 3, 0, 0); local += 900) {
			int64_t first, last;
			zone_instants(zone, local, &first, &last);
			assert_true(first <= last);
			bool left_out = first + zone_offset(zone, first) != local;
			assert_int_equal(left_out, last + zone_offset(zone, last) != local);
			if (left_out)
				assert_true(
				    first + zone_offset(zone, first) < local && last + zone_offset(zone, last) > local);
		}
		zone_free(zone);
	}
}

static void office_hours(const char *name, int64_t opens, int64_t closes)
{
	struct zone *zone = zone_named(name);
	struct calendar calendar = {
	    .days = calendar_days(slice_of("mon-fri")), .from_minute = 8 * 60, .to_minute = 18 * 60, .zone = zone};
	struct calendar_state now = calendar_at(&calendar, opens - 1);
	assert_false(now.open);
	assert_int_equal(now.opens_s, opens);
	assert_int_equal(now.changes_s, opens);
	now = calendar_at(&calendar, opens);
	assert_true(now.open);
	assert_int_equal(now.opens_s, opens);
	assert_int_equal(now.changes_s, closes);
	assert_true(calendar_at(&calendar, closes - 1).open);
	assert_false(calendar_at(&calendar, closes).open);
	zone_free(zone);
}

static void office_hours_move_with_the_clocks(void **state)
{
	(void)state;
	office_hours("Europe/Berlin", at(2026, 3, 27, 7, 0), at(2026, 3, 27, 17, 0)); /* the Friday before */
	office_hours("Europe/Berlin", at(2026, 3, 30, 6, 0), at(2026, 3, 30, 16, 0)); /* the Monday after */
	office_hours("Europe/Berlin", at(2026, 10, 26, 7, 0), at(2026, 10, 26, 17, 0));
	office_hours("America/New_York", at(2026, 3, 9, 12, 0), at(2026, 3, 9, 22, 0));
	office_hours("Asia/Kolkata", at(2026, 3, 9, 2, 30), at(2026, 3, 9, 12, 30));
	office_hours("Europe/Berlin", at(2055, 3, 29, 6, 0), at(2055, 3, 29, 16, 0)); /* by the rule alone */
}

/* An hour by hour walk over a week: open exactly where the local clock says so. */
static void a_week_in_which_clocks_are_changed(void **state)
{
	static const int64_t weeks[][2] = {{2026, 3}, {2026, 10}};
	(void)state;
	setenv("TZ", "Europe/Berlin", 1);
	tzset();
	struct zone *zone = zone_named("Europe/Berlin");
	struct calendar calendar = {
	    .days = calendar_days(slice_of("mon-fri")), .from_minute = 8 * 60, .to_minute = 18 * 60, .zone = zone};
	for (size_t w = 0; w < 2; w++) {
		int64_t begin = at((int)weeks[w][0], (int)weeks[w][1], 20, 0, 0);
		for (int64_t t = begin; t < begin + 12 * DAY; t += 60) {
			struct tm tm;
			time_t time = (time_t)t;
			localtime_r(&time, &tm);
			bool expected = tm.tm_wday >= 1 && tm.tm_wday <= 5 && tm.tm_hour >= 8 && tm.tm_hour < 18;
			assert_int_equal(calendar_at(&calendar, t).open, expected);
		}
	}
	zone_free(zone);
}

static void where_clocks_change_within_a_window_it_is_one_window(void **state)
{
	struct zone *zone = zone_named("Europe/Berlin");
	struct calendar night = {
	    .days = calendar_days(slice_of("sat")), .from_minute = 22 * 60, .to_minute = 6 * 60, .zone = zone};
	(void)state;
	/* From Saturday to Sunday: in spring an hour shorter, in autumn an hour longer. */
	struct calendar_state now = calendar_at(&night, at(2026, 3, 28, 21, 0));
	assert_true(now.open);
	assert_int_equal(now.changes_s - now.opens_s, 7 * HOUR);
	now = calendar_at(&night, at(2026, 10, 24, 20, 0));
	assert_true(now.open);
	assert_int_equal(now.changes_s - now.opens_s, 9 * HOUR);
	/* Ends that are shown twice, or never. */
	struct calendar edge = {
	    .days = CALENDAR_EVERY_DAY, .from_minute = 2 * 60 + 30, .to_minute = 2 * 60 + 45, .zone = zone};
	now = calendar_at(&edge, at(2026, 10, 25, 0, 30));
	assert_true(now.open);
	assert_int_equal(now.opens_s, at(2026, 10, 25, 0, 30));
	assert_int_equal(now.changes_s, at(2026, 10, 25, 1, 45));
	now = calendar_at(&edge, at(2026, 3, 29, 1, 0));
	assert_true(now.open);
	assert_int_equal(now.opens_s, at(2026, 3, 29, 0, 30));
	assert_int_equal(now.changes_s, at(2026, 3, 29, 1, 45));
	zone_free(zone);
}

static void days_that_touch_are_one_window(void **state)
{
	struct zone *zone = zone_named("UTC");
	struct calendar always = {.days = CALENDAR_EVERY_DAY, .to_minute = CALENDAR_DAY_MINUTES, .zone = zone};
	struct calendar weekend = {
	    .days = calendar_days(slice_of("sat,sun")), .to_minute = CALENDAR_DAY_MINUTES, .zone = zone};
	(void)state;
	struct calendar_state now = calendar_at(&always, at(2026, 5, 5, 5, 5));
	assert_true(now.open);
	assert_int_equal(now.changes_s, INT64_MAX);
	now = calendar_at(&weekend, at(2026, 11, 21, 12, 0));
	assert_true(now.open);
	assert_int_equal(now.changes_s, at(2026, 11, 23, 0, 0));
	now = calendar_at(&weekend, at(2026, 11, 23, 0, 0));
	assert_int_equal(now.opens_s, at(2026, 11, 28, 0, 0));
	zone_free(zone);
}

static void words(void **state)
{
	static const struct {
		const char *text;
		unsigned days;
	} days[] = {{"mon-fri", 0x1f}, {"sat,sun", 0x60}, {"fri-mon", 0x71}, {"wed", 4}, {"mon-sun", 0x7f}, {"", 0},
	    {"mon-", 0}, {"-", 0}, {"mon,", 0}, {"Mon", 0}, {"mon-fri-sun", 0}, {"mon fri", 0}};
	static const struct {
		const char *text;
		int minute;
	} times[] = {{"08:00", 480}, {"00:00", 0}, {"24:00", 1440}, {"23:59", 1439}, {"24:01", -1}, {"8:00", -1},
	    {"08:60", -1}, {"0800", -1}, {"", -1}, {"ab:cd", -1}};
	(void)state;
	for (size_t i = 0; i < sizeof days / sizeof *days; i++)
		assert_int_equal(calendar_days(slice_of(days[i].text)), days[i].days);
	for (size_t i = 0; i < sizeof times / sizeof *times; i++)
		assert_int_equal(calendar_minute(slice_of(times[i].text)), times[i].minute);
}

static void names_and_files_that_are_none(void **state)
{
	static const char *const names[] = {"Europe/Nowhere", "", "/etc/passwd", "../zoneinfo/UTC", "Europe//Berlin",
	    "Europe/", "Europe", "a b", "tzdata.zi", "zone.tab"};
	struct zone *zone;
	struct err err;
	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		assert_int_equal(zone_load(slice_of(names[i]), &zone, &err), ERR_MISSING);
}

static void a_file_that_is_cut_is_refused(void **state)
{
	char bytes[8192];
	struct zone *zone;
	struct err err;
	(void)state;
	FILE *file = fopen(ZONE_FOLDER "/Europe/Berlin", "rb");
	assert_non_null(file);
	size_t len = fread(bytes, 1, sizeof bytes, file);
	fclose(file);
	for (size_t cut = 0; cut < len; cut++) {
		char *part = malloc(cut + 1); /* so that a read beyond it is seen */
		memcpy(part, bytes, cut);
		assert_int_equal(zone_parse((struct slice){part, cut}, &zone, &err), ERR_INPUT);
		free(part);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(offsets_are_libc_s),
	    cmocka_unit_test(instants_show_the_time),
	    cmocka_unit_test(office_hours_move_with_the_clocks),
	    cmocka_unit_test(a_week_in_which_clocks_are_changed),
	    cmocka_unit_test(where_clocks_change_within_a_window_it_is_one_window),
	    cmocka_unit_test(days_that_touch_are_one_window),
	    cmocka_unit_test(words),
	    cmocka_unit_test(names_and_files_that_are_none),
	    cmocka_unit_test(a_file_that_is_cut_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
