/* What berth knows of all gangs: their members, what each of them has reached, and the state of each gang. The states
 * are those of test/model/gang.pml; gangs_step is its guards, and whoever owns the registry does what it says.
 *
 *   gathering   members are missing, or the size is not known
 *   queued      the quorum is there: waits for room for all
 *   planned     every member has a place; gates are being taken away
 *   released    no gate is left; bind calls are parked
 *   committing  all that have a place were parked: Bindings go out, and late members are let through at once
 *   whole       the quorum is bound; a member that is lost is replaced near its peers
 *   undoing     it cannot be finished, and what is bound is taken back
 *
 * A member that is lost while its gang commits leaves a hole: its room, kept under an id of its own.
 *
 * The pod of a pending member is the caller's; that of a bound one may be handed over (`owned`). A gang without members
 * and holes is freed by gangs_take_changed. Times are of the caller's monotonic clock. */
#ifndef BERTH_GANGS_H
#define BERTH_GANGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "berth/arena.h"
#include "berth/gang.h"
#include "berth/map.h"
#include "berth/pod.h"
#include "berth/reason.h"

#define GANG_PLAN_ID_MAX 40
#define GANG_REFUSED_MAX 16

enum gang_state {
	GANG_GATHERING,
	GANG_QUEUED,
	GANG_PLANNED,
	GANG_RELEASED,
	GANG_COMMITTING,
	GANG_WHOLE,
	GANG_UNDOING,
	GANG_STATE_COUNT
};
const char *gang_state_name(enum gang_state state); /* "gathering", … */

enum gang_member_state {
	GANG_AWAY,   /* another gate holds it, or it is being deleted: it does not count yet, or any more */
	GANG_GATED,  /* berth's gate is the last */
	GANG_LOOSE,  /* without a gate, not bound */
	GANG_PARKED, /* its bind call waits for an answer */
	GANG_BOUND,
	GANG_DONE, /* it ended well: it stands for its part of the work, and holds nothing */
	GANG_MEMBER_STATE_COUNT
};

struct gang;

struct gang_member {
	struct gang *gang;
	struct pod *pod;
	bool owned; /* the registry frees the pod */
	enum gang_member_state state;
	bool placed;            /* the ledger holds its room, or it is bound */
	bool ungated;           /* its gate was taken away, whatever a late event still shows */
	bool told;              /* the plan stands on the pod */
	uint64_t tellings;      /* the caller's: so often the plan was written onto the pod */
	bool writing;           /* the caller's: a write is under way */
	uint64_t said;          /* the caller's: a hash of the line that was written onto the pod last; 0 = none */
	bool marked;            /* the caller's: it bears the mark of a whole gang, or will soon */
	bool held;              /* the caller's: it is away until room that was lent is given back */
	uint32_t mark;          /* the caller's: the last list that showed it */
	uint64_t unschedulable; /* the caller's: a hash of kube-scheduler's last words on it that are known; 0 = none */
	int64_t gpus;           /* that it asks for */
	size_t at;              /* place in the gang */
	size_t offered_count;   /* during a call that names all nodes it may go to: no other will do */
	const char *const *offered;
	size_t refused_count;
	char *refused[GANG_REFUSED_MAX]; /* nodes that kube-scheduler does not take for it */
};

struct gang_hole {
	char *id; /* of its entry in the ledger */
	char *node;
};

struct gang {
	char *key;
	enum gang_dialect dialect;
	const char *namespace_, *name; /* in key */
	size_t count, room;
	struct gang_member **members;
	size_t in_state[GANG_MEMBER_STATE_COUNT];
	size_t placed;
	size_t leaving; /* of the bound: being deleted */
	size_t hole_count, hole_room;
	struct gang_hole *holes;
	uint64_t holes_made;
	int32_t quorum, size;    /* as the pods say, the eldest first; 0 = not said. See gang_quorum */
	bool discord;            /* the pods do not all say the same */
	struct gang_terms terms; /* as its object says, which counts first; in terms_arena */
	struct arena terms_arena;
	bool unreadable; /* its object cannot be read: what the pods say is not to be relied on */

