/* A fleet beside a model of it: a flat array of entries and one of nodes, told the same and asked the same. The model
 * keeps no sums, no chains, no heap and no index; what it needs it counts anew. */
#ifndef TEST_PROPERTY_CORE_WORLD_H
#define TEST_PROPERTY_CORE_WORLD_H

#include "../unit/core/world.h"

#include "berth/team.h"
#include "engine.h"

#define PODS 20
#define NODES 9
#define POLICIES 3
#define NAME_MAX_BYTES 8

struct entry_model {
	bool there;
	int node;
	enum ledger_state state;
	bool ours, pinned;
	int64_t since_ns, ttl_ns, expires_ns;
};

/* What differs from spec_random(seed). */
enum node_flag { RELABELLED = 1, TAINTED = 2, SHRUNK = 4, CORDONED = 8, UNREADY = 16, SICK = 32, GROWN = 64 };
#define NODE_FLAGS 7

struct node_model {
	bool known;
	uint32_t seed, flags;
	const struct node_spec *spec; /* what the fleet was given last */
};

struct core_world {
	struct fleet *fleet;
	struct waiting *waiting;
	struct policy *policies[POLICIES]; /* the first is NULL: none set */
	int policy, node_room;             /* node_room: how many of the names are ever nodes */
	int64_t now_ns;
	uint64_t steps;
	char pod_names[PODS][NAME_MAX_BYTES], node_names[NODES][NAME_MAX_BYTES];
	uint32_t pod_seeds[PODS];
	struct pod *pods[PODS];
	struct entry_model entries[PODS]; /* of the pod of that number */
	struct node_model nodes[NODES];
};

/* What is to be counted beside the ledger, or left out of it. */
struct beside {
	bool gone[PODS]; /* entries that are taken as gone */
	bool held[PODS]; /* pods that have a turn */
	int turn[PODS];  /* on this node */
};

#define WITH_TEAMS 2 /* the policy that has some */
#define CORE_TEAMS 4
#define CORE_NAMESPACES 4
extern const struct core_team {
	struct policy_team team;
	int64_t guaranteed[MODELS], limit[MODELS];
} core_teams[CORE_TEAMS];
extern const char *const core_namespaces[CORE_NAMESPACES];
/* Thousandths of a GPU that the team uses in the pool, those below it included, but for one pod. */
int64_t brute_team_used(
    const struct core_world *w, int team, uint16_t pool, const char *but, const struct beside *beside);
/* By the model of its GPUs. */
uint16_t brute_pool(const struct core_world *w, const struct node_spec *spec);

struct node_spec *core_spec(const struct core_world *w, struct fleet *fleet, int node);
void core_names(struct fleet *fleet);

/* Whether the pod fits on the node, by the words of the rules and no code of the core's but the label matchers.
 * `beside` may be NULL. */
bool brute_fits(const struct core_world *w, const struct pod *pod, int node, const struct beside *beside);
bool brute_expires(const struct entry_model *entry);
/* What the entries of the node use of a resource. */
int64_t brute_used(const struct core_world *w, int node, resource_id id, const char *but, const struct beside *beside);
/* Class of the pod under the policy in force; NULL = it may not have the one that it names, or there is no policy. */
const char *brute_class(const struct core_world *w, const struct pod *pod);

int pod_number(const struct core_world *w, const char *uid);
int node_number(const struct core_world *w, const char *name);

void check_ledger(struct core_world *w);
void check_nodes(struct core_world *w);
void check_index(const struct fleet *fleet);
void check_waiting(struct core_world *w);
/* The fleet's decision for the pod is the one over all nodes; each verdict is that of brute_fits; a fleet made anew
 * from the model decides the same. */
void check_decisions(struct core_world *w, const struct fleet *rebuilt, const struct pod *pod);
/* The same nodes and entries, put in another order. */
struct fleet *core_rebuild(const struct core_world *w);

#endif
