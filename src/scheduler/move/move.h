/* GPUs taken from units of work for pods that wait, and given back: what the other rooms call. */
#ifndef SCHEDULER_MOVE_MOVE_H
#define SCHEDULER_MOVE_MOVE_H

#include "berth/repartition.h"
#include "scheduler/internal.h"

struct repartition_node;
struct suspend_kind;
struct suspend_object;

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
/* Whether nodes are to be held by that word, for a unit that waits to return. */
bool moves_close_nodes(const struct scheduler *s, const char *key);
/* An object that bears the mark of a move was found at the start. */
void moves_found(struct scheduler *s, const struct suspend_kind *kind, const struct suspend_object *object);
void moves_answer(void *ctx, struct buf *out);
/* Of one pod: `,"move":"…"` where a move is made for it or ends it, or none is. */
void moves_explain(const struct scheduler *s, const struct pod *waiting, const char *uid, struct buf *out);
void moves_close(struct scheduler *s);
/* Members made in the place of those that moves have ended are away from the gang, others are not. */
void moves_hold_back(struct scheduler *s, struct gang *gang);
/* Gangs are known, and about to be filled; the records of moves may not have been read. */
void moves_rebuilt(struct scheduler *s);

/* node.c: moves that empty a node for slices */
/* What the demand goes by for which a node is emptied: of the pods of that owner, or of that pod. To be freed. */
char *move_node_demand(const char *uid);
enum repartition_mover move_node_mover(const struct scheduler *s, const char *move);
/* It shows what it is to give: room is held there for those it was emptied for. */
void move_node_shows(struct scheduler *s, const struct repartition_node *noted);
/* Nodes of the pool that moves are to empty and that bear no record yet; or, `observed`, that moves would empty. */
size_t move_node_coming(const struct scheduler *s, uint16_t pool, bool observed);
/* Whether a move holds, or makes, room for the pod. */
bool move_node_serves(const struct scheduler *s, const char *uid);
/* Whether a unit of a move waits to return to where it stood. */
bool move_node_is_wanted_back(const struct scheduler *s, const char *node);
/* Why none is emptied for the pod. */
void move_node_help(
    const struct scheduler *s, const struct pod *pod, void (*say)(void *ctx, struct buf *line), void *ctx);

#endif
