// SPDX-License-Identifier: GPL-2.0
/*
 * Watches tasks for a profile: how long each runs from one sleep to the next, sleeps, and waits for
 * a cpu, and who wakes whom, by groups of tasks that have a name (without its digits) and a nice
 * value in common.
 *
 * Events of one task come one after the other: the kernel holds its run queue's lock at each of
 * them. A task's number is read once an event and handed on: to bcc each read is a call.
 */
#include "include/groups.h"
#include "include/histogram.h"
#include "include/watched.h"

/* --- tasks -------------------------------------------------------------------------------------- */

static __always_inline struct task *enter(struct task_struct *p, s32 pid, bool born)
{
	struct task fresh = {};

	bpf_probe_read_kernel(fresh.comm, NAME, p->comm);
	if (!find_group(p, fresh.comm, &fresh.group)) {
		drop();
		return NULL;
	}
	fresh.whole = fresh.born = born;
	fresh.joined = !born;
	if (bpf_map_update_elem(&tasks, &pid, &fresh, BPF_NOEXIST)) {
		drop();
		return NULL;
	}
	if (!born)
		join(fresh.group, false);
	return bpf_map_lookup_elem(&tasks, &pid);
}

static __always_inline struct task *known(s32 pid)
{
	return bpf_map_lookup_elem(&tasks, &pid);
}

/* The task's record, made if it is to be watched; NULL otherwise. */
static __always_inline struct task *task_of(struct task_struct *p, s32 pid)
{
	struct task *t;

	if (!pid || (target == TARGET_PROCESS && p->tgid != target_tgid))
		return NULL;
	t = known(pid);
	return t || !wanted(p, pid) ? t : enter(p, pid, false);
}

/* A task that has got another name (an exec, a thread that names itself) changes groups when it gives
 * the cpu up. */
static __always_inline void follow_name(struct task_struct *p, struct task *t)
{
	char comm[NAME] __attribute__((aligned(8)));
	u32 group;

	bpf_probe_read_kernel(comm, NAME, p->comm);
	if (same(comm, t->comm) || !find_group(p, comm, &group))
		return;
	copy_name(t->comm, comm);
	if (group == t->group)
		return;
	if (t->joined) {
		leave(t->group, t->born);
		join(group, t->born);
	}
	t->group = group;
}

static __always_inline void add(u32 group, u32 kind, u64 value)
{
	struct bucket key = { .group = group, .kind = kind, .index = hist_index(value) };
	u32 place = group * KINDS + kind;
	struct times *sum = bpf_map_lookup_elem(&sums, &place);
	u64 *count = bpf_map_lookup_elem(&buckets, &key), one = 1;

	if (count)
		(*count)++;
	else if (bpf_map_update_elem(&buckets, &key, &one, BPF_NOEXIST)) {
		/* Another cpu made it in between, or there is no room. */
		count = bpf_map_lookup_elem(&buckets, &key);
		if (!count) {
			drop();
			return;
		}
		(*count)++;
	}
	if (!sum)
		return;
	sum->count++;
	sum->sum += value;
	if (value > sum->max)
		sum->max = value;
}

/* --- events ------------------------------------------------------------------------------------- */

static __always_inline void switched_out(s32 pid, struct task *t, u64 now,
					 bool sleeps, bool dies)
{
	struct counters *c = counters_of(t->group);
	u64 time = t->on ? now - t->on : 0;

	if (!t->joined) {
		join(t->group, t->born);
		t->joined = 1;
	}
	t->ran += time;
	t->on = 0;
	if (c) {
		c->cpu_ns += time;
		c->switches++;
	}
	if (!sleeps) {
		t->ready = now;
		return;
	}
	if (t->whole)
		add(t->group, BURST, t->ran);
	if (dies) {
		leave(t->group, false);
		bpf_map_delete_elem(&tasks, &pid);
		return;
	}
	t->ran = 0;
	t->whole = 1;
	t->sleeps = 1;
	t->slept = now;
	t->ready = 0;
}

