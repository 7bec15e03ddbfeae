/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One level of the fair class: an entity joins a queue, runs, is paid for, leaves. Names are those
 * of kernel/sched/fair.c (6.18), features at their defaults: PLACE_LAG, PLACE_DEADLINE_INITIAL,
 * PLACE_REL_DEADLINE, RUN_TO_PARITY, PREEMPT_SHORT, PICK_BUDDY, DELAY_DEQUEUE, DELAY_ZERO.
 */
#include "fair.h"

u64 base_slice;		/* sysctl_sched_base_slice: set by the class's init */

/* Time in virtual time: the heavier, the slower. */
u64 calc_delta_fair(u64 delta, const struct fair_se *se)
{
	if (se->weight == NICE_0_LOAD)
		return delta;
	return (u64)((s128)delta * NICE_0_LOAD / se->weight);
}

/* --- slice protection (RUN_TO_PARITY) --------------------------------------------------------- */

static u64 min_vruntime(u64 a, u64 b)
{
	return vruntime_diff(a, b) < 0 ? a : b;
}

/*
 * Who gets the cpu keeps it for the shortest slice that anybody in the queue asked for, or until
 * its own deadline.
 */
static void set_protect_slice(struct fair_queue *queue, struct fair_se *se)
{
	u64 slice = queue_min_slice(queue);

	if (slice > se->slice)
		slice = se->slice;
	se->vprot = se->deadline;
	if (slice != se->slice)
		se->vprot = min_vruntime(se->vprot, se->vruntime + calc_delta_fair(slice, se));
}

void update_protect_slice(struct fair_queue *queue, struct fair_se *se)
{
	u64 slice = queue_min_slice(queue);

	se->vprot = min_vruntime(se->vprot, se->vruntime + calc_delta_fair(slice, se));
}

bool protect_slice(const struct fair_se *se)
{
	return vruntime_diff(se->vprot, se->vruntime) > 0;
}

void cancel_protect_slice(struct fair_se *se)
{
	if (protect_slice(se))
		se->vprot = se->vruntime;
}

/* --- time ------------------------------------------------------------------------------------- */

/* A request is served: the next one. True: the cpu should look whose turn it is. */
static bool update_deadline(struct fair_se *se)
{
	if (vruntime_diff(se->vruntime, se->deadline) < 0)
		return false;
	if (!se->custom_slice)
		se->slice = base_slice;
	se->deadline = se->vruntime + calc_delta_fair(se->slice, se);
	return true;
}

bool charge_curr(struct fair_queue *queue, u64 delta)
{
	struct fair_se *curr = queue->curr;
	bool served;

	curr->exec_start = sim.now;
	curr->vruntime += calc_delta_fair(delta, curr);
	served = update_deadline(curr);
	if (queue->nr_queued == 1)
		return false;
	if (!served && protect_slice(curr))
		return false;
	if (queue->next == curr)
		queue->next = NULL;
	return true;
}

/* --- lag and placement ------------------------------------------------------------------------ */

/*
 * What an entity is owed (or owes) when it leaves: V - v. Theory bounds it by the longest request;
 * a tick's length comes on top as the cpu looks only then.
 */
static void update_entity_lag(struct fair_queue *queue, struct fair_se *se)
{
	s64 lag = vruntime_diff(avg_vruntime(queue), se->vruntime), limit;
	u64 slice = 2 * se->slice > sim.machine.tick_ns ? 2 * se->slice : sim.machine.tick_ns;

	limit = (s64)calc_delta_fair(slice, se);
	if (lag > limit)
		lag = limit;
	if (lag < -limit)
		lag = -limit;
	se->vlag = lag;
}

static u64 weight_of(const struct fair_se *se)
{
	u64 weight = se->weight >> NICE_0_SHIFT;

	return weight > 2 ? weight : 2;
}

/*
 * Adding an entity with lag l moves V by -w·l/(W + w), so that its lag would be less afterwards:
 * it is placed with (W + w)/W of it.
 */
static s64 inflated_lag(const struct fair_queue *queue, const struct fair_se *se)
{
	s128 load = queue->sum_weight;

	if (queue->curr && queue->curr->on_rq)
		load += weight_of(queue->curr);
	return load ? (s64)((s128)se->vlag * (load + weight_of(se)) / load) : 0;
}

void place_entity(struct fair_queue *queue, struct fair_se *se, u64 flags)
{
	u64 vruntime = avg_vruntime(queue), vslice;
	s64 lag = 0;

	if (!se->custom_slice)
		se->slice = base_slice;
	vslice = calc_delta_fair(se->slice, se);
	if (queue->nr_queued && se->vlag)
		lag = inflated_lag(queue, se);
	se->vruntime = vruntime - lag;
	if (se->rel_deadline) {
		se->deadline += se->vruntime;
		se->rel_deadline = false;
		return;
	}
	/* The others are half through their slices on average: a new task joins with half. */
	if (flags & ENQUEUE_INITIAL)
		vslice /= 2;
	se->deadline = se->vruntime + vslice;
}

