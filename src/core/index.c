#include "core/index.h"

#include <stdlib.h>
#include <string.h>

#define CPU_KEY_BITS 16
#define CPU_CLAMP (INT64_C(1) << 58)

struct index *index_new(void)
{
	struct index *index = xcalloc(1, sizeof(*index));
	topology_init(&index->topology);
	return index;
}

void index_free(struct index *index)
{
	for (size_t l = 0; l < index->lane_count; l++) {
		struct index_lane *lane = &index->lanes[l];
		for (size_t s = 0; s < lane->shape_count; s++) {
			for (size_t b = 0; b < lane->shapes[s]->bucket_count; b++)
				free(lane->shapes[s]->buckets[b]);
			free(lane->shapes[s]->buckets);
			free(lane->shapes[s]);
		}
		free(lane->shapes);
	}
	free(index->lanes);
	topology_free(&index->topology);
	free(index);
}

int index_cpu_sixteenths(int64_t free, int64_t allocatable)
{
	if (allocatable <= 0 || free <= 0)
		return 0;
	if (free >= allocatable)
		return 16;
	return free < CPU_CLAMP ? (int)(free * 16 / allocatable) : (int)(free / (allocatable / 16));
}

/* Eight steps an octave: below 8 the amount itself. */
static int64_t cpu_step(int64_t free)
{
	if (free < 8)
		return free > 0 ? free : 0;
	int octave = 63 - __builtin_clzll((unsigned long long)free);
	return ((int64_t)(octave - 2) << 3) + ((free >> (octave - 3)) & 7);
}

int64_t index_cpu_key(int64_t free, int64_t allocatable)
{
	return ((int64_t)index_cpu_sixteenths(free, allocatable) << CPU_KEY_BITS) + cpu_step(free);
}

int index_cpu_key_sixteenths(int64_t key)
{
	return (int)(key >> CPU_KEY_BITS);
}

int64_t index_cpu_key_most(int64_t key)
{
	int64_t step = key & ((INT64_C(1) << CPU_KEY_BITS) - 1);
	if (step < 8)
		return step;
	int octave = (int)(step >> 3) + 2;
	return (int64_t)((((uint64_t)(step & 7) + 9) << (octave - 3)) - 1);
}

static size_t lane_place(const struct index *index, resource_id resource)
{
	size_t at = 0;
	while (at < index->lane_count && index->lanes[at].resource < resource)
		at++;
	return at;
}

const struct index_lane *index_find(const struct index *index, resource_id resource)
{
	size_t at = lane_place(index, resource);
	return at < index->lane_count && index->lanes[at].resource == resource ? &index->lanes[at] : NULL;
}

static struct index_lane *lane_for(struct index *index, resource_id resource)
{
	size_t at = lane_place(index, resource);
	if (at < index->lane_count && index->lanes[at].resource == resource)
		return &index->lanes[at];
	index->lanes = xgrow(index->lanes, index->lane_count, &index->lane_room, sizeof(*index->lanes));
	memmove(&index->lanes[at + 1], &index->lanes[at], (index->lane_count - at) * sizeof(*index->lanes));
	index->lanes[at] = (struct index_lane){.resource = resource};
	index->lane_count++;
	return &index->lanes[at];
}

static struct index_shape shape_of(const struct node *node, size_t slot)
{
	struct index_shape shape = {.has_gpus = node->spec->lane_count > 0};
	if (slot == node->spec->lane_count) {
		shape.resource = RESOURCE_CPU;
		return shape;
	}
	shape.lane = node->spec->lanes[slot];
	shape.resource = shape.lane.resource;
	shape.pool = node->pool;
	shape.in_two_pools = node->in_two_pools;
	shape.allocatable = node_allocatable(node, shape.resource);
	return shape;
}

static bool shape_equal(const struct index_shape *a, const struct index_shape *b)
{
	return a->pool == b->pool && a->in_two_pools == b->in_two_pools && a->has_gpus == b->has_gpus &&
	       a->allocatable == b->allocatable && a->lane.unit == b->lane.unit &&
	       a->lane.replicas == b->lane.replicas && a->lane.memory_mib == b->lane.memory_mib &&
	       a->lane.dtypes == b->lane.dtypes && a->lane.model == b->lane.model && a->lane.profile == b->lane.profile;
}

