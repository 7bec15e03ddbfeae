/* SPDX-License-Identifier: GPL-2.0 */
/*
 * BPF maps without BTF. A map is declared as for BPF: a variable whose members' types say what it
 * is. Here the sizes are read from those types where a map is used, and its state hangs in the
 * variable's own `type` slot, which is a pointer that nobody else uses.
 */
#ifndef SIM_MAPS_H
#define SIM_MAPS_H

#include "kernel.h"

#define BPF_MAP_TYPE_HASH 1
#define BPF_MAP_TYPE_ARRAY 2
#define BPF_MAP_TYPE_PERCPU_HASH 5
#define BPF_MAP_TYPE_PERCPU_ARRAY 6
#define BPF_MAP_TYPE_LRU_HASH 9
#define BPF_MAP_TYPE_LRU_PERCPU_HASH 10
#define BPF_MAP_TYPE_ARRAY_OF_MAPS 12
#define BPF_MAP_TYPE_HASH_OF_MAPS 13
#define BPF_MAP_TYPE_QUEUE 22
#define BPF_MAP_TYPE_STACK 23
#define BPF_MAP_TYPE_TASK_STORAGE 29
#define BPF_MAP_TYPE_CGRP_STORAGE 32
#define BPF_F_NO_PREALLOC 1
#define BPF_F_MMAPABLE 1024
#define BPF_ANY 0
#define BPF_NOEXIST 1
#define BPF_EXIST 2
#define BPF_LOCAL_STORAGE_GET_F_CREATE 1

/*
 * Members. `key_size` and `value_size` become the members that `key` and `value` would have been,
 * so that each use finds the same ones. What a map of maps holds is told by one number: the inner
 * map's type, value size and length, each in its own bits of the value's "size".
 */
#define __uint(name, value) __uint_##name(value)
#define __uint_type(v) int (*type)[v]
#define __uint_max_entries(v) int (*max_entries)[v]
#define __uint_map_flags(v) int (*map_flags)[v]
#define __uint_map_extra(v) int (*map_extra)[v]
#define __uint_numa_node(v) int (*numa_node)[v]
#define __uint_pinning(v) int (*pinning)[v]
#define __uint_key_size(v) char (*key)[v]
#define __uint_value_size(v) char (*value)[v]
#define __type(name, value) typeof(value) *name
#define LIBBPF_PIN_NONE 0
#define LIBBPF_PIN_BY_NAME 1

#define SIM_COUNT(map, member) (sizeof(*((typeof(map))0)->member) / sizeof(int))
#define SIM_INNER_TYPE_SHIFT 52
#define SIM_INNER_VALUE_SHIFT 28
#define __array(name, inner)                                                                     \
	char (*value)[SIM_COUNT(typeof(inner) *, type) << SIM_INNER_TYPE_SHIFT |                 \
		      sizeof(*((typeof(inner) *)0)->value) << SIM_INNER_VALUE_SHIFT |            \
		      SIM_COUNT(typeof(inner) *, max_entries)];                                  \
	typeof(inner) *name[]

/* A map that is known by its address alone, as an inner map is. */
struct sim_any_map {
	int (*type)[0];
	char (*key)[0];
	char (*value)[0];
	int (*max_entries)[0];
};

#define SIM_MAP_TYPE(m)                                                                          \
	typeof(_Generic((m), void *: (struct sim_any_map *)0, default: (m)))
#define SIM_MAP_SLOT(m) ((void **)(void *)&((SIM_MAP_TYPE(m))(void *)(m))->type)
#define SIM_SIZE(m, member) sizeof(*((SIM_MAP_TYPE(m))0)->member)
#define SIM_WHOLE(m) sizeof(*((SIM_MAP_TYPE(m))0))

struct sim_map {
	u32 type, key_size, entries, value_size;
	u64 stride;		/* bytes from one entry to the next */
	u64 cpu_stride;		/* … from one cpu's entries to the next's; 0: shared by all */
	char *data;		/* arrays: the entries, cpu by cpu */
	void **by_pid;		/* task storage: a value by pid - 1, NULL if there is none */
	u32 nr_pids;
	void **slot;		/* the variable's own slot */
	struct sim_map *next;
	void *more;		/* of the other types: bpf.c */
};

struct sim_map *sim_map_open(void **slot, u64 type, u64 key_size, u64 value_size, u64 entries,
			     u64 variable_size);
