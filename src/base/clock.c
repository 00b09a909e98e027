#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

int64_t clock_now(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

int64_t clock_wall(void)
{
	return read_clock(CLOCK_REALTIME);
}

static void format(int64_t wall_ns, int digits, char out[CLOCK_TEXT_MAX])
{
	time_t seconds = (time_t)(wall_ns / NS_PER_S);
	int64_t ns = wall_ns % NS_PER_S;
	struct tm tm;

	if (ns < 0) {
		ns += NS_PER_S;
		seconds--;
	}
	gmtime_r(&seconds, &tm);
	/* What 64 bits of nanoseconds reach lies in the years 1677 to 2262. */
	snprintf(out, CLOCK_TEXT_MAX, "%04u-%02u-%02uT%02u:%02u:%02u.%0*uZ", (unsigned)(tm.tm_year + 1900) % 10000u,
	    (unsigned)(tm.tm_mon + 1) % 100u, (unsigned)tm.tm_mday % 100u, (unsigned)tm.tm_hour % 100u,
	    (unsigned)tm.tm_min % 100u, (unsigned)tm.tm_sec % 100u, digits,
	    digits == 3 ? (unsigned)(ns / NS_PER_MS) % 1000u : (unsigned)(ns / 1000) % 1000000u);
}

void clock_format(int64_t wall_ns, char out[CLOCK_TEXT_MAX])
{
	format(wall_ns, 3, out);
}

void clock_format_micro(int64_t wall_ns, char out[CLOCK_TEXT_MAX])
{
	format(wall_ns, 6, out);
}

static bool take_char(struct slice *text, char a, char b)
{
	if (text->len == 0 || (*text->at != a && *text->at != b))
		return false;
	text->at++;
	text->len--;
	return true;
}

static bool take_number(struct slice *text, unsigned digits, int min, int max, int *value)
{
	*value = 0;
	for (; digits > 0; digits--) {
		if (text->len == 0 || *text->at < '0' || *text->at > '9')
			return false;
		*value = *value * 10 + (*text->at++ - '0');
		text->len--;
	}
	return *value >= min && *value <= max;
}

static int days_in(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (leap && month == 2);
}

/* Digits behind the ninth are dropped. */
static bool take_fraction(struct slice *text, int64_t *ns)
{
	int64_t scale = NS_PER_S / 10;
	int digit;

	if (!take_number(text, 1, 0, 9, &digit))
		return false;
	do {
		*ns += digit * scale;
		scale /= 10;
	} while (take_number(text, 1, 0, 9, &digit));
	return true;
}

static bool take_offset(struct slice *text, int *seconds)
{
	int sign, hours, minutes;

	*seconds = 0;
	if (take_char(text, 'Z', 'z'))
		return true;
	sign = text->len > 0 && *text->at == '-' ? -1 : 1;
	if (!take_char(text, '+', '-') || !take_number(text, 2, 0, 23, &hours) || !take_char(text, ':', ':') ||
	    !take_number(text, 2, 0, 59, &minutes))
		return false;
	*seconds = sign * (hours * 3600 + minutes * 60);
	return true;
}

bool clock_parse(struct slice text, int64_t *wall_ns)
{
	struct tm tm = {0};
	int year, month, offset;
	int64_t ns = 0, whole;

	if (!take_number(&text, 4, 0, 9999, &year) || !take_char(&text, '-', '-') ||
	    !take_number(&text, 2, 1, 12, &month) || !take_char(&text, '-', '-') ||
	    !take_number(&text, 2, 1, days_in(year, month), &tm.tm_mday) || !take_char(&text, 'T', 't') ||
	    !take_number(&text, 2, 0, 23, &tm.tm_hour) || !take_char(&text, ':', ':') ||
	    !take_number(&text, 2, 0, 59, &tm.tm_min) || !take_char(&text, ':', ':') ||
	    !take_number(&text, 2, 0, 60, &tm.tm_sec))
		return false;
	if (take_char(&text, '.', '.') && !take_fraction(&text, &ns))
		return false;
	if (!take_offset(&text, &offset) || text.len > 0)
		return false;
	if (tm.tm_sec == 60)
		tm.tm_sec = 59;
	tm.tm_year = year - 1900;
	tm.tm_mon = month - 1;
	whole = (int64_t)timegm(&tm) - offset;
	return !__builtin_mul_overflow(whole, NS_PER_S, &whole) && !__builtin_add_overflow(whole, ns, wall_ns);
}
