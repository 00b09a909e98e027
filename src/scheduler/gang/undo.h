/* What the files of undos share: one record for each gang that is undone, from the question who owns its pods to the
 * owner's resumption. */
#ifndef SCHEDULER_GANG_UNDO_H
#define SCHEDULER_GANG_UNDO_H

#include "cluster/suspension.h"
#include "scheduler/internal.h"

#define UNDO_OWNERS_MAX 64           /* controllers of one gang's members; with more it is kept */
#define UNDO_AGAIN_NS (5 * NS_PER_S) /* between tries of a write that failed, and of evictions */
#define UNDO_BODY_MAX 65536

enum undo_phase { UNDO_ASKING, UNDO_SUSPENDING, UNDO_EMPTYING, UNDO_RESUMING };

struct undo_owner {
	struct undo *undo;
	char *pods_owner;                /* UID of the controller of its pods */
	bool recreates;                  /* that controller, without counting: else its pods are evicted */
	const struct suspend_kind *kind; /* of the object asked for … */
	char *uid;                       /* … and its UID */
	size_t depth;
	const struct suspend_kind *found; /* of the topmost object that can be suspended, or NULL … */
	char *found_name, *found_uid;     /* … and which one */
	char *patch;                      /* that suspends it, as it was read; NULL: it is suspended */
	bool ours;                        /* to be resumed by berth */
	bool busy, done;
};

struct undo {
	struct scheduler *s;
	struct undo *next;
	char *key, *namespace_, *name; /* of the gang */
	enum undo_phase phase;
	enum gang_state from;
	int64_t until_ns, again_ns;
	int64_t moved_ns, no_room_ns; /* of the gang in the state before, 0 = not known … */
	size_t reached;               /* … and how far it was */
	bool failed;                  /* a write was refused for good: the gang is kept */
	bool again; /* the server could not be asked, or somebody wrote between: from the beginning, later */
	size_t count;
	struct undo_owner owners[UNDO_OWNERS_MAX];
};

/* undo.c: the record, its end, what is said of it. The undo of that gang's key, or NULL. */
struct undo *undo_find(const struct scheduler *s, const char *key);
struct undo *undo_new(struct scheduler *s, const char *key, const char *namespace_, const char *name);
/* NULL while it has no members. */
struct gang *undo_gang(const struct undo *undo);
/* The record is freed. */
void undo_over(struct undo *undo);
void undo_keep(struct undo *undo, const char *why);
/* An Event about the owner, or the pod, and the log. */
void undo_say(
    struct undo *undo, const struct undo_owner *owner, const struct pod *pod, const char *reason, const char *note);
/* A call about an object in the gang's namespace; `done` gets the owner, which is busy until then. */
void undo_call(struct undo_owner *owner, const char *method, const struct suspend_kind *kind, const char *name,
    struct slice body, kube_done *done);
bool undo_any_busy(const struct undo *undo);
bool undo_is_good(const struct kube_answer *answer);
/* The server answered, and would answer the same again. */
bool undo_is_final(const struct kube_answer *answer);

/* undo_run.c: the owners are known */
void undo_suspend(struct undo *undo);
void undo_begin_to_empty(struct undo *undo);
void undo_empty(struct undo *undo);
void undo_resume(struct undo *undo);

/* undo_list.c: kinds whose marked objects are to be listed yet */
void undo_list_due(struct scheduler *s);

#endif
