#include "core/waiting_internal.h"

#include <stddef.h>
#include <stdlib.h>

#include "core/fleet_internal.h"
#include "core/teams_internal.h"

#define WAITER_OF(link, member) ((struct waiter *)(void *)((char *)(uintptr_t)(link)-offsetof(struct waiter, member)))

#define WAKES_MAX 2

bool waiting__before(const struct waiter *a, const struct waiter *b)
{
	if (a->public.pod->priority != b->public.pod->priority)
		return a->public.pod->priority > b->public.pod->priority;
	if (a->public.since_ns != b->public.since_ns)
		return a->public.since_ns < b->public.since_ns;
	return strcmp(a->public.pod->uid, b->public.pod->uid) < 0;
}

int waiting__queue_order(const struct treap_node *a, const struct treap_node *b)
{
	return waiting__before(WAITER_OF(a, queue_link), WAITER_OF(b, queue_link)) ? -1 : 1;
}

int waiting__group_order(const struct treap_node *a, const struct treap_node *b)
{
	return waiting__before(WAITER_OF(a, group_link), WAITER_OF(b, group_link)) ? -1 : 1;
}

struct waiter *waiting__of_group_link(struct treap_node *link)
{
	return link ? WAITER_OF(link, group_link) : NULL;
}

struct waiting *waiting_new(void)
{
	return xcalloc(1, sizeof(struct waiting));
}

void waiting_free(struct waiting *waiting)
{
	if (!waiting)
		return;
	size_t cursor = 0;
	for (struct waiter *waiter; (waiter = map_next(&waiting->by_uid, &cursor));)
		free(waiter);
	cursor = 0;
	for (struct waiting_group *group; (group = map_next(&waiting->groups, &cursor));)
		free(group);
	map_free(&waiting->by_uid);
	map_free(&waiting->groups);
	free(waiting->passed);
	free(waiting);
}

void waiting__begin_turn(struct waiting *waiting, struct waiter *waiter, struct node *node, int64_t now_ns)
{
	waiter->public.turn_ends_ns = resource_sum(now_ns, WAITING_TURN_NS);
	waiter->public.turn_node = node;
	waiter->public.wakes++;
	waiter->public.woken_total++;
	/* All turns are of one length, so a new one ends last, or nearly so. */
	struct waiter *before = waiting->turns_last;
	while (before && before->public.turn_ends_ns > waiter->public.turn_ends_ns)
		before = before->turn_before;
	waiter->turn_before = before;
	waiter->turn_next = before ? before->turn_next : waiting->turns;
	*(before ? &before->turn_next : &waiting->turns) = waiter;
	*(waiter->turn_next ? &waiter->turn_next->turn_before : &waiting->turns_last) = waiter;
}

struct node *waiting__end_turn(struct waiting *waiting, struct waiter *waiter)
{
	struct node *node = waiter->public.turn_node;
	if (waiter->public.turn_ends_ns == 0)
		return NULL;
	*(waiter->turn_before ? &waiter->turn_before->turn_next : &waiting->turns) = waiter->turn_next;
	*(waiter->turn_next ? &waiter->turn_next->turn_before : &waiting->turns_last) = waiter->turn_before;
	waiter->public.turn_ends_ns = 0;
	waiter->public.turn_node = NULL;
	return node;
}

static struct node *pass_turn_on(struct waiting *waiting, struct waiter *waiter)
{
	struct node *node = waiting__end_turn(waiting, waiter);
	if (!node)
		return NULL;
	waiting->passed = xgrow(waiting->passed, waiting->passed_count, &waiting->passed_room, sizeof(struct node *));
	waiting->passed[waiting->passed_count++] = node;
	return node;
}

static void leave(struct waiting *waiting, struct waiter *waiter)
{
	treap_remove(&waiting->queue, &waiter->queue_link);
	waiting__leave_group(waiting, waiter);
}

uint64_t waiting_woken_before(const struct pod *pod)
{
	const char *at = pod->wake ? strrchr(pod->wake, '/') : NULL;
	uint64_t count = 0;
	while (at && *++at) {
		if (*at < '0' || *at > '9' || count > UINT32_MAX)
			return 0; /* not berth's */
		count = count * 10 + (uint64_t)(*at - '0');
	}
	return count;
}

