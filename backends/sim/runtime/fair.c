/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fair class (EEVDF): tasks through the levels of their groups, wake-up preemption, ticks,
 * yield. Control groups are one level deep: a group has an entity on each cpu, whose weight is the
 * cpu's part of the group's shares.
 */
#include "core.h"
#include "fair.h"

/* --- levels ----------------------------------------------------------------------------------- */

/* A group's entity asks for slices as short as its tasks' shortest. */
static void follow_slice(struct fair_se *se)
{
	u64 slice = queue_min_slice(se->owned);

	if (slice == TIME_MAX || se->slice == slice)
		return;
	se->slice = slice;
	se->custom_slice = true;
	if (se->on_rq && se->queue->curr != se)
		tree_refresh(se);
}

/* --- requests to reschedule ------------------------------------------------------------------- */

/*
 * PREEMPT_LAZY, which Debian's 6.18 boots with: a running task isn't interrupted for another fair
 * one. It notices when its cpu next leaves the kernel, at the latest at a tick. The cpu that acts
 * now is in the kernel; one that shares no cache with it is sent the wake-up itself
 * (ttwu_queue_wakelist()), which takes it there. What the running task still has to do in the
 * kernel (a fork, its exit) isn't broken off either.
 */
void resched_lazy(struct rq *rq)
{
	u64 leaves;

	if (sim.this_cpu >= 0 && rq->cpu != sim.this_cpu && cpus_share_cache(rq->cpu, sim.this_cpu)) {
		rq->fair->lazy_resched = true;
		return;
	}
	leaves = rq->speed_since + rq->curr->overhead_left;
	if (!rq->need_resched && rq->irq_until < leaves)
		rq->irq_until = leaves;
	resched_curr(rq);
}

/* A wake-up was a timer's interrupt or a system call: its cpu leaves the kernel now. */
static void leave_kernel(void)
{
	struct rq *rq = sim.this_cpu < 0 ? NULL : cpu_rq(sim.this_cpu);

	if (rq && rq->fair->lazy_resched && rq->curr)
		resched_curr(rq);
}

/* core.c has added delta_exec to the running task: charge it, and its group, in virtual time. */
void fair_update_curr(struct rq *rq)
{
	bool resched = false;

	for (struct fair_se *se = &rq->curr->fair->se; se; se = se->queue->se)
		if (se->queue->curr == se)
			resched |= charge_curr(se->queue, rq->delta_exec);
	rq->curr->k.se.vruntime = rq->curr->fair->se.vruntime;
	if (resched)
		resched_lazy(rq);
}

/* --- tasks come and go ------------------------------------------------------------------------ */

static void list_push(struct fair_rq *fr, struct fair_task *t)
{
	t->node.next = fr->tasks.next;
	t->node.prev = &fr->tasks;
	fr->tasks.next->prev = &t->node;
	fr->tasks.next = &t->node;
	t->listed = true;
}

void fair_list_remove(struct fair_task *t)
{
	if (!t->listed)
		return;
	t->node.prev->next = t->node.next;
	t->node.next->prev = t->node.prev;
	t->listed = false;
}

void fair_list_to_front(struct fair_rq *fr, struct fair_task *t)
{
	fair_list_remove(t);
	list_push(fr, t);
}

/* The levels above the one where something came or went. */
static void update_ancestors(struct fair_se *se, s32 change)
{
	for (; se; se = se->queue->se) {
		update_load(se->queue, se);
		update_group_share(se);
		follow_slice(se);
		count_tasks(se->queue, change, change);
	}
}

/* An idle cpu's mean idle time: how long a search for work may take (rq->avg_idle). */
static void end_idle(struct fair_rq *fr)
{
	s64 diff;

	if (!fr->idle_stamp)
		return;
	diff = (s64)(sim.now - fr->idle_stamp) - (s64)fr->avg_idle;
	fr->avg_idle = (u64)((s64)fr->avg_idle + diff / 8);
	if (fr->avg_idle > 2 * MIGRATION_COST)
		fr->avg_idle = 2 * MIGRATION_COST;
	fr->idle_stamp = 0;
}

static void enqueue_levels(struct fair_se *se, u64 flags)
{
	for (; se; se = se->queue->se) {
		if (se->on_rq) {
			if (se->sched_delayed)
				requeue_delayed(se);
			break;
		}
		if (se->owned)
			follow_slice(se);
		update_queue_load(se->queue);
		enqueue_entity(se->queue, se, flags);
		count_tasks(se->queue, 1, 1);
		flags = ENQUEUE_WAKEUP;
	}
	update_ancestors(se, 1);
}

void fair_enqueue(struct rq *rq, struct task *p, u64 flags)
{
	struct fair_task *t = p->fair;
	struct fair_queue *queue = fair_queue_of(t, rq->cpu);

	update_curr(rq);
	if (flags & ENQUEUE_WAKEUP)
		end_idle(rq->fair);
	list_push(rq->fair, t);
	if (t->se.sched_delayed) {
		requeue_delayed(&t->se);
	} else {
		if (t->attached != queue) {
			detach_load(t);
			attach_load(queue, t);
		}
		t->se.queue = queue;
		t->se.parent = queue->se;
		enqueue_levels(&t->se, flags);
	}
	if (rq->fair->queue.h_nr_queued > 1)
		overloaded = true;
	leave_kernel();
}

