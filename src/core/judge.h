/* Whether a node is for a pod: the steps of reason.h, in its order, up to the first that fails. */
#ifndef CORE_JUDGE_H
#define CORE_JUDGE_H

#include "core/index.h"
#include "core/need.h"

/* What a node has to offer to the GPU resource that scores look at or, to a pod without GPUs, of CPU. The same for all
 * nodes of one bucket of the index. */
struct offer {
	const struct gpu_lane *lane; /* NULL for a pod without GPUs */
	uint16_t pool;
	bool in_two_pools;
	bool has_gpus;
	int64_t allocatable, free; /* units of the lane */
	int cpu_sixteenths;        /* free, for a pod without GPUs */
};

/* The node has a spec, and the lane where the pod asks for a GPU. */
struct offer offer_of_node(const struct need *need, const struct node *node);
struct offer offer_of_bucket(const struct need *need, const struct index_bucket *bucket);

/* The steps from GPU_NOT_THERE to GPU_MEMORY for one GPU resource; lane NULL = the node has none. */
enum reason judge_gpu(const struct need *need, const struct gpu_lane *lane, uint16_t pool, bool in_two_pools);
/* The steps before room: whether the node is for the pod at all. The need has no reason of its own. */
enum reason judge_suits(const struct need *need, const struct node *node);
/* All steps. The need has no reason of its own. */
enum reason judge_node(const struct need *need, const struct node *node);
/* The steps from TOO_LARGE on: whether the node has room. */
enum reason judge_room(const struct need *need, const struct node *node);
/* The last step: whether the pod's team may use so much of the node's pool. */
enum reason judge_team(const struct need *need, const struct node *node);
/* The first taint that keeps the pod off the node, or NULL. */
const struct taint *judge_taint(const struct pod *pod, const struct node_spec *spec);
/* Whether the pod could use the node if only it were ready, uncordoned, healthy and without taints. */
bool judge_meant_for(const struct need *need, const struct node *node);
/* Whether that would hold but for `only`. */
bool judge_only_forbids(const struct need *need, const struct node *node);

#endif
