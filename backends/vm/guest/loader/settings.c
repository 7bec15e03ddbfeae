// SPDX-License-Identifier: Apache-2.0
//
// Read-only data of an object, set before it is loaded: tunables, topology, cgroups, executables.
//
// Variables are found by name through the object's own BTF, with the sizes it says. A line that
// names no variable is an error; a cgroup or a file that isn't there leaves zeros, which match
// nothing, and is reported.

#define _GNU_SOURCE
#include "loader.h"

#include <errno.h>
#include <limits.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define MAX_CPUS 512

struct variable {
	char *data;
	size_t size;
	bool is_signed;
};

struct cgroup_ref { uint64_t id; uint32_t level, pad; };
struct exe_ref { uint64_t ino; uint32_t dev, pad; };

static struct bpf_map *rodata_map(struct bpf_object *object)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, object) {
		const char *name = bpf_map__name(map);
		size_t length = strlen(name);

		if (length >= 7 && !strcmp(name + length - 7, ".rodata"))
			return map;
	}
	return NULL;
}

// Whether a variable of this type holds a signed number.
static bool type_is_signed(const struct btf *btf, uint32_t id)
{
	const struct btf_type *type = btf__type_by_id(btf, id);

	while (type && (btf_is_mod(type) || btf_is_typedef(type)))
		type = btf__type_by_id(btf, type->type);
	return type && btf_is_int(type) && (btf_int_encoding(type) & BTF_INT_SIGNED);
}

static bool find_variable(struct bpf_object *object, const char *name, struct variable *found)
{
	struct bpf_map *map = rodata_map(object);
	struct btf *btf = bpf_object__btf(object);
	const struct btf_type *section;
	const struct btf_var_secinfo *info;
	size_t size;
	char *data;
	int id;

	if (!map || !btf)
		return false;
	data = bpf_map__initial_value(map, &size);
	id = btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC);
	if (!data || id < 0)
		return false;
	section = btf__type_by_id(btf, id);
	info = btf_var_secinfos(section);
	for (int i = 0; i < btf_vlen(section); i++, info++) {
		const struct btf_type *var = btf__type_by_id(btf, info->type);

		if (strcmp(btf__name_by_offset(btf, var->name_off), name))
			continue;
		if ((size_t)info->offset + info->size > size)
			return false;
		*found = (struct variable){ data + info->offset, info->size, type_is_signed(btf, var->type) };
		return true;
	}
	return false;
}

static bool fits(long long value, const struct variable *v)
{
	int bits = (int)v->size * 8;

	if (bits >= 64)
		return true;
	if (v->is_signed)
		return value >= -(1LL << (bits - 1)) && value < 1LL << (bits - 1);
	return value >= 0 && value < 1LL << bits;
}

static bool set_number(struct bpf_object *object, const char *name, const char *text,
		       struct text *problem)
{
	struct variable v;
	char *end;
	long long value;

	if (!find_variable(object, name, &v)) {
		text_add(problem, "the object has no constant named %s", name);
		return false;
	}
	errno = 0;
	value = strtoll(text, &end, 0);
	if (errno || end == text || *end || v.size > 8 || !fits(value, &v)) {
		text_add(problem, "%s can't be set to %s (%zu bytes)", name, text, v.size);
		return false;
	}
	memcpy(v.data, &value, v.size); // little endian, as the guest is
	return true;
}

static bool set_cgroup(struct bpf_object *object, unsigned int index, const char *path,
		       struct text *problem, struct text *unresolved)
{
	struct cgroup_ref ref = { 0 };
	struct variable v;
	struct stat info;
	char full[PATH_MAX + 32];

	if (!find_variable(object, "cgroup_refs", &v) || (index + 1) * sizeof(ref) > v.size) {
		text_add(problem, "the object has no cgroup_refs[%u]", index);
		return false;
	}
	snprintf(full, sizeof(full), "/sys/fs/cgroup/%s", path);
	if (stat(full, &info) || !S_ISDIR(info.st_mode)) {
		text_add(unresolved, "%scgroup %s", unresolved->length ? "\n" : "", path);
		return true;
	}
	ref.id = info.st_ino; // on 64 bit a cgroup's inode number is its id
	for (const char *p = path; *p; p++)
		ref.level += *p != '/' && (p == path || p[-1] == '/');
	memcpy(v.data + index * sizeof(ref), &ref, sizeof(ref));
	return true;
}

static bool set_exe(struct bpf_object *object, unsigned int index, const char *path,
		    struct text *problem, struct text *unresolved)
{
	struct exe_ref ref = { 0 };
	struct variable v;
	struct stat info;

	if (!find_variable(object, "exe_refs", &v) || (index + 1) * sizeof(ref) > v.size) {
		text_add(problem, "the object has no exe_refs[%u]", index);
		return false;
	}
	if (stat(path, &info)) {
		text_add(unresolved, "%sexe %s", unresolved->length ? "\n" : "", path);
		return true;
	}
	ref.ino = info.st_ino;
	ref.dev = major(info.st_dev) << 20 | minor(info.st_dev); // the kernel's own MKDEV
	memcpy(v.data + index * sizeof(ref), &ref, sizeof(ref));
	return true;
}

