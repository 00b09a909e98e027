/* An ordered set of intrusive nodes: a treap (Seidel and Aragon, 1996) whose priorities are given by the caller, as a
 * hash of the key, so that its shape, like its order, depends on what is in it and not on how it came there. Owns
 * nothing. */
#ifndef CORE_TREAP_H
#define CORE_TREAP_H

#include <stddef.h>
#include <stdint.h>

struct treap_node {
	struct treap_node *parent, *left, *right;
	uint64_t priority;
};

/* A total order: no two nodes of one treap are equal. */
typedef int treap_order(const struct treap_node *a, const struct treap_node *b);

struct treap {
	struct treap_node *root;
	size_t count;
};

void treap_insert(struct treap *treap, struct treap_node *node, uint64_t priority, treap_order *order);
void treap_remove(struct treap *treap, struct treap_node *node);
/* In order; NULL at the end. */
struct treap_node *treap_first(const struct treap *treap);
struct treap_node *treap_after(const struct treap_node *node);

#endif
