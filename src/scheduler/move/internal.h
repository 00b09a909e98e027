/* What the files of moves share: what bound pods belong to (work), the moves and their units, and the search for the
 * next one. Nothing of it is kept while the policy has no moves. */
#ifndef SCHEDULER_MOVE_INTERNAL_H
#define SCHEDULER_MOVE_INTERNAL_H

#include "berth/move.h"
#include "berth/turnover.h"
#include "berth/victims.h"
#include "cluster/budget.h"
#include "cluster/suspension.h"
#include "scheduler/move/move.h"

#define MOVES_MAX 64              /* at a time that are about to end something */
#define MOVES_LENT_MAX 1024       /* … and with those of which something is still to be given back */
#define MOVES_OVER_MAX 256        /* that are over and still shown, */
#define MOVES_OVER_UNITS_MAX 4096 /* and their units */
#define MOVE_PODS_MAX 1024        /* waiting pods of one move */
#define MOVE_UNITS_MAX 1024       /* units of one move */
#define MOVE_RECORD_VERSION 1     /* of its form */
#define MOVE_ID_MAX 40
#define MOVE_DAY_NS (86400 * NS_PER_S)
#define MOVE_TIMES_MAX 24 /* of a unit's moves that are remembered: perUnitAndDay goes no higher */

/* --- work: bound pods of ours by their nearest controller --- */

enum work_way {
	WORK_SUSPENDED, /* its pods end together, with all others of the topmost owner */
	WORK_REPLICAS,  /* each of its pods is a unit, and made anew */
	WORK_GROUP,     /* they are one unit, and made anew */
	WORK_ALONE,     /* nobody is known to make them anew */
	WORK_NEVER,     /* a DaemonSet's, a node's own */
};

struct work_pod {
	struct work *work;
	struct work_pod *next, **link;
	char *uid, *name;
	int64_t start_ns, checkpoint_ns; /* wall clock */
	int32_t priority, grace_s;
	unsigned keep; /* enum victims_keep */
	bool deleting;
	int64_t ends_ns;         /* when it is to have ended, once it is being deleted; by clock_now */
	uint64_t policy_version; /* of the class */
	uint16_t class_;         /* index, or UINT16_MAX */
	uint32_t mark;
	size_t younger; /* of its maker's, as makers_rank found it */
};

struct work {
	char *key, *namespace_;
	char *owner_kind, *owner_name, *owner_uid; /* NULL: nobody controls its pod */
	char *top; /* UID of its topmost owner that suspends, once that was asked for, or NULL */
	enum work_way way;
	struct work_pod *pods;
	size_t count;
	struct maker *maker;       /* NULL: of what is suspended, and of what nobody makes anew */
	struct work *next, **link; /* of the maker's */
};

/* What makes replicas anew after they were evicted, with another UID: the Deployment of a ReplicaSet, the
 * LeaderWorkerSet with the index of the group, else the controller. */
struct maker {
	char *key; /* NAMESPACE/KIND/NAME */
	struct work *works;
	struct turnover ended;
	/* As makers_rank found it. */
	unsigned so_far; /* that ended within a day, or are about to */
	size_t waiting, replicas;
};

/* What is remembered of a unit by its id, as long as it matters. */
struct unit_past {
	char *id;
	int64_t moved_ns[MOVE_TIMES_MAX]; /* wall clock, newest first; 0 = none */
	int64_t alone_until_ns;           /* wall clock: it is left alone; INT64_MAX = for good */
	const char *why;                  /* a constant text */
};

/* --- moves --- */

struct move;

enum unit_state {
	UNIT_STANDS,
	UNIT_ENDED, /* suspended by berth, or evicted */
	UNIT_BACK,  /* resumed by berth */
	UNIT_LEFT,  /* somebody else has taken it over */
};

struct unit_pod {
	char *uid, *name;
	struct move_unit *unit; /* while it is being evicted */
	bool done;
};

/* Where pods alike of a unit stood, on one node. */
struct unit_room {
	char *node;
	size_t count;
	struct resource_list demand;
};

