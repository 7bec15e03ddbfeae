/* SPDX-License-Identifier: Apache-2.0 */
/* The scheduler, its tasks and control groups, coming and going. */
#include <stdlib.h>
#include <string.h>
#include "ext.h"

/* --- control groups: told of before the first task in them ------------------------------------ */

static struct cgroup **known;
static u32 nr_known;

static bool is_known(const struct cgroup *cgrp)
{
	for (u32 i = 0; i < nr_known; i++)
		if (known[i] == cgrp)
			return true;
	return false;
}

static void tell_of_cgroup(struct cgroup *cgrp)
{
	struct scx_cgroup_init_args args = { .weight = cgrp->weight, .bw_period_us = 100000,
					     .bw_quota_us = ~0ULL };
	s32 err = 0;

	if (is_known(cgrp))
		return;
	known = realloc(known, (nr_known + 1) * sizeof(struct cgroup *));
	if (!known)
		fail("out of memory");
	known[nr_known++] = cgrp;
	if (!sch.ops->cgroup_init)
		return;
	CALL_OP_RET(KF_UNLOCKED, NULL, NULL, err, cgroup_init, cgrp, &args);
	if (err)
		scx_error("ops.cgroup_init() failed (%d)", err);
}

struct cgroup *bpf_cgroup_from_id(u64 id)
{
	for (u32 i = 0; i < nr_known; i++)
		if (known[i]->kn->id == id)
			return known[i];
	return NULL;
}

/* --- tasks ------------------------------------------------------------------------------------ */

static s32 valid_errno(const char *name, s32 err)
{
	if (err < 0 && err >= -4095)
		return err;
	scx_error("ops.%s() returned an invalid errno %d", name, err);
	return -71;	/* EPROTO */
}

static void init_entity(struct task *p)
{
	struct ext_task *e = (struct ext_task *)p->ext_room;

	*e = (struct ext_task){
		.p = p,
		.resets_runnable = true,
		.ddsp_dsq_id = SCX_DSQ_INVALID,
	};
	list_init(&e->node.link);
	list_init(&e->runnable);
	list_init(&e->deferred);
	p->ext = e;
	p->k.scx = (struct sched_ext_entity){
		.sticky_cpu = NO_CPU,
		.holding_cpu = NO_CPU,
		.selected_cpu = NO_CPU,
		.slice = SCX_SLICE_DFL,
	};
}

void ext_init_task(struct task *p)
{
	struct cgroup *cgrp = p->k.cgroups->dfl_cgrp;
	struct scx_init_task_args args = { .fork = p->k.real_parent->pid, .cgroup = cgrp };
	s32 err = 0;

	for (int level = 0; level < cgrp->level; level++)
		tell_of_cgroup(cgrp->ancestors[level]);
	tell_of_cgroup(cgrp);
	init_entity(p);
	if (sch.ops->init_task)
		CALL_OP_RET(KF_UNLOCKED, NULL, NULL, err, init_task, &p->k, &args);
	if (err)
		scx_error("ops.init_task() failed (%d) for %s[%d]", valid_errno("init_task", err),
			  p->k.comm, p->k.pid);
	p->k.scx.weight = ext_weight(p);
	if (sch.ops->enable)
		CALL_OP_TASK(enable, p);
	p->ext->enabled = true;
	if (sch.ops->set_weight)
		CALL_OP_TASK(set_weight, p, p->k.scx.weight);
}

void ext_exit_task(struct task *p)
{
	struct scx_exit_task_args args = { .cancelled = false };

	if (!p->ext)
		return;
	if (sch.ops->disable && p->ext->enabled)
		CALL_OP_TASK(disable, p);
	if (sch.ops->exit_task)
		CALL_OP_TASK(exit_task, p, &args);
	maps_forget_task(p);
	p->ext = NULL;
}

/* --- the scheduler ---------------------------------------------------------------------------- */

