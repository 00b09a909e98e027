/* Gangs: pods that are of use only together. What one pod, or one object of the API server, says of a gang is a
 * struct gang_terms; what berth knows of all of them is a struct gangs.
 *
 * A gang is known by its dialect, namespace and name. Its terms are put together from every source that speaks of it:
 * its object (a PodGroup, a Job, …) first, then its pods, the eldest first; a term that nobody gives is taken from the
 * class. A gang whose size nobody can tell (its object cannot be read, or is not there yet) is never planned and its
 * pods are never placed as singles: GangSizeUnknown. */
#ifndef BERTH_GANG_H
#define BERTH_GANG_H

#include <stdbool.h>
#include <stdint.h>

#include "berth/arena.h"
#include "berth/slice.h"

#define GANG_MEMBERS_MAX 16384
#define GANG_GROUPS_MAX 64

/* X(id, "name", "where it is written", object kind that gives its size or NULL) – one row a dialect; order = precedence:
 * explicit references to a group first, then labels of frameworks, then what the owner says. */
enum gang_dialect {
	GANG_BERTH,       /* berth.dev/gang, /gang-size, /rank */
	GANG_IN_TREE,     /* spec.schedulingGroup.podGroupName; PodGroup scheduling.k8s.io */
	GANG_COSCHEDULING,/* scheduling.x-k8s.io/pod-group; PodGroup scheduling.x-k8s.io */
	GANG_VOLCANO,     /* scheduling.k8s.io/group-name, scheduling.volcano.sh/group-name */
	GANG_KAI,         /* pod-group-name */
	GANG_KOORDINATOR,
	GANG_KUEUE,       /* kueue.x-k8s.io/pod-group-name + pod-group-total-count */
	GANG_JOBSET, GANG_LWS, GANG_KUBEFLOW, GANG_RAY, GANG_INDEXED_JOB,
	GANG_DIALECT_COUNT
};

/* Where a gang, or a sub-group of one, is to stand: node label keys, or names of the policy's levels; NULL = not said. */
struct gang_place {
	const char *require, *prefer;
	const char *segment_at; /* ranks in runs of `segment`, each inside one domain of this */
	int32_t segment;        /* 0 = none */
};

struct gang_group_terms {
	const char *name;
	int32_t quorum, size; /* 0 = not said */
	struct gang_place place;
};

struct gang_terms {
	int32_t quorum, size; /* members without which none is of use; members expected. 0 = not said */
	struct gang_place place;
	size_t group_count;
	struct gang_group_terms *groups;
};

/* What a pod says of its gang; in the pod's arena. */
struct pod_gang {
	enum gang_dialect dialect;
	const char *name;  /* of the gang, in the pod's namespace and dialect */
	const char *group; /* sub-group, or NULL */
	int32_t rank;      /* -1 = not said; unique inside the gang when all say it */
	struct gang_terms terms; /* as far as the pod itself says */
};
#endif
