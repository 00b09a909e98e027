/* The one table of gang dialects: where a pod names its gang and what else it says of it, which kinds of API objects
 * tell a gang's size, and where in them it stands. Decoding, the watches, the documentation (README.md, compared by a
 * test) and the generated admission policy all read it. */
#ifndef CLUSTER_GANG_TABLE_H
#define CLUSTER_GANG_TABLE_H

#include "berth/gang.h"
#include "berth/slice.h"

/* What a word on a pod means. */
enum gang_role {
	GANG_ROLE_OUT,        /* "no gang", whatever its value is but "false" */
	GANG_ROLE_NAME,       /* the gang's name, or that of its object */
	GANG_ROLE_NAME_MORE,  /* the gang's name goes on with it: one of several gangs of one object */
	GANG_ROLE_SERVES,     /* the group's pods come and go, each by itself: says "true" where it is no gang */
	GANG_ROLE_SIZE,       /* members */
	GANG_ROLE_QUORUM,     /* members without which none is of use */
	GANG_ROLE_LEADS,      /* the others are made only when the first runs: a quorum of 1 */
	GANG_ROLE_LATE,       /* says "launcher" of a pod that is made late and does not count */
	GANG_ROLE_GROUP,      /* the sub-group's name */
	GANG_ROLE_PART,       /* which part of its sub-group, a number */
	GANG_ROLE_RANK,       /* a number */
	GANG_ROLE_RANK_LABEL, /* the label that holds the rank */
	GANG_ROLE_REQUIRE,    /* the members are in one domain of this */
	GANG_ROLE_PREFER,
	GANG_ROLE_SEGMENT,    /* so many by rank … */
	GANG_ROLE_SEGMENT_AT, /* … are in one domain of this */
	GANG_ROLE_COUNT
};

enum gang_scope {
	GANG_SCOPE_OWN,   /* means something only beside its own dialect's name */
	GANG_SCOPE_ANY,   /* in every dialect */
	GANG_SCOPE_GROUP, /* in every dialect, of the sub-group where the pod has one */
};

/* Fields of a pod's spec: X(id, path, dialect, role, object) */
#define GANG_FIELDS(X)                                                                                                 \
	X(POD_GROUP, "spec.schedulingGroup.podGroupName", IN_TREE, NAME, POD_GROUP)                                    \
	X(WORKLOAD, "spec.workloadRef.name", IN_TREE, NAME, WORKLOAD)                                                  \
	X(WORKLOAD_GROUP, "spec.workloadRef.podGroup", IN_TREE, GROUP, NONE)                                           \
	X(WORKLOAD_REPLICA, "spec.workloadRef.podGroupReplicaKey", IN_TREE, NAME_MORE, NONE)

/* Keys, read as annotation and as label; the annotation counts first. In the order of precedence.
 * X(key, dialect, role, scope, object); the object of a NAME is what tells its size. */
