/* SPDX-License-Identifier: GPL-2.0 */
/* What the hand-written schedulers share: one clamp, one clock, the note of why they ended. */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include "scx.h"

#define NSEC_PER_MSEC 1000000LL
#define NSEC_PER_USEC 1000LL
#define MAX_CPUS 512

s32 scx_bpf_select_cpu_dfl(struct task_struct *p, s32 prev_cpu, u64 wake_flags,
			   bool *is_idle) __ksym;

struct exit_record {
	s64 exit_code;
	u32 kind;
	u32 done;
	char reason[128];
	char msg[1024];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct exit_record);
} exit_info SEC(".maps");

static __always_inline void note_exit(struct scx_exit_info *info)
{
	u32 zero = 0;
	struct exit_record *record = bpf_map_lookup_elem(&exit_info, &zero);

	if (!record)
		return;
	record->kind = info->kind;
	record->exit_code = info->exit_code;
	bpf_probe_read_kernel_str(record->reason, sizeof(record->reason), info->reason);
	bpf_probe_read_kernel_str(record->msg, sizeof(record->msg), info->msg);
	record->done = 1;
}

/*
 * The kernel's own search has the rungs that these policies ask for: the previous cpu, a whole
 * idle core and then any idle cpu of the same cache, then anywhere.
 */
static __always_inline s32 place(struct task_struct *p, s32 prev_cpu, u64 wake_flags, u64 slice)
{
	bool idle = false;
	s32 cpu = scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &idle);

	if (idle)
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice, 0);
	return cpu;
}

/* Whether select_cpu has looked for an idle cpu; it isn't asked for bound tasks and old ones. */
static __always_inline bool was_placed(u64 enq_flags)
{
	return enq_flags & KERNEL_ENUM(scx_enq_flags, SCX_ENQ_CPU_SELECTED);
}

/* A task that is bound to one cpu goes straight there all the same if that is idle. */
static __always_inline bool place_bound(struct task_struct *p, u64 enq_flags, u64 slice)
{
	s32 cpu;

	/* A BPF program raises the count of the task that it interrupts: then the claim decides. */
	if (p->nr_cpus_allowed > 1 && !p->migration_disabled)
		return false;
	cpu = scx_bpf_task_cpu(p);
	if (!scx_bpf_test_and_clear_cpu_idle(cpu))
		return false;
	scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice, enq_flags);
	scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
	return true;
}

/* A cpu that sleeps sees nothing of what is queued without a search: wake one. */
static __always_inline void wake_idle(struct task_struct *p)
{
	s32 cpu = scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);

	if (cpu >= 0)
		scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
}

/* Nobody else wants the cpu: the kernel keeps the task, and its slice should be the policy's. */
static __always_inline void keep(struct task_struct *prev, u64 slice)
{
	if (prev && prev->scx.flags & SCX_TASK_QUEUED)
		prev->scx.slice = slice;
}

/* Cpu time of the stint that ends: running and stopping of a task come in pairs on one cpu. */
static u64 exec_start[MAX_CPUS];

static __always_inline void stint_begins(struct task_struct *p)
{
	exec_start[scx_bpf_task_cpu(p) & (MAX_CPUS - 1)] = p->se.sum_exec_runtime;
}

static __always_inline s64 stint_ran(struct task_struct *p)
{
	return p->se.sum_exec_runtime - exec_start[scx_bpf_task_cpu(p) & (MAX_CPUS - 1)];
}

char _license[] SEC("license") = "GPL";

#endif
