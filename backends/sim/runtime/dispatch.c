/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the policy to dispatch queues, and from there to cpus. A task that the policy inserts from
 * select_cpu or enqueue is dispatched directly, once the callback is over; what dispatch inserts
 * waits in a buffer until dispatch is over or moves a task itself. Local queues take a task only on
 * their own cpu's runqueue, so it is moved there first.
 */
#include "ext.h"

struct dispatch_q *global_dsq(s32 cpu)
{
	return &sch.global[sim.machine.node_of[cpu]];
}

/* The queue that a policy names; the global one, after an error, if there is no such queue. */
struct dispatch_q *find_dsq(struct task *p, u64 id, s32 cpu)
{
	struct dispatch_q *dsq;

	if (id == SCX_DSQ_LOCAL)
		return &cpu_rq(cpu)->ext->local;
	if ((id & SCX_DSQ_LOCAL_ON) == SCX_DSQ_LOCAL_ON) {
		u32 target = id & SCX_DSQ_LOCAL_CPU_MASK;

		if (target < sim.machine.nr_cpus)
			return &cpu_rq((s32)target)->ext->local;
		scx_error("invalid CPU %d in SCX_DSQ_LOCAL_ON dispatch verdict", (s32)target);
		return global_dsq(p->cpu);
	}
	if (id == SCX_DSQ_GLOBAL)
		return global_dsq(p->cpu);
	dsq = dsq_find(id);
	if (dsq)
		return dsq;
	scx_error("non-existent DSQ 0x%llx for %s[%d]", id, p->k.comm, p->k.pid);
	return global_dsq(p->cpu);
}

static void insert(struct dispatch_q *dsq, struct ext_task *e, u64 enq_flags)
{
	if (dsq->id & SCX_DSQ_FLAG_BUILTIN && enq_flags & SCX_ENQ_DSQ_PRIQ) {
		scx_error("cannot use vtime ordering for built-in DSQs");
		enq_flags &= ~(u64)SCX_ENQ_DSQ_PRIQ;
	}
	if (enq_flags & SCX_ENQ_DSQ_PRIQ) {
		if (!dsq->root && dsq->nr)
			scx_error("DSQ ID 0x%016llx already had FIFO-enqueued tasks", dsq->id);
		dsq_add_keyed(dsq, e);
		return;
	}
	if (dsq->root)
		scx_error("DSQ ID 0x%016llx already had PRIQ-enqueued tasks", dsq->id);
	dsq_add(dsq, e, enq_flags & (SCX_ENQ_HEAD | SCX_ENQ_PREEMPT));
}

void dispatch_enqueue(struct dispatch_q *dsq, struct task *p, u64 enq_flags)
{
	struct ext_task *e = p->ext;
	struct rq *rq;

	insert(dsq, e, enq_flags);
	trace(TRACE_QUEUE, dsq->cpu, (u64)p->k.pid, dsq->id,
	      e->keyed ? p->k.scx.dsq_vtime : ~0ULL, NULL);
	e->ddsp_dsq_id = SCX_DSQ_INVALID;
	e->ddsp_enq_flags = 0;
	if (enq_flags & SCX_ENQ_CLEAR_OPSS)
		e->ops_state = OPSS_NONE;
	if (sim.driver->queued)
		sim.driver->queued(p, dsq->id);
	if (dsq->id != SCX_DSQ_LOCAL)
		return;
	rq = cpu_rq(dsq->cpu);
	if (enq_flags & SCX_ENQ_PREEMPT && rq->curr && p != rq->curr) {
		rq->curr->k.scx.slice = 0;
		resched_curr(rq);
	} else if (!rq->curr && !rq->higher_class && !rq->ext->in_balance) {
		resched_curr(rq);
	}
}

/* Off whatever queue the task is on. */
void dispatch_dequeue(struct task *p)
{
	struct ext_task *e = p->ext;

	if (!list_empty(&e->deferred))
		list_del(&e->deferred);
	if (e->dsq)
		dsq_unlink(e);
}

