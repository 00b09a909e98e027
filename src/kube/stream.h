/* What the API server sends, as text: a list page, the lines of a watch, a Status, and the little of a pod that a
 * Binding needs. Pure functions on bytes: no sockets, no trees. Slices point into what was given. */
#ifndef KUBE_STREAM_H
#define KUBE_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/reader.h"
#include "berth/slice.h"

/* --- lines out of pieces that end anywhere --- */

struct line_reader {
	struct buf partial; /* a line whose end has not come yet */
};

/* Returning false ends the reading. */
typedef bool line_fn(void *ctx, struct slice line);

void line_reader_init(struct line_reader *reader, size_t line_max);
void line_reader_free(struct line_reader *reader);
/* Hands out each complete line that is not empty, without its end. False when `take` said so, or a line is too long. */
bool line_reader_feed(struct line_reader *reader, const char *bytes, size_t len, line_fn *take, void *ctx);
/* Whether a line was begun and not ended. */
bool line_reader_is_partial(const struct line_reader *reader);

/* --- a watch event --- */

enum watch_event_type { WATCH_CHANGED, WATCH_DELETED, WATCH_BOOKMARK, WATCH_ERROR };

struct watch_event {
	enum watch_event_type type;
	struct slice object;           /* its whole text, validated */
	struct slice resource_version; /* plain; empty for WATCH_ERROR */
	int64_t status;                /* WATCH_ERROR: the code of its Status, 0 without one */
};

/* NULL, or why the line is no event (constant text). Unknown types are errors. */
const char *watch_event_decode(struct slice line, struct watch_event *event);

/* --- a list page --- */

struct list_page {
	struct slice resource_version, continue_; /* plain; continue_ is empty on the last page */
	struct slice items;                       /* the array's text, validated, for list_item_next */
};

/* NULL, or why the text is no page (constant text). `items` absent or null is an empty page. */
const char *list_page_decode(struct slice body, struct list_page *page);
/* Walks a page's items: list_items_open once, then list_item_next until it is false. */
void list_items_open(struct reader *json, const struct list_page *page);
bool list_item_next(struct reader *json, struct slice *item);

/* --- small answers --- */

struct status_text {
	struct slice message, reason; /* raw (reader_unescape); empty when the body is no Status */
	int64_t code;
	bool budget; /* a cause of it is a disruption budget */
};
void status_decode(struct slice body, struct status_text *status);

struct pod_binding {
	struct slice uid, node; /* plain; node is empty while the pod is not bound */
};
/* False when the text is no pod. */
bool pod_binding_decode(struct slice body, struct pod_binding *pod);

#endif
