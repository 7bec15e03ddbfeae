/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A scheduler that says which callbacks it gets, for tests/sim/test_ext*.py: one queue in order of
 * arrival, and a hook in each callback. A test defines the hooks that it needs before including
 * this; the rest are empty.
 */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define Q 0

#ifndef SLICE
#define SLICE (20 * NSEC_PER_MSEC)
#endif
#ifndef ENQUEUE
#define ENQUEUE scx_bpf_dsq_insert(p, Q, SLICE, flags)
#endif
#ifndef DISPATCH
#define DISPATCH scx_bpf_dsq_move_to_local(Q)
#endif
#ifndef INIT
#define INIT 0
#endif
#ifndef RUNNING
#define RUNNING
#endif
#ifndef STOPPING
#define STOPPING
#endif
#ifndef TICK
#define TICK
#endif
#ifndef MEMBERS
#define MEMBERS
#endif
#ifndef BEFORE
#define BEFORE
#endif

#define say(fmt, ...) bpf_printk(fmt, ##__VA_ARGS__)

BEFORE

#ifdef SELECT
s32 BPF_STRUCT_OPS(t_select_cpu, struct task_struct *p, s32 prev_cpu, u64 flags)
{
	say("select_cpu %s prev=%d flags=%lx", p->comm, prev_cpu, flags);
	SELECT;
}
#endif

void BPF_STRUCT_OPS(t_enqueue, struct task_struct *p, u64 flags)
{
	say("enqueue %s cpu=%d flags=%lx slice=%llu", p->comm, scx_bpf_task_cpu(p), flags, p->scx.slice);
	ENQUEUE;
}

void BPF_STRUCT_OPS(t_dispatch, s32 cpu, struct task_struct *prev)
{
	say("dispatch cpu=%d prev=%s", cpu, prev ? prev->comm : "-");
	DISPATCH;
}

void BPF_STRUCT_OPS(t_runnable, struct task_struct *p, u64 flags)
{
	say("runnable %s flags=%lx", p->comm, flags);
}

void BPF_STRUCT_OPS(t_running, struct task_struct *p)
{
	say("running %s cpu=%d", p->comm, scx_bpf_task_cpu(p));
	RUNNING;
}

void BPF_STRUCT_OPS(t_stopping, struct task_struct *p, bool runnable)
{
	say("stopping %s runnable=%d slice=%llu", p->comm, runnable, p->scx.slice);
	STOPPING;
}

void BPF_STRUCT_OPS(t_quiescent, struct task_struct *p, u64 flags)
{
	say("quiescent %s flags=%lx", p->comm, flags);
}

void BPF_STRUCT_OPS(t_tick, struct task_struct *p)
{
	TICK;
}

s32 BPF_STRUCT_OPS(t_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	say("init_task %s fork=%d", p->comm, args->fork);
	return 0;
}

void BPF_STRUCT_OPS(t_enable, struct task_struct *p)
{
	say("enable %s weight=%u", p->comm, p->scx.weight);
}

void BPF_STRUCT_OPS(t_set_weight, struct task_struct *p, u32 weight)
{
	say("set_weight %s %u", p->comm, weight);
}

void BPF_STRUCT_OPS(t_disable, struct task_struct *p)
{
	say("disable %s", p->comm);
}

void BPF_STRUCT_OPS(t_exit_task, struct task_struct *p, struct scx_exit_task_args *args)
{
	say("exit_task %s", p->comm);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(t_init)
{
	s32 err = scx_bpf_create_dsq(Q, -1);

	return err ? err : INIT;
}

void BPF_STRUCT_OPS(t_exit, struct scx_exit_info *ei)
{
	say("exit kind=%d reason=%s msg=%s", ei->kind, ei->reason, ei->msg);
}

SCX_OPS_DEFINE(t_ops,
#ifdef SELECT
	       .select_cpu = (void *)t_select_cpu,
#endif
	       .enqueue = (void *)t_enqueue, .dispatch = (void *)t_dispatch,
	       .runnable = (void *)t_runnable, .running = (void *)t_running,
	       .stopping = (void *)t_stopping, .quiescent = (void *)t_quiescent,
	       .tick = (void *)t_tick, .init_task = (void *)t_init_task,
	       .enable = (void *)t_enable, .set_weight = (void *)t_set_weight,
	       .disable = (void *)t_disable, .exit_task = (void *)t_exit_task,
	       .init = (void *)t_init, .exit = (void *)t_exit, MEMBERS .name = "test");
