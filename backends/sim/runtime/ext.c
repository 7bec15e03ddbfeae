/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The class: when the policy's callbacks are called, and where tasks go that it is not asked about.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "ext.h"

struct ext_sched sch;

struct ext_rq ext_rqs[NR_CPUS];

u64 sim_jiffies(void)
{
	return sim.now / sim.machine.tick_ns;
}

/* The kernel says why by irq_work, and bypasses the scheduler from then on. */
void ext_error(u32 kind, s64 code, struct task *victim, const char *format, ...)
{
	char message[1024];
	va_list arguments;
	bool first = !sim.verdict.kind;

	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	sch.bypass = true;
	scheduler_error(kind, victim, "%s", message);
	if (first)
		sim.verdict.code = code;
}

/* --- slices, and waiting as the watchdog sees it ---------------------------------------------- */

void refill_slice(struct task *p)
{
	p->k.scx.slice = SCX_SLICE_DFL;
	sch.events.SCX_EV_REFILL_SLICE_DFL++;
}

void set_runnable(struct task *p)
{
	struct ext_task *e = p->ext;

	if (e->resets_runnable) {
		e->runnable_at = sim_jiffies();
		e->resets_runnable = false;
	}
	list_add_tail(&task_rq(p)->ext->runnable, &e->runnable);
}

void clear_runnable(struct task *p, bool reset)
{
	list_del(&p->ext->runnable);
	if (reset)
		p->ext->resets_runnable = true;
}

static void update_curr_ext(struct rq *rq)
{
	u64 *slice = &rq->curr->k.scx.slice;

	if (*slice != SCX_SLICE_INF)
		*slice -= *slice < rq->delta_exec ? *slice : rq->delta_exec;
}

void ext_watchdog(u64 unused)
{
	u64 jiffies = sim_jiffies();

	(void)unused;
	for (u32 cpu = 0; cpu < sim.machine.nr_cpus && !sch.bypass; cpu++) {
		struct list_node *head = &ext_rqs[cpu].runnable;

		for (struct list_node *at = head->next; at != head; at = at->next) {
			struct ext_task *e = container_of(at, struct ext_task, runnable);
			u64 waited = jiffies - e->runnable_at;
			u32 ms = (u32)(waited * 1000 / sim.machine.hz);

			if (waited <= sch.timeout)
				continue;
			ext_error(SCX_EXIT_ERROR_STALL, 0, e->p,
				  "%s[%d] failed to run for %u.%03us", e->p->k.comm,
				  e->p->k.pid, ms / 1000, ms % 1000);
			return;
		}
	}
	if (!sch.bypass)
		event_arm(sim.now + sch.timeout / 2 * sim.machine.tick_ns, ext_watchdog, 0);
}

/* --- enqueue ---------------------------------------------------------------------------------- */

static void to_local(struct rq *rq, struct task *p, u64 enq_flags)
{
	refill_slice(p);
	dispatch_enqueue(&rq->ext->local, p, enq_flags);
}

static void ask_policy(struct rq *rq, struct task *p, u64 enq_flags)
{
	struct ext_task *e = p->ext;

	e->qseq = ++rq->ext->qseq;
	e->ops_state = OPSS_QUEUEING;
	sch.direct = p;
	CALL_OP_WITH(KF_ENQUEUE, &p->k, NULL, enqueue, &p->k, enq_flags);
	sch.direct = NULL;
	if (e->ddsp_dsq_id != SCX_DSQ_INVALID)
		direct_dispatch(p, enq_flags);
	else
		e->ops_state = OPSS_QUEUED;
}

void do_enqueue(struct rq *rq, struct task *p, u64 enq_flags)
{
	struct ext_task *e = p->ext;
	u64 flags = sch.ops->flags;

	if (!rq->online) {
		to_local(rq, p, enq_flags);
	} else if (sch.bypass) {
		refill_slice(p);
		dispatch_enqueue(global_dsq(p->cpu), p, enq_flags);
	} else if (e->ddsp_dsq_id != SCX_DSQ_INVALID) {
		direct_dispatch(p, enq_flags);
	} else if (!(flags & SCX_OPS_ENQ_EXITING) && p->k.flags & PF_EXITING) {
		sch.events.SCX_EV_ENQ_SKIP_EXITING++;
		to_local(rq, p, enq_flags);
	} else if (!(flags & SCX_OPS_ENQ_MIGRATION_DISABLED) && migration_disabled(p)) {
		sch.events.SCX_EV_ENQ_SKIP_MIGRATION_DISABLED++;
		to_local(rq, p, enq_flags);
	} else if (!sch.ops->enqueue) {
		refill_slice(p);
		dispatch_enqueue(global_dsq(p->cpu), p, enq_flags);
	} else {
		ask_policy(rq, p, enq_flags);
	}
}

