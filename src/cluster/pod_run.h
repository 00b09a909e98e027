/* What a pod's object says of its run: how it began and ended, how long it is expected to take, and whether and at what
 * cost it may be ended before. */
#ifndef CLUSTER_POD_RUN_H
#define CLUSTER_POD_RUN_H

#include "base/reader.h"
#include "berth/pod.h"
#include "cluster/start.h"

/* Slices of the text. */
struct pod_run {
	struct slice phase, reason, started; /* of its status */
	struct slice checkpoint, ending_at, runtime;
	struct start start;
	bool not_safe, do_not_disrupt;
};

/* An annotation; false where it is none of these. */
bool pod_run_read(struct reader *json, struct slice key, struct pod_run *run);
void pod_run_keep(const struct pod_run *run, struct arena *arena, struct pod *pod);

/* POD_RUNTIME: nanoseconds, 0 where it is no duration, or longer than a century. */
int64_t pod_run_expected(struct slice text);

#endif
