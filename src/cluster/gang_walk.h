/* What stands in an API object at the paths of gang_table, before it is made terms of. */
#ifndef CLUSTER_GANG_WALK_H
#define CLUSTER_GANG_WALK_H

#include "base/err.h"
#include "berth/arena.h"
#include "cluster/gang_table.h"

struct gang_raw {
	int64_t number[GANG_NUMBER_COUNT]; /* -1 = not said */
	struct slice text[GANG_TEXT_END];
	bool flag[GANG_VALUE_COUNT];
};

struct gang_walk {
	enum gang_object object;
	struct gang_raw all;
	struct gang_raw *groups[GANG_GROUPS_MAX];
	size_t group_count;
	struct arena scratch; /* owns the groups */
	const char *trouble;  /* constant text */
};

/* Texts are views of `json`. Fails for text that is no JSON; gang_walk_end in either case. */
BERTH_MUST_CHECK int gang_walk(struct gang_walk *walk, enum gang_object object, struct slice json, struct err *err);
void gang_walk_end(struct gang_walk *walk);

#endif