static void init_queues(void)
{
	for (u32 cpu = 0; cpu < sim.machine.nr_cpus; cpu++) {
		struct ext_rq *erq = &ext_rqs[cpu];

		cpu_rq((s32)cpu)->ext = erq;
		dsq_init(&erq->local, SCX_DSQ_LOCAL, (s32)cpu);
		list_init(&erq->runnable);
		list_init(&erq->deferred);
		erq->perf = SCX_CPUPERF_ONE;
	}
	for (u32 node = 0; node < sim.machine.nr_nodes; node++)
		dsq_init(&sch.global[node], SCX_DSQ_GLOBAL, NO_CPU);
}

/* The kernel's validate_ops(). */
static void check_ops(const struct sched_ext_ops *ops)
{
	if (ops->flags & SCX_OPS_ENQ_LAST && !ops->enqueue)
		scx_error("SCX_OPS_ENQ_LAST requires ops.enqueue() to be implemented");
	if (ops->flags & SCX_OPS_BUILTIN_IDLE_PER_NODE && ops->update_idle &&
	    !(ops->flags & SCX_OPS_KEEP_BUILTIN_IDLE))
		scx_error("SCX_OPS_BUILTIN_IDLE_PER_NODE requires CPU idle selection enabled");
}

void ext_init(void)
{
	const struct sched_ext_ops *ops;
	s32 err = 0;

	policy_load(sim.options.scheduler, sim.options.settings);
	ops = sch.ops;
	init_queues();
	sch.dispatching = NO_CPU;
	sch.enq_last = ops->flags & SCX_OPS_ENQ_LAST;
	sch.idle_tracking = !ops->update_idle || ops->flags & SCX_OPS_KEEP_BUILTIN_IDLE;
	sch.idle_per_node = ops->flags & SCX_OPS_BUILTIN_IDLE_PER_NODE;
	sch.batch = ops->dispatch_max_batch ? ops->dispatch_max_batch : DISPATCH_BATCH;
	sch.buffer = allocate(sch.batch * sizeof(*sch.buffer));
	sch.timeout = ops->timeout_ms ? ops->timeout_ms : MAX_TIMEOUT_MS;
	sch.timeout = sch.timeout * sim.machine.hz / 1000;
	if (!sch.timeout)
		sch.timeout = 1;
	sch.loaded = true;
	bpf_reset(sim.options.seed);
	idle_init();
	if (ops->init)
		CALL_OP_RET(KF_UNLOCKED, NULL, NULL, err, init);
	if (err)
		scx_error("ops.init() failed (%d)", valid_errno("init", err));
	check_ops(ops);
	event_arm(sim.now + (sch.timeout + 1) / 2 * sim.machine.tick_ns, ext_watchdog, 0);
}

/* All tasks leave, then the scheduler hears why. Its maps stay, to be read. */
void ext_fini(void)
{
	struct scx_exit_info info = { .kind = SCX_EXIT_UNREG, .msg = (char *)"",
				      .reason = "unregistered from user space" };

	if (!sch.loaded)
		return;
	for (u32 i = 0; i < sim.nr_tasks; i++)
		ext_exit_task(sim.tasks[i]);
	for (u32 i = nr_known; i-- && sch.ops->cgroup_exit;)
		CALL_OP(KF_UNLOCKED, cgroup_exit, known[i]);
	if (sim.verdict.kind) {
		info.kind = (enum scx_exit_kind)sim.verdict.kind;
		info.exit_code = sim.verdict.code;
		info.reason = sim.verdict.reason;
		info.msg = sim.verdict.message;
	}
	if (sch.ops->exit)
		CALL_OP(KF_UNLOCKED, exit, &info);
	sch.loaded = false;
	sch.bypass = true;
	sch.ops = &sch.off;
	dsq_free_all();
	free(sch.buffer);
	free(known);
	known = NULL;
	nr_known = 0;
}