static void enqueue_task_ext(struct rq *rq, struct task *p, u64 flags)
{
	if (p->k.scx.flags & SCX_TASK_QUEUED)
		return;
	set_runnable(p);
	p->k.scx.flags |= SCX_TASK_QUEUED;
	if (sch.ops->runnable && !(flags & ENQUEUE_MIGRATING))
		CALL_OP_TASK(runnable, p, flags);
	rq->ext->in_wakeup = true;
	/* A running task that is put back goes on: it must not reach the policy. */
	if (flags & ENQUEUE_RESTORE && p == rq->curr)
		dispatch_enqueue(&rq->ext->local, p, flags);
	else
		do_enqueue(rq, p, flags);
	rq->ext->in_wakeup = false;
	if (flags & ENQUEUE_SELECTED && rq->cpu != p->k.scx.selected_cpu)
		sch.events.SCX_EV_SELECT_CPU_FALLBACK++;
	if (!list_empty(&rq->ext->deferred))
		run_deferred(rq);
}

static void dequeue_task_ext(struct rq *rq, struct task *p, u64 flags)
{
	struct ext_task *e = p->ext;
	u64 deq_flags = flags & 0xffff;
	bool outer = sch.scheduling;

	if (!(p->k.scx.flags & SCX_TASK_QUEUED))
		return;
	sch.scheduling = true;
	clear_runnable(p, false);
	if (e->ops_state == OPSS_QUEUED) {
		if (sch.ops->dequeue)
			CALL_OP_TASK(dequeue, p, deq_flags);
		e->ops_state = OPSS_NONE;
	}
	if (sch.ops->stopping && p == rq->curr)
		CALL_OP_TASK(stopping, p, false);
	if (sch.ops->quiescent && !(flags & DEQUEUE_MIGRATING))
		CALL_OP_TASK(quiescent, p, deq_flags);
	if (flags & DEQUEUE_SLEEP)
		p->k.scx.flags |= SCX_TASK_DEQD_FOR_SLEEP;
	else
		p->k.scx.flags &= ~(u32)SCX_TASK_DEQD_FOR_SLEEP;
	p->k.scx.flags &= ~(u32)SCX_TASK_QUEUED;
	dispatch_dequeue(p);
	sch.scheduling = outer;
}

static s32 select_task_rq_ext(struct task *p, s32 prev_cpu, u64 wake_flags)
{
	s32 cpu = prev_cpu;

	wake_flags &= WF_FORK | WF_TTWU | WF_SYNC;
	if (sch.ops->select_cpu && !sch.bypass) {
		sch.direct = p;
		CALL_OP_RET(KF_ENQUEUE | KF_SELECT_CPU, &p->k, NULL, cpu, select_cpu, &p->k,
			    prev_cpu, wake_flags);
		sch.direct = NULL;
		p->k.scx.selected_cpu = cpu;
		if (cpu >= 0 && cpu < (s32)sim.machine.nr_cpus)
			return cpu;
		scx_error("invalid CPU %d from ops.select_cpu()", cpu);
		return prev_cpu;
	}
	cpu = idle_select(p, prev_cpu, wake_flags, NULL, 0);
	if (cpu >= 0) {
		refill_slice(p);
		p->ext->ddsp_dsq_id = SCX_DSQ_LOCAL;
	} else {
		cpu = prev_cpu;
	}
	p->k.scx.selected_cpu = cpu;
	return cpu;
}

/* --- on and off a cpu ------------------------------------------------------------------------- */

static struct task *pick_task_ext(struct rq *rq, struct task *prev)
{
	struct task *p = NULL;

	sch.scheduling = true;
	if (balance(rq, prev)) {
		if (rq->ext->keep)
			p = prev;
		else if (rq->ext->local.nr)
			p = dsq_first(&rq->ext->local)->p;
	}
	/* A slice of 0 would be over at once: the kernel gives its default, and warns of it. */
	if (p && !p->k.scx.slice)
		refill_slice(p);
	sch.scheduling = false;
	return p;
}

