/* What the API objects say of gangs, by kind, namespace and name; fed by a watch on each kind that the API server has.
 * A kind that is not synced (not served, forbidden, its first list not done) answers for no object. */
#ifndef CLUSTER_GANG_OBJECTS_H
#define CLUSTER_GANG_OBJECTS_H

#include "base/err.h"
#include "berth/gang.h"
#include "berth/slice.h"

struct gang_objects;

/* An object of that name came, went, or says something else; `namespace_` and `name` live for the call. */
typedef void gang_objects_changed(void *context, enum gang_object object, const char *namespace_, const char *name);

struct gang_objects *gang_objects_new(gang_objects_changed *changed, void *context);
void gang_objects_free(struct gang_objects *objects);

/* A list of a kind begins; gang_objects_synced forgets what was not put since. */
void gang_objects_begin(struct gang_objects *objects, enum gang_object object);
void gang_objects_synced(struct gang_objects *objects, enum gang_object object);
/* The kind is no longer served, or may no longer be read: all of it is forgotten. */
void gang_objects_lost(struct gang_objects *objects, enum gang_object object);
bool gang_objects_known(const struct gang_objects *objects, enum gang_object object);

/* An object whose terms cannot be told is kept: it answers as one that is not there. Fails only for text that is no
 * object. */
BERTH_MUST_CHECK int gang_objects_put(
    struct gang_objects *objects, enum gang_object object, struct slice json, struct err *err);
BERTH_MUST_CHECK int gang_objects_remove(
    struct gang_objects *objects, enum gang_object object, struct slice json, struct err *err);

enum gang_answer {
	GANG_ANSWER_TERMS,   /* the object says them */
	GANG_ANSWER_STAGE,   /* the same, of the pod's sub-group, which is a gang of its own: the caller names it */
	GANG_ANSWER_SINGLE,  /* the object says that its pods are no gang: the caller sets their `gang` to NULL */
	GANG_ANSWER_PODS,    /* there is no object: the pods say it all */
	GANG_ANSWER_MISSING, /* it is not there, or does not say it in a way that can be read */
	GANG_ANSWER_UNKNOWN, /* its kind is not known */
};

/* What the object of a gang says; `terms` is set with TERMS and STAGE, and lives until the object changes. */
enum gang_answer gang_objects_resolve(
    const struct gang_objects *objects, const char *namespace_, const struct pod_gang *gang, struct gang_terms *terms);

#endif
