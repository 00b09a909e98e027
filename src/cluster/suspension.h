/* Owners of pods that can be suspended: their controller then deletes the pods and counts none of them as failed, and
 * makes them anew when the owner is resumed. What such an object says, and the patches that suspend and resume it.
 *
 * A mark on the object itself, a label so that it can be listed by it, says that berth is to resume it, and for what it
 * was suspended: the undo of a gang, or a move, whose id it is. It outlives berth. */
#ifndef CLUSTER_SUSPENSION_H
#define CLUSTER_SUSPENSION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "berth/arena.h"
#include "berth/slice.h"

#define SUSPENDED_BY "berth.dev/suspended-by"
#define SUSPENDED_BY_BERTH "berth"
#define SUSPENDED_GANG "berth.dev/undoes"            /* annotation: the key of the gang that is undone */
#define SUSPENDED_SINCE "berth.dev/suspended-since"  /* annotation: when a move suspended it */
#define SUSPENDED_MOVED "berth.dev/moved-at"         /* annotation: when moves suspended it, the latest first */
#define SUSPENDED_ALONE "berth.dev/left-alone-until" /* annotation: no move ends it before */
#define SUSPENDED_REVERTS                                                                                              \
	"berth.dev/resumed-by-others" /* annotation: how often somebody resumed what a move had suspended */
#define SUSPENDED_REVERTS_MAX 2       /* then it is left alone for good */

struct pod;

struct suspend_kind {
	const char *api_version, *kind, *plural;
	const char *field;   /* of spec: "suspend", or "runPolicy.suspend" */
	const char *needs;   /* of spec: true, or its controller takes the suspension for a mistake. NULL = nothing */
	const char *bars;    /* of spec: there, its controller refuses the suspension. NULL = nothing */
	const char *label;   /* by which pods below it, however far, bear its name; NULL: none */
	const char *manager; /* what spec's managedBy says of the kind's own controller; NULL = it has no such field */
	bool runs;           /* the field says that it runs: false suspends */
	const struct suspend_kind *older; /* the same of API servers that do not have this version, or NULL */
};

const struct suspend_kind *suspend_kinds(size_t *count);
/* Whether the object's suspension would end the pod, as far as the pod of its namespace tells. */
bool suspend_ends(const struct suspend_kind *kind, const char *name, const char *uid, const struct pod *pod);
/* NULL: pods of such an owner, or of an owner of that kind's objects, are not known to be suspended by it. */
const struct suspend_kind *suspend_kind_of(const char *kind);
/* Kueue's Workload of an owner that it manages, deactivated in the owner's place. It controls nothing itself, and
 * others have kinds of that name: suspend_kind_of does not find it. */
const struct suspend_kind *suspend_workload(void);
/* Of all, Workloads and older versions included, or NULL. */
const struct suspend_kind *suspend_kind_named(const char *api_version, const char *kind);
/* Whether the kind makes a pod anew that is evicted, and counts no failure. */
bool suspend_recreates(const char *kind);
/* "/apis/GROUP/VERSION/namespaces/NAMESPACE/PLURAL/NAME"; NAMESPACE and NAME NULL: of all. */
void suspend_path(const struct suspend_kind *kind, const char *namespace_, const char *name, struct buf *out);

/* One object of such a kind; texts point into `arena`. */
struct suspend_object {
	const char *namespace_, *name, *uid;
	const char *owner_kind, *owner_name, *owner_uid; /* its controller, or NULL */
	const char *gang;                                /* SUSPENDED_GANG, or NULL */
	const char *mark;                                /* SUSPENDED_BY, or NULL */
	const char *since;                               /* SUSPENDED_SINCE, or NULL */
	const char *moved, *alone_until;                 /* SUSPENDED_MOVED, SUSPENDED_ALONE, or NULL */
	const char *version;                             /* resourceVersion */
	unsigned reverts;                                /* SUSPENDED_REVERTS */
	bool suspended;
	bool marked;  /* for an undo */
	bool barred;  /* what its kind needs is not there, or what bars it is */
	bool queued;  /* Kueue suspends and resumes it, by its Workload, and nobody else may */
	bool managed; /* by another than its kind's own controller, who may suspend and resume it, too */
	bool kept;    /* one of its annotations asks not to be disturbed */
	bool counts;  /* its controller gives up after so many pods that failed: one that is evicted may count */
};
/* False where it cannot be read. */
bool suspend_read(
    struct slice json, const struct suspend_kind *kind, struct arena *arena, struct suspend_object *object);
/* The items of a list, each given to `each`; false where it cannot be read. */
bool suspend_read_list(struct slice json, void (*each)(void *ctx, struct slice item), void *ctx);
/* A merge patch that suspends or resumes it for an undo, and sets or takes away the mark. */
void suspend_write(const struct suspend_kind *kind, const struct suspend_object *object, bool suspend, const char *gang,
    struct buf *out);

/* The same for a move, on exactly the object that was read. */
struct suspend_change {
	const char *mark;                /* the move's id; NULL: taken away */
	const char *since;               /* SUSPENDED_SINCE; NULL: taken away */
	bool spec;                       /* the field is written; else the mark alone */
	unsigned reverts;                /* SUSPENDED_REVERTS; 0: left as it is */
	const char *moved, *alone_until; /* NULL: left as they are */
};
void suspend_change(const struct suspend_kind *kind, const struct suspend_object *object,
    const struct suspend_change *change, struct buf *out);

#endif
