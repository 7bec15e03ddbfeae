// SPDX-License-Identifier: Apache-2.0
/*
 * --every: what was measured in each interval of the window, while the load goes on. A line is
 *
 *   {"until":UNIX_NS,"measured":{…}}		as measures_json writes it
 *
 * Whatever ended within the interval counts in it; what is open is told when it ends. The largest
 * and the least of an interval are edges of buckets.
 */
#include "board.h"

#include "interval.h"

static struct measures before, part;
static uint64_t from;

static void subtract(struct histogram *h, const struct histogram *now, const struct histogram *old)
{
	*h = (struct histogram){ .sum = now->sum - old->sum };
	for (unsigned i = 0; i < HIST_BUCKETS; i++) {
		h->bucket[i] = now->bucket[i] - old->bucket[i];
		if (!h->bucket[i])
			continue;
		/* Buckets are read one by one: the count is what they hold together. */
		h->count += h->bucket[i];
		h->max = hist_upper(i);
		if (!h->below)
			h->below = ~(i ? hist_upper(i - 1) + 1 : 0);
	}
}

/* Cpu time of the tasks that are there, since it was asked last. */
static void cpu_times(void)
{
	for (uint32_t g = 0; g < plan.nr_groups; g++)
		part.group_cpu[g] = 0;
	for (struct doer *d = board->doers; d; d = d->all) {
		uint64_t cpu = atomic_load(&d->alive) ? doer_cpu(d) : 0;

		if (cpu > d->cpu_told)
			part.group_cpu[d->number] += cpu - d->cpu_told;
		d->cpu_told = cpu;
	}
}

void interval_begin(void)
{
	if (!part.group_cpu)
		part.group_cpu = board_alloc(plan.nr_groups, sizeof(uint64_t));
	cpu_times();
	before = board->measures;
	from = wl_now();
}

void interval_end(void)
{
	static struct measures now;
	struct timespec wall;
	uint64_t to = wl_now();

	now = board->measures;
	cpu_times();
	part.window = to - from;
	for (unsigned i = 0; i < HIST_KINDS; i++)
		subtract(&part.histograms[i], &now.histograms[i], &before.histograms[i]);
	for (unsigned i = 0; i < COUNT_KINDS; i++)
		part.counted[i] = now.counted[i] - before.counted[i];
	part.deadlines = now.deadlines - before.deadlines;
	part.missed = now.missed - before.missed;
	before = now;
	from = to;
	clock_gettime(CLOCK_REALTIME, &wall);
	printf("{\"until\":%llu,\"measured\":",
	       (unsigned long long)wall.tv_sec * NSEC_PER_SEC + (unsigned long long)wall.tv_nsec);
	measures_json(stdout, &plan, &part, 0);
	puts("}");
	fflush(stdout);
}
