/* What the files of this room share: the one struct that owns all state, and their entry points, file by file. */
#ifndef SCHEDULER_INTERNAL_H
#define SCHEDULER_INTERNAL_H

#include "base/clock.h"
#include "berth/decide.h"
#include "berth/fleet.h"
#include "berth/gangs.h"
#include "berth/quarantine.h"
#include "berth/runtimes.h"
#include "berth/shortage.h"
#include "berth/waiting.h"
#include "cluster/gang_objects.h"
#include "cluster/owners.h"
#include "cluster/volumes.h"
#include "extender/metrics.h"
#include "extender/ops.h"
#include "extender/verbs.h"
#include "kube/kube.h"
#include "kube/watch.h"
#include "policy/load.h"
#include "scheduler/gang_source.h"
#include "scheduler/keep.h"
#include "scheduler/lead.h"
#include "scheduler/roster.h"
#include "scheduler/scheduler.h"

#define STALE_NS (15 * NS_PER_S) /* a required watch without contact for longer makes /readyz red */

struct bind_job;
struct zone;

/* The policy file and what came of it. */
struct policy_file {
	char *path;
	char *namespace_; /* of the Events about it */
	struct policy *inforce;
	uint64_t bytes_hash; /* of the bytes read last, good or bad */
	int64_t loaded_wall; /* when the one in force was read */
	char *error;         /* one line on why the newest file is not in force; NULL = it is */
	uv_timer_t timer;
};

/* What teams have spent, as the API server keeps it. */
struct team_book {
	char *name; /* NAMESPACE/NAME of the ConfigMap */
	struct keep kept;
	bool ending;
	int64_t next_ns; /* no look, or write, sooner; the end waits no longer */
};

/* What gangs were promised, as the API server keeps it. */
struct promises {
	struct keep kept;
	struct promise *kept_before; /* by the process before; their gangs are not in line yet */
	bool asked, unread;          /* it is read, and what it says is not known yet */
	bool any;                    /* it has some */
	bool due;                    /* they have changed */
	int64_t again_ns;            /* it is not tried again sooner */
};

struct instruments {
	struct metrics *registry;
	struct metric *filter_seconds, *bind_seconds, *calls, *decisions, *wakeups, *hints, *hints_followed,
	    *paced_seconds, *reload_success, *reload_time;
	struct metric *pods, *reservations, *gpus, *team_gpus, *gangs, *moves, *repartitions, *role, *quarantined,
	    *promise_error, *signal_value, *signal_age, *watch_age, *watch_relists, *build_info, *policy_info;
};

struct scheduler {
	uv_loop_t *loop;
	const struct catalogue *catalogue;
	int64_t ttl_ns, ttl_volumes_ns;

	struct fleet *fleet;
	struct waiting *waiting;
	struct roster *roster;
	struct gangs *gangs;
	bool gangs_rebuilt;                       /* what the process before left was taken up */
	bool gang_line_due;                       /* gangs in line are to be looked at */
	int64_t ungate_after_ns, ungate_pause_ns; /* a gate that nobody means could not be taken away: when again */
	bool gang_tell_due;                       /* refused writes on members are to be sent again, later */
	uint64_t gang_plans;                      /* counts them, for their ids */
	struct gang_objects *gang_objects;
	struct gang_sources gang_sources; /* our pods that have an object of a gang: pending ones, and bound members */
	struct gang_feed *gang_feed;
	struct map wakes;        /* wake-ups that are being written, by their number */
	uint64_t wakes_made;     /* counts them */
	struct map gang_writes;  /* pod UID → the write on that member that is under way */
	struct map gang_news;    /* a gang's key → struct gang_news */
	struct undo *undos;      /* under way */
	uint32_t undo_lists_due; /* kinds whose marked objects are to be listed yet, by bit */
	int64_t undo_lists_ns;   /* no sooner */
	struct undo_listing *undo_listings;
	bool gang_nodes_lost;                              /* a node went away since gangs were looked at */
	struct zone *headroom_zones[POLICY_HEADROOMS_MAX]; /* by the policy's rules */
	struct reserve *reserve;                           /* the forecast under way, or NULL */
	int64_t reserve_after_ns;                          /* no forecast sooner */
	struct runtimes runtimes;
	bool runs_listing; /* the list under way, or to come, is the first since the policy has use for run times */
	struct map runs_unknown; /* pod UID → template: bound pods of that list of which nothing is expected yet */
	struct quarantine quarantine;
	struct keep quarantine_kept;
	bool quarantine_unread; /* what was kept of it is to be read before anything is placed */
	struct repartitions *repartitions;
	struct owners *owners;
	struct volumes *volumes;
	struct policy_file policy;
	struct team_book book;
	struct promises promises;