struct move_unit {
	struct move *move;
	enum unit_state state;
	char *id; /* of the work: the topmost owner's UID, or a pod's */
	char *kind, *namespace_, *name, *uid, *class_name;
	const struct suspend_kind *suspends; /* NULL: its pods are evicted */
	char *gang;                          /* of a member beyond the quorum, ended by itself: its gang's key … */
	char *group;                         /* … and its sub-group, or NULL, … */
	int32_t rank; /* … and rank there, -1 = not known. Who is made in its place is held back */
	char *of_kind, *of_name, *of_uid; /* and what controls it */
	enum victims_right right;
	int64_t milli_gpus, since_ns, back_ns; /* wall clock: when it was ended, and when it came back; 0 = not yet */
	double cost;                           /* GPU-seconds */
	int32_t priority;
	char *maker;  /* key of what makes it anew, or NULL */
	bool counted; /* there, as ended */
	size_t key_count, pod_count, room_count;
	char **keys; /* of its works */
	struct unit_pod *pods;
	struct unit_room *rooms;

	/* What its owner said last. */
	char *version;
	unsigned reverts, depth, conflicts;
	bool found, suspended, ours, alone; /* alone: not to be touched */
	bool resumed;                       /* by somebody else, after it was suspended */
	bool may_be_back;                   /* its resumption was sent, and not answered */
	char *asked_uid;                    /* of the owner that was asked last */
	const struct suspend_kind *asked;

	bool busy, done, dry; /* of the phase's act */
	int64_t look_ns;      /* it is looked at again, by clock_now */
	int64_t return_ns;    /* nor is it resumed before */
	size_t held;          /* holds of its room for its return */
	int64_t held_until_ns;
	int64_t waits_ns; /* for that room since; 0 = not yet */
	bool closed;      /* where it stood to pods behind it */
};

/* Whether berth gives back what it took, once the room is there again. */
static inline bool unit_returns(const struct move_unit *unit)
{
	return unit->suspends || unit->gang;
}

struct move_place {
	struct move *move;
	char *uid, *name, *node;
	int64_t gpus; /* that its pod asks for; of one that was gone as it was taken up, not known: 0 */
	int64_t woken_ns;
	bool bound, gone;
};

struct move {
	struct scheduler *s;
	struct move *next;
	char id[MOVE_ID_MAX];
	bool observed;         /* reported only */
	bool barred;           /* a unit of it is left alone from now on: another move would be another one */
	bool asking;           /* whether its units may be ended is not known yet */
	bool adopted;          /* another process has begun it */
	bool recording;        /* its record is being written, or erased */
	enum move_phase acted; /* the last phase whose acts were begun */
	struct move_steps steps;
	struct move_facts facts;                           /* busy to failed, of the phase's acts */
	size_t busy;                                       /* of its acts that are not its units' */
	char *namespace_, *kind, *name, *uid, *class_name; /* for whom: the owner of the waiting pods, or the pod */
	int32_t priority;
	char *node, *config; /* that is emptied, and what it is to get: of one that was taken up not known; or NULL */
	bool lost;           /* the node: it is not what it was when it was chosen */
	int64_t begun_ns, ending_ns; /* wall clock: since when; when its units are to end */
	int64_t over_ns;             /* wall clock; 0 = it is not yet */
	int64_t peak_ns;             /* when a pod of its class last waited for such room, by clock_now */
	size_t bound;                /* of its pods, once it is over */
	double cost;                 /* GPU-seconds */
	size_t unit_count, place_count;
	size_t surplus_count; /* units that are members beyond a quorum */
	struct move_unit *units;
	struct move_place *places;
};

/* A demand that was looked at in vain. */
struct demand_tried {
	char *id;
	char *namespace_, *kind, *name, *class_name;
	size_t pods;
	int64_t again_ns; /* not sooner again */
	char *why;        /* to be freed */
	bool hopeless;    /* nothing that passes by itself keeps it from room: for it nothing is kept back */
	bool seen;
};

struct moves {
	struct map pods;                    /* UID → struct work_pod */
	struct map works;                   /* key → struct work */
	size_t past_room;                   /* old ones are sought to be forgotten beyond it */
	struct map past;                    /* id → struct unit_past */
	struct map makers;                  /* key → struct maker */
	int64_t ended_hour;                 /* in which some ended that is not kept yet, or 0 */
	int64_t swept_hour;                 /* when old ones were forgotten last */
	int64_t kept_hours[TURNOVER_HOURS]; /* those that the ConfigMap has keys of; 0 = none */
	struct map by_unit;                 /* id → struct move_unit, the latest of it of moves that are not over */
	struct map by_place;                /* UID → struct move_place */
	struct map tried;                   /* id → struct demand_tried */
	struct budgets *budgets;
	struct kube_watch *budget_watch;
	bool budgets_known;
	uint64_t budget_changes;
	struct move *list;
	size_t count;
	struct move *over; /* for people alone, the latest first */
	size_t over_count, over_units;
	struct keep kept;       /* the records */
	bool taken_up;          /* they were read */
	size_t surplus_count;   /* units of all moves of the list that are members beyond a quorum */
	int64_t early_until_ns; /* until then members wait for the records to be read; 0 = that is over */
	bool reading;
	int64_t read_ns;        /* not sooner again */
	struct orphan *orphans; /* marked objects that the lists at the start have shown */
	bool due;               /* demands may have changed */
	struct move_search *search;
	unsigned overtaken; /* searches in a row that changes of budgets ended */
	uint64_t made;
	uint32_t marks;
};

