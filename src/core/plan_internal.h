/* What the parts of the planner share.
 *
 * plan_prepare writes everything that matters of fleet and request into one plan_problem, in the order of the topology
 * tree: sites (nodes that some member may go to), the domains over them, shapes (members that no node can tell apart),
 * kinds (members of one shape and one bundle), bundles (who must be together in one domain: gang, sub-group, run of
 * ranks) and rules (what members ask of one another). What is solved with is kept in step by plan__take and plan__undo:
 * free amounts, how many more of each shape fit on a site and at most in a domain, and what rules count. */
#ifndef CORE_PLAN_INTERNAL_H
#define CORE_PLAN_INTERNAL_H

#include "berth/plan.h"
#include "core/need.h"

#define PLAN_NONE UINT32_MAX
#define PLAN_EFFORT ((size_t)1 << 18)
#define PLAN_CELLS_MAX ((size_t)1 << 25) /* shapes x nodes */

struct plan_site {
	struct node *node; /* not looked at while solving */
	const char *name;
	uint32_t leaf;  /* the narrowest domain it is in */
	uint32_t block; /* nodes in the largest wholly free domain that it is in; 0 = in use */
	uint32_t twin;  /* sites of one number are alike in all that matters while nothing is on them */
};

/* In preorder: the domains below d are d+1 .. next-1, its sites first .. end-1, those in no child first .. direct-1. */
struct plan_domain {
	int level;
	uint32_t parent, next;
	uint32_t first, direct, end;
	uint32_t counted, whole; /* nodes that count for blocks, and those of them wholly free */
};

struct plan_shape {
	const struct pod *pod;
	uint32_t first;       /* a member of it */
	int64_t *demand;      /* by resource column */
	int64_t weight;       /* for packing the largest first: GPUs, then CPU */
	uint32_t members;     /* to place */
	uint32_t total;       /* fit in the whole fleet at most, at the start */
	enum reason furthest; /* FITS, or where the node that came furthest stopped for a single member */
	struct plan_names only, never;
	bool limited;
	uint32_t rule_count;
	uint32_t *rules; /* that it carries or that mean it */
	uint8_t *may;    /* by site */
	uint32_t *left;  /* by site: so many more fit */
	uint32_t *sum;   /* by domain: of left */
};

struct plan_kind {
	uint32_t shape, bundle;
	uint32_t count;    /* free members, by rank, then name */
	uint32_t *members; /* indexes into the request */
	uint32_t want;     /* the first so many are to be placed */
	uint32_t placed;
};

struct plan_bundle {
	int require, prefer; /* levels; TOPOLOGY_ROOT = none */
	uint32_t parent;     /* PLAN_NONE for the gang */
	uint32_t first_child, next_sibling;
	uint32_t first_kind, kind_count; /* of its own, in packing order */
	uint32_t members, quorum;        /* with those of its children, fixed ones too */
	uint32_t fixed_count, fixed_room;
	uint32_t *fixed; /* sites; with those of its children */
};

enum rule_kind { RULE_ANTI, RULE_AFFINITY, RULE_SPREAD };

struct plan_key {
	const char *label;
	struct map ids; /* value → id + 1 */
	bool names;     /* not there yet: every node that has the label bears its own name */
	uint32_t values;
	uint32_t *sites;      /* by site: id, or PLAN_NONE */
	uint32_t *population; /* by id: nodes of the fleet */
};

/* A required anti-affinity term, all required affinity terms of a pod, or a spread constraint. */
struct plan_rule {
	enum rule_kind kind;
	const struct pod *pod; /* one that carries it */
	size_t index;          /* of the term or constraint in the pod */
	uint32_t key_count;
	uint32_t *keys;
	bool *carries, *means; /* by shape */
	bool closed;           /* every shape meant carries it, too */
	uint32_t **count;      /* by key and value: pods meant */
	uint32_t *carriers;    /* RULE_ANTI, by value */
	uint32_t any;          /* pods meant, anywhere that counts */
	uint32_t low, at_low;  /* RULE_SPREAD: fewest in a domain, and in how many */
	uint32_t pin;          /* RULE_AFFINITY, while packing: the value of its first key to go to, or PLAN_NONE */
	bool *domain;          /* RULE_SPREAD, by value: some node counts */
	uint32_t domains;
	uint8_t *counts; /* RULE_SPREAD, by site: pods there count */
	uint32_t *quota; /* RULE_SPREAD, while packing, by value: as many as may be there */
};

