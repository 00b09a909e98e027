/* PATCH on a tree: JSON merge patch (RFC 7386), Kubernetes' strategic merge patch as far as maps and the lists with a
 * known merge key go, and JSON patch (RFC 6902) with add, replace, remove and test. */
#ifndef SIM_PATCH_H
#define SIM_PATCH_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"

#define SIM_PATCH_OPS_MAX 10000    /* a real server's bound on the operations of one JSON patch */
#define SIM_PATCH_POINTER_MAX 1024 /* bytes of one JSON pointer */

enum sim_patch_kind { SIM_PATCH_MERGE, SIM_PATCH_STRATEGIC, SIM_PATCH_JSON };

/* From a Content-Type; false when it is no patch type. */
bool sim_patch_kind_of(const char *content_type, enum sim_patch_kind *kind);
/* Changes `object` in place, which on failure may be half changed: ERR_INPUT for a malformed patch (400), ERR_REFUSED
 * for one that does not apply (422). */
BERTH_MUST_CHECK int sim_patch(json_t *object, enum sim_patch_kind kind, const json_t *patch, struct err *err);

#endif
