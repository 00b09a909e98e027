/* How often the replicas of one controller were ended of late. They are alike, and each is made anew under another name
 * and UID, so they are counted together. What was ended counts by the hour, until that hour lies a day back as a whole:
 * nothing counts for less than a day, nor for longer than 25 hours. */
#ifndef BERTH_TURNOVER_H
#define BERTH_TURNOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TURNOVER_HOURS 25

/* Zeroed: nothing was ended. */
struct turnover {
	int64_t hours[TURNOVER_HOURS]; /* since 1970, each where it stands by its remainder */
	unsigned counts[TURNOVER_HOURS];
};

int64_t turnover_hour(int64_t wall_ns);
/* Whether what was ended in it still counts. */
bool turnover_counts(int64_t hour, int64_t wall_ns);
void turnover_add(struct turnover *turnover, int64_t hour, unsigned count);
unsigned turnover_in(const struct turnover *turnover, int64_t hour);
unsigned turnover_today(const struct turnover *turnover, int64_t wall_ns);
/* What of `ended` falls to one of so many replicas, of which so many are younger than it: as many to each, and one more
 * to the youngest, which replace what was ended last. While nobody is ended to whom `most` have fallen, no more than
 * `most` times as many are ended as there are replicas. */
unsigned turnover_share(unsigned ended, size_t replicas, size_t younger);

#endif
