/* config/gpus.yaml → struct gpu_catalogue. Strict: what it does not know is an error at file:line:column. */
#ifndef CLUSTER_CATALOGUE_H
#define CLUSTER_CATALOGUE_H

#include "base/err.h"
#include "berth/arena.h"
#include "berth/gpu.h"

struct catalogue {
	struct arena arena;
	struct gpu_catalogue gpus;
};

/* Reads the built-in text first and then, if `extra` is not empty, a file of the user's: its models replace those of
 * the same variant, its resources come before. `extra_name` is for messages. */
BERTH_MUST_CHECK struct catalogue *catalogue_load(
    struct slice builtin, struct slice extra, const char *extra_name, struct err *err);
void catalogue_free(struct catalogue *catalogue);

#endif
