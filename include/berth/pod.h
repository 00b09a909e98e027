/* A pod as the core sees it: decoded by cluster/pod, never changed afterwards but for what becomes known later: owner
 * kinds, whether it is in a gang, and how many GPUs that asks for. One arena owns it; pod_free frees it. */
#ifndef BERTH_POD_H
#define BERTH_POD_H

#include <stdbool.h>
#include <stdint.h>

#include "berth/arena.h"
#include "berth/gang.h"
#include "berth/labels.h"
#include "berth/reason.h"
#include "berth/resources.h"

#define OWNER_KINDS_MAX 8
/* Annotations. */
#define POD_GANG_WHOLE "berth.dev/gang-whole"
#define POD_CHECKPOINT "berth.dev/last-checkpoint" /* RFC 3339: what was done before it is not lost */
#define POD_SAFE_TO_EVICT "cluster-autoscaler.kubernetes.io/safe-to-evict"
#define POD_ENDING_AT "berth.dev/ending-at" /* RFC 3339: when berth means to end it */
#define POD_DO_NOT_DISRUPT "karpenter.sh/do-not-disrupt"
#define POD_RUNTIME "berth.dev/expected-runtime" /* Go duration: from its start to its end */

/* What a pod asks of other pods in a domain: a term of a required affinity or anti-affinity. matchLabelKeys and
 * mismatchLabelKeys are in the selector. */
struct pod_term {
	const char *topology_key; /* a node label */
	bool nobody;              /* no selector: matches no pod */
	struct selector selector; /* empty matches all */
	bool all_namespaces;      /* a namespace selector counts as all: labels of namespaces are not known */
	size_t namespace_count;   /* 0 = the pod's own, unless all */
	const char **namespaces;
};

/* A topology spread constraint with whenUnsatisfiable: DoNotSchedule; matchLabelKeys are in the selector. */
struct spread_constraint {
	const char *topology_key;
	int32_t max_skew;    /* >= 1 */
	int32_t min_domains; /* >= 1, 1 = not said */
	bool nobody;
	struct selector selector; /* on pods of the pod's own namespace */
	bool any_affinity;        /* nodeAffinityPolicy Ignore: nodes count that the pod does not select */
	bool honor_taints;        /* nodeTaintsPolicy Honor: nodes do not count whose taints it does not tolerate */
};

/* Terms of which one must match: the node affinity of a volume. */
struct node_terms {
	size_t count;
	struct node_term *terms;
};

/* How it started on its node; what counts, cluster/start says. */
enum pod_start { POD_START_UNKNOWN, POD_START_WELL, POD_START_FAILED };

struct pod {
	struct arena arena;
	const char *uid, *namespace_, *name;
	const char *scheduler;
	const char *node;        /* spec.nodeName or NULL */
	const char *nominated;   /* status.nominatedNodeName or NULL */
	struct resources demand; /* as kube-scheduler 1.36 counts it, with RESOURCE_PODS = 1 */
	int32_t priority;
	int64_t created_ns;      /* wall clock, 1970 */
	bool terminal;           /* phase Succeeded or Failed: counts for nothing */
	bool succeeded;          /* the first of them */
	bool rejected;           /* Failed, because its kubelet did not take it: it never ran */
	enum pod_start start;    /* of one with a node */
	int64_t start_ns;        /* when that was, by the wall clock; 0 = not said */
	int64_t restarts;        /* of its containers, in all */
	bool deleting;           /* counts until it is gone */
	bool gated;              /* has scheduling gates */
	bool gate_ours;          /* berth.dev/plan is among them */
	bool gate_other;         /* and so is another one */
	bool slow_binding;       /* has a PersistentVolumeClaim, an ephemeral volume or a resource claim: bind may come
	                            minutes after filter */
	bool no_gang;            /* berth.dev/no-gang: a single, whatever its controller is */
	int32_t grace_s;         /* terminationGracePeriodSeconds */
	bool soft_spread;        /* has preferred pod (anti-)affinity or a ScheduleAnyway constraint */
	const char *wake;        /* value of berth.dev/wake, or NULL */
	const char *decision;    /* value of berth.dev/decision, or NULL: what its Binding said */
	const char *plan;        /* value of berth.dev/plan, or NULL: where its gang was planned */
	const char *waiting;     /* value of berth.dev/waiting, or NULL: what its gang waits for */
	bool gang_whole;         /* POD_GANG_WHOLE: its gang was whole once */
	int64_t checkpoint_ns;   /* POD_CHECKPOINT, wall clock, 1970; 0 = none that can be read */
	int64_t started_ns;      /* status.startTime, wall clock, 1970; 0 = not started */
	bool runs_once;          /* restartPolicy Never */
	bool not_safe;           /* POD_SAFE_TO_EVICT "false" */
	bool do_not_disrupt;     /* POD_DO_NOT_DISRUPT, and not "false" */
	const char *ending_at;   /* POD_ENDING_AT, or NULL */
	int64_t said_runtime_ns; /* POD_RUNTIME; 0 = none that can be read */
	int64_t finished_ns;     /* of one that ended: when its last container did, wall clock; 0 = not said */
	/* What follows for reservations in time. Put there by who knows, while the policy has any. */
	int64_t runtime_ns; /* that it is expected to run in all; 0 = not known */
	bool endable; /* who has the right to it may end it: nothing protects it, and it is made anew or resumed */
	const char *unschedulable;        /* kube-scheduler's words on a pod that it found no node for, or NULL */
	const struct pod_gang *said_gang; /* what it says itself of a gang */
	const struct pod_gang *gang;      /* the same, or NULL where its object says that there is none: a single. See
	                                     pod_in_gang */

