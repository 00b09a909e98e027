/* A document without errors → the policy as the core uses it: names become indexes, selectors and masks are built. */
#ifndef POLICY_COMPILE_H
#define POLICY_COMPILE_H

#include "policy/doc.h"

/* The policy shares nothing with the document. The hash is left empty. */
struct policy *policy_compile(const struct doc *doc);

#endif
