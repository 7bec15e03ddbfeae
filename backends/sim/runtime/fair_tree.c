/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runnable entities of one queue, and who of them is next: the earliest deadline among those
 * that are owed service. The kernel keeps them in a red-black tree ordered by deadline and
 * augmented with the least vruntime of each subtree; this is a treap, which is shorter to write.
 * The order is the same, equal deadlines in order of arrival.
 */
#include "fair.h"

void queue_init(struct fair_queue *queue, struct fair_rq *rq)
{
	queue->rq = rq;
	/* As in init_cfs_rq(): the first wrap-around of vruntime comes soon, and so is tested. */
	queue->zero_vruntime = (u64)-(1LL << 20);
}

/* Whether anything is different from before. */
static inline bool refresh(struct fair_se *se)
{
	u64 vruntime = se->vruntime, slice = se->slice;
	bool changed;

	for (int i = 0; i < 2; i++) {
		const struct fair_se *child = se_at(i ? se->tree.right : se->tree.left);

		if (!child)
			continue;
		if (vruntime_diff(child->min_vruntime, vruntime) < 0)
			vruntime = child->min_vruntime;
		if (child->min_slice < slice)
			slice = child->min_slice;
	}
	changed = se->min_vruntime != vruntime || se->min_slice != slice;
	se->min_vruntime = vruntime;
	se->min_slice = slice;
	return changed;
}

static inline void refresh_node(struct treap_node *node)
{
	refresh(se_at(node));
}

/* As far as it matters: most often two or three of a queue's entities, not all up to the root. */
static void refresh_up(struct treap_node *node)
{
	while (node && refresh(se_at(node)))
		node = node->up;
}

void tree_refresh(struct fair_se *se)
{
	refresh_up(&se->tree);
}

static s128 entity_key(const struct fair_queue *queue, const struct fair_se *se)
{
	return vruntime_diff(se->vruntime, queue->zero_vruntime);
}

static u64 weight_down(const struct fair_se *se)
{
	u64 weight = se->weight >> NICE_0_SHIFT;

	/* scale_load_down() keeps small shares of groups from vanishing */
	return weight > 2 ? weight : 2;
}

void tree_insert(struct fair_queue *queue, struct fair_se *se)
{
	struct treap_node *up = NULL, **link = &queue->root;
	bool first = true;

	queue->sum_w_vruntime += entity_key(queue, se) * weight_down(se);
	queue->sum_weight += weight_down(se);
	while (*link) {
		up = *link;
		if (vruntime_diff(se->deadline, se_at(up)->deadline) < 0) {
			link = &up->left;
		} else {
			link = &up->right;
			first = false;
		}
	}
	if (first)
		queue->first = se;
	treap_insert(&queue->root, up, link, &se->tree, refresh_node);
	refresh_up(se->tree.up);
}

static struct fair_se *successor(const struct fair_se *se)
{
	const struct treap_node *node = &se->tree;
	struct treap_node *next = node->right;

	if (next) {
		while (next->left)
			next = next->left;
		return se_at(next);
	}
	for (next = node->up; next && next->right == node; next = next->up)
		node = next;
	return se_at(next);
}

void tree_remove(struct fair_queue *queue, struct fair_se *se)
{
	if (queue->first == se)
		queue->first = successor(se);
	refresh_up(treap_remove(&queue->root, &se->tree, refresh_node));
	queue->sum_w_vruntime -= entity_key(queue, se) * weight_down(se);
	queue->sum_weight -= weight_down(se);
}

static void sums_with_curr(const struct fair_queue *queue, s128 *sum, s128 *weight)
{
	const struct fair_se *curr = queue->curr;

	*sum = queue->sum_w_vruntime;
	*weight = queue->sum_weight;
	if (curr && curr->on_rq) {
		*sum += entity_key(queue, curr) * weight_down(curr);
		*weight += weight_down(curr);
	}
}

/*
 * V, the weighted mean of all vruntimes, rounded down so that whoever is at V counts as eligible.
 * The zero point follows it: keys stay small.
 */
u64 avg_vruntime(struct fair_queue *queue)
{
	s128 sum, weight;
	s64 delta;

	sums_with_curr(queue, &sum, &weight);
	if (!weight)
		return queue->zero_vruntime;
	if (sum < 0)
		sum -= weight - 1;
	delta = (s64)(sum / weight);
	queue->sum_w_vruntime -= (s128)delta * queue->sum_weight;
	queue->zero_vruntime += delta;
	return queue->zero_vruntime;
}

/* V >= vruntime, without the division. */
static bool vruntime_eligible(const struct fair_queue *queue, s128 sum, s128 weight, u64 vruntime)
{
	return sum >= (s128)vruntime_diff(vruntime, queue->zero_vruntime) * weight;
}

bool entity_eligible(struct fair_queue *queue, const struct fair_se *se)
{
	s128 sum, weight;

	sums_with_curr(queue, &sum, &weight);
	return vruntime_eligible(queue, sum, weight, se->vruntime);
}

u64 queue_min_slice(const struct fair_queue *queue)
{
	u64 slice = TIME_MAX;

	if (queue->curr && queue->curr->on_rq)
		slice = queue->curr->slice;
	if (queue->root && se_at(queue->root)->min_slice < slice)
		slice = se_at(queue->root)->min_slice;
	return slice;
}

/* The earliest deadline of the tree's eligible entities, in log n. */
static struct fair_se *first_eligible(const struct fair_queue *queue, s128 sum, s128 weight)
{
	const struct treap_node *node = queue->root;

	if (queue->first && vruntime_eligible(queue, sum, weight, queue->first->vruntime))
		return queue->first;
	while (node) {
		struct fair_se *se = se_at(node), *left = se_at(node->left);

		if (left && vruntime_eligible(queue, sum, weight, left->min_vruntime))
			node = node->left;
		else if (vruntime_eligible(queue, sum, weight, se->vruntime))
			return se;
		else
			node = node->right;
	}
	return NULL;
}

struct fair_se *pick_eevdf(struct fair_queue *queue, bool protect)
{
	struct fair_se *curr = queue->curr && queue->curr->on_rq ? queue->curr : NULL, *best;
	s128 sum, weight;

	if (queue->nr_queued == 1)
		return curr ? curr : queue->first;
	sums_with_curr(queue, &sum, &weight);
	/* PICK_BUDDY: a group one of whose tasks has just gone to sleep within its slice. */
	if (protect && queue->next &&
	    vruntime_eligible(queue, sum, weight, queue->next->vruntime))
		return queue->next;
	if (curr && !vruntime_eligible(queue, sum, weight, curr->vruntime))
		curr = NULL;
	if (curr && protect && protect_slice(curr))
		return curr;
	best = first_eligible(queue, sum, weight);
	if (!best || (curr && vruntime_diff(curr->deadline, best->deadline) < 0))
		best = curr;
	return best;
}
