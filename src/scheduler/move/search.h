/* The search for what is ended for one demand: who asks (demand), what there is (gather), what comes of it (search). */
#ifndef SCHEDULER_MOVE_SEARCH_H
#define SCHEDULER_MOVE_SEARCH_H

#include "scheduler/gang/ask.h"
#include "scheduler/move/internal.h"

/* Pods that wait and are placed all together or not at all. */
struct demand {
	const struct gang *gang; /* NULL: siblings of one owner that ask for the same, or one pod */
	const char *id;          /* the gang's key; else UID of the owner, or of the pod */
	int32_t priority;
	size_t count;
	struct tracked **pods; /* NULL of a gang, whose members are looked up once it has its turn */
	bool least;            /* of a gang no more than its quorum */
	bool cuts;             /* a node is to be emptied for them, and cut into slices */
};

/* A unit as it is gathered. */
struct found {
	const char *id, *kind;
	size_t at;    /* of the units gathered */
	size_t index; /* of the request's, once `taken` */
	size_t key_count, key_room, member_room, draw_room;
	const char **keys; /* of its works */
	const char **members;
	struct victims_draw *draws;
	const char *whole;        /* of a member beyond the quorum: id of the unit that it is part of */
	const char *gang, *group; /* and where it stands in its gang */
	int32_t rank;
	bool out, lives;
	const void *checked; /* the gang that was looked at last: the unit does not end it in part */
	bool taken;          /* it is a unit of the request */
	bool doubly; /* some pod that is to be evicted is under several budgets, which the eviction API refuses */
	int64_t gpus;
	const char *first; /* the member whose class is the unit's */
};

struct move_search {
	struct arena arena; /* owns the request's texts and arrays, and itself */
	struct victims_request request;
	struct victims_search *search;     /* NULL while units are gathered */
	const char *id;                    /* of the demand */
	bool of_gang;                      /* id is a gang's key */
	bool least;                        /* as the demand has it */
	bool cuts;                         /* as the demand has it */
	struct victims_emptying *emptying; /* then, once units are gathered; */
	const char **nodes;                /* names of those that are tried */
	size_t node_count, node_at;
	struct cut_room *rooms;     /* by pool: what those that may be emptied would take in all */
	bool passed_over;           /* some units are on their way to end, or to return */
	struct gang_asking *asking; /* what the planner is asked for it, or NULL */
	size_t named;               /* the pod by which people know the demand */
	struct tracked **demand;    /* dropped before one of them is freed */
	size_t unit_room;
	struct victims_unit *units;
	struct found **found;          /* of each unit */
	struct map by_id;              /* id → struct found, of units of several works */
	struct map spared;             /* gangs whose surplus is gathered, and UIDs of its pods */
	const struct budget **budgets; /* as they were at that many changes */
	size_t budget_count;
	uint64_t budget_changes;
	const char **keys; /* of the works that are looked at */
	size_t key_count, key_at;
};

/* demand.c. No move for the demand: why, and whether that stays so; it is not looked at sooner again. */
#define DEMAND_AGAIN_NS (10 * NS_PER_S)
void demand_in_vain(
    struct scheduler *s, const struct move_search *search, const char *why, bool hopeless, int64_t again_ns);

/* gather.c. False: the time is over, and there is more. Not to be called again once budgets have changed. */
void search_gather_begin(struct scheduler *s, struct move_search *search);
bool search_gather(struct scheduler *s, struct move_search *search, int64_t until_ns);
/* A unit of that id, made where there is none. */
struct found *search_find(struct move_search *search, const char *id, const char *kind);
void search_add_key(struct move_search *search, struct found *found, const char *key);
void search_add_pod(struct scheduler *s, struct move_search *search, struct found *found, struct work_pod *pod);

/* surplus.c: members beyond the gang's quorum, of the work, as parts of the unit `whole` */
void surplus_gather(struct scheduler *s, struct move_search *search, const char *whole, const struct gang *gang,
    const struct work *work);

void *search_more(struct arena *arena, void *items, size_t count, size_t *room, size_t size);
/* The next budget that the pod is under, from `at` on, or how many there are; `pod` is read once, and to be freed. */
size_t search_next_budget(
    const struct move_search *search, const struct ledger_entry *entry, struct pod **pod, size_t at);

/* leaving.c: what ends without this search. Of what budgets have allowed, what they do not know yet is taken off.
 */
void search_gather_leaving(struct scheduler *s, struct move_search *search, int64_t *allowed);
/* node_search.c: a node is emptied for slices */
/* Whether moves may end work for a pod that waits for slices. */
bool search_may_cut(const struct scheduler *s, const struct pod *pod);
void search_nodes_begin(struct scheduler *s, struct move_search *search);
/* The next node; true when all were tried. */
bool search_node(struct scheduler *s, struct move_search *search);
/* Whether the whole demand would fit on nodes that may be emptied, no more of them than may be cut. */
bool search_nodes_suffice(const struct scheduler *s, const struct move_search *search);
/* Says what is to be done with the node of the answer, and how many of the pods it will take; NULL: it has changed. */
const struct policy_mig_config *search_node_chosen(
    struct scheduler *s, struct move_search *search, const char *name, size_t *pods);

/* gather.c: the unit of the request that the pod is of, or NULL */
const struct found *gather_found(
    const struct scheduler *s, const struct move_search *search, const struct work_pod *pod);

/* search.c */
void search_begin(struct scheduler *s, const struct demand *demand);
void search_step(struct scheduler *s);

/* gang.c. What is asked for the gang, into search->demand and the request. False: not all of it is there. */
bool search_ask_gang(struct scheduler *s, struct move_search *search, const struct gang *gang);
/* The gang, where less of it would do and was not asked for yet, or NULL. */
const struct gang *search_less(const struct scheduler *s, const struct move_search *search);
/* Whether it still is as it was asked for. */
bool search_is_of_gang(const struct scheduler *s, const struct move_search *search);
/* Whether the gang waits for room that moves may give it. */
bool gang_wants(struct scheduler *s, const struct gang *gang);

#endif
