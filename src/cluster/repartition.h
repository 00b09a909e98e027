/* The record of a node that is cut anew, as it stands on the node: text ↔ struct; and the patches that change the node
 * by it. A patch is made from the object as it was read and holds for exactly that one: taints are a list that is
 * written as a whole. */
#ifndef CLUSTER_REPARTITION_H
#define CLUSTER_REPARTITION_H

#include "base/buf.h"
#include "berth/arena.h"
#include "berth/repartition.h"

#define REPARTITION_TEXT_MAX 8192

/* False where the text is none of a version that is known: nothing is done by it. */
bool repartition_read(struct slice text, struct repartition_record *record);
void repartition_write(const struct repartition_record *record, struct buf *out);

/* A node as far as it takes; texts point into the arena. */
struct repartition_object {
	const char *name, *version;        /* resourceVersion */
	const char *config, *state, *text; /* labels and annotation, or NULL */
	bool tainted;
	size_t other_count;
	struct slice *others; /* the JSON of its other taints, into the object's text */
};
/* False where it cannot be read. */
bool repartition_object_read(struct slice json, struct arena *arena, struct repartition_object *object);
/* A merge patch: the record or, in the phase `none`, nothing of it; the taint and the label that it can be listed by,
 * where the phase has them; and the manager's label, where `label` is not NULL: "" takes it away. */
void repartition_patch(const struct repartition_object *object, const struct repartition_record *record,
    const char *label, struct buf *out);

#endif
