// SPDX-License-Identifier: Apache-2.0
//
// An object's struct sched_ext_ops, before it is loaded: its map, its name, its flags.

#define _GNU_SOURCE
#include "loader.h"

#include <string.h>

struct bpf_map *ops_map(struct bpf_object *object)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, object)
		if (bpf_map__type(map) == BPF_MAP_TYPE_STRUCT_OPS)
			return map;
	return NULL;
}

// Where a member of the object's own `struct sched_ext_ops` lies, in bytes; -1 if it has none.
static int ops_member(struct bpf_object *object, const char *name)
{
	struct btf *btf = bpf_object__btf(object);
	int id = btf ? btf__find_by_name_kind(btf, "sched_ext_ops", BTF_KIND_STRUCT) : -1;
	const struct btf_type *type;

	if (id < 0)
		return -1;
	type = btf__type_by_id(btf, id);
	for (int i = 0; i < btf_vlen(type); i++)
		if (!strcmp(btf__name_by_offset(btf, btf_members(type)[i].name_off), name))
			return (int)(btf_member_bit_offset(type, i) / 8);
	return -1;
}

const char *ops_name(struct bpf_object *object)
{
	struct bpf_map *map = ops_map(object);
	size_t size;
	char *data = map ? bpf_map__initial_value(map, &size) : NULL;
	int offset = ops_member(object, "name");

	return data && offset >= 0 && (size_t)offset < size ? data + offset : "";
}

// All flags that the running kernel knows; the ones of 6.16, which is the oldest supported, if it
// doesn't say. Reading the kernel's whole BTF costs a good part of a second in an emulated machine,
// so it is done only for objects that want something newer.
static uint64_t known_flags(uint64_t wanted)
{
	const uint64_t oldest = 0x7f;
	uint64_t known = oldest;
	const struct btf_type *type;
	struct btf *btf;
	int id;

	if (!(wanted & ~oldest))
		return oldest;
	btf = btf__load_vmlinux_btf();
	if (!btf)
		return oldest;
	id = btf__find_by_name_kind(btf, "scx_ops_flags", BTF_KIND_ENUM64);
	if (id < 0)
		id = btf__find_by_name_kind(btf, "scx_ops_flags", BTF_KIND_ENUM);
	type = id < 0 ? NULL : btf__type_by_id(btf, id);
	for (int i = 0; type && i < btf_vlen(type); i++)
		known |= btf_is_enum(type) ? (uint64_t)btf_enum(type)[i].val :
					     btf_enum64_value(&btf_enum64(type)[i]);
	btf__free(btf);
	return known;
}

bool flags_mask(struct bpf_object *object, struct text *problem)
{
	struct bpf_map *map = ops_map(object);
	int offset = ops_member(object, "flags");
	uint64_t flags;
	size_t size;
	char *data;

	if (!map) {
		text_add(problem, "the object holds no sched_ext_ops");
		return false;
	}
	data = bpf_map__initial_value(map, &size);
	if (!data || offset < 0 || offset + sizeof(flags) > size)
		return true; // no flags: nothing to mask
	memcpy(&flags, data + offset, sizeof(flags));
	flags &= known_flags(flags);
	memcpy(data + offset, &flags, sizeof(flags));
	return true;
}
