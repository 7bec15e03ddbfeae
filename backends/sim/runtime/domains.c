/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scheduling domains from the machine's topology, as kernel/sched/topology.c builds them: SMT
 * siblings, cpus under one last-level cache, a node, the machine. A level that would span the same
 * cpus as the one below is left out. Each domain's groups are the domains of the level below.
 */
#include <stdlib.h>
#include "core.h"
#include "fair.h"

u32 nr_levels;
struct fair_level fair_levels[MAX_LEVELS];
struct fair_span *fair_spans[MAX_LEVELS + 1];
u32 *fair_children[MAX_LEVELS];
bool *llc_has_idle_core;
struct cpumask *llc_masks;
u32 *llc_sizes;
bool smt_active;

static u32 machine_of[NR_CPUS];		/* all in span 0 */

/* sd_init()'s figures for the kinds of domain */
static const struct fair_level kinds[MAX_LEVELS] = {
	{ .name = "SMT", .imbalance_pct = 110, .cache_nice_tries = 0, .share_cpu = true,
	  .share_llc = true },
	{ .name = "MC", .imbalance_pct = 117, .cache_nice_tries = 1, .share_llc = true },
	{ .name = "PKG", .imbalance_pct = 117, .cache_nice_tries = 1 },
	{ .name = "NUMA", .imbalance_pct = 117, .cache_nice_tries = 2, .numa = true },
};

s32 mask_next(const struct cpumask *a, const struct cpumask *b, const struct cpumask *c, s32 from)
{
	for (u32 word = (u32)from / 64; word < sim.mask_words; word++) {
		u64 bits = a->bits[word] & b->bits[word];

		if (c)
			bits &= c->bits[word];
		if (word == (u32)from / 64)
			bits &= ~0ULL << (from % 64);
		if (bits)
			return (s32)(word * 64) + __builtin_ctzll(bits);
	}
	return NO_CPU;
}

s32 mask_next_wrap(const struct cpumask *a, const struct cpumask *b, const struct cpumask *c,
		   s32 from)
{
	s32 cpu = NO_CPU;

	if (from < (s32)sim.machine.nr_cpus)
		cpu = mask_next(a, b, c, from);
	if (cpu < 0) {
		cpu = mask_next(a, b, c, 0);
		if (cpu >= from)
			cpu = NO_CPU;
	}
	return cpu;
}

bool cpus_share_cache(s32 a, s32 b)
{
	return sim.machine.llc_of[a] == sim.machine.llc_of[b];
}

bool core_idle(s32 cpu)
{
	s32 sibling = cpu;

	do {
		if (!cpu_idle(sibling))
			return false;
		sibling = (s32)cpu_rq(sibling)->sibling;
	} while (sibling != cpu);
	return true;
}

/* Does the partition tell the cpus apart differently from the level below? */
static bool level_adds(const u32 *below, const u32 *of)
{
	u32 first[NR_CPUS];

	for (u32 cpu = 0; cpu < NR_CPUS; cpu++)
		first[cpu] = NR_CPUS;
	for (u32 cpu = 0; cpu < sim.machine.nr_cpus; cpu++) {
		u32 below_id = below ? below[cpu] : cpu;

		if (first[of[cpu]] == NR_CPUS)
			first[of[cpu]] = below_id;
		if (first[of[cpu]] != below_id)
			return true;
	}
	return false;
}

static void add_cpu(struct fair_span *span, u32 cpu)
{
	if (!span->weight) {
		span->first_word = cpu / 64;
		span->fresh_at = TIME_MAX;
		span->least = NO_CPU;
	}
	span->end_word = cpu / 64 + 1;
	mask_set(&span->mask, (s32)cpu);
	span->weight++;
	span->capacity += sim.machine.capacity[cpu];
	/* a core counts where its first cpu is */
	span->cores++;
	for (u32 other = 0; other < cpu; other++)
		if (sim.machine.core_of[other] == sim.machine.core_of[cpu] &&
		    mask_test(&span->mask, (s32)other)) {
			span->cores--;
			break;
		}
}

static u32 below_id(u32 level, u32 cpu)
{
	return level ? fair_levels[level - 1].span_of[cpu] : cpu;
}

/* The domains of one level, numbered in the order of their first cpus. */
static void build_level(u32 level, const u32 *of)
{
	struct fair_level *l = &fair_levels[level];
	u32 number[NR_CPUS], nr_cpus = sim.machine.nr_cpus, nr_children = 0;
	struct fair_span *spans = allocate(nr_cpus * sizeof(*spans));

	for (u32 i = 0; i < NR_CPUS; i++)
		number[i] = NR_CPUS;
	for (u32 cpu = 0; cpu < nr_cpus; cpu++) {
		if (number[of[cpu]] == NR_CPUS)
			number[of[cpu]] = l->nr_spans++;
		l->span_of[cpu] = number[of[cpu]];
		add_cpu(&spans[l->span_of[cpu]], cpu);
	}
	fair_spans[level + 1] = spans;
	fair_children[level] = allocate(nr_cpus * sizeof(u32));
	for (u32 s = 0; s < l->nr_spans; s++) {
		s32 cpu = -1;

		spans[s].first_child = nr_children;
		while ((cpu = mask_next(&spans[s].mask, &sim.all_cpus, NULL, cpu + 1)) >= 0) {
			u32 child = below_id(level, (u32)cpu);
			const struct cpumask *mask = &fair_spans[level][child].mask;

			if (mask_next(mask, mask, NULL, 0) == cpu)
				fair_children[level][nr_children++] = child;
			if (cpu + 1 >= (s32)nr_cpus)
				break;
		}
		spans[s].nr_children = nr_children - spans[s].first_child;
	}
}

static void build_llcs(void)
{
	u32 nr_cpus = sim.machine.nr_cpus;

	llc_masks = allocate(NR_CPUS * sizeof(*llc_masks));
	llc_sizes = allocate(NR_CPUS * sizeof(*llc_sizes));
	llc_has_idle_core = allocate(NR_CPUS * sizeof(*llc_has_idle_core));
	for (u32 cpu = 0; cpu < nr_cpus; cpu++) {
		mask_set(&llc_masks[sim.machine.llc_of[cpu]], (s32)cpu);
		llc_sizes[sim.machine.llc_of[cpu]]++;
		llc_has_idle_core[sim.machine.llc_of[cpu]] = true;
		smt_active |= cpu_rq((s32)cpu)->sibling != cpu;
	}
}

void domains_init(void)
{
	const struct machine *m = &sim.machine;
	const u32 *partitions[MAX_LEVELS] = { m->core_of, m->llc_of, m->node_of, machine_of };
	const u32 *below = NULL;

	fair_spans[0] = allocate(m->nr_cpus * sizeof(struct fair_span));
	for (u32 cpu = 0; cpu < m->nr_cpus; cpu++)
		add_cpu(&fair_spans[0][cpu], cpu);
	build_llcs();
	for (u32 kind = 0; kind < MAX_LEVELS; kind++) {
		if (!level_adds(below, partitions[kind]))
			continue;
		fair_levels[nr_levels] = kinds[kind];
		/* Nodes apart from each other are NUMA; one node's caches are a package. */
		build_level(nr_levels++, partitions[kind]);
		below = partitions[kind];
	}
}

void domains_fini(void)
{
	for (u32 i = 0; i <= MAX_LEVELS; i++)
		free(fair_spans[i]);
	for (u32 i = 0; i < MAX_LEVELS; i++)
		free(fair_children[i]);
	free(llc_masks);
	free(llc_sizes);
	free(llc_has_idle_core);
}