	struct kube *kube;
	struct kube_watch *nodes, *pods, *jobs;
	struct kube_watch *lease;     /* NULL without one */
	uint32_t pod_list, node_list; /* numbers of the lists under way or done; marks are compared with them */
	int64_t pod_list_began;
	bool nodes_synced, pods_synced;
	char *jobs_missing, *volumes_missing; /* why Jobs, or PersistentVolumes, are not watched, or NULL */

	struct lead lead;
	enum lead_role role;           /* as it was seen last */
	char *identity, *lease_name;   /* lease_name NULL: always active */
	char *beat_name;               /* of berth's own Lease, or NULL */
	bool lease_synced, lease_seen; /* the first list of it is done; the list under way has shown it */
	bool lease_lost;               /* the caller is to be told */
	bool beat_creates;             /* the renewal under way makes it */
	bool nodes_due, pods_due;      /* lists that were asked for as it began to lead are under way */
	bool taken_up;                 /* what the berth before left was taken up */
	void (*lost)(void *ctx);
	void *lost_ctx;

	struct moves *moves;     /* NULL while the policy has none */
	struct signals *signals; /* the same */
	char *moves_name;        /* NAMESPACE/NAME of their ConfigMap */
	bool moves_unread;       /* their records are to be read before anything is placed */

	struct verbs *verbs;
	struct ops *ops;
	struct map binds;                   /* pod UID → struct bind_job */
	struct map hints;                   /* pod UID → the write of its hint that is under way */
	int64_t filter_ns, answered_ns;     /* when filter was called last, and when its answer went out */
	int64_t pass_took_ns;               /* how long kube-scheduler's full passes took of late; 0 = none seen */
	int64_t hint_took_ns, hint_done_ns; /* how long writes of hints took of late, and when the last was done */
	int64_t hint_landed_ns;             /* when the watch showed one last */
	int64_t pace_began_ns, pace_rests_ns;
	struct instruments instruments;

	uv_timer_t wake_timer, sleepers_timer, hint_timer, gang_timer, gang_feed_timer, news_timer, expiry_timer,
	    sweep_timer, lease_timer, beat_timer, quarantine_timer, headroom_timer, move_timer, team_timer,
	    reserve_timer, signal_timer, repartition_timer, pace_timer;
	enum reason wake_cause;
	bool wake_due;

	uint32_t call;            /* numbers the calls whose names were looked up; nodes are marked with it */
	struct node **candidates; /* scratch of one filter call */
	enum reason *verdicts;
	struct wire_refusal *refusals;
	size_t scratch_room;

	unsigned closing; /* handles and listeners still open while stopping */
	bool stopping;
	void (*done)(void *ctx);
	void *done_ctx;
};

static inline bool scheduler_synced(const struct scheduler *s)
{
	return s->nodes_synced && s->pods_synced && !s->quarantine_unread && !s->promises.unread && !s->moves_unread;
}
static inline int64_t scheduler_ttl(const struct scheduler *s, const struct pod *pod)
{
	return pod->slow_binding ? s->ttl_volumes_ns : s->ttl_ns;
}
static inline bool scheduler_owns(const struct pod *pod)
{
	return strcmp(pod->scheduler, SCHEDULER_NAME) == 0;
}
static inline struct kube_pod_ref pod_ref(const struct pod *pod)
{
	return (struct kube_pod_ref){pod->namespace_, pod->name, pod->uid};
}

/* scheduler.c: nodes and pods are listed from the start, with what is known kept meanwhile */
void scheduler_list_anew(struct scheduler *s);
/* Pods alone, for what was not kept of them. */
void scheduler_list_pods(struct scheduler *s);

/* lease.c: active and standby */
/* Looks at the role, and again when time alone may change it. */
void lease_look(struct scheduler *s);
/* Whether writes may go out. The client refuses them else; asking first saves the trouble. */
bool lease_may_write(const struct scheduler *s);
/* A list is done: with all that are due the berth may be active, and takes up what there is. */
void lease_take_up(struct scheduler *s);
void lease_on_timer(uv_timer_t *timer);
/* Its line of /readyz, and its object of /v1/state. */
void lease_line(const struct scheduler *s, struct buf *out);
void lease_write(const struct scheduler *s, struct buf *out);

