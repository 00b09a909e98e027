/* GPU nodes as the device plugin, GPU feature discovery and the fabric labeller leave them on a Node object. */
#ifndef SIM_NODES_H
#define SIM_NODES_H

#include <jansson.h>

#include "sim/store.h"

struct sim_node_kind {
	const char *product, *family, *machine; /* nvidia.com/gpu.* */
	int64_t memory_mib, gpus;
	int64_t compute_major, compute_minor;
	const char *cpu, *ram;                       /* quantities */
	const char *mig_profile;                     /* "3g.40gb": mixed strategy; NULL = none */
	int64_t mig_memory_mib, mig_count, mig_gpus; /* instances, on so many of the GPUs */
};

/* A Node object with about 30 labels. The caller owns it. */
json_t *sim_node_object(const struct sim_node_kind *kind, const char *name, const char *block, const char *rack);
/* How many GPUs the node can allocate now; capacity stays (what an unhealthy device does to a real node). */
void sim_node_set_gpus(json_t *node, int64_t healthy);

/* A large fleet for benchmarks: `nodes` 8-GPU nodes, H100 seven of eight, A100 the rest, and `pods` running pods: one
 * GPU each as long as there are any, then none. Deterministic. */
BERTH_MUST_CHECK int sim_nodes_synthetic(struct sim_store *store, size_t nodes, size_t pods, struct err *err);

#endif
