/* Rules that read well and do nothing: a class or a pool that another one leaves nothing to, a weight without what it
 * weighs, a kind that is spelt wrong. */
#ifndef POLICY_EFFECT_H
#define POLICY_EFFECT_H

#include "policy/doc.h"
#include "policy/problem.h"

void policy_check_effect(const struct doc *doc, struct policy_report *report);

#endif
