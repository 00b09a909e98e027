/* What is wrong within the MIG configurations of a pool. */
#ifndef POLICY_MIG_H
#define POLICY_MIG_H

#include "berth/gpu.h"
#include "policy/doc.h"
#include "policy/problem.h"

/* Without a catalogue, profiles and geometries are not checked. */
void policy_check_mig(const struct doc *doc, const struct gpu_catalogue *catalogue, struct policy_report *report);

#endif
