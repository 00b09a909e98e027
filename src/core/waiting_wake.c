#include "core/waiting_internal.h"

#include <stdlib.h>

#include "core/decide_internal.h"
#include "core/fleet_internal.h"
#include "core/index.h"
#include "core/teams_internal.h"
#include "core/usage.h"

/* Up to so many nodes are looked at one by one; more of them are nearly the fleet, and its index answers sooner. */
#define FEW_NODES 64

/* The next pod of a group that has not failed. */
struct head {
	struct waiter *waiter;
	bool claims; /* it may yet find room that its team is guaranteed */
};

struct pass {
	struct waiting *waiting;
	struct fleet *fleet;
	size_t node_count;
	struct node **nodes;  /* improved, by address */
	struct node **others; /* room for node_count */
	size_t head_count;
	struct head *heads; /* a binary heap */
	size_t woken_count, woken_room;
	struct waiter **woken;
};

static int by_address(const void *a, const void *b)
{
	uintptr_t left = (uintptr_t) * (struct node *const *)a, right = (uintptr_t) * (struct node *const *)b;
	return (left > right) - (left < right);
}

static void collect_nodes(struct pass *pass, struct node *improved)
{
	size_t room = 0;
	for (struct node *node = improved; node; node = node->next_improved) {
		pass->nodes = xgrow(pass->nodes, pass->node_count, &room, sizeof(struct node *));
		pass->nodes[pass->node_count++] = node;
	}
	pass->others = xcalloc(pass->node_count + 1, sizeof(struct node *));
	if (pass->node_count > 1)
		qsort(pass->nodes, pass->node_count, sizeof(struct node *), by_address);
}

/* Among equals by priority, those who claim what they are guaranteed come before those who borrow, and of these the
 * team that has spent least. */
static bool goes_before(const struct pass *pass, const struct head *a, const struct head *b)
{
	const struct pod *left = a->waiter->public.pod, *right = b->waiter->public.pod;
	if (pass->fleet->teams && left->priority == right->priority) {
		if (a->claims != b->claims)
			return a->claims;
		int order = a->claims ? 0 : team_order(pass->fleet, a->waiter->group->team, b->waiter->group->team);
		if (order != 0)
			return order < 0;
	}
	return waiting__before(a->waiter, b->waiter);
}

static void sift(struct pass *pass, size_t at)
{
	struct head moved = pass->heads[at];
	for (size_t child; (child = 2 * at + 1) < pass->head_count; at = child) {
		if (child + 1 < pass->head_count && goes_before(pass, &pass->heads[child + 1], &pass->heads[child]))
			child++;
		if (!goes_before(pass, &pass->heads[child], &moved))
			break;
		pass->heads[at] = pass->heads[child];
	}
	pass->heads[at] = moved;
}

static void sift_all(struct pass *pass)
{
	for (size_t i = pass->head_count / 2; i-- > 0;)
		sift(pass, i);
}

static bool wakeable(const struct waiter *waiter)
{
	return waiter->public.turn_ends_ns == 0 && waiter->public.wakes < 2;
}

static struct waiter *wakeable_from(struct treap_node *link)
{
	while (link && !wakeable(waiting__of_group_link(link)))
		link = treap_after(link);
	return waiting__of_group_link(link);
}

static struct head head_of(const struct pass *pass, struct waiter *waiter)
{
	bool grouped = waiter->group->team != TEAM_NONE;
	return (struct head){waiter, grouped && team_may_claim(pass->fleet, waiter->public.pod)};
}

static void collect_heads(struct pass *pass)
{
	const struct map *groups = &pass->waiting->groups;
	size_t cursor = 0;
	pass->heads = xcalloc(groups->count + 1, sizeof *pass->heads);
	for (const struct waiting_group *group; (group = map_next(groups, &cursor));) {
		struct waiter *head = wakeable_from(treap_first(&group->pods));
		if (head)
			pass->heads[pass->head_count++] = head_of(pass, head);
	}
	sift_all(pass);
}

/* Goes on with the next pod of the top's group, or with another group. What was given counts for the team, so that
 * others may come before it now. */