/* lease_watch.c: the Leases */
/* A flag's NAMESPACE/NAME, both safe to stand in a path; `given` may be NULL. */
BERTH_MUST_CHECK int lease_take_name(const char *flag, const char *given, char **out, struct err *err);
BERTH_MUST_CHECK int lease_init(struct scheduler *s, const struct scheduler_options *options, struct err *err);
void lease_open(struct scheduler *s);
void lease_close(struct scheduler *s);
void lease_on_beat(uv_timer_t *timer);

/* feed.c: the watches' handlers */
extern const struct kube_watch_handlers feed_nodes, feed_pods, feed_volumes;
/* Puts onto a pod what is known by now of the Job that owns it and of its volumes. */
void feed_learn(struct scheduler *s, struct pod *pod);
/* The pod is gone or has ended: nothing of it stays. */
void feed_forget(struct scheduler *s, struct slice uid, enum reason why);

/* filter.c, prioritize.c, preempt.c */
unsigned filter_answer(void *ctx, const struct wire_args *args, struct buf *reply);
unsigned prioritize_answer(void *ctx, const struct wire_args *args, struct buf *reply);
unsigned preempt_answer(void *ctx, const struct wire_preempt *preempt, struct buf *reply);
/* Whether victims of the pod are still on the node where it holds room (`held`, or NULL). */
bool preempt_under_way(const struct scheduler *s, const struct pod *pod, const struct ledger_entry *held);
/* Whether they are, and the pod fits there once they are gone. */
bool preempt_holds(const struct scheduler *s, const struct pod *pod, const struct ledger_entry *held);
/* For a pod that holds no room: kube-scheduler, which has nominated a node for it, offers that node, and the pod fits
 * there but for pods that are ending, its victims of a preemption that this berth knows no more. They are gone already
 * where kube-scheduler looks; the room is held again. */
bool preempt_recall(struct scheduler *s, const struct wire_args *args, const struct pod *pod);

/* bind.c */
void bind_begin(void *ctx, const struct wire_bind *bind, struct verbs_bind *parked);
void bind_gone(void *ctx, struct verbs_bind *parked);
/* The pod was deleted: whoever waits for its Binding is told now. */
void bind_pod_gone(struct scheduler *s, struct slice uid);
/* A call that was parked goes on now, or is answered with an error. */
void bind_let_through(struct scheduler *s, struct slice uid);
void bind_refuse(struct scheduler *s, struct slice uid, enum reason reason);
void bind_close(struct scheduler *s);
/* Whether it can be the name of a pod or a namespace, and so stand in a path. */
bool bind_path_safe(struct slice name);

/* gang.c: the planned road */
#define GANG_GATE "berth.dev/plan"     /* the gate's name, and the annotation's */
#define GANG_COMMIT_NS (30 * NS_PER_S) /* from the plan, or the last member that arrived, until room goes back */
/* The watch shows a pending pod, before the roster's older one is freed. */
void gang_pending(struct scheduler *s, struct tracked *tracked);
/* The pod is in no gang after all, or in another: what it holds as a member goes back. */
void gang_dismiss(struct scheduler *s, struct gang_member *member);
/* The watch shows it bound: true if the pod was taken over. */
bool gang_bound(struct scheduler *s, struct pod *pod);
/* The state of one that is not bound, as the watch shows the pod. */
enum gang_member_state gang_state_shown(const struct gang_member *member, const struct pod *pod);
/* The fleet has been read: what the process before left is taken up. */
void gang_synced(struct scheduler *s);
/* Its room is a gang's: no reservation of it ends on its own. */
bool gang_holds(const struct scheduler *s, const struct ledger_entry *entry);
void gang_soon(struct scheduler *s);
void gang_on_timer(uv_timer_t *timer);
/* Room may have appeared: gangs in line stand before the pods that wait. */
void gang_now(struct scheduler *s);
/* Since when a gang in line has found no room; a team's limit is no want of room. */
int64_t gang_without_room_since(const struct gang *gang, int64_t now);
/* Whether a plan made now could end otherwise than the last. */
bool gang_worth_a_try(const struct scheduler *s, const struct gang *gang);
/* Gated pods that no gang will release, and whose release failed. */
void gang_sweep(struct scheduler *s);