	int64_t gpus, gpus_least,
	    gpus_most;     /* of all members that are known; what one asks for, at least and at most */
	int64_t gpus_told; /* what the pods know: gang_gpus of each */
	int64_t gpus_seen; /* the caller's: what it has acted upon */

	enum gang_state state;
	int64_t since_ns, since_wall_ns;     /* in the state */
	int64_t first_ns;                    /* when its first member was seen */
	int64_t deadline_ns;                 /* INT64_MAX = none */
	int64_t moved_ns;                    /* when it came further than ever before in this state … */
	size_t reached;                      /* … and how far */
	int64_t no_room_ns;                  /* since when members that are there have no room; INT64_MAX = they have */
	size_t held_nodes;                   /* the caller's: that are kept free for it; 0 = none are */
	int64_t start_ns;                    /* the caller's: when it is expected to start; 0 = not known */
	int64_t promised_ns, promised_at_ns; /* the caller's: the first start told of it, and when; 0 = none was */
	int64_t forecast_ns, elsewhere_ns;   /* the caller's: when it was foreseen last, and on all nodes; 0 = never */
	int64_t hold_after_ns;               /* the caller's: no look for such nodes sooner */
	bool broken;  /* the caller's: a node went away under a bound member, which calls for an undo */
	bool undoing; /* the caller's: its undo is under way */
	/* The caller's: when a node was refused for a member last, 0 = none is, or it is forgotten; and for how long.
	 */
	int64_t refused_ns, refused_for_ns;
	int64_t undo_after_ns; /* the caller's: no undo sooner */
	bool kept;             /* the caller's: it cannot be undone, and stands as it is */
	size_t held_count;     /* the caller's: members that are held */
	size_t shunned_count;
	char *shunned[GANG_REFUSED_MAX]; /* nodes whose kubelet took a member and then did not run it */
	char plan[GANG_PLAN_ID_MAX];
	enum reason why;       /* of the last plan that failed, or FITS */
	uint64_t tried_at;     /* the caller's: the fleet's improvements when it was planned last in vain */
	int64_t not_before_ns; /* the caller's: no other try sooner */
	/* The caller's: a write on a member was refused; when the next is sent, 0 = none waits, and after how long. */
	int64_t tell_after_ns, tell_pause_ns;
	int32_t priority;   /* the highest of its members */
	bool claims;        /* the caller's: it may find room that its team is guaranteed */
	size_t team_rank;   /* the caller's: among the teams that borrow */
	int64_t limited_ns; /* the caller's: when its team's limit stood in its way last; 0 = never */
	size_t class_order; /* the caller's: of its first member's class */
	int64_t created_ns; /* of its eldest member */
	bool changed;       /* is in the chain */
	struct gang *next_changed;
};

struct gangs {
	struct map by_key, by_uid; /* struct gang, struct gang_member */
	struct gang *changed;
	size_t in_state[GANG_STATE_COUNT];
};

struct gangs *gangs_new(void);
void gangs_free(struct gangs *gangs);

/* The pod, which says that it is in a gang, has reached a state: a new member, or a newer pod of one. The pod that a
 * member had before is freed if it was owned. Marks the gang changed where anything counts differently. */
struct gang_member *gangs_put(struct gangs *gangs, struct pod *pod, enum gang_member_state state, int64_t now_ns);
struct gang_member *gangs_find(const struct gangs *gangs, struct slice uid);
/* For the registry alone: a member's pod, new or in place of an older one, is heard; a member went, `pod` was its pod.
 * True where the size or quorum that the pods say is another now. */
bool gang_listen(struct gang *gang, const struct pod *pod, const struct pod *older);
bool gang_forget(struct gang *gang, const struct pod *pod);
/* What the gang's object says, copied. NULL: nothing, for it is not there or, with `unreadable`, cannot be read; what
 * it said before stays in force for a gang that was planned by it. */
void gangs_hear(struct gangs *gangs, struct gang *gang, const struct gang_terms *terms, bool unreadable);
/* The member asks for so many GPUs. Sets gang_gpus of all pods of the gang: the sum once all that are expected are
 * there; before that as many as they will ask for, if all that are there ask for the same; else 0, not known. */
