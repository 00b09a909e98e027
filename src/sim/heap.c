#include "sim/heap.h"

#include <stdlib.h>

#include "berth/alloc.h"

void sim_heap_free(struct sim_heap *heap)
{
	free(heap->nodes);
	*heap = (struct sim_heap){0};
}

static bool before(const struct sim_heap_node *a, const struct sim_heap_node *b)
{
	return a->major != b->major ? a->major < b->major : a->minor < b->minor;
}

static void set(struct sim_heap *heap, size_t at, struct sim_heap_node *node)
{
	heap->nodes[at] = node;
	node->at = at + 1;
}

static void settle(struct sim_heap *heap, size_t at, struct sim_heap_node *node)
{
	while (at > 0 && before(node, heap->nodes[(at - 1) / 2])) {
		set(heap, at, heap->nodes[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	for (size_t child; (child = 2 * at + 1) < heap->count; at = child) {
		if (child + 1 < heap->count && before(heap->nodes[child + 1], heap->nodes[child]))
			child++;
		if (!before(heap->nodes[child], node))
			break;
		set(heap, at, heap->nodes[child]);
	}
	set(heap, at, node);
}

void sim_heap_put(struct sim_heap *heap, struct sim_heap_node *node, int64_t major, int64_t minor)
{
	sim_heap_remove(heap, node);
	node->major = major;
	node->minor = minor;
	heap->nodes = xgrow(heap->nodes, heap->count, &heap->room, sizeof(struct sim_heap_node *));
	heap->count++;
	settle(heap, heap->count - 1, node);
}

void sim_heap_remove(struct sim_heap *heap, struct sim_heap_node *node)
{
	if (node->at == 0)
		return;
	size_t at = node->at - 1;
	struct sim_heap_node *last = heap->nodes[--heap->count];

	node->at = 0;
	if (last != node)
		settle(heap, at, last);
}

struct sim_heap_node *sim_heap_first(const struct sim_heap *heap)
{
	return heap->count ? heap->nodes[0] : NULL;
}
