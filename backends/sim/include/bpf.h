/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a scheduler's C takes from BPF's headers, for a native build: attributes, loops, programs.
 * Callbacks are plain functions here, so a program's section says nothing and is dropped; sections
 * of data stay, as the ops and the maps are found by them.
 */
#ifndef SIM_BPF_H
#define SIM_BPF_H

#include "sched_ext.h"
#include "maps.h"

#ifndef NULL
#define NULL ((void *)0)
#endif

struct rq {
	s32 cpu;
	struct task_struct *curr;
	u32 nr_running;
};

typedef u8 __u8;
typedef u16 __u16;
typedef u32 __u32;
typedef u64 __u64;
typedef s8 __s8;
typedef s16 __s16;
typedef s32 __s32;
typedef s64 __s64;

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#define SEC(name) __attribute__((section(name), used))
#define __noinline __attribute__((noinline))
#define __weak __attribute__((weak))
#define __hidden __attribute__((visibility("hidden")))
#define __maybe_unused __attribute__((unused))
#define __ksym
#define __kptr
#define __kptr_untrusted
#define __percpu_kptr
#define __arg_ctx
#define __arg_nonnull
#define __arg_trusted
#define __arg_nullable
#define CLOCK_REALTIME 0
#define CLOCK_MONOTONIC 1
#define CLOCK_BOOTTIME 7
#define BPF_F_TIMER_ABS 1
#define BPF_F_TIMER_CPU_PIN 2

static inline u32 bpf_get_smp_processor_id(void)
{
	return acting_cpu;
}

static inline u64 bpf_ktime_get_ns(void)
{
	return scx_bpf_now();
}

static inline u64 bpf_ktime_get_boot_ns(void)
{
	return scx_bpf_now();
}

static inline u64 bpf_jiffies64(void)
{
	extern u64 sim_jiffies(void);

	return sim_jiffies();
}

/* One callback runs at a time, so what keeps others out has nothing to do. */
static inline void bpf_rcu_read_lock(void) {}
static inline void bpf_rcu_read_unlock(void) {}
static inline void bpf_preempt_disable(void) {}
static inline void bpf_preempt_enable(void) {}
static inline void bpf_spin_lock(struct bpf_spin_lock *lock) { (void)lock; }
static inline void bpf_spin_unlock(struct bpf_spin_lock *lock) { (void)lock; }

static inline int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end)
{
	it->next = start;
	it->end = end;
	return start > end ? -EINVAL : 0;
}

static inline int *bpf_iter_num_next(struct bpf_iter_num *it)
{
	if (it->next >= it->end)
		return NULL;
	it->value = it->next++;
	return &it->value;
}

static inline void bpf_iter_num_destroy(struct bpf_iter_num *it)
{
	(void)it;
}

#define bpf_for(i, start, end)                                                                   \
	for (int sim_i = (start), sim_end = (end); sim_i < sim_end && ((i) = sim_i, true); sim_i++)
