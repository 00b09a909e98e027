/* The pods that berth rejected, in queue order (priority, then the time they were first rejected, then UID), and who of
 * them to wake when room appears: with teams, of equal priority first those within what their team is guaranteed, then
 * by what the teams have spent. A wake reserves nothing: it is a turn, of WAITING_TURN_NS, during which the room it
 * was given for is not offered to the next. From a pod that has waited for WAITING_LONG_NS nobody who came later takes
 * it, either, for WAITING_KEPT_NS: those who ask sooner might else keep it waiting for ever. Room that a pod did not
 * take, though asked, is not offered to it again until its node improves anew. Pods here are copies of nothing: the
 * struct pod is the caller's and must outlive its entry. Finding a pod and walking the line allocate nothing. */
#ifndef BERTH_WAITING_H
#define BERTH_WAITING_H

#include "berth/decide.h"
#include "berth/fleet.h"

#define WAITING_UNWOKEN_MAX 12
#define WAITING_TURN_NS INT64_C(5000000000) /* what is not taken within it goes to the next */
#define WAITING_LONG_NS INT64_C(1500000000)
#define WAITING_KEPT_NS INT64_C(1000000000) /* kube-scheduler asks 10 ms after a wake, but for pods in its backoff */

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
/* There is no such pod to be woken: its turn ends, and it gets none until it is rejected again. As after waiting_put,
 * waiting_expire is to be called. */
void waiting_absent(struct waiting *waiting, struct slice uid);
/* How often the pod was woken, by what stands on it, "CODE/COUNT": also by the process before this one, and before it
 * was accepted in between. A count begun anew would repeat a value, and a PATCH that changes nothing wakes nobody. */
uint64_t waiting_woken_before(const struct pod *pod);
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
/* The same for the turns whose room this pod may not take: of those of no lower priority that were given for what a
 * team is guaranteed; and, unless it `claims` such room itself, of those within WAITING_KEPT_NS whose pods have
 * waited for WAITING_LONG_NS and come before it in the queue (where it is not in it, at its end). False where there are
 * none. */
bool waiting_hold_before(
    struct waiting *waiting, struct fleet *fleet, const struct pod *pod, bool claims, int64_t now_ns);
/* Whether the node is that of such a turn. */
bool waiting_keeps(const struct waiting *waiting, const struct node *node, const struct pod *pod, int64_t now_ns);
/* Ends turns that ran out: a pod not asked again is woken once more, if it still fits there, then its turn passes on:
 * the node joins the chain of fleet_take_improved. The same is true of turns that ended since the last call. `wake`
 * must not call back into waiting_*. Returns when the next turn ends, or LEDGER_NEVER. */
int64_t waiting_expire(struct waiting *waiting, struct fleet *fleet, int64_t now_ns, waiting_wake *wake, void *ctx);

#endif