/* gang_object.c: what API objects say of gangs. Whether the pod is in one: sets pod->gang. */
void gang_resolve(const struct scheduler *s, struct pod *pod);
/* The pod is looked at anew when its gang's object changes, until gang_gone. */
void gang_follow(struct scheduler *s, const struct pod *pod);
/* gangs_put, and the gang hears its object. */
struct gang_member *gang_enrol(struct scheduler *s, struct pod *pod, enum gang_member_state state);
void gang_look_again(void *ctx, struct slice uid);

/* gang_feed.c: these objects as the API server has them. Open comes first, start once there is a client. */
void gang_feed_open(struct scheduler *s);
void gang_feed_start(struct scheduler *s);
void gang_feed_free(struct scheduler *s);
void gang_feed_on_timer(uv_timer_t *timer);
/* Every kind is listed or known not to be there, or was waited for long enough. */
bool gang_feed_synced(const struct scheduler *s);
/* Lines of /readyz. */
void gang_feed_report(const struct scheduler *s, struct buf *out);
/* Why nothing is known of objects of the kind, or NULL. */
const char *gang_feed_trouble(const struct scheduler *s, enum gang_object object);
void gang_enter(struct scheduler *s, struct gang *gang, enum gang_state state);
/* All that is reserved goes back, and who waits for a Binding is refused. */
void gang_let_go(struct scheduler *s, struct gang *gang);

/* gang_loss.c: members that end, nodes that go */
/* The pod has ended or is gone: called while the ledger still has its room. */
void gang_gone(struct scheduler *s, struct slice uid);
/* A bound one is being deleted, or is gone. */
void gang_leaves(struct scheduler *s, const struct gang_member *member);
/* It has ended; true if the pod was taken over: one that ended well stands for its part of the gang's work. */
bool gang_ended(struct scheduler *s, struct pod *pod);
/* A finished list did not show what was not marked with its number. */
void gang_forget_unseen(struct scheduler *s);
/* A node is gone. */
void gang_node_lost(struct scheduler *s);
/* Looks for members whose node is gone. */
void gang_check_nodes(struct scheduler *s);
/* What stays of a gang that was whole, for the next process: a mark on some members. */
void gang_mark_whole(struct scheduler *s, struct gang *gang);
bool gang_was_whole(const struct gang *gang);

/* gang_refused.c: nodes that kube-scheduler does not take for a member */
/* Its plan is written now: what was said of it before does not count. */
void gang_refused_begin(struct gang_member *member);
/* The watch shows the pod. */
void gang_refused_look(struct scheduler *s, struct gang_member *member);
void gang_refused(struct scheduler *s, struct gang_member *member, const char *node);
/* The gang gives up: whoever was found no node for did not get the planned one. */
void gang_refused_all(struct scheduler *s, struct gang *gang);
bool gang_refused_any(const struct gang *gang);
void gang_refused_forgive(struct gang *gang, int64_t now);

/* gang_hold.c: gangs that starve get nodes kept free */
void gang_hold(struct scheduler *s, int64_t now);
/* Keeps the nodes free for the gang; the hold's place, or HOLDS_MAX. */
size_t gang_hold_begin(struct scheduler *s, struct gang *gang, struct node *const *nodes, size_t count);

/* gang_promise.c: promised starts outlive the process */
/* Before anything is placed or taken up: what was promised is read. True: lease_take_up is called again once it is. */
bool promises_take_up(struct scheduler *s);
/* The policy may reserve from now on: what another process has promised is read. */
void promises_policy(struct scheduler *s);
/* Whether nodes are held for a gang that is not in line yet, as the process before had promised it. */
bool promise_awaits(const struct scheduler *s, const char *key);
/* A promise is made, has other nodes, or is over. */
void promises_changed(struct scheduler *s);
/* True: to be called again soon. */
bool promises_tick(struct scheduler *s);
void promises_line(const struct scheduler *s, struct buf *out);
void promises_close(struct scheduler *s);

/* gang_reserve.c: the first gang in line is promised a start, and its nodes are kept from then on */
/* Gangs stand in line. */
void gang_reserve(struct scheduler *s);
void gang_reserve_on_timer(uv_timer_t *timer);
/* Nodes are held no more: it is the next one's turn. */
void gang_reserve_again(struct scheduler *s);
/* Another policy is about to be in force. */
void gang_reserve_drop(struct scheduler *s);
/* A pending pod is shown anew; true where a forecast goes by the older one yet, and frees it. */
bool gang_reserve_keeps(struct scheduler *s, struct pod *old);
/* A pod goes, or is bound: a forecast that looks at it is dropped. */
void gang_reserve_changes(struct scheduler *s, struct slice uid);
/* The gang is whole: how honest its promise was. */
void gang_reserve_started(struct scheduler *s, struct gang *gang);
/* Its start as members of a JSON object, or nothing where its class has no reservations. */
void gang_reserve_write(const struct scheduler *s, const struct gang *gang, struct buf *out);

