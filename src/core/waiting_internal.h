/* Inside waiting: the queue (waiting.c), the groups of pods of one shape (waiting_group.c), the wake pass
 * (waiting_wake.c). */
#ifndef CORE_WAITING_INTERNAL_H
#define CORE_WAITING_INTERNAL_H

#include "berth/team.h"
#include "berth/waiting.h"
#include "core/treap.h"

struct waiting_group;

struct waiter {
	struct waiting_pod public;
	struct treap_node queue_link, group_link;
	struct waiting_group *group;             /* NULL while among the loose */
	struct waiter *loose_next, **loose_link; /* while not in a group */
	struct waiter *turn_next, *turn_before;  /* while it has a turn */
	uint64_t refused_at; /* improved_at of the node whose room it did not take, though asked; 0 = none */
	bool claims;         /* its turn is for room that its team is guaranteed */
	bool held;           /* during a wake pass: its demand is counted on the node of its turn */
};

/* Pods that fit wherever one of them fits: same demand, class and wishes. */
struct waiting_group {
	struct treap pods; /* in queue order */
	uint16_t team;     /* TEAM_NONE of pods without GPUs, too */
	size_t key_len;
	char key[];
};

struct waiting {
	struct map by_uid;
	struct treap queue;
	struct map groups;
	struct waiter *loose;              /* their class is to be found anew */
	uint64_t policy_version;           /* what the groups' classes were found with */
	struct waiter *turns, *turns_last; /* by turn_ends_ns */
	size_t passed_count, passed_room;
	struct node **passed; /* their turns ended without being taken; to be offered again */
};

treap_order waiting__queue_order, waiting__group_order;
struct waiter *waiting__of_group_link(struct treap_node *link);
/* Whether a has its place before b in the queue. */
bool waiting__before(const struct waiter *a, const struct waiter *b);

void waiting__begin_turn(struct waiting *waiting, struct waiter *waiter, struct node *node, int64_t now_ns);
/* Returns the node it was for. */
struct node *waiting__end_turn(struct waiting *waiting, struct waiter *waiter);

void waiting__loosen(struct waiting *waiting, struct waiter *waiter);
void waiting__leave_group(struct waiting *waiting, struct waiter *waiter);
/* Puts all loose pods into their groups; all pods are loose after a change of policy. */
void waiting__group_all(struct waiting *waiting, const struct fleet *fleet);

#endif
