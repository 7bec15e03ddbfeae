/* SPDX-License-Identifier: Apache-2.0 */
/* The policy's maps that are queues or stacks. */
#include <string.h>
#include "ext.h"
#include "maps.h"

struct ring {
	u32 first, count;
	char *items;
};

void ring_open(struct sim_map *map)
{
	struct ring *ring = allocate(sizeof(*ring));

	ring->items = allocate((u64)map->entries * map->value_size + 8);
	map->more = ring;
}

static char *item(struct sim_map *map, u32 i)
{
	struct ring *ring = map->more;

	return ring->items + (u64)((ring->first + i) % map->entries) * map->value_size;
}

long sim_map_push(struct sim_map *map, const void *value, u64 flags)
{
	struct ring *ring = map->more;

	if (map->type != BPF_MAP_TYPE_QUEUE && map->type != BPF_MAP_TYPE_STACK)
		return -EINVAL;
	if (ring->count >= map->entries) {
		if (flags != BPF_EXIST || !map->entries)
			return -E2BIG;
		ring->first = (ring->first + 1) % map->entries;
		ring->count--;
	}
	memcpy(item(map, ring->count++), value, map->value_size);
	return 0;
}

long sim_map_peek(struct sim_map *map, void *value)
{
	struct ring *ring = map->more;

	if (map->type != BPF_MAP_TYPE_QUEUE && map->type != BPF_MAP_TYPE_STACK)
		return -EINVAL;
	if (!ring->count) {
		memset(value, 0, map->value_size);
		return -ENOENT;
	}
	memcpy(value, item(map, map->type == BPF_MAP_TYPE_STACK ? ring->count - 1 : 0),
	       map->value_size);
	return 0;
}

long sim_map_pop(struct sim_map *map, void *value)
{
	struct ring *ring = map->more;
	long err = sim_map_peek(map, value);

	if (err)
		return err;
	ring->count--;
	if (map->type == BPF_MAP_TYPE_QUEUE)
		ring->first = (ring->first + 1) % map->entries;
	return 0;
}
