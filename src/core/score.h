/* How good a node is that a pod fits on: the terms of policy.h, each 0..1, 1 best; a term that does not apply is 1
 * everywhere.
 *
 *   preferNoSchedule  1/(1+n) with n PreferNoSchedule taints that the pod does not tolerate
 *   nodeAffinity      share of the weights of the preferred node affinity's terms that hold
 *   modelFit          (p-i)/p with the node's pool at place i of p in the class's prefer list; 0 if it is not in it.
 *                     Where p > 4 the policy gives it p/4 times its default weight
 *   siblingsApart     1/(1+n) with n siblings in the node's domain of the class's replicas.spreadOver
 *   bestFit           1 - what stays free / allocatable, in units of the GPU resource asked for
 *   wholeNodes        0 where the pod takes a part of GPUs that are all free, or else 1
 *   memoryFit         GPU memory asked for / there, at most 1
 *   cost              1/(1+c) with c the catalogue's cost of one unit: the GPU's, its share or slice of it; 0 unknown
 *
 * GPU terms look at the first GPU resource that the pod names. For a pod without GPUs modelFit, memoryFit and cost do
 * not apply; wholeNodes is 1 where the node has no GPUs or else 0; and bestFit is the share of CPU in use before the
 * pod comes, in whole sixteenths, in the upper half of the range for nodes without GPUs and in the lower half for the
 * others. So such a pod goes where it strands no GPU, and there is a small number of different scores to look at. */
#ifndef CORE_SCORE_H
#define CORE_SCORE_H

#include "berth/decide.h"
#include "core/judge.h"

/* The pod fits on the node. */
void score_node(const struct need *need, const struct node *node, struct score *score);
/* The most that any node with this offer can reach: exact but for the terms that look at a node's taints, labels and
 * domain. */
double score_bound(const struct need *need, const struct offer *offer);

#endif