#define GANG_KEYS(X)                                                                                                   \
	X("berth.dev/no-gang", BERTH, OUT, ANY, NONE)                                                                  \
	X("berth.dev/gang", BERTH, NAME, OWN, NONE)                                                                    \
	X("berth.dev/gang-size", BERTH, SIZE, OWN, NONE)                                                               \
	X("berth.dev/rank", BERTH, RANK, ANY, NONE)                                                                    \
	X("scheduling.x-k8s.io/pod-group", COSCHEDULING, NAME, OWN, COSCHEDULING_POD_GROUP)                            \
	X("pod-group.scheduling.sigs.k8s.io/name", COSCHEDULING, NAME, OWN, COSCHEDULING_POD_GROUP)                    \
	X("pod-group.scheduling.sigs.k8s.io", COSCHEDULING, NAME, OWN, COSCHEDULING_POD_GROUP)                         \
	X("pod-group.scheduling.sigs.k8s.io/min-available", COSCHEDULING, QUORUM, OWN, NONE)                           \
	X("scheduling.k8s.io/group-name", VOLCANO, NAME, OWN, VOLCANO_POD_GROUP)                                       \
	X("scheduling.volcano.sh/group-name", VOLCANO, NAME, OWN, VOLCANO_POD_GROUP)                                   \
	X("scheduling.volcano.sh/group-min-member", VOLCANO, QUORUM, OWN, NONE)                                        \
	X("volcano.sh/task-spec", VOLCANO, GROUP, OWN, NONE)                                                           \
	X("volcano.sh/task-index", VOLCANO, RANK, OWN, NONE)                                                           \
	X("pod-group-name", KAI, NAME, OWN, KAI_POD_GROUP)                                                             \
	X("kai.scheduler/subgroup-name", KAI, GROUP, OWN, NONE)                                                        \
	X("kai.scheduler/batch-min-member", KAI, QUORUM, OWN, NONE)                                                    \
	X("kai.scheduler/topology-required-placement", KAI, REQUIRE, ANY, NONE)                                        \
	X("kai.scheduler/topology-preferred-placement", KAI, PREFER, ANY, NONE)                                        \
	X("kai.scheduler/segment-size", KAI, SEGMENT, ANY, NONE)                                                       \
	X("kai.scheduler/segment-topology-required-placement", KAI, SEGMENT_AT, ANY, NONE)                             \
	X("gang.scheduling.koordinator.sh/name", KOORDINATOR, NAME, OWN, NONE)                                         \
	X("gang.scheduling.koordinator.sh/total-number", KOORDINATOR, SIZE, OWN, NONE)                                 \
	X("gang.scheduling.koordinator.sh/min-available", KOORDINATOR, QUORUM, OWN, NONE)                              \
	X("gang.scheduling.koordinator.sh/network-topology-index", KOORDINATOR, RANK, OWN, NONE)                       \
	X("kueue.x-k8s.io/pod-group-name", KUEUE, NAME, OWN, NONE)                                                     \
	X("kueue.x-k8s.io/pod-group-serving", KUEUE, SERVES, OWN, NONE)                                                \
	X("kueue.x-k8s.io/pod-group-total-count", KUEUE, SIZE, OWN, NONE)                                              \
	X("kueue.x-k8s.io/pod-group-pod-index", KUEUE, RANK, OWN, NONE)                                                \
	X("kueue.x-k8s.io/pod-group-pod-index-label", KUEUE, RANK_LABEL, OWN, NONE)                                    \
	X("kueue.x-k8s.io/podset-required-topology", KUEUE, REQUIRE, GROUP, NONE)                                      \
	X("kueue.x-k8s.io/podset-preferred-topology", KUEUE, PREFER, GROUP, NONE)                                      \
	X("kueue.x-k8s.io/podset-slice-size", KUEUE, SEGMENT, GROUP, NONE)                                             \
	X("kueue.x-k8s.io/podset-slice-required-topology", KUEUE, SEGMENT_AT, GROUP, NONE)                             \
	X("jobset.sigs.k8s.io/jobset-name", JOBSET, NAME, OWN, JOBSET)                                                 \
	X("jobset.sigs.k8s.io/replicatedjob-name", JOBSET, GROUP, OWN, NONE)                                           \
	X("jobset.sigs.k8s.io/job-index", JOBSET, PART, OWN, NONE)                                                     \
	X("leaderworkerset.sigs.k8s.io/name", LWS, NAME, OWN, LWS)                                                     \
	X("leaderworkerset.sigs.k8s.io/group-index", LWS, NAME_MORE, OWN, NONE)                                        \
	X("leaderworkerset.sigs.k8s.io/size", LWS, SIZE, OWN, NONE)                                                    \
	X("leaderworkerset.sigs.k8s.io/exclusive-topology", LWS, LEADS, OWN, NONE)                                     \
	X("leaderworkerset.sigs.k8s.io/worker-index", LWS, RANK, ANY, NONE)                                            \
	X("training.kubeflow.org/job-name", KUBEFLOW, NAME, OWN, NONE)                                                 \
	X("training.kubeflow.org/job-role", KUBEFLOW, LATE, OWN, NONE)                                                 \
	X("training.kubeflow.org/replica-type", KUBEFLOW, GROUP, OWN, NONE)                                            \
	X("training.kubeflow.org/replica-index", KUBEFLOW, RANK, ANY, NONE)                                            \
	X("ray.io/cluster", RAY, NAME, OWN, RAY_CLUSTER)                                                               \
	X("ray.io/group", RAY, GROUP, OWN, NONE)                                                                       \
	X("ray.io/worker-group-replica-index", RAY, PART, OWN, NONE)                                                   \
	X("ray.io/replica-host-index", RAY, RANK, OWN, NONE)                                                           \
	X("batch.kubernetes.io/job-name", INDEXED_JOB, NAME, OWN, JOB)                                                 \
	X("batch.kubernetes.io/job-completion-index", INDEXED_JOB, RANK, ANY, NONE)                                    \
	X("apps.kubernetes.io/pod-index", INDEXED_JOB, RANK, ANY, NONE)

