#include "base/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define LOG_QUOTE_MAX 1280
#define LOG_LIMITS 64
#define LOG_INTERVAL NS_PER_S

/* One (level, msg) pair of the rate limit. When the table is full, the pair not seen for longest gives way. */
struct limit {
	const char *msg;
	enum log_level level;
	int64_t written; /* when its last line was written, monotonic */
	uint64_t held_back;
};

static struct {
	enum log_level level;
	struct limit limits[LOG_LIMITS];
	char quotes[LOG_QUOTES][LOG_QUOTE_MAX];
	unsigned next_quote;
} log_state = {.level = LOG_INFO};

void log_set_level(enum log_level level)
{
	log_state.level = level;
}

static struct limit *find_limit(enum log_level level, const char *msg)
{
	struct limit *oldest = log_state.limits;

	for (struct limit *limit = log_state.limits; limit < log_state.limits + LOG_LIMITS; limit++) {
		if (!limit->msg) {
			oldest = limit;
			break;
		}
		if (limit->level == level && (limit->msg == msg || strcmp(limit->msg, msg) == 0))
			return limit;
		if (limit->written < oldest->written)
			oldest = limit;
	}
	*oldest = (struct limit){.msg = msg, .level = level, .written = INT64_MIN};
	return oldest;
}

/* False if the line is to be held back; otherwise *held_back says how many were before it. */
static bool may_write(enum log_level level, const char *msg, uint64_t *held_back)
{
	int64_t now = clock_now();
	struct limit *limit;

	*held_back = 0;
	if (level < LOG_WARN)
		return true;
	limit = find_limit(level, msg);
	if (limit->written != INT64_MIN && now - limit->written < LOG_INTERVAL) {
		limit->held_back++;
		return false;
	}
	*held_back = limit->held_back;
	limit->held_back = 0;
	limit->written = now;
	return true;
}

/* Escapes into `out` of `room` bytes; what does not fit is cut, the closing quote always fits. */
static size_t quote(const char *text, char *out, size_t room)
{
	size_t len = 0;

	out[len++] = '"';
	for (; *text && len + sizeof "\\x00\"" <= room; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\') {
			out[len++] = '\\';
			out[len++] = (char)c;
		} else if (c == '\n' || c == '\t') {
			out[len++] = '\\';
			out[len++] = c == '\n' ? 'n' : 't';
		} else if (c < ' ' || c == 0x7f) {
			len += (size_t)snprintf(out + len, room - len, "\\x%02x", c);
		} else {
			out[len++] = (char)c;
		}
	}
	out[len++] = '"';
	out[len] = '\0';
	return len;
}

const char *log_quote(const char *text)
{
	char *out = log_state.quotes[log_state.next_quote++ % LOG_QUOTES];

	quote(text, out, LOG_QUOTE_MAX);
	return out;
}

static void write_line(char *line, size_t len)
{
	/* A value that was not quoted must not make two lines of one. */
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)line[i] < ' ')
			line[i] = '?';
	line[len++] = '\n';
	/* There is no other place to report that stderr is gone. */
	if (write(STDERR_FILENO, line, len) < 0)
		return;
}

void log_line(enum log_level level, const char *msg, const char *format, ...)
{
	static const char *const names[] = {"debug", "info", "warn", "error"};
	char line[LOG_LINE_MAX], time[CLOCK_TEXT_MAX], quoted[LOG_QUOTE_MAX];
	const size_t room = sizeof line - 1;
	uint64_t held_back;
	va_list args;
	size_t len;

	if (level < log_state.level || !may_write(level, msg, &held_back))
		return;
	clock_format(clock_wall(), time);
	quote(msg, quoted, sizeof quoted);
	len = (size_t)snprintf(line, room, "time=%s level=%s msg=%s", time, names[level], quoted);
	if (held_back)
		len += (size_t)snprintf(line + len, room - len, " held_back=%" PRIu64, held_back);
	if (format) {
		int tail;

		line[len++] = ' ';
		va_start(args, format);
		tail = vsnprintf(line + len, room - len, format, args);
		va_end(args);
		if (tail > 0)
			len += (size_t)tail < room - len ? (size_t)tail : room - len - 1;
	}
	write_line(line, len);
}