struct plan_step {
	uint32_t kind, site, count;
};

struct plan_steps {
	size_t count, room;
	struct plan_step *items;
};

struct plan_problem {
	struct arena arena;
	const struct plan_request *request; /* a copy in the arena; members and groups are the caller's */
	enum reason reason;                 /* FITS while solving makes sense */
	size_t blocking;
	size_t unlabelled;
	uint32_t headroom; /* rules whose holds all members may use */
	bool gpus;         /* some member asks for GPUs: blocks are of GPU nodes */
	int levels;
	uint32_t columns;
	resource_id *resources; /* by column */
	bool *gpu_columns;
	uint32_t site_count, domain_count, shape_count, kind_count, bundle_count, key_count, rule_count;
	struct plan_site *sites;
	size_t node_count;
	struct node **nodes; /* all of the fleet, in the order of the sites; not looked at while solving */
	struct plan_domain *domains;
	uint8_t *marked_sites, *marked_domains; /* scratch of plan__score */
	uint32_t *up;                           /* by site and level: domain, or PLAN_NONE */
	uint32_t *by_level[TOPOLOGY_LEVELS_MAX], level_domains[TOPOLOGY_LEVELS_MAX];
	struct plan_shape *shapes;
	struct plan_kind *kinds;
	struct plan_bundle *bundles; /* the gang is the first */
	struct plan_key *keys;
	size_t key_room;
	struct plan_rule *rules;
	uint32_t *fixed;                          /* by member: site, or PLAN_NONE */
	uint32_t *shape_of, *bundle_of, *kind_of; /* by member; kind_of of free ones only */
	uint32_t free_members;
	uint32_t *order; /* of the members, by group, rank, name */
	uint32_t *keep;  /* free members in the order in which an elastic gang takes them */
	bool at_once;    /* the fleet does not change before the plan is written */

	/* While solving. */
	uint32_t *wanted;    /* by shape: members to place */
	bool unruled;        /* rules are left aside */
	int64_t *free;       /* by site and column */
	uint32_t *site_used; /* members there */
	uint32_t *domain_used;
	struct plan_steps steps;
	size_t budget; /* steps of the search left */
	size_t effort; /* sites and members that packing may still go through in vain */

	/* The best so far. */
	bool solved, exact, explained;
	size_t offers; /* taken so far */
	struct plan_steps best;
	struct plan_score score;
	int level; /* of the tightest domain */
	struct plan_level seen[TOPOLOGY_LEVELS_MAX + 1], everywhere;
	uint32_t witness[TOPOLOGY_LEVELS_MAX + 1]; /* a site of the domain seen; PLAN_NONE without one */
	enum reason blocking_reason;
	bool lacks_resource;
	resource_id blocking_resource;
};

/* plan_prepare but for plan__rules, which is due before solving and sees the same nodes. */
struct plan_problem *plan__prepare_sites(const struct fleet *fleet, const struct plan_request *request);

/* ---- plan_shape: members → shapes, kinds, bundles ---- */
bool plan__shape(struct plan_problem *problem, const struct fleet *fleet);
/* Kinds of a bundle in packing order, and the counts that follow from the members to place. */
void plan__kinds(struct plan_problem *problem);
/* Sets how many of each kind are to be placed: the first `count` of the free members in the order in which an elastic
 * gang takes them. */
void plan__want(struct plan_problem *problem, const uint32_t *keep, size_t count);
/* That order, which is kept: what quorums need first, then by rank and name. `free_members` indexes. */
uint32_t *plan__keep_order(struct plan_problem *problem);
/* Free members that the quorums ask for. */
uint32_t plan__least(const struct plan_problem *problem);

