/* holdDomainAfter: a complete gang that has found no room for so long gets a domain kept free of pods that stand behind
 * it. Of the domains that could take it once they were empty, the one is taken from which the least is to run out, and
 * of its nodes only as many as it needs. It keeps them until it is planned; they are not chosen anew meanwhile, or
 * nothing would ever run out. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "berth/hold.h"
#include "berth/plan.h"
#include "scheduler/gang/internal.h"
#include "scheduler/move/move.h"

#define AGAIN_NS (5 * NS_PER_S) /* after a look in vain, which takes all nodes */

/* A node that could take members of the gang. */
struct spot {
	struct node *node;
	const void *domain;
	size_t takes;  /* members, once it is empty */
	int64_t drain; /* what is to run out for that: GPUs, or thousandths of CPU for a gang without */
};

struct choice {
	const struct spot *first;
	size_t count;
	int64_t drain;
};

static size_t fit(const struct node *node, const struct resources *demand, size_t most)
{
	for (uint16_t i = 0; i < demand->count; i++) {
		struct resource_amount asked = demand->items[i];
		if (asked.amount > 0 && (uint64_t)(node_allocatable(node, asked.id) / asked.amount) < most)
			most = (size_t)(node_allocatable(node, asked.id) / asked.amount);
	}
	return most;
}

/* The resource that the gang is after: of GPUs the one that most are asked of. */
static struct resource_amount main_resource(const struct resources *demand)
{
	struct resource_amount most = {RESOURCE_CPU, resources_get(demand, RESOURCE_CPU)};
	for (uint16_t i = 0; i < demand->count; i++)
		if (demand->items[i].id >= RESOURCE_FIRST_OTHER &&
		    (most.id == RESOURCE_CPU || demand->items[i].amount > most.amount))
			most = demand->items[i];
	return most;
}

static int64_t drain_of(const struct node *node, struct resource_amount asked, size_t takes)
{
	int64_t lacks = asked.amount * (int64_t)takes - node_free(node, asked.id);
	return lacks > 0 ? lacks : 0;
}

/* Kept off by nothing but what stands there now, and runs out: headroom does not. */
static bool could_take(const struct scheduler *s, const struct pod *pod, struct node *node)
{
	enum reason reason = decide_node(s->fleet, pod, node, NULL);
	return reason == REASON_CODE_FITS || (reason_kind_of(reason) == REASON_CAPACITY &&
	                                         reason > REASON_CODE_TOO_LARGE && reason != REASON_CODE_HEADROOM);
}

/* What stands for the node's domain; without a level all nodes are in one. NULL: the node is outside. */
static const void *domain_at(const struct scheduler *s, const struct node *node, int level)
{
	if (level == TOPOLOGY_HOST)
		return node;
	return level < 0 ? (const void *)s->fleet : topology_domain_of(node, level);
}

/* The member that asks for the most stands for all. */
static const struct pod *largest(const struct gang *gang)
{
	const struct pod *pod = NULL;
	for (size_t i = 0; i < gang->count; i++) {
		const struct pod *other = gang->members[i]->pod;
		if (gang->members[i]->state != GANG_AWAY &&
		    (!pod || main_resource(&other->demand).amount > main_resource(&pod->demand).amount))
			pod = other;
	}
	return pod;
}

static int by_domain(const void *a, const void *b)
{
	const struct spot *left = a, *right = b;
	if (left->domain != right->domain)
		return (uintptr_t)left->domain < (uintptr_t)right->domain ? -1 : 1;
	if (left->drain != right->drain)
		return left->drain < right->drain ? -1 : 1;
	if (left->takes != right->takes)
		return left->takes > right->takes ? -1 : 1;
	return strcmp(left->node->name, right->node->name);
}

static size_t collect(struct scheduler *s, const struct pod *pod, int level, size_t wanted, struct spot *spots)
{
	size_t cursor = 0, count = 0;
	for (struct node *node; (node = map_next(&s->fleet->nodes, &cursor));) {
		if (!node->spec || node->held || !could_take(s, pod, node))
			continue;
		struct spot spot = {.node = node, .domain = domain_at(s, node, level)};
		spot.takes = fit(node, &pod->demand, wanted);
		spot.drain = drain_of(node, main_resource(&pod->demand), spot.takes);
		if (spot.domain && spot.takes > 0)
			spots[count++] = spot;
	}
	qsort(spots, count, sizeof *spots, by_domain);
	return count;
}

static bool is_better(const struct choice *a, const struct choice *b)
{
	if (!b->first || a->drain != b->drain)
		return !b->first || a->drain < b->drain;
	if (a->count != b->count)
		return a->count < b->count;
	return strcmp(a->first->node->name, b->first->node->name) < 0;
}

