/* How long work of a kind runs, learned from runs that ended well: of each template (what a controller makes again and
 * again, by names that differ in numbers and hashes alone) the latest runs count, the newest the most, and what is
 * expected is a time within which most of them ended. Little is kept of each, and of few: those that ended last. */
#ifndef BERTH_RUNTIMES_H
#define BERTH_RUNTIMES_H

#include <stddef.h>
#include <stdint.h>

#include "berth/map.h"

#define RUNTIMES_MAX 4096
#define RUNTIMES_RUNS 16      /* of a template */
#define RUNTIMES_LEAST 3      /* before anything is expected */
#define RUNTIMES_DECAY 0.9    /* the weight of a run beside that of the next */
#define RUNTIMES_QUANTILE 0.8 /* of the weights */
#define RUNTIMES_KEY_MAX 1024

struct pod;
struct runtime_template;

struct runtimes {
	struct map by_key;
	struct runtime_template *oldest, *newest; /* by their last run */
};

/* A zeroed struct is an empty one. */
void runtimes_free(struct runtimes *runtimes);
/* The template of a pod of the class, in `key`; `units` are the GPUs it asks for. */
void runtimes_key(const struct pod *pod, const char *class_, int64_t units, char key[RUNTIMES_KEY_MAX]);
void runtimes_learn(struct runtimes *runtimes, const char *key, int64_t ran_ns);
/* 0 = not known. Rounded up by an eighth at most, so that it seldom changes. */
int64_t runtimes_expect(const struct runtimes *runtimes, const char *key);

#endif
