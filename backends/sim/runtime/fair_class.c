/* SPDX-License-Identifier: Apache-2.0 */
/* The fair class's table, its begin and end, tasks' and control groups' records. */
#include <stdlib.h>
#include "core.h"
#include "fair.h"

struct fair_group *fair_groups;
static struct fair_rq *fair_rqs;

/* --- groups ----------------------------------------------------------------------------------- */

/* sched_weight_from_cgroup(): cpu.weight 100 is as much as a task of nice 0. */
static u64 shares_of(const struct cgroup *cgroup)
{
	return ((u64)cgroup->weight * 1024 + 50) / 100 << NICE_0_SHIFT;
}

static struct fair_group *find_group(const struct cgroup *cgroup)
{
	struct fair_group *group;

	if (!cgroup || !cgroup->level)
		return NULL;
	for (group = fair_groups; group; group = group->next)
		if (group->cgroup == cgroup->kn->id)
			return group;
	group = allocate(sizeof(*group));
	group->cgroup = cgroup->kn->id;
	group->shares = shares_of(cgroup);
	group->next = fair_groups;
	fair_groups = group;
	return group;
}

static struct fair_queue *make_group_queue(struct fair_group *group, s32 cpu)
{
	struct fair_queue *queue = allocate(sizeof(*queue));
	struct fair_se *se = allocate(sizeof(*se));

	queue_init(queue, fair_rq(cpu));
	queue->group = group;
	queue->se = se;
	queue->avg.last_update = sim.now;
	se->owned = queue;
	se->queue = &fair_rq(cpu)->queue;
	se->weight = group->shares;
	se->slice = base_slice;
	se->avg.last_update = sim.now;
	group->queues[cpu] = queue;
	return queue;
}

struct fair_queue *fair_queue_of(const struct fair_task *t, s32 cpu)
{
	if (!t->group)
		return &fair_rq(cpu)->queue;
	return t->group->queues[cpu] ? t->group->queues[cpu] : make_group_queue(t->group, cpu);
}

/* --- tasks ------------------------------------------------------------------------------------ */

static void fair_init_task(struct task *p)
{
	struct fair_task *t = allocate(sizeof(*t));

	p->fair = t;
	t->p = p;
	t->se.task = t;
	t->se.weight = fair_task_weight(p);
	t->se.slice = base_slice;
	t->group = find_group(p->k.cgroups ? p->k.cgroups->dfl_cgrp : NULL);
	t->recent_used_cpu = NO_CPU;
	load_init_task(t);
}

static void fair_exit_task(struct task *p)
{
	struct fair_task *t = p->fair;

	if (!t)
		return;
	fair_list_remove(t);
	if (t->se.on_rq)
		dequeue_entities(&t->se, DEQUEUE_SLEEP | DEQUEUE_DEAD);
	detach_load(t);
	free(t);
	p->fair = NULL;
}

/* --- begin and end ---------------------------------------------------------------------------- */

static u32 ilog2(u32 n)
{
	return 31 - (u32)__builtin_clz(n);
}

static void fair_init(void)
{
	u32 nr_cpus = sim.machine.nr_cpus;

	base_slice = 700000ULL * (1 + ilog2(nr_cpus < 8 ? nr_cpus : 8));
	fair_rqs = allocate(nr_cpus * sizeof(*fair_rqs));
	for (u32 cpu = 0; cpu < nr_cpus; cpu++) {
		struct fair_rq *fr = &fair_rqs[cpu];

		fr->rq = cpu_rq((s32)cpu);
		fr->rq->fair = fr;
		fr->tasks.next = fr->tasks.prev = &fr->tasks;
		fr->avg_idle = 2 * MIGRATION_COST;
		fr->push_cpu = NO_CPU;
		queue_init(&fr->queue, fr);
		fr->queue.avg.last_update = sim.now;
	}
	domains_init();
	balance_init();
}

static void fair_fini(void)
{
	for (u32 i = 0; i < sim.nr_tasks; i++) {
		free(sim.tasks[i]->fair);
		sim.tasks[i]->fair = NULL;
	}
	while (fair_groups) {
		struct fair_group *group = fair_groups;

		fair_groups = group->next;
		for (u32 cpu = 0; cpu < sim.machine.nr_cpus; cpu++) {
			if (group->queues[cpu])
				free(group->queues[cpu]->se);
			free(group->queues[cpu]);
		}
		free(group);
	}
	domains_fini();
	free(fair_rqs);
}

static void fair_update_idle(struct rq *rq, bool idle, bool changed)
{
	s32 sibling = (s32)rq->sibling;

	/* update_idle_core(): is the whole core idle with this cpu? */
	if (!idle || !changed || !smt_active)
		return;
	for (; sibling != rq->cpu; sibling = (s32)cpu_rq(sibling)->sibling)
		if (!cpu_idle(sibling))
			return;
	llc_has_idle_core[sim.machine.llc_of[rq->cpu]] = true;
}

#ifdef SIM_DEBUG
static s32 debug_queue_of(const struct task *p)
{
	const struct fair_se *se = &p->fair->se;

	if (!se->on_rq || se->sched_delayed || se->queue->curr == se)
		return LOST;
	return se->queue->rq->rq->cpu;
}
#endif

const struct sched_class fair_class = {
	.name = "eevdf",
	.init = fair_init,
	.fini = fair_fini,
	.init_task = fair_init_task,
	.exit_task = fair_exit_task,
	.select_task_rq = fair_select_task_rq,
	.enqueue_task = fair_enqueue,
	.dequeue_task = fair_dequeue,
	.wakeup_preempt = fair_wakeup_preempt,
	.pick_task = fair_pick,
	.put_prev_task = fair_put_prev,
	.set_next_task = fair_set_next,
	.task_tick = fair_tick,
	.update_curr = fair_update_curr,
	.yield_task = fair_yield,
	.update_idle = fair_update_idle,
	.reweight_task = fair_reweight,
	.set_cpus_allowed = fair_set_cpus_allowed,
	.prio_changed = fair_prio_changed,
	.balance_tick = fair_balance_tick,
#ifdef SIM_DEBUG
	.queue_of = debug_queue_of,
	.check = fair_check,
#endif
};