void direct_dispatch(struct task *p, u64 enq_flags)
{
	struct ext_task *e = p->ext;
	struct rq *rq = task_rq(p);
	struct dispatch_q *dsq = find_dsq(p, e->ddsp_dsq_id, rq->cpu);

	e->ddsp_enq_flags |= enq_flags;
	/* To another cpu's local queue: once this runqueue is done with. */
	if (dsq->id == SCX_DSQ_LOCAL && dsq->cpu != rq->cpu) {
		e->ops_state = OPSS_NONE;
		list_add_tail(&rq->ext->deferred, &e->deferred);
		if (!rq->ext->in_wakeup)
			after_schedule(rq);
		return;
	}
	dispatch_enqueue(dsq, p, e->ddsp_enq_flags | SCX_ENQ_CLEAR_OPSS);
}

void run_deferred(struct rq *rq)
{
	struct list_node *deferred = &rq->ext->deferred;

	while (!list_empty(deferred)) {
		struct ext_task *e = container_of(deferred->next, struct ext_task, deferred);

		list_del(&e->deferred);
		dispatch_to_local(find_dsq(e->p, e->ddsp_dsq_id, rq->cpu), e->p,
				  e->ddsp_enq_flags);
	}
}

/* Whether the policy may move the task to another cpu. */
bool may_migrate(struct task *p, s32 cpu, bool enforce)
{
	if (migration_disabled(p)) {
		if (enforce)
			scx_error("SCX_DSQ_LOCAL[_ON] cannot move migration disabled %s[%d] "
				  "from CPU %d to %d", p->k.comm, p->k.pid, p->cpu, cpu);
		return false;
	}
	if (!task_allowed(p, cpu)) {
		if (enforce)
			scx_error("SCX_DSQ_LOCAL[_ON] target CPU %d not allowed for %s[%d]", cpu,
				  p->k.comm, p->k.pid);
		return false;
	}
	return cpu_rq(cpu)->online;
}

/* To another runqueue, then to the local queue there; callbacks hear nothing of it. */
static void move_remote(struct task *p, u64 enq_flags, s32 cpu)
{
	clear_runnable(p, false);
	set_task_cpu(p, cpu);
	set_runnable(p);
	dispatch_enqueue(&cpu_rq(cpu)->ext->local, p, enq_flags);
}

void dispatch_to_local(struct dispatch_q *dsq, struct task *p, u64 enq_flags)
{
	s32 cpu = dsq->cpu;

	p->ext->ops_state = OPSS_NONE;
	if (p->cpu == cpu)
		dispatch_enqueue(dsq, p, enq_flags);
	else if (!may_migrate(p, cpu, true))
		dispatch_enqueue(global_dsq(p->cpu), p, enq_flags);
	else
		move_remote(p, enq_flags, cpu);
}

/* What ops.dispatch() asked for; a task that has meanwhile gone its own way is left alone. */
static void finish_dispatch(const struct dispatch_entry *entry)
{
	struct task *p = entry->p;
	struct dispatch_q *dsq;

	if (!p->ext || p->ext->ops_state != OPSS_QUEUED || p->ext->qseq != entry->qseq)
		return;
	dsq = find_dsq(p, entry->dsq_id, sch.dispatching);
	if (dsq->id == SCX_DSQ_LOCAL)
		dispatch_to_local(dsq, p, entry->enq_flags);
	else
		dispatch_enqueue(dsq, p, entry->enq_flags | SCX_ENQ_CLEAR_OPSS);
}

void flush_dispatch_buffer(void)
{
	for (u32 i = 0; i < sch.buffered; i++)
		finish_dispatch(&sch.buffer[i]);
	sch.nr_dispatched += sch.buffered;
	sch.buffered = 0;
}

static void take_off(struct ext_task *e)
{
	dsq_unlink(e);
	e->ops_state = OPSS_NONE;
}

/* To a local queue by a fast path of the kernel that looks at no flag but where to put the task. */
static void move_here(struct task *p, struct dispatch_q *local, u64 enq_flags)
{
	dsq_add(local, p->ext, enq_flags & (SCX_ENQ_HEAD | SCX_ENQ_PREEMPT));
}

