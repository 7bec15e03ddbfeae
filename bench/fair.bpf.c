// SPDX-License-Identifier: GPL-2.0
/* stdlib_policies/fair.sched by hand: virtual time in dsq_vtime, as key and variable are one. */
#include "common.h"

#define ALL 0ULL
#define BACK (20 * NSEC_PER_MSEC)
#define AHEAD (100 * NSEC_PER_MSEC)
#define LONGEST (20 * NSEC_PER_MSEC)
#define TICK (4 * NSEC_PER_MSEC)
#define LEAST (10 * NSEC_PER_USEC)

const volatile s64 tune_slice = 20 * NSEC_PER_MSEC;

static s64 clock;

s32 BPF_STRUCT_OPS(fair_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	return place(p, prev_cpu, wake_flags, tune_slice);
}

void BPF_STRUCT_OPS(fair_enqueue, struct task_struct *p, u64 enq_flags)
{
	s64 now = clock, key = p->scx.dsq_vtime;
	bool placed = was_placed(enq_flags);

	if (!placed && place_bound(p, enq_flags, tune_slice))
		return;
	if (key < now - BACK)
		key = now - BACK;
	else if (key > now + AHEAD)
		key = now + AHEAD;
	scx_bpf_dsq_insert_vtime(p, ALL, tune_slice, key, enq_flags);
	if (!placed)
		wake_idle(p);
}

void BPF_STRUCT_OPS(fair_dispatch, s32 cpu, struct task_struct *prev)
{
	if (!scx_bpf_dsq_move_to_local(ALL))
		keep(prev, tune_slice);
}

void BPF_STRUCT_OPS(fair_running, struct task_struct *p)
{
	s64 key = p->scx.dsq_vtime, seen = clock;

	stint_begins(p);
	/* Another cpu may move the clock at the same time; it must never go back. */
	for (int i = 0; i < 4 && key > seen; i++) {
		s64 found = __sync_val_compare_and_swap(&clock, seen, key);

		if (found == seen)
			break;
		seen = found;
	}
}

void BPF_STRUCT_OPS(fair_stopping, struct task_struct *p, bool runnable)
{
	s64 ran = stint_ran(p);
	u64 weight = p->scx.weight;

	if (ran < LEAST)
		ran = LEAST;
	else if (ran > LONGEST + TICK)
		ran = LONGEST + TICK;
	if (weight < 50)
		weight = 50;
	else if (weight > 200)
		weight = 200;
	p->scx.dsq_vtime += (100 * (u64)ran + weight - 1) / weight;
}

void BPF_STRUCT_OPS(fair_enable, struct task_struct *p)
{
	p->scx.dsq_vtime = clock + LONGEST;
}

s32 BPF_STRUCT_OPS_SLEEPABLE(fair_init)
{
	return scx_bpf_create_dsq(ALL, -1);
}

void BPF_STRUCT_OPS(fair_exit, struct scx_exit_info *info)
{
	note_exit(info);
}

SEC(".struct_ops.link")
struct sched_ext_ops fair_ops = {
	.select_cpu = (void *)fair_select_cpu,
	.enqueue = (void *)fair_enqueue,
	.dispatch = (void *)fair_dispatch,
	.running = (void *)fair_running,
	.stopping = (void *)fair_stopping,
	.enable = (void *)fair_enable,
	.init = (void *)fair_init,
	.exit = (void *)fair_exit,
	.flags = SCX_OPS_ENQ_EXITING | SCX_OPS_ENQ_MIGRATION_DISABLED,
	.timeout_ms = 30000,
	.name = "fair_by_hand",
};
