/* Objects that a berth suspended for a move, or for the undo of a gang, and that bear its mark: resumed where no berth
 * is left to do it. Nodes whose GPUs it was cutting anew: the label as it was, and no taint. A list of each kind that
 * the API server has, then one write each. */
#ifndef GUARD_RESUME_H
#define GUARD_RESUME_H

#include <stdbool.h>

#include "kube/kube.h"

#define RESUME_NODE "Node"

struct resume;

struct resume_handlers {
	/* Each object, the namespace of a node ""; `error` says why it could not be resumed. */
	void (*one)(void *ctx, const char *kind, const char *namespace_, const char *name, const char *error);
	/* A kind that could not be listed. */
	void (*unlisted)(void *ctx, const char *kind, const char *error);
	/* All are done, and `resume` is freed. */
	void (*all)(void *ctx);
	void *ctx;
};

/* namespace_ NULL: all, and nodes. With dry_run nothing is written. */
struct resume *resume_start(
    struct kube *kube, const char *namespace_, bool dry_run, const struct resume_handlers *handlers);
/* The client was closed: no call of it is answered any more. */
void resume_cancel(struct resume *resume);

#endif