static void put_prev_task_ext(struct rq *rq, struct task *p, struct task *next)
{
	bool gone_higher = !next && rq->higher_class;

	sch.scheduling = true;
	if (p->k.scx.flags & SCX_TASK_QUEUED) {
		if (sch.ops->stopping)
			CALL_OP_TASK(stopping, p, true);
		set_runnable(p);
		/* With slice left, it is a higher class that takes the cpu. */
		if (p->k.scx.slice && !sch.bypass)
			dispatch_enqueue(&rq->ext->local, p, SCX_ENQ_HEAD);
		else
			do_enqueue(rq, p, next || gone_higher ? 0 : SCX_ENQ_LAST);
	}
	sch.scheduling = false;
	if (gone_higher && !rq->ext->released && (sch.ops->cpu_release || sch.ops->cpu_acquire)) {
		struct scx_cpu_release_args args = { SCX_CPU_PREEMPT_RT, &idle_task };

		if (sch.ops->cpu_release)
			CALL_OP(KF_CPU_RELEASE, cpu_release, rq->cpu, &args);
		rq->ext->released = true;
	}
}

static void set_next_task_ext(struct rq *rq, struct task *p)
{
	(void)rq;
	sch.scheduling = true;
	if (p->k.scx.flags & SCX_TASK_QUEUED) {
		dispatch_dequeue(p);
		if (sch.ops->running)
			CALL_OP_TASK(running, p);
	}
	clear_runnable(p, true);
	sch.scheduling = false;
}

static void task_tick_ext(struct rq *rq, struct task *p)
{
	if (sch.bypass)
		p->k.scx.slice = 0;
	else if (sch.ops->tick)
		CALL_OP_TASK(tick, p);
	if (!p->k.scx.slice)
		resched_curr(rq);
}

static void yield_task_ext(struct rq *rq)
{
	struct task *p = rq->curr;
	bool unused = false;

	if (sch.ops->yield)
		CALL_OP_RET(KF_REST, &p->k, NULL, unused, yield, &p->k, NULL);
	else
		p->k.scx.slice = 0;
	(void)unused;
}

static void update_idle_ext(struct rq *rq, bool idle, bool changed)
{
	sch.scheduling = true;
	if (sch.idle_tracking)
		idle_update(rq->cpu, idle);
	if (sch.ops->update_idle && changed && !sch.bypass)
		CALL_OP(KF_REST, update_idle, rq->cpu, idle);
	sch.scheduling = false;
}

/* --- what an operation leaves for when the cpu is through with it ----------------------------- */

static void work_left_over(u64 cpu)
{
	struct rq *rq = cpu_rq((s32)cpu);
	struct ext_rq *erq = rq->ext;

	sim.this_cpu = rq->cpu;
	erq->work_armed = false;
	run_deferred(rq);
	if (!erq->kick_self)
		return;
	if (erq->preempt_self && rq->curr)
		rq->curr->k.scx.slice = 0;
	erq->kick_self = erq->preempt_self = false;
	resched_curr(rq);
}

void after_schedule(struct rq *rq)
{
	if (!rq->ext->work_armed)
		event_arm(sim.now, work_left_over, (u64)rq->cpu);
	rq->ext->work_armed = true;
}

/* --- what changes about tasks ----------------------------------------------------------------- */

u32 ext_weight(const struct task *p)
{
	u32 weight = (nice_to_weight(p->k.static_prio - 120) * 100 + 512) / 1024;

	return weight < 1 ? 1 : weight > 10000 ? 10000 : weight;
}

static void reweight_task_ext(struct task *p)
{
	p->k.scx.weight = ext_weight(p);
	if (sch.ops->set_weight)
		CALL_OP_TASK(set_weight, p, p->k.scx.weight);
}

static void set_cpus_allowed_ext(struct task *p)
{
	if (sch.ops->set_cpumask)
		CALL_OP_TASK(set_cpumask, p, p->k.cpus_ptr);
}

const struct sched_class ext_class = {
	.name = "ext",
	.init = ext_init,
	.fini = ext_fini,
	.init_task = ext_init_task,
	.exit_task = ext_exit_task,
	.select_task_rq = select_task_rq_ext,
	.enqueue_task = enqueue_task_ext,
	.dequeue_task = dequeue_task_ext,
	.pick_task = pick_task_ext,
	.put_prev_task = put_prev_task_ext,
	.set_next_task = set_next_task_ext,
	.task_tick = task_tick_ext,
	.update_curr = update_curr_ext,
	.yield_task = yield_task_ext,
	.update_idle = update_idle_ext,
	.reweight_task = reweight_task_ext,
	.set_cpus_allowed = set_cpus_allowed_ext,
	.report = policy_counters_json,
#ifdef SIM_DEBUG
	.queue_of = ext_queue_of,
	.check = ext_check,
#endif
};
