/* Waiting times between attempts: doubling, and jittered so that many who failed together do not come back together. */
#ifndef KUBE_BACKOFF_H
#define KUBE_BACKOFF_H

#include <stdint.h>

struct jitter {
	uint64_t state;
};

/* Not for secrets. */
void jitter_seed(struct jitter *jitter, uint64_t seed);
/* A number below `bound` (not 0). */
uint64_t jitter_below(struct jitter *jitter, uint64_t bound);
/* Between half and the whole of first_ns * 2^attempt, which is at most max_ns. */
int64_t backoff_ns(struct jitter *jitter, unsigned attempt, int64_t first_ns, int64_t max_ns);

#endif
