#include "sim/history.h"

#include <stdlib.h>

void sim_history_init(struct sim_history *history, size_t max)
{
	*history = (struct sim_history){.max = max ? max : 1, .first = 1, .end = 1};
	history->ring = xcalloc(history->max, sizeof *history->ring);
}

static struct sim_change *slot(const struct sim_history *history, uint64_t number)
{
	return &history->ring[number % history->max];
}

static void drop_first(struct sim_history *history)
{
	struct sim_change *change = slot(history, history->first++);

	history->lost_rv = change->rv;
	sim_version_unref(change->now);
	sim_version_unref(change->before);
}

void sim_history_free(struct sim_history *history)
{
	while (history->first < history->end)
		drop_first(history);
	free(history->ring);
}

void sim_history_add(struct sim_history *history, const struct sim_change *change)
{
	if (history->end - history->first == history->max)
		drop_first(history);
	*slot(history, history->end++) = *change;
}

void sim_history_clear(struct sim_history *history, uint64_t rv)
{
	while (history->first < history->end)
		drop_first(history);
	history->lost_rv = rv;
}

bool sim_history_find(const struct sim_history *history, uint64_t rv, uint64_t *number)
{
	uint64_t low = history->first, high = history->end;

	if (rv < history->lost_rv)
		return false;
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (slot(history, middle)->rv <= rv)
			low = middle + 1;
		else
			high = middle;
	}
	*number = low;
	return true;
}

const struct sim_change *sim_history_get(const struct sim_history *history, uint64_t number, bool *lost)
{
	*lost = number < history->first;
	if (*lost || number >= history->end)
		return NULL;
	return slot(history, number);
}
