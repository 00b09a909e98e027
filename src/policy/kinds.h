/* The kinds of controllers that are often named in policies, for suggestions and warnings only: any kind may be named.
 */
#ifndef POLICY_KINDS_H
#define POLICY_KINDS_H

#include "berth/slice.h"

/* The known kind that is likely meant by another text, or NULL; NULL for a known kind, too. */
const char *kind_meant(struct slice given);
/* The kind that stands between controllers of this kind and their pods, where a pod says nothing of the upper one; NULL
 * for all others. */
const char *kind_between(struct slice kind);

#endif
