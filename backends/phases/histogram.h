/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A log-linear histogram of nanoseconds, after HdrHistogram's layout: every octave is cut into
 * 2^HIST_SUB_BITS buckets of equal width, values below that are exact. A percentile is the upper
 * edge of the bucket that holds it, never above the largest value seen; so it is at least the
 * exact one and too large by less than 1/2^HIST_SUB_BITS (3.2%).
 *
 * The buckets travel in the JSON: schedc/workload/histogram.py merges runs and computes
 * percentiles from them with the same index function (a test holds the two together).
 */
#ifndef PHASES_HISTOGRAM_H
#define PHASES_HISTOGRAM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define HIST_SUB_BITS 5
#define HIST_SUB (1u << HIST_SUB_BITS)
#define HIST_BUCKETS ((64 - HIST_SUB_BITS + 1) * HIST_SUB)

struct histogram {
	uint64_t count, sum, max;
	uint64_t below;		/* the complement of the least value */
	uint64_t bucket[HIST_BUCKETS];
};

static inline unsigned hist_index(uint64_t value)
{
	if (value < HIST_SUB)
		return (unsigned)value;
	unsigned octave = 63u - (unsigned)__builtin_clzll(value);
	unsigned shift = octave - HIST_SUB_BITS;
	return (shift + 1) * HIST_SUB + (unsigned)((value >> shift) - HIST_SUB);
}

/* The largest value that falls into bucket `index`. */
static inline uint64_t hist_upper(unsigned index)
{
	if (index < HIST_SUB)
		return index;
	unsigned shift = index / HIST_SUB - 1;
	uint64_t sub = index % HIST_SUB + HIST_SUB;
	return (sub << shift) + ((UINT64_C(1) << shift) - 1);
}

static inline void hist_add(struct histogram *h, uint64_t value)
{
	if (~value > h->below)
		h->below = ~value;
	if (value > h->max)
		h->max = value;
	h->count++;
	h->sum += value;
	h->bucket[hist_index(value)]++;
}

/* The same, by several threads or processes at once. */
static inline void hist_add_shared(struct histogram *h, uint64_t value)
{
	/* The least is kept as its complement, so that memory full of zeros is an empty one. */
	uint64_t seen = __atomic_load_n(&h->max, __ATOMIC_RELAXED);

	while (value > seen && !__atomic_compare_exchange_n(&h->max, &seen, value, true,
							    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	seen = __atomic_load_n(&h->below, __ATOMIC_RELAXED);
	while (~value > seen && !__atomic_compare_exchange_n(&h->below, &seen, ~value, true,
							     __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	__atomic_fetch_add(&h->sum, value, __ATOMIC_RELAXED);
	__atomic_fetch_add(&h->bucket[hist_index(value)], 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&h->count, 1, __ATOMIC_RELAXED);
}

static inline uint64_t hist_min(const struct histogram *h)
{
	return h->count ? ~h->below : 0;
}

static inline void hist_merge(struct histogram *into, const struct histogram *from)
{
	if (from->count == 0)
		return;
	if (from->below > into->below)
		into->below = from->below;
	if (from->max > into->max)
		into->max = from->max;
	into->count += from->count;
	into->sum += from->sum;
	for (unsigned i = 0; i < HIST_BUCKETS; i++)
		into->bucket[i] += from->bucket[i];
}

/* The value at `permille_x10` / 10000 of the samples, by nearest rank; 0 when there are none. */
static inline uint64_t hist_percentile(const struct histogram *h, unsigned permille_x10)
{
	if (h->count == 0)
		return 0;
	uint64_t rank = (uint64_t)(((unsigned __int128)h->count * permille_x10 + 9999) / 10000);
	uint64_t seen = 0;

	if (rank == 0)
		rank = 1;
	for (unsigned i = 0; i < HIST_BUCKETS; i++) {
		seen += h->bucket[i];
		if (seen >= rank) {
			uint64_t upper = hist_upper(i);
			return upper < h->max ? upper : h->max;
		}
	}
	return h->max;
}

/* Writes "name": {...} with the used buckets as [index, count] pairs. */
static inline void hist_json(FILE *out, const char *name, const struct histogram *h)
{
	const char *comma = "";

	fprintf(out, "\"%s\":{\"sub_bits\":%d,\"count\":%llu,\"sum\":%llu,\"min\":%llu,\"max\":%llu,",
		name, HIST_SUB_BITS, (unsigned long long)h->count, (unsigned long long)h->sum,
		(unsigned long long)hist_min(h), (unsigned long long)h->max);
	fprintf(out, "\"p50\":%llu,\"p99\":%llu,\"p999\":%llu,\"buckets\":[",
		(unsigned long long)hist_percentile(h, 5000),
		(unsigned long long)hist_percentile(h, 9900),
		(unsigned long long)hist_percentile(h, 9990));
	for (unsigned i = 0; i < HIST_BUCKETS; i++) {
		if (h->bucket[i] == 0)
			continue;
		fprintf(out, "%s[%u,%llu]", comma, i, (unsigned long long)h->bucket[i]);
		comma = ",";
	}
	fputs("]}", out);
}

#endif
