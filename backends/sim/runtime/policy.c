/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy's shared object: finding its ops, setting its constants, reading its counters. Variables
 * are found in the object's own symbol table, which tells their sizes; constants (`const volatile`)
 * are made writable for as long as it takes to set them.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#undef EPERM
#undef ENOENT
#undef ESRCH
#undef E2BIG
#undef EAGAIN
#undef ENOMEM
#undef EFAULT
#undef EBUSY
#undef EEXIST
#undef ENODEV
#undef EINVAL
#undef ENOSPC
#undef EOPNOTSUPP
#include "ext.h"
#include "maps.h"

struct object {
	const char *path;
	char *file;
	size_t length;
	const Elf64_Shdr *sections;
	u32 nr_sections;
	const char *section_names;
	const Elf64_Sym *symbols;
	u32 nr_symbols;
	const char *symbol_names;
	char *base;			/* where it is loaded */
};

static struct object object;

struct variable {
	char *data;
	u64 size;
	u32 section;
};

/* --- the file --------------------------------------------------------------------------------- */

static const void *at_offset(u64 offset, u64 size)
{
	if (offset > object.length || size > object.length - offset)
		fail("%s: the file is cut short", object.path);
	return object.file + offset;
}

static const Elf64_Shdr *symbol_table(void)
{
	const Elf64_Shdr *found = NULL;

	for (u32 i = 0; i < object.nr_sections; i++)
		if (object.sections[i].sh_type == SHT_SYMTAB ||
		    (object.sections[i].sh_type == SHT_DYNSYM && !found))
			found = &object.sections[i];
	if (!found || found->sh_link >= object.nr_sections)
		fail("%s: no symbols", object.path);
	return found;
}

static void read_object(const char *path)
{
	const Elf64_Ehdr *header;
	const Elf64_Shdr *table, *names;

	object.path = path;
	object.file = read_whole(path, &object.length);
	header = at_offset(0, sizeof(*header));
	if (memcmp(header->e_ident, ELFMAG, SELFMAG) || header->e_ident[EI_CLASS] != ELFCLASS64 ||
	    header->e_type != ET_DYN)
		fail("%s: not a shared object", path);
	object.nr_sections = header->e_shnum;
	object.sections = at_offset(header->e_shoff, header->e_shnum * sizeof(Elf64_Shdr));
	if (header->e_shstrndx >= object.nr_sections)
		fail("%s: no section names", path);
	names = &object.sections[header->e_shstrndx];
	object.section_names = at_offset(names->sh_offset, names->sh_size);
	table = symbol_table();
	object.symbols = at_offset(table->sh_offset, table->sh_size);
	object.nr_symbols = (u32)(table->sh_size / sizeof(Elf64_Sym));
	names = &object.sections[table->sh_link];
	object.symbol_names = at_offset(names->sh_offset, names->sh_size);
}

static void load_object(const char *path)
{
	char full[4096];
	struct link_map *map;
	void *handle;

	/* A name without a slash would be looked for among the system's libraries. */
	snprintf(full, sizeof(full), "%s%s", strchr(path, '/') ? "" : "./", path);
	handle = dlopen(full, RTLD_NOW | RTLD_LOCAL);
	if (!handle)
		fail("%s", dlerror());
	if (dlinfo(handle, RTLD_DI_LINKMAP, &map))
		fail("%s", dlerror());
	object.base = (char *)map->l_addr;
}

/* --- its variables ---------------------------------------------------------------------------- */

static bool is_variable(const Elf64_Sym *symbol)
{
	return ELF64_ST_TYPE(symbol->st_info) == STT_OBJECT && symbol->st_shndx &&
	       symbol->st_shndx < object.nr_sections;
}

static bool find_variable(const char *name, struct variable *found)
{
	for (u32 i = 0; i < object.nr_symbols; i++) {
		const Elf64_Sym *symbol = &object.symbols[i];

		if (!is_variable(symbol) || strcmp(object.symbol_names + symbol->st_name, name))
			continue;
		*found = (struct variable){ object.base + symbol->st_value, symbol->st_size,
					    symbol->st_shndx };
		return true;
	}
	return false;
}

