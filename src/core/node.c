#include "berth/node.h"

void node_spec_free(struct node_spec *spec)
{
	if (!spec)
		return;
	struct arena arena = spec->arena;
	arena_free(&arena);
}

const struct gpu_lane *node_spec_lane(const struct node_spec *spec, resource_id resource)
{
	for (size_t i = 0; i < spec->lane_count; i++)
		if (spec->lanes[i].resource == resource)
			return &spec->lanes[i];
	return NULL;
}

int64_t node_allocatable(const struct node *node, resource_id id)
{
	return node->spec ? resources_get(&node->spec->allocatable, id) : 0;
}

int64_t node_used(const struct node *node, resource_id id)
{
	return resources_get(&node->used, id);
}

int64_t node_free(const struct node *node, resource_id id)
{
	int64_t left = node_allocatable(node, id) - node_used(node, id);
	return left > 0 ? left : 0;
}
