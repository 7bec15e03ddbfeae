// SPDX-License-Identifier: Apache-2.0
/* Random numbers and distributions on integers: fixed-point logarithm, exponential and root. */
#include <stdbool.h>

#include "draw.h"

typedef unsigned __int128 u128;

#define LN2_Q64 UINT64_C(0xb17217f7d1cf79ab)	/* ln 2 · 2^64 */
#define LOG2E_Q62 UINT64_C(0x5c551d94ae0bf85d)	/* 1 / ln 2 · 2^62 */
#define EXP2_END (UINT64_C(31) << 32)

uint64_t draw_bits(uint64_t *stream)
{
	uint64_t z = (*stream += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint64_t draw_stream(uint64_t seed, uint64_t group, uint64_t instance)
{
	uint64_t stream = seed;

	/* Each number goes through the mixer, so that near ones give streams that are far apart. */
	stream = draw_bits(&stream) + group;
	stream = draw_bits(&stream) + instance;
	return draw_bits(&stream);
}

uint64_t draw_minus_log(uint64_t u)
{
	unsigned octave = 63u - (unsigned)__builtin_clzll(u);
	uint64_t m = u << (63 - octave);	/* 1 <= m / 2^63 < 2 */
	uint64_t log2 = (uint64_t)octave << 32;

	/* Squaring doubles the logarithm: its next binary digit is whether that reached 2. */
	for (uint64_t digit = UINT64_C(1) << 31; digit; digit >>= 1) {
		u128 square = (u128)m * m;

		if (square >> 127) {
			m = (uint64_t)(square >> 64);
			log2 |= digit;
		} else {
			m = (uint64_t)(square >> 63);
		}
	}
	return (uint64_t)((u128)((UINT64_C(64) << 32) - log2) * LN2_Q64 >> 64);
}

/* 2^(2^-(i+1)) · 2^62 */
static const uint64_t roots[32] = {
	0x5a827999fcef3242, 0x4c1bf828c6dc54b8, 0x45cae0f1f545eb73, 0x42d561b3e6243d8a,
	0x4166c34c5615d0ec, 0x40b268f9de0183ba, 0x4058f6a7ecccd5b6, 0x402c6be96af2fb58,
	0x4016321b687027a8, 0x400b18178ba33b14, 0x40058bce410147e8, 0x4002c5d7bff71daf,
	0x400162e807ee7e5b, 0x4000b1730df6a524, 0x400058b9497b8152, 0x40002c5c955dd701,
	0x4000162e46d6f26c, 0x40000b1722757b1b, 0x4000058b90fd3e0c, 0x400002c5c86f3f26,
	0x40000162e433c79b, 0x400000b17218edd0, 0x40000058b90c3968, 0x4000002c5c860d54,
	0x400000162e4302d2, 0x4000000b17218073, 0x400000058b90bffc, 0x40000002c5c85fef,
	0x4000000162e42ff3, 0x40000000b17217f9, 0x4000000058b90bfc, 0x400000002c5c85fe,
};

uint64_t draw_exp2(uint64_t x)
{
	uint64_t power = UINT64_C(1) << 62;

	for (unsigned i = 0; i < 32; i++)
		if (x >> (31 - i) & 1)
			power = (uint64_t)((u128)power * roots[i] >> 62);
	return (uint64_t)(((u128)power << (x >> 32)) >> 30);
}

static uint64_t root(u128 square)
{
	uint64_t result = 0;

	for (uint64_t bit = UINT64_C(1) << 63; bit; bit >>= 1) {
		uint64_t next = result | bit;

		if ((u128)next * next <= square)
			result = next;
	}
	return result;
}

/* A normal variable's size, 2^32 for a standard deviation, and its sign (Marsaglia's method). */
static uint64_t normal(uint64_t *stream, bool *negative)
{
	for (;;) {
		uint64_t bits = draw_bits(stream);
		int64_t u = (int64_t)(bits >> 32) - (INT64_C(1) << 31);
		int64_t v = (int64_t)(bits & UINT32_MAX) - (INT64_C(1) << 31);
		uint64_t s = (uint64_t)(u * u) + (uint64_t)(v * v);

		if (s == 0 || s >= UINT64_C(1) << 62)
			continue;
		uint64_t factor = root(((u128)(2 * draw_minus_log(s << 2)) << 88) / s);

		*negative = u < 0;
		return (uint64_t)((u128)(uint64_t)(u < 0 ? -u : u) * factor >> 28);
	}
}

static uint64_t clamp(u128 value)
{
	return value < DRAW_MAX ? (uint64_t)value : DRAW_MAX;
}

static uint64_t uniform(uint64_t mean, uint64_t percent, uint64_t *stream)
{
	uint64_t span = (uint64_t)((u128)mean * percent / 100);

	/* The remainder favours small values by less than 2^-13: of no account for times. */
	return mean - span + draw_bits(stream) % (2 * span + 1);
}

static uint64_t lognormal(uint64_t median, uint64_t percent, uint64_t *stream)
{
	bool negative;
	uint64_t size = normal(stream, &negative);
	u128 power = (u128)size * percent / 100 * LOG2E_Q62 >> 62;
	uint64_t factor = draw_exp2(power < EXP2_END ? (uint64_t)power : EXP2_END - 1);

	if (negative)
		return clamp(((u128)median << 32) / factor);
	return clamp((u128)median * factor >> 32);
}

static uint64_t empirical(const struct dist *dist, uint64_t *stream)
{
	uint64_t at = draw_bits(stream) % dist->cumulative[dist->count - 1];
	uint32_t low = 0, high = dist->count - 1;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (at < dist->cumulative[middle])
			high = middle;
		else
			low = middle + 1;
	}
	return dist->values[low];
}

uint64_t draw(const struct dist *dist, uint64_t *stream)
{
	switch (dist->kind) {
	case DIST_FIXED:
		return dist->a;
	case DIST_UNIFORM:
		return uniform(dist->a, dist->b, stream);
	case DIST_EXPONENTIAL:
		return clamp((u128)dist->a * draw_minus_log(draw_bits(stream) | 1) >> 32);
	case DIST_LOGNORMAL:
		return lognormal(dist->a, dist->b, stream);
	case DIST_EMPIRICAL:
		return empirical(dist, stream);
	}
	return 0;
}
