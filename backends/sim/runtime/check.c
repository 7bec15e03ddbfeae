/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold after every event, in a debug build: no task is in two places, none is lost, the
 * counts are right, and no cpu is idle while a task waits in its own queue. With
 * --work-conserving, no cpu is idle while any task waits that may run there.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "core.h"

#ifdef SIM_DEBUG

/* Beyond so many tasks, a look at all after every event takes too long: every other event, … */
#define MANY_TASKS 1000u

static u32 counts[NR_CPUS];
static struct task **live;		/* of sim.tasks: those that weren't dead at the last look */
static u32 nr_live, nr_seen;

void check(bool holds, const char *format, ...)
{
	va_list arguments;

	if (holds)
		return;
	fprintf(stderr, "schedc-sim: invariant broken at %llu ns: ", sim.now);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	abort();
}

static void check_task(const struct task *p)
{
	const struct rq *rq = task_rq(p);
	bool runnable = p->state == TASK_ON_CPU || p->state == TASK_QUEUED;

	check((p->state == TASK_ON_CPU) == (rq->curr == p), "%s[%d] on cpu %d: state %d, curr %d",
	      p->k.comm, p->k.pid, p->cpu, (int)p->state, rq->curr ? rq->curr->k.pid : 0);
	check(p->class == sim.class, "%s[%d] is of another class",
	      p->k.comm, p->k.pid);
	check(!runnable || p->k.on_rq == 1, "%s[%d] is runnable, on_rq is %d", p->k.comm, p->k.pid,
	      p->k.on_rq);
	counts[p->cpu] += runnable;
	if (p->state == TASK_QUEUED && p->class->queue_of)
		check(p->class->queue_of(p) != LOST, "%s[%d] is lost", p->k.comm, p->k.pid);
	if (p->state == TASK_ON_CPU && p->class->queue_of)
		check(p->class->queue_of(p) == LOST, "%s[%d] runs and is queued too", p->k.comm,
		      p->k.pid);
}

static void check_cpu(const struct rq *rq)
{
	bool idle = !rq->curr && !rq->higher_class && !rq->nr_running;

	check(counts[rq->cpu] == rq->nr_running, "cpu %d: nr_running is %u of %u", rq->cpu,
	      rq->nr_running, counts[rq->cpu]);
	check(idle == cpu_idle(rq->cpu), "cpu %d: the idle mask is wrong", rq->cpu);
	check(!rq->curr || rq->curr->cpu == rq->cpu, "cpu %d runs a task of cpu %d", rq->cpu,
	      rq->curr ? rq->curr->cpu : 0);
	check(!rq->curr || rq->curr->work_left == FOREVER || rq->work_event || rq->need_resched ||
	      sim.manual, "cpu %d: no event for the end of its task's work", rq->cpu);
	check(!rq->curr || rq->tick_event || sim.manual, "cpu %d is busy and has no tick", rq->cpu);
	check(!rq->need_resched || rq->resched_event || rq->higher_class || sim.manual,
	      "cpu %d: a request to look for another task was lost", rq->cpu);
}

static bool idle_for_good(s32 cpu)
{
	const struct rq *rq = cpu_rq(cpu);

	return !rq->curr && !rq->higher_class && !rq->need_resched;
}

static void check_waiting(const struct task *p, bool settled)
{
	s32 queue = p->class->queue_of ? p->class->queue_of(p) : IN_SHARED_QUEUE;

	check(queue < 0 || !idle_for_good(queue), "cpu %d is idle and %s[%d] waits in its queue",
	      queue, p->k.comm, p->k.pid);
	if (!sim.options.work_conserving || !settled)
		return;
	for (s32 cpu = 0; cpu < (s32)sim.machine.nr_cpus; cpu++)
		check(!task_allowed(p, cpu) || !idle_for_good(cpu),
		      "not work-conserving: cpu %d is idle and %s[%d] waits", cpu, p->k.comm,
		      p->k.pid);
}

static void find_live(void)
{
	u32 kept = 0;

	if (nr_seen < sim.nr_tasks)
		live = realloc(live, (nr_live + sim.nr_tasks - nr_seen) * sizeof(*live));
	if (!live)
		return;
	while (nr_seen < sim.nr_tasks)
		live[nr_live++] = sim.tasks[nr_seen++];
	for (u32 i = 0; i < nr_live; i++)
		if (live[i]->state != TASK_DEAD)
			live[kept++] = live[i];
	nr_live = kept;
}

void check_invariants(void)
{
	static u64 calls;
	bool settled = events_next() > sim.now;

	if (calls++ % (nr_live / MANY_TASKS + 1))
		return;
	find_live();
	for (u32 cpu = 0; cpu < sim.machine.nr_cpus; cpu++) {
		counts[cpu] = 0;
		settled = settled && !cpu_rq((s32)cpu)->need_resched;
	}
	for (u32 i = 0; i < nr_live; i++)
		check_task(live[i]);
	for (u32 cpu = 0; cpu < sim.machine.nr_cpus; cpu++)
		check_cpu(cpu_rq((s32)cpu));
	for (u32 i = 0; i < nr_live; i++)
		if (live[i]->state == TASK_QUEUED)
			check_waiting(live[i], settled);
	if (sim.class->check)
		sim.class->check();
}

#else

/* The file is empty in a release build; ISO C wants something in it. */
typedef int no_checks;

#endif
