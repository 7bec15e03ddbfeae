/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What schedulers written by hand include, as those of the kernel's tools/sched_ext do: the same
 * names, for a native build. Names that came and went with kernel versions are all here.
 */
#ifndef SIM_SCX_COMMON_BPF_H
#define SIM_SCX_COMMON_BPF_H

#include "../vmlinux.h"
#include "user_exit_info.bpf.h"

#define BPF_FOR_EACH_ITER (&sim_it)

#ifndef U64_MAX
#define U64_MAX (~0ULL)
#endif
#define S64_MAX ((s64)(~0ULL >> 1))
#define U32_MAX (~0U)
#define NSEC_PER_USEC 1000ULL
#define NSEC_PER_MSEC 1000000ULL
#define NSEC_PER_SEC 1000000000ULL

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define READ_ONCE(x) (*(volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, value) (*(volatile typeof(x) *)&(x) = (value))
#define barrier() __asm__ volatile("" ::: "memory")
#define barrier_var(var) __asm__ volatile("" : "+r"(var))
#define smp_mb() __sync_synchronize()
#define private(name) SEC(".data." #name) __hidden __attribute__((aligned(8)))
#define __contains(name, node)
#define __arena
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define RESIZABLE_ARRAY(section, name) name[1] SEC("." #section "." #name)
#ifndef offsetof
#define offsetof(type, member) __builtin_offsetof(type, member)
#endif
#ifndef container_of
#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))
#endif
#ifndef min
#define min(a, b) ((a) < (b) ? (a) : (b))
#define max(a, b) ((a) > (b) ? (a) : (b))
#endif
#ifndef clamp
#define clamp(value, low, high) min(max(value, low), high)
#endif

/* A member of an array that might not have it; NULL then. */
#define MEMBER_VPTR(base, member)                                                                \
	({                                                                                       \
		u64 sim_base = (u64)(unsigned long)&(base);                                      \
		u64 sim_at = (u64)(unsigned long)&((base)member);                                \
		(typeof((base)member) *)(unsigned long)(                                         \
			sim_at - sim_base <= sizeof(base) - sizeof((base)member) ? sim_at : 0);  \
	})
#define ARRAY_ELEM_PTR(array, i, n)                                                              \
	({                                                                                       \
		u64 sim_index = (u64)(i);                                                        \
		sim_index < (u64)(n) ? &(array)[sim_index] : NULL;                               \
	})

static inline const struct cpumask *cast_mask(struct bpf_cpumask *mask)
{
	return (const struct cpumask *)mask;
}

/* BPF's prolog disables the migration of the current task; that isn't so here. */
static inline bool is_migration_disabled(const struct task_struct *p)
{
	return p->migration_disabled;
}

static inline s64 time_delta(u64 after, u64 before)
{
	return (s64)(after - before) > 0 ? (s64)(after - before) : 0;
}

static inline bool time_after(u64 a, u64 b)
{
	return (s64)(b - a) < 0;
}

static inline bool time_before(u64 a, u64 b)
{
	return time_after(b, a);
}

static inline bool time_after_eq(u64 a, u64 b)
{
	return (s64)(a - b) >= 0;
}

static inline bool time_before_eq(u64 a, u64 b)
{
	return time_after_eq(b, a);
}

static inline bool time_in_range(u64 a, u64 b, u64 c)
{
	return time_after_eq(a, b) && time_before_eq(a, c);
}

static inline u32 log2_u32(u32 v)
{
	return v ? 32 - (u32)__builtin_clz(v) : 0;
}

static inline u32 log2_u64(u64 v)
{
	return v ? 64 - (u32)__builtin_clzll(v) : 0;
}

static inline u64 scale_by_task_weight(const struct task_struct *p, u64 value)
{
	return value * p->scx.weight / 100;
}

static inline u64 scale_by_task_weight_inverse(const struct task_struct *p, u64 value)
{
	return value * 100 / p->scx.weight;
}

/* --- names of before and after ---------------------------------------------------------------- */

#define __COMPAT_ENUM_OR_ZERO(type, name) (name)
#define __COMPAT_is_enq_cpu_selected(flags) (((flags) & SCX_ENQ_CPU_SELECTED) != 0)
#define __COMPAT_scx_bpf_dsq_move scx_bpf_dsq_move
#define __COMPAT_scx_bpf_dsq_move_vtime scx_bpf_dsq_move_vtime
#define __COMPAT_scx_bpf_dsq_move_set_slice scx_bpf_dsq_move_set_slice
#define __COMPAT_scx_bpf_dsq_move_set_vtime scx_bpf_dsq_move_set_vtime
#define __COMPAT_scx_bpf_dsq_peek scx_bpf_dsq_peek
#define __COMPAT_scx_bpf_cpu_curr scx_bpf_cpu_curr
#define __COMPAT_scx_bpf_cpu_node scx_bpf_cpu_node
#define __COMPAT_scx_bpf_nr_node_ids scx_bpf_nr_node_ids
#define __COMPAT_scx_bpf_now scx_bpf_now
#define __COMPAT_scx_bpf_events scx_bpf_events
#define __COMPAT_scx_bpf_select_cpu_and scx_bpf_select_cpu_and
#define __COMPAT_scx_bpf_task_cgroup scx_bpf_task_cgroup
#define __COMPAT_scx_bpf_pick_idle_cpu_node(mask, node, flags) scx_bpf_pick_idle_cpu(mask, flags)
#define __COMPAT_scx_bpf_pick_any_cpu_node(mask, node, flags) scx_bpf_pick_any_cpu(mask, flags)
#define __COMPAT_scx_bpf_get_idle_cpumask_node(node) scx_bpf_get_idle_cpumask()
#define __COMPAT_scx_bpf_get_idle_smtmask_node(node) scx_bpf_get_idle_smtmask()
#define __COMPAT_scx_bpf_dispatch_from_dsq scx_bpf_dsq_move
#define __COMPAT_scx_bpf_dispatch_vtime_from_dsq scx_bpf_dsq_move_vtime
#define __COMPAT_scx_bpf_dispatch_from_dsq_set_slice scx_bpf_dsq_move_set_slice
#define __COMPAT_scx_bpf_dispatch_from_dsq_set_vtime scx_bpf_dsq_move_set_vtime

#define scx_bpf_dispatch scx_bpf_dsq_insert
#define scx_bpf_dispatch_vtime scx_bpf_dsq_insert_vtime
#define scx_bpf_consume scx_bpf_dsq_move_to_local
#define scx_bpf_dispatch_from_dsq scx_bpf_dsq_move
#define scx_bpf_dispatch_vtime_from_dsq scx_bpf_dsq_move_vtime
#define scx_bpf_dispatch_from_dsq_set_slice scx_bpf_dsq_move_set_slice
#define scx_bpf_dispatch_from_dsq_set_vtime scx_bpf_dsq_move_set_vtime
#define bpf_cpumask_any bpf_cpumask_any_distribute
#define bpf_cpumask_any_and bpf_cpumask_any_and_distribute

#endif
