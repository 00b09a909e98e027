/* A node's accelerators: what one unit of each resource gives, worked out from the node's labels and the catalogue. */
#ifndef CLUSTER_LANES_H
#define CLUSTER_LANES_H

#include "berth/gpu.h"
#include "berth/node.h"

/* Fills in lanes, model, gpu_count and mixed_models of a spec whose labels, capacity and allocatable are there.
 *
 * What GPU feature discovery's labels mean (its README differs; this is what its code prints):
 *   gpu.product   X; X-SHARED when shared under the old resource name; X-MIG-1g.10gb in MIG's single strategy, where
 *                 nvidia.com/gpu counts instances; X-MIG-INVALID when that strategy finds GPUs that differ
 *   gpu.count     GPUs, MIG-enabled ones included; instances in the single strategy
 *   gpu.replicas  units per GPU: 1 unshared, 0 for MIG-enabled or invalid GPUs
 *   gpu.memory    MiB of a GPU, or of an instance in the single strategy; never divided by replicas
 *   gpu.sharing-strategy  mps: the server gives each client 1/replicas of the memory; time-slicing: no limit
 * A node with two models prints the labels of only one of them: capacity above count x replicas gives it away. Capacity
 * below it does not: MIG-enabled GPUs are counted, but are not in nvidia.com/gpu. */
void lanes_read(struct node_spec *spec, const struct resource_names *names, const struct gpu_catalogue *catalogue);

#endif
