/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What every generated scheduler shares: arithmetic, topology, clocks, buckets, idle cpus.
 * Nothing here knows a policy; the limits below are the array sizes that the loader relies on.
 */
#ifndef SCHEDC_RUNTIME_H
#define SCHEDC_RUNTIME_H

#define MAX_CPUS 512
#define MAX_LLCS 64
#define MAX_NODES 16
#define MAX_CLASSES 16
#define NO_CLASS 0xff
#define NO_LINE 0xff
#define NO_QUEUE 0xff
/* Who has the turn of a share's portion: a task moved to the cpu, or the one that ran until now. */
#define SERVED_NOBODY 0
#define SERVED_QUEUE 1
#define SERVED_PREVIOUS 2
#define NSEC_PER_USEC 1000LL
#define NSEC_PER_MSEC 1000000LL
#define NSEC_PER_SEC 1000000000LL
#define S64_MAX ((s64)(~0ULL >> 1))
#define BIT(n) (1U << (n))

/* --- arithmetic: all values are s64, and their ranges are checked when a policy is compiled ---- */

static __always_inline s64 min(s64 a, s64 b)
{
	return a < b ? a : b;
}

static __always_inline s64 max(s64 a, s64 b)
{
	return a > b ? a : b;
}

static __always_inline s64 clamp(s64 value, s64 low, s64 high)
{
	return min(max(value, low), high);
}

static __always_inline s64 sub_sat(s64 a, s64 b)
{
	return a > b ? a - b : 0;
}

static __always_inline s64 abs_diff(s64 a, s64 b)
{
	return a > b ? a - b : b - a;
}

/* The BPF instruction set divides unsigned numbers only, before v4. */
static __always_inline s64 div(s64 a, s64 b)
{
	return (u64)a / (u64)b;
}

static __always_inline s64 sdiv(s64 a, s64 b)
{
	return a < 0 ? -div(-a, b) : div(a, b);
}

/*
 * floor(log2(value)) for value >= 1. A global function, so that the verifier walks its branches once
 * and not once for each path to a call.
 */
__attribute__((noinline)) int floor_log2(u64 value)
{
	int bits = 0;

	if (value >> 32) {
		value >>= 32;
		bits += 32;
	}
	if (value >> 16) {
		value >>= 16;
		bits += 16;
	}
	if (value >> 8) {
		value >>= 8;
		bits += 8;
	}
	if (value >> 4) {
		value >>= 4;
		bits += 4;
	}
	if (value >> 2) {
		value >>= 2;
		bits += 2;
	}
	return bits + (value >> 1);
}

static __always_inline s64 log2(s64 value)
{
	return floor_log2(value > 1 ? value : 1);
}

/* ceil(100 * amount / weight): the vtime that an amount of cpu time costs. */
static __always_inline s64 charge(s64 amount, s64 weight)
{
	return div(100 * amount + weight - 1, weight);
}

/* --- topology, filled in by the loader; left alone it is one llc on one node ------------------- */

const volatile bool has_smt = true;
const volatile u32 nr_llcs = 1;
const volatile u32 nr_nodes = 1;
const volatile u16 cpu_llc[MAX_CPUS];
const volatile u16 cpu_node[MAX_CPUS];
const volatile u8 cpu_fast[MAX_CPUS];

/* Highest number of a cpu, plus one; set in init. */
static u32 nr_cpu_ids;

static __always_inline u32 cpu_index(s32 cpu)
{
	return cpu & (MAX_CPUS - 1);
}

static __always_inline u32 llc_of(s32 cpu)
{
	return cpu_llc[cpu_index(cpu)] & (MAX_LLCS - 1);
}

static __always_inline u32 node_of(s32 cpu)
{
	return cpu_node[cpu_index(cpu)] & (MAX_NODES - 1);
}

/* --- dispatch queues --------------------------------------------------------------------------- */

/* A queue's number in the high half, from 1; its domain (cpu, llc, node or cgroup) in the low. */
static __always_inline u64 dsq(u32 queue, u32 domain)
{
	return (u64)(queue + 1) << 16 | domain;
}

/* --- clocks ----------------------------------------------------------------------------------- */

/*
 * Move a clock forward to `value`. Another cpu may do the same: four tries, then the next task to
 * run brings the clock along.
 */
static __always_inline void advance_clock(s64 *clock, s64 value)
{
	s64 seen = *(volatile s64 *)clock;

	for (int i = 0; i < 4; i++) {
		s64 found;

		if (value <= seen)
			return;
		found = __sync_val_compare_and_swap(clock, seen, value);
		if (found == seen)
			return;
		seen = found;
	}
}

