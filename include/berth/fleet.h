/* The fleet: all nodes, the ledger on them, and the indexes that make a decision over all of them cheap. One owner (a
 * daemon's loop, a simulator, a test) changes it through fleet_* and ledger_* only; nothing here does I/O or reads a
 * clock.
 *
 * Two fleets that hold the same nodes, policy and ledger entries decide alike, in whatever order they came to hold
 * them. */
#ifndef BERTH_FLEET_H
#define BERTH_FLEET_H

#include "berth/headroom.h"
#include "berth/hold.h"
#include "berth/ledger.h"
#include "berth/map.h"
#include "berth/node.h"
#include "berth/policy.h"
#include "berth/resources.h"
#include "berth/signal.h"

struct index; /* core/index.h */
struct teams; /* core/teams_internal.h */

struct fleet {
	struct resource_names names;
	const struct gpu_catalogue *catalogue; /* not owned */
	const struct policy *policy;           /* not owned; NULL until set */
	struct map nodes;                      /* name → struct node */
	struct ledger ledger;
	struct index *index;
	struct teams *teams; /* NULL while the policy has none */
	struct node *improved;
	uint64_t improvements; /* counts them */
	struct node_hold holds[HOLDS_MAX];
	struct headroom_window windows[POLICY_HEADROOMS_MAX];
	struct signal_follow follows[POLICY_HEADROOMS_MAX];
	struct headroom_hold *headroom;
	bool headroom_due;
	uint64_t node_changes;   /* goes up with each node that comes, changes or goes */
	uint64_t policy_version; /* goes up with each fleet_set_policy */
};

struct fleet *fleet_new(const struct gpu_catalogue *catalogue);
void fleet_free(struct fleet *fleet);

/* Puts another policy in force: O(nodes), the topology built anew. All nodes count as improved. The old one may be
 * freed afterwards. */
void fleet_set_policy(struct fleet *fleet, const struct policy *policy);
/* Adds the node or replaces what is known of it; takes the spec over. */
struct node *fleet_put_node(struct fleet *fleet, struct node_spec *spec);
/* Whether the node takes new pods at all, for a reason that neither its object nor the policy tells: see
 * berth/quarantine.h. It stays so whatever its object says, until the node is removed. */
void fleet_quarantine(struct fleet *fleet, struct node *node, bool quarantined);
/* The same for a node whose GPUs are being cut anew: see berth/repartition.h. */
void fleet_repartition(struct fleet *fleet, struct node *node, bool repartitioned);
/* Forgets the node; its ledger entries stay (their pods exist until the API server says otherwise) on a node without
 * spec. */
void fleet_remove_node(struct fleet *fleet, struct slice name);
/* The node of that name, with or without spec, or NULL. */
struct node *fleet_find(const struct fleet *fleet, struct slice name);
size_t fleet_node_count(const struct fleet *fleet); /* with spec */

/* Nodes that changed in a pod's favour since the last call, in a chain by next_improved; the chain is the caller's
 * until it calls anything else of the fleet. */
struct node *fleet_take_improved(struct fleet *fleet);

#endif