/* False: a task that goes to sleep in debt stays; see dequeue_entity(). */
bool dequeue_entities(struct fair_se *se, u64 flags)
{
	s32 tasks = se->task ? 1 : 0;
	bool sleep = flags & DEQUEUE_SLEEP;

	for (; se; se = se->queue->se) {
		struct fair_queue *queue = se->queue;

		if (!dequeue_entity(queue, se, flags)) {
			if (se->task)
				return false;
			break;
		}
		count_tasks(queue, -tasks, -tasks);
		if (queue->weight) {
			se = queue->se;
			/* it sleeps within its group's slice: the others may use the rest */
			if (sleep && se && se->on_rq && !se->sched_delayed)
				se->queue->next = se;
			break;
		}
		flags = (flags | DEQUEUE_SLEEP) & ~(ENTITY_DELAYED | DEQUEUE_DEAD);
	}
	update_ancestors(se, -tasks);
	return true;
}

void fair_dequeue(struct rq *rq, struct task *p, u64 flags)
{
	(void)rq;
	fair_list_remove(p->fair);
	dequeue_entities(&p->fair->se, flags);
}

/* --- who is next ------------------------------------------------------------------------------ */

static struct fair_task *pick(struct fair_rq *fr)
{
	struct fair_queue *queue = &fr->queue;

	while (queue->nr_queued) {
		struct fair_se *se = pick_eevdf(queue, true);

		if (se->sched_delayed) {
			dequeue_entities(se, DEQUEUE_SLEEP | ENTITY_DELAYED);
			queue = &fr->queue;
			continue;
		}
		if (se->task)
			return se->task;
		queue = se->owned;
	}
	return NULL;
}

struct task *fair_pick(struct rq *rq, struct task *prev)
{
	struct fair_task *t;

	(void)prev;
	/* What update_curr() asked for on the way into schedule() is being answered. */
	rq->need_resched = false;
	rq->fair->lazy_resched = false;
	do
		t = pick(rq->fair);
	while (!t && newidle_balance(rq->fair));
	return t ? t->p : NULL;
}

/* A group that both belong to stays current: its slice goes on. */
void fair_put_prev(struct rq *rq, struct task *p, struct task *next)
{
	struct fair_se *se = &p->fair->se, *common = next ? next->fair->se.parent : NULL;

	(void)rq;
	for (; se && se != common; se = se->queue->se)
		if (se->queue->curr == se)
			put_prev_entity(se->queue, se);
}

void fair_set_next(struct rq *rq, struct task *p)
{
	bool first = rq->curr != p;	/* else it had the cpu, and its nice or cpus changed */

	for (struct fair_se *se = &p->fair->se; se; se = se->queue->se)
		if (se->queue->curr != se)
			set_next_entity(se->queue, se, first);
	fair_list_to_front(rq->fair, p->fair);
}

/* --- preemption ------------------------------------------------------------------------------- */

void fair_wakeup_preempt(struct rq *rq, struct task *p, u64 wake_flags)
{
	struct fair_se *se = &rq->curr->fair->se, *woken = &p->fair->se;
	struct fair_queue *queue;
	bool shorter;

	(void)wake_flags;
	if (se == woken || rq->need_resched)
		return;
	update_curr(rq);
	if (se->queue != woken->queue) {	/* compare where they have a queue in common */
		se = se->parent ? se->parent : se;
		woken = woken->parent ? woken->parent : woken;
	}
	if (se == woken)
		return;
	queue = se->queue;
	/* PREEMPT_SHORT: who asks for less, and is owed it, breaks the running one's slice. */
	shorter = woken->slice < se->slice && entity_eligible(queue, woken);
	if (pick_eevdf(queue, !shorter) == woken) {
		if (shorter)
			cancel_protect_slice(se);
		resched_lazy(rq);
	} else if (shorter) {
		update_protect_slice(queue, se);
	}
}

void fair_tick(struct rq *rq, struct task *p)
{
	for (struct fair_se *se = &p->fair->se; se; se = se->queue->se) {
		update_load(se->queue, se);
		update_group_share(se);
	}
	if (rq->fair->lazy_resched)
		resched_curr(rq);
	rq->fair->lazy_resched = false;
}

/* Who yields gives up what is left of its request, if it was owed it. */
void fair_yield(struct rq *rq)
{
	struct fair_se *se = &rq->curr->fair->se;

	if (rq->nr_running == 1)
		return;
	update_curr(rq);
	if (se->queue->next == se)
		se->queue->next = NULL;
	if (!entity_eligible(se->queue, se))
		return;
	se->vruntime = se->deadline;
	se->deadline += calc_delta_fair(se->slice, se);
}

/* --- changes ---------------------------------------------------------------------------------- */

u64 fair_task_weight(const struct task *p)
{
	return (u64)nice_to_weight(p->k.static_prio - 120) << NICE_0_SHIFT;
}

void fair_reweight(struct task *p)
{
	if (p->fair)	/* it isn't dead */
		reweight_entity(p->fair->se.queue, &p->fair->se, fair_task_weight(p));
}

void fair_prio_changed(struct rq *rq, struct task *p, int old)
{
	if (rq->fair->queue.nr_queued <= 1 || !p->k.on_rq)
		return;
	if (rq->curr != p)
		wakeup_preempt(rq, p, 0);
	else if (p->k.prio > old)
		resched_curr(rq);
}

/* A sleeper whose debt holds it in a queue leaves it if it may not use that cpu any more. */
void fair_set_cpus_allowed(struct task *p)
{
	struct fair_se *se = p->fair ? &p->fair->se : NULL;

	if (se && se->sched_delayed && !task_allowed(p, se->queue->rq->rq->cpu))
		dequeue_entities(se, DEQUEUE_SLEEP | ENTITY_DELAYED);
}
