/* Members of the JSON answers that this room writes straight into a buffer. */
#ifndef SCHEDULER_JSON_H
#define SCHEDULER_JSON_H

#include "base/buf.h"

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

#endif
