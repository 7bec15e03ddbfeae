/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The part of the kernel that the profiler reads. CO-RE without vmlinux.h, as in
 * backends/bpf/include/scx.h: each record lists the fields that are used.
 */
#ifndef PROFILE_KERNEL_H
#define PROFILE_KERNEL_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int s32;
typedef long long s64;
typedef _Bool bool;

#define true 1
#define false 0
#define NULL ((void *)0)

#define SEC(name) __attribute__((section(name), used))
#define __always_inline inline __attribute__((always_inline))
#define __ksym __attribute__((section(".ksyms")))
#define __weak __attribute__((weak))
#define __uint(name, value) int (*name)[value]
#define __type(name, value) typeof(value) *name

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct kernfs_node {
	u64 id;
};

struct cgroup {
	int level;
	struct kernfs_node *kn;
	struct cgroup *ancestors[];
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

struct task_struct {
	int static_prio;
	int pid;
	int tgid;
	struct css_set *cgroups;
	char comm[16];
};

#pragma clang attribute pop

#define TASK_DEAD 0x80U
#define BPF_MAP_TYPE_HASH 1
#define BPF_MAP_TYPE_ARRAY 2
#define BPF_MAP_TYPE_PERCPU_HASH 5
#define BPF_MAP_TYPE_PERCPU_ARRAY 6
#define BPF_NOEXIST 1

static void *(*const bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*const bpf_map_update_elem)(void *map, const void *key, const void *value,
					 u64 flags) = (void *)2;
static long (*const bpf_map_delete_elem)(void *map, const void *key) = (void *)3;
static u64 (*const bpf_ktime_get_ns)(void) = (void *)5;
static u64 (*const bpf_get_current_pid_tgid)(void) = (void *)14;
static long (*const bpf_probe_read_kernel)(void *dst, u32 size, const void *src) = (void *)113;
static void *(*const bpf_this_cpu_ptr)(const void *percpu) = (void *)154;

/* x86 keeps it per cpu. Where the kernel doesn't show it, all wake-ups count as an interrupt's. */
extern const int __preempt_count __ksym __weak;

/* Kernels that have this count in bits 16 to 23 how often interrupts were held off. */
extern const unsigned long local_interrupt_disable_state __ksym __weak;

/* An NMI, a hard interrupt, a softirq that runs (not one that is merely held off). */
#define IRQ_MASK 0x1f000100
#define IRQ_MASK_BEFORE 0x00ff0100

static __always_inline bool serving_interrupt(void)
{
	const int *count;

	if (!&__preempt_count)
		return true;
	count = bpf_this_cpu_ptr(&__preempt_count);
	return *count & (&local_interrupt_disable_state ? IRQ_MASK : IRQ_MASK_BEFORE);
}

#endif