/* The promise, as the rest of a line. */
void gang_reserve_line(const struct gang *gang, struct buf *out);
/* What would let the pod before the gangs that nodes are held for; false: nothing. */
bool gang_reserve_help(const struct scheduler *s, const struct pod *pod, struct buf *line);

/* runs.c: how long pods are expected to run, while the policy has reservations */
/* Puts it onto the pod. */
void runs_expect(struct scheduler *s, struct pod *pod);
/* The watch shows it bound, or ended: before its entry goes. */
void runs_bound(struct scheduler *s, struct pod *pod, struct ledger_entry *entry);
void runs_ended(struct scheduler *s, struct pod *pod);
/* Another policy is in force; `before`: the last one had use for run times, too. */
void runs_policy(struct scheduler *s, bool before);
/* A list is done: what it taught holds for all that it showed. */
void runs_listed(struct scheduler *s);
void runs_close(struct scheduler *s);

/* headroom.c: GPUs kept free for a class */
/* Windows by the clock, and nodes where the choice is due; at once where it must not wait for the timer. */
void headroom_look(struct scheduler *s);
void headroom_on_timer(uv_timer_t *timer);
void headroom_rules_changed(struct scheduler *s);
void headroom_close(struct scheduler *s);
/* A list for JSON. */
void headroom_write(const struct scheduler *s, struct buf *out);
/* Whether the rule keeps GPUs from pods of the class, how many, and the line that says so. */
bool headroom_keeps_from(const struct scheduler *s, const struct policy_class *class_, size_t i, int64_t *gpus);
void headroom_line(const struct scheduler *s, size_t i, int64_t gpus, struct buf *out);

/* signal*.c: what says that a class has load. Nothing is watched or asked while the policy names no signal. */
/* Another policy is in force; the one before, or NULL, is still there. */
void signals_policy(struct scheduler *s, const struct policy *before);
/* What followed signals before that say the same by both policies goes on. */
void signals_keep_follows(
    struct scheduler *s, const struct policy *before, const struct signal_follow follows[POLICY_HEADROOMS_MAX]);
/* There is a client. */
void signals_start(struct scheduler *s);
/* The watch shows a pod of ours that has not ended; one is gone. */
void signals_saw(struct scheduler *s, const struct pod *pod);
void signals_gone(struct scheduler *s, struct slice uid);
/* All pods were shown. */
void signals_listed(struct scheduler *s);
/* Reads what there is to read, and headroom follows. */
void signals_look(struct scheduler *s);
/* Floors by what was read: before each choice of nodes, for they go by what classes use, too. */
void signals_follow(struct scheduler *s);
void signals_on_timer(uv_timer_t *timer);
/* Whether no signal of the class says that its peak is on, or has said so for so long. */
bool signals_calm(const struct scheduler *s, const char *class_name, int64_t for_ns);
void signals_close(struct scheduler *s);
/* Lines of /readyz, a list for JSON, and the metrics; which of them a rule of headroom follows, as a member. */
void signals_report(const struct scheduler *s, struct buf *out);
void signals_write(const struct scheduler *s, struct buf *out);
void signals_gather(struct scheduler *s);
void signals_write_follow(const struct scheduler *s, size_t rule, struct buf *out);

/* node_event.c: an Event on a node */
void node_tell(
    struct scheduler *s, const char *node, const char *action, const char *type, const char *reason, const char *note);

/* quarantine.c: nodes that pods do not start on. Open comes once there is a client. */
void quarantine_open(struct scheduler *s);
/* What another berth kept meanwhile is taken up, too. */
void quarantine_read(struct scheduler *s);
void quarantine_on_timer(uv_timer_t *timer);
/* The watch shows them; a pod before it is taken over. */
void quarantine_pod(struct scheduler *s, struct pod *pod);
void quarantine_node_seen(struct scheduler *s, struct node *node);
void quarantine_node_gone(struct scheduler *s, const char *name);
/* For another reason than failed starts, unless the policy knows no quarantine. */
void quarantine_impose(struct scheduler *s, const char *name, const char *why);
void quarantine_nodes_listed(struct scheduler *s);
void quarantine_rules_changed(struct scheduler *s);
void quarantine_tick(struct scheduler *s);
void quarantine_close(struct scheduler *s);
/* Its lines of /readyz, and a list for JSON. */
void quarantine_line(const struct scheduler *s, struct buf *out);
void quarantine_write(const struct scheduler *s, struct buf *out);

