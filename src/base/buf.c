#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/scan.h"

#define BUF_FIRST_ROOM 256
#define BUF_LIMIT (SIZE_MAX / 4) /* so that no sum of sizes wraps */
#define REPLACEMENT "\xef\xbf\xbd"

void buf_init(struct buf *buf, size_t max)
{
	*buf = (struct buf){.max = max < BUF_LIMIT ? max : BUF_LIMIT};
}

void buf_free(struct buf *buf)
{
	free(buf->data);
	buf_init(buf, buf->max);
}

void buf_clear(struct buf *buf)
{
	buf->len = 0;
	buf->overflow = false;
	if (buf->data)
		buf->data[0] = '\0';
}

/* `room` counts the place of the NUL, so it is at most max + 1. */
static bool grow(struct buf *buf, size_t len)
{
	size_t room = buf->room ? buf->room : BUF_FIRST_ROOM;

	if (buf->overflow || len > buf->max - buf->len) {
		buf->overflow = true;
		return false;
	}
	while (room <= buf->len + len)
		room *= 2;
	if (room > buf->max + 1)
		room = buf->max + 1;
	buf->data = xrealloc(buf->data, room);
	buf->data[buf->len] = '\0';
	buf->room = room;
	return true;
}

bool buf_reserve(struct buf *buf, size_t len)
{
	return (!buf->overflow && buf->room - buf->len > len) || grow(buf, len);
}

void buf_add(struct buf *buf, const void *bytes, size_t len)
{
	if (len == 0 || !buf_reserve(buf, len))
		return;
	memcpy(buf->data + buf->len, bytes, len);
	buf->len += len;
	buf->data[buf->len] = '\0';
}

void buf_text(struct buf *buf, const char *text)
{
	buf_add(buf, text, strlen(text));
}

void buf_char(struct buf *buf, char c)
{
	buf_add(buf, &c, 1);
}

void buf_printf(struct buf *buf, const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (len <= 0 || !buf_reserve(buf, (size_t)len))
		return;
	va_start(args, format);
	vsnprintf(buf->data + buf->len, (size_t)len + 1, format, args);
	va_end(args);
	buf->len += (size_t)len;
}

void buf_consume(struct buf *buf, size_t len)
{
	if (len == 0 || !buf->data)
		return;
	if (len > buf->len)
		len = buf->len;
	buf->len -= len;
	memmove(buf->data, buf->data + len, buf->len + 1);
}

char *buf_take(struct buf *buf)
{
	char *block = buf->data ? buf->data : xstrdup("");

	buf_init(buf, buf->max);
	return block;
}

static void add_escaped(struct buf *buf, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	char unicode[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
	char letter[2] = {'\\', (char)c};

	switch (c) {
	case '"':
	case '\\':
		break;
	case '\n':
		letter[1] = 'n';
		break;
	case '\r':
		letter[1] = 'r';
		break;
	case '\t':
		letter[1] = 't';
		break;
	default:
		buf_add(buf, unicode, sizeof unicode);
		return;
	}
	buf_add(buf, letter, sizeof letter);
}

/* The byte or sequence at `at`, which scan_plain stopped at; returns what follows. */
static const char *add_special(struct buf *buf, const char *at, const char *end)
{
	size_t len;

	if ((unsigned char)*at < 0x80) {
		add_escaped(buf, (unsigned char)*at);
		return at + 1;
	}
	len = utf8_sequence(at, end);
	if (len == 0) {
		buf_text(buf, REPLACEMENT);
		return at + 1;
	}
	buf_add(buf, at, len);
	return at + len;
}

/* Nothing to escape, which is nearly always so: one check of the room. */
static void add_plain(struct buf *buf, struct slice text)
{
	char *out;

	if (!buf_reserve(buf, text.len + 2))
		return;
	out = buf->data + buf->len;
	*out++ = '"';
	if (text.len)
		memcpy(out, text.at, text.len);
	memcpy(out + text.len, "\"", 2);
	buf->len += text.len + 2;
}

void buf_json_string(struct buf *buf, struct slice text)
{
	const char *at = text.at, *end = at + text.len;

	if (scan_plain(at, end) == end) {
		add_plain(buf, text);
		return;
	}
	buf_char(buf, '"');
	while (at < end && !buf->overflow) {
		const char *stop = scan_plain(at, end);

		buf_add(buf, at, (size_t)(stop - at));
		at = stop < end ? add_special(buf, stop, end) : end;
	}
	buf_char(buf, '"');
}

void buf_json_int(struct buf *buf, int64_t value)
{
	char digits[20];
	size_t first = sizeof digits;
	/* Negation of INT64_MIN is defined in unsigned arithmetic only. */
	uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

	do {
		digits[--first] = (char)('0' + left % 10);
		left /= 10;
	} while (left);
	if (value < 0)
		digits[--first] = '-';
	buf_add(buf, digits + first, sizeof digits - first);
}
