/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is counted: the records and the maps that the collector reads (schedc/load/collect.py).
 *
 * All maps have a bound, and what finds no room is counted in `dropped`.
 */
#ifndef PROFILE_MAPS_H
#define PROFILE_MAPS_H

#include "kernel.h"

#define MAX_TASKS 32768
#define MAX_GROUPS 1024
#define MAX_BUCKETS 32768
#define MAX_EDGES 8192
#define NAME 16

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

#endif
