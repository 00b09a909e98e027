/* What the parts of the search for victims share.
 *
 * The search owns a problem of the planner for the demand (core/plan_internal.h). Each unit that may be ended is a
 * victim with the room that it would give back; to try a set of victims is to lift their room into the problem and to
 * ask the planner's own code whether the demand fits. Between steps nothing is lifted but what a phase says. */
#ifndef CORE_VICTIMS_INTERNAL_H
#define CORE_VICTIMS_INTERNAL_H

#include "berth/victims.h"
#include "core/plan_internal.h"

#define VICTIMS_EPSILON 1e-9

/* On a disruption budget, or on what a team has beyond its guarantee in a pool. */
struct victim_draw {
	uint32_t budget;
	int64_t amount;
};

struct victim {
	size_t unit;         /* of the request */
	uint16_t team, pool; /* the pool of its first pod */
	enum victims_right right;
	struct victims_cost cost;
	double price; /* its sum */
	int64_t milli;
	uint32_t whole; /* the victim that it is a part of, or PLAN_NONE */
	struct plan_lift lift;
	size_t draw_count, draw_room;
	struct victim_draw *draws;
	bool lifted;
	uint32_t parts_lifted;
};

/* A domain of the level that the demand requires. */
struct victim_scope {
	struct plan_scope scope;
	double bound; /* no set of it is cheaper */
};

/* The victims that help in one scope, those first that give most for their price, and what they can give at most: more
 * than that no set of them does, however they share nodes. */
struct victim_set {
	struct plan_scope scope;
	uint32_t count;
	size_t room;
	uint32_t *victims;
	double *gains;       /* by victim and shape: members at most */
	double *worth;       /* gains weighed by what is missing of each shape: 1 is all of it */
	double *worth_until; /* sums of worth and price before the victim; one more at the end */
	double *price_until;
	double *gains_from; /* by victim and shape: sums from the victim on; one more at the end */
	double *missing;    /* by shape: members for whom there is no room yet */
	double wanted;      /* worth that a set must have */
};

struct victim_best {
	bool found;
	double price; /* with blocks */
	double blocks;
	size_t count, room;
	uint32_t *victims; /* ascending */
};

enum victim_phase {
	PHASE_RULES,  /* of the problem */
	PHASE_NONE,   /* does the demand fit as it is? */
	PHASE_GATHER, /* the units, one by one */
	PHASE_LIFT, /* all victims at once: how much is there at most, and in which domains does the demand fit then */
	PHASE_LOWER,
	PHASE_BOUND, /* what each domain costs at least */
	PHASE_SCOPE, /* the next domain */
	PHASE_PACK,
	PHASE_GREEDY,
	PHASE_EXACT,
	PHASE_BARRED, /* there is no set: units that may not be ended are lifted, too, until the demand fits */
	PHASE_PLAN,   /* the best set's, or why there is none */
	PHASE_DONE,
};

struct victims_search {
	const struct fleet *fleet;
	struct victims_request request; /* its arrays are the caller's */
	struct plan_problem *problem;
	uint64_t node_changes, policy_version; /* of the fleet when it began */
	bool simple;                           /* sums alone say whether the demand fits */
	enum victim_phase phase;
	size_t next; /* of what the phase goes through */

	struct plan_lifter lifter;
	struct victims_team
	    *teams; /* the policy's, with what the ledger says they use; NULL where the request has its own */
	int64_t *team_amounts;
	int64_t *rooms;      /* by pool: what the demand's team may still take; NULL = no bounds */
	uint16_t *site_pool; /* by site, where there are rooms */
	int64_t *asks;       /* by shape and pool: what one takes there */
	uint8_t *bars;       /* by unit */
	size_t bar_counts[VICTIMS_BAR_COUNT];
	int64_t *demand_milli; /* by pool; -1 = not known yet */
	int64_t takes_milli;   /* of any pool; 0 = what its members ask for there */
	size_t count, room;
	struct victim *victims; /* by id */
	size_t budget_count;
	int64_t *allowed, *drawn;   /* by budget, then by team and pool */
	uint32_t *use_first, *uses; /* by site: the victims that stand there */
	uint32_t *most;             /* by shape and site: fit with all lifted */

