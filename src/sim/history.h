/* The latest changes of one resource, numbered from 1 without gaps, in a ring. What falls out, or is cleared, can no
 * longer be watched. The store's own; others go through sim_history_after and sim_history_at of store.h. */
#ifndef SIM_HISTORY_H
#define SIM_HISTORY_H

#include "sim/store.h"

struct sim_history {
	struct sim_change *ring;
	size_t max;
	uint64_t first, end; /* numbers kept: first ≤ n < end */
	uint64_t lost_rv;    /* resourceVersion of the latest change that is not kept */
};

void sim_history_init(struct sim_history *history, size_t max);
void sim_history_free(struct sim_history *history);
/* Takes over the references of the change. */
void sim_history_add(struct sim_history *history, const struct sim_change *change);
/* Forgets all changes: those up to `rv` count as lost. */
void sim_history_clear(struct sim_history *history, uint64_t rv);
bool sim_history_find(const struct sim_history *history, uint64_t rv, uint64_t *number);
const struct sim_change *sim_history_get(const struct sim_history *history, uint64_t number, bool *lost);

#endif