/* open.c, list.c */
void moves_open(struct scheduler *s);
void moves_on_timer(uv_timer_t *timer);

/* work.c */
struct work_pod *work_find(const struct scheduler *s, const char *uid);
void work_free_all(struct moves *moves);
/* The id of the unit that the work belongs to, and the owner that suspends, as far as is known; false: not to be
 * touched, or each of its pods is a unit. */
const char *work_unit(const struct scheduler *s, const struct work *work, const char **kind);
const struct policy_class *work_class(struct scheduler *s, struct work_pod *pod);
/* Whether the pod is one that the unit's end ends, or that its return makes. */
bool unit_has(const struct move_unit *unit, const struct pod *pod);
/* Such bound pods of a unit that is to return, sought among all of its namespace. */
size_t unit_pods_found(const struct move_unit *unit);
/* past.c */
struct unit_past *past_of(struct moves *moves, const char *id);
void past_moved(struct moves *moves, const char *id, int64_t wall_ns);
unsigned past_today(const struct moves *moves, const char *id, int64_t wall_ns);
bool past_alone(const struct moves *moves, const char *id, int64_t wall_ns);
void past_leave_alone(struct moves *moves, const char *id, int64_t until_ns, const char *why);

void past_free(struct moves *moves);

/* replicas.c: what makes replicas anew, and how often they were ended */
void maker_join(struct moves *moves, struct work *work, const struct pod *pod, const char *group);
void maker_leave(struct moves *moves, struct work *work);
/* Before maker_share: how many of each maker's there are, and which are the youngest. */
void makers_rank(struct scheduler *s);
/* How often the replica, or one in its place, was ended today; 0 of NULL. */
unsigned maker_share(const struct work_pod *pod);
/* The unit, an evicted one, has ended. */
void maker_ended(struct move_unit *unit);
/* What is new is written, what is old forgotten. */
void makers_keep(struct moves *moves);
/* A key of the ConfigMap; false: it is another's. */
bool makers_shown(struct moves *moves, struct slice key, struct slice text);
void makers_free(struct moves *moves);

/* demand.c: who waits, and what the search says to it */
void demand_look(struct scheduler *s);
/* Whether anything gives pods like it the right to the room of others. */
bool demand_may_take(const struct scheduler *s, const struct pod *pod);
/* No other move for its pods for a while. */
void demand_put_off(struct move *move);
/* What came of the last look at the gang, or at the pod and those of its owner that ask for the same, or NULL. */
struct demand_tried *demand_tried_of(const struct moves *moves, const struct gang *gang, const struct pod *pod);
void demand_close(struct moves *moves);

/* list.c: the moves */
/* Whether it is the id of a move: what others write as a mark is theirs. */
static inline bool move_is_mark(struct slice mark)
{
	return mark.len > 5 && mark.len < MOVE_ID_MAX && memcmp(mark.at, "move-", 5) == 0;
}
struct move *move_new(struct scheduler *s, const char *id);
void move_free(struct move *move);
/* What only those need that go on. */
void move_strip(struct move *move);
void unit_strip(struct move_unit *unit);
bool moves_full(const struct moves *moves); /* no more are begun for now */
void move_put(struct move *move);           /* its units and places are found from now on, and it begins */
void move_adopt(struct move *move);         /* the same of one that another process has begun */
void move_drop(struct move *move);          /* and freed */
struct move_unit *move_add_unit(struct move *move);
/* Whether a move has to do with the unit yet; one that is given back may be taken again. */
bool unit_taken(const struct moves *moves, const char *id);
/* It is found by its id from now on. False: another of that id is taken. */
bool unit_take(struct move_unit *unit);
void move_tick(struct scheduler *s);
/* One of them, as far as it comes now; it may be freed. */
void move_go_on(struct move *move);
void move_wake(struct scheduler *s);  /* move_tick soon */
void move_later(struct scheduler *s); /* … in a while */

