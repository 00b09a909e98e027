/* Members of the JSON answers that this room writes straight into a buffer. */
#ifndef SCHEDULER_JSON_H
#define SCHEDULER_JSON_H

#include "base/buf.h"
#include "base/clock.h"

/* "name":"text", or null; no comma. */
static inline void member(struct buf *out, const char *name, const char *text)
{
	buf_json_string(out, slice_of(name));
	buf_char(out, ':');
	if (text)
		buf_json_string(out, slice_of(text));
	else
		buf_text(out, "null");
}

/* One that follows another. */
static inline void next_member(struct buf *out, const char *name, const char *text)
{
	buf_char(out, ',');
	member(out, name, text);
}

static inline void next_time(struct buf *out, const char *name, int64_t wall_ns)
{
	char text[CLOCK_TEXT_MAX];
	clock_format(wall_ns, text);
	next_member(out, name, text);
}

#endif
