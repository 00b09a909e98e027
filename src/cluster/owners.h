/* Who owns the Jobs: a pod names only its nearest controller, so Jobs' own owners (CronJob, JobSet, Workflow …) are
 * kept here, fed by the watch on Jobs. Of others, only what the pod itself tells is known. */
#ifndef CLUSTER_OWNERS_H
#define CLUSTER_OWNERS_H

#include "base/err.h"
#include "berth/pod.h"

struct owners;

/* A controller of controllers leaves a label on the pods, which counts beside the kind that it puts between itself and
 * them, so that a copied one says nothing. Without a label: always. */
struct owner_label {
	const char *label, *between, *kind;
};

const struct owner_label *owners_labels(size_t *count);

struct owners *owners_new(void);
void owners_free(struct owners *owners);
/* A list begins; owners_synced forgets what was not put since. */
void owners_begin(struct owners *owners);
void owners_synced(struct owners *owners);
/* A Job's (partial) object. */
BERTH_MUST_CHECK int owners_put(struct owners *owners, struct slice json, struct err *err);
BERTH_MUST_CHECK int owners_remove(struct owners *owners, struct slice json, struct err *err);
/* Adds to the pod's chain what follows from its nearest controller and its own labels: a ReplicaSet counts as its
 * Deployment, and some controllers of controllers leave a label. */
void owners_infer(struct pod *pod);
/* What is known of a Job beside its pods; texts live until it changes. */
struct owners_job {
	const char *owner_kind, *owner_name, *owner_uid; /* its controller, or NULL */
	bool queued;                                     /* Kueue's */
	int64_t checkpoint_ns;                           /* berth.dev/last-checkpoint, wall clock; 0 = none */
	int64_t runtime_ns;                              /* berth.dev/expected-runtime; 0 = none */
};
/* False where no such Job is known. */
bool owners_find(const struct owners *owners, const char *uid, struct owners_job *job);
/* Adds what is known by now of the Job that owns it. */
void owners_resolve(const struct owners *owners, struct pod *pod);

#endif