// --- topology

static void put(struct variable *v, size_t element, int index, unsigned long value)
{
	if ((index + 1) * element <= v->size)
		memcpy(v->data + index * element, &value, element);
}

static void set_scalar(struct bpf_object *object, const char *name, unsigned long value)
{
	struct variable v;

	if (find_variable(object, name, &v) && v.size <= sizeof(value))
		memcpy(v.data, &value, v.size);
}

// The first cpu that shares the highest level of cache with a cpu; its package's id where the machine
// tells no caches. (The cache's own `id` won't do: emulated machines give each cpu one of its own.)
static long long llc_id(int cpu)
{
	long long id = -1, best = -1;
	char path[128];

	for (int index = 0; index < 8; index++) {
		long long level;

		snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/cache/index%d/level", cpu, index);
		level = read_number(path);
		if (level <= best)
			continue;
		snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/cache/index%d/shared_cpu_list",
			 cpu, index);
		if (level >= 3 && read_number(path) >= 0) {
			best = level;
			id = read_number(path);
		}
	}
	if (id >= 0)
		return id;
	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/topology/physical_package_id", cpu);
	id = read_number(path);
	return id < 0 ? 0 : id;
}

static long long node_id(int cpu)
{
	char path[128];

	for (int node = 0; node < 64; node++) {
		snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/node%d", cpu, node);
		if (!access(path, F_OK))
			return node;
	}
	return 0;
}

static long long speed(int cpu)
{
	char path[128];
	long long value;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/cpu_capacity", cpu);
	value = read_number(path);
	if (value > 0)
		return value;
	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/cpufreq/cpuinfo_max_freq", cpu);
	return read_number(path);
}

// Numbers arbitrary ids 0, 1, 2… in order of appearance.
static int dense(long long *seen, int *count, long long id)
{
	for (int i = 0; i < *count; i++)
		if (seen[i] == id)
			return i;
	seen[*count] = id;
	return (*count)++;
}

static void set_topology(struct bpf_object *object)
{
	struct variable llc = { 0 }, node = { 0 }, fast = { 0 };
	long long llcs[MAX_CPUS], nodes[MAX_CPUS], fastest = 0;
	int cpus = libbpf_num_possible_cpus(), nr_llcs = 0, nr_nodes = 0;

	find_variable(object, "cpu_llc", &llc);
	find_variable(object, "cpu_node", &node);
	find_variable(object, "cpu_fast", &fast);
	if (cpus > MAX_CPUS)
		cpus = MAX_CPUS;
	for (int cpu = 0; cpu < cpus; cpu++)
		if (speed(cpu) > fastest)
			fastest = speed(cpu);
	for (int cpu = 0; cpu < cpus; cpu++) {
		put(&llc, 2, cpu, dense(llcs, &nr_llcs, llc_id(cpu)));
		put(&node, 2, cpu, dense(nodes, &nr_nodes, node_id(cpu)));
		// Within a tenth of the fastest is fast: cores of one kind differ a little in turbo.
		put(&fast, 1, cpu, fastest <= 0 || speed(cpu) * 10 >= fastest * 9);
	}
	set_scalar(object, "nr_llcs", nr_llcs);
	set_scalar(object, "nr_nodes", nr_nodes);
}

// --- the settings file

bool settings_read(const char *path, char **text, struct text *problem)
{
	struct text all = { 0 };
	char buffer[4096];
	FILE *file;
	size_t got;

	*text = NULL;
	if (!path)
		return true;
	file = fopen(path, "re");
	if (!file) {
		text_add(problem, "%s: %s", path, strerror(errno));
		return false;
	}
	while ((got = fread(buffer, 1, sizeof(buffer), file)) > 0)
		text_bytes(&all, buffer, got);
	fclose(file);
	*text = all.data;
	return true;
}

static bool apply_line(struct bpf_object *object, char *line, struct text *problem,
		       struct text *unresolved)
{
	char name[256], rest[PATH_MAX];
	unsigned int index;

	if (sscanf(line, "set %255s %4095s", name, rest) == 2)
		return set_number(object, name, rest, problem);
	if (sscanf(line, "cgroup %u %4095[^\n]", &index, rest) == 2)
		return set_cgroup(object, index, rest, problem, unresolved);
	if (sscanf(line, "exe %u %4095[^\n]", &index, rest) == 2)
		return set_exe(object, index, rest, problem, unresolved);
	text_add(problem, "not a setting: %s", line);
	return false;
}

bool settings_apply(struct bpf_object *object, const char *text, struct text *problem,
		    struct text *unresolved)
{
	char *copy, *save = NULL;
	bool good = true;

	set_topology(object);
	if (!text)
		return true;
	copy = strdup(text);
	for (char *line = strtok_r(copy, "\n", &save); line && good; line = strtok_r(NULL, "\n", &save))
		if (*line && *line != '#')
			good = apply_line(object, line, problem, unresolved);
	free(copy);
	return good;
}