static void write_constant(const struct variable *v, u64 offset, const void *value, u64 size)
{
	u64 page = (u64)sysconf(_SC_PAGESIZE);
	u64 first = (u64)(unsigned long)(v->data + offset) & ~(page - 1);
	u64 end = ((u64)(unsigned long)(v->data + offset + size) + page - 1) & ~(page - 1);
	bool writable = object.sections[v->section].sh_flags & SHF_WRITE;

	if (!writable && mprotect((void *)first, end - first, PROT_READ | PROT_WRITE))
		fail("%s: %s", object.path, strerror(errno));
	memcpy(v->data + offset, value, size);
	/* From here on it stays: a policy that writes to its constants faults, as in BPF. */
	if (!writable)
		mprotect((void *)first, end - first, PROT_READ);
}

static bool is_ops(const Elf64_Sym *symbol)
{
	const char *section = object.section_names + object.sections[symbol->st_shndx].sh_name;

	return symbol->st_size && !strncmp(section, ".struct_ops", 11);
}

static struct sched_ext_ops *find_ops(void)
{
	struct sched_ext_ops *found = NULL;

	for (u32 i = 0; i < object.nr_symbols; i++) {
		const Elf64_Sym *symbol = &object.symbols[i];

		if (!is_variable(symbol) || !is_ops(symbol))
			continue;
		if (symbol->st_size < sizeof(*found))
			fail("%s: %s isn't a struct sched_ext_ops", object.path,
			     object.symbol_names + symbol->st_name);
		found = (struct sched_ext_ops *)(void *)(object.base + symbol->st_value);
		break;
	}
	if (!found)
		fail("%s: no scheduler in it: no variable in section .struct_ops", object.path);
	return found;
}

/* What the kernel refuses when a scheduler is attached, without words of its own. */
static void check_ops(const struct sched_ext_ops *ops)
{
	if (!memchr(ops->name, 0, sizeof(ops->name)) || !ops->name[0])
		fail("%s: the kernel refuses a scheduler without a name (EINVAL)", object.path);
	if (ops->timeout_ms > MAX_TIMEOUT_MS)
		fail("%s: the kernel refuses timeout_ms %u: the most is %u (E2BIG)", object.path,
		     ops->timeout_ms, MAX_TIMEOUT_MS);
	if (ops->dispatch_max_batch > 1u << 20)
		fail("%s: the kernel refuses dispatch_max_batch %u (E2BIG)", object.path,
		     ops->dispatch_max_batch);
	if (ops->flags & ~(u64)SCX_OPS_ALL_FLAGS)
		fail("%s: the kernel refuses flags 0x%llx (EINVAL)", object.path, ops->flags);
	if (ops->flags & SCX_OPS_SWITCH_PARTIAL)
		fail("%s: SCX_OPS_SWITCH_PARTIAL leaves all tasks to the fair class", object.path);
}

/* --- settings --------------------------------------------------------------------------------- */

static void set_number(const char *name, const char *text)
{
	struct variable v;
	long long value;
	char *end;
	int bits;

	if (!find_variable(name, &v))
		fail("the policy has no constant named %s", name);
	errno = 0;
	value = strtoll(text, &end, 0);
	bits = (int)v.size * 8;
	/* Whether it is signed isn't known here; the check that counts is the compiler's. */
	if (errno || end == text || *end || !v.size || v.size > 8 ||
	    (bits < 64 && (value < -(1LL << (bits - 1)) || value >= 1LL << bits)))
		fail("%s can't be set to %s (%llu bytes)", name, text, v.size);
	write_constant(&v, 0, &value, v.size);
}

extern u64 work_cgroup(const char *path) __attribute__((weak));

static void set_cgroup_ref(u32 index, const char *path)
{
	struct { u64 id; u32 level, pad; } ref = { 0 };
	struct variable v;
	char full[4104];

	if (!find_variable("cgroup_refs", &v) || (index + 1) * sizeof(ref) > v.size)
		fail("the policy has no cgroup_refs[%u]", index);
	snprintf(full, sizeof(full), "%s%s", *path == '/' ? "" : "/", path);
	ref.id = work_cgroup ? work_cgroup(full) : 0;
	/* A group that the workload hasn't got matches nothing, as on a machine. */
	if (!ref.id)
		return;
	for (const char *p = full; *p; p++)
		ref.level += *p != '/' && p[-1] == '/';
	write_constant(&v, index * sizeof(ref), &ref, sizeof(ref));
}

static void set_element(const char *name, u64 element, u32 index, u64 value)
{
	struct variable v;

	if (find_variable(name, &v) && (index + 1) * element <= v.size)
		write_constant(&v, index * element, &value, element);
}

