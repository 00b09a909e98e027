/* What is wrong between the values of a policy: names that lead nowhere, keys that do not go together. */
#ifndef POLICY_CHECK_H
#define POLICY_CHECK_H

#include "berth/gpu.h"
#include "policy/doc.h"
#include "policy/problem.h"

/* Without a catalogue the names of GPU models are not checked. */
void policy_check(const struct doc *doc, const struct gpu_catalogue *catalogue, struct policy_report *report);

#endif
