/* Gangs: pods that are of use only together. What one pod, or one object of the API server, says of a gang is a
 * struct gang_terms; who says what, and under which keys, is the table of cluster/gang_table.h.
 *
 * A gang is known by its dialect, namespace and name. Its terms are put together from every source that speaks of it:
 * its object (a PodGroup, a Job, …) first, then its pods, the eldest first; a term that nobody gives is taken from the
 * class. A gang whose size nobody can tell (its object cannot be read, or is not there yet) is never planned and its
 * pods are never placed as singles: GangSizeUnknown.
 *
 * All are plain views: texts and arrays belong to the arena of the pod or the object that carries them. */
#ifndef BERTH_GANG_H
#define BERTH_GANG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GANG_MEMBERS_MAX 16384
#define GANG_GROUPS_MAX 64

/* In the order of precedence: explicit references to a group first, then labels of frameworks, then what the owner
 * says. */
enum gang_dialect {
	GANG_BERTH,
	GANG_IN_TREE,
	GANG_COSCHEDULING,
	GANG_VOLCANO,
	GANG_KAI,
	GANG_KOORDINATOR,
	GANG_KUEUE,
	GANG_JOBSET,
	GANG_LWS,
	GANG_KUBEFLOW,
	GANG_RAY,
	GANG_INDEXED_JOB,
	GANG_DIALECT_COUNT
};

/* Kinds of API objects that tell a gang's size. */
enum gang_object {
	GANG_OBJECT_NONE, /* only the pods say it */
	GANG_OBJECT_POD_GROUP,
	GANG_OBJECT_WORKLOAD,
	GANG_OBJECT_COSCHEDULING_POD_GROUP,
	GANG_OBJECT_VOLCANO_POD_GROUP,
	GANG_OBJECT_KAI_POD_GROUP,
	GANG_OBJECT_JOBSET,
	GANG_OBJECT_LWS,
	GANG_OBJECT_PYTORCH_JOB,
	GANG_OBJECT_TF_JOB,
	GANG_OBJECT_XGBOOST_JOB,
	GANG_OBJECT_JAX_JOB,
	GANG_OBJECT_PADDLE_JOB,
	GANG_OBJECT_MPI_JOB,
	GANG_OBJECT_RAY_CLUSTER,
	GANG_OBJECT_JOB,
	GANG_OBJECT_COUNT
};

/* Where a gang, or a sub-group of one, is to stand: node label keys, or names of the policy's levels; NULL = not said.
 */
struct gang_place {
	const char *require, *prefer;
	const char *segment_at; /* ranks in runs of `segment`, each inside one domain of this */
	int32_t segment;        /* 0 = none */
};

struct gang_group_terms {
	const char *name;
	int32_t quorum, size; /* 0 = not said */
	int32_t part_size;    /* pods of each of its parts (a JobSet's Jobs, hosts of a Ray replica); 0 = not said */
	int32_t least;        /* members below which its elasticity does not go, whatever the quorum; 0 = not said */
	bool late;            /* is made when others run or are done: a gang of its own */
	struct gang_place place;
};

struct gang_terms {
	int32_t quorum, size; /* members without which none is of use; members expected. 0 = not said */
	bool led;             /* those beyond the quorum are made once it stands, and are of no use but together */
	bool elastic;         /* its kind bears that members beyond the quorum come and go */
	bool together;        /* it says that its members end together or not at all */
	struct gang_place place;
	size_t group_count;
	struct gang_group_terms *groups;
};

/* What a pod says of its gang; in the pod's arena. */
struct pod_gang {
	enum gang_dialect dialect;
	const char *name;        /* of the gang, in the pod's namespace and dialect */
	const char *group;       /* sub-group, or NULL */
	int32_t rank;            /* in its part, or sub-group, or gang; -1 = not said. See gang_rank */
	int32_t part;            /* which part of its sub-group; -1 = it has none */
	bool leads;              /* the others do not go on without it: a master, a head */
	enum gang_object source; /* what kind of object gives its terms … */
	const char *source_name; /* … and which one, in the pod's namespace; NULL = none */
	struct gang_terms terms; /* as far as the pod itself says */
};

struct arena;
/* A copy in the arena. */
void gang_terms_copy(struct arena *arena, const struct gang_terms *terms, struct gang_terms *copy);
bool gang_terms_same(const struct gang_terms *a, const struct gang_terms *b);
/* The sub-group of that name, or NULL. */
const struct gang_group_terms *gang_terms_group(const struct gang_terms *terms, const char *name);
/* A member's place in its sub-group, or in the gang if it is of none: counted through its parts, whose size `terms`
 * (NULL = not known) say. -1 = not known. Two members of one sub-group may say the same: nobody promises that they do
 * not. */
int32_t gang_rank(const struct pod_gang *gang, const struct gang_terms *terms);

#endif
