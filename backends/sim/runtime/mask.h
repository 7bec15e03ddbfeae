/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of cpus. Part of sim.h. */
#ifndef MASK_H
#define MASK_H

#include "kernel.h"

static inline bool mask_test(const struct cpumask *mask, s32 cpu)
{
	return mask->bits[cpu >> 6] >> (cpu & 63) & 1;
}

static inline void mask_set(struct cpumask *mask, s32 cpu)
{
	mask->bits[cpu >> 6] |= 1ULL << (cpu & 63);
}

static inline void mask_clear(struct cpumask *mask, s32 cpu)
{
	mask->bits[cpu >> 6] &= ~(1ULL << (cpu & 63));
}

/* The lowest cpu that is in both, NO_CPU if there is none. */
s32 mask_first_and(const struct cpumask *a, const struct cpumask *b);
u32 mask_weight(const struct cpumask *mask);

#endif
