/* `berth guard`: a process of its own that lets pods go which wait behind berth's gate while no berth is active. The
 * active berth renews a Lease; once that was not renewed for its duration, by this machine's clock, every pod that
 * waits longer than the policy's gate.releaseAfter loses the gate. The Lease is read anew, from the API server itself,
 * before each turn of releases: what cannot be read releases nothing. Several guards do no harm, the second finds
 * nothing left to do. */
#ifndef GUARD_GUARD_H
#define GUARD_GUARD_H

#include <uv.h>

#include "base/err.h"
#include "kube/config.h"

#define GUARD_LOOK_MS 2000 /* between two looks at the Lease and the policy */

struct guard;

struct guard_options {
	const struct kube_config *kube;
	const char *lease;       /* NAMESPACE/NAME of the Lease that the active berth renews */
	const char *policy_file; /* NULL: releaseAfter's default holds */
	const char *listen;      /* probes and metrics */
};

/* A policy file that cannot be used is no error: it is said, and the last releaseAfter, or its default, holds. */
BERTH_MUST_CHECK struct guard *guard_start(uv_loop_t *loop, const struct guard_options *options, struct err *err);
unsigned guard_port(const struct guard *guard);
void guard_stop(struct guard *guard, void (*done)(void *ctx), void *ctx);

#endif
