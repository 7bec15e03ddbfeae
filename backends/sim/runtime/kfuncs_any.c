/* SPDX-License-Identifier: Apache-2.0 */
/* What a scheduler may ask of sched_ext from any callback: cpus, tasks, time, giving up. */
#include <string.h>
#include "ext.h"

struct task idle_thread = {
	.k = { .flags = PF_IDLE, .comm = "swapper", .static_prio = 120, .prio = 120,
	       .normal_prio = 120, .cpus_ptr = &idle_thread.k.cpus_mask, .nr_cpus_allowed = 1 },
};

static bool cpu_valid(s32 cpu)
{
	if (cpu >= 0 && cpu < (s32)sim.machine.nr_cpus)
		return true;
	scx_error("invalid CPU %d", cpu);
	return false;
}

/* --- kicks ------------------------------------------------------------------------------------ */

/*
 * The kernel kicks by irq_work, when the present operation is over. Another cpu can be kicked at
 * once, as nothing happens there meanwhile; this one only if it isn't just choosing a task.
 */
static void kick(struct rq *rq, u64 flags)
{
	if (rq->cpu == this_cpu() && sch.scheduling) {
		rq->ext->kick_self = true;
		rq->ext->preempt_self |= flags & SCX_KICK_PREEMPT ? 1 : 0;
		after_schedule(rq);
		return;
	}
	if (rq->higher_class)
		return;
	if (flags & SCX_KICK_PREEMPT && rq->curr)
		rq->curr->k.scx.slice = 0;
	resched_curr(rq);
}

/* SCX_KICK_WAIT makes the kicker wait for what takes no time here, unless the kick itself does. */
void scx_bpf_kick_cpu(s32 cpu, u64 flags)
{
	struct rq *rq;

	if (!cpu_valid(cpu))
		return;
	trace(TRACE_KICK, cpu, flags, 0, 0, NULL);
	if (sch.bypass)
		return;
	rq = cpu_rq(cpu);
	if (!(flags & SCX_KICK_IDLE)) {
		kick(rq, flags);
		return;
	}
	if (flags & (SCX_KICK_PREEMPT | SCX_KICK_WAIT))
		scx_error("PREEMPT/WAIT cannot be used with SCX_KICK_IDLE");
	if (!rq->curr || rq->ext->in_balance)
		kick(rq, 0);
}

/* --- idle cpus -------------------------------------------------------------------------------- */

static bool idle_tracked(void)
{
	if (sch.idle_tracking)
		return true;
	scx_error("built-in idle tracking is disabled");
	return false;
}

static bool not_by_node(void)
{
	if (!sch.idle_per_node)
		return true;
	scx_error("SCX_OPS_BUILTIN_IDLE_PER_NODE enabled");
	return false;
}

static bool node_valid(s32 node)
{
	if (!sch.idle_per_node) {
		scx_error("per-node idle tracking is disabled");
		return false;
	}
	if (node == NUMA_NO_NODE)
		return false;
	if (node >= 0 && node < (s32)sim.machine.nr_nodes)
		return true;
	scx_error("invalid node %d", node);
	return false;
}

static s32 select_from(struct task_struct *k, s32 prev_cpu, u64 wake_flags,
		       const struct cpumask *mask, u64 flags)
{
	struct task *p = task_of(k);
	u32 calls = current_call ? current_call->mask : 0;

	if (!cpu_valid(prev_cpu))
		return -EINVAL;
	if (!idle_tracked())
		return -EBUSY;
	if (calls && !(calls & (KF_SELECT_CPU | KF_ENQUEUE))) {
		scx_error("kfunc with mask 0x%x called from an operation only allowing 0x%x",
			  KF_SELECT_CPU | KF_ENQUEUE, calls);
		return -EPERM;
	}
	if (k->nr_cpus_allowed != 1 && !migration_disabled(p))
		return idle_select(p, prev_cpu, wake_flags, mask, flags);
	if (mask_test(mask ? mask : k->cpus_ptr, prev_cpu) && idle_claim(prev_cpu))
		return prev_cpu;
	return -EBUSY;
}

