/* Whose work is ended so that other work fits: of the units that may be ended the cheapest set after which the whole
 * demand has room, or why there is none. Nothing is changed and nothing is ended here; that is the caller's.
 *
 * A unit is everything that its way of ending ends: all pods under the topmost owner that suspends, a replica of a
 * LeaderWorkerSet, a single pod; and, of an elastic gang whose kind bears the loss, one pod beyond its quorum, which is
 * a part of the unit that is the whole gang. Units are ended whole or not at all.
 *
 * A unit is never in the set
 *   without a right        mayPreempt of the demand's class, its room lent from the headroom of that class, or reclaim:
 *                          in every pool where the unit holds GPUs the demand's team, or one above it, stays within its
 *                          guarantee with the whole demand and what others below it are owed, and the unit's team is
 *                          beyond its own and its part of what the team above both has for all
 *   of higher priority     than the demand; of equal priority by mayPreempt alone
 *   within minRuntime      of its class
 *   that is kept           by one of its members or by its owner
 *   moved too often        today
 *   that nobody makes anew unless its class says evict
 * and the set as a whole never draws more on a disruption budget than that allows, however its units end, nor takes a
 * team below its guarantee in any pool, whatever the right, but the demand's own and those above it.
 *
 * Whether the demand fits is the planner's word (berth/plan.h) on the fleet without the units, and where it is to
 * stand is its plan. Domains come first: of each domain of the level that the demand requires (the whole fleet where it
 * requires none) that would hold it with all units gone, the cheapest set is sought, and the cheapest of these is
 * taken. Up to VICTIMS_EXACT units the set is the cheapest of all; beyond that mostly, too, for pods that are alike,
 * and else it is found greedily and made better within a bounded effort: `exact` says what is known. The same fleet and
 * request give the same set, in whatever order the units come.
 *
 * The cost of a set is in GPU-seconds, the sum of:
 *   lost work   of each unit the GPUs it holds x the time since its last checkpoint, or since its start without one; a
 *               checkpoint in the future counts as now, one before the start as the start
 *   class       VICTIMS_COST_CLASS for each class of the policy that stands behind the unit's
 *   age         VICTIMS_COST_HOUR for each hour since its start, at most VICTIMS_HOURS_MAX of them
 *   units       VICTIMS_COST_UNIT each
 *   budgets     VICTIMS_COST_DRAW for each pod drawn from a disruption budget
 *   blocks      VICTIMS_COST_BLOCK for each node of the largest wholly free domain that the demand then breaks into;
 *               what the set itself empties is not part of one
 *   moves       VICTIMS_COST_MOVE for each move of the unit today
 *
 * The search goes on in steps, so that the loop that owns the fleet never waits long. The fleet may change meanwhile;
 * under another policy the search is OVERTAKEN. Texts and arrays of a request, and the pods of its demand, live until
 * victims_finish. */
#ifndef BERTH_VICTIMS_H
#define BERTH_VICTIMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "berth/fleet.h"
#include "berth/plan.h"

#define VICTIMS_COST_CLASS 300.0
#define VICTIMS_COST_HOUR 60.0
#define VICTIMS_HOURS_MAX 24.0
#define VICTIMS_COST_UNIT 600.0
#define VICTIMS_COST_DRAW 120.0
#define VICTIMS_COST_BLOCK 300.0
#define VICTIMS_COST_MOVE 3600.0

#define VICTIMS_UNITS_MAX 65536
#define VICTIMS_EXACT 20 /* units that may be ended and stand where it helps */

#define VICTIMS_WHOLE SIZE_MAX  /* part_of */
#define VICTIMS_NONE UINT16_MAX /* team, lent_by */

enum victims_way { VICTIMS_SUSPEND, VICTIMS_EVICT };

/* Why a unit is kept whatever the policy, a bit each. */
enum victims_keep {
	VICTIMS_KEEP_NOT_SAFE = 1,       /* a member has safe-to-evict "false" */
	VICTIMS_KEEP_DO_NOT_DISRUPT = 2, /* a member has karpenter.sh/do-not-disrupt */
	VICTIMS_KEEP_OWNER = 4, /* its owner may not be touched: managed, suspended, or taken back by somebody */
};

struct victims_draw {
	size_t budget; /* index into the request's */
	int64_t pods;
};

struct victims_unit {
	const char *id;   /* told apart by it */
	uint16_t class_;  /* index into the policy's */
	uint16_t team;    /* index into the request's, or VICTIMS_NONE */
	uint16_t lent_by; /* a class to which its room is owed beside what the ledger's headroom says; VICTIMS_NONE */
	int32_t priority; /* the highest of its pods */
	enum victims_way way;
	bool recreated; /* its controller makes it anew, or resumes it, and counts no failure */
	unsigned keep;  /* enum victims_keep */
	unsigned moves; /* today */
	size_t member_count;
	const char *const *members; /* UIDs of its pods; one without an entry in the ledger frees nothing */
	int64_t start_ns;           /* of its latest pod since it was last resumed; wall clock, 1970 */
	int64_t checkpoint_ns;      /* 0 = none */
	size_t draw_count;
	const struct victims_draw *draws; /* each budget at most once */
	size_t part_of; /* index of the unit that it is the surplus of, which ends with it; or VICTIMS_WHOLE */
};

/* By pool of the policy, in thousandths of a GPU; what a team uses includes what those below it use. */
struct victims_team {
	const char *name;
	uint16_t parent; /* index, or VICTIMS_NONE */
	const int64_t *used, *guaranteed;
};

/* Room that pods would have by now, had what is only reported been done. */
struct victims_taken {
	const char *node;
	const struct resources *demand;
};

