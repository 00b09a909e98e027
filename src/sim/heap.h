/* A binary heap of nodes that live in their owners' structs, smallest (major, minor) first; any node can be taken out.
 */
#ifndef SIM_HEAP_H
#define SIM_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim_heap_node {
	int64_t major, minor;
	size_t at; /* place in the heap + 1; 0 = in none */
};

struct sim_heap {
	struct sim_heap_node **nodes;
	size_t count, room;
};

/* A zeroed heap is an empty heap. */
void sim_heap_free(struct sim_heap *heap);
void sim_heap_put(struct sim_heap *heap, struct sim_heap_node *node, int64_t major, int64_t minor);
/* Nothing happens to a node that is in no heap. */
void sim_heap_remove(struct sim_heap *heap, struct sim_heap_node *node);
/* The smallest, or NULL. */
struct sim_heap_node *sim_heap_first(const struct sim_heap *heap);

#define sim_container_of(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
