/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Masks of cpus, made in init: one for each of the policy's NR_SETS sets (numbered from 0), for each
 * llc and node, and room for each cpu to work in. Idle cpus are claimed within them.
 */
#ifndef SCHEDC_MASKS_H
#define SCHEDC_MASKS_H

enum {
	MASK_LLC = NR_SETS,
	MASK_NODE = MASK_LLC + MAX_LLCS,
	MASK_SCRATCH = MASK_NODE + MAX_NODES,
	NR_MASKS = MASK_SCRATCH + MAX_CPUS,
};

#define NO_MASK (-1)

struct mask_slot {
	struct bpf_cpumask __kptr *mask;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, NR_MASKS);
	__type(key, u32);
	__type(value, struct mask_slot);
} masks SEC(".maps");

static __always_inline struct bpf_cpumask *mask_at(u32 i)
{
	struct mask_slot *slot = bpf_map_lookup_elem(&masks, &i);

	return slot ? slot->mask : NULL;
}

static __always_inline const struct cpumask *cast_mask(struct bpf_cpumask *mask)
{
	return (const struct cpumask *)mask;
}

static __always_inline s32 make_mask(u32 i)
{
	struct mask_slot *slot = bpf_map_lookup_elem(&masks, &i);
	struct bpf_cpumask *mask;

	if (!slot)
		return -EINVAL;
	mask = bpf_cpumask_create();
	if (!mask)
		return -ENOMEM;
	mask = bpf_kptr_xchg(&slot->mask, mask);
	if (mask)
		bpf_cpumask_release(mask);
	return 0;
}

static __always_inline void add_to_mask(u32 i, s32 cpu)
{
	struct bpf_cpumask *mask;

	bpf_rcu_read_lock();
	mask = mask_at(i);
	if (mask)
		bpf_cpumask_set_cpu(cpu, mask);
	bpf_rcu_read_unlock();
}

/* All masks, those of the policy's sets empty. */
static __always_inline s32 make_masks(void)
{
	s32 err, i;

	bpf_for(i, 0, NR_MASKS) {
		/* Scratch masks of cpus that can't exist are not needed. */
		if (i >= (s32)(MASK_SCRATCH + nr_cpu_ids))
			break;
		err = make_mask(i);
		if (err)
			return err;
	}
	bpf_for(i, 0, nr_cpu_ids) {
		add_to_mask(MASK_LLC + llc_of(i), i);
		add_to_mask(MASK_NODE + node_of(i), i);
	}
	return 0;
}

static __always_inline bool narrow(struct bpf_cpumask *scratch, s32 i)
{
	struct bpf_cpumask *mask;

	if (i < 0)
		return true;
	mask = mask_at(i);
	if (!mask)
		return false;
	bpf_cpumask_and(scratch, cast_mask(scratch), cast_mask(mask));
	return true;
}

/* An idle cpu that the task may use and that is in all the masks named. */
static __always_inline s32 claim_within(struct task_struct *p, s32 a, s32 b, s32 c, s32 d,
					u64 flags)
{
	struct bpf_cpumask *scratch = mask_at(MASK_SCRATCH + cpu_index(bpf_get_smp_processor_id()));
	struct bpf_cpumask *mask = mask_at(a);

	if (!scratch || !mask)
		return -1;
	bpf_cpumask_and(scratch, cast_mask(mask), p->cpus_ptr);
	if (!narrow(scratch, b) || !narrow(scratch, c) || !narrow(scratch, d))
		return -1;
	return scx_bpf_pick_idle_cpu(cast_mask(scratch), flags);
}

static __always_inline s32 claim_in_llc(struct task_struct *p, s32 cpu, u64 flags)
{
	if (nr_llcs == 1)
		return claim_any(p, flags);
	return claim_within(p, MASK_LLC + llc_of(cpu), NO_MASK, NO_MASK, NO_MASK, flags);
}

static __always_inline s32 claim_in_node(struct task_struct *p, s32 cpu, u64 flags)
{
	if (nr_nodes == 1)
		return claim_any(p, flags);
	return claim_within(p, MASK_NODE + node_of(cpu), NO_MASK, NO_MASK, NO_MASK, flags);
}

/* Whether the task's affinity meets the set; one that can't migrate now must be in it. */
static __always_inline bool may_use(struct task_struct *p, u32 i, bool here)
{
	struct bpf_cpumask *mask = mask_at(i);

	if (is_pinned(p))
		return here;
	return mask && bpf_cpumask_intersects(cast_mask(mask), p->cpus_ptr);
}

/* An idle cpu of the set; any, for a task that may use none of them. */
static __always_inline s32 claim_preferring(struct task_struct *p, u32 i)
{
	struct bpf_cpumask *mask = mask_at(i);

	if (!mask || !bpf_cpumask_intersects(cast_mask(mask), p->cpus_ptr))
		return claim_any(p, 0);
	return claim_within(p, i, NO_MASK, NO_MASK, NO_MASK, 0);
}

#endif
