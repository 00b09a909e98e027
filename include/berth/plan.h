/* Where the members of a gang go, all at once, on one state of the fleet: every resource of every member, every step
 * that judge takes of a single pod, and what members ask of one another. Nothing is changed: reserving is the caller's,
 * by ledger_reserve. The same fleet and request give the same plan, in whatever order members and nodes come; ties go
 * to names.
 *
 * Of all plans that hold, the one is sought that is least by, in this order:
 *
 *   left out            members that an elastic gang goes without
 *   levels crossed      of the tightest domain that holds all members: 0 one host, 1 one domain of the narrowest level,
 *                       and one more for each wider level, the whole fleet last
 *   preferences         the same beyond the level that a sub-group prefers, summed over the sub-groups
 *   domains used        distinct domains with members, summed over the levels of the policy and the hosts
 *   block destroyed     nodes in the largest wholly free domain that the plan breaks into: 0 where only hosts in use
 * are taken, 1 where a free host of a broken rack is, 8 for a free rack of 8 in a broken block. Buddy cells (HiveD,
 * OSDI 2020, section 3.2) on a real tree with unequal domains
 *
 * and then the domain with the least room left over. A small gang among few nodes is searched exactly, within
 * PLAN_BUDGET steps; a large one is packed greedily, tightest domain first, with the search as a second try where the
 * greedy one fails.
 *
 * What members ask of one another holds for the gang as a whole and the bound pods that the ledger knows the labels of
 * (ours): required pod affinity and anti-affinity and DoNotSchedule spread, as kube-scheduler 1.36 counts them, such
 * that there is an order, plan.order, in which every member passes them. Not seen: labels of other schedulers' pods
 * and of pods that are not bound yet, anti-affinity that bound pods have against the members, and labels of namespaces
 * (a term with a namespace selector means all namespaces). kube-scheduler has the last word on those.
 *
 * Where members with different rules share a gang, packing may miss an order that only few orders pass; a small gang
 * is searched.
 *
 * Runs of a segment: the member of rank r is in run r / k of its sub-group. A gang's segment holds in each sub-group
 * that has none of its own.
 *
 * An elastic gang takes as many members as fit in the widest level allowed, the lowest ranks first, and is then planned
 * as tight as that number can be.
 *
 * Ledger entries of the members themselves do not stand in the way. */
#ifndef BERTH_PLAN_H
#define BERTH_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "berth/fleet.h"
#include "berth/pod.h"
#include "berth/reason.h"
#include "berth/team.h"
#include "berth/topology.h"

#define PLAN_MEMBERS_MAX 65536
#define PLAN_GROUPS_MAX 1024
#define PLAN_BUDGET 200000 /* steps of the exact search: some 30 ms, which few gangs need */
#define PLAN_NO_LEVEL (-1)
#define PLAN_NO_RANK (-1)

/* Names of nodes; not owned. */
struct plan_names {
	size_t count;
	const char *const *names;
};

struct plan_member {
	const struct pod *pod;
	int32_t rank;           /* PLAN_NO_RANK = not known: behind the known ones, by name */
	uint16_t group;         /* index into the request's groups */
	struct node *fixed;     /* stands there already and stays; NULL = free choice */
	struct plan_names only; /* where it may go at all, if `limited` */
	bool limited;
	struct plan_names never; /* where it may not go */
};

/* Levels are indexes into the policy's levels, TOPOLOGY_HOST, or PLAN_NO_LEVEL. */
struct plan_topology {
	int require; /* all that are placed are in one domain of this level */
	int prefer;  /* the same if it can be; counts for sub-groups, since a gang is planned as tight as it can be */
	size_t segment; /* k > 0: members in runs of k by rank, each run in one domain of segment_level */
	int segment_level;
};
#define PLAN_ANYWHERE ((struct plan_topology){PLAN_NO_LEVEL, PLAN_NO_LEVEL, 0, PLAN_NO_LEVEL})