s32 scx_bpf_select_cpu_dfl(struct task_struct *p, s32 prev_cpu, u64 wake_flags, bool *is_idle)
{
	s32 cpu = select_from(p, prev_cpu, wake_flags, NULL, 0);

	*is_idle = cpu >= 0;
	return cpu >= 0 ? cpu : prev_cpu;
}

s32 scx_bpf_select_cpu_and(struct task_struct *p, s32 prev_cpu, u64 wake_flags,
			   const struct cpumask *mask, u64 flags)
{
	return select_from(p, prev_cpu, wake_flags, mask, flags);
}

s32 scx_bpf_pick_idle_cpu(const struct cpumask *mask, u64 flags)
{
	if (!not_by_node() || !idle_tracked())
		return -EBUSY;
	return idle_pick(mask, NUMA_NO_NODE, flags);
}

s32 scx_bpf_pick_idle_cpu_node(const struct cpumask *mask, int node, u64 flags)
{
	if (!node_valid(node))
		return -EINVAL;
	return idle_pick(mask, node, flags);
}

s32 scx_bpf_pick_any_cpu(const struct cpumask *mask, u64 flags)
{
	s32 cpu = -EBUSY;

	if (!not_by_node())
		return -EINVAL;
	if (sch.idle_tracking)
		cpu = idle_pick(mask, NUMA_NO_NODE, flags);
	if (cpu < 0)
		cpu = any_and_distribute(mask, &sim.all_cpus);
	return cpu < 0 ? -EBUSY : cpu;
}

s32 scx_bpf_pick_any_cpu_node(const struct cpumask *mask, int node, u64 flags)
{
	s32 cpu;

	if (!node_valid(node))
		return -EINVAL;
	cpu = idle_pick(mask, node, flags);
	if (cpu < 0)
		cpu = any_and_distribute(mask, &sim.all_cpus);
	return cpu < 0 ? -EBUSY : cpu;
}

bool scx_bpf_test_and_clear_cpu_idle(s32 cpu)
{
	return idle_tracked() && cpu_valid(cpu) && idle_claim(cpu);
}

static const struct cpumask *idle_mask_of_all(bool smt)
{
	static struct cpumask none;

	return not_by_node() && idle_tracked() ? idle_mask(NUMA_NO_NODE, smt) : &none;
}

static const struct cpumask *idle_mask_of_node(s32 node, bool smt)
{
	static struct cpumask none;

	return node_valid(node) ? idle_mask(node, smt) : &none;
}

const struct cpumask *scx_bpf_get_idle_cpumask(void)
{
	return idle_mask_of_all(false);
}

const struct cpumask *scx_bpf_get_idle_smtmask(void)
{
	return idle_mask_of_all(true);
}

const struct cpumask *scx_bpf_get_idle_cpumask_node(int node)
{
	return idle_mask_of_node(node, false);
}

const struct cpumask *scx_bpf_get_idle_smtmask_node(int node)
{
	return idle_mask_of_node(node, true);
}

void scx_bpf_put_idle_cpumask(const struct cpumask *mask)
{
	(void)mask;
}

/* --- cpus ------------------------------------------------------------------------------------- */

const struct cpumask *scx_bpf_get_possible_cpumask(void)
{
	return &sim.all_cpus;
}

const struct cpumask *scx_bpf_get_online_cpumask(void)
{
	return &sim.all_cpus;
}

void scx_bpf_put_cpumask(const struct cpumask *mask)
{
	(void)mask;
}

u32 scx_bpf_nr_cpu_ids(void)
{
	return sim.machine.nr_cpus;
}

u32 scx_bpf_nr_node_ids(void)
{
	return sim.machine.nr_nodes;
}

int scx_bpf_cpu_node(s32 cpu)
{
	return cpu_valid(cpu) ? (int)sim.machine.node_of[cpu] : NUMA_NO_NODE;
}

u32 scx_bpf_cpuperf_cap(s32 cpu)
{
	return cpu_valid(cpu) ? sim.machine.capacity[cpu] : SCX_CPUPERF_ONE;
}

