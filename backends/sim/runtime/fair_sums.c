/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the cpus of a span have together: load, utilisation, tasks. The kernel walks all of them for
 * every fork and every balancing pass; here a walk is needed only once an instant, as time changes
 * all loads. After it only the cpus where something has come or gone since are looked at again, and
 * what has changed is added to the spans that they are in. So a thousand forks at once cost the
 * logarithm of the machine each.
 *
 * Invariant: a span's sums are those of its cpus' own spans; these are what the cpus have, if their
 * `fresh_at` is now and they are not in `fair_changed`.
 */
#include "fair.h"

struct cpumask fair_changed;

static void add_to(struct fair_span *span, const struct span_sums *from, const struct span_sums *to)
{
	span->sums.load += to->load - from->load;
	span->sums.util += to->util - from->util;
	span->sums.runnable += to->runnable - from->runnable;
	span->sums.nr_running += to->nr_running - from->nr_running;
	span->sums.h_nr_running += to->h_nr_running - from->h_nr_running;
	if (to->load != from->load)
		span->least = NO_CPU;
}

static void look_at(s32 cpu)
{
	const struct fair_queue *queue = &fair_rq(cpu)->queue;
	struct fair_span *own = &fair_spans[0][cpu];
	const struct span_sums now = {
		.load = cpu_load(cpu),
		.util = cpu_util(cpu),
		.runnable = cpu_runnable(cpu),
		.nr_running = queue->h_nr_queued,
		.h_nr_running = queue->h_nr_runnable,
	};

	for (u32 level = 0; level < nr_levels; level++)
		add_to(span_at(level, cpu), &own->sums, &now);
	own->sums = now;
	own->fresh_at = sim.now;
	mask_clear(&fair_changed, cpu);
}

const struct span_sums *span_sums(struct fair_span *span)
{
	bool walk = span->fresh_at != sim.now;

	for (u32 word = span->first_word; word < span->end_word; word++) {
		u64 bits = span->mask.bits[word];

		if (!walk)
			bits &= fair_changed.bits[word];
		for (; bits; bits &= bits - 1) {
			s32 cpu = (s32)(word * 64) + __builtin_ctzll(bits);

			if (fair_spans[0][cpu].fresh_at != sim.now || mask_test(&fair_changed, cpu))
				look_at(cpu);
		}
	}
	span->fresh_at = sim.now;
	return &span->sums;
}

/* The first of the least loaded cpus. `height`: how many levels the span is above single cpus. */
s32 least_loaded(struct fair_span *span, u32 height)
{
	u64 least = TIME_MAX;
	s32 best = NO_CPU;

	if (!height)
		return (s32)(span - fair_spans[0]);
	if (span->least >= 0)
		return span->least;
	for (u32 i = 0; i < span->nr_children; i++) {
		u32 child = fair_children[height - 1][span->first_child + i];
		s32 cpu = least_loaded(&fair_spans[height - 1][child], height - 1);
		u64 load = fair_spans[0][cpu].sums.load;

		if (load < least || (load == least && cpu < best)) {
			least = load;
			best = cpu;
		}
	}
	span->least = best;
	return span->least;
}
