/* Every reason that berth ever gives, in one table: callbacks, log, metrics, /v1/state and explain share its codes and
 * texts. A text is a constant without names or numbers, because kube-scheduler counts equal texts into its "0/N nodes
 * are available" line and a text that varies wakes the pod again. The order is the order of the steps that a node
 * passes: of a pod that fits nowhere, the reason furthest down is the one closest to success, and the pod's own. */
#ifndef BERTH_REASON_H
#define BERTH_REASON_H

#include <stdbool.h>

#include "berth/slice.h"

/* What somebody can do about it. */
enum reason_kind {
	REASON_OK,
	REASON_MISCONFIGURED, /* waiting will not help: the pod or the policy must change */
	REASON_NODE,          /* this node is not for this pod, or not now */
	REASON_CAPACITY,      /* room is missing; it may come */
	REASON_INTERNAL,      /* berth cannot answer yet */
};

/* X(id, "Code", kind, "text") */
#define REASON_TABLE(X)                                                                                                \
	X(FITS, "Fits", OK, "fits")                                                                                    \
	/* the pod itself */                                                                                           \
	X(CLASS_UNKNOWN, "ClassUnknown", MISCONFIGURED, "the pod names a class that the policy does not have")         \
	X(CLASS_NOT_FOR_POD, "ClassNotForPod", MISCONFIGURED, "the pod names a class whose match it does not meet")    \
	X(TOO_MANY_GPUS, "TooManyGPUs", MISCONFIGURED, "the pod asks for more GPUs than its class allows a pod")       \
	X(BAD_ANNOTATION, "BadAnnotation", MISCONFIGURED, "a berth.dev annotation of the pod cannot be read")          \
	X(BAD_REQUEST, "BadRequest", MISCONFIGURED, "the pod's resource requests cannot be read")                      \
	/* is the node there at all */                                                                                 \
	X(NODE_UNKNOWN, "NodeUnknown", NODE, "node not yet seen by berth")                                             \
	X(NODE_NOT_READY, "NodeNotReady", NODE, "node not ready")                                                      \
	X(NODE_CORDONED, "NodeCordoned", NODE, "node cordoned")                                                        \
	X(NODE_AVOIDED, "NodeAvoided", NODE, "node avoided for its health")                                            \
	X(NODE_QUARANTINED, "NodeQuarantined", NODE, "node quarantined: pods of different owners did not start there") \
	X(NODE_REPARTITIONED, "NodeRepartitioned", NODE, "node's GPUs are being cut anew (MIG)")                       \
	X(NODE_TAINTED, "NodeTainted", NODE, "node has a taint the pod does not tolerate")                             \
	X(NODE_SELECTOR, "NodeSelector", NODE, "node does not match the pod's selector or affinity")                   \
	X(DRIVER_UPGRADE, "DriverUpgrade", NODE, "GPU driver of the node is being upgraded")                           \
	X(NOT_FOR_CONTAINERS, "NotForContainers", NODE, "node gives its GPUs to virtual machines")                     \
	/* is it the right kind of node */                                                                             \
	X(GPU_NOT_THERE, "NoSuchGPU", NODE, "node does not have the kind of GPU asked for")                            \
	X(NODE_IN_TWO_POOLS, "NodeInTwoPools", NODE, "node is in two pools by its labels")                             \
	X(ONLY_FORBIDS, "OnlyForbids", NODE, "the pod's class does not allow this pool")                               \
	X(DTYPE, "DtypeUnsupported", NODE, "GPU lacks the number format needed")                                       \
	X(GPU_MEMORY, "GPUMemory", NODE, "GPU memory too small")                                                       \
	X(HELD_FOR_GANG, "HeldForGang", NODE, "node kept free for a gang that waits for room")                         \
	/* is it large enough, and is there room */                                                                    \
	X(TOO_LARGE, "TooLarge", NODE, "node too small for the pod even when empty")                                   \
	X(NO_PODS, "NoPodSlots", CAPACITY, "no pod slot free")                                                         \
	X(NO_CPU, "NoCPU", CAPACITY, "not enough free CPU")                                                            \
	X(NO_MEMORY, "NoMemory", CAPACITY, "not enough free memory")                                                   \
	X(NO_RESOURCE, "NoResource", CAPACITY, "not enough of another resource free")                                  \
	X(GPUS_UNHEALTHY, "GPUsUnhealthy", CAPACITY, "free GPUs are unhealthy")                                        \
	X(NO_GPU, "NoGPU", CAPACITY, "not enough free GPUs")                                                           \
	X(HEADROOM, "Headroom", CAPACITY, "free GPUs are kept for another class")                                      \
	X(TEAM_LIMIT, "TeamLimit", CAPACITY, "the pod's team may use no more GPUs of this pool")                       \
	/* the pod's own, worked out from its nodes */                                                                 \
	X(ONLY_UNMEETABLE, "OnlyUnmeetable", MISCONFIGURED, "the pod asks for GPUs that its class does not allow")     \
	X(NO_CANDIDATES, "NoCandidates", NODE, "no candidate node was offered")                                        \
	/* a gang's */                                                                                                 \
	X(LEVEL_MISSING, "TopologyLevelMissing", MISCONFIGURED,                                                        \
	    "no node the gang could use carries the topology level it requires")                                       \
	X(GANG_TOO_VARIED, "GangTooVaried", MISCONFIGURED, "members of the gang differ in too many ways")              \
	X(GANG_CONSTRAINTS, "GangConstraints", CAPACITY,                                                               \
	    "what members of the gang ask of one another cannot be met where there is room")                           \
	X(GANG_NO_DOMAIN, "GangNoDomain", CAPACITY, "no domain of the required level has room for the gang")           \
	X(GANG_NO_ROOM, "GangNoRoom", CAPACITY, "not enough room for the gang as a whole")                             \
	X(GANG_SIZE_UNKNOWN, "GangSizeUnknown", MISCONFIGURED, "nothing says how many members the gang has")           \
	X(GANG_INCOMPLETE, "GangIncomplete", CAPACITY, "members of the gang are missing")                              \
	X(GANG_NODE_REFUSED, "GangNodeRefused", NODE, "kube-scheduler does not take the node planned for the pod")     \
	X(GANG_GIVEN_BACK, "GangGivenBack", INTERNAL, "the gang's room was given back, and it is planned anew")        \
	X(SURPLUS_HELD_BACK, "SurplusHeldBack", CAPACITY,                                                              \
	    "the member's room, beyond its gang's quorum, is lent until a peak is over")                               \
	X(PLAN_OVERTAKEN, "PlanOvertaken", INTERNAL, "the nodes of a plan changed while it was made")                  \
	/* berth itself */                                                                                             \
	X(NOT_SYNCED, "NotSynced", INTERNAL, "berth has not read the cluster yet")                                     \
	X(NOT_ACTIVE, "NotActive", INTERNAL, "this berth may not write now, another may be active")                    \
	/* why a pod was woken, besides the above */                                                                   \
	X(WAKE_ROOM, "RoomFreed", OK, "room was freed")                                                                \
	X(WAKE_NODE, "NodeChanged", OK, "a node came or changed")                                                      \
	X(WAKE_EXPIRY, "ReservationExpired", OK, "a reservation expired")                                              \
	X(WAKE_POLICY, "PolicyChanged", OK, "the policy changed")                                                      \
	X(WAKE_GANG, "NoGang", OK, "the pod is in no gang after all")                                                  \
	X(WAKE_PLAN, "PlannedAgain", OK, "the pod has a node in its gang's plan again")                                \
	/* binds */                                                                                                    \
	X(BOUND, "Bound", OK, "bound")                                                                                 \
	X(BOUND_ELSEWHERE, "BoundElsewhere", NODE, "pod is already bound to another node")                             \
	X(POD_GONE, "PodGone", NODE, "pod is gone or was replaced by another of its name")                             \
	X(BIND_REFUSED, "BindRefused", NODE, "the API server refused the binding")                                     \
	X(BIND_FAILED, "BindFailed", INTERNAL, "the API server could not be reached for the binding")                  \
	X(STOPPING, "Stopping", INTERNAL, "berth is stopping")

enum reason {
#define X(id, code, kind, text) REASON_CODE_##id,
	REASON_TABLE(X)
#undef X
	    REASON_COUNT
};

const char *reason_code(enum reason reason);
const char *reason_text(enum reason reason);
enum reason_kind reason_kind_of(enum reason reason);
/* "ok", "misconfigured", "node", "capacity", "internal" */
const char *reason_kind_name(enum reason_kind kind);

#endif
