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
#include "scheduler/gang/source.h"
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
	int64_t mark_after_ns; /* the mark of a whole gang was refused: when it is written again; 0 = it was not */
	uint64_t gang_plans;   /* counts them, for their ids */
	struct gang_objects *gang_objects;
	struct gang_sources gang_sources; /* our pods that have an object of a gang: pending ones, and bound members */
	struct gang_feed *gang_feed;
	struct map wakes;        /* wake-ups that are being written, by their number */
	uint64_t wakes_made;     /* counts them */
	struct map gang_writes;  /* pod UID → the write on that member that is under way */
	struct map gang_news;    /* a gang's key → struct gang_news */
	struct undo *undos;      /* under way */
	uint32_t undo_lists_due; /* kinds whose marked objects are to be listed yet, by bit */
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
	int64_t followed_ns;                /* when kube-scheduler followed one last; 0 = there was a full pass since */
	int64_t arrived_ns;                 /* when the watch showed a pod of the backlog last */
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

/* annotation.c: the Binding's annotations, a JSON object */
void annotation_write(
    const struct scheduler *s, const struct pod *pod, const struct ledger_entry *entry, struct buf *out);
/* The other way, for explain: `,"decision":{…}`, or nothing where the text is not of version 1. */
void annotation_show(const struct scheduler *s, const char *decision, struct buf *out);

/* wake.c */
#define WAKES_PER_PASS 100 /* with the interval between passes: at most 2,000 PATCHes a second */
/* Something changed in pods' favour: the nodes are in the fleet's chain. */
void wake_soon(struct scheduler *s, enum reason cause);
void wake_on_timer(uv_timer_t *timer);
/* `"berth.dev/wake":"CAUSE/NUMBER"`, and counts it: another number than that on the pod, or the PATCH wakes nobody. */
void wake_annotation(struct scheduler *s, enum reason cause, uint64_t number, struct buf *out);
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
/* It asks about a pod with the hinted name alone. */
void hint_was_followed(struct scheduler *s);
/* Hint follows hint: pods come one by one, about as fast as they are placed. */
bool hint_streams(const struct scheduler *s);
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
