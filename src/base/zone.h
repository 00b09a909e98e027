/* Time zones by the IANA database's files (TZif, RFC 9636): how local clocks stand at an instant, and when they showed
 * a time. The file is read once; everything else is arithmetic. What stands behind the last change it lists follows its
 * footer, a rule as POSIX writes them. Whoever needs a zone needs the package tzdata. */
#ifndef BASE_ZONE_H
#define BASE_ZONE_H

#include <stdint.h>

#include "base/err.h"
#include "berth/slice.h"

#define ZONE_FOLDER "/usr/share/zoneinfo"
#define ZONE_NAME_MAX 64
#define ZONE_FILE_MAX (1u << 18) /* bytes; the largest has a few thousand */

struct zone;

/* "Europe/Berlin", "UTC". ERR_MISSING: there is none of that name, or no database. Free with zone_free. */
BERTH_MUST_CHECK int zone_load(struct slice name, struct zone **zone, struct err *err);
/* Of the bytes of a file. */
BERTH_MUST_CHECK int zone_parse(struct slice file, struct zone **zone, struct err *err);
void zone_free(struct zone *zone);

/* Seconds that local clocks are ahead of UTC, at so many seconds since 1970. */
int32_t zone_offset(const struct zone *zone, int64_t at_s);
/* The instants at which local clocks show a time, given as the seconds since 1970 at which clocks of UTC show it. A
 * time that is shown twice has two, in order; one that is left out lies between the two; else both are the same. */
void zone_instants(const struct zone *zone, int64_t local_s, int64_t *first, int64_t *last);

#endif