/* repartition.c: GPUs cut into MIG slices where such are short, and made whole again */
void repartition_open(struct scheduler *s);
void repartition_close(struct scheduler *s);
/* The watch shows them. */
void repartition_node_seen(struct scheduler *s, struct node *node);
void repartition_node_gone(struct scheduler *s, const char *name);
/* A pod found no room, as berth or kube-scheduler says. */
void repartition_want(struct scheduler *s, const struct pod *pod);
void repartition_want_gang(struct scheduler *s, const struct gang *gang);
/* Something changed that is looked at. */
void repartition_soon(struct scheduler *s);
void repartition_on_timer(uv_timer_t *timer);
/* repartition_show.c: its line of /readyz, a list for JSON, and of the nodes that are to give what the pod asks for a
 * line each. */
void repartition_line(const struct scheduler *s, struct buf *out);
void repartition_write_all(const struct scheduler *s, struct buf *out);
void repartition_help(
    const struct scheduler *s, const struct pod *pod, void (*say)(void *ctx, struct buf *line), void *ctx);

/* gang_undo.c */
void gang_undo(struct scheduler *s, struct gang *gang);
/* After the first list: what the process before suspended is resumed. */
void gang_undo_take_up(struct scheduler *s);
void gang_undo_tick(struct scheduler *s);
bool gang_undo_busy(const struct scheduler *s);
void gang_undo_close(struct scheduler *s);

/* move*.c: GPUs taken from units of work for pods that wait, and given back */
void moves_open(struct scheduler *s);
/* There is a client. */
void moves_start(struct scheduler *s);
/* Another policy is in force. */
void moves_policy(struct scheduler *s);
/* Something changed that they may wait for. */
void moves_soon(struct scheduler *s);
/* Before anything is placed: what moves hold is read. True: lease_take_up is called again once it is. */
bool moves_take_up(struct scheduler *s);
/* A pod found no room, as berth or kube-scheduler says. */
void moves_want(struct scheduler *s, const struct pod *pod);
/* A pod of anybody's is bound; one is gone. */
void moves_saw(struct scheduler *s, const struct pod *pod);
void moves_gone(struct scheduler *s, struct slice uid);
/* What is known of a pending pod changes, or it goes: a search that looks at it is dropped. */
void moves_changes(struct scheduler *s, struct slice uid);
/* The policy changes: so does every search. */
void moves_drop_search(struct scheduler *s);
/* The same of a gang in line. */
void moves_want_gang(struct scheduler *s, const struct gang *gang);
/* The member's room has gone back: a move that is made for it holds it again. */
void moves_hold_member(struct scheduler *s, const struct gang_member *member);
/* Whether room is held for the pod by a move. */
bool moves_hold(const struct scheduler *s, const char *uid);
/* Whether pods are preempted by moves alone. */
bool moves_act(const struct scheduler *s);
/* A pod of a unit that returns is seen: it gets room that is held for it. */
void moves_returning(struct scheduler *s, struct tracked *tracked);
/* A gang is to be planned: room that is held for its return is free meanwhile. */
void moves_let_in(struct scheduler *s, const struct gang *gang);
/* An object that bears the mark of a move was found at the start. */
struct suspend_kind;
struct suspend_object;
void moves_found(struct scheduler *s, const struct suspend_kind *kind, const struct suspend_object *object);
void moves_on_timer(uv_timer_t *timer);
void moves_answer(void *ctx, struct buf *out);
/* Of one pod: `,"move":"…"` where a move is made for it or ends it, or none is. */
void moves_explain(const struct scheduler *s, const struct pod *waiting, const char *uid, struct buf *out);
void moves_close(struct scheduler *s);

/* Members made in the place of those that moves have ended are away from the gang, others are not. */
void moves_hold_back(struct scheduler *s, struct gang *gang);
/* Gangs are known, and about to be filled; the records of moves may not have been read. */
void moves_rebuilt(struct scheduler *s);

