/* A ConfigMap of berth's own, for what outlives the process and stands in no other object. Each key is written apart,
 * so that nobody's write undoes another's; one write is under way at a time, and what is set meanwhile goes with the
 * next, the latest of a key alone. Only the active berth writes: the client sees to that, and what could not be written
 * is tried again. Where the API server does not have it or allow it, it is done without, and that is said. */
#ifndef SCHEDULER_KEEP_H
#define SCHEDULER_KEEP_H

#include "berth/map.h"
#include "kube/kube.h"

#define KEEP_TEXT_MAX (900u << 10) /* bytes of one write; the API server takes 1 MiB of a ConfigMap's data */
#define KEEP_KEY_MAX (400u << 10)  /* of one key's text: callers keep below it */

/* A key as it was kept, unescaped. */
typedef void keep_shown(void *ctx, struct slice key, struct slice text);
/* What became of a key's latest text. One that failed is tried again by keep_again, or with the next that is set. */
typedef void keep_written(void *ctx, struct slice key, const struct kube_answer *answer);

struct keep {
	struct kube *kube; /* NULL until it is opened */
	char *namespace_;
	const char *name;
	struct map due;     /* key → struct due_key: what is to be written */
	bool writing, read; /* a write is under way; it was read, or is known not to be there */
	bool making;        /* the write under way makes the ConfigMap */
	char *trouble;      /* why it cannot be read or written, or NULL */
	keep_shown *shown;
	void (*done)(void *ctx);
	keep_written *written; /* NULL: nobody waits for it; else set before anything is */
	void *ctx;             /* of all of them */
};

/* Texts are not copied but for the namespace. */
void keep_open(struct keep *keep, struct kube *kube, const char *namespace_, const char *name);
/* Reads it: `shown` for each key, then `done`, in any case and at once where it cannot be read. */
void keep_read(struct keep *keep, keep_shown *shown, void (*done)(void *ctx), void *ctx);
/* The key is to have this text; NULL: it is to go. */
void keep_set(struct keep *keep, const char *key, const char *text);
/* What is due and not under way is tried again, and what could not be read is read. */
void keep_again(struct keep *keep);
/* The client was closed before: nothing is called any more. */
void keep_close(struct keep *keep);

#endif