/* --- joining and leaving ---------------------------------------------------------------------- */

void enqueue_entity(struct fair_queue *queue, struct fair_se *se, u64 flags)
{
	bool curr = queue->curr == se;

	se->queue = queue;
	update_load(queue, se);
	update_group_share(se);
	place_entity(queue, se, flags);
	queue->nr_queued++;
	queue->weight += se->weight;
	if (flags & (ENQUEUE_MIGRATED | ENQUEUE_MIGRATING))
		se->exec_start = 0;	/* nothing of it is in this cpu's cache */
	if (!curr)
		tree_insert(queue, se);
	se->on_rq = true;
}

static void count_delayed(struct fair_se *se, s32 change)
{
	/* A delayed group has no runnable tasks: there is nothing to count. */
	if (!se->task)
		return;
	for (; se; se = se->queue->se)
		count_tasks(se->queue, 0, change);
}

void clear_delayed(struct fair_se *se)
{
	se->sched_delayed = false;
	count_delayed(se, 1);
}

/*
 * False: it goes to sleep in debt, and stays in the queue until it is eligible again
 * (DELAY_DEQUEUE), so that nobody can sleep a debt away.
 */
bool dequeue_entity(struct fair_queue *queue, struct fair_se *se, u64 flags)
{
	bool sleep = flags & DEQUEUE_SLEEP;

	if (queue->next == se)
		queue->next = NULL;
	if (sleep && !(flags & (ENTITY_DELAYED | DEQUEUE_DEAD)) && !entity_eligible(queue, se)) {
		update_load(queue, se);
		se->sched_delayed = true;
		count_delayed(se, -1);
		return false;
	}
	update_load(queue, se);
	update_entity_lag(queue, se);
	if (!sleep) {
		se->deadline -= se->vruntime;
		se->rel_deadline = true;
	}
	if (queue->curr != se)
		tree_remove(queue, se);
	se->on_rq = false;
	queue->nr_queued--;
	queue->weight -= se->weight;
	update_group_share(se);
	if (se->sched_delayed) {
		clear_delayed(se);
		/* DELAY_ZERO: waiting in the queue pays debts, but earns nothing */
		if (se->vlag > 0)
			se->vlag = 0;
	}
	return true;
}

/* A delayed entity is woken: it goes on from where its debt has come to, but not with a gain. */
void requeue_delayed(struct fair_se *se)
{
	struct fair_queue *queue = se->queue;

	update_entity_lag(queue, se);
	if (se->vlag > 0) {
		bool curr = queue->curr == se;

		queue->nr_queued--;
		if (!curr)
			tree_remove(queue, se);
		else
			se->on_rq = false;	/* V without it */
		se->vlag = 0;
		place_entity(queue, se, 0);
		if (!curr)
			tree_insert(queue, se);
		se->on_rq = true;
		queue->nr_queued++;
	}
	update_load(queue, se);
	clear_delayed(se);
}

/* A new weight: lag and what is left of the request are time, so they scale in virtual time. */
void reweight_entity(struct fair_queue *queue, struct fair_se *se, u64 weight)
{
	bool curr = queue && queue->curr == se, queued = se->on_rq;

	if (queued) {
		update_entity_lag(queue, se);
		se->deadline -= se->vruntime;
		se->rel_deadline = true;
		queue->nr_queued--;
		if (!curr)
			tree_remove(queue, se);
		else
			se->on_rq = false;
		queue->weight -= se->weight;
	}
	se->vlag = (s64)((s128)se->vlag * (s128)se->weight / (s128)weight);
	if (se->rel_deadline)
		se->deadline = (u64)(s64)((s128)(s64)se->deadline * (s128)se->weight /
					  (s128)weight);
	reweight_load(queue, se, weight);
	if (queued) {
		place_entity(queue, se, 0);
		queue->weight += se->weight;
		if (!curr)
			tree_insert(queue, se);
		se->on_rq = true;
		queue->nr_queued++;
	}
}

/* --- running ---------------------------------------------------------------------------------- */

/* first: it gets the cpu now, and did not just change its place while it had it. */
void set_next_entity(struct fair_queue *queue, struct fair_se *se, bool first)
{
	if (queue->next == se)
		queue->next = NULL;
	if (se->on_rq) {
		tree_remove(queue, se);		/* who runs is not in the tree */
		update_load(queue, se);
		if (first)
			set_protect_slice(queue, se);
	}
	se->exec_start = sim.now;
	queue->curr = se;
}

void put_prev_entity(struct fair_queue *queue, struct fair_se *se)
{
	if (se->on_rq) {
		tree_insert(queue, se);
		update_load(queue, se);
	}
	queue->curr = NULL;
}