	size_t scope_count, scope_at;
	struct victim_scope *scopes; /* those where the demand fits with all lifted, cheapest bound first */
	struct victim_set set;       /* of the scope that is looked at */
	uint32_t *place;             /* by victim: in the set, or PLAN_NONE */
	struct victims_pack *pack;
	bool settled; /* the best is no dearer than any set of the scope */
	struct victims_greedy *greedy;
	struct victims_exact *exact;
	struct victim_best best;
	bool all_exact;
	enum victims_verdict verdict;
	enum victims_bar missing;
};

/* ---- victims: the steps ---- */
/* What may be drawn on each budget, and by each team. */
void victims__read_budgets(struct victims_search *search);

/* ---- victims_judge: what a unit bears, and what it costs ---- */
/* Entries of the unit's pods that are in the ledger; the caller frees. */
const struct ledger_entry **victims__entries(const struct fleet *fleet, const struct victims_unit *unit, size_t *count);
/* The request's word, or the ledger's. */
uint16_t victims__team(const struct victims_search *search, const struct victims_unit *unit,
    const struct ledger_entry *const *entries, size_t count);
enum victims_bar victims__judge(struct victims_search *search, size_t unit, const struct ledger_entry *const *entries,
    size_t count, enum victims_right *right);
void victims__price(struct victims_search *search, struct victim *victim);
/* Whether the victim's draws are within what is left of each budget. */
bool victims__allowed(const struct victims_search *search, const struct victim *victim);

/* ---- victims_team: teams as the policy and the ledger have them ---- */
/* Where the request says nothing of teams and the policy has some. */
void victims__read_teams(struct victims_search *search);
/* The pools of the sites; the nodes are those that the problem was made of. */
void victims__read_pools(struct victims_search *search);
/* Whether the plan found leaves the demand's team within its bounds, once what is lifted is gone. */
bool victims__within_bounds(const struct victims_search *search);
void victims__free_teams(struct victims_search *search);

/* ---- victims_gather: units → victims ---- */
/* Makes the next unit a victim, or notes what bars it; what it took, in effort. */
size_t victims__gather(struct victims_search *search);
/* Links what was gathered. */
void victims__link(struct victims_search *search);
void victims__add_draws(
    struct victims_search *search, struct victim *victim, const struct ledger_entry *const *entries, size_t count);
/* Of the budgets that the victim alone would exceed, the disruption budgets come last. */
enum victims_bar victims__judge_draws(const struct victims_search *search, const struct victim *victim);
/* Counts the victim as lifted, its room left aside. */
void victims__mark(struct victims_search *search, uint32_t victim, bool lifted);
void victims__lift(struct victims_search *search, uint32_t victim);
void victims__lower(struct victims_search *search, uint32_t victim);
void victims__lower_all(struct victims_search *search);
/* Whether a part of it, or what it is a part of, is lifted. */
bool victims__overlaps(const struct victims_search *search, uint32_t victim);
size_t victims__effort(const struct victim *victim);

/* ---- victims_set: what helps where ---- */
/* With nothing lifted. Returns the effort. */
size_t victims__set(struct victims_search *search, const struct plan_scope *scope);
void victims__set_free(struct victim_set *set);
/* The least that victims from the n-th of the set on cost that are worth so much together. INFINITY: they are not. */
double victims__least(const struct victims_search *search, uint32_t from, double worth);
bool victims__fits(struct victims_search *search, const struct plan_scope *scope);
/* What is lifted makes the demand fit in the scope: takes it as the best if it is. */
void victims__offer(struct victims_search *search);

/* ---- victims_pack, victims_greedy, victims_exact: the cheapest set ---- */
/* A step each; true at the end, with nothing lifted. */
bool victims__pack(struct victims_search *search, size_t *effort);
void victims__pack_free(struct victims_search *search);
bool victims__greedy(struct victims_search *search, size_t *effort);
void victims__greedy_free(struct victims_search *search);
bool victims__exact(struct victims_search *search, size_t *effort);
void victims__exact_free(struct victims_search *search);

#endif