/* Of each domain the nodes that are nearest to empty. */
static struct choice choose(const struct spot *spots, size_t count, size_t wanted)
{
	struct choice best = {0};
	for (size_t at = 0; at < count;) {
		struct choice here = {.first = &spots[at]};
		size_t takes = 0, end = at;
		for (; end < count && spots[end].domain == spots[at].domain; end++)
			if (takes < wanted) {
				takes += spots[end].takes;
				here.drain = resource_sum(here.drain, spots[end].drain);
				here.count++;
			}
		if (takes >= wanted && is_better(&here, &best))
			best = here;
		at = end;
	}
	return best;
}

size_t gang_hold_begin(struct scheduler *s, struct gang *gang, struct node *const *nodes, size_t count)
{
	const struct policy_class *class_ = gang_class(s, gang);
	size_t place =
	    hold_begin(s->fleet, &(struct node_hold){.key = gang->key,
	                             .dialect = gang->dialect,
	                             .namespace_ = (char *)gang->namespace_,
	                             .name = (char *)gang->name,
	                             .priority = gang->priority,
	                             .class_order = gang->class_order,
	                             .gang_class = class_ ? (size_t)(class_ - s->policy.inforce->classes) : SIZE_MAX,
	                             .created_ns = gang->created_ns});
	if (place == HOLDS_MAX)
		return place;
	for (size_t i = 0; i < count; i++)
		hold_node(s->fleet, place, nodes[i]);
	gang->held_nodes = count;
	log_info("nodes are held for a gang", "name=%s/%s nodes=%zu first=%s", gang->namespace_, gang->name, count,
	    nodes[0]->name);
	return place;
}

static void keep(struct scheduler *s, struct gang *gang, const struct choice *choice)
{
	struct node **nodes = xcalloc(choice->count, sizeof(struct node *));
	for (size_t i = 0; i < choice->count; i++)
		nodes[i] = choice->first[i].node;
	gang_hold_begin(s, gang, nodes, choice->count);
	log_debug(
	    "nodes are to run out", "name=%s/%s amount=%lld", gang->namespace_, gang->name, (long long)choice->drain);
	free(nodes);
}

static void hold(struct scheduler *s, struct gang *gang)
{
	size_t wanted = gang_quorum(gang);
	const struct pod *pod = largest(gang);
	struct spot *spots = xcalloc(s->fleet->nodes.count + 1, sizeof *spots);
	struct choice choice = choose(spots, collect(s, pod, gang_level(s, gang), wanted, spots), wanted);
	if (choice.first)
		keep(s, gang, &choice);
	free(spots);
}

/* It is planned, or gone, or lost a node of those it was to have. */
static void end_those_over(struct scheduler *s)
{
	for (size_t place = 0; place < HOLDS_MAX; place++) {
		const char *key = s->fleet->holds[place].key;
		struct gang *gang = key ? map_get(&s->gangs->by_key, slice_of(key)) : NULL;
		if (!key || promise_awaits(s, key) || moves_close_nodes(s, key) ||
		    (gang && gang->state == GANG_QUEUED && hold_nodes(s->fleet, place) == gang->held_nodes))
			continue;
		if (s->fleet->holds[place].start_ns != 0 || (gang && gang->promised_ns != 0))
			promises_changed(s);
		log_info("nodes are held no more", "gang=%s", key);
		if (gang) {
			gang->held_nodes = 0;
			gang->start_ns = gang->elsewhere_ns = 0;
		}
		hold_end(s->fleet, place);
		gang_reserve_again(s);
		wake_soon(s, REASON_CODE_WAKE_ROOM);
	}
}

static bool is_starving(const struct scheduler *s, const struct gang *gang, int64_t now)
{
	const struct policy_class *class_ = gang_class(s, gang);
	return gang->state == GANG_QUEUED && gang_is_complete(gang) && gang->held_nodes == 0 && class_ &&
	       now - gang_without_room_since(gang, now) >= class_->gang.hold_domain_after_ns &&
	       now >= gang->hold_after_ns;
}

static int in_order(const void *a, const void *b)
{
	return gangs_order(*(struct gang *const *)a, *(struct gang *const *)b);
}

void gang_hold(struct scheduler *s, int64_t now)
{
	size_t cursor = 0, count = 0;
	end_those_over(s);
	if (s->gangs->in_state[GANG_QUEUED] == 0)
		return;
	gang_reserve(s);
	struct gang **line = xcalloc(s->gangs->in_state[GANG_QUEUED], sizeof *line);
	for (struct gang *gang; (gang = gangs_next(s->gangs, &cursor));)
		if (is_starving(s, gang, now))
			line[count++] = gang;
	qsort(line, count, sizeof *line, in_order);
	for (size_t i = 0; i < count && i < HOLDS_MAX; i++) {
		line[i]->hold_after_ns = now + AGAIN_NS;
		hold(s, line[i]);
	}
	free(line);
}
