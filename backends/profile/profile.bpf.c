// SPDX-License-Identifier: GPL-2.0
/*
 * Watches tasks for a profile: how long each runs from one sleep to the next, sleeps, and waits for
 * a cpu, and who wakes whom, by groups of tasks that have a name (without its digits) and a nice
 * value in common.
 *
 * All maps have a bound, and what finds no room is counted in `dropped`. Events of one task come
 * one after the other: the kernel holds its run queue's lock at each of them.
 */
#include "include/histogram.h"

#define MAX_TASKS 32768
#define MAX_GROUPS 1024
#define MAX_BUCKETS 32768
#define MAX_EDGES 8192
#define MAX_LEVELS 32	/* of control groups */
#define CLAIMS 4
#define NAME 16

enum { TARGET_ALL, TARGET_PROCESS, TARGET_CGROUP, TARGET_TREE };

const volatile u32 target;
const volatile s32 target_tgid;
const volatile u64 target_cgroup;
const volatile s32 own_tgid;		/* the collector's, which isn't profiled */

/* What is the same in all tasks of a group. */
struct group_key {
	char stem[NAME];
	s32 nice;
	u32 unused;
};

struct group {
	struct group_key key;
	char comm[NAME];	/* of the first one */
	u32 several;		/* others have another name */
	s32 tasks;		/* now */
	s32 most;
	u32 born;
};

struct counters {
	u64 cpu_ns, wakeups, switches, migrations;
};

struct times {
	u64 count, sum, max;
};

enum kind { BURST, SLEEP, RUNQ, KINDS };

struct bucket {
	u32 group;
	u16 kind, index;
};

struct edge {
	u32 from, to;	/* group + 1; 0 is an interrupt or a task that isn't watched */
};

/* `ran` since the last sleep; moments are 0 while not so. */
struct task {
	u64 ran, on, ready, slept;
	u32 group;
	u32 waker;
	char comm[NAME];
	u8 whole;	/* its burst was seen from the beginning */
	u8 sleeps;	/* it slept at least once */
	u8 joined;	/* it counts as one of its group; not before it has a name of its own */
	u8 born;	/* while it was watched */
	u8 unused[4];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_TASKS);
	__type(key, s32);
	__type(value, struct task);
} tasks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_GROUPS);
	__type(key, struct group_key);
	__type(value, u32);
} names SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_GROUPS);
	__type(key, u32);
	__type(value, struct group);
} groups SEC(".maps");

/* Where to look for the next free number. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} next_group SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_GROUPS);
	__type(key, u32);
	__type(value, struct counters);
} counted SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_GROUPS * KINDS);
	__type(key, u32);
	__type(value, struct times);
} sums SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, MAX_BUCKETS);
	__type(key, struct bucket);
	__type(value, u64);
} buckets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, MAX_EDGES);
	__type(key, struct edge);
	__type(value, u64);
} edges SEC(".maps");

/* One cpu's part of what is known of the whole machine. */
struct machine {
	u64 migrations, dropped;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct machine);
} machine SEC(".maps");

static __always_inline struct machine *this_machine(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&machine, &zero);
}

static __always_inline void drop(void)
{
	struct machine *m = this_machine();

	if (m)
		m->dropped++;
}

/* --- whom to watch ------------------------------------------------------------------------------ */

static __always_inline bool in_cgroup(struct task_struct *p)
{
	struct cgroup *cgrp = p->cgroups->dfl_cgrp;

	for (u32 level = 0; level < MAX_LEVELS; level++) {
		struct cgroup *above = NULL;
		struct kernfs_node *kn = NULL;
		u64 id = 0;

		if (cgrp->level < 0 || (u32)cgrp->level < level)
			return false;
		bpf_probe_read_kernel(&above, sizeof(above), &cgrp->ancestors[level]);
		if (above)
			bpf_probe_read_kernel(&kn, sizeof(kn), &above->kn);
		if (kn)
			bpf_probe_read_kernel(&id, sizeof(id), &kn->id);
		if (id == target_cgroup)
			return true;
	}
	return false;
}

/* Of a tree, the children are entered when they are born. */
static __always_inline bool wanted(struct task_struct *p)
{
	if (!p->pid || p->tgid == own_tgid)
		return false;
	switch (target) {
	case TARGET_PROCESS:
	case TARGET_TREE:
		return p->tgid == target_tgid;
	case TARGET_CGROUP:
		return in_cgroup(p);
	}
	return true;
}

/* --- groups ------------------------------------------------------------------------------------- */

/* Without branches, which the kernel's verifier would follow each way. The kernel fills names up
 * with zeros. */
static __always_inline void read_key(struct task_struct *p, const char *comm, struct group_key *key)
{
	u32 length = 0;

	for (u32 i = 0; i < NAME; i++) {
		u64 above = (u64)(u8)comm[i] - '0';	/* the top bit is set where it is below */
		u32 digit = (u32)((above - 10) >> 63 & ~(above >> 63) & 1);

		key->stem[length & (NAME - 1)] = comm[i];
		length += 1 - digit;
	}
	if (length < NAME)
		key->stem[length] = 0;
	key->nice = p->static_prio - 120;
}

static __always_inline bool same(const char *a, const char *b)
{
	const u64 *x = (const u64 *)a, *y = (const u64 *)b;

	return x[0] == y[0] && x[1] == y[1];
}

static __always_inline void copy_name(char *to, const char *from)
{
	((u64 *)to)[0] = ((const u64 *)from)[0];
	((u64 *)to)[1] = ((const u64 *)from)[1];
}

