/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a sched_ext scheduler sees of the kernel, as the simulator has it: tasks, masks, control
 * groups, flags. The runtime and the policies' shared objects are built with this one header, so
 * that both agree on every offset. Only ext's owner adds to it; fields go to the end of a record.
 */
#ifndef SIM_KERNEL_H
#define SIM_KERNEL_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed char s8;
typedef short s16;
typedef int s32;
typedef long long s64;
typedef _Bool bool;

#ifndef true
#define true 1
#define false 0
#endif

#define NR_CPUS 512

struct cpumask {
	u64 bits[NR_CPUS / 64];
};

struct bpf_cpumask {
	struct cpumask cpumask;
	s32 usage;
};

struct list_node {
	struct list_node *next, *prev;
};

struct kernfs_node {
	u64 id;
};

struct cgroup {
	int level;
	struct kernfs_node *kn;
	u32 weight;
	struct cgroup *ancestors[8];
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

typedef struct {
	u32 val;
} kuid_t;

struct cred {
	kuid_t uid, euid;
};

struct super_block {
	u32 s_dev;
};

struct inode {
	unsigned long i_ino;
	struct super_block *i_sb;
};

struct file {
	struct inode *f_inode;
};

struct mm_struct {
	struct file *exe_file;
};

struct sched_entity {
	u64 sum_exec_runtime;
	u64 vruntime;
};

struct sched_ext_entity {
	u32 flags;
	u32 weight;
	s32 sticky_cpu;
	s32 holding_cpu;
	s32 selected_cpu;
	u64 slice;
	u64 dsq_vtime;
	bool disallow;
	u64 core_sched_at;
};

struct task_struct {
	unsigned int flags;
	int prio;
	int static_prio;
	int normal_prio;
	int on_rq;
	int on_cpu;
	struct sched_entity se;
	struct sched_ext_entity scx;
	int nr_cpus_allowed;
	const struct cpumask *cpus_ptr;
	struct cpumask cpus_mask;
	unsigned short migration_disabled;
	struct mm_struct *mm;
	int pid;
	int tgid;
	struct task_struct *real_parent, *parent, *group_leader;
	const struct cred *cred, *real_cred;
	struct css_set *cgroups;
	u64 start_time;
	u64 nvcsw, nivcsw;
	char comm[16];
};

#endif
