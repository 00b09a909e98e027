/* What the files of the table share. */
#ifndef POLICY_TABLE_PART_H
#define POLICY_TABLE_PART_H

#include "policy/table.h"

#define FIELDS(array) .fields = (array), .field_count = sizeof(array) / sizeof((array)[0])

static inline const char *word_at(const char *const *words, size_t count, size_t i)
{
	return i < count ? words[i] : NULL;
}

/* table_pool.c, table_signals.c, table_moves.c */
extern const struct object policy_pool_object, signals_object, moves_object;
extern const struct object follow_object; /* of headroom */

#endif
