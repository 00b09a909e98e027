/* The kinds of controllers that are often named in policies, for suggestions only: any kind may be named. */
#ifndef POLICY_KINDS_H
#define POLICY_KINDS_H

#include "berth/slice.h"

/* The known kind that is likely meant by another text, or NULL; NULL for a known kind, too. */
const char *kind_meant(struct slice given);

#endif
