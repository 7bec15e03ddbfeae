/* SPDX-License-Identifier: GPL-2.0 */
/* Moving a waiting task to this cpu; counted if counters.h came before. */
#ifndef SCHEDC_MOVES_H
#define SCHEDC_MOVES_H

#ifndef SCHEDC_COUNTERS_H
#define count_taken(queue, stolen)
#endif

/* Move the queue's first task that may run here to this cpu; whether there was one. */
static __always_inline bool take(u32 queue, u32 domain)
{
	if (!scx_bpf_dsq_move_to_local(dsq(queue, domain)))
		return false;
	count_taken(queue, false);
	return true;
}

/* The same, from a domain that is not the cpu's own. */
static __always_inline bool fetch(u32 queue, u32 domain)
{
	if (!scx_bpf_dsq_move_to_local(dsq(queue, domain)))
		return false;
	count_taken(queue, true);
	return true;
}

/* From the queue's other domains, of `total`: the one with the next number first. */
static __always_inline bool steal(u32 queue, u32 here, u32 total)
{
	s32 i;

	if (total < 2)
		return false;
	bpf_for(i, 1, total) {
		u32 from = here + i;

		if (from >= total)
			from -= total;
		if (fetch(queue, from))
			return true;
	}
	return false;
}

/*
 * The longest of a few random ones first, which spares large machines the walk. The walk stays, as
 * a task may wait elsewhere.
 */
static __always_inline bool steal_longer(u32 queue, u32 here, u32 total, s32 picks)
{
	u32 from = here;
	s32 longest = 0, i;

	if (total < 2)
		return false;
	bpf_for(i, 0, picks) {
		u32 other = bpf_get_prandom_u32() % total;
		s32 length = scx_bpf_dsq_nr_queued(dsq(queue, other));

		if (length > longest) {
			longest = length;
			from = other;
		}
	}
	if (longest && fetch(queue, from))
		return true;
	return steal(queue, here, total);
}

#endif
