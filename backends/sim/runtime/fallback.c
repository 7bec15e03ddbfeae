/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scheduler that did wrong: the first thing it did is kept, in the kernel's words, and from the
 * end of the present event on all tasks are the fair class's. The run goes on: the kernel's would.
 */
#include <stdarg.h>
#include <stdio.h>
#include "core.h"

/* The kernel's enum scx_exit_kind. */
static const char *reason_of(u32 kind)
{
	switch (kind) {
	case 64:
		return "unregistered from user space";
	case 65:
		return "unregistered from BPF";
	case 66:
		return "unregistered from the main kernel";
	case 67:
		return "disabled by sysrq-S";
	case 1024:
		return "runtime error";
	case 1025:
		return "scx_bpf_error";
	case 1026:
		return "runnable task stall";
	default:
		return "<UNKNOWN>";
	}
}

/* A build without the fair class has the fifo class. */
extern const struct sched_class fair_class __attribute__((weak));

static const struct sched_class *fallback_class(void)
{
	return &fair_class ? &fair_class : &fifo_class;
}

/* As scx_disable_workfn() does it: off the old class's queue, over, onto the new one's. */
static void switch_task(struct task *p, const struct sched_class *to)
{
	struct change change = { .queued = false };

	if (p->state != TASK_NEW)
		change = change_begin(p);
	p->class->exit_task(p);
	p->class = to;
	to->init_task(p);
	if (p->state != TASK_NEW)
		change_end(p, &change);
}

static void switch_classes(u64 unused)
{
	const struct sched_class *from = sim.class, *to = fallback_class();

	(void)unused;
	if (to->init)
		to->init();
	sim.class = to;
	for (u32 i = 0; i < sim.nr_tasks; i++)
		if (sim.tasks[i]->state != TASK_DEAD)
			switch_task(sim.tasks[i], to);
	if (from->fini)
		from->fini();
	for (u32 cpu = 0; cpu < sim.machine.nr_cpus; cpu++)
		if (cpu_rq((s32)cpu)->nr_running)
			resched_curr(cpu_rq((s32)cpu));
}

bool scheduler_is_out(void)
{
	return sim.verdict.kind;
}

void scheduler_error(u32 kind, struct task *victim, const char *format, ...)
{
	struct verdict *v = &sim.verdict;
	va_list arguments;

	if (v->kind)
		return;
	v->kind = kind;
	v->at = sim.now;
	v->victim = victim ? (u32)victim->k.pid : 0;
	snprintf(v->reason, sizeof(v->reason), "%s", reason_of(kind));
	va_start(arguments, format);
	vsnprintf(v->message, sizeof(v->message), format, arguments);
	va_end(arguments);
	trace(TRACE_ERROR, NO_CPU, 0, 0, 0, v->message[0] ? v->message : v->reason);
	event_arm(sim.now, switch_classes, 0);
}
