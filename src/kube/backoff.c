#include "kube/backoff.h"

void jitter_seed(struct jitter *jitter, uint64_t seed)
{
	jitter->state = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
}

/* xorshift64* */
static uint64_t next(struct jitter *jitter)
{
	jitter->state ^= jitter->state >> 12;
	jitter->state ^= jitter->state << 25;
	jitter->state ^= jitter->state >> 27;
	return jitter->state * UINT64_C(0x2545f4914f6cdd1d);
}

uint64_t jitter_below(struct jitter *jitter, uint64_t bound)
{
	return next(jitter) % bound;
}

int64_t backoff_ns(struct jitter *jitter, unsigned attempt, int64_t first_ns, int64_t max_ns)
{
	int64_t whole_ns = first_ns;

	while (attempt-- > 0 && whole_ns < max_ns)
		whole_ns *= 2;
	if (whole_ns > max_ns)
		whole_ns = max_ns;
	return whole_ns / 2 + (int64_t)jitter_below(jitter, (uint64_t)(whole_ns / 2) + 1);
}
