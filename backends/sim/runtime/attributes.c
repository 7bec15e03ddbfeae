/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of what a class keys a task by. The kernel takes the task off its queue (and off its
 * cpu, as far as the class knows), makes the change, and puts it back: classes and policies see
 * all of it.
 */
#include <string.h>
#include "core.h"

struct change change_begin(struct task *p)
{
	struct change change = {
		.rq = task_rq(p),
		.queued = p->k.on_rq,
		.running = p->state == TASK_ON_CPU,
	};

	if (change.rq->curr)
		update_curr(change.rq);
	if (change.queued)
		dequeue_task(change.rq, p, DEQUEUE_SAVE);
	if (change.running)
		p->class->put_prev_task(change.rq, p, NULL);
	return change;
}

void change_end(struct task *p, const struct change *change)
{
	if (change->queued)
		enqueue_task(change->rq, p, ENQUEUE_RESTORE);
	if (change->running)
		p->class->set_next_task(change->rq, p);
}

void set_user_nice(struct task *p, s32 nice)
{
	int old = p->k.prio;
	struct change change;

	if (p->k.static_prio == 120 + nice)
		return;
	change = change_begin(p);
	p->k.static_prio = p->k.prio = p->k.normal_prio = 120 + nice;
	if (p->class->reweight_task)
		p->class->reweight_task(p);
	change_end(p, &change);
	if (p->class->prio_changed)
		p->class->prio_changed(change.rq, p, old);
}

/*
 * The kernel's stopper, of the highest class: it takes the cpu from the task and moves it.
 * Its own time is that of a context switch, which the next task is charged.
 */
static void stopper(u64 pid)
{
	struct task *p = sim.tasks[pid - 1];
	struct rq *rq = task_rq(p);

	if (task_allowed(p, p->cpu) || (p->state != TASK_ON_CPU && p->state != TASK_QUEUED))
		return;
	sim.this_cpu = rq->cpu;
	if (p->state == TASK_QUEUED) {
		move_queued_task(p, fallback_cpu(p));
		return;
	}
	higher_class(rq, true);
	move_queued_task(p, fallback_cpu(p));
	higher_class(rq, false);
}

/* The kernel's affine_move_task(). */
static void push_off(struct task *p)
{
	if (task_allowed(p, p->cpu))
		return;
	if (p->state == TASK_ON_CPU)
		event_arm(sim.now + (p->cpu == sim.this_cpu ? 0 : sim.machine.costs.kick), stopper,
			  (u64)p->k.pid);
	else if (p->state == TASK_QUEUED)
		move_queued_task(p, fallback_cpu(p));
}

void set_cpus_allowed(struct task *p, const struct cpumask *mask)
{
	struct change change;

	if (mask_first_and(mask, &sim.all_cpus) < 0)
		fail("%s[%d] would be allowed no cpu", p->k.comm, p->k.pid);
	change = change_begin(p);
	for (u32 word = 0; word < sim.mask_words; word++)
		p->k.cpus_mask.bits[word] = mask->bits[word] & sim.all_cpus.bits[word];
	p->k.nr_cpus_allowed = (int)mask_weight(&p->k.cpus_mask);
	if (p->class->set_cpus_allowed)
		p->class->set_cpus_allowed(p);
	change_end(p, &change);
	push_off(p);
}

static struct cpumask only[NR_CPUS];

void migrate_disable(struct task *p)
{
	if (p->k.migration_disabled++)
		return;
	mask_set(&only[p->cpu], p->cpu);
	p->k.cpus_ptr = &only[p->cpu];
}

void migrate_enable(struct task *p)
{
	if (!p->k.migration_disabled || --p->k.migration_disabled)
		return;
	p->k.cpus_ptr = &p->k.cpus_mask;
	push_off(p);
}

void set_comm(struct task *p, const char *comm)
{
	strncpy(p->k.comm, comm, sizeof(p->k.comm) - 1);
	trace(TRACE_TASK, NO_CPU, (u64)p->k.pid, p->group, 0, p->k.comm);
}

