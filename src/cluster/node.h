/* A v1.Node's JSON → struct node_spec, GPU labels read with their traps (GFD's count, replicas, memory, -SHARED,
 * -MIG-…, mixed models; AMD's and Intel's own labels; the catalogue where labels are silent). */
#ifndef CLUSTER_NODE_H
#define CLUSTER_NODE_H

#include "base/err.h"
#include "berth/gpu.h"
#include "berth/node.h"
#include "berth/resources.h"

/* NULL for text that is no node. The spec is freed with node_spec_free, unless a fleet takes it over. */
BERTH_MUST_CHECK struct node_spec *cluster_node_decode(
    struct slice json, struct resource_names *names, const struct gpu_catalogue *catalogue, struct err *err);

#endif