struct victims_request {
	struct plan_request demand; /* pending siblings of one template, or a gang; all members, whatever the quorum */
	uint16_t class_, team;      /* the demand's */
	int32_t priority;
	int64_t now_ns; /* wall clock, 1970 */
	size_t unit_count;
	const struct victims_unit *units;
	size_t budget_count;
	const int64_t *budgets; /* disruptionsAllowed of each */
	size_t team_count;      /* 0: the policy's teams, as the ledger counts them; units and demand say none */
	const struct victims_team *teams;
	unsigned moves_max; /* perUnitAndDay; 0 = any number */
	/* UIDs of pods that end by themselves before long, of no unit: their room is as good as free. */
	size_t coming_count;
	const char *const *coming;
	/* UIDs of pods, of no unit, that end whatever is chosen: their team counts as using no more what they hold. */
	size_t leaving_count;
	const char *const *leaving;
	/* As good as gone, of what is free and of what is coming. */
	size_t taken_count;
	const struct victims_taken *taken;
};

/* X(id, "why a unit is not ended"), in the order in which they are looked at. */
#define VICTIMS_BAR_TABLE(X)                                                                                           \
	X(NONE, "may be ended")                                                                                        \
	X(NO_RIGHT, "no right to end it")                                                                              \
	X(PRIORITY, "its priority is not lower")                                                                       \
	X(KEPT, "it is protected")                                                                                     \
	X(NOT_RECREATED, "nothing makes it anew")                                                                      \
	X(MIN_RUNTIME, "it is within its minRuntime")                                                                  \
	X(MOVED, "it was moved often enough today")                                                                    \
	X(GUARANTEE, "its team would fall below its guarantee")                                                        \
	X(BUDGET, "a disruption budget does not allow it")

enum victims_bar {
#define X(id, text) VICTIMS_BAR_##id,
	VICTIMS_BAR_TABLE(X)
#undef X
	    VICTIMS_BAR_COUNT
};
const char *victims_bar_text(enum victims_bar bar);

enum victims_right { VICTIMS_BY_PREEMPT, VICTIMS_BY_LENT, VICTIMS_BY_RECLAIM };
const char *victims_right_text(enum victims_right right); /* "mayPreempt", … */

enum victims_verdict {
	VICTIMS_FOUND,
	VICTIMS_NOT_NEEDED, /* the demand fits with nothing ended; the plan says where */
	VICTIMS_BARRED,     /* it would fit without units that may not be ended: `missing` says why not */
	VICTIMS_NO_ROOM,    /* it would not fit even with all units gone: the plan says what lacks */
	VICTIMS_OVERTAKEN,  /* the fleet changed meanwhile: ask again */
};

/* GPU-seconds. */
struct victims_cost {
	double lost_work, class_, age, units, budgets, blocks, moves;
};
double victims_cost_total(const struct victims_cost *cost);

struct victims_chosen {
	size_t unit; /* index into the request's */
	enum victims_right right;
	struct victims_cost cost; /* its own: without blocks */
	int64_t milli_gpus;       /* that it gives up */
};

struct victims_answer {
	enum victims_verdict verdict;
	size_t count;
	struct victims_chosen *chosen;  /* by index */
	struct victims_cost cost;       /* of all of them */
	bool exact;                     /* no set is cheaper */
	struct plan plan;               /* where each member goes once they are gone; or, NO_ROOM, why not */
	size_t bars[VICTIMS_BAR_COUNT]; /* units by what bars them, each by itself; of those for whom it is NONE some
	                                   may still not go together */
	enum victims_bar missing;       /* BARRED: what would have to be otherwise for the demand to fit */
};

/* Looks at each node once: about half a microsecond a node. Never NULL. */
struct victims_search *victims_begin(const struct fleet *fleet, const struct victims_request *request);
/* Goes on for about so much effort, some nanoseconds each; true when there is nothing more to do. */
bool victims_step(struct victims_search *search, size_t effort);
#define VICTIMS_EFFORT 100000 /* a step of about a millisecond */
/* The answer, checked once more on the fleet as it is now; frees the search, whether it was done or not (then
 * OVERTAKEN). Free the answer with victims_answer_free. */
void victims_finish(const struct fleet *fleet, struct victims_search *search, struct victims_answer *answer);
void victims_answer_free(struct victims_answer *answer);

/* The three at once. */
void victims_choose(const struct fleet *fleet, const struct victims_request *request, struct victims_answer *answer);

/* A node is to be emptied of all that has GPUs there: everything on it has to end, and all that is left to choose is
 * the node. Of those tried the one whose units, all of them, may be ended together at the least cost; equal costs go to
 * the node whose GPUs cost least, then to the smaller name. Never NULL. */
struct victims_emptying *victims_empty_begin(const struct fleet *fleet, const struct victims_request *request);
/* `units` are all that have GPUs on the node, each once; the demand will take `takes_milli` of its GPUs. `name`, the
 * node's, lives until victims_empty_finish. Whether it may be emptied. */
bool victims_empty_try(struct victims_emptying *emptying, const struct node *node, const char *name,
    const size_t *units, size_t count, int64_t takes_milli);
/* FOUND, and *name; BARRED, with the softest of the bars that keep a node each; NO_ROOM: none was tried. There is no
 * plan. Frees the emptying. */
void victims_empty_finish(struct victims_emptying *emptying, struct victims_answer *answer, const char **name);

/* What the unit bears: VICTIMS_BAR_NONE, or the first bar that holds for it alone. */
enum victims_bar victims_judge(
    const struct fleet *fleet, const struct victims_request *request, size_t unit, enum victims_right *right);

#endif
