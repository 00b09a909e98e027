/* What the files of gangs share, file by file. */
#ifndef SCHEDULER_GANG_INTERNAL_H
#define SCHEDULER_GANG_INTERNAL_H

#include "scheduler/gang/gang.h"

#define GANG_GATE "berth.dev/plan" /* the gate's name, and the annotation's */
#define GANG_RANKS_TEXT_MAX 128

struct gang_asking;
struct plan_request;
struct plan;

/* gang.c: the steps of core/gangs */
void gang_enter(struct scheduler *s, struct gang *gang, enum gang_state state);
/* All that is reserved goes back, and who waits for a Binding is refused. */
void gang_let_go(struct scheduler *s, struct gang *gang);
/* The pod is in no gang after all, or in another: what it holds as a member goes back. */
void gang_dismiss(struct scheduler *s, struct gang_member *member);
/* Whether a plan made now could end otherwise than the last. */
bool gang_worth_a_try(const struct scheduler *s, const struct gang *gang);
void gang_on_timer(uv_timer_t *timer);

/* object.c: what API objects say of gangs */
/* The pod is looked at anew when its gang's object changes, until gang_gone. */
void gang_follow(struct scheduler *s, const struct pod *pod);
/* gangs_put, and the gang hears its object. */
struct gang_member *gang_enrol(struct scheduler *s, struct pod *pod, enum gang_member_state state);
void gang_look_again(void *ctx, struct slice uid);

/* feed.c: these objects as the API server has them */
/* Every kind is listed or known not to be there, or was waited for long enough. */
bool gang_feed_synced(const struct scheduler *s);
/* Why nothing is known of objects of the kind, or NULL. */
const char *gang_feed_trouble(const struct scheduler *s, enum gang_object object);
void gang_feed_on_timer(uv_timer_t *timer);

/* ask.c. The level of which all members stand in one domain: an index, TOPOLOGY_HOST, or -1 for none. */
int gang_level(const struct scheduler *s, const struct gang *gang);

/* plan.c: room for all */
/* With `claims` only within what its team is guaranteed; a failure then says nothing yet. What became free since
 * `before` was tried is that gang's first; NULL: there is none. */
bool gang_plan(struct scheduler *s, struct gang *gang, bool claims, const struct gang *before);
/* After a start: the places that the annotations name, if there is room for all of them. */
bool gang_restore(struct scheduler *s, struct gang *gang);
void gang_unplace(struct scheduler *s, struct gang_member *member);
/* The room of a member that is gone is kept for its replacement. */
void gang_make_hole(struct scheduler *s, const struct gang_member *member);
void gang_drop_holes(struct scheduler *s, struct gang *gang);

/* tell.c: the writes on members */
void gang_tell(struct scheduler *s, struct gang_member *member);
/* Sends again what was refused, if it is time. */
void gang_tell_again(struct scheduler *s, struct gang *gang, int64_t now);
/* Takes berth's gate from a pod that is not planned. */
void gang_ungate(struct scheduler *s, const struct pod *pod);
/* The node that the plan on the pod names, in `node`, and its plan's id; false where it has none that can be read. */
bool gang_plan_read(const char *text, char *node, size_t node_size, char *plan, size_t plan_size);

/* refused.c: nodes that kube-scheduler does not take for a member */
/* Its plan is written now: what was said of it before does not count. */
void gang_refused_begin(struct gang_member *member);
/* The watch shows the pod. */
void gang_refused_look(struct scheduler *s, struct gang_member *member);
void gang_refused(struct scheduler *s, struct gang_member *member, const char *node);
/* The gang gives up: whoever was found no node for did not get the planned one. */
void gang_refused_all(struct scheduler *s, struct gang *gang);
bool gang_refused_any(const struct gang *gang);
void gang_refused_forgive(struct gang *gang, int64_t now);

/* loss.c: members that end, nodes that go */
/* A bound one is being deleted, or is gone. */
void gang_leaves(struct scheduler *s, const struct gang_member *member);
/* Looks for members whose node is gone. */
void gang_check_nodes(struct scheduler *s);
/* What stays of a gang that was whole, for the next process: a mark on some members. */
void gang_mark_whole(struct scheduler *s, struct gang *gang);
/* Once more where the API server refused it, if it is time. */
void gang_mark_again(struct scheduler *s, int64_t now);
bool gang_was_whole(const struct gang *gang);

/* undo.c: commits that cannot be finished */
void gang_undo(struct scheduler *s, struct gang *gang);
/* After the first list: what the process before suspended is resumed. */
void gang_undo_take_up(struct scheduler *s);
void gang_undo_tick(struct scheduler *s);
bool gang_undo_busy(const struct scheduler *s);

/* hold.c: gangs that starve get nodes kept free */
void gang_hold(struct scheduler *s, int64_t now);
/* Keeps the nodes free for the gang; the hold's place, or HOLDS_MAX. */
size_t gang_hold_begin(struct scheduler *s, struct gang *gang, struct node *const *nodes, size_t count);

/* reserve.c: the first gang in line is promised a start, and its nodes are kept from then on */
/* Gangs stand in line. */
void gang_reserve(struct scheduler *s);
/* Nodes are held no more: it is the next one's turn. */
void gang_reserve_again(struct scheduler *s);
/* The gang is whole: how honest its promise was. */
void gang_reserve_started(struct scheduler *s, struct gang *gang);
/* The promise, as the rest of a line. */
void gang_reserve_line(const struct gang *gang, struct buf *out);
void gang_reserve_on_timer(uv_timer_t *timer);

/* promise.c: promised starts outlive the process */
/* Whether nodes are held for a gang that is not in line yet, as the process before had promised it. */
bool promise_awaits(const struct scheduler *s, const char *key);
/* A promise is made, has other nodes, or is over. */
void promises_changed(struct scheduler *s);
/* True: to be called again soon. */
bool promises_tick(struct scheduler *s);

/* ranks.c */
/* -1 = not known. */
int32_t gang_rank_of(const struct gang_member *member);
/* "3, 5-7": the ranks that nobody has of a gang that members are missing of; false: not known, and nothing is written.
 */
bool gang_missing_ranks(const struct gang *gang, struct buf *out);

/* show.c */
/* Of a plan that failed, as further members of a JSON object: the best domain of each level, and what blocks. */
void gang_write_shortage(
    const struct scheduler *s, const struct plan_request *request, const struct plan *plan, struct buf *out);
/* The object that tells its size, and why it does not: `error` may come out NULL. NULL where only pods say it. */
const char *gang_source_kind(const struct scheduler *s, const struct gang *gang, const char **name, const char **error);
/* Members of a sub-group that are there. */
size_t gang_group_present(const struct gang *gang, const struct gang_group_terms *group);
/* Where all that have a place stand: the name of the narrowest level with one domain for them ("host", …, "fleet") and
 * that domain's, or ""; NULL where none has a place. */
const char *gang_within(const struct scheduler *s, const struct gang *gang, char *domain, size_t size);

/* news.c: what people are told unasked */
void gang_news_entered(struct scheduler *s, const struct gang *gang, enum gang_state from);
/* A plan failed; without the plan where nothing could be asked for. */
void gang_news_shortage(struct scheduler *s, const struct gang *gang, enum reason why, const struct gang_asking *asking,
    const struct plan *plan);

#endif
