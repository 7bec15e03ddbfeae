/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dispatch queues. All tasks of a queue are on its list, in the order in which they are consumed;
 * the ones inserted with a key are in a treap besides, which finds their place in O(log n). Keys are
 * compared as the kernel compares times, signed and modulo 2^64, and equal ones keep their order of
 * insertion.
 */
#include <stdlib.h>
#include "ext.h"

static struct dispatch_q **table;
static u32 table_size, table_used;

void dsq_init(struct dispatch_q *dsq, u64 id, s32 cpu)
{
	*dsq = (struct dispatch_q){ .id = id, .cpu = cpu };
	list_init(&dsq->list);
}

/* --- by id ------------------------------------------------------------------------------------ */

static u32 slot_of(u64 id)
{
	return (u32)((id * 0x9e3779b97f4a7c15ULL) >> 32) & (table_size - 1);
}

struct dispatch_q *dsq_find(u64 id)
{
	if (!table_size)
		return NULL;
	for (struct dispatch_q *dsq = table[slot_of(id)]; dsq; dsq = dsq->next)
		if (dsq->id == id)
			return dsq;
	return NULL;
}

static void table_grow(void)
{
	struct dispatch_q **old = table;
	u32 old_size = table_size;

	table_size = old_size ? old_size * 2 : 64;
	table = allocate(table_size * sizeof(struct dispatch_q *));
	for (u32 i = 0; i < old_size; i++) {
		for (struct dispatch_q *dsq = old[i], *next; dsq; dsq = next) {
			u32 slot = slot_of(dsq->id);

			next = dsq->next;
			dsq->next = table[slot];
			table[slot] = dsq;
		}
	}
	free(old);
}

s32 dsq_create(u64 id)
{
	struct dispatch_q *dsq;

	if (dsq_find(id))
		return -EEXIST;
	if (table_used >= table_size)
		table_grow();
	dsq = allocate(sizeof(*dsq));
	dsq_init(dsq, id, NO_CPU);
	dsq->next = table[slot_of(id)];
	table[slot_of(id)] = dsq;
	table_used++;
	return 0;
}

void dsq_destroy(u64 id)
{
	struct dispatch_q **at, *dsq = dsq_find(id);

	if (!dsq)
		return;
	if (dsq->nr) {
		scx_error("attempting to destroy in-use dsq 0x%016llx (nr=%u)", id, dsq->nr);
		return;
	}
	for (at = &table[slot_of(id)]; *at != dsq; at = &(*at)->next)
		;
	*at = dsq->next;
	table_used--;
	/* An iterator may still stand in it. */
	while (!list_empty(&dsq->list))
		list_del(dsq->list.next);
	free(dsq);
}

void dsq_free_all(void)
{
	for (u32 i = 0; i < table_size; i++) {
		for (struct dispatch_q *dsq = table[i], *next; dsq; dsq = next) {
			next = dsq->next;
			free(dsq);
		}
	}
	free(table);
	table = NULL;
	table_size = table_used = 0;
}

/* --- the list --------------------------------------------------------------------------------- */

/* The next task after a node, or before it; NULL at the end. */
struct ext_task *dsq_after(struct dispatch_q *dsq, struct dsq_node *at, bool backwards)
{
	struct list_node *link = at ? &at->link : &dsq->list;
	struct dsq_node *node;

	do {
		link = backwards ? link->prev : link->next;
		if (link == &dsq->list)
			return NULL;
		node = container_of(link, struct dsq_node, link);
	} while (node->is_cursor);
	return container_of(node, struct ext_task, node);
}

struct ext_task *dsq_first(struct dispatch_q *dsq)
{
	return dsq->nr ? dsq_after(dsq, NULL, false) : NULL;
}

static void count_in(struct dispatch_q *dsq, struct ext_task *e)
{
	e->node.seq = ++dsq->seq;
	e->dsq = dsq;
	dsq->nr++;
}

void dsq_add(struct dispatch_q *dsq, struct ext_task *e, bool head)
{
	list_add_after(head ? &dsq->list : dsq->list.prev, &e->node.link);
	e->keyed = false;
	count_in(dsq, e);
}

/* --- the tree --------------------------------------------------------------------------------- */

static u64 key_of(struct ext_task *e)
{
	return ext_owner(e)->k.scx.dsq_vtime;
}

static struct ext_task *task_at(struct treap_node *node)
{
	return container_of(node, struct ext_task, tree);
}

void dsq_add_keyed(struct dispatch_q *dsq, struct ext_task *e)
{
	struct treap_node **at = &dsq->root, *up = NULL;
	struct ext_task *before = NULL;
	u64 key = key_of(e);

	while (*at) {
		up = *at;
		if ((s64)(key - key_of(task_at(up))) < 0) {
			at = &up->left;
		} else {
			before = task_at(up);
			at = &up->right;
		}
	}
	treap_insert(&dsq->root, up, at, &e->tree, NULL);
	e->keyed = true;
	list_add_after(before ? &before->node.link : &dsq->list, &e->node.link);
	count_in(dsq, e);
}

void dsq_unlink(struct ext_task *e)
{
	struct dispatch_q *dsq = e->dsq;

	if (e->keyed)
		treap_remove(&dsq->root, &e->tree, NULL);
	e->keyed = false;
	list_del(&e->node.link);
	dsq->nr--;
	e->dsq = NULL;
}
