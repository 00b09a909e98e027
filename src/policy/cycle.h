/* Who may end whose work, by mayPreempt or to take back what headroom lent, must be an order: where two classes could
 * end each other's, pods would be moved about for ever. What teams claim back cannot go in circles: a team above its
 * guarantee claims nothing, and one that is not above it loses nothing. */
#ifndef POLICY_CYCLE_H
#define POLICY_CYCLE_H

#include "policy/doc.h"
#include "policy/problem.h"

void policy_check_cycles(const struct doc *doc, struct policy_report *report);

#endif
