// SPDX-License-Identifier: Apache-2.0
//
// The kernel's type information (BTF), read once and indexed by name.
//
// libbpf reads all of it for each object, and looks each name up by going through some hundred
// thousand types: in an emulated machine that is most of a load's time. The three functions here
// have the names of libbpf's own and are found before those, so libbpf calls them. They answer the
// same; only sooner.

#define _GNU_SOURCE
#include "loader.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct btf *kernel_btf;
static uint32_t *slots; // open addressing; 0 is empty, as type 0 has no name
static uint32_t mask;

static void *libbpf_function(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

static uint32_t hash(const char *name, uint32_t kind)
{
	uint32_t h = 2166136261u ^ kind; // FNV-1a

	while (*name)
		h = (h ^ (unsigned char)*name++) * 16777619u;
	return h;
}

// The slot of a name and kind: the one that holds it, or the empty one where it belongs.
static uint32_t *slot_of(const char *name, uint32_t kind)
{
	uint32_t at = hash(name, kind) & mask;

	while (slots[at]) {
		const struct btf_type *type = btf__type_by_id(kernel_btf, slots[at]);

		if (btf_kind(type) == kind && !strcmp(btf__name_by_offset(kernel_btf, type->name_off), name))
			break;
		at = (at + 1) & mask;
	}
	return &slots[at];
}

static bool make_index(void)
{
	uint32_t count = btf__type_cnt(kernel_btf), size = 1024;

	while (size < count * 2)
		size *= 2;
	slots = calloc(size, sizeof(*slots));
	if (!slots)
		return false;
	mask = size - 1;
	for (uint32_t id = 1; id < count; id++) {
		const struct btf_type *type = btf__type_by_id(kernel_btf, id);
		uint32_t *slot;

		if (!type->name_off)
			continue;
		slot = slot_of(btf__name_by_offset(kernel_btf, type->name_off), btf_kind(type));
		if (!*slot)
			*slot = id; // the first of a name counts, as in libbpf
	}
	return true;
}

struct btf *btf__load_vmlinux_btf(void)
{
	struct btf *(*load)(void) = libbpf_function("btf__load_vmlinux_btf");

	if (!kernel_btf) {
		kernel_btf = load();
		if (kernel_btf && !make_index()) {
			errno = ENOMEM;
			return NULL;
		}
	}
	return kernel_btf;
}

int32_t btf__find_by_name_kind(const struct btf *btf, const char *name, uint32_t kind)
{
	int32_t (*find)(const struct btf *, const char *, uint32_t);
	uint32_t id;

	if (!btf || btf != kernel_btf || kind == BTF_KIND_UNKN || !*name) {
		find = libbpf_function("btf__find_by_name_kind");
		return find(btf, name, kind);
	}
	id = *slot_of(name, kind);
	if (id)
		return (int32_t)id;
	errno = ENOENT;
	return -ENOENT;
}

// libbpf lets go of it after each load; the next one may want it.
void btf__free(struct btf *btf)
{
	void (*release)(struct btf *);

	if (btf && btf == kernel_btf)
		return;
	release = libbpf_function("btf__free");
	release(btf);
}
