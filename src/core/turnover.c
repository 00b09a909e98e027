#include "berth/turnover.h"

#include <limits.h>

#define HOUR_NS INT64_C(3600000000000)
#define DAY_HOURS 24

int64_t turnover_hour(int64_t wall_ns)
{
	return wall_ns > 0 ? wall_ns / HOUR_NS : 0;
}

/* Its last moment lies less than a day back; where the clock was set back, at most a day ahead. */
bool turnover_counts(int64_t hour, int64_t wall_ns)
{
	int64_t now = turnover_hour(wall_ns);
	return hour >= now - DAY_HOURS && hour <= now + DAY_HOURS;
}

void turnover_add(struct turnover *turnover, int64_t hour, unsigned count)
{
	size_t at = (size_t)(hour < 0 ? 0 : hour % TURNOVER_HOURS);
	if (hour < turnover->hours[at])
		return;
	if (hour > turnover->hours[at])
		turnover->counts[at] = 0;
	turnover->hours[at] = hour;
	turnover->counts[at] = count > UINT_MAX - turnover->counts[at] ? UINT_MAX : turnover->counts[at] + count;
}

unsigned turnover_in(const struct turnover *turnover, int64_t hour)
{
	size_t at = (size_t)(hour < 0 ? 0 : hour % TURNOVER_HOURS);
	return turnover->hours[at] == hour ? turnover->counts[at] : 0;
}

unsigned turnover_today(const struct turnover *turnover, int64_t wall_ns)
{
	unsigned sum = 0;
	for (size_t i = 0; i < TURNOVER_HOURS; i++)
		if (turnover_counts(turnover->hours[i], wall_ns))
			sum = turnover->counts[i] > UINT_MAX - sum ? UINT_MAX : sum + turnover->counts[i];
	return sum;
}

unsigned turnover_share(unsigned ended, size_t replicas, size_t younger)
{
	if (replicas == 0)
		return ended;
	return (unsigned)(ended / replicas + (younger < ended % replicas));
}