static __always_inline void switched_in(struct task *t, u64 now)
{
	if (t->ready)
		add(t->group, RUNQ, now - t->ready);
	t->ready = t->slept = 0;
	t->on = now;
}

SEC("tp_btf/sched_switch")
int on_switch(u64 *ctx)
{
	struct task_struct *prev = (void *)ctx[1], *next = (void *)ctx[2];
	bool preempted = ctx[0] & 1;
	u32 state = (u32)ctx[3];
	u64 now = bpf_ktime_get_ns();
	s32 pid = prev->pid;
	struct task *t = task_of(prev, pid);

	if (t) {
		follow_name(prev, t);
		switched_out(pid, t, now, state && !preempted, state & TASK_DEAD);
	}
	t = task_of(next, next->pid);
	if (t)
		switched_in(t, now);
	return 0;
}

/* 1 + the group of whoever runs here, if it is a task that does this by itself. */
static __always_inline u32 who_wakes(void)
{
	s32 pid = (s32)bpf_get_current_pid_tgid();
	struct task *t;

	if (!pid || serving_interrupt())
		return 0;
	t = known(pid);
	return t ? t->group + 1 : 0;
}

/* Here the waker runs; sched_wakeup may come on the woken task's cpu. */
SEC("tp_btf/sched_waking")
int on_waking(u64 *ctx)
{
	struct task_struct *p = (void *)ctx[0];
	struct task *t = known(p->pid);

	if (t)
		t->waker = who_wakes();
	return 0;
}

SEC("tp_btf/sched_wakeup")
int on_wakeup(u64 *ctx)
{
	struct task_struct *p = (void *)ctx[0];
	struct task *t = task_of(p, p->pid);
	struct counters *c;
	struct edge edge;
	u64 now = bpf_ktime_get_ns(), one = 1, *count;

	if (!t || t->on)
		return 0;	/* woken before it slept */
	if (!t->slept && t->ready)
		return 0;
	if (t->slept)
		add(t->group, SLEEP, now - t->slept);
	else
		t->whole = 1;	/* it was asleep when the profile began */
	t->ready = now;
	c = counters_of(t->group);
	if (c)
		c->wakeups++;
	edge = (struct edge){ .from = t->slept ? t->waker : 0, .to = t->group + 1 };
	t->slept = 0;
	t->sleeps = 1;
	count = bpf_map_lookup_elem(&edges, &edge);
	if (count)
		(*count)++;
	else if (bpf_map_update_elem(&edges, &edge, &one, BPF_NOEXIST))
		drop();
	return 0;
}

SEC("tp_btf/sched_wakeup_new")
int on_birth(u64 *ctx)
{
	struct task_struct *p = (void *)ctx[0];
	s32 pid = p->pid;
	struct task *t = known(pid);

	if (!t && target != TARGET_TREE && wanted(p, pid))
		t = enter(p, pid, true);
	if (t)
		t->ready = bpf_ktime_get_ns();
	return 0;
}

SEC("tp_btf/sched_process_fork")
int on_fork(u64 *ctx)
{
	struct task_struct *p = (void *)ctx[0];
	s32 parent = p->pid;

	if (target != TARGET_TREE || (!known(parent) && !wanted(p, parent)))
		return 0;
	p = (void *)ctx[1];
	enter(p, p->pid, true);
	return 0;
}

SEC("tp_btf/sched_migrate_task")
int on_migrate(u64 *ctx)
{
	struct task_struct *p = (void *)ctx[0];
	struct machine *m = this_machine();
	struct task *t = known(p->pid);
	struct counters *c;

	if (m)
		m->migrations++;
	c = t ? counters_of(t->group) : NULL;
	if (c)
		c->migrations++;
	return 0;
}

char _license[] SEC("license") = "GPL";
