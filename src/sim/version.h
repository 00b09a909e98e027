/* One state of one object: its JSON text and the few fields that the server itself looks at. Never changed once made;
 * the store, its history and the lists under way share it by counted references. All of it is one block of memory, so a
 * large cluster costs little more than its texts. */
#ifndef SIM_VERSION_H
#define SIM_VERSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "berth/slice.h"

#define SIM_OBJECT_MAX (2u << 20) /* bytes of one object's text */

struct sim_version {
	unsigned refs;
	bool deleting; /* metadata.deletionTimestamp is set */
	uint64_t rv;
	const char *key; /* "namespace/name", or "name" where there is no namespace */
	const char *namespace_, *name, *uid, *node, *phase, *scheduler; /* "" where absent */
	struct slice json, metadata;                                    /* metadata is a part of json */
};

/* Makes a version, with one reference, of a text that has no metadata.resourceVersion; that is put in here. NULL for
 * text that is no object with a name. */
BERTH_MUST_CHECK struct sim_version *sim_version_make(struct slice json, uint64_t rv, struct err *err);
struct sim_version *sim_version_ref(struct sim_version *version);
/* NULL is allowed. */
void sim_version_unref(struct sim_version *version);
/* The same object under another resourceVersion: what a DELETED event carries. */
struct sim_version *sim_version_at(const struct sim_version *version, uint64_t rv);

#endif
