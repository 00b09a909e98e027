/* The admission policy that adds berth's gate: a MutatingAdmissionPolicy and its binding
 * (admissionregistration.k8s.io/v1, Kubernetes 1.36 and later), written from a placement policy, since CEL cannot read
 * that file. Of the words of classes it sees namespaces, pod labels, berth.dev/class, and of owners what owners_infer
 * sees. What it cannot see is left to berth: a gang's size counts as large enough for a class that is gated, and as too
 * small for the others, so that a pod is rather gated for the blink until berth ungates it than missed; owners that no
 * pod names are missed. */
#ifndef POLICY_GATE_H
#define POLICY_GATE_H

#include "base/buf.h"
#include "base/err.h"
#include "berth/policy.h"

#define GATE_NAME "berth.dev/plan"
#define GATE_LINE "berth.dev/waiting" /* annotation: what a pod behind the gate waits for */

struct gate_options {
	const char *scheduler;          /* spec.schedulerName of the pods */
	const char *namespace_selector; /* as kubectl's -l has it, without set operators; NULL = all namespaces */
};

/* Appends YAML. An error: the policy gates no class, or an option is malformed. */
BERTH_MUST_CHECK int gate_write(
    const struct policy *policy, const struct gate_options *options, struct buf *out, struct err *err);

#endif
