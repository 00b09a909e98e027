/* What is wrong between teams: those above themselves, guarantees that cannot be kept, namespaces that another team
 * has.
 */
#ifndef POLICY_TEAMS_H
#define POLICY_TEAMS_H

#include "policy/doc.h"
#include "policy/problem.h"

void policy_check_teams(const struct doc *doc, struct policy_report *report);

#endif
