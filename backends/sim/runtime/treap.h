/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A treap: a search tree that is a heap by random ranks, and so is as deep as log n whatever comes.
 * Who uses it finds the place for a node by an order of its own, and may keep in each node what
 * holds of its subtree: `update` brings that up to date from the node's children (NULL: nothing).
 * All is inline, so that `update` is, too.
 */
#ifndef TREAP_H
#define TREAP_H

#include <stddef.h>
#include "kernel.h"

struct treap_node {
	struct treap_node *left, *right, *up;
	u32 rank;		/* no child's is larger */
};

typedef void treap_update(struct treap_node *node);

/* A generator of its own: the shape is the same in each run, and draws from nobody's stream. */
static inline u32 treap_rank(void)
{
	static u32 state = 2463534242u;

	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

static inline void treap_replace(struct treap_node **root, struct treap_node *up,
				 const struct treap_node *old, struct treap_node *new)
{
	if (!up)
		*root = new;
	else if (up->left == old)
		up->left = new;
	else
		up->right = new;
	if (new)
		new->up = up;
}

/* The child takes its parent's place, and the parent becomes its child. */
static inline void treap_rotate_up(struct treap_node **root, struct treap_node *child,
				   treap_update *update)
{
	struct treap_node *up = child->up, *inner;

	treap_replace(root, up->up, up, child);
	if (up->left == child) {
		inner = child->right;
		up->left = inner;
		child->right = up;
	} else {
		inner = child->left;
		up->right = inner;
		child->left = up;
	}
	up->up = child;
	if (inner)
		inner->up = up;
	if (update) {
		update(up);
		update(child);
	}
}

/* The node becomes up's child (NULL: the root) at `at`; what is above it is not updated. */
static inline void treap_insert(struct treap_node **root, struct treap_node *up,
				struct treap_node **at, struct treap_node *node,
				treap_update *update)
{
	*node = (struct treap_node){ .up = up, .rank = treap_rank() };
	*at = node;
	if (update)
		update(node);
	while (node->up && node->up->rank < node->rank)
		treap_rotate_up(root, node, update);
}

/* Returns what is to be updated now, with all above it: where the node was in the end. */
static inline struct treap_node *treap_remove(struct treap_node **root, struct treap_node *node,
					      treap_update *update)
{
	struct treap_node *up;

	while (node->left && node->right)
		treap_rotate_up(root, node->left->rank > node->right->rank ? node->left :
				node->right, update);
	up = node->up;
	treap_replace(root, up, node, node->left ? node->left : node->right);
	node->left = node->right = node->up = NULL;
	return up;
}

#endif
