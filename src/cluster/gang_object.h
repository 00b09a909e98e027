/* One API object that tells a gang's size (a PodGroup, a JobSet, a Job …) → its terms, by the paths of gang_table. */
#ifndef CLUSTER_GANG_OBJECT_H
#define CLUSTER_GANG_OBJECT_H

#include "base/err.h"
#include "berth/arena.h"
#include "berth/gang.h"
#include "berth/slice.h"

struct gang_object_terms {
	struct arena arena; /* owns all below and itself; gang_object_free */
	const char *namespace_, *name;
	struct slice path;   /* "namespace/name" */
	uint64_t list;       /* the caller's: the last list that it was seen in */
	bool single;         /* the object says that its pods are no gang */
	bool apart;          /* each of its groups is a gang of its own */
	const char *trouble; /* constant text: why the terms cannot be told (a number that is none, too many members or
	                        sub-groups); NULL = they can */
	struct gang_terms terms;
};

/* NULL for text that is no object, or has no name. */
BERTH_MUST_CHECK struct gang_object_terms *cluster_gang_object(
    enum gang_object object, struct slice json, struct err *err);
/* Whether two objects of one name say the same. */
bool gang_object_same(const struct gang_object_terms *a, const struct gang_object_terms *b);
struct slice gang_object_path(struct arena *arena, const char *namespace_, const char *name);
void gang_object_free(struct gang_object_terms *terms);

#endif