/* ---- plan_site: the fleet → sites and domains ---- */
void plan__sites(struct plan_problem *problem, const struct fleet *fleet);
/* Whether the members' nodes are there and have the room, now. */
bool plan__still_there(const struct plan_problem *problem, const struct fleet *fleet, const uint32_t *sites);

/* ---- plan_rule: affinity, anti-affinity, spread ---- */
void plan__rules(struct plan_problem *problem, const struct fleet *fleet);
void plan__rules_free(struct plan_problem *problem);
void plan__rules_take(struct plan_problem *problem, uint32_t shape, uint32_t site, uint32_t count);
void plan__rules_undo(struct plan_problem *problem, uint32_t shape, uint32_t site, uint32_t count);
/* Whether one more of the shape on the site would break a rule that no later member can mend, of whom there are
 * `coming`. */
bool plan__rules_bar(const struct plan_problem *problem, uint32_t shape, uint32_t site, uint32_t coming);

/* Whether a bound pod counts for the rule, under which value of its k-th key, and who has fewest by the counts now. */
bool plan__rule_counts(const struct plan_rule *rule, const struct pod *pod, const struct node *node);
uint32_t plan__rule_value(
    const struct plan_problem *problem, const struct plan_rule *rule, uint32_t k, const struct node *node);
void plan__rule_low(const struct plan_problem *problem, struct plan_rule *rule);

/* A member and where it goes. */
struct plan_unit {
	uint32_t shape, site;
};
/* Finds an order of the units, none of which is taken, in which each passes as kube-scheduler counts. */
bool plan__rules_order(struct plan_problem *problem, const struct plan_unit *units, size_t count, uint32_t *order);

/* ---- plan_aim: how packing keeps to the rules ---- */
struct plan_scope {
	int level;           /* TOPOLOGY_ROOT, a policy's level, TOPOLOGY_HOST */
	uint32_t index;      /* of the domain, or the site */
	uint32_t first, end; /* sites */
};
/* Sets quotas and pins for what the kinds want within the scope, in one of several ways; false when there is no such
 * way. */
bool plan__aim(struct plan_problem *problem, const struct plan_scope *scope, uint32_t way);
/* Of `want` members of a shape, how many may be added on the site at once. */
uint32_t plan__aim_room(const struct plan_problem *problem, uint32_t shape, uint32_t site, uint32_t want);

/* ---- plan_domain: levels, domains, what a plan costs ---- */
/* The site's domain at a level: an index that is only equal for sites in the same one; PLAN_NONE outside. */
uint32_t plan__at(const struct plan_problem *problem, uint32_t site, int level);
/* Levels between hosts and this one: 0 for the host. */
size_t plan__crossed(const struct plan_problem *problem, int level);
int plan__wider(const struct plan_problem *problem, int level);
/* The narrowest level, from `level` on, at which both are in one domain. */
int plan__common(const struct plan_problem *problem, uint32_t a, uint32_t b, int level);
void plan__score(
    const struct plan_problem *problem, const struct plan_steps *steps, struct plan_score *score, int *level);
int plan__compare(const struct plan_score *a, const struct plan_score *b);
/* Takes the steps as the best if they are. */
bool plan__offer(struct plan_problem *problem, const struct plan_steps *steps);
uint32_t plan__scopes(const struct plan_problem *problem, int level);
struct plan_scope plan__scope(const struct plan_problem *problem, int level, uint32_t nth);
/* How many of a shape fit there at most. */
uint32_t plan__sum(const struct plan_problem *problem, uint32_t shape, const struct plan_scope *scope);
/* The nodes of the largest free block that the scope is a whole part of; 0 where it is broken into already. */
uint32_t plan__block(const struct plan_problem *problem, const struct plan_scope *scope);
/* Whether sums and fixed members leave it possible that the bundle goes into the scope. */
bool plan__might(const struct plan_problem *problem, uint32_t bundle, const struct plan_scope *scope);