/* --- buckets: a share of a cpu's time ---------------------------------------------------------- */

/* Credit is kept in hundredths of a nanosecond, so that filling by a percentage needs no division. */
struct bucket {
	s64 credit;
	u64 filled_at;
};

/* What the bucket holds now. It fills at `percent` of real time up to percent * period. */
static __always_inline s64 bucket_credit(const struct bucket *b, u64 now, s64 percent, s64 period)
{
	return min(b->credit + sub_sat(now, b->filled_at) * percent, period * percent);
}

/* Only the cpu that owns the bucket stores a refill. */
static __always_inline bool bucket_open(struct bucket *b, u64 now, s64 percent, s64 period)
{
	b->credit = bucket_credit(b, now, percent, period);
	b->filled_at = now;
	return b->credit > 0;
}

/* A stint is paid for in full: what it overshot is debt. */
static __always_inline void bucket_pay(struct bucket *b, s64 ran)
{
	b->credit -= 100 * ran;
}

/* --- tasks ------------------------------------------------------------------------------------- */

/*
 * One allowed cpu, or no migration for now. The prolog of a BPF program disables migration itself,
 * which shows when the task is the current one.
 */
static __always_inline bool is_pinned(struct task_struct *p)
{
	u32 by_bpf = p == bpf_get_current_task_btf();

	return p->nr_cpus_allowed == 1 || p->migration_disabled > by_bpf;
}

static __always_inline bool is_kthread(struct task_struct *p)
{
	return p->flags & PF_KTHREAD;
}

static __always_inline u64 cgroup_id(struct task_struct *p)
{
	return p->cgroups->dfl_cgrp->kn->id;
}

/* For a control group that the verifier doesn't know to be valid. */
static __always_inline u64 read_cgroup_id(struct cgroup *cgrp)
{
	struct kernfs_node *kn = NULL;
	u64 id = 0;

	bpf_probe_read_kernel(&kn, sizeof(kn), &cgrp->kn);
	bpf_probe_read_kernel(&id, sizeof(id), &kn->id);
	return id;
}

/* 1 per interval, as a rate per second; averaged over the last few. */
static __always_inline s64 average_rate(s64 rate, u64 interval)
{
	s64 sample = min(div(NSEC_PER_SEC, max(interval, 1)), 1000000);

	return div(rate * 3 + sample, 4);
}

/* --- idle cpus: a claim clears the cpu's idle mark, so that nobody else takes it too ------------ */

static __always_inline bool allowed_on(struct task_struct *p, s32 cpu)
{
	return bpf_cpumask_test_cpu(cpu, p->cpus_ptr);
}

static __always_inline bool claim(struct task_struct *p, s32 cpu)
{
	return allowed_on(p, cpu) && scx_bpf_test_and_clear_cpu_idle(cpu);
}

/* The cpu of a task that has but one place, if it is idle; -1 for other tasks. */
static __always_inline s32 claim_bound(struct task_struct *p)
{
	s32 cpu;

	if (!is_pinned(p))
		return -1;
	cpu = scx_bpf_task_cpu(p);
	return claim(p, cpu) ? cpu : -1;
}

static __always_inline bool whole_core_idle(s32 cpu)
{
	const struct cpumask *cores = scx_bpf_get_idle_smtmask();
	bool idle = bpf_cpumask_test_cpu(cpu, cores);

	scx_bpf_put_idle_cpumask(cores);
	return idle;
}

static __always_inline s32 claim_any(struct task_struct *p, u64 flags)
{
	return scx_bpf_pick_idle_cpu(p->cpus_ptr, flags);
}

/* Wake the cpu, if there is one; whether there was. */
static __always_inline bool kick_idle(s32 cpu)
{
	if (cpu < 0)
		return false;
	scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
	return true;
}

static __always_inline u32 count_online_cpus(void)
{
	const struct cpumask *online = scx_bpf_get_online_cpumask();
	u32 n = bpf_cpumask_weight(online);

	scx_bpf_put_cpumask(online);
	return n;
}

static __always_inline u32 count_idle_cpus(void)
{
	const struct cpumask *idle = scx_bpf_get_idle_cpumask();
	u32 n = bpf_cpumask_weight(idle);

	scx_bpf_put_idle_cpumask(idle);
	return n;
}

/* --- why the scheduler ended: the kernel's words, kept for the loader --------------------------- */

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

static __always_inline void record_exit(struct scx_exit_info *info)
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

#endif
