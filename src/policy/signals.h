/* Signals of load and what follows them: what cannot hold among their keys, and what the policy makes of them. Names
 * are looked up by `check`. */
#ifndef POLICY_SIGNALS_H
#define POLICY_SIGNALS_H

#include "policy/doc.h"
#include "policy/problem.h"

void policy_check_signals(const struct doc *doc, struct policy_report *report);
/* Once classes and headroom are compiled. */
void policy_compile_signals(struct policy *policy, struct arena *arena, const struct doc *doc);

#endif