/* gang_call.c: its verbs. filter takes the pod over, and returns the HTTP status. */
unsigned gang_filter(struct scheduler *s, const struct wire_args *args, struct pod *pod, struct buf *reply);
/* FITS: the Binding may go out at once; else parked (*parked) or the reason to refuse. */
enum reason gang_bind(struct scheduler *s, const struct pod *pod, const char *node, bool *parked);
/* The call of a member is answered. */
void gang_bind_ended(struct scheduler *s, struct slice uid, bool bound);

const struct policy_class *gang_class(const struct scheduler *s, const struct gang *gang);

/* gang_ask.c. The level of which all members stand in one domain: an index, TOPOLOGY_HOST, or -1 for none. */
int gang_level(const struct scheduler *s, const struct gang *gang);

/* gang_plan.c: room for all, or for those that have none yet */
/* With `claims` only within what its team is guaranteed; a failure then says nothing yet. What became free since
 * `before` was tried is that gang's first; NULL: there is none. */
bool gang_plan(struct scheduler *s, struct gang *gang, bool claims, const struct gang *before);
bool gang_fill(struct scheduler *s, struct gang *gang);
/* After a start: the places that the annotations name, if there is room for all of them. */
bool gang_restore(struct scheduler *s, struct gang *gang);
void gang_unplace(struct scheduler *s, struct gang_member *member);
/* The room of a member that is gone is kept for its replacement. */
void gang_make_hole(struct scheduler *s, const struct gang_member *member);
void gang_drop_holes(struct scheduler *s, struct gang *gang);

/* What a gang in line lacks, as further members of a JSON object. */
void gang_explain(struct scheduler *s, const struct gang *gang, struct buf *out);

/* gang_show.c: a gang as members of a JSON object, and all of them as a list's items */
enum reason gang_why(const struct gang *gang);
void gang_write(const struct scheduler *s, const struct gang *gang, struct buf *out);
void gang_write_all(const struct scheduler *s, struct buf *out);
/* For explain, as further members: each of its pods, where they stand, which deadlines run. */
void gang_write_members(const struct scheduler *s, const struct gang *gang, struct buf *out);
/* The same of a plan that failed: the best domain of each level, and what blocks. */
struct plan_request;
struct plan;
void gang_write_shortage(
    const struct scheduler *s, const struct plan_request *request, const struct plan *plan, struct buf *out);
/* gang_ranks.c: a member's rank, -1 = not known; of pointers to members, by rank, then by name */
#define GANG_RANKS_TEXT_MAX 128
int32_t gang_rank_of(const struct gang_member *member);
int gang_by_rank(const void *a, const void *b);
/* The member by which people know the gang: of the lowest rank, then by name. NULL of one without members. */
struct gang_member *gang_first_member(const struct gang *gang);
/* "3, 5-7": the ranks that nobody has of a gang that members are missing of; false: not known, and nothing is written.
 */
bool gang_missing_ranks(const struct gang *gang, struct buf *out);

/* The object that tells its size, and why it does not: `error` may come out NULL. NULL where only pods say it. */
const char *gang_source_kind(const struct scheduler *s, const struct gang *gang, const char **name, const char **error);
/* Members of a sub-group that are there. */
size_t gang_group_present(const struct gang *gang, const struct gang_group_terms *group);
/* Where all that have a place stand: the name of the narrowest level with one domain for them ("host", …, "fleet") and
 * that domain's, or ""; NULL where none has a place. */
const char *gang_within(const struct scheduler *s, const struct gang *gang, char *domain, size_t size);
/* Those without a plan: first the ones in line, in their order, then those that members are missing of; to be freed. */
struct gang **gang_line_up(const struct scheduler *s, size_t *count);

/* gang_news.c: what people are told unasked */
void gang_news_entered(struct scheduler *s, const struct gang *gang, enum gang_state from);
/* A plan failed; without the plan where nothing could be asked for. */
struct gang_asking;
void gang_news_shortage(struct scheduler *s, const struct gang *gang, enum reason why, const struct gang_asking *asking,
    const struct plan *plan);
void gang_news_on_timer(uv_timer_t *timer);
void gang_news_close(struct scheduler *s);

/* gang_tell.c: the writes on members */
/* Writes the line onto a gated pod, which wakes nobody. False: another write is under way. */
bool gang_say(struct scheduler *s, const struct pod *pod, const char *line);
void gang_tell(struct scheduler *s, struct gang_member *member);
/* The nomination stands, or could not be written. */
/* Sends again what was refused, if it is time. */
void gang_tell_again(struct scheduler *s, struct gang *gang, int64_t now);
void gang_nominated(struct scheduler *s, struct tracked *tracked);
/* Takes berth's gate from a pod that is not planned. */
void gang_ungate(struct scheduler *s, const struct pod *pod);
/* The node that the plan on the pod names, in `node`, and its plan's id; false where it has none that can be read. */
bool gang_plan_read(const char *text, char *node, size_t node_size, char *plan, size_t plan_size);
void gang_close(struct scheduler *s);