static struct index_shape *shape_for(struct index *index, const struct index_shape *wanted)
{
	struct index_lane *lane = lane_for(index, wanted->resource);
	for (size_t i = 0; i < lane->shape_count; i++)
		if (shape_equal(lane->shapes[i], wanted))
			return lane->shapes[i];
	lane->shapes = xgrow(lane->shapes, lane->shape_count, &lane->shape_room, sizeof(*lane->shapes));
	struct index_shape *shape = xmalloc(sizeof(*shape));
	*shape = *wanted;
	lane->shapes[lane->shape_count++] = shape;
	return shape;
}

static void shape_drop(struct index *index, struct index_shape *shape)
{
	struct index_lane *lane = lane_for(index, shape->resource);
	for (size_t i = 0; i < lane->shape_count; i++)
		if (lane->shapes[i] == shape) {
			lane->shapes[i] = lane->shapes[--lane->shape_count];
			break;
		}
	free(shape->buckets);
	free(shape);
}

static size_t bucket_place(const struct index_shape *shape, int64_t key)
{
	size_t low = 0, high = shape->bucket_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (shape->buckets[middle]->key < key)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct index_bucket *bucket_for(struct index_shape *shape, int64_t key)
{
	size_t at = bucket_place(shape, key);
	if (at < shape->bucket_count && shape->buckets[at]->key == key)
		return shape->buckets[at];
	shape->buckets = xgrow(shape->buckets, shape->bucket_count, &shape->bucket_room, sizeof(struct index_bucket *));
	memmove(
	    &shape->buckets[at + 1], &shape->buckets[at], (shape->bucket_count - at) * sizeof(struct index_bucket *));
	struct index_bucket *bucket = xmalloc(sizeof(*bucket));
	*bucket = (struct index_bucket){.shape = shape, .key = key};
	shape->buckets[at] = bucket;
	shape->bucket_count++;
	return bucket;
}

static void bucket_drop(struct index_bucket *bucket)
{
	struct index_shape *shape = bucket->shape;
	size_t at = bucket_place(shape, bucket->key);
	shape->bucket_count--;
	memmove(
	    &shape->buckets[at], &shape->buckets[at + 1], (shape->bucket_count - at) * sizeof(struct index_bucket *));
	free(bucket);
}

static int by_name(const struct treap_node *a, const struct treap_node *b)
{
	return strcmp(((const struct node_slot *)a)->node->name, ((const struct node_slot *)b)->node->name);
}

static int64_t key_of(const struct node_slot *slot)
{
	resource_id resource = slot->shape->resource;
	int64_t left = node_free(slot->node, resource);
	return resource == RESOURCE_CPU ? index_cpu_key(left, node_allocatable(slot->node, resource)) : left;
}

static void slot_leave(struct node_slot *slot)
{
	treap_remove(&slot->bucket->by_name, &slot->link);
	if (slot->bucket->by_name.count == 0)
		bucket_drop(slot->bucket);
	slot->bucket = NULL;
}

static void slot_enter(struct node_slot *slot, int64_t key)
{
	slot->bucket = bucket_for(slot->shape, key);
	treap_insert(&slot->bucket->by_name, &slot->link, map_hash(slice_of(slot->node->name)), by_name);
}

void index_put(struct index *index, struct node *node)
{
	index->node_count++;
	topology_add(&index->topology, node);
	node->slot_count = node->spec->lane_count + 1;
	node->slots = xcalloc(node->slot_count, sizeof(*node->slots));
	for (size_t i = 0; i < node->slot_count; i++) {
		struct node_slot *slot = &node->slots[i];
		slot->node = node;
		if (!node->spec->ready || node->avoided || node_is_shut(node))
			continue;
		struct index_shape wanted = shape_of(node, i);
		slot->shape = shape_for(index, &wanted);
		slot_enter(slot, key_of(slot));
	}
}

void index_take(struct index *index, struct node *node)
{
	for (size_t i = 0; i < node->slot_count; i++) {
		struct node_slot *slot = &node->slots[i];
		if (!slot->shape)
			continue;
		slot_leave(slot);
		if (slot->shape->bucket_count == 0)
			shape_drop(index, slot->shape);
	}
	free(node->slots);
	node->slots = NULL;
	node->slot_count = 0;
	topology_remove(&index->topology, node);
	index->node_count--;
}

void index_update(struct node *node)
{
	for (size_t i = 0; i < node->slot_count; i++) {
		struct node_slot *slot = &node->slots[i];
		if (!slot->shape)
			continue;
		int64_t key = key_of(slot);
		if (slot->bucket->key == key)
			continue;
		slot_leave(slot);
		slot_enter(slot, key);
	}
}
