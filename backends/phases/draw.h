/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seeded random numbers and distributions, on integers alone: the simulator and the guest draw the
 * same numbers on every machine, whatever its floating point does.
 *
 * Each task has a stream of its own, named by the run's seed, its group and its place in the group;
 * a forked task's stream comes out of its parent's. So what a task draws doesn't depend on who ran
 * first.
 */
#ifndef PHASES_DRAW_H
#define PHASES_DRAW_H

#include <stdint.h>

/* No draw is larger: eleven days, far beyond any run, and safe to add up. */
#define DRAW_MAX UINT64_C(1000000000000000)

enum dist_kind {
	DIST_FIXED,		/* a */
	DIST_UNIFORM,		/* a (1 ± b percent) */
	DIST_EXPONENTIAL,	/* mean a */
	DIST_LOGNORMAL,		/* median a; b: 100 sigma of the logarithm */
	DIST_EMPIRICAL,		/* values[i], as often as its weight */
};

struct dist {
	enum dist_kind kind;
	uint32_t count;			/* of the values */
	uint64_t a, b;
	uint64_t *values;
	uint64_t *cumulative;		/* weights, added up */
};

/* The next 64 bits of a stream (splitmix64). */
uint64_t draw_bits(uint64_t *stream);
/* A stream for a task of its own. */
uint64_t draw_stream(uint64_t seed, uint64_t group, uint64_t instance);
/* One value, 0..DRAW_MAX. */
uint64_t draw(const struct dist *dist, uint64_t *stream);

/* For the tests: -ln(u / 2^64) for u > 0, and 2^(x / 2^32) * 2^32 for x < 31 * 2^32; 32 bits after
 * the point, the last few uncertain. */
uint64_t draw_minus_log(uint64_t u);
uint64_t draw_exp2(uint64_t x);

#endif