static void advance(struct pass *pass, bool group_failed, bool given)
{
	struct waiter *next = group_failed ? NULL : wakeable_from(treap_after(&pass->heads[0].waiter->group_link));
	pass->heads[0] = next ? head_of(pass, next) : pass->heads[--pass->head_count];
	if (given && pass->fleet->teams)
		sift_all(pass);
	else if (pass->head_count > 0)
		sift(pass, 0);
}

static void count_for_team(struct fleet *fleet, const struct waiting_pod *pod, int sign)
{
	int64_t milli = team_milli(pod->turn_node, &pod->pod->demand);
	if (milli > 0)
		teams__add(fleet, team_of(fleet, pod->pod->namespace_), pod->turn_node->pool, sign * milli);
}

/* Counts the pod on the node of its turn for as long as the pass takes, and nowhere else: neither as an entry nor as a
 * change. */
static void hold(struct fleet *fleet, struct waiter *waiter)
{
	usage_add(waiter->public.turn_node, &waiter->public.pod->demand);
	count_for_team(fleet, &waiter->public, 1);
	index_update(waiter->public.turn_node);
	waiter->held = true;
}

static void release(struct fleet *fleet, struct waiter *waiter)
{
	if (!waiter->held)
		return;
	usage_subtract(waiter->public.turn_node, &waiter->public.pod->demand);
	count_for_team(fleet, &waiter->public, -1);
	index_update(waiter->public.turn_node);
	waiter->held = false;
}

static bool in_ledger(const struct fleet *fleet, const struct waiter *waiter)
{
	return ledger_find(fleet, slice_of(waiter->public.pod->uid)) != NULL;
}

/* A turn whose room has gone meanwhile holds nothing, so what is held always fits. */
void waiting_hold_turns(struct waiting *waiting, struct fleet *fleet)
{
	for (struct waiter *waiter = waiting->turns; waiter; waiter = waiter->turn_next) {
		struct node *node = waiter->public.turn_node;
		if (node && !in_ledger(fleet, waiter) &&
		    decide_node(fleet, waiter->public.pod, node, NULL) == REASON_CODE_FITS)
			hold(fleet, waiter);
	}
}

/* Whether the pod, asking now, may not take the room of that turn. */
static bool is_before(
    const struct waiter *turn, const struct pod *pod, const struct waiter *asking, bool claims, int64_t now_ns)
{
	const struct pod *woken = turn->public.pod;
	if (!turn->public.turn_node || woken->priority < pod->priority || strcmp(woken->uid, pod->uid) == 0)
		return false;
	if (turn->claims)
		return true;
	int64_t began_ns = turn->public.turn_ends_ns - WAITING_TURN_NS;
	return !claims && now_ns < began_ns + WAITING_KEPT_NS && now_ns >= turn->public.since_ns + WAITING_LONG_NS &&
	       (!asking || waiting__before(turn, asking));
}

bool waiting_keeps(const struct waiting *waiting, const struct node *node, const struct pod *pod, int64_t now_ns)
{
	const struct waiter *asking = map_get(&waiting->by_uid, slice_of(pod->uid)), *turn = waiting->turns;
	while (turn && !(turn->public.turn_node == node && is_before(turn, pod, asking, false, now_ns)))
		turn = turn->turn_next;
	return turn != NULL;
}

bool waiting_hold_before(
    struct waiting *waiting, struct fleet *fleet, const struct pod *pod, bool claims, int64_t now_ns)
{
	const struct waiter *asking = map_get(&waiting->by_uid, slice_of(pod->uid));
	bool any = false;
	for (struct waiter *turn = waiting->turns; turn; turn = turn->turn_next) {
		if (!is_before(turn, pod, asking, claims, now_ns) || in_ledger(fleet, turn) ||
		    decide_node(fleet, turn->public.pod, turn->public.turn_node, NULL) != REASON_CODE_FITS)
			continue;
		hold(fleet, turn);
		any = true;
	}
	return any;
}

void waiting_release_turns(struct waiting *waiting, struct fleet *fleet)
{
	for (struct waiter *waiter = waiting->turns; waiter; waiter = waiter->turn_next)
		release(fleet, waiter);
}

