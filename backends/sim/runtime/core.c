/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schedule(), ticks and reschedule requests, in the order of kernel/sched/core.c. One event is
 * what one cpu does with interrupts off: a request to look for another task that arises in it is
 * answered at its end (loop.c), as on return from an interrupt.
 */
#include "core.h"

#define MAX_IDLE_CALLS 100000u

/* --- accounting ------------------------------------------------------------------------------- */

void update_curr(struct rq *rq)
{
	struct task *p = rq->curr;
	u64 delta;

	if (!p)
		return;
	delta = sim.now - p->exec_start;
	if (!delta)
		return;
	p->exec_start = sim.now;
	p->k.se.sum_exec_runtime += delta;
	rq->delta_exec = delta;
	if (p->class->update_curr)
		p->class->update_curr(rq);
}

void account(struct rq *rq)
{
	clock_advance(rq);
	update_curr(rq);
}

void charge_overhead(struct task *p, u64 ns)
{
	if (p->state == TASK_ON_CPU)
		clock_advance(task_rq(p));
	p->overhead_left += ns;
}

void charge_here(u64 ns)
{
	sim.charge += ns;
}

void update_idle_mask(struct rq *rq)
{
	if (!rq->curr && !rq->higher_class && !rq->nr_running)
		mask_set(&sim.idle_cpus, rq->cpu);
	else
		mask_clear(&sim.idle_cpus, rq->cpu);
}

/* --- queues ----------------------------------------------------------------------------------- */

void enqueue_task(struct rq *rq, struct task *p, u64 flags)
{
	p->k.on_rq = 1;
	rq->nr_running++;
	update_idle_mask(rq);
	p->class->enqueue_task(rq, p, flags);
}

void dequeue_task(struct rq *rq, struct task *p, u64 flags)
{
	if (rq->curr)
		account(rq);
	p->class->dequeue_task(rq, p, flags);
	rq->nr_running--;
	if (flags & DEQUEUE_SLEEP)
		p->k.on_rq = 0;
	update_idle_mask(rq);
}

void wakeup_preempt(struct rq *rq, struct task *p, u64 wake_flags)
{
	if (!rq->curr)
		resched_curr(rq);
	else if (p->class->wakeup_preempt)
		p->class->wakeup_preempt(rq, p, wake_flags);
}

/* --- requests to look for another task -------------------------------------------------------- */

static void resched_event(u64 cpu)
{
	struct rq *rq = cpu_rq((s32)cpu);

	rq->resched_event = 0;
	sim.this_cpu = rq->cpu;
	if (!rq->need_resched || (rq->curr && postpone_resched(rq)))
		return;
	schedule(rq);
}

/*
 * The tick's handler asks for schedule(), which comes when it returns. So whoever follows starts
 * that much later, and at its own tick has had less than a whole one.
 */
bool postpone_resched(struct rq *rq)
{
	if (sim.now >= rq->irq_until)
		return false;
	if (rq->resched_event)
		event_cancel(rq->resched_event);
	rq->resched_event = event_arm(rq->irq_until, resched_event, (u64)rq->cpu);
	return true;
}

void resched_curr(struct rq *rq)
{
	u64 delay = sim.machine.costs.kick;

	if (rq->need_resched)
		return;
	rq->need_resched = true;
	if (rq->higher_class)
		return;		/* it looks when the higher class is done */
	if (rq->curr) {
		if (rq->cpu == sim.this_cpu || sim.manual)
			return;	/* end_event(); or the script says when */
	} else {
		delay = sim.machine.costs.idle_exit;
	}
	rq->resched_event = event_arm(sim.now + delay, resched_event, (u64)rq->cpu);
}

static void clear_resched(struct rq *rq)
{
	rq->need_resched = false;
	if (rq->resched_event)
		event_cancel(rq->resched_event);
	rq->resched_event = 0;
}

/* --- schedule() ------------------------------------------------------------------------------- */

