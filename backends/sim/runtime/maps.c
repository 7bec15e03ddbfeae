/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy's maps; maps.h says how they are declared. Values never move while they exist, and the
 * memory of a deleted one is kept for the next, as policies hold pointers to them. Arrays of each
 * cpu's own are laid out cpu by cpu.
 */
#include <stdlib.h>
#include <string.h>
#include "ext.h"
#include "maps.h"

#define MAX_INNER_LENGTH ((1ULL << SIM_INNER_VALUE_SHIFT) - 1)
#define MAX_INNER_VALUE ((1ULL << (SIM_INNER_TYPE_SHIFT - SIM_INNER_VALUE_SHIFT)) - 1)
#define MAX_MAP_BYTES (1ULL << 32)

/* An entry of a hash map: header, key, values (one, or one a cpu). */
struct entry {
	struct entry *next;		/* of its bucket, or free */
	struct list_node used;		/* LRU: the latest last */
};

struct hash {
	struct entry **buckets;
	u32 nr_buckets, count;
	struct entry *free;
	struct list_node order;
	u32 key_at, value_at, value_stride;
	bool lru;
};

static struct sim_map *all;

/* --- opening ---------------------------------------------------------------------------------- */

static u64 round8(u64 size)
{
	return (size + 7) & ~7ULL;
}

static void open_array(struct sim_map *map, bool per_cpu)
{
	u64 cpus = per_cpu ? sim.machine.nr_cpus : 1;

	map->stride = round8(map->value_size);
	map->cpu_stride = per_cpu ? map->stride * map->entries : 0;
	if (map->stride * map->entries * cpus > MAX_MAP_BYTES)
		fail("a map of %llu bytes is too large", map->stride * map->entries * cpus);
	map->data = allocate(map->stride * map->entries * cpus + 8);
}

static void open_hash(struct sim_map *map, bool per_cpu, bool lru)
{
	struct hash *hash = allocate(sizeof(*hash));

	hash->nr_buckets = 16;
	while (hash->nr_buckets < map->entries && hash->nr_buckets < 1u << 16)
		hash->nr_buckets *= 2;
	hash->buckets = allocate(hash->nr_buckets * sizeof(struct entry *));
	hash->key_at = sizeof(struct entry);
	hash->value_at = (u32)(hash->key_at + round8(map->key_size));
	hash->value_stride = (u32)round8(map->value_size);
	map->cpu_stride = per_cpu ? hash->value_stride : 0;
	hash->lru = lru;
	list_init(&hash->order);
	map->more = hash;
}

/* An array whose values are the addresses of other maps' variables. */
static void open_outer(struct sim_map *map, u64 inner, u64 variable_size)
{
	/* The member `values`, which comes last. */
	void **variables = (void **)((char *)map->slot + variable_size);

	map->value_size = sizeof(void *);
	map->more = variables;
	for (u32 i = 0; i < map->entries; i++)
		if (variables[i] && !*(void **)variables[i])
			sim_map_open(variables[i], inner >> SIM_INNER_TYPE_SHIFT, 4,
				     inner >> SIM_INNER_VALUE_SHIFT & MAX_INNER_VALUE,
				     inner & MAX_INNER_LENGTH, 0);
}