/* ---- plan_choose: which domains are tried ---- */
/* Tries the domains of a level for the gang, the most promising first, each by packing and, if `search`, by searching
 * where packing fails; true once some plan holds. */
bool plan__try_level(struct plan_problem *problem, int level, bool search);
/* The same for one scope, after so many tries in vain. */
bool plan__try_scope(struct plan_problem *problem, const struct plan_scope *scope, uint32_t failures, bool search);
/* Places what the bundle's kinds want in a domain of the level it prefers, or else requires, within the scope; or
 * nothing. */
bool plan__choose(struct plan_problem *problem, uint32_t bundle, const struct plan_scope *within);

/* ---- plan_pack: greedy ---- */
/* What is free on the site changed. */
void plan__refit(struct plan_problem *problem, uint32_t site);
void plan__take(struct plan_problem *problem, uint32_t kind, uint32_t site, uint32_t count);
/* Takes back all steps beyond the first so many. */
void plan__undo(struct plan_problem *problem, size_t steps);
/* Places all that the bundle's kinds want within the scope, or nothing. */
bool plan__pack(struct plan_problem *problem, uint32_t bundle, const struct plan_scope *scope);
/* As many of what all kinds want as fit in the scope, bundles left aside; the caller undoes it. */
uint32_t plan__pour(struct plan_problem *problem, const struct plan_scope *scope);

/* ---- plan_lift: room given back ---- */
/* What comes back when some entries of the ledger go: amounts by site, and what rules counted of their pods. The room
 * is as that of plan_request.gone, but put in and taken out while solving. */
struct plan_tally {
	uint32_t rule, key, value; /* of the rule's keys; PLAN_NONE: counted at all */
};
struct plan_lift {
	uint32_t count;
	size_t room, amount_room;
	uint32_t *sites;
	int64_t *amounts; /* by site and column */
	size_t tally_count, tally_room;
	struct plan_tally *tallies;
};
/* For making lifts, one after the other: where the one that is being made has its row of a site. */
struct plan_lifter {
	const struct fleet *fleet;
	struct plan_problem *problem;
	struct map sites; /* name → site + 1 */
	uint32_t lift;    /* number of the one being made */
	struct plan_lift_row {
		uint32_t lift, row;
	} * rows; /* by site */
};
void plan__lifter_init(struct plan_lifter *lifter, const struct fleet *fleet, struct plan_problem *problem);
void plan__lifter_free(struct plan_lifter *lifter);
void plan__lifter_next(struct plan_lifter *lifter);
void plan__lifter_add(struct plan_lifter *lifter, struct plan_lift *lift, const struct ledger_entry *entry);
void plan__lift_free(struct plan_lift *lift);
/* Gives the room back, or takes it away again. */
void plan__lift(struct plan_problem *problem, const struct plan_lift *lift, bool back);
/* Forgets what was found, so that plan_solve can begin again. */
void plan__anew(struct plan_problem *problem);

/* ---- plan_search: exact ---- */
#define PLAN_SEARCH_MEMBERS 12
#define PLAN_SEARCH_SITES 64
bool plan__searchable(const struct plan_problem *problem, const struct plan_scope *scope);
/* Looks for plans better than the best within the scope; members may be left out down to the quorums if `elastic`, or
 * else all that kinds want are placed. Returns whether everything was looked at. */
bool plan__search(struct plan_problem *problem, const struct plan_scope *scope, bool elastic);

/* ---- plan_rank ---- */
/* Gives the members their nodes: neighbouring ranks in neighbouring places. */
void plan__rank(const struct plan_problem *problem, const struct plan_steps *steps, uint32_t *sites);

/* ---- plan_explain ---- */
void plan__explain(struct plan_problem *problem);

/* plan.c: a plan by the request alone, the bounds of the team in each single node included. */
void plan__once(const struct fleet *fleet, const struct plan_request *request, struct plan *plan);

#endif
