/* SPDX-License-Identifier: Apache-2.0 */
/* Wake-ups, sleeps that end by themselves, and moves between cpus: try_to_wake_up()'s order. */
#include "core.h"

s32 mask_first_and(const struct cpumask *a, const struct cpumask *b)
{
	for (u32 word = 0; word < sim.mask_words; word++) {
		u64 both = a->bits[word] & b->bits[word];

		if (both)
			return (s32)(word * 64) + __builtin_ctzll(both);
	}
	return NO_CPU;
}

u32 mask_weight(const struct cpumask *mask)
{
	u32 weight = 0;

	for (u32 word = 0; word < sim.mask_words; word++)
		weight += (u32)__builtin_popcountll(mask->bits[word]);
	return weight;
}

void set_task_cpu(struct task *p, s32 cpu)
{
	struct rq *from = task_rq(p), *to = cpu_rq(cpu);

	if (from == to)
		return;
	p->cpu = cpu;
	if (p->k.on_rq != 1)
		return;
	from->nr_running--;
	to->nr_running++;
	update_idle_mask(from);
	update_idle_mask(to);
}

void move_queued_task(struct task *p, s32 cpu)
{
	dequeue_task(task_rq(p), p, DEQUEUE_MIGRATING);
	p->k.on_rq = 2;		/* the kernel's TASK_ON_RQ_MIGRATING */
	set_task_cpu(p, cpu);
	enqueue_task(cpu_rq(cpu), p, ENQUEUE_MIGRATING);
	wakeup_preempt(cpu_rq(cpu), p, 0);
}

/* Where a task goes whose class chose a cpu that it may not use: near, if it can. */
s32 fallback_cpu(const struct task *p)
{
	const u32 *node_of = sim.machine.node_of;

	for (s32 cpu = 0; cpu < (s32)sim.machine.nr_cpus; cpu++)
		if (node_of[cpu] == node_of[p->cpu] && task_allowed(p, cpu))
			return cpu;
	return mask_first_and(p->k.cpus_ptr, &sim.all_cpus);
}

/* Tasks that may use one cpu only, or can't migrate now, have no choice: the class isn't asked. */
static s32 select_task_rq(struct task *p, u64 *wake_flags)
{
	s32 cpu;

	if (p->k.nr_cpus_allowed > 1 && !migration_disabled(p)) {
		cpu = p->class->select_task_rq(p, p->cpu, *wake_flags);
		*wake_flags |= WF_RQ_SELECTED;
	} else {
		cpu = mask_first_and(p->k.cpus_ptr, &sim.all_cpus);
	}
	if (cpu < 0 || cpu >= (s32)sim.machine.nr_cpus || !task_allowed(p, cpu))
		cpu = fallback_cpu(p);
	return cpu;
}

static void activate(struct task *p, s32 cpu, u64 enqueue_flags, u64 wake_flags)
{
	struct rq *rq = cpu_rq(cpu);

	p->state = TASK_QUEUED;
	p->runnable_at = sim.now;
	p->cpu = cpu;
	if (cpu_idle(cpu))
		sim.nr_idle_wakeups++;
	trace(TRACE_WAKE, cpu, (u64)p->k.pid, p->waker ? (u64)p->waker->k.pid : 0, 0, NULL);
	if (rq->curr)
		update_curr(rq);
	enqueue_task(rq, p, enqueue_flags);
	wakeup_preempt(rq, p, wake_flags);
}

void wake_task(struct task *p, struct task *waker, bool sync)
{
	u64 flags = WF_TTWU | (sync ? WF_SYNC : 0), enqueue_flags = ENQUEUE_WAKEUP;
	s32 cpu;

	if (p->state != TASK_ASLEEP)
		return;
	event_cancel(p->sleep_event);
	p->sleep_event = 0;
	sim.events++;
	p->waker = waker;
	p->woken = true;
	p->woken_at = sim.now;
	if (waker)
		charge_overhead(waker, sim.machine.costs.wake);
	else
		charge_here(sim.machine.costs.wake);
	cpu = select_task_rq(p, &flags);
	if (flags & WF_RQ_SELECTED)
		enqueue_flags |= ENQUEUE_SELECTED;
	if (cpu != p->cpu)
		enqueue_flags |= ENQUEUE_MIGRATED;
	activate(p, cpu, enqueue_flags, flags);
	p->waker = NULL;
}

/* The kernel's wake_up_new_task(). */
void start_task(struct task *p)
{
	u64 flags = WF_FORK;

	sim.events++;
	p->waker = task_of(p->k.real_parent)->k.pid ? task_of(p->k.real_parent) : NULL;
	activate(p, select_task_rq(p, &flags), ENQUEUE_INITIAL, flags);
	p->waker = NULL;
}

/* A task's timer is on the cpu where it went to sleep. */
static void sleep_is_over(u64 pid)
{
	struct task *p = sim.tasks[pid - 1];

	p->sleep_event = 0;
	sim.this_cpu = p->cpu;
	wake_task(p, NULL, false);
}

/* One number of splitmix64: which delay depends on the task and on which of its sleeps it is. */
static u64 slack(const struct task *p)
{
	u64 x = sim.options.seed + 0x9e3779b97f4a7c15ULL * (((u64)p->k.pid << 32) + p->sleeps + 1);

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return (x ^ (x >> 31)) % (sim.machine.costs.timer_slack + 1);
}

void sleep_until(struct task *p, u64 at)
{
	if (at < sim.now)
		at = sim.now;
	at += sim.machine.costs.timer_slack ? slack(p) : 0;
	event_cancel(p->sleep_event);
	p->sleep_event = event_arm(at, sleep_is_over, (u64)p->k.pid);
}

static void driver_timer_event(u64 cookie)
{
	sim.nr_driver_timers--;
	sim.driver->timer(cookie);
}

void driver_timer(u64 at, u64 cookie)
{
	sim.nr_driver_timers++;
	event_arm(at < sim.now ? sim.now : at, driver_timer_event, cookie);
}
