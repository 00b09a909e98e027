#include "berth/hold.h"

#include <stdlib.h>
#include <string.h>

#include "berth/alloc.h"
#include "berth/fleet.h"
#include "berth/pod.h"
#include "core/fleet_internal.h"

size_t hold_begin(struct fleet *fleet, const struct node_hold *hold)
{
	size_t place = 0;
	while (place < HOLDS_MAX && fleet->holds[place].key)
		place++;
	if (place == HOLDS_MAX)
		return place;
	fleet->holds[place] = *hold;
	fleet->holds[place].key = xstrdup(hold->key);
	fleet->holds[place].namespace_ = xstrdup(hold->namespace_);
	fleet->holds[place].name = xstrdup(hold->name);
	return place;
}

void hold_node(struct fleet *fleet, size_t place, struct node *node)
{
	(void)fleet;
	node->held |= (uint8_t)(1u << place);
}

static void forget(struct node_hold *hold)
{
	free(hold->key);
	free(hold->namespace_);
	free(hold->name);
	*hold = (struct node_hold){0};
}

static void improve(struct fleet *fleet, size_t place, bool end)
{
	size_t cursor = 0;
	for (struct node *node; (node = map_next(&fleet->nodes, &cursor));) {
		if (!(node->held & 1u << place))
			continue;
		if (end)
			node->held &= (uint8_t) ~(1u << place);
		if (node->spec)
			fleet__improve(fleet, node);
	}
}

void hold_end(struct fleet *fleet, size_t place)
{
	improve(fleet, place, true);
	forget(&fleet->holds[place]);
}

int64_t hold_until(int64_t promised_ns, int64_t promised_at_ns)
{
	int64_t slip_ns = (promised_ns - promised_at_ns) / 2;
	return resource_sum(promised_ns, slip_ns > HOLD_SLIP_LEAST ? slip_ns : HOLD_SLIP_LEAST);
}

bool hold_is_worse(const struct node_hold *hold, int64_t start_ns, int64_t now_ns)
{
	int64_t tenth_ns = (hold->start_ns - now_ns) / 10, gain_ns = hold->start_ns - start_ns;
	return hold->start_ns == 0 || gain_ns > (tenth_ns > HOLD_SOONER_LEAST ? tenth_ns : HOLD_SOONER_LEAST);
}

static void pass(struct node_hold *hold, int64_t now_ns)
{
	int64_t left_ns = hold->start_ns - now_ns;
	hold->left_ns = hold->start_ns > 0 && left_ns > 0 && now_ns < hold->until_ns ? left_ns : 0;
	if (hold->start_ns > 0 && now_ns >= hold->until_ns)
		hold->class_order = 0; /* it goes by age alone */
}

void hold_time(struct fleet *fleet, size_t place, int64_t start_ns, int64_t until_ns, int64_t now_ns)
{
	struct node_hold *hold = &fleet->holds[place];
	int64_t before_ns = hold->left_ns;
	hold->start_ns = start_ns;
	hold->until_ns = until_ns;
	pass(hold, now_ns);
	if (hold->left_ns > before_ns)
		improve(fleet, place, false);
}

void hold_pass(struct fleet *fleet, int64_t now_ns)
{
	for (size_t place = 0; place < HOLDS_MAX; place++)
		if (fleet->holds[place].key)
			pass(&fleet->holds[place], now_ns);
}

size_t hold_find(const struct fleet *fleet, const char *key)
{
	size_t place = 0;
	while (place < HOLDS_MAX && !(fleet->holds[place].key && strcmp(fleet->holds[place].key, key) == 0))
		place++;
	return place;
}

size_t hold_nodes(const struct fleet *fleet, size_t place)
{
	size_t cursor = 0, count = 0;
	for (const struct node *node; (node = map_next(&fleet->nodes, &cursor));)
		count += node->spec && node->held & 1u << place;
	return count;
}

static bool is_of(const struct pod *pod, const struct node_hold *hold)
{
	return pod->gang && pod->gang->dialect == hold->dialect && strcmp(pod->namespace_, hold->namespace_) == 0 &&
	       strcmp(pod->gang->name, hold->name) == 0;
}

static bool is_behind(const struct pod *pod, size_t class_order, const struct node_hold *hold)
{
	if (pod->priority != hold->priority)
		return pod->priority < hold->priority;
	if (hold->start_ns > 0 && !pod->gang && hold->created_ns - pod->created_ns < HOLD_ELDER)
		return true;
	if (class_order != hold->class_order)
		return class_order > hold->class_order;
	return pod->created_ns > hold->created_ns;
}

/* By the right of the gang's class, once it has run as long as its own class asks for. */
static bool may_be_ended(
    const struct fleet *fleet, const struct pod *pod, size_t class_order, const struct node_hold *hold)
{
	const struct policy *policy = fleet->policy;
	if (!policy || policy->moves.mode != MOVES_ACT || !pod->endable || class_order >= policy->class_count ||
	    hold->gang_class >= policy->class_count)
		return false;
	const struct policy_class *class_ = &policy->classes[class_order];
	return policy_may_preempt(policy, &policy->classes[hold->gang_class], class_) &&
	       resource_sum(class_->victim.min_runtime_ns, class_->victim.grace_ns) <= hold->left_ns;
}

static bool is_over_before(
    const struct fleet *fleet, const struct pod *pod, size_t class_order, const struct node_hold *hold)
{
	return hold->left_ns > 0 && ((pod->runtime_ns > 0 && pod->runtime_ns <= hold->left_ns) ||
	                                may_be_ended(fleet, pod, class_order, hold));
}

uint8_t hold_against(const struct fleet *fleet, const struct pod *pod, size_t class_order)
{
	unsigned against = 0;
	for (size_t place = 0; place < HOLDS_MAX; place++) {
		const struct node_hold *hold = &fleet->holds[place];
		if (hold->key && !is_of(pod, hold) && is_behind(pod, class_order, hold) &&
		    !is_over_before(fleet, pod, class_order, hold))
			against |= 1u << place;
	}
	return (uint8_t)against;
}

void hold_free_all(struct fleet *fleet)
{
	for (size_t place = 0; place < HOLDS_MAX; place++)
		forget(&fleet->holds[place]);
}
