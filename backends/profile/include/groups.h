/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Groups of tasks: those that have a name (without its digits) and a nice value in common.
 */
#ifndef PROFILE_GROUPS_H
#define PROFILE_GROUPS_H

#include "maps.h"

#define CLAIMS 4

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

#endif
