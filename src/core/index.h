/* Where the nodes of a fleet stand, for decisions that must not walk them all.
 *
 * Each placeable node has a slot per GPU lane and one for CPU. Slots that no term or rule on hardware can tell apart
 * are of one shape, and of one shape with the same amount free they lie in one bucket, in the order of the nodes'
 * names. So a bucket is judged once for all its nodes, and which node of a bucket comes first does not depend on
 * history.
 *
 * A node is placeable while it has a spec, is ready, not avoided and not quarantined: no pod goes to any other. */
#ifndef CORE_INDEX_H
#define CORE_INDEX_H

#include "berth/node.h"
#include "core/topology.h"
#include "core/treap.h"

struct index_bucket {
	struct index_shape *shape;
	int64_t key;          /* GPU lanes: units free. CPU: index_cpu_key */
	struct treap by_name; /* of node_slot.link */
};

struct index_shape {
	resource_id resource;
	uint16_t pool;
	bool in_two_pools;
	bool has_gpus;
	struct gpu_lane lane; /* zero but for the resource in the CPU shapes */
	int64_t allocatable;  /* of the lane's resource; 0 in the CPU shapes */
	size_t bucket_count, bucket_room;
	struct index_bucket **buckets; /* by key, ascending; none is empty */
};

struct index_lane {
	resource_id resource;
	size_t shape_count, shape_room;
	struct index_shape **shapes; /* none is empty */
};

struct node_slot {
	struct treap_node link;
	struct node *node;
	struct index_shape *shape; /* NULL while the node is not placeable */
	struct index_bucket *bucket;
};

struct index {
	size_t lane_count, lane_room;
	struct index_lane *lanes; /* by resource; RESOURCE_CPU stands for pods without GPUs */
	size_t node_count;        /* with spec */
	struct topology topology; /* of the nodes with spec */
};

struct index *index_new(void);
void index_free(struct index *index);

/* The node has a spec; its pool, domains and used are set. Once in, it must be taken out before any but `used` changes.
 */
void index_put(struct index *index, struct node *node);
void index_take(struct index *index, struct node *node);
/* What is used on the node changed. O(log n), and O(1) while its buckets stay the same. */
void index_update(struct node *node);

const struct index_lane *index_find(const struct index *index, resource_id resource);

/* A CPU bucket's key: how full the node is, in sixteenths, and how much is free, in steps of at most an eighth. */
int64_t index_cpu_key(int64_t free, int64_t allocatable);
/* Sixteenths of the allocatable CPU that are free, rounded down: 0..16. */
int index_cpu_sixteenths(int64_t free, int64_t allocatable);
int index_cpu_key_sixteenths(int64_t key);
/* The most that can be free in a bucket of this key, in milli-CPU. */
int64_t index_cpu_key_most(int64_t key);

#endif
