/* SPDX-License-Identifier: GPL-2.0 */
/*
 * window: a scheduler written by hand, in the manner of the kernel's own examples.
 *
 * Tasks share the cpus by weight. Each has a virtual time that runs faster the less it weighs, and
 * the one that is furthest behind runs next. Two limits keep that fair to everybody:
 *
 * - a task that slept may be behind the clock by at most `lead_ns`, so it can't save up time and
 *   then keep the others waiting;
 * - a task may be ahead of it by at most `window_ns`, so nobody's turn is put off for ever: behind
 *   the clock's window everyone is served before the clock can move on.
 *
 * A task that wakes while some cpu is idle goes there at once.
 */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define WAITING 0	/* the one queue */

const volatile u64 slice_ns = 10 * 1000 * 1000;
const volatile u64 lead_ns = 10 * 1000 * 1000;
const volatile u64 window_ns = 200 * 1000 * 1000;

static u64 clock_now;

UEI_DEFINE(uei);

enum { WENT_IDLE, WENT_WAITING, NR_COUNTS };

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(key_size, sizeof(u32));
	__uint(value_size, sizeof(u64));
	__uint(max_entries, NR_COUNTS);
} counts SEC(".maps");

/* What a task's time is measured from: kept apart from its key, which inserting overwrites. */
struct task_time {
	u64 vtime;
	u64 ran;	/* its cpu time when it began to run */
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct task_time);
} times SEC(".maps");

static void count(u32 what)
{
	u64 *n = bpf_map_lookup_elem(&counts, &what);

	if (n)
		(*n)++;
}

static struct task_time *time_of(struct task_struct *p)
{
	return bpf_task_storage_get(&times, p, NULL, 0);
}

/* Within the window around the clock. */
static void keep_near(struct task_time *t)
{
	if (time_before(t->vtime, clock_now - lead_ns))
		t->vtime = clock_now - lead_ns;
	if (time_after(t->vtime, clock_now + window_ns))
		t->vtime = clock_now + window_ns;
}

s32 BPF_STRUCT_OPS(window_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	bool idle = false;
	s32 cpu = scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &idle);

	if (idle) {
		count(WENT_IDLE);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_ns, 0);
	}
	return cpu;
}

void BPF_STRUCT_OPS(window_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct task_time *t = time_of(p);

	if (!t)
		return;
	count(WENT_WAITING);
	keep_near(t);
	scx_bpf_dsq_insert_vtime(p, WAITING, slice_ns, t->vtime, enq_flags);
}

void BPF_STRUCT_OPS(window_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(WAITING);
}

void BPF_STRUCT_OPS(window_running, struct task_struct *p)
{
	struct task_time *t = time_of(p);

	if (!t)
		return;
	t->ran = p->se.sum_exec_runtime;
	if (time_after(t->vtime, clock_now))
		clock_now = t->vtime;
}

void BPF_STRUCT_OPS(window_stopping, struct task_struct *p, bool runnable)
{
	struct task_time *t = time_of(p);

	if (t)
		t->vtime += (p->se.sum_exec_runtime - t->ran) * 100 / p->scx.weight;
}

s32 BPF_STRUCT_OPS_SLEEPABLE(window_init_task, struct task_struct *p,
			     struct scx_init_task_args *args)
{
	struct task_time *t;

	t = bpf_task_storage_get(&times, p, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!t)
		return -ENOMEM;
	t->vtime = clock_now;
	return 0;
}

s32 BPF_STRUCT_OPS_SLEEPABLE(window_init)
{
	return scx_bpf_create_dsq(WAITING, -1);
}

void BPF_STRUCT_OPS(window_exit, struct scx_exit_info *ei)
{
	UEI_RECORD(uei, ei);
}

SCX_OPS_DEFINE(window_ops,
	       .select_cpu	= (void *)window_select_cpu,
	       .enqueue		= (void *)window_enqueue,
	       .dispatch	= (void *)window_dispatch,
	       .running		= (void *)window_running,
	       .stopping	= (void *)window_stopping,
	       .init_task	= (void *)window_init_task,
	       .init		= (void *)window_init,
	       .exit		= (void *)window_exit,
	       .timeout_ms	= 30000,
	       .name		= "window");