void gangs_weigh(struct gang_member *member, int64_t gpus);
void gangs_set(struct gangs *gangs, struct gang_member *member, enum gang_member_state state);
void gangs_place(struct gangs *gangs, struct gang_member *member, bool placed);
/* kube-scheduler does not take the node for the member. False where it was known or nothing more is remembered. */
bool gangs_refuse(struct gang_member *member, const char *node);
void gangs_forgive(struct gang_member *member); /* all of them are forgotten */
void gangs_shun(struct gang *gang, const char *node);
void gangs_clear_shunned(struct gang *gang);
void gangs_remove(struct gangs *gangs, struct gang_member *member);
const struct gang_hole *gangs_add_hole(struct gangs *gangs, struct gang *gang, const char *node);
void gangs_drop_hole(struct gangs *gangs, struct gang *gang, size_t at);
void gangs_enter(struct gangs *gangs, struct gang *gang, enum gang_state state, int64_t now_ns);
void gangs_mark(struct gangs *gangs, struct gang *gang);
/* The next gang that changed since it was last taken, or NULL. */
struct gang *gangs_take_changed(struct gangs *gangs);
struct gang *gangs_next(const struct gangs *gangs, size_t *cursor);
/* By priority, then claims before those who borrow, these by their team's rank; then class order, age, name: negative
 * where a goes first. */
int gangs_order(const struct gang *a, const struct gang *b);

/* Members without which the gang is of no use, and members expected; 0 = not known. */
size_t gang_quorum(const struct gang *gang);
size_t gang_size(const struct gang *gang);
/* Where it is to stand, or its sub-group of that name: as its object says, then its pods, the eldest first. */
struct gang_place gang_place_of(const struct gang *gang, const char *group);
/* Members that are there, in whatever state but away. */
size_t gang_present(const struct gang *gang);
/* The quorum is there, that of each sub-group included. */
bool gang_is_complete(const struct gang *gang);
/* Members that are bound, or were and have ended well. */
size_t gang_standing(const struct gang *gang);
/* Members that may end one by one, in the order in which they would: of a whole gang those bound beyond its quorum and
 * beyond what each sub-group needs, the highest rank first, where none is known the newest; never rank 0, one that
 * leads, nor one of a part of several. `out` has room for all members. `gone`, by place in the gang, or NULL: those
 * that end anyway. */
size_t gang_surplus(const struct gang *gang, const bool *gone, struct gang_member **out);
/* Whether a whole gang keeps its quorum, and what each sub-group needs, without those. */
bool gang_bears(const struct gang *gang, const bool *gone);
/* The highest rank first, then, and where ranks are not known, the newest: negative where a goes first. */
int gang_last_first(const struct gang_member *a, const struct gang_member *b);
/* When the gang is given up, by what it waits for: while nothing is bound, `commit_ns` after it came further for the
 * last time; with some bound, `members_ns` after that, or `commit_ns` without room for members that are there. */
void gangs_set_deadline(struct gang *gang, int64_t now_ns, int64_t commit_ns, int64_t members_ns);

enum gang_step {
	GANG_STEP_WAIT,
	GANG_STEP_QUEUE,     /* enter QUEUED */
	GANG_STEP_GATHER,    /* enter GATHERING: members went before there was a plan, or all that had stood */
	GANG_STEP_PLAN,      /* look for room for all */
	GANG_STEP_TELL,      /* write the plan onto members that do not have it, and take their gates away */
	GANG_STEP_RELEASED,  /* enter RELEASED */
	GANG_STEP_COMMIT,    /* enter COMMITTING */
	GANG_STEP_BIND,      /* let parked members through */
	GANG_STEP_WHOLE,     /* enter WHOLE */
	GANG_STEP_FILL,      /* look for room for the members that have no place */
	GANG_STEP_GIVE_BACK, /* the deadline is over and nothing is bound: all room goes back; enter GATHERING */
	GANG_STEP_UNDO,      /* it is over and some are bound, or their node went away: take them back */
};
/* What is to be done now; the caller does it and asks again. `fill` says whether members without a place are worth
 * looking at: they are not where the last look was in vain and nothing changed since. */
enum gang_step gangs_step(const struct gang *gang, int64_t now_ns, bool fill);

#endif
