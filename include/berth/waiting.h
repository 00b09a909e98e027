/* The pods that berth rejected, in queue order (priority, then the time they were first rejected, then UID), and who of
 * them to wake when room appears: with teams, of equal priority first those within what their team is guaranteed, then
 * by what the teams have spent. A wake reserves nothing: it is a turn, of WAITING_TURN_NS, during which the room it
 * was given for is not offered to the next; room that a pod did not take, though asked, is not offered to it again
 * until its node improves anew. Pods here are copies of nothing: the struct pod is the caller's and must outlive its
 * entry. Finding a pod and walking the line allocate nothing. */
#ifndef BERTH_WAITING_H
#define BERTH_WAITING_H

#include "berth/decide.h"
#include "berth/fleet.h"

#define WAITING_UNWOKEN_MAX 12
#define WAITING_TURN_NS INT64_C(5000000000) /* what is not taken within it goes to the next */

struct waiting_pod {
	struct pod *pod;
	enum reason reason;
	int64_t since_ns, rejected_ns; /* first and latest rejection, caller's clock */
	int64_t since_wall_ns;
	unsigned wakes;   /* since the latest rejection: at most 2 (one, and once more when it was not asked again) */
	unsigned unwoken; /* since then: wakes that were none, and are not among these */
	uint64_t woken_total;   /* over its life; goes into the annotation */
	int64_t turn_ends_ns;   /* while it has a turn; 0 = none */
	struct node *turn_node; /* what the turn is for; NULL once that node is gone */
};

struct waiting;

struct waiting *waiting_new(void);
void waiting_free(struct waiting *waiting);
/* The pod was rejected (again): ends its turn, makes it wakeable. Replaces the struct pod it had by the new one. The
 * node of a turn that ends here or in waiting_remove is offered to the others by waiting_expire: call that afterwards.
 */
struct waiting_pod *waiting_put(
    struct waiting *waiting, struct pod *pod, enum reason reason, int64_t now_ns, int64_t wall_ns);
/* There is a newer struct pod of a UID that waits: only the pointer changes (and the place in line, if the priority
 * did). */
void waiting_renew(struct waiting *waiting, struct pod *pod);
struct waiting_pod *waiting_find(const struct waiting *waiting, struct slice uid);
/* It was not woken after all: what was written failed. Woken once more when its turn ends, until that has failed
 * WAITING_UNWOKEN_MAX times. */
void waiting_unwoken(struct waiting *waiting, struct slice uid);
/* The pod was accepted, bound or deleted. */
void waiting_remove(struct waiting *waiting, struct slice uid);
size_t waiting_count(const struct waiting *waiting);
/* In queue order; start with NULL. */
struct waiting_pod *waiting_next(const struct waiting *waiting, const struct waiting_pod *after);
/* The node is about to be forgotten by the fleet. */
void waiting_forget_node(struct waiting *waiting, const struct node *node);

/* Whom to wake now that the nodes of the chain (fleet_take_improved) changed: in queue order, each pod that would be
 * accepted on one of them beside those who already have a turn, gets a turn. Pods of one shape are judged once when one
 * fails. The fleet is as before afterwards, and only then `wake` is called for each; it must not call back into
 * waiting_*. `limit` bounds the number woken in this call; where it stops the pass short, the nodes join the chain of
 * fleet_take_improved again. */
typedef void waiting_wake(void *ctx, struct waiting_pod *pod, struct node *node);
size_t waiting_wake_for(struct waiting *waiting, struct fleet *fleet, struct node *improved, int64_t now_ns,
    size_t limit, waiting_wake *wake, void *ctx);
/* The pod, which waits, gets a turn now if it would be accepted anywhere beside those who have one. `wake` as above. */
bool waiting_wake_one(
    struct waiting *waiting, struct fleet *fleet, struct slice uid, int64_t now_ns, waiting_wake *wake, void *ctx);
/* Between these two calls the room of every turn counts as used: what is decided meanwhile takes nothing from a pod
 * that was just woken. No other call of waiting_* or ledger_* may come in between. */
void waiting_hold_turns(struct waiting *waiting, struct fleet *fleet);
void waiting_release_turns(struct waiting *waiting, struct fleet *fleet);
/* The same for the turns that were given for what a team is guaranteed, of pods that stand no lower than this one: it
 * may not take their room. False where there are none. */
bool waiting_hold_claims(struct waiting *waiting, struct fleet *fleet, const struct pod *pod);
/* Ends turns that ran out: a pod not asked again is woken once more, if it still fits there, then its turn passes on:
 * the node joins the chain of fleet_take_improved. The same is true of turns that ended since the last call. `wake`
 * must not call back into waiting_*. Returns when the next turn ends, or LEDGER_NEVER. */
int64_t waiting_expire(struct waiting *waiting, struct fleet *fleet, int64_t now_ns, waiting_wake *wake, void *ctx);

#endif
