/* Why a pod fits on none of some nodes, in numbers: the node that came furthest and what it lacks, and what stands free
 * elsewhere. Made for explaining, after a decision over the same nodes; it changes nothing and costs about as much as
 * the decision. */
#ifndef BERTH_SHORTAGE_H
#define BERTH_SHORTAGE_H

#include "berth/decide.h"

/* One resource of which a node has not enough. */
struct lack {
	resource_id resource;
	int64_t asked, free, allocatable;
	int64_t unhealthy; /* GPUs: what left allocatable and stays in capacity */
};

struct shortage {
	/* The node at the latest step; of several the one that lacks fewest resources, then least of them, then by
	 * name. NULL when the pod's own words rule out every node, or there is none. */
	struct node *nearest;
	enum reason verdict; /* of that node */
	size_t lack_count;
	struct lack lacks[RESOURCES_PER_OBJECT_MAX];
	const struct taint *taint;                  /* the first that the pod does not tolerate there, or NULL */
	int64_t memory_asked_mib, memory_there_mib; /* with verdict GPU_MEMORY; there: 0 unknown */
	uint32_t dtypes_asked, dtypes_there;        /* with verdict DTYPE */
	size_t with_room[REASON_COUNT];             /* of the nodes stopped before room was looked at, by where: those
	                                               that have the kind of GPU and the room */
	bool asks_gpus;                             /* what follows is of the first kind of GPU that the pod asks for */
	resource_id gpu;
	int64_t gpus_asked;
	int64_t gpus_largest;            /* on the largest of the nodes stopped by room, in use or not */
	int64_t gpus_free, gpus_most;    /* free in total and on one node, of those large enough */
	int64_t units_asked, units_most; /* GPUs of all kinds, and what the class allows; 0 = no limit */
};

/* `verdicts` are the nodes', as decide_among gave them. */
void shortage_among(const struct fleet *fleet, const struct pod *pod, struct node *const *nodes, size_t count,
    const enum reason *verdicts, struct shortage *shortage);

#endif
