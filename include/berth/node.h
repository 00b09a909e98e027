/* A node: what the API server says of it (struct node_spec, decoded by cluster/node, never changed afterwards) and what
 * the fleet keeps about it (struct node, changed only by fleet and ledger). */
#ifndef BERTH_NODE_H
#define BERTH_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "berth/arena.h"
#include "berth/gpu.h"
#include "berth/labels.h"
#include "berth/reason.h"
#include "berth/resources.h"

/* What one unit of an accelerator resource on this node gives a pod. */
struct gpu_lane {
	resource_id resource;
	enum gpu_unit unit;
	uint16_t replicas;  /* units that make one GPU; 1 unless shared. Of a slice: 1 */
	int64_t memory_mib; /* of what one unit gives: the GPU, the whole GPU for a share, the instance for a slice; 0
	                       unknown */
	bool memory_split;  /* each of the replicas has its part of the memory, and memory_mib is that part (MPS) */
	uint32_t dtypes;    /* proven by the catalogue or by labels */
	const struct gpu_model *model;     /* NULL unknown, or unreliable because the node mixes models */
	const struct gpu_profile *profile; /* slices only; NULL unknown */
};

/* An annotation, RFC 3339: what failed to start on the node before then speaks against it no more. */
#define NODE_RELEASED "berth.dev/quarantine-released"

struct node_condition {
	const char *type, *status;
};

/* NVIDIA's operator upgrades drivers node by node: all are due at once and keep working until it is their turn. */
enum node_upgrade { UPGRADE_NONE, UPGRADE_DUE, UPGRADE_UNDER_WAY };

struct node_spec {
	struct arena arena; /* owns all below and the spec itself */
	const char *name;
	struct labels labels;
	size_t taint_count;
	struct taint *taints;
	size_t condition_count;
	struct node_condition *conditions;
	bool ready, unschedulable;
	struct resources allocatable, capacity;
	size_t lane_count;
	struct gpu_lane *lanes;        /* one per accelerator resource in capacity or allocatable, sorted by resource */
	const struct gpu_model *model; /* of the node's GPUs; NULL unknown or mixed */
	uint32_t gpu_count;            /* physical GPUs; 0 unknown or none */
	bool mixed_models;
	enum node_upgrade upgrade; /* of the GPU driver */
	bool for_machines;         /* its GPUs are for virtual machines */
	int64_t released_ns;       /* NODE_RELEASED: wall clock; 0 = not said */
	const char *repartition;   /* the annotation that berth/repartition.h keeps its record in, or NULL */
};

void node_spec_free(struct node_spec *spec);
const struct gpu_lane *node_spec_lane(const struct node_spec *spec, resource_id resource);

#define MILLI_GPU 1000

/* One physical GPU. Kept only where identity is real: with a stock device plugin that is a node with a single GPU;
 * elsewhere the ledger holds counts, and which GPU a pod gets is kubelet's choice. */
struct device {
	int32_t milli_used; /* of MILLI_GPU */
	int32_t vram_mib, vram_used_mib;
	uint8_t slices, slices_used; /* masks of MIG memory slices: there, and known to be taken */
};

#define TOPOLOGY_LEVELS_MAX 8
#define POOL_NONE UINT16_MAX

struct node_slot;       /* core/index: where the node stands in the fleet's indexes */
struct topology_domain; /* berth/topology.h */
struct ledger_entry;
struct headroom_hold; /* berth/headroom.h */

struct node {
	const char *name;       /* the node's own copy */
	struct node_spec *spec; /* NULL: pods stand on it, but the node itself is not, or no longer, known */
	struct resources used;  /* what the ledger holds on it, all states; only ids that were ever used */
	size_t used_room;
	struct device *devices; /* device_count of them, or NULL */
	size_t device_count;
	uint16_t pool; /* index into the policy's pools, or POOL_NONE */
	bool in_two_pools;
	bool avoided;                              /* by a health rule of the policy */
	bool quarantined;                          /* see fleet_quarantine */
	bool repartitioned;                        /* its GPUs are being cut anew, see fleet_repartition */
	uint8_t held;                              /* for whom, a bit each: see berth/hold.h */
	struct headroom_hold *headroom;            /* what is kept here for a class, or NULL */
	bool foreign_gpus;                         /* a bound pod of another scheduler holds GPUs here */
	struct slice domains[TOPOLOGY_LEVELS_MAX]; /* of label values, widest level first; at NULL = not labelled */
	struct topology_domain *domain;            /* the narrowest it is in; NULL without spec */
	struct ledger_entry *entries;              /* all entries on this node, newest first */
	size_t entry_count;
	struct node_slot *slots; /* one per lane, plus the CPU slot */
	size_t slot_count;
	uint32_t mark; /* the caller's: the list in which the node was last seen */
	uint32_t call; /* the caller's: the last call that offered it */
	bool improved; /* since fleet_take_improved: something changed in a pod's favour */
	struct node *next_improved, **improved_link;
	uint64_t improved_at; /* number of its latest improvement among all of the fleet */
};

/* It takes no new pods for a reason that neither its object nor the policy tells. */
static inline bool node_is_shut(const struct node *node)
{
	return node->quarantined || node->repartitioned;
}
/* max(0, allocatable - used); 0 for a node without spec. */
int64_t node_free(const struct node *node, resource_id id);
int64_t node_used(const struct node *node, resource_id id);
int64_t node_allocatable(const struct node *node, resource_id id);

#endif
