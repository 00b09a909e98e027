/* Memory that is always there: when the system has none left the process ends at one place, with one line on stderr,
 * so no caller has an out-of-memory branch. Whatever input can size is bounded before it gets here. */
#ifndef BERTH_ALLOC_H
#define BERTH_ALLOC_H

#include <stddef.h>

#define BERTH_MALLOC __attribute__((malloc, returns_nonnull, warn_unused_result))
#define BERTH_PRINTF(text, args) __attribute__((format(printf, text, args)))
#define BERTH_MUST_CHECK __attribute__((warn_unused_result))

BERTH_MALLOC void *xmalloc(size_t size);
BERTH_MALLOC void *xcalloc(size_t count, size_t size);
__attribute__((returns_nonnull, warn_unused_result)) void *xrealloc(void *block, size_t size);
BERTH_MALLOC char *xstrdup(const char *text);
BERTH_MALLOC char *xstrndup(const char *text, size_t len);

/* Doubles an array of `size`-byte items once `count` has reached `*room`; returns the array, moved or not. */
__attribute__((returns_nonnull, warn_unused_result)) void *xgrow(void *array, size_t count, size_t *room, size_t size);

#endif
