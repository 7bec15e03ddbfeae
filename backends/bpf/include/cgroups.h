/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Control groups by number, first come first numbered. Number 0 is for all those beyond the count
 * that the policy assumes, which gives MAX_CGROUPS, a power of two.
 */
#ifndef SCHEDC_CGROUPS_H
#define SCHEDC_CGROUPS_H

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_CGROUPS);
	__type(key, u64);
	__type(value, u32);
} cgroup_slots SEC(".maps");

static u32 cgroup_slots_used = 1;

static __always_inline u32 cgroup_slot(struct task_struct *p)
{
	u64 id = cgroup_id(p);
	u32 *known = bpf_map_lookup_elem(&cgroup_slots, &id);
	u32 slot;

	if (known)
		return *known & (MAX_CGROUPS - 1);
	if (cgroup_slots_used >= MAX_CGROUPS)
		return 0;
	slot = __sync_fetch_and_add(&cgroup_slots_used, 1);
	if (slot >= MAX_CGROUPS)
		return 0;
	bpf_map_update_elem(&cgroup_slots, &id, &slot, BPF_NOEXIST);
	return slot & (MAX_CGROUPS - 1);
}

#endif