static u64 migration_cost(s32 from, s32 to)
{
	const struct machine *m = &sim.machine;

	if (m->node_of[from] != m->node_of[to])
		return m->costs.migrate_node;
	if (m->llc_of[from] != m->llc_of[to])
		return m->costs.migrate_llc;
	return m->core_of[from] != m->core_of[to] ? m->costs.migrate_core : 0;
}

/* prev leaves the cpu; returns the costs that it hasn't paid: who comes next does. */
static u64 put_prev(struct rq *rq, struct task *prev, struct task *next)
{
	u64 owed = 0;

	if (prev->state == TASK_ON_CPU) {
		prev->state = TASK_QUEUED;
		prev->runnable_at = sim.now;
		prev->k.nivcsw++;
		if (!prev->yielding) {
			prev->preemptions++;
			sim.nr_preemptions++;
		}
	} else {
		prev->k.nvcsw++;
		owed = prev->overhead_left;
		prev->overhead_left = 0;
	}
	prev->yielding = false;
	prev->class->put_prev_task(rq, prev, next);
	prev->k.on_cpu = 0;
	return owed;
}

static void begin_run(struct rq *rq, struct task *next, u64 owed)
{
	next->state = TASK_ON_CPU;
	next->k.on_cpu = 1;
	next->overhead_left += owed;
	if (next->ran_on != rq->cpu) {
		if (next->ran_on >= 0) {
			next->overhead_left += migration_cost(next->ran_on, rq->cpu);
			next->migrations++;
			sim.nr_migrations++;
		}
		next->ran_on = rq->cpu;
	}
	next->runs++;
	metrics_switch(next);
	trace(TRACE_RUN, rq->cpu, (u64)next->k.pid, 0, 0, NULL);
	tick_arm(rq);
	clock_arm(rq);
}

/* From prev (NULL: the idle task, or a higher class that is done) to next (NULL: the idle task). */
static void switch_to(struct rq *rq, struct task *prev, struct task *next, bool from_higher)
{
	const struct sched_class *class = sim.class;
	bool from_idle = !prev && !from_higher;
	u64 owed = from_idle ? 0 : sim.machine.costs.context_switch;

	sim.events++;
	rq->switches++;
	if (prev)
		owed += put_prev(rq, prev, next);
	else if (from_idle && class->update_idle)
		class->update_idle(rq, false, true);
	if (next) {
		next->exec_start = sim.now;
		next->class->set_next_task(rq, next);
	} else if (class->update_idle) {
		class->update_idle(rq, true, true);
	}
	rq->curr = next;
	rq->speed_since = sim.now;
	rq->speed_rest = 0;
	if (from_idle || !next)
		clock_busy(rq, next);
	update_idle_mask(rq);
	if (next) {
		begin_run(rq, next, owed);
	} else {
		clock_stop(rq);
		rq->idle_since = sim.now;
		trace(TRACE_IDLE, rq->cpu, 0, 0, 0, NULL);
	}
	if (prev && prev->state == TASK_DEAD)
		prev->class->exit_task(prev);
}

void schedule(struct rq *rq)
{
	struct task *prev = rq->curr, *next;

	account(rq);
	/* Here and not after the pick: a policy's kicks in ops.dispatch() come later than both. */
	clear_resched(rq);
	if (rq->higher_class)
		return;
	sim.events++;
	next = sim.class->pick_task(rq, prev);
	if (next != prev) {
		switch_to(rq, prev, next, false);
		return;
	}
	if (!next) {
		if (sim.class->update_idle)
			sim.class->update_idle(rq, true, false);
		return;
	}
	next->yielding = false;
	if (!rq->work_event)
		clock_arm(rq);
}

void resched_now(struct rq *rq)
{
	sim.this_cpu = rq->cpu;
	schedule(rq);
}