static void set_topology(void)
{
	const struct machine *m = &sim.machine;
	u32 fastest = 0;

	for (u32 cpu = 0; cpu < m->nr_cpus; cpu++)
		if (m->capacity[cpu] > fastest)
			fastest = m->capacity[cpu];
	for (u32 cpu = 0; cpu < m->nr_cpus; cpu++) {
		set_element("cpu_llc", 2, cpu, m->llc_of[cpu]);
		set_element("cpu_node", 2, cpu, m->node_of[cpu]);
		set_element("cpu_fast", 1, cpu, m->capacity[cpu] * 10 >= fastest * 9);
	}
	set_element("nr_llcs", 4, 0, m->nr_llcs);
	set_element("nr_nodes", 4, 0, m->nr_nodes);
	set_element("has_smt", 1, 0, m->nr_cores < m->nr_cpus);
}

static void apply_line(char *line)
{
	char name[256], rest[4096];
	struct variable v;
	u32 index;

	if (sscanf(line, "set %255s %4095s", name, rest) == 2) {
		set_number(name, rest);
	} else if (sscanf(line, "cgroup %u %4095[^\n]", &index, rest) == 2) {
		set_cgroup_ref(index, rest);
	} else if (sscanf(line, "exe %u %4095[^\n]", &index, rest) == 2) {
		/* No task of a workload runs a file of this machine, so none matches. */
		if (!find_variable("exe_refs", &v) || (index + 1) * 16 > v.size)
			fail("the policy has no exe_refs[%u]", index);
	} else {
		fail("not a setting: %s", line);
	}
}

static void apply_settings(const char *path)
{
	char *text, *save = NULL;
	size_t length;

	text = read_whole(path, &length);
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (*line && *line != '#')
			apply_line(line);
	free(text);
}

void policy_load(const char *path, const char *settings)
{
	struct variable counters;
	bool off = false;

	read_object(path);
	load_object(path);
	sch.ops = find_ops();
	check_ops(sch.ops);
	set_topology();
	if (!sim.options.counters && find_variable("counters", &counters) && counters.size == 1)
		write_constant(&counters, 0, &off, 1);
	if (settings)
		apply_settings(settings);
}

/* --- counters, as the guest's loader reports them --------------------------------------------- */

static void sum_entry(struct sim_map *map, u32 key, u32 words, int maximum, u64 *total)
{
	memset(total, 0, words * sizeof(u64));
	for (u32 cpu = 0; cpu < sim.machine.nr_cpus; cpu++) {
		const u64 *value = sim_map_lookup(map, &key, (s32)cpu);

		for (int i = 0; i < (int)words; i++)
			total[i] = i == maximum ? (value[i] > total[i] ? value[i] : total[i]) :
						  total[i] + value[i];
	}
}

static void entry_json(FILE *out, const char *const *names, u32 count, const u64 *words, u32 extra)
{
	fputc('{', out);
	for (u32 i = 0; i < count; i++)
		fprintf(out, "%s\"%s\":%llu", i ? "," : "", names[i], words[i]);
	if (extra) {
		fputs(",\"wait_hist\":[", out);
		for (u32 i = 0; i < extra; i++)
			fprintf(out, "%s%llu", i ? "," : "", words[count + 1 + i]);
		fputc(']', out);
	}
	fputc('}', out);
}

static void map_json(FILE *out, const char *name, const char *const *names, u32 count, int maximum,
		     u32 extra)
{
	u32 words = count + (extra ? extra + 1 : 0);
	struct variable v;
	struct sim_map *map;
	u64 total[64];

	fputc('[', out);
	map = find_variable(name, &v) ? map_of(v.data) : NULL;
	if (map && map->type == BPF_MAP_TYPE_PERCPU_ARRAY &&
	    map->value_size == words * sizeof(u64)) {
		for (u32 key = 0; key < map->entries; key++) {
			sum_entry(map, key, words, maximum, total);
			fputs(key ? "," : "", out);
			entry_json(out, names, count, total, extra);
		}
	}
	fputc(']', out);
}

void policy_counters_json(FILE *out)
{
	static const char *const of_class[] = {
		"enqueued", "direct", "run", "preempted", "ran_ns", "wait_ns", "wait_max_ns",
	};
	static const char *const of_queue[] = { "inserted", "taken", "stolen", "skipped" };

	fputs("{\"classes\":", out);
	map_json(out, "class_stats", of_class, 7, 6, 32);
	fputs(",\"queues\":", out);
	map_json(out, "queue_stats", of_queue, 4, -1, 0);
	fputc('}', out);
}
