/* Who may preempt whom must be an order: where two classes could evict each other, pods would be moved about for ever.
 */
#ifndef POLICY_CYCLE_H
#define POLICY_CYCLE_H

#include "policy/doc.h"
#include "policy/problem.h"

void policy_check_cycles(const struct doc *doc, struct policy_report *report);

#endif