/* over.c: what is shown of moves that are over. The move is taken over. */
void over_put(struct moves *moves, struct move *move);
void over_free(struct moves *moves);

/* orphan.c */
void orphans_take_up(struct scheduler *s);
void orphans_free(struct moves *moves);

/* ask.c: who may be suspended */
void unit_ask(struct move_unit *unit);

/* write.c: what owners say, and writes on them */
void unit_call(struct move_unit *unit, const char *method, const struct suspend_kind *kind, const char *name, bool dry,
    struct slice body, kube_done *done);
/* Why it is not to be suspended, or NULL; `may_be_queued`: that Kueue manages it is no reason. */
const char *unit_bar(const struct suspend_object *object, bool may_be_queued);
void unit_note(struct move_unit *unit, const struct suspend_object *object);
void unit_resumed_by_others(struct move_unit *unit, const struct suspend_object *object);
int64_t unit_cooled(const struct move_unit *unit);
void unit_leave_alone(struct move_unit *unit, int64_t until_ns, const char *why);
void unit_suspend(struct move_unit *unit, bool dry);
void unit_resume(struct move_unit *unit);
void unit_forget_mark(struct move_unit *unit);
void unit_look(struct move_unit *unit);

/* act.c */
void move_begin_phase(struct move *move);
void move_again(struct move *move);
void move_wait(struct move *move); /* what is looked at meanwhile */
size_t move_pods_left(const struct move *move);
/* Pods of the unit that are still there. */
size_t unit_pods_left(const struct move_unit *unit);
void return_units(struct scheduler *s);

/* closed.c: nodes kept free of later pods for the unit that has waited longest to return */
/* It has no room, and is the first in line. */
void closed_wait(struct move_unit *unit, int64_t now_ns);
void closed_end(struct move_unit *unit);
/* It may not wait any more, or in vain. */
void closed_review(struct scheduler *s);
/* Another policy is in force: classes stand in another order. */
void closed_policy(struct scheduler *s);

/* surplus.c: members of elastic gangs beyond the quorum */
/* Whether the gang bears it still, with all that moves have ended of it. */
bool surplus_may_end(const struct move_unit *unit);
/* Whether members of the work are about to be ended so. */
bool surplus_under_way(const struct scheduler *s, const struct work *work);
/* Why what its owner says forbids it, or NULL. */
const char *surplus_bar(const struct suspend_object *object);
/* No member of its owner is ended so before. */
void surplus_leave_alone(const struct move_unit *unit, int64_t until_ns, const char *why);
void surplus_ended(struct move_unit *unit);
void surplus_adopt(struct move_unit *unit);
void surplus_lapse(struct move *move);
void surplus_return(struct move_unit *unit);

/* held.c: who is made in their place */
struct gang_member *held_for(const struct move_unit *unit, const struct gang *gang);
/* It has room reserved now, or needs none; false: it is held back as before. */
bool held_release(struct scheduler *s, struct gang_member *member);
void held_early_over(struct scheduler *s);

/* node.c: a node that is emptied */
enum move_node move_node_state(const struct move *move);
/* What has GPUs there is gone, though nothing of the move's has ended. */
bool move_node_is_empty(const struct move *move);
void move_node_taint(struct move *move);

/* gang.c: gangs as what moves are made for. The gang whose members wait for the move's room, or NULL. */
struct gang *move_gang(const struct move *move);
/* Members that are made anew take the places of those that are gone. */
void move_follow_gang(struct move *move, const struct gang *gang);
/* Room at its place, unless the gang has planned it elsewhere. */
void place_hold_member(struct scheduler *s, const struct move_place *place, const struct gang_member *member);

/* room.c, return.c: room held for the waiting pods, and for units that return */
/* Where the node is still to be emptied and cut, its taint holds the room. */
void room_hold(struct move *move);
void room_drop(struct move *move);
bool room_hold_unit(struct move_unit *unit);
/* NULL where the policy has its class no more. */
const struct policy_class *unit_class(const struct move_unit *unit);
void room_drop_unit(struct move_unit *unit);
/* A pod is bound that may be of a unit that returns: no room is held for it any more. */
void room_returned(struct scheduler *s, const struct pod *pod);

/* record.c: the ConfigMap */
void record_write(struct move *move);
void record_erase(struct move *move);
void record_open(struct scheduler *s);

/* record_read.c */
void record_read(struct scheduler *s);

/* tell.c */
void tell_begun(struct move *move);
void tell_unit(struct move_unit *unit, const char *reason, const char *note);
void tell_stopped(struct move *move);

#endif