void higher_class(struct rq *rq, bool begins)
{
	struct task *prev = rq->curr;

	if (rq->higher_class == begins)
		return;
	sim.this_cpu = rq->cpu;
	account(rq);
	clear_resched(rq);
	rq->higher_class = begins;
	if (!begins) {
		sim.events++;
		switch_to(rq, NULL, sim.class->pick_task(rq, NULL), true);
		return;
	}
	rq->switches++;
	if (prev) {
		put_prev(rq, prev, NULL);
		rq->curr = NULL;
		clock_stop(rq);
	} else {
		if (sim.class->update_idle)
			sim.class->update_idle(rq, false, true);
		clock_busy(rq, true);
	}
	update_idle_mask(rq);
	trace(TRACE_IDLE, rq->cpu, 0, 0, 0, NULL);
}

/* --- a task's work is done -------------------------------------------------------------------- */

static void block(struct rq *rq, struct task *p, bool exits)
{
	sim.events++;
	p->state = exits ? TASK_DEAD : TASK_ASLEEP;
	if (exits) {
		p->k.flags |= PF_EXITING;
		p->died_at = sim.now;
		sim.nr_alive--;
		event_cancel(p->sleep_event);
	} else {
		p->sleeps++;
	}
	trace(exits ? TRACE_EXIT : TRACE_SLEEP, rq->cpu, (u64)p->k.pid, 0, 0, NULL);
	dequeue_task(rq, p, DEQUEUE_SLEEP | (exits ? DEQUEUE_DEAD : 0));
}

void end_work(struct rq *rq, enum next how)
{
	struct task *p = rq->curr;

	switch (how) {
	case NEXT_WORK:
		if (!rq->need_resched || sim.manual)
			clock_arm(rq);
		return;
	case NEXT_YIELD:
		p->yielding = true;
		account(rq);
		if (p->class->yield_task)
			p->class->yield_task(rq);
		break;
	case NEXT_SLEEP:
	case NEXT_EXIT:
		block(rq, p, how == NEXT_EXIT);
		break;
	}
	schedule(rq);
}

void work_done_event(u64 cpu)
{
	struct rq *rq = cpu_rq((s32)cpu);
	struct task *p = rq->curr;
	enum next how;

	rq->work_event = 0;
	sim.this_cpu = rq->cpu;
	clock_advance(rq);
	if (p->overhead_left || p->work_left) {
		clock_arm(rq);
		return;
	}
	if (p->idle_calls_at != sim.now)
		p->idle_calls = 0;
	p->idle_calls_at = sim.now;
	do {
		if (++p->idle_calls > MAX_IDLE_CALLS)
			fail("%s[%d] did %u things at %llu ns without any time passing", p->k.comm,
			     p->k.pid, MAX_IDLE_CALLS, sim.now);
		how = sim.driver->work_done(p);
	} while (how == NEXT_WORK && !p->work_left && !p->overhead_left && !rq->need_resched);
	end_work(rq, how);
}

/* --- ticks ------------------------------------------------------------------------------------ */

void tick_now(struct rq *rq)
{
	struct task *p = rq->curr;

	sim.this_cpu = rq->cpu;
	sim.events++;
	account(rq);
	p->overhead_left += sim.machine.costs.tick;
	p->class->task_tick(rq, p);
	if (p->class->balance_tick && !sim.manual)
		p->class->balance_tick(rq);
}

/* A tick that finds the cpu idle is its last, until a task comes (the kernel's NOHZ). */
static void tick_event(u64 cpu)
{
	struct rq *rq = cpu_rq((s32)cpu);

	rq->tick_event = 0;
	if (!rq->curr)
		return;
	rq->irq_until = sim.now + sim.machine.costs.tick;
	tick_now(rq);
	tick_arm(rq);
}

void tick_arm(struct rq *rq)
{
	const struct machine *m = &sim.machine;
	u64 skew = m->skew_tick ? m->tick_ns / 2 / m->nr_cpus * (u64)rq->cpu : 0, at;

	if (rq->tick_event || sim.manual)
		return;
	skew = (skew + m->tick_phase) % m->tick_ns;
	at = sim.now + m->tick_ns - (sim.now + m->tick_ns - skew) % m->tick_ns;
	rq->tick_event = event_arm(at, tick_event, (u64)rq->cpu);
}