	/* What the class rules look at. */
	const char *class_name; /* berth.dev/class, or NULL */
	bool stands_in; /* for one whose words are not known, but that it was of the class and stood where it stood */
	struct labels labels;
	const char *owner_uid, *owner_name; /* the controller, or NULL */
	size_t owner_kind_count;
	const char *owner_kinds[OWNER_KINDS_MAX]; /* the chain of controllers, nearest first */
	uint32_t dtypes;                          /* berth.dev/dtype as mask; 0 = not said */
	int64_t gpu_memory_bytes;                 /* berth.dev/gpu-memory; 0 = not said */
	int64_t gang_gpus;                        /* that its gang asks for in all; 0 = not known, or no gang */
	enum reason trouble; /* REASON_CODE_FITS, or why the pod cannot be placed whatever the fleet: BAD_ANNOTATION,
	                        BAD_REQUEST */
	const char *trouble_key; /* constant text: the annotation or label that cannot be read, or NULL */

	/* Where it may go. */
	size_t node_selector_count;
	struct label *node_selector;
	bool has_required;
	size_t required_count;
	struct node_term *required; /* one must match, if has_required */
	size_t preferred_count;
	struct preferred_term *preferred;
	size_t toleration_count;
	struct toleration *tolerations;
	size_t claim_count;
	const char **claims; /* PersistentVolumeClaims, "namespace/name"; of one with a node not kept */
	size_t volume_count;
	struct node_terms *volumes; /* of its bound PersistentVolumes: each must match. Put there by who knows them */
	uint64_t volumes_known;     /* theirs: what they knew then; 0 = nothing */

	/* What it asks of other pods; of one with a node not kept. */
	size_t affinity_count, anti_affinity_count, spread_count;
	struct pod_term *affinity, *anti_affinity; /* required ones */
	struct spread_constraint *spread;
};

void pod_free(struct pod *pod);
/* Adds a kind to the chain unless it is there; `kind` must outlive the pod or be in its arena. */
void pod_add_owner_kind(struct pod *pod, const char *kind);
bool pod_has_owner_kind(const struct pod *pod, const char *kind);
/* By its own word, or because a controller of it runs gangs: it is of no use without the others. Wider than `gang`,
 * which is NULL where it is not known which one. */
bool pod_in_gang(const struct pod *pod);
/* nodeSelector, required node affinity and volumes. */
bool pod_selects(const struct pod *pod, const char *node_name, const struct labels *labels);
/* Whether `other` is one that the term means, which `pod` has. */
bool pod_term_matches(const struct pod *pod, const struct pod_term *term, const struct pod *other);
bool spread_matches(const struct pod *pod, const struct spread_constraint *constraint, const struct pod *other);

#endif