/* Frequencies aren't simulated: what was asked for is remembered, and cpus run at full speed. */
u32 scx_bpf_cpuperf_cur(s32 cpu)
{
	return cpu_valid(cpu) ? cpu_rq(cpu)->ext->perf : SCX_CPUPERF_ONE;
}

void scx_bpf_cpuperf_set(s32 cpu, u32 perf)
{
	if (perf > SCX_CPUPERF_ONE)
		scx_error("Invalid cpuperf target %u for CPU %d", perf, cpu);
	else if (cpu_valid(cpu))
		cpu_rq(cpu)->ext->perf = perf;
}

static struct task_struct *curr_of(s32 cpu)
{
	struct task *curr = cpu_rq(cpu)->curr;

	return curr ? &curr->k : &idle_task;
}

struct rq *scx_bpf_cpu_rq(s32 cpu)
{
	static struct rq_view views[NR_CPUS];

	if (!cpu_valid(cpu))
		return NULL;
	views[cpu] = (struct rq_view){ cpu, curr_of(cpu), cpu_rq(cpu)->nr_running };
	return (struct rq *)&views[cpu];
}

struct rq *scx_bpf_locked_rq(void)
{
	if (!current_call || !current_call->mask || current_call->mask & KF_SELECT_CPU) {
		scx_error("accessing rq without holding rq lock");
		return NULL;
	}
	return scx_bpf_cpu_rq(this_cpu());
}

struct task_struct *scx_bpf_cpu_curr(s32 cpu)
{
	return cpu_valid(cpu) ? curr_of(cpu) : NULL;
}

/* --- tasks ------------------------------------------------------------------------------------ */

bool scx_bpf_task_running(const struct task_struct *k)
{
	const struct task *p = (const struct task *)k;

	return task_rq(p)->curr == p;
}

s32 scx_bpf_task_cpu(const struct task_struct *k)
{
	return ((const struct task *)k)->cpu;
}

bool scx_bpf_task_set_slice(struct task_struct *p, u64 slice)
{
	p->scx.slice = slice;
	return true;
}

bool scx_bpf_task_set_dsq_vtime(struct task_struct *p, u64 vtime)
{
	p->scx.dsq_vtime = vtime;
	return true;
}

struct cgroup *scx_bpf_task_cgroup(struct task_struct *k)
{
	struct cgroup *cgrp = k->cgroups->dfl_cgrp;

	if (!current_call || !current_call->mask) {
		scx_error("kfunc with mask 0x%x called from an operation only allowing 0x%x",
			  KF_CPU_RELEASE | KF_DISPATCH | KF_ENQUEUE | KF_SELECT_CPU | KF_REST, 0);
		return cgrp->ancestors[0];
	}
	if (k != current_call->tasks[0] && k != current_call->tasks[1]) {
		scx_error("called on a task not being operated on");
		return cgrp->ancestors[0];
	}
	return cgrp;
}

/* --- time, and giving up ---------------------------------------------------------------------- */

u64 scx_bpf_now(void)
{
	return sim.now;
}

void scx_bpf_events(struct scx_event_stats *events, unsigned long size)
{
	memcpy(events, &sch.events, size < sizeof(*events) ? size : sizeof(*events));
}

void scx_bpf_error_bstr(char *fmt, unsigned long long *data, u32 data__sz)
{
	char line[1024];

	bpf_format(line, sizeof(line), fmt, data, data__sz);
	ext_error(SCX_EXIT_ERROR_BPF, 0, NULL, "%s", line);
}

void scx_bpf_exit_bstr(s64 exit_code, char *fmt, unsigned long long *data, u32 data__sz)
{
	char line[1024];

	bpf_format(line, sizeof(line), fmt, data, data__sz);
	ext_error(SCX_EXIT_UNREG_BPF, exit_code, NULL, "%s", line);
}

/* Dumps are for a person at the kernel's log; here they go where bpf_printk() goes. */
void scx_bpf_dump_bstr(char *fmt, unsigned long long *data, u32 data__sz)
{
	bpf_trace_bstr(fmt, data, data__sz);
}