enum gang_word_id {
#define X(id, path, dialect, role, object) GANG_FIELD_##id,
	GANG_FIELDS(X)
#undef X
	    GANG_FIELD_COUNT,
	GANG_WORD_MAX = 64
};

struct gang_word {
	const char *text;
	enum gang_dialect dialect;
	enum gang_role role;
	enum gang_scope scope;
	enum gang_object object;
};

extern const struct gang_word gang_word_rows[];
extern const size_t gang_word_count;

/* The word that is a key of annotations and labels, or -1. Quick for keys that are none. */
int gang_word_of(struct slice key);

struct gang_dialect_row {
	const char *name;
	/* The kind of controller that a member has, beside the kinds of its dialect's objects; a label copied elsewhere
	 * says nothing. NULL: those kinds alone, or any of a `reference`. A pod without a controller is a member, too.
	 */
	const char *controller;
	bool reference; /* names a group, and need not be of any controller: its members may be numbered by name */
	bool visible;   /* an admission policy sees from the pod alone that it is of a gang */
	bool spares;    /* a quorum below what is there means members that it can do without */
};

extern const struct gang_dialect_row gang_dialect_rows[GANG_DIALECT_COUNT];

struct gang_object_row {
	enum gang_dialect dialect;
	const char *kind, *plural;
	const char *apis[3]; /* "group/version"; of several that the API server has, the first */
};

extern const struct gang_object_row gang_object_rows[GANG_OBJECT_COUNT];
/* The dialect's object of that kind, or NONE. */
enum gang_object gang_object_of_kind(enum gang_dialect dialect, const char *kind);

/* What stands at a path of an object. Numbers first, then texts, then what is there or true. */
enum gang_value {
	GANG_VALUE_QUORUM,
	GANG_VALUE_SIZE,
	GANG_VALUE_REPLICAS,
	GANG_VALUE_MIN_REPLICAS,
	GANG_VALUE_MAX_REPLICAS,
	GANG_VALUE_HOSTS,
	GANG_VALUE_PARALLELISM,
	GANG_VALUE_COMPLETIONS,
	GANG_VALUE_TIER,
	GANG_VALUE_SEGMENT,
	GANG_NUMBER_COUNT,
	GANG_VALUE_NAME = GANG_NUMBER_COUNT,
	GANG_VALUE_NAMESPACE,
	GANG_VALUE_REQUIRE,
	GANG_VALUE_PREFER,
	GANG_VALUE_MODE,
	GANG_VALUE_TIER_NAME,
	GANG_VALUE_PARENT,
	GANG_VALUE_EXCLUSIVE, /* a job's pods are made once its first is bound, … */
	GANG_VALUE_SELECTED,  /* … but where they are told their nodes beforehand */
	GANG_TEXT_END,
	GANG_VALUE_SUSPEND = GANG_TEXT_END,
	GANG_VALUE_ELASTIC,
	GANG_VALUE_SINGLE,
	GANG_VALUE_DEPENDS,
	GANG_VALUE_TOGETHER,
	GANG_VALUE_COUNT
};

struct gang_path {
	enum gang_object object; /* GANG_OBJECT_NONE: of every kind */
	const char *path;        /* "#": the elements of an array; "[]": the same, each a sub-group; ".*": any key, each
	                            a sub-group of that name; "@": a key as it stands, whatever is in it */
	enum gang_value value;
};

extern const struct gang_path gang_path_rows[];
extern const size_t gang_path_count;

#endif
