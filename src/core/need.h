/* What one decision looks up again and again: the pod's class and what it asks of GPUs, worked out once. Valid while
 * neither pod nor fleet changes. */
#ifndef CORE_NEED_H
#define CORE_NEED_H

#include "berth/fleet.h"
#include "berth/pod.h"
#include "core/topology.h"

struct teams_gone; /* core/teams_internal */

struct need {
	const struct fleet *fleet;
	const struct pod *pod;
	enum reason reason;                /* FITS, or why the pod cannot be placed whatever the node */
	const struct policy_class *class_; /* NULL while no policy is set, or with a reason */
	const struct policy_class
	    *matched; /* the class that the pod's match puts it in; its `only` and `max*` hold, too */
	double weights[SCORE_TERM_COUNT];
	size_t gpu_count;                                      /* GPU resources asked for; 0 = a pod without GPUs */
	struct resource_amount gpus[RESOURCES_PER_OBJECT_MAX]; /* the first is the one that scores look at */
	uint32_t dtypes;                                       /* needed */
	int64_t memory_mib;                                    /* asked for, per GPU; 0 = not said */
	int64_t memory_least_mib;                              /* taken as enough */
	int64_t preferred_weight;       /* sum over the preferred affinity's terms that can match */
	const struct ledger_entry *own; /* the pod's own entry, which does not stand in its way, or NULL */
	uint32_t headroom;              /* rules whose holds the pod may use, a bit each */
	const struct teams_gone *gone;  /* entries that its team is not to be charged for, or NULL */
	uint16_t team;                  /* TEAM_NONE for a pod without GPUs, too */
	uint8_t held_against;           /* holds that keep the pod off their nodes */
	bool spreads;                   /* siblings apart counts */
	struct siblings siblings;
};

void need_init(struct need *need, const struct fleet *fleet, const struct pod *pod);
void need_free(struct need *need);

/* Units of the demand that count as GPUs. */
int64_t need_gpu_units(const struct fleet *fleet, const struct resources *demand);
/* Whether the pod's own entry stands on this node. */
bool need_own_node(const struct need *need, const struct node *node);
/* Whether room is held on the node that the pod may use: its bucket in the index does not say so. */
bool need_headroom_on(const struct need *need, const struct node *node);
/* max(0, allocatable - used), what is held for it and the pod's own entry not counted. */
int64_t need_free_on(const struct need *need, const struct node *node, resource_id id);
/* Whether the class rules let the pod use GPUs of this pool. */
bool need_pool_allowed(const struct need *need, uint16_t pool);

#endif
