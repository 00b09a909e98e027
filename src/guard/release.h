/* Lets go, once and at a person's word, every pod behind berth's gate, and resumes what berth had suspended: lists,
 * then one write each. Needs no berth. Runs a loop of its own until all is done. */
#ifndef GUARD_RELEASE_H
#define GUARD_RELEASE_H

#include "base/err.h"
#include "guard/gated.h"
#include "kube/config.h"

#define RELEASE_PATIENCE_S 15 /* without contact, until the list is given up */

struct release_options {
	const struct kube_config *kube;
	const char *namespace_; /* NULL = all */
	bool dry_run;           /* nothing is written */
	/* Each pod, in the order of namespaces and names when nothing is written, else as it is let go. `error` says
	 * why it could not be. */
	void (*told)(void *ctx, const struct gated *gated, const char *error);
	/* The same of each object that berth had suspended. */
	void (*resumed)(void *ctx, const char *kind, const char *namespace_, const char *name, const char *error);
	/* A kind whose objects could not be listed. */
	void (*unlisted)(void *ctx, const char *kind, const char *error);
	void *ctx;
};

struct release_result {
	size_t found, failed;                    /* pods behind the gate */
	size_t suspended, not_resumed, unlisted; /* objects that bear the mark; kinds that could not be listed */
};

/* An error: the pods could not be listed (ERR_UNREACHABLE, ERR_REFUSED), or the options are malformed (ERR_INPUT). */
BERTH_MUST_CHECK int release_run(const struct release_options *options, struct release_result *result, struct err *err);

#endif
