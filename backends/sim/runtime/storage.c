/* SPDX-License-Identifier: Apache-2.0 */
/* Storage that hangs on tasks, by pid, and goes with them; on control groups, which stay. */
#include <stdlib.h>
#include <string.h>
#include "ext.h"
#include "maps.h"

static struct sim_map *storages[64];
static u32 nr_storages;

static void remember(struct sim_map *map)
{
	for (u32 i = 0; i < nr_storages; i++)
		if (storages[i] == map)
			return;
	if (nr_storages >= sizeof(storages) / sizeof(*storages))
		fail("the policy has more than 64 task storages");
	storages[nr_storages++] = map;
}

static void make_room(struct sim_map *map, u32 pid)
{
	u32 size = map->nr_pids ? map->nr_pids : 256;
	void **by_pid;

	while (size < pid)
		size *= 2;
	if (size == map->nr_pids)
		return;
	remember(map);
	by_pid = allocate(size * sizeof(void *));
	if (map->nr_pids)
		memcpy(by_pid, map->by_pid, map->nr_pids * sizeof(void *));
	free(map->by_pid);
	map->by_pid = by_pid;
	map->nr_pids = size;
}

/* The slow path: there is no value yet. */
void *sim_task_storage(struct sim_map *map, struct task_struct *p, const void *value, u64 flags)
{
	void *made;

	if (!p || p->pid <= 0 || !(flags & BPF_LOCAL_STORAGE_GET_F_CREATE))
		return NULL;
	make_room(map, (u32)p->pid);
	made = allocate(map->value_size ? map->value_size : 1);
	if (value)
		memcpy(made, value, map->value_size);
	map->by_pid[p->pid - 1] = made;
	return made;
}

long sim_task_storage_delete(struct sim_map *map, struct task_struct *p)
{
	u32 i = p ? (u32)p->pid - 1 : ~0U;

	if (i >= map->nr_pids || !map->by_pid[i])
		return -ENOENT;
	free(map->by_pid[i]);
	map->by_pid[i] = NULL;
	return 0;
}

void maps_forget_task(struct task *p)
{
	for (u32 i = 0; i < nr_storages; i++)
		sim_task_storage_delete(storages[i], &p->k);
}

void *sim_cgrp_storage(struct sim_map *map, struct cgroup *cgrp, const void *value, u64 flags)
{
	void *known = sim_map_lookup(map, &cgrp, 0);

	if (known || !(flags & BPF_LOCAL_STORAGE_GET_F_CREATE))
		return known;
	known = allocate(map->value_size ? map->value_size : 1);
	if (value)
		memcpy(known, value, map->value_size);
	sim_map_update(map, &cgrp, known, BPF_NOEXIST);
	free(known);
	return sim_map_lookup(map, &cgrp, 0);
}

long sim_cgrp_storage_delete(struct sim_map *map, struct cgroup *cgrp)
{
	return sim_map_delete(map, &cgrp);
}
