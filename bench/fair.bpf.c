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

/* The stint of the cpu's task is paid for, though the task goes on or hasn't stopped yet. */
static bool stint_ended[MAX_CPUS];

static __always_inline void stay_near(struct task_struct *p, s64 now)
{
	s64 key = p->scx.dsq_vtime;

	if (key < now - BACK)
		p->scx.dsq_vtime = now - BACK;
	else if (key > now + AHEAD)
		p->scx.dsq_vtime = now + AHEAD;
}

s32 BPF_STRUCT_OPS(fair_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	return place(p, prev_cpu, wake_flags, tune_slice);
}

void BPF_STRUCT_OPS(fair_enqueue, struct task_struct *p, u64 enq_flags)
{
	bool placed = was_placed(enq_flags);

	if (!placed && place_bound(p, enq_flags, tune_slice))
		return;
	stay_near(p, clock);
	scx_bpf_dsq_insert_vtime(p, ALL, tune_slice, p->scx.dsq_vtime, enq_flags);
	if (!placed)
		wake_idle(p);
}

static __always_inline void stint_ends(struct task_struct *p, s64 ran)
{
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

static __always_inline void clock_follows(s64 key)
{
	s64 seen = clock;

	/* Another cpu may move the clock at the same time; it must never go back. */
	for (int i = 0; i < 4 && key > seen; i++) {
		s64 found = __sync_val_compare_and_swap(&clock, seen, key);

		if (found == seen)
			break;
		seen = found;
	}
}

/* Whether the task would be the first of the queue. */
static __always_inline bool comes_first(struct task_struct *p)
{
	struct bpf_iter_scx_dsq it;
	struct task_struct *first;
	bool before;

	bpf_iter_scx_dsq_new(&it, ALL, 0);
	first = bpf_iter_scx_dsq_next(&it);
	before = !first || (s64)p->scx.dsq_vtime < (s64)first->scx.dsq_vtime;
	bpf_iter_scx_dsq_destroy(&it);
	return before;
}

void BPF_STRUCT_OPS(fair_dispatch, s32 cpu, struct task_struct *prev)
{
	u32 here = cpu & (MAX_CPUS - 1);

	if (!prev || !(prev->scx.flags & SCX_TASK_QUEUED)) {
		scx_bpf_dsq_move_to_local(ALL);
		return;
	}
	/* Its slice is over: it pays, and then competes with those who wait. */
	if (!stint_ended[here]) {
		stint_ends(prev, prev->se.sum_exec_runtime - exec_start[here]);
		exec_start[here] = prev->se.sum_exec_runtime;
		stint_ended[here] = true;
	}
	stay_near(prev, clock);
	if (comes_first(prev) || !scx_bpf_dsq_move_to_local(ALL)) {
		stint_ended[here] = false;
		prev->scx.slice = tune_slice;
		clock_follows(prev->scx.dsq_vtime);
	}
}

void BPF_STRUCT_OPS(fair_running, struct task_struct *p)
{
	stint_begins(p);
	stint_ended[scx_bpf_task_cpu(p) & (MAX_CPUS - 1)] = false;
	clock_follows(p->scx.dsq_vtime);
}

void BPF_STRUCT_OPS(fair_stopping, struct task_struct *p, bool runnable)
{
	bool *ended = &stint_ended[scx_bpf_task_cpu(p) & (MAX_CPUS - 1)];

	if (!*ended)
		stint_ends(p, stint_ran(p));
	*ended = false;
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