/* A number that no other cpu gets. */
static __always_inline bool claim_group(const struct group_key *key, const char *comm, u32 *found)
{
	struct group fresh = { .key = *key };
	u32 zero = 0, *next = bpf_map_lookup_elem(&next_group, &zero);

	if (!next)
		return false;
	copy_name(fresh.comm, comm);
	for (u32 i = 0; i < CLAIMS; i++) {
		u32 id = *next;

		if (id >= MAX_GROUPS)
			return false;
		*next = id + 1;
		if (!bpf_map_update_elem(&groups, &id, &fresh, BPF_NOEXIST)) {
			*found = id;
			return true;
		}
	}
	return false;
}

static __always_inline bool find_group(struct task_struct *p, const char *comm, u32 *found)
{
	struct group_key key __attribute__((aligned(8))) = {};
	struct group *group;
	u32 *known, id;

	read_key(p, comm, &key);
	known = bpf_map_lookup_elem(&names, &key);
	if (known) {
		id = *known;
		group = bpf_map_lookup_elem(&groups, &id);
		if (group && !group->several && !same(group->comm, comm))
			group->several = 1;
		*found = id;
		return true;
	}
	if (!claim_group(&key, comm, &id))
		return false;
	/* Another cpu may have been first: its number holds, and this one stays empty. */
	bpf_map_update_elem(&names, &key, &id, BPF_NOEXIST);
	known = bpf_map_lookup_elem(&names, &key);
	if (!known)
		return false;
	*found = *known;
	return true;
}

static __always_inline void join(u32 id, bool born)
{
	struct group *group = bpf_map_lookup_elem(&groups, &id);
	s32 now;

	if (!group)
		return;
	__sync_fetch_and_add(&group->tasks, 1);
	now = group->tasks;
	if (now > group->most)
		group->most = now;
	if (born)
		__sync_fetch_and_add(&group->born, 1);
}

static __always_inline void leave(u32 id, bool unborn)
{
	struct group *group = bpf_map_lookup_elem(&groups, &id);

	if (!group)
		return;
	__sync_fetch_and_add(&group->tasks, -1);
	if (unborn)
		__sync_fetch_and_add(&group->born, -1);
}

static __always_inline struct counters *counters_of(u32 group)
{
	return bpf_map_lookup_elem(&counted, &group);
}

/* --- tasks -------------------------------------------------------------------------------------- */

static __always_inline struct task *enter(struct task_struct *p, bool born)
{
	struct task fresh = {};
	s32 pid = p->pid;

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

static __always_inline struct task *known(struct task_struct *p)
{
	s32 pid = p->pid;

	return bpf_map_lookup_elem(&tasks, &pid);
}

/* The task's record, made if it is to be watched; NULL otherwise. */
static __always_inline struct task *task_of(struct task_struct *p)
{
	struct task *t;

	if (!p->pid || (target == TARGET_PROCESS && p->tgid != target_tgid))
		return NULL;
	t = known(p);
	return t || !wanted(p) ? t : enter(p, false);
}

/* A task that has got another name (an exec, a thread that names itself) changes groups. */
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

static __always_inline void switched_out(struct task_struct *p, struct task *t, u64 now,
					 bool sleeps, bool dies)
{
	struct counters *c = counters_of(t->group);
	u64 time = t->on ? now - t->on : 0;
	s32 pid = p->pid;

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
	struct task *t = task_of(prev);

	if (t) {
		follow_name(prev, t);
		switched_out(prev, t, now, state && !preempted, state & TASK_DEAD);
	}
	t = task_of(next);
	if (t) {
		follow_name(next, t);
		switched_in(t, now);
	}
	return 0;
}

/* 1 + the group of whoever runs here, if it is a task that does this by itself. */
static __always_inline u32 who_wakes(void)
{
	struct task_struct *p = bpf_get_current_task_btf();
	struct task *t;

	if (serving_interrupt() || !p->pid)
		return 0;
	t = known(p);
	return t ? t->group + 1 : 0;
}

/* Here the waker runs; sched_wakeup may come on the woken task's cpu. */
SEC("tp_btf/sched_waking")
int on_waking(u64 *ctx)
{
	struct task *t = known((void *)ctx[0]);

	if (t)
		t->waker = who_wakes();
	return 0;
}

SEC("tp_btf/sched_wakeup")
int on_wakeup(u64 *ctx)
{
	struct task_struct *p = (void *)ctx[0];
	struct task *t = task_of(p);
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
	struct task *t = known((void *)ctx[0]);

	if (!t && target != TARGET_TREE && wanted((void *)ctx[0]))
		t = enter((void *)ctx[0], true);
	if (t)
		t->ready = bpf_ktime_get_ns();
	return 0;
}

SEC("tp_btf/sched_process_fork")
int on_fork(u64 *ctx)
{
	struct task_struct *parent = (void *)ctx[0], *child = (void *)ctx[1];

	if (target == TARGET_TREE && (known(parent) || wanted(parent)))
		enter(child, true);
	return 0;
}

SEC("tp_btf/sched_migrate_task")
int on_migrate(u64 *ctx)
{
	struct machine *m = this_machine();
	struct task *t = known((void *)ctx[0]);
	struct counters *c;

	if (m)
		m->migrations++;
	c = t ? counters_of(t->group) : NULL;
	if (c)
		c->migrations++;
	return 0;
}

char _license[] SEC("license") = "GPL";
