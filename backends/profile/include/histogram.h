/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Log-linear buckets of nanoseconds: hist_index of backends/phases/histogram.h, without the loop or
 * the instruction that BPF lacks.
 */
#ifndef PROFILE_HISTOGRAM_H
#define PROFILE_HISTOGRAM_H

#include "kernel.h"

#define HIST_SUB_BITS 5
#define HIST_SUB (1U << HIST_SUB_BITS)

static __always_inline u32 log2_of(u64 value)
{
	u32 log = 0;

	if (value >> 32) {
		value >>= 32;
		log += 32;
	}
	if (value >> 16) {
		value >>= 16;
		log += 16;
	}
	if (value >> 8) {
		value >>= 8;
		log += 8;
	}
	if (value >> 4) {
		value >>= 4;
		log += 4;
	}
	if (value >> 2) {
		value >>= 2;
		log += 2;
	}
	return log + (u32)(value >> 1);
}

static __always_inline u32 hist_index(u64 value)
{
	u32 shift;

	if (value < HIST_SUB)
		return (u32)value;
	shift = log2_of(value) - HIST_SUB_BITS;
	return (shift + 1) * HIST_SUB + (u32)(value >> shift) - HIST_SUB;
}

#endif