static struct node *choose_among(const struct pass *pass, const struct waiter *waiter)
{
	struct decision decision;
	size_t count = 0;
	for (size_t i = 0; i < pass->node_count; i++)
		if (waiter->refused_at == 0 || pass->nodes[i]->improved_at != waiter->refused_at)
			pass->others[count++] = pass->nodes[i];
	decide_among(pass->fleet, waiter->public.pod, pass->others, count, &decision, NULL);
	return decision.node;
}

static struct node *choose(const struct pass *pass, const struct waiter *waiter)
{
	struct decision decision;
	/* Where its team uses less than before, nodes that have not changed may take it now. */
	bool anywhere = teams__fell(pass->fleet, waiter->group->team);
	if (pass->node_count <= FEW_NODES && !anywhere)
		return choose_among(pass, waiter);
	decide_fleet_best(pass->fleet, waiter->public.pod, &decision);
	if (!decision.node)
		return NULL;
	bool improved =
	    anywhere || bsearch(&decision.node, pass->nodes, pass->node_count, sizeof(struct node *), by_address);
	bool refused = waiter->refused_at != 0 && decision.node->improved_at == waiter->refused_at;
	return improved && !refused ? decision.node : choose_among(pass, waiter);
}

static struct node *choose_claimed(const struct pass *pass, const struct head *head)
{
	team_claims_only(pass->fleet, head->claims);
	struct node *node = choose(pass, head->waiter);
	team_claims_only(pass->fleet, false);
	return node;
}

static void give_turns(struct pass *pass, int64_t now_ns, size_t limit)
{
	while (pass->head_count > 0 && pass->woken_count < limit) {
		struct waiter *waiter = pass->heads[0].waiter;
		struct node *node = choose_claimed(pass, &pass->heads[0]);
		if (!node && pass->heads[0].claims) {
			pass->heads[0].claims = false;
			sift(pass, 0);
			continue;
		}
		if (!node) {
			/* A pod with an entry, or with room that it refused, is not judged as the others are. */
			advance(pass, waiter->refused_at == 0 && !in_ledger(pass->fleet, waiter), false);
			continue;
		}
		waiting__begin_turn(pass->waiting, waiter, node, now_ns);
		waiter->claims = pass->heads[0].claims;
		if (!in_ledger(pass->fleet, waiter))
			hold(pass->fleet, waiter);
		pass->woken = xgrow(pass->woken, pass->woken_count, &pass->woken_room, sizeof(struct waiter *));
		pass->woken[pass->woken_count++] = waiter;
		advance(pass, false, true);
	}
}

size_t waiting_wake_for(struct waiting *waiting, struct fleet *fleet, struct node *improved, int64_t now_ns,
    size_t limit, waiting_wake *wake, void *ctx)
{
	struct pass pass = {.waiting = waiting, .fleet = fleet};
	if (!improved || waiting->by_uid.count == 0 || limit == 0)
		return 0;
	waiting__group_all(waiting, fleet);
	collect_nodes(&pass, improved);
	collect_heads(&pass);
	waiting_hold_turns(waiting, fleet);
	give_turns(&pass, now_ns, limit);
	waiting_release_turns(waiting, fleet);
	/* Stopped by the limit: the rest is for the next call. */
	for (size_t i = 0; pass.head_count > 0 && i < pass.node_count; i++)
		fleet__offer(fleet, pass.nodes[i]);
	if (pass.head_count == 0)
		teams__forget_fallen(fleet);
	for (size_t i = 0; i < pass.woken_count; i++)
		wake(ctx, &pass.woken[i]->public, pass.woken[i]->public.turn_node);
	free(pass.nodes);
	free(pass.others);
	free(pass.heads);
	free(pass.woken);
	return pass.woken_count;
}

bool waiting_wake_one(
    struct waiting *waiting, struct fleet *fleet, struct slice uid, int64_t now_ns, waiting_wake *wake, void *ctx)
{
	struct waiter *waiter = map_get(&waiting->by_uid, uid);
	struct decision decision;
	if (!waiter || !wakeable(waiter))
		return false;
	waiting_hold_turns(waiting, fleet);
	decide_fleet_best(fleet, waiter->public.pod, &decision);
	waiting_release_turns(waiting, fleet);
	if (!decision.node)
		return false;
	waiting__begin_turn(waiting, waiter, decision.node, now_ns);
	wake(ctx, &waiter->public, decision.node);
	return true;
}
