/* Headroom: GPUs of a pool that are one class's own, in chunks that make sense (some GPUs of one node, whole nodes, all
 * nodes of one domain), so that its peaks find room. On each node chosen for it
 *
 *   held = min(reserved - what the class has there, what pods leave free there)
 *
 * stands in the ledger as an entry without a pod, kept in step by the ledger itself: a pod of the class takes of it,
 * and what a pod leaves behind goes back into it before anybody else sees it free. Nobody else may use it while the
 * window is open. While it is closed, the classes named in lendTo may, for work that can be ended before it opens
 * again: whose minRuntime and grace are over by then. Where there is no window it is always open.
 *
 * How much is reserved follows the class: max(gpus, what it uses in the pool + margin, the floor that its signals of
 * load make), in whole chunks, what it uses beside them counted. Which nodes: those where least is in the way, then
 * those chosen before, then those on which the class stands already. headroom_place chooses, in time that grows with
 * the fleet: callers call it when it is due, and not more often than they like; in between what is reserved stays.
 *
 * Windows come from the caller: the core knows neither clock nor time zones. */
#ifndef BERTH_HEADROOM_H
#define BERTH_HEADROOM_H

#include <stdbool.h>
#include <stdint.h>

#include "berth/policy.h"

struct fleet;
struct ledger_entry;
struct signal_follow;
struct node;

/* Whether a rule's window is open; if not, for how long it stays closed. */
struct headroom_window {
	bool open;
	int64_t left_ns;
};

/* What is kept on one node. */
struct headroom_hold {
	struct headroom_hold *next; /* all of the fleet */
	struct node *node;
	uint16_t rule; /* of the policy */
	resource_id resource;
	int64_t reserved;
	struct ledger_entry *entry; /* what is held of it; NULL = nothing */
};

/* Sets the windows of the policy's rules, in their order; one that is not set is open. Who may use what changes with
 * it: nodes whose hold may be used by more count as improved. */
void headroom_windows(struct fleet *fleet, const struct headroom_window *windows, size_t count);
/* What the signals that a rule follows said at read_ns: so many GPUs are wanted beyond what the class used then. Its
 * floor is that with what it used, or what it uses by now, up to the rule's bound; it grows at once and shrinks late
 * (berth/signal.h). To be called before each headroom_place; looks at the fleet only where something changed there.
 * True: the floor is another one. */
bool headroom_follow(struct fleet *fleet, size_t rule, int64_t more, int64_t read_ns, int64_t now_ns);
/* Under another policy: its rule goes on as one did that followed the same, within its own bound. */
void headroom_keep_follow(struct fleet *fleet, size_t rule, const struct signal_follow *before);
/* Chooses the nodes. True: something is held otherwise than before. */
bool headroom_place(struct fleet *fleet);
/* Whether the choice could come out otherwise than the last: something changed on a node of a pool with headroom. */
bool headroom_due(const struct fleet *fleet);

/* How one rule stands, in GPUs. */
struct headroom_state {
	int64_t due;     /* by the rule and by what it follows */
	int64_t wanted;  /* reserved in all: chunks, and what the class has beside them */
	int64_t used;    /* by the class, in the pool */
	int64_t held;    /* kept free now */
	int64_t lent;    /* of what is reserved, with classes that it is lent to */
	int64_t missing; /* of what is due, with others, or not to be had */
	size_t nodes;
};
struct headroom_state headroom_state_of(const struct fleet *fleet, size_t rule);
/* The class that lent the room on which the entry stands, an index into the policy's, or UINT16_MAX: it is to come back
 * when the window opens. */
uint16_t headroom_lent_by(const struct fleet *fleet, const struct ledger_entry *entry);
/* The same, once its window is open: it may be taken back now. */
uint16_t headroom_due_back(const struct fleet *fleet, const struct ledger_entry *entry);
/* Whether pods of the class may take back what was lent. */
bool headroom_lends(const struct policy *policy, const struct policy_class *class_);
/* GPUs held on the node that a pod of the class may not have. */
int64_t headroom_kept_from(const struct fleet *fleet, const struct policy_class *class_, const struct node *node);

#endif
