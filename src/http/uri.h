/* The target of a request line: its path and query, percent-decoded; and a query to be sent, encoded. Unknown escapes,
 * and %00, stay as they are written. */
#ifndef HTTP_URI_H
#define HTTP_URI_H

#include <stdbool.h>

#include "base/buf.h"
#include "berth/arena.h"
#include "berth/slice.h"

/* The parts of a target ("/a?b", "http://host/a?b", "*"), raw. The query has no '?' and may be empty. */
struct slice uri_path(struct slice target);
struct slice uri_query(struct slice target);
/* Appends the text as a name or a value of a query: what is not unreserved by RFC 3986 as %XX. */
void uri_encode(struct slice text, struct buf *out);
/* Decodes into `out` (room for text.len bytes is always enough); returns the length. `plus`: '+' is a blank (in
 * queries). */
size_t uri_decode(struct slice text, bool plus, char *out);
/* The decoded value of a name in a raw query, in the arena; "" for a name without '='; NULL when it is not there. */
const char *uri_query_value(struct arena *arena, struct slice query, const char *name);

#endif
