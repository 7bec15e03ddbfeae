/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runnable entities of one queue, and who of them is next: the earliest deadline among those
 * that are owed service. The kernel keeps them in a red-black tree ordered by deadline and
 * augmented with the least vruntime of each subtree; this is a treap (a search tree that is a heap
 * by random numbers), which is as deep as log n and shorter to write. The order is the same, equal
 * deadlines in order of arrival.
 */
#include "fair.h"

static u64 treap_state = 0x9e3779b97f4a7c15ULL;

static u32 treap_random(void)
{
	/* xorshift64*: a sequence of its own, so the tree's shape draws from nobody's stream */
	treap_state ^= treap_state >> 12;
	treap_state ^= treap_state << 25;
	treap_state ^= treap_state >> 27;
	return (u32)((treap_state * 0x2545f4914f6cdd1dULL) >> 32);
}

void queue_init(struct fair_queue *queue, struct fair_rq *rq)
{
	queue->rq = rq;
	/* As in init_cfs_rq(): the first wrap-around of vruntime comes soon, and so is tested. */
	queue->zero_vruntime = (u64)-(1LL << 20);
}

/* Whether anything is different from before. */
static bool refresh(struct fair_se *se)
{
	u64 vruntime = se->vruntime, slice = se->slice;
	bool changed;

	for (int i = 0; i < 2; i++) {
		const struct fair_se *child = i ? se->right : se->left;

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

/* As far as it matters: most often two or three of a queue's entities, not all up to the root. */
static void refresh_up(struct fair_se *se)
{
	while (se && refresh(se))
		se = se->up;
}

void tree_refresh(struct fair_se *se)
{
	refresh_up(se);
}

static void replace_child(struct fair_queue *queue, struct fair_se *up, struct fair_se *old,
			  struct fair_se *new)
{
	if (!up)
		queue->root = new;
	else if (up->left == old)
		up->left = new;
	else
		up->right = new;
	if (new)
		new->up = up;
}

/* Lift a child over its parent. */
static void rotate_up(struct fair_queue *queue, struct fair_se *se)
{
	struct fair_se *parent = se->up, *inner;

	replace_child(queue, parent->up, parent, se);
	if (parent->left == se) {
		inner = se->right;
		se->right = parent;
		parent->left = inner;
	} else {
		inner = se->left;
		se->left = parent;
		parent->right = inner;
	}
	parent->up = se;
	if (inner)
		inner->up = parent;
	refresh(parent);
	refresh(se);
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
	struct fair_se *up = NULL, **link = &queue->root;
	bool first = true;

	queue->sum_w_vruntime += entity_key(queue, se) * weight_down(se);
	queue->sum_weight += weight_down(se);
	while (*link) {
		up = *link;
		if (vruntime_diff(se->deadline, up->deadline) < 0) {
			link = &up->left;
		} else {
			link = &up->right;
			first = false;
		}
	}
	se->left = se->right = NULL;
	se->up = up;
	se->tree_priority = treap_random();
	*link = se;
	if (first)
		queue->first = se;
	refresh(se);
	while (se->up && se->tree_priority > se->up->tree_priority)
		rotate_up(queue, se);
	refresh_up(se->up);
}

static struct fair_se *successor(struct fair_se *se)
{
	if (se->right) {
		for (se = se->right; se->left; se = se->left)
			;
		return se;
	}
	while (se->up && se->up->right == se)
		se = se->up;
	return se->up;
}

void tree_remove(struct fair_queue *queue, struct fair_se *se)
{
	struct fair_se *child;

	if (queue->first == se)
		queue->first = successor(se);
	while (se->left && se->right)
		rotate_up(queue, se->left->tree_priority > se->right->tree_priority ?
			  se->left : se->right);
	child = se->left ? se->left : se->right;
	replace_child(queue, se->up, se, child);
	refresh_up(se->up);
	se->left = se->right = se->up = NULL;
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
	if (queue->root && queue->root->min_slice < slice)
		slice = queue->root->min_slice;
	return slice;
}

/* The earliest deadline of the tree's eligible entities, in log n. */
static struct fair_se *first_eligible(const struct fair_queue *queue, s128 sum, s128 weight)
{
	struct fair_se *se = queue->root;

	if (queue->first && vruntime_eligible(queue, sum, weight, queue->first->vruntime))
		return queue->first;
	while (se) {
		if (se->left && vruntime_eligible(queue, sum, weight, se->left->min_vruntime))
			se = se->left;
		else if (vruntime_eligible(queue, sum, weight, se->vruntime))
			return se;
		else
			se = se->right;
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