static bool is_per_cpu(u32 type)
{
	return type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

static bool is_lru(u32 type)
{
	return type == BPF_MAP_TYPE_LRU_HASH || type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

static void open_by_type(struct sim_map *map, u64 value_size, u64 variable_size)
{
	switch (map->type) {
	case BPF_MAP_TYPE_ARRAY:
	case BPF_MAP_TYPE_PERCPU_ARRAY:
		open_array(map, map->type == BPF_MAP_TYPE_PERCPU_ARRAY);
		return;
	case BPF_MAP_TYPE_HASH:
	case BPF_MAP_TYPE_PERCPU_HASH:
	case BPF_MAP_TYPE_LRU_HASH:
	case BPF_MAP_TYPE_LRU_PERCPU_HASH:
		open_hash(map, is_per_cpu(map->type), is_lru(map->type));
		return;
	case BPF_MAP_TYPE_ARRAY_OF_MAPS:
		open_outer(map, value_size, variable_size);
		return;
	case BPF_MAP_TYPE_QUEUE:
	case BPF_MAP_TYPE_STACK:
		ring_open(map);
		return;
	case BPF_MAP_TYPE_TASK_STORAGE:
		return;
	case BPF_MAP_TYPE_CGRP_STORAGE:
		map->key_size = 8;
		map->entries = 1u << 20;
		open_hash(map, false, false);
		return;
	case 0:
		fail("the policy uses a map by its address before it has been used by its name");
	}
	fail("the policy has a map of type %u, which the simulator hasn't got", map->type);
}

struct sim_map *sim_map_open(void **slot, u64 type, u64 key_size, u64 value_size, u64 entries,
			     u64 variable_size)
{
	struct sim_map *map = allocate(sizeof(*map));

	map->type = (u32)type;
	map->key_size = (u32)key_size;
	map->value_size = (u32)value_size;
	map->entries = (u32)entries;
	map->slot = slot;
	open_by_type(map, value_size, variable_size);
	map->next = all;
	all = map;
	*slot = map;
	return map;
}

struct sim_map *map_of(void *variable)
{
	return *(struct sim_map **)variable;
}

/* --- hash maps -------------------------------------------------------------------------------- */

static char *key_of(const struct hash *hash, struct entry *entry)
{
	return (char *)entry + hash->key_at;
}

static struct entry **bucket_of(const struct sim_map *map, const void *key)
{
	const struct hash *hash = map->more;
	const u8 *bytes = key;
	u64 value = 14695981039346656037ULL;

	for (u32 i = 0; i < map->key_size; i++)
		value = (value ^ bytes[i]) * 1099511628211ULL;
	value ^= value >> 32;
	return &hash->buckets[value & (hash->nr_buckets - 1)];
}

static struct entry **find(const struct sim_map *map, const void *key)
{
	const struct hash *hash = map->more;
	struct entry **at;

	for (at = bucket_of(map, key); *at; at = &(*at)->next)
		if (!memcmp(key_of(hash, *at), key, map->key_size))
			break;
	return at;
}

static void drop(struct hash *hash, struct entry **at)
{
	struct entry *entry = *at;

	*at = entry->next;
	list_del(&entry->used);
	entry->next = hash->free;
	hash->free = entry;
	hash->count--;
}

static struct entry *new_entry(struct sim_map *map, const void *key)
{
	struct hash *hash = map->more;
	u64 cpus = map->cpu_stride ? sim.machine.nr_cpus : 1;
	u64 size = hash->value_at + hash->value_stride * cpus;
	struct entry *entry, **bucket;

	if (hash->count >= map->entries && hash->lru && hash->count) {
		entry = container_of(hash->order.next, struct entry, used);
		drop(hash, find(map, key_of(hash, entry)));
	}
	if (hash->count >= map->entries)
		return NULL;
	entry = hash->free;
	if (entry)
		hash->free = entry->next;
	else
		entry = allocate(size);
	memset(entry, 0, size);
	memcpy(key_of(hash, entry), key, map->key_size);
	bucket = bucket_of(map, key);
	entry->next = *bucket;
	*bucket = entry;
	list_add_tail(&hash->order, &entry->used);
	hash->count++;
	return entry;
}

static void touch(struct hash *hash, struct entry *entry)
{
	if (!hash->lru)
		return;
	list_del(&entry->used);
	list_add_tail(&hash->order, &entry->used);
}

static bool is_array(const struct sim_map *map)
{
	return map->data;
}

static bool is_hash(const struct sim_map *map)
{
	return map->type == BPF_MAP_TYPE_HASH || map->type == BPF_MAP_TYPE_LRU_HASH ||
	       map->type == BPF_MAP_TYPE_PERCPU_HASH || map->type == BPF_MAP_TYPE_LRU_PERCPU_HASH ||
	       map->type == BPF_MAP_TYPE_CGRP_STORAGE;
}

void *sim_map_lookup(struct sim_map *map, const void *key, s32 cpu)
{
	struct entry *entry;

	if (cpu < 0 || cpu >= (s32)sim.machine.nr_cpus)
		return NULL;
	if (is_array(map)) {
		u32 i = *(const u32 *)key;

		if (i >= map->entries)
			return NULL;
		return map->data + (u64)cpu * map->cpu_stride + i * map->stride;
	}
	if (map->type == BPF_MAP_TYPE_ARRAY_OF_MAPS) {
		u32 i = *(const u32 *)key;

		return i < map->entries ? ((void **)map->more)[i] : NULL;
	}
	if (!is_hash(map))
		return NULL;
	entry = *find(map, key);
	if (!entry)
		return NULL;
	touch(map->more, entry);
	return (char *)entry + ((struct hash *)map->more)->value_at + (u64)cpu * map->cpu_stride;
}

long sim_map_update(struct sim_map *map, const void *key, const void *value, u64 flags)
{
	void *known = sim_map_lookup(map, key, acting_cpu);

	if (known && flags == BPF_NOEXIST)
		return -EEXIST;
	if (!known && (is_array(map) || flags == BPF_EXIST))
		return is_array(map) ? -E2BIG : -ENOENT;
	if (!known && is_hash(map)) {
		struct entry *entry = new_entry(map, key);

		if (!entry)
			return -E2BIG;
		known = (char *)entry + ((struct hash *)map->more)->value_at +
			(u64)acting_cpu * map->cpu_stride;
	}
	if (!known)
		return -EINVAL;
	memcpy(known, value, map->value_size);
	return 0;
}

long sim_map_delete(struct sim_map *map, const void *key)
{
	struct entry **at;

	if (!is_hash(map))
		return -EINVAL;
	at = find(map, key);
	if (!*at)
		return -ENOENT;
	drop(map->more, at);
	return 0;
}

/* In the order of insertion; the callback may delete the element that it is given. */
long sim_map_walk(struct sim_map *map, void *callback, void *ctx)
{
	long (*fn)(void *, const void *, void *, void *) =
		(long (*)(void *, const void *, void *, void *))callback;
	long visited = 0;

	if (is_array(map)) {
		for (u32 i = 0; i < map->entries; i++) {
			visited++;
			if (fn(map->slot, &i, sim_map_lookup(map, &i, acting_cpu), ctx))
				break;
		}
	} else if (is_hash(map)) {
		struct hash *hash = map->more;

		for (struct list_node *at = hash->order.next, *next; at != &hash->order;
		     at = next) {
			struct entry *entry = container_of(at, struct entry, used);

			next = at->next;
			visited++;
			if (fn(map->slot, key_of(hash, entry),
			       (char *)entry + hash->value_at +
				       (u64)acting_cpu * map->cpu_stride,
			       ctx))
				break;
		}
	}
	return visited;
}

/* The key of the element that this address lies in; NULL for none. */
const void *map_key_at(struct sim_map *map, const void *address)
{
	static u32 index;
	const char *at = address;

	if (is_array(map)) {
		u64 offset = (u64)(at - map->data);

		index = (u32)(offset / map->stride % map->entries);
		return &index;
	}
	if (is_hash(map)) {
		struct hash *hash = map->more;

		for (struct list_node *node = hash->order.next; node != &hash->order;
		     node = node->next) {
			struct entry *entry = container_of(node, struct entry, used);
			const char *value = (char *)entry + hash->value_at;

			if (at >= value && at < value + map->value_size)
				return key_of(hash, entry);
		}
	}
	return NULL;
}
