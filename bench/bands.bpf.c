// SPDX-License-Identifier: GPL-2.0
/* stdlib_policies/bands.sched by hand: five bands by weight, four of them with a budget a cpu. */
#include "common.h"

#define BANDS 5
#define BUDGETS 4
#define FREE BUDGETS /* a stint that no budget pays */

const volatile s64 tune_slice = 5 * NSEC_PER_MSEC;

/* Per cpu: what each budget holds, when it was filled, and which one pays the running task. */
static struct {
	s64 credit[BUDGETS];
	u64 filled_at;
	u64 paid;		/* of the running task's cpu time, up to here */
	bool running;
	u32 payer, next_payer;
} cpus[MAX_CPUS];

static __always_inline void settle(typeof(&cpus[0]) c, struct task_struct *p)
{
	u64 used = p->se.sum_exec_runtime;

	if (c->payer < BUDGETS)
		c->credit[c->payer] -= used - c->paid;
	c->paid = used;
}

static __always_inline u64 band_of(struct task_struct *p)
{
	u32 weight = p->scx.weight;

	return weight >= 400 ? 0 : weight >= 200 ? 1 : weight > 50 ? 2 : weight > 25 ? 3 : 4;
}

s32 BPF_STRUCT_OPS(bands_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	return place(p, prev_cpu, wake_flags, tune_slice);
}

void BPF_STRUCT_OPS(bands_enqueue, struct task_struct *p, u64 enq_flags)
{
	bool placed = was_placed(enq_flags);

	if (!placed && place_bound(p, enq_flags, tune_slice))
		return;
	scx_bpf_dsq_insert(p, band_of(p), tune_slice, enq_flags);
	if (!placed)
		wake_idle(p);
}

void BPF_STRUCT_OPS(bands_dispatch, s32 cpu, struct task_struct *prev)
{
	/* 48% of 40 ms, 24% of 90, 12% of 260, 6% of 720. */
	static const s64 percent[BUDGETS] = { 48, 24, 12, 6 };
	static const s64 most[BUDGETS] = { 19200000, 21600000, 31200000, 43200000 };
	typeof(&cpus[0]) c = &cpus[cpu & (MAX_CPUS - 1)];
	u64 now = scx_bpf_now(), passed = now - c->filled_at;

	/* The stint of the previous task isn't over: it pays before any budget is looked at. */
	if (prev && c->running)
		settle(c, prev);
	c->filled_at = now;
	/* All budgets are full after 2 s, whatever is owed; a longer time would only risk the product. */
	if (passed > 2000 * NSEC_PER_MSEC)
		passed = 2000 * NSEC_PER_MSEC;
#pragma unroll
	for (int i = 0; i < BUDGETS; i++) {
		s64 credit = c->credit[i] + passed * percent[i] / 100;

		c->credit[i] = credit < most[i] ? credit : most[i];
	}
#pragma unroll
	for (int i = 0; i < BUDGETS; i++) {
		if (c->credit[i] > 0 && scx_bpf_dsq_move_to_local(i)) {
			c->next_payer = i;
			return;
		}
	}
	c->next_payer = FREE;
	if (scx_bpf_dsq_move_to_local(BUDGETS))
		return;
	/* Nobody else wants the cpu: the bands whose budget is spent may have it for nothing. */
#pragma unroll
	for (int i = 0; i < BUDGETS; i++)
		if (c->credit[i] <= 0 && scx_bpf_dsq_move_to_local(i))
			return;
	keep(prev, tune_slice);
}

void BPF_STRUCT_OPS(bands_running, struct task_struct *p)
{
	typeof(&cpus[0]) c = &cpus[scx_bpf_task_cpu(p) & (MAX_CPUS - 1)];

	c->paid = p->se.sum_exec_runtime;
	c->running = true;
	c->payer = c->next_payer;
	c->next_payer = FREE;
}

void BPF_STRUCT_OPS(bands_stopping, struct task_struct *p, bool runnable)
{
	typeof(&cpus[0]) c = &cpus[scx_bpf_task_cpu(p) & (MAX_CPUS - 1)];

	settle(c, p);
	c->running = false;
}

s32 BPF_STRUCT_OPS_SLEEPABLE(bands_init)
{
	for (int i = 0; i < MAX_CPUS; i++)
		cpus[i].payer = cpus[i].next_payer = FREE;
	for (int i = 0; i < BANDS; i++) {
		s32 error = scx_bpf_create_dsq(i, -1);

		if (error)
			return error;
	}
	return 0;
}

void BPF_STRUCT_OPS(bands_exit, struct scx_exit_info *info)
{
	note_exit(info);
}

SEC(".struct_ops.link")
struct sched_ext_ops bands_ops = {
	.select_cpu = (void *)bands_select_cpu,
	.enqueue = (void *)bands_enqueue,
	.dispatch = (void *)bands_dispatch,
	.running = (void *)bands_running,
	.stopping = (void *)bands_stopping,
	.init = (void *)bands_init,
	.exit = (void *)bands_exit,
	.flags = SCX_OPS_ENQ_EXITING | SCX_OPS_ENQ_MIGRATION_DISABLED,
	.timeout_ms = 30000,
	.name = "bands_by_hand",
};
