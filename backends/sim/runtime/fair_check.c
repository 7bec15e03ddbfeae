/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold in the fair class after every event (debug builds): a breach ends the run. */
#ifdef SIM_DEBUG
#include "core.h"
#include "fair.h"

struct tree_sums {
	u32 nr;
	s128 w_vruntime;
	u64 weight, last_deadline;
	bool seen;
};

static u64 weight_of(const struct fair_se *se)
{
	u64 weight = se->weight >> NICE_0_SHIFT;

	return weight > 2 ? weight : 2;
}

/* In order of deadline; each subtree's least vruntime and slice are right. */
static void check_tree(const struct fair_queue *queue, const struct fair_se *se,
		       struct tree_sums *sums)
{
	const struct fair_se *left = se_at(se->tree.left), *right = se_at(se->tree.right);
	u64 min = se->vruntime, slice = se->slice;

	if (left) {
		check_tree(queue, left, sums);
		if (vruntime_diff(left->min_vruntime, min) < 0)
			min = left->min_vruntime;
		if (left->min_slice < slice)
			slice = left->min_slice;
	}
	check(!sums->seen || vruntime_diff(se->deadline, sums->last_deadline) >= 0,
	      "fair: cpu %d: the tree is out of order", queue->rq->rq->cpu);
	check(sums->seen || queue->first == se,
	      "fair: cpu %d: first is not the earliest deadline", queue->rq->rq->cpu);
	sums->seen = true;
	sums->last_deadline = se->deadline;
	sums->nr++;
	sums->weight += weight_of(se);
	sums->w_vruntime += (s128)vruntime_diff(se->vruntime, queue->zero_vruntime) * weight_of(se);
	check(se->on_rq && se->queue == queue,
	      "fair: cpu %d: who isn't queued is in the tree", queue->rq->rq->cpu);
	if (right) {
		check_tree(queue, right, sums);
		if (vruntime_diff(right->min_vruntime, min) < 0)
			min = right->min_vruntime;
		if (right->min_slice < slice)
			slice = right->min_slice;
	}
	check(min == se->min_vruntime && slice == se->min_slice,
	      "fair: cpu %d: a subtree's minimum is wrong", queue->rq->rq->cpu);
}

static void check_queue(struct fair_queue *queue)
{
	struct tree_sums sums = { 0 };
	const struct fair_se *curr = queue->curr && queue->curr->on_rq ? queue->curr : NULL;
	s128 lags;

	if (queue->root)
		check_tree(queue, se_at(queue->root), &sums);
	check(sums.weight == queue->sum_weight && sums.w_vruntime == queue->sum_w_vruntime,
	      "fair: cpu %d: the sums for V are wrong", queue->rq->rq->cpu);
	check(sums.nr + (curr ? 1 : 0) == queue->nr_queued,
	      "fair: cpu %d: %u entities are queued, %u counted", queue->rq->rq->cpu,
	      sums.nr + (curr ? 1 : 0), queue->nr_queued);
	if (!queue->nr_queued)
		return;
	/* The lags sum to zero, but for V's rounding: less than one ns for each unit of weight. */
	avg_vruntime(queue);
	lags = queue->sum_w_vruntime;
	if (curr) {
		lags += (s128)vruntime_diff(curr->vruntime, queue->zero_vruntime) * weight_of(curr);
		sums.weight += weight_of(curr);
	}
	check(lags >= 0 && lags < (s128)sums.weight,
	      "fair: cpu %d: the lags don't sum to zero", queue->rq->rq->cpu);
}

static bool same_sums(const struct span_sums *a, const struct span_sums *b)
{
	return a->load == b->load && a->util == b->util && a->runnable == b->runnable &&
	       a->nr_running == b->nr_running && a->h_nr_running == b->h_nr_running;
}

/* A cpu that was looked at now, and isn't said to have changed, has what was seen. */
static void check_seen(s32 cpu)
{
	const struct fair_span *own = &fair_spans[0][cpu];
	const struct fair_queue *queue = &fair_rq(cpu)->queue;
	const struct span_sums now = {
		queue->avg.load, cpu_util(cpu), cpu_runnable(cpu), queue->h_nr_queued,
		queue->h_nr_runnable,
	};

	if (own->fresh_at == sim.now && !mask_test(&fair_changed, cpu))
		check(same_sums(&own->sums, &now), "fair: cpu %d: a change of its load was missed",
		      cpu);
}

/* A domain's sums are those of its cpus, and the least loaded of these is what is said. */
static void check_span(const struct fair_span *span)
{
	struct span_sums sums = { 0 };
	s32 least = NO_CPU;

	for (u32 cpu = 0; cpu < sim.machine.nr_cpus; cpu++) {
		const struct span_sums *own = &fair_spans[0][cpu].sums;

		if (!mask_test(&span->mask, (s32)cpu))
			continue;
		sums.load += own->load;
		sums.util += own->util;
		sums.runnable += own->runnable;
		sums.nr_running += own->nr_running;
		sums.h_nr_running += own->h_nr_running;
		if (least < 0 || own->load < fair_spans[0][least].sums.load)
			least = (s32)cpu;
	}
	check(same_sums(&sums, &span->sums), "fair: a domain's sums are not those of its cpus");
	check(span->least < 0 || span->least == least,
	      "fair: cpu %d isn't a domain's least loaded, but %d", span->least, least);
}

void fair_check(void)
{
	for (u32 level = 0; level < nr_levels; level++)
		for (u32 i = 0; i < fair_levels[level].nr_spans; i++)
			check_span(&fair_spans[level + 1][i]);
	for (u32 cpu = 0; cpu < sim.machine.nr_cpus; cpu++) {
		struct fair_queue *queue = &fair_rq((s32)cpu)->queue;
		u32 tasks = 0, runnable = 0;

		check_seen((s32)cpu);
		check_queue(queue);
		for (struct fair_group *group = fair_groups; group; group = group->next)
			if (group->queues[cpu]) {
				check_queue(group->queues[cpu]);
				tasks += group->queues[cpu]->h_nr_queued;
				runnable += group->queues[cpu]->h_nr_runnable;
			}
		check(queue->h_nr_runnable == cpu_rq((s32)cpu)->nr_running,
		      "fair: cpu %u: %u tasks are runnable, %u counted", cpu,
		      cpu_rq((s32)cpu)->nr_running, queue->h_nr_runnable);
		check(tasks <= queue->h_nr_queued && runnable <= queue->h_nr_runnable,
		      "fair: cpu %u: groups have more tasks than it has", cpu);
	}
}
#else

/* The file is empty in a release build; ISO C wants something in it. */
typedef int no_fair_checks;

#endif
