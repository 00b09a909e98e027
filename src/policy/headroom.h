/* What can be wrong within one rule of headroom: its numbers, whom it lends to, and its hours. A time zone is looked up
 * in the database of the machine that reads the policy. */
#ifndef POLICY_HEADROOM_H
#define POLICY_HEADROOM_H

#include "policy/doc.h"
#include "policy/problem.h"

void headroom_check(const struct doc *doc, const struct doc_headroom *rule, size_t i, struct policy_report *report);

#endif