/* Move the queue's first task that may run on this cpu to its local queue. */
bool consume(struct rq *rq, struct dispatch_q *dsq)
{
	for (struct ext_task *e = dsq_first(dsq); e; e = dsq_after(dsq, &e->node, false)) {
		struct task *p = e->p;

		if (p->cpu != rq->cpu && !may_migrate(p, rq->cpu, false))
			continue;
		take_off(e);
		trace(TRACE_MOVE, rq->cpu, (u64)p->k.pid, dsq->id, 0, NULL);
		if (p->cpu == rq->cpu)
			move_here(p, &rq->ext->local, 0);
		else
			move_remote(p, 0, rq->cpu);
		return true;
	}
	return false;
}

/* From one queue that isn't local to any queue; with a new key, if there is one. */
void move_between(struct task *p, struct dispatch_q *to, u64 enq_flags, const u64 *key)
{
	struct dispatch_q *from = p->ext->dsq;

	if (to->id == SCX_DSQ_LOCAL && p->cpu != to->cpu && !may_migrate(p, to->cpu, true))
		to = global_dsq(p->cpu);
	take_off(p->ext);
	if (key)
		p->k.scx.dsq_vtime = *key;
	if (to->id != SCX_DSQ_LOCAL) {
		dispatch_enqueue(to, p, enq_flags);
		return;
	}
	trace(TRACE_MOVE, to->cpu, (u64)p->k.pid, from->id, 0, NULL);
	if (p->cpu == to->cpu)
		move_here(p, to, enq_flags);
	else
		move_remote(p, enq_flags, to->cpu);
}

/* --- a cpu looks for work --------------------------------------------------------------------- */

/* Rounds of ops.dispatch() until there is something to run, or it has nothing more. */
static bool dispatch_rounds(struct rq *rq, struct task *prev, bool runnable)
{
	struct ext_rq *erq = rq->ext;
	u32 rounds = DISPATCH_ROUNDS;

	do {
		sch.nr_dispatched = 0;
		sch.dispatching = rq->cpu;
		CALL_OP(KF_DISPATCH, dispatch, rq->cpu, prev && prev->ext ? &prev->k : NULL);
		flush_dispatch_buffer();
		sch.dispatching = NO_CPU;
		if (runnable && prev->k.scx.slice) {
			erq->keep = true;
			return true;
		}
		if (erq->local.nr || consume(rq, global_dsq(rq->cpu)))
			return true;
		if (sch.bypass)
			return false;
		if (!--rounds) {
			scx_bpf_kick_cpu(rq->cpu, 0);
			return false;
		}
	} while (sch.nr_dispatched);
	return false;
}

static bool find_work(struct rq *rq, struct task *prev, bool runnable)
{
	struct ext_rq *erq = rq->ext;

	if (runnable && prev->k.scx.slice && !sch.bypass) {
		erq->keep = true;
		return true;
	}
	if (erq->local.nr || consume(rq, global_dsq(rq->cpu)))
		return true;
	return sch.ops->dispatch && dispatch_rounds(rq, prev, runnable);
}

/* Whether there is a task to run: prev (erq->keep), or the local queue's first. */
bool balance(struct rq *rq, struct task *prev)
{
	struct ext_rq *erq = rq->ext;
	bool runnable = prev && prev->k.scx.flags & SCX_TASK_QUEUED;
	bool found;

	erq->in_balance = true;
	erq->keep = false;
	if (erq->released) {
		struct scx_cpu_acquire_args args = { 0 };

		erq->released = false;
		if (sch.ops->cpu_acquire)
			CALL_OP(KF_REST, cpu_acquire, rq->cpu, &args);
	}
	found = find_work(rq, prev, runnable);
	if (!found && runnable && (!sch.enq_last || sch.bypass)) {
		erq->keep = true;
		sch.events.SCX_EV_DISPATCH_KEEP_LAST++;
		found = true;
	}
	erq->in_balance = false;
	return found;
}
