/* A growing byte buffer with a named maximum. Once something did not fit, `overflow` is set, further writes are dropped
 * and the content must not be used. The content is always followed by a NUL that is not counted. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stdint.h>

#include "berth/alloc.h"
#include "berth/slice.h"

struct buf {
	char *data; /* NULL while empty and never grown */
	size_t len, room, max;
	bool overflow;
};

void buf_init(struct buf *buf, size_t max);
void buf_free(struct buf *buf);
/* Empties without giving memory back. */
void buf_clear(struct buf *buf);
/* Room for `len` more bytes at once; false when that passes the maximum. */
bool buf_reserve(struct buf *buf, size_t len);
void buf_add(struct buf *buf, const void *bytes, size_t len);
void buf_text(struct buf *buf, const char *text);
void buf_char(struct buf *buf, char c);
void buf_printf(struct buf *buf, const char *format, ...) BERTH_PRINTF(2, 3);
/* Drops the first `len` bytes (what a line reader has consumed). */
void buf_consume(struct buf *buf, size_t len);
/* Hands the block over, NUL-terminated, to be freed by the caller; the buffer is empty afterwards. Never NULL. */
char *buf_take(struct buf *buf);
static inline struct slice buf_slice(const struct buf *buf)
{
	return (struct slice){buf->data ? buf->data : "", buf->len};
}

/* --- JSON text, written straight into a buffer (for replies that are too hot or too large for a tree) --- */

/* A quoted and escaped string; bytes that are no UTF-8 are written as U+FFFD. */
void buf_json_string(struct buf *buf, struct slice text);
void buf_json_int(struct buf *buf, int64_t value);

#endif