struct waiting_pod *waiting_put(
    struct waiting *waiting, struct pod *pod, enum reason reason, int64_t now_ns, int64_t wall_ns)
{
	struct slice uid = slice_of(pod->uid);
	struct waiter *waiter = map_get(&waiting->by_uid, uid);
	if (!waiter) {
		waiter = xcalloc(1, sizeof(*waiter));
		waiter->public.since_ns = now_ns;
		waiter->public.since_wall_ns = wall_ns;
	} else {
		const struct node *refused = pass_turn_on(waiting, waiter);
		waiter->refused_at = refused ? refused->improved_at : 0;
		leave(waiting, waiter);
	}
	waiter->public.pod = pod;
	waiter->public.reason = reason;
	waiter->public.rejected_ns = now_ns;
	waiter->public.wakes = waiter->public.unwoken = 0;
	if (waiter->public.woken_total < waiting_woken_before(pod))
		waiter->public.woken_total = waiting_woken_before(pod);
	map_put(&waiting->by_uid, uid, waiter);
	treap_insert(&waiting->queue, &waiter->queue_link, map_hash(uid), waiting__queue_order);
	waiting__loosen(waiting, waiter);
	return &waiter->public;
}

void waiting_renew(struct waiting *waiting, struct pod *pod)
{
	struct slice uid = slice_of(pod->uid);
	struct waiter *waiter = map_get(&waiting->by_uid, uid);
	if (!waiter)
		return;
	leave(waiting, waiter);
	waiter->public.pod = pod;
	map_put(&waiting->by_uid, uid, waiter);
	treap_insert(&waiting->queue, &waiter->queue_link, map_hash(uid), waiting__queue_order);
	waiting__loosen(waiting, waiter);
}

struct waiting_pod *waiting_find(const struct waiting *waiting, struct slice uid)
{
	struct waiter *waiter = map_get(&waiting->by_uid, uid);
	return waiter ? &waiter->public : NULL;
}

void waiting_unwoken(struct waiting *waiting, struct slice uid)
{
	struct waiting_pod *pod = waiting_find(waiting, uid);
	if (!pod || pod->wakes == 0 || pod->unwoken == WAITING_UNWOKEN_MAX)
		return;
	pod->unwoken++;
	pod->wakes--;
}

void waiting_absent(struct waiting *waiting, struct slice uid)
{
	struct waiter *waiter = map_get(&waiting->by_uid, uid);
	if (!waiter)
		return;
	waiter->public.wakes = WAKES_MAX;
	pass_turn_on(waiting, waiter);
}

void waiting_remove(struct waiting *waiting, struct slice uid)
{
	struct waiter *waiter = map_remove(&waiting->by_uid, uid);
	if (!waiter)
		return;
	pass_turn_on(waiting, waiter);
	leave(waiting, waiter);
	free(waiter);
}

size_t waiting_count(const struct waiting *waiting)
{
	return waiting->by_uid.count;
}

struct waiting_pod *waiting_next(const struct waiting *waiting, const struct waiting_pod *after)
{
	const struct treap_node *link =
	    after ? treap_after(&((const struct waiter *)after)->queue_link) : treap_first(&waiting->queue);
	return link ? &WAITER_OF(link, queue_link)->public : NULL;
}

void waiting_forget_node(struct waiting *waiting, const struct node *node)
{
	size_t kept = 0;
	for (struct waiter *waiter = waiting->turns; waiter; waiter = waiter->turn_next)
		if (waiter->public.turn_node == node)
			waiter->public.turn_node = NULL;
	for (size_t i = 0; i < waiting->passed_count; i++)
		if (waiting->passed[i] != node)
			waiting->passed[kept++] = waiting->passed[i];
	waiting->passed_count = kept;
}

static bool may_have_another(const struct fleet *fleet, const struct waiting_pod *pod, struct node *node)
{
	return node && pod->wakes < WAKES_MAX && decide_node(fleet, pod->pod, node, NULL) == REASON_CODE_FITS;
}

int64_t waiting_expire(struct waiting *waiting, struct fleet *fleet, int64_t now_ns, waiting_wake *wake, void *ctx)
{
	while (waiting->turns && waiting->turns->public.turn_ends_ns <= now_ns) {
		struct waiter *waiter = waiting->turns;
		struct node *node = waiting__end_turn(waiting, waiter);
		if (may_have_another(fleet, &waiter->public, node)) {
			waiting__begin_turn(waiting, waiter, node, now_ns);
			wake(ctx, &waiter->public, node);
		} else if (node) {
			fleet__offer(fleet, node);
			teams__fell_all(fleet);
		}
	}
	for (size_t i = 0; i < waiting->passed_count; i++)
		fleet__offer(fleet, waiting->passed[i]);
	if (waiting->passed_count > 0)
		teams__fell_all(fleet);
	waiting->passed_count = 0;
	return waiting->turns ? waiting->turns->public.turn_ends_ns : LEDGER_NEVER;
}
