/* SPDX-License-Identifier: Apache-2.0 */
/* bpf_cpumask_*(). A cpu that the machine hasn't got is ignored, as the kernel does. */
#include <stdlib.h>
#include <string.h>
#include "ext.h"

static bool valid(u32 cpu)
{
	return cpu < sim.machine.nr_cpus;
}

struct bpf_cpumask *bpf_cpumask_create(void)
{
	struct bpf_cpumask *mask = allocate(sizeof(*mask));

	mask->usage = 1;
	return mask;
}

struct bpf_cpumask *bpf_cpumask_acquire(struct bpf_cpumask *mask)
{
	mask->usage++;
	return mask;
}

void bpf_cpumask_release(struct bpf_cpumask *mask)
{
	if (!--mask->usage)
		free(mask);
}

void bpf_cpumask_set_cpu(u32 cpu, struct bpf_cpumask *mask)
{
	if (valid(cpu))
		mask_set(&mask->cpumask, (s32)cpu);
}

void bpf_cpumask_clear_cpu(u32 cpu, struct bpf_cpumask *mask)
{
	if (valid(cpu))
		mask_clear(&mask->cpumask, (s32)cpu);
}

bool bpf_cpumask_test_cpu(u32 cpu, const struct cpumask *mask)
{
	return valid(cpu) && mask_test(mask, (s32)cpu);
}

bool bpf_cpumask_test_and_set_cpu(u32 cpu, struct bpf_cpumask *mask)
{
	bool was = bpf_cpumask_test_cpu(cpu, &mask->cpumask);

	bpf_cpumask_set_cpu(cpu, mask);
	return was;
}

bool bpf_cpumask_test_and_clear_cpu(u32 cpu, struct bpf_cpumask *mask)
{
	bool was = bpf_cpumask_test_cpu(cpu, &mask->cpumask);

	bpf_cpumask_clear_cpu(cpu, mask);
	return was;
}

void bpf_cpumask_setall(struct bpf_cpumask *mask)
{
	mask->cpumask = sim.all_cpus;
}

void bpf_cpumask_clear(struct bpf_cpumask *mask)
{
	memset(&mask->cpumask, 0, sizeof(mask->cpumask));
}

bool bpf_cpumask_and(struct bpf_cpumask *dst, const struct cpumask *a, const struct cpumask *b)
{
	u64 any = 0;

	for (u32 i = 0; i < sim.mask_words; i++)
		any |= dst->cpumask.bits[i] = a->bits[i] & b->bits[i];
	return any;
}

void bpf_cpumask_or(struct bpf_cpumask *dst, const struct cpumask *a, const struct cpumask *b)
{
	for (u32 i = 0; i < sim.mask_words; i++)
		dst->cpumask.bits[i] = a->bits[i] | b->bits[i];
}

void bpf_cpumask_xor(struct bpf_cpumask *dst, const struct cpumask *a, const struct cpumask *b)
{
	for (u32 i = 0; i < sim.mask_words; i++)
		dst->cpumask.bits[i] = a->bits[i] ^ b->bits[i];
}

bool bpf_cpumask_equal(const struct cpumask *a, const struct cpumask *b)
{
	return !memcmp(a->bits, b->bits, sim.mask_words * sizeof(u64));
}

bool bpf_cpumask_intersects(const struct cpumask *a, const struct cpumask *b)
{
	return mask_first_and(a, b) >= 0;
}

bool bpf_cpumask_subset(const struct cpumask *a, const struct cpumask *b)
{
	for (u32 i = 0; i < sim.mask_words; i++)
		if (a->bits[i] & ~b->bits[i])
			return false;
	return true;
}

bool bpf_cpumask_empty(const struct cpumask *mask)
{
	return mask_first_and(mask, &sim.all_cpus) < 0;
}

bool bpf_cpumask_full(const struct cpumask *mask)
{
	return bpf_cpumask_subset(&sim.all_cpus, mask);
}

void bpf_cpumask_copy(struct bpf_cpumask *dst, const struct cpumask *src)
{
	dst->cpumask = *src;
}

u32 bpf_cpumask_weight(const struct cpumask *mask)
{
	return mask_weight(mask);
}

/* No cpu is the number of cpus. */
static u32 or_none(s32 cpu)
{
	return cpu < 0 ? sim.machine.nr_cpus : (u32)cpu;
}

u32 bpf_cpumask_first(const struct cpumask *mask)
{
	return or_none(mask_first_and(mask, &sim.all_cpus));
}

u32 bpf_cpumask_first_and(const struct cpumask *a, const struct cpumask *b)
{
	return or_none(mask_first_and(a, b));
}

u32 bpf_cpumask_first_zero(const struct cpumask *mask)
{
	for (u32 cpu = 0; cpu < sim.machine.nr_cpus; cpu++)
		if (!mask_test(mask, (s32)cpu))
			return cpu;
	return sim.machine.nr_cpus;
}

u32 bpf_cpumask_any_distribute(const struct cpumask *mask)
{
	return or_none(any_and_distribute(mask, &sim.all_cpus));
}

u32 bpf_cpumask_any_and_distribute(const struct cpumask *a, const struct cpumask *b)
{
	return or_none(any_and_distribute(a, b));
}
