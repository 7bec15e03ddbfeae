// SPDX-License-Identifier: GPL-2.0
/* stdlib_policies/fifo.sched by hand: arrival order, one queue for the machine. */
#include "common.h"

#define ALL 0ULL

const volatile s64 tune_slice = 20 * NSEC_PER_MSEC;

s32 BPF_STRUCT_OPS(fifo_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	return place(p, prev_cpu, wake_flags, tune_slice);
}

void BPF_STRUCT_OPS(fifo_enqueue, struct task_struct *p, u64 enq_flags)
{
	bool placed = was_placed(enq_flags);

	if (!placed && place_bound(p, enq_flags, tune_slice))
		return;
	scx_bpf_dsq_insert(p, ALL, tune_slice, enq_flags);
	if (!placed)
		wake_idle(p);
}

void BPF_STRUCT_OPS(fifo_dispatch, s32 cpu, struct task_struct *prev)
{
	if (!scx_bpf_dsq_move_to_local(ALL))
		keep(prev, tune_slice);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(fifo_init)
{
	return scx_bpf_create_dsq(ALL, -1);
}

void BPF_STRUCT_OPS(fifo_exit, struct scx_exit_info *info)
{
	note_exit(info);
}

SEC(".struct_ops.link")
struct sched_ext_ops fifo_ops = {
	.select_cpu = (void *)fifo_select_cpu,
	.enqueue = (void *)fifo_enqueue,
	.dispatch = (void *)fifo_dispatch,
	.init = (void *)fifo_init,
	.exit = (void *)fifo_exit,
	.flags = SCX_OPS_ENQ_EXITING | SCX_OPS_ENQ_MIGRATION_DISABLED,
	.timeout_ms = 30000,
	.name = "fifo_by_hand",
};
