/* Takes berth's gate from pods, so many at a time. Other gates on them stay. A pod that is gone or was let go meanwhile
 * counts as let go. */
#ifndef GUARD_UNGATE_H
#define GUARD_UNGATE_H

#include "guard/gated.h"
#include "kube/kube.h"

#define UNGATE_IN_FLIGHT 32

struct ungate_handlers {
	/* One pod is let go (error NULL), or could not be. It is valid during the call only where the caller kept it.
	 */
	void (*one)(void *ctx, struct gated *gated, const char *error);
	/* All are through; called on a later turn than ungate_start. */
	void (*all)(void *ctx);
	void *ctx;
};

/* Copies the list of pods, which themselves must live until `one` was called for each. Frees itself after `all`. What
 * is under way when the client is closed never ends: ungate_cancel then. */
struct ungate *ungate_start(
    struct kube *kube, struct gated *const *pods, size_t count, const struct ungate_handlers *handlers);
/* After kube_close: frees it without further calls. */
void ungate_cancel(struct ungate *ungate);

#endif