struct plan_group {
	const char *name;
	size_t quorum; /* at least so many of its members are placed; 0 = none of its own */
	struct plan_topology topology;
};

struct plan_request {
	size_t count;
	const struct plan_member *members;
	size_t group_count; /* 0: all members are of one group without constraints */
	const struct plan_group *groups;
	size_t quorum; /* at least so many members are placed, or none; 0 = all */
	struct plan_topology topology;
	/* Taken as gone: their room is free, though none that they empty is a free block, and no rule counts them. */
	size_t gone_count;
	const struct ledger_entry *const *gone;
	uint64_t
	    seen_until; /* nodes that improved after that many improvements of the fleet are left out; 0 = none are */
	const bool *barred; /* by pool: where nobody may go; NULL = nowhere. plan_gang sets it by the team's bounds */
};

/* The published terms; less is better. */
struct plan_score {
	size_t left_out;
	size_t levels_crossed;
	size_t beyond_preferred;
	size_t domains_used;
	size_t block_destroyed; /* nodes */
};

/* Of one level, for explaining: the domain that would take the most. */
struct plan_level {
	const struct topology_domain *domain; /* NULL: the level has none that takes any, or is the host's */
	struct node *host;                    /* at TOPOLOGY_HOST */
	size_t takes;                         /* members, what they ask of one another left aside */
	size_t lacks;                         /* members that the quorum still wants */
};

struct plan {
	/* FITS, or: a member's own reason; NO_CANDIDATES … as judge has it where a member fits on no node even alone;
	 * TEAM_LIMIT, LEVEL_MISSING, GANG_NO_ROOM, GANG_NO_DOMAIN, GANG_CONSTRAINTS; PLAN_OVERTAKEN from plan_finish.
	 */
	enum reason reason;
	size_t count;
	struct node **nodes; /* one a member; NULL = left out, or no plan */
	size_t placed;
	size_t *order; /* `placed` members in an order in which each passes kube-scheduler's own filters */
	struct plan_score score;
	int level;                            /* of the tightest domain with all members; TOPOLOGY_ROOT = the fleet */
	const struct topology_domain *domain; /* that one; NULL with TOPOLOGY_HOST */
	bool exact;                           /* the search was exhausted: no plan is better */

	/* Why not, where there is no plan. */
	size_t blocking;             /* a member, or SIZE_MAX */
	enum reason blocking_reason; /* what most of the nodes that come nearest lack for it */
	bool lacks_resource;
	resource_id blocking_resource;
	size_t level_count; /* levels of the policy, and the host at the end */
	struct plan_level levels[TOPOLOGY_LEVELS_MAX + 1];
	struct plan_level fleet; /* the same of the whole fleet; its domain is the root */
	size_t unlabelled;       /* nodes good for a member that are outside the required level */
	struct team_bound bound; /* with TEAM_LIMIT: what the team may not go over */
};

/* Plans; free with plan_free. The whole gang stays within the bounds of its team in every pool; an elastic one goes
 * without the members that the team has no room for. */
void plan_gang(const struct fleet *fleet, const struct plan_request *request, struct plan *plan);
void plan_free(struct plan *plan);

/* The same in three steps, for a plan that may take long: the middle one looks at nothing but the problem, so another
 * thread may run it while the fleet changes. The request's pods and texts must live until plan_finish, which frees the
 * problem. It looks at the nodes chosen once more: one that is gone, or no longer has the room, is PLAN_OVERTAKEN. */
struct plan_problem;
struct plan_problem *plan_prepare(const struct fleet *fleet, const struct plan_request *request);
void plan_solve(struct plan_problem *problem);
void plan_finish(const struct fleet *fleet, struct plan_problem *problem, struct plan *plan);

/* One number of the terms, for comparing means: 1000 a member left out, 100 a level, 10 a level beyond preferred, 1 a
 * domain, 1/8 a node of the block. The choice itself is by the terms in their order. */
double plan_cost(const struct plan_score *score);

#endif