void *sim_map_lookup(struct sim_map *map, const void *key, s32 cpu);
long sim_map_update(struct sim_map *map, const void *key, const void *value, u64 flags);
long sim_map_delete(struct sim_map *map, const void *key);
long sim_map_push(struct sim_map *map, const void *value, u64 flags);
long sim_map_pop(struct sim_map *map, void *value);
long sim_map_peek(struct sim_map *map, void *value);
long sim_map_walk(struct sim_map *map, void *callback, void *ctx);
void *sim_task_storage(struct sim_map *map, struct task_struct *p, const void *value, u64 flags);
long sim_task_storage_delete(struct sim_map *map, struct task_struct *p);
void *sim_cgrp_storage(struct sim_map *map, struct cgroup *cgrp, const void *value, u64 flags);
long sim_cgrp_storage_delete(struct sim_map *map, struct cgroup *cgrp);
long sim_timer_init(void *timer, struct sim_map *map, u64 flags);

/* For a map with all of type, key, value and max_entries; with no entries; with a value alone. */
#define SIM_MAP(m)                                                                               \
	sim_map(SIM_MAP_SLOT(m), SIM_SIZE(m, type) / sizeof(int), SIM_SIZE(m, key),              \
		SIM_SIZE(m, value), SIM_SIZE(m, max_entries) / sizeof(int), SIM_WHOLE(m))
#define SIM_STORAGE(m)                                                                           \
	sim_map(SIM_MAP_SLOT(m), SIM_SIZE(m, type) / sizeof(int), 4, SIM_SIZE(m, value), 0,      \
		SIM_WHOLE(m))
#define SIM_QUEUE(m)                                                                             \
	sim_map(SIM_MAP_SLOT(m), SIM_SIZE(m, type) / sizeof(int), 0, SIM_SIZE(m, value),         \
		SIM_SIZE(m, max_entries) / sizeof(int), SIM_WHOLE(m))

static inline struct sim_map *sim_map(void **slot, u64 type, u64 key_size, u64 value_size,
				      u64 entries, u64 variable_size)
{
	struct sim_map *map = (struct sim_map *)*slot;

	if (__builtin_expect(!map, 0))
		map = sim_map_open(slot, type, key_size, value_size, entries, variable_size);
	return map;
}

extern s32 acting_cpu;

/* Arrays are looked up in place, as the kernel's verifier inlines them too. */
static inline void *sim_lookup(struct sim_map *map, const void *key, s32 cpu)
{
	if (__builtin_expect(map->data != (char *)0, 1)) {
		u32 i = *(const u32 *)key;

		if (i >= map->entries)
			return (void *)0;
		return map->data + (u64)cpu * map->cpu_stride + i * map->stride;
	}
	return sim_map_lookup(map, key, cpu);
}

static inline void *sim_storage(struct sim_map *map, struct task_struct *p, const void *value,
				u64 flags)
{
	u32 i = p ? (u32)p->pid - 1 : ~0U;

	if (i < map->nr_pids && map->by_pid[i])
		return map->by_pid[i];
	return sim_task_storage(map, p, value, flags);
}

#define bpf_map_lookup_elem(m, k) sim_lookup(SIM_MAP(m), (k), acting_cpu)
#define bpf_map_lookup_percpu_elem(m, k, cpu) sim_map_lookup(SIM_MAP(m), (k), (cpu))
#define bpf_map_update_elem(m, k, v, flags) sim_map_update(SIM_MAP(m), (k), (v), (flags))
#define bpf_map_delete_elem(m, k) sim_map_delete(SIM_MAP(m), (k))
#define bpf_for_each_map_elem(m, fn, ctx, flags) sim_map_walk(SIM_MAP(m), (void *)(fn), (ctx))
#define bpf_map_push_elem(m, v, flags) sim_map_push(SIM_QUEUE(m), (v), (flags))
#define bpf_map_pop_elem(m, v) sim_map_pop(SIM_QUEUE(m), (v))
#define bpf_map_peek_elem(m, v) sim_map_peek(SIM_QUEUE(m), (v))
#define bpf_task_storage_get(m, p, v, flags) sim_storage(SIM_STORAGE(m), (p), (v), (flags))
#define bpf_task_storage_delete(m, p) sim_task_storage_delete(SIM_STORAGE(m), (p))
#define bpf_cgrp_storage_get(m, c, v, flags) sim_cgrp_storage(SIM_STORAGE(m), (c), (v), (flags))
#define bpf_cgrp_storage_delete(m, c) sim_cgrp_storage_delete(SIM_STORAGE(m), (c))
#define bpf_timer_init(t, m, flags) sim_timer_init((t), SIM_MAP(m), (flags))

#endif
