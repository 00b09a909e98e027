/* The planned road of gangs, and undos: what the other rooms call. */
#ifndef SCHEDULER_GANG_GANG_H
#define SCHEDULER_GANG_GANG_H

#include "scheduler/internal.h"

#define GANG_COMMIT_NS (30 * NS_PER_S) /* from the plan, or the last member that arrived, until room goes back */

/* --- what the watches show --- */

/* A pending pod, before the roster's older one is freed. */
void gang_pending(struct scheduler *s, struct tracked *tracked);
/* A bound one: true if the pod was taken over. */
bool gang_bound(struct scheduler *s, struct pod *pod);
/* It has ended; true if the pod was taken over: one that ended well stands for its part of the gang's work. */
bool gang_ended(struct scheduler *s, struct pod *pod);
/* It has ended or is gone: called while the ledger still has its room. */
void gang_gone(struct scheduler *s, struct slice uid);
/* A finished list did not show what was not marked with its number. */
void gang_forget_unseen(struct scheduler *s);
/* A node is gone. */
void gang_node_lost(struct scheduler *s);
/* The fleet has been read: what the process before left is taken up. */
void gang_synced(struct scheduler *s);
/* That has not come yet, and there are gangs: the room that they were promised is not known. */
bool gang_unread(const struct scheduler *s);
/* Whether the pod is in a gang, by what API objects say, too: sets pod->gang. */
void gang_resolve(const struct scheduler *s, struct pod *pod);
/* The state of a member that is not bound. */
enum gang_member_state gang_state_shown(const struct gang_member *member, const struct pod *pod);

/* feed.c: the objects that tell sizes. Open comes first, start once there is a client. */
void gang_feed_open(struct scheduler *s);
void gang_feed_start(struct scheduler *s);
void gang_feed_free(struct scheduler *s);

/* --- the verbs, for members --- */

/* Takes the pod over, and returns the HTTP status. */
unsigned gang_filter(struct scheduler *s, const struct wire_args *args, struct pod *pod, struct buf *reply);
/* FITS: the Binding may go out at once; else parked (*parked) or the reason to refuse. */
enum reason gang_bind(struct scheduler *s, const struct pod *pod, const char *node, bool *parked);
/* The call of a member is answered. */
void gang_bind_ended(struct scheduler *s, struct slice uid, bool bound);
/* The nomination stands, or could not be written. */
void gang_nominated(struct scheduler *s, struct tracked *tracked);

/* --- the line --- */

/* Something changed: gangs are looked at soon. */
void gang_soon(struct scheduler *s);
/* Room may have appeared: gangs in line stand before the pods that wait. */
void gang_now(struct scheduler *s);
/* The member of the annotations' object that says where the plan has it: what tells a pod, and stands in its Binding.
 */
void gang_plan_member(const struct gang_member *member, const char *node, struct buf *out);
/* Those without a plan: first the ones in line, in their order, then those that members are missing of; to be freed. */
struct gang **gang_line_up(const struct scheduler *s, size_t *count);
/* Since when a gang in line has found no room; a team's limit is no want of room. */
int64_t gang_without_room_since(const struct gang *gang, int64_t now);
/* Room for the members that have none yet. */
bool gang_fill(struct scheduler *s, struct gang *gang);
/* Its room is a gang's: no reservation of it ends on its own. */
bool gang_holds(const struct scheduler *s, const struct ledger_entry *entry);
/* Gated pods that no gang will release, and whose release failed. */
void gang_sweep(struct scheduler *s);

/* --- of one gang --- */

/* Another policy is in force: classes stand in another order. */
void gang_policy(struct scheduler *s);
const struct policy_class *gang_class(const struct scheduler *s, const struct gang *gang);
/* Of pointers to members: by rank, then by name. */
int gang_by_rank(const void *a, const void *b);
/* The member by which people know the gang: of the lowest rank, then by name. NULL of one without members. */
struct gang_member *gang_first_member(const struct gang *gang);
/* Writes the line onto a gated pod, which wakes nobody. False: another write is under way. */
bool gang_say(struct scheduler *s, const struct pod *pod, const char *line);

/* --- promised starts --- */

/* Before anything is placed or taken up: what was promised is read. True: lease_take_up is called again once it is. */
bool promises_take_up(struct scheduler *s);
/* The policy may reserve from now on: what another process has promised is read. */
void promises_policy(struct scheduler *s);
void promises_close(struct scheduler *s);
/* Another policy is about to be in force. */
void gang_reserve_drop(struct scheduler *s);
/* A pending pod is shown anew; true where a forecast goes by the older one yet, and frees it. */
bool gang_reserve_keeps(struct scheduler *s, struct pod *old);
/* A pod goes, or is bound: a forecast that looks at it is dropped. */
void gang_reserve_changes(struct scheduler *s, struct slice uid);

/* --- what is shown --- */

/* Lines of /readyz. */
void gang_feed_report(const struct scheduler *s, struct buf *out);
void promises_line(const struct scheduler *s, struct buf *out);
/* Why it waits. Of one that is planned, or further, it says nothing. */
enum reason gang_why(const struct gang *gang);
/* A gang as members of a JSON object, and all of them as a list's items. */
void gang_write(const struct scheduler *s, const struct gang *gang, struct buf *out);
void gang_write_all(const struct scheduler *s, struct buf *out);
/* For explain, as further members: each of its pods, where they stand, which deadlines run; what one in line lacks. */
void gang_write_members(const struct scheduler *s, const struct gang *gang, struct buf *out);
void gang_explain(struct scheduler *s, const struct gang *gang, struct buf *out);
/* The promised start as members of a JSON object, or nothing where its class has no reservations. */
void gang_reserve_write(const struct scheduler *s, const struct gang *gang, struct buf *out);
/* What would let the pod before the gangs that nodes are held for; false: nothing. */
bool gang_reserve_help(const struct scheduler *s, const struct pod *pod, struct buf *line);

/* news.c: what people are told unasked */
void gang_news_on_timer(uv_timer_t *timer);
void gang_news_close(struct scheduler *s);

/* Writes, and undos, that are under way are never answered. */
void gang_close(struct scheduler *s);
void gang_undo_close(struct scheduler *s);

#endif
