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

void hold_end(struct fleet *fleet, size_t place)
{
	size_t cursor = 0;
	for (struct node *node; (node = map_next(&fleet->nodes, &cursor));) {
		if (!(node->held & 1u << place))
			continue;
		node->held &= (uint8_t) ~(1u << place);
		if (node->spec)
			fleet__improve(fleet, node);
	}
	forget(&fleet->holds[place]);
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
	if (class_order != hold->class_order)
		return class_order > hold->class_order;
	return pod->created_ns > hold->created_ns;
}

uint8_t hold_against(const struct fleet *fleet, const struct pod *pod, size_t class_order)
{
	unsigned against = 0;
	for (size_t place = 0; place < HOLDS_MAX; place++) {
		const struct node_hold *hold = &fleet->holds[place];
		if (hold->key && !is_of(pod, hold) && is_behind(pod, class_order, hold))
			against |= 1u << place;
	}
	return (uint8_t)against;
}

void hold_free_all(struct fleet *fleet)
{
	for (size_t place = 0; place < HOLDS_MAX; place++)
		forget(&fleet->holds[place]);
}