#define bpf_repeat(n) for (int sim_n = (n); sim_n > 0; sim_n--)
#define bpf_for_each(kind, cur, args...)                                                         \
	for (struct bpf_iter_##kind sim_it __attribute__((cleanup(bpf_iter_##kind##_destroy))),   \
	     *sim_begin = (bpf_iter_##kind##_new(&sim_it, ##args), &sim_it);                     \
	     ({                                                                                  \
		     typeof(bpf_iter_##kind##_next(sim_begin)) sim_next =                        \
			     bpf_iter_##kind##_next(sim_begin);                                  \
		     (cur) = (typeof(cur))SIM_ITEM(sim_next, cur);                               \
		     sim_next != NULL;                                                           \
	     });)
/* Walking numbers hands out pointers to them; walking tasks hands out the tasks. */
#define SIM_ITEM(next, cur)                                                                      \
	_Generic((cur), int: (next) ? *(int *)(void *)(next) : 0,                                \
		 unsigned int: (next) ? *(int *)(void *)(next) : 0, default: (next))
#define can_loop true
#define cond_break do {} while (0)
#define cond_break_label(label) do {} while (0)

#define SIM_CAT_(a, b) a##b
#define SIM_CAT(a, b) SIM_CAT_(a, b)
#define SIM_NARGS_(_0, _1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12, n, ...) n
#define SIM_NARGS(...)                                                                           \
	SIM_NARGS_(_, ##__VA_ARGS__, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define SIM_PARAMS0(...) void
#define SIM_PARAMS1(...) __VA_ARGS__
#define SIM_PARAMS2(...) __VA_ARGS__
#define SIM_PARAMS3(...) __VA_ARGS__
#define SIM_PARAMS4(...) __VA_ARGS__
#define SIM_PARAMS5(...) __VA_ARGS__
#define SIM_PARAMS6(...) __VA_ARGS__
#define BPF_PROG(name, ...) name(SIM_CAT(SIM_PARAMS, SIM_NARGS(__VA_ARGS__))(__VA_ARGS__))
#define BPF_STRUCT_OPS(name, ...) BPF_PROG(name, ##__VA_ARGS__)
#define BPF_STRUCT_OPS_SLEEPABLE(name, ...) BPF_PROG(name, ##__VA_ARGS__)
#define SCX_OPS_DEFINE(name, ...)                                                                \
	SEC(".struct_ops.link") struct sched_ext_ops name = { __VA_ARGS__ }

/* Is it in "this kernel"? A name that compiles is there, a weak symbol may not be. */
#define bpf_ksym_exists(symbol)                                                                  \
	({                                                                                       \
		void *volatile sim_symbol = (void *)(symbol);                                    \
		sim_symbol != NULL;                                                              \
	})
#define bpf_core_type_exists(type) 1
#define bpf_core_field_exists(field...) 1
#define bpf_core_enum_value_exists(type, value) 1
#define bpf_core_enum_value(type, value) (value)
#define bpf_core_type_id_local(type) 0
#define bpf_core_type_size(type) sizeof(type)

/* Formats and their arguments, as words: what ___bpf_fill() makes. */
#define SIM_WORD(x) (unsigned long long)(x)
#define SIM_WORDS0(x)
#define SIM_WORDS1(a) SIM_WORD(a)
#define SIM_WORDS2(a, ...) SIM_WORD(a), SIM_WORDS1(__VA_ARGS__)
#define SIM_WORDS3(a, ...) SIM_WORD(a), SIM_WORDS2(__VA_ARGS__)
#define SIM_WORDS4(a, ...) SIM_WORD(a), SIM_WORDS3(__VA_ARGS__)
#define SIM_WORDS5(a, ...) SIM_WORD(a), SIM_WORDS4(__VA_ARGS__)
#define SIM_WORDS6(a, ...) SIM_WORD(a), SIM_WORDS5(__VA_ARGS__)
#define SIM_WORDS7(a, ...) SIM_WORD(a), SIM_WORDS6(__VA_ARGS__)
#define SIM_WORDS8(a, ...) SIM_WORD(a), SIM_WORDS7(__VA_ARGS__)
#define SIM_WORDS9(a, ...) SIM_WORD(a), SIM_WORDS8(__VA_ARGS__)
#define SIM_WORDS10(a, ...) SIM_WORD(a), SIM_WORDS9(__VA_ARGS__)
#define SIM_WORDS11(a, ...) SIM_WORD(a), SIM_WORDS10(__VA_ARGS__)
#define SIM_WORDS12(a, ...) SIM_WORD(a), SIM_WORDS11(__VA_ARGS__)
#define SIM_FORMAT(call, fmt, ...)                                                               \
	({                                                                                       \
		unsigned long long sim_words[] = {                                               \
			SIM_CAT(SIM_WORDS, SIM_NARGS(__VA_ARGS__))(__VA_ARGS__)                  \
		};                                                                               \
		call((char *)(fmt), sim_words, sizeof(sim_words));                               \
	})
#define bpf_printk(fmt, ...) SIM_FORMAT(bpf_trace_bstr, fmt, ##__VA_ARGS__)
#define BPF_SNPRINTF(out, size, fmt, ...)                                                        \
	({                                                                                       \
		unsigned long long sim_words[] = {                                               \
			SIM_CAT(SIM_WORDS, SIM_NARGS(__VA_ARGS__))(__VA_ARGS__)                  \
		};                                                                               \
		bpf_snprintf((out), (size), (fmt), sim_words, sizeof(sim_words));                \
	})
#define scx_bpf_error(fmt, ...) SIM_FORMAT(scx_bpf_error_bstr, fmt, ##__VA_ARGS__)
#define scx_bpf_exit(code, fmt, ...)                                                             \
	({                                                                                       \
		unsigned long long sim_words[] = {                                               \
			SIM_CAT(SIM_WORDS, SIM_NARGS(__VA_ARGS__))(__VA_ARGS__)                  \
		};                                                                               \
		scx_bpf_exit_bstr((code), (char *)(fmt), sim_words, sizeof(sim_words));          \
	})
#define scx_bpf_dump(fmt, ...) SIM_FORMAT(scx_bpf_dump_bstr, fmt, ##__VA_ARGS__)

/* Chains of reads, each of which gives 0 where the kernel's would fault. */
#define SIM_READ(src)                                                                            \
	({                                                                                       \
		__typeof__(src) sim_value;                                                       \
		bpf_probe_read_kernel((void *)&sim_value, sizeof(sim_value), &(src));            \
		sim_value;                                                                       \
	})
#define SIM_CORE2(a, b) SIM_READ((a)->b)
#define SIM_CORE3(a, b, c) SIM_READ(SIM_CORE2(a, b)->c)
#define SIM_CORE4(a, b, c, d) SIM_READ(SIM_CORE3(a, b, c)->d)
#define SIM_CORE5(a, b, c, d, e) SIM_READ(SIM_CORE4(a, b, c, d)->e)
#define SIM_CORE6(a, b, c, d, e, f) SIM_READ(SIM_CORE5(a, b, c, d, e)->f)
#define BPF_CORE_READ(...) SIM_CAT(SIM_CORE, SIM_NARGS(__VA_ARGS__))(__VA_ARGS__)
#define BPF_PROBE_READ(...) BPF_CORE_READ(__VA_ARGS__)
#define bpf_core_read(dst, size, src) bpf_probe_read_kernel((dst), (size), (src))
#define bpf_core_read_str(dst, size, src) bpf_probe_read_kernel_str((dst), (size), (src))

#define bpf_obj_new(type) ((type *)bpf_obj_new_sized(sizeof(type)))
#define bpf_refcount_acquire(object) (object)

#endif
