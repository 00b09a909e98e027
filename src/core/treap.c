#include "core/treap.h"

static struct treap_node **link_of(struct treap *treap, const struct treap_node *node)
{
	if (!node->parent)
		return &treap->root;
	return node->parent->left == node ? &node->parent->left : &node->parent->right;
}

/* Puts the child in its parent's place and the parent below it. */
static void rotate_up(struct treap *treap, struct treap_node *child)
{
	struct treap_node *parent = child->parent, *moved;
	*link_of(treap, parent) = child;
	if (parent->left == child) {
		moved = child->right;
		parent->left = moved;
		child->right = parent;
	} else {
		moved = child->left;
		parent->right = moved;
		child->left = parent;
	}
	if (moved)
		moved->parent = parent;
	child->parent = parent->parent;
	parent->parent = child;
}

void treap_insert(struct treap *treap, struct treap_node *node, uint64_t priority, treap_order *order)
{
	struct treap_node **link = &treap->root, *parent = NULL;
	while (*link) {
		parent = *link;
		link = order(node, parent) < 0 ? &parent->left : &parent->right;
	}
	*node = (struct treap_node){.parent = parent, .priority = priority};
	*link = node;
	treap->count++;
	while (node->parent && node->parent->priority < node->priority)
		rotate_up(treap, node);
}

void treap_remove(struct treap *treap, struct treap_node *node)
{
	while (node->left && node->right)
		rotate_up(treap, node->left->priority > node->right->priority ? node->left : node->right);
	struct treap_node *child = node->left ? node->left : node->right;
	*link_of(treap, node) = child;
	if (child)
		child->parent = node->parent;
	treap->count--;
}

struct treap_node *treap_first(const struct treap *treap)
{
	struct treap_node *node = treap->root;
	while (node && node->left)
		node = node->left;
	return node;
}

struct treap_node *treap_after(const struct treap_node *node)
{
	if (node->right) {
		struct treap_node *next = node->right;
		while (next->left)
			next = next->left;
		return next;
	}
	while (node->parent && node->parent->right == node)
		node = node->parent;
	return node->parent;
}