/* annotation.c: the Binding's annotations, a JSON object */
void annotation_write(
    const struct scheduler *s, const struct pod *pod, const struct ledger_entry *entry, struct buf *out);
/* The other way, for explain: `,"decision":{…}`, or nothing where the text is not of version 1. */
void annotation_show(const struct scheduler *s, const char *decision, struct buf *out);

/* wake.c */
/* Something changed in pods' favour: the nodes are in the fleet's chain. */
void wake_soon(struct scheduler *s, enum reason cause);
void wake_on_timer(uv_timer_t *timer);
/* Does at once what is due, if anything is. */
void wake_now(struct scheduler *s);
void wake_close(struct scheduler *s);
/* The pod was rejected for a gang that it is not in, or nobody asked about it yet. */
void wake_single(struct scheduler *s, struct tracked *tracked);
/* After the first list: pods that nobody asks about were rejected before this process began. */
void wake_sleepers_later(struct scheduler *s);

/* hint.c */
#define HINT_BACKLOG_MIN 4 /* fewer are served by the direct road as fast */
#define HINT_FLEET_MIN 500 /* nodes: in smaller ones a full pass costs no more than a hint */
#define HINTS_IN_FLIGHT 32 /* writes at a time: creations and Bindings share the way */
void hint_soon(struct scheduler *s);
void hint_on_timer(uv_timer_t *timer);
/* Writes the nomination, unless it stands; gang_nominated hears of its end. False: it stands already. */
bool hint_nominate(struct scheduler *s, struct tracked *tracked, const char *node);
/* The watch has shown the pod anew. */
void hint_seen(struct scheduler *s, struct tracked *tracked);
/* kube-scheduler asks about the pod with many names: a full pass. */
void hint_saw_pass(struct scheduler *s, const struct pod *pod);
/* Whether some of the backlog are about to be hinted. */
bool hint_is_coming(const struct scheduler *s);
/* Takes back the hints of pods that stand behind this one by priority; true if there were any. They get new ones. */
bool hint_make_way(struct scheduler *s, const struct pod *pod);
/* The room hinted is held no more: the hint on the pod, if it has one, is taken back. */
void hint_withdraw(struct scheduler *s, struct tracked *tracked);
/* Somebody else nominates for the pod from now on. */
void hint_leave(struct scheduler *s, struct tracked *tracked);
/* After the first list: nominations that berth's last process wrote are berth's to take back. kube-scheduler itself
 * nominates where it preempts, so those of pods that may preempt are left to it. */
void hint_adopt(struct scheduler *s);
/* What was under way is never answered. */
void hint_close(struct scheduler *s);

/* pace.c: whether filter's answer waits for the next in line's hint */
bool pace_holds(void *ctx);
/* Something has become of a hint. */
void pace_look(struct scheduler *s);
void pace_on_timer(uv_timer_t *timer);

/* expire.c: reservations that ran out, and pods that only a filter call ever showed */
void expire_soon(struct scheduler *s);
void expire_on_timer(uv_timer_t *timer);
void sweep_on_timer(uv_timer_t *timer);

/* reload.c */
int reload_first(struct scheduler *s, const char *path, struct err *err);
void reload_on_timer(uv_timer_t *timer);
void reload_close(struct scheduler *s);

/* help.c: the member "help" of an explanation, a list of lines */
void help_write(const struct scheduler *s, const struct pod *pod, const struct decision *decision,
    const struct shortage *shortage, struct buf *out);

/* report.c, status.c, queue.c, explain.c, gauges.c: the ops listener's answers */
bool report_ready(void *ctx, struct buf *out);
void report_state(void *ctx, struct buf *out);
void status_answer(void *ctx, struct buf *out);
void queue_answer(void *ctx, struct buf *out);
unsigned explain_answer(void *ctx, const char *pod, struct buf *out);
void instruments_open(struct instruments *instruments);
void instruments_print(void *ctx, struct buf *out);
void instruments_answered(void *ctx, const char *verb, unsigned status, int64_t took_ns);

#endif
