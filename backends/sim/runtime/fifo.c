/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plainest scheduler: one queue in order of arrival, slices of 20 ms that end at ticks, no
 * preemption by wake-ups. Tasks that may use one cpu only wait in a queue of that cpu, so that
 * nobody searches past them; between the two queues the earlier arrival goes first.
 */
#include "core.h"

#define FIFO_SLICE (20 * NSEC_MSEC)

static struct list_node shared;
static u64 arrivals;


static void list_insert(struct list_node *node, struct list_node *before)
{
	node->next = before;
	node->prev = before->prev;
	before->prev->next = node;
	before->prev = node;
}

static void list_remove(struct list_node *node)
{
	node->next->prev = node->prev;
	node->prev->next = node->next;
	node->next = node->prev = NULL;
}

static struct task *task_at(struct list_node *node)
{
	return (struct task *)((char *)node - offsetof(struct task, fifo));
}

static void fifo_init(void)
{
	if (shared.next)
		return;
	shared.next = shared.prev = &shared;
	for (u32 cpu = 0; cpu < sim.machine.nr_cpus; cpu++) {
		struct list_node *head = &cpu_rq((s32)cpu)->fifo;

		head->next = head->prev = head;
	}
}

static void fifo_init_task(struct task *p)
{
	p->k.scx.slice = FIFO_SLICE;
}

static void fifo_exit_task(struct task *p)
{
	(void)p;
}

/* Where it was if that is idle, else any idle cpu, else where it was. */
static s32 fifo_select(struct task *p, s32 prev_cpu, u64 flags)
{
	s32 idle;

	(void)flags;
	if (task_allowed(p, prev_cpu) && cpu_idle(prev_cpu))
		return prev_cpu;
	idle = mask_first_and(&sim.idle_cpus, p->k.cpus_ptr);
	return idle >= 0 ? idle : prev_cpu;
}

static bool bound(const struct task *p)
{
	return p->k.nr_cpus_allowed == 1 || migration_disabled(p);
}

/* dsq_vtime holds the number of the arrival: one class has a task at a time. */
static void fifo_insert(struct rq *rq, struct task *p, bool first)
{
	struct list_node *head = bound(p) ? &rq->fifo : &shared;

	if (first) {
		p->k.scx.dsq_vtime = 0;
		list_insert(&p->fifo, head->next);
	} else {
		p->k.scx.dsq_vtime = ++arrivals;
		list_insert(&p->fifo, head);
	}
}

static void fifo_enqueue(struct rq *rq, struct task *p, u64 flags)
{
	(void)flags;
	if (p->state != TASK_ON_CPU)
		fifo_insert(rq, p, false);
}

static void fifo_dequeue(struct rq *rq, struct task *p, u64 flags)
{
	(void)rq;
	(void)flags;
	if (p->fifo.next)
		list_remove(&p->fifo);
}

static void fifo_put_prev(struct rq *rq, struct task *p, struct task *next)
{
	(void)next;
	if (p->state != TASK_QUEUED)
		return;
	fifo_insert(rq, p, rq->higher_class && p->k.scx.slice);
}

static void fifo_set_next(struct rq *rq, struct task *p)
{
	(void)rq;
	if (p->fifo.next)
		list_remove(&p->fifo);
	if (!p->k.scx.slice)
		p->k.scx.slice = FIFO_SLICE;
}

static struct task *first_allowed(struct list_node *head, s32 cpu)
{
	for (struct list_node *node = head->next; node != head; node = node->next)
		if (task_allowed(task_at(node), cpu))
			return task_at(node);
	return NULL;
}

static struct task *fifo_pick(struct rq *rq, struct task *prev)
{
	struct task *own, *any;

	if (prev && prev->k.on_rq && prev->k.scx.slice && !prev->yielding)
		return prev;
	own = first_allowed(&rq->fifo, rq->cpu);
	any = first_allowed(&shared, rq->cpu);
	if (own && (!any || own->k.scx.dsq_vtime < any->k.scx.dsq_vtime))
		any = own;
	if (!any) {
		if (!prev || !prev->k.on_rq)
			return NULL;
		prev->k.scx.slice = FIFO_SLICE;
		return prev;
	}
	set_task_cpu(any, rq->cpu);
	any->k.scx.slice = any->k.scx.slice ? any->k.scx.slice : FIFO_SLICE;
	return any;
}

static void fifo_tick(struct rq *rq, struct task *p)
{
	if (!p->k.scx.slice)
		resched_curr(rq);
}

static void fifo_update_curr(struct rq *rq)
{
	u64 *slice = &rq->curr->k.scx.slice;

	*slice -= rq->delta_exec < *slice ? rq->delta_exec : *slice;
}

static void fifo_yield(struct rq *rq)
{
	rq->curr->k.scx.slice = 0;
}

#ifdef SIM_DEBUG
static s32 fifo_queue_of(const struct task *p)
{
	if (!p->fifo.next)
		return LOST;
	return bound(p) ? p->cpu : IN_SHARED_QUEUE;
}

static void fifo_check(void)
{
	u64 last = 0;

	for (struct list_node *node = shared.next; node != &shared; node = node->next) {
		struct task *p = task_at(node);

		check(p->state == TASK_QUEUED, "%s[%d] is queued but not waiting", p->k.comm,
		      p->k.pid);
		check(p->k.scx.dsq_vtime >= last, "the queue isn't in order of arrival");
		last = p->k.scx.dsq_vtime;
	}
}
#endif

const struct sched_class fifo_class = {
	.name = "fifo",
	.init = fifo_init,
	.init_task = fifo_init_task,
	.exit_task = fifo_exit_task,
	.select_task_rq = fifo_select,
	.enqueue_task = fifo_enqueue,
	.dequeue_task = fifo_dequeue,
	.pick_task = fifo_pick,
	.put_prev_task = fifo_put_prev,
	.set_next_task = fifo_set_next,
	.task_tick = fifo_tick,
	.update_curr = fifo_update_curr,
	.yield_task = fifo_yield,
#ifdef SIM_DEBUG
	.queue_of = fifo_queue_of,
	.check = fifo_check,
#endif
};
