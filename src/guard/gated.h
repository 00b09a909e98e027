/* A pod behind berth's gate, as far as it takes to let it go: whose it is and since when it waits. */
#ifndef GUARD_GATED_H
#define GUARD_GATED_H

#include <stdbool.h>
#include <stdint.h>

#include "berth/slice.h"

#define GATED_SELECTOR "fieldSelector=status.phase%3DPending%2Cspec.nodeName%3D" /* only such pods can be gated */

struct gated {
	char *uid, *namespace_, *name;
	char *others;            /* the names of other gates on it, with commas in between; NULL where there is none */
	int64_t created_wall_ns; /* by the API server's clock; 0 where it is not said */
	int64_t seen_ns;         /* clock_now when it was shown first; the caller's */
	uint32_t mark;           /* the caller's */
	bool asked, gone;        /* its release is under way; it went meanwhile; the caller's */
};

/* The pod in the object's text, to be freed with gated_free. NULL where it is none that waits behind berth's gate.
 * `uid`, where it is asked for, is the pod's in any case, and points into the text. */
struct gated *gated_read(struct slice object, struct slice *uid);
void gated_free(struct gated *gated);

/* How long it waits at least: the longer of the time since it was created, by this machine's wall clock, and the time
 * since it was shown first. So a clock that is behind does not keep it for ever. */
int64_t gated_for(const struct gated *gated, int64_t now_ns, int64_t now_wall_ns);

#endif
