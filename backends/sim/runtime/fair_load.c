/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Per-entity load tracking (kernel/sched/pelt.c): how much of the time something was runnable or
 * ran, where what was 32 ms ago counts half. In the kernel's integers: periods of 1024 us, decay by
 * a table of y^n in 2^-32. Differences to the kernel:
 *  - time isn't scaled by a cpu's capacity or frequency (no sched_pelt invariance);
 *  - `runnable` is kept for tasks and for cpus, not for groups: balancing asks nobody else;
 *  - a task that leaves a cpu takes its load off at once; the kernel does so at the next update.
 */
#include "fair.h"

#define PERIOD 1024U
#define HALF_LIFE 32U			/* periods */
#define LOAD_MAX 47742ULL		/* the sum of a signal that is always on */

static const u32 decay_table[HALF_LIFE] = {
	0xffffffff, 0xfa83b2da, 0xf5257d14, 0xefe4b99a, 0xeac0c6e6, 0xe5b906e6, 0xe0ccdeeb,
	0xdbfbb796, 0xd744fcc9, 0xd2a81d91, 0xce248c14, 0xc9b9bd85, 0xc5672a10, 0xc12c4cc9,
	0xbd08a39e, 0xb8fbaf46, 0xb504f333, 0xb123f581, 0xad583ee9, 0xa9a15ab4, 0xa5fed6a9,
	0xa2704302, 0x9ef5325f, 0x9b8d39b9, 0x9837f050, 0x94f4efa8, 0x91c3d373, 0x8ea4398a,
	0x8b95c1e3, 0x88980e80, 0x85aac367, 0x82cd8698,
};

static u64 decay(u64 value, u64 periods)
{
	if (periods > HALF_LIFE * 63)
		return 0;
	value >>= periods / HALF_LIFE;
	return (u64)((unsigned __int128)value * decay_table[periods % HALF_LIFE] >> 32);
}

/* What a signal that was on all the time adds over some whole periods and the rests around. */
static u64 segments(u64 periods, u32 before, u32 after)
{
	return decay(before, periods) + LOAD_MAX - decay(LOAD_MAX, periods) - PERIOD + after;
}

static u64 divider(const struct fair_avg *avg)
{
	return LOAD_MAX - PERIOD + avg->period_contrib;
}

/*
 * Bring the sums up to now. load, runnable, running: the signals' heights since last time. False:
 * no period has ended since, and the averages stay as they are.
 */
static bool accumulate(struct fair_avg *avg, u64 load, u64 runnable, bool running)
{
	u64 delta = (sim.now - avg->last_update) >> 10, contrib, periods;

	if (!delta)
		return false;
	avg->last_update += delta << 10;
	contrib = delta;
	delta += avg->period_contrib;
	periods = delta / PERIOD;
	if (periods) {
		avg->load_sum = decay(avg->load_sum, periods);
		avg->runnable_sum = decay(avg->runnable_sum, periods);
		avg->util_sum = decay(avg->util_sum, periods);
		delta %= PERIOD;
		contrib = segments(periods, PERIOD - avg->period_contrib, (u32)delta);
	}
	avg->period_contrib = (u32)delta;
	avg->load_sum += load * contrib;
	avg->runnable_sum += runnable * contrib << 10;
	if (running)
		avg->util_sum += contrib << 10;
	return periods > 0;
}

static void averages(struct fair_avg *avg, u64 weight)
{
	u64 d = divider(avg);

	avg->load = weight * avg->load_sum / d;
	avg->runnable = avg->runnable_sum / d;
	avg->util = avg->util_sum / d;
}

static u64 weight_down(u64 weight)
{
	weight >>= NICE_0_SHIFT;
	return weight > 2 ? weight : 2;
}

static u64 sub_positive(u64 a, u64 b)
{
	return a > b ? a - b : 0;
}

/* --- groups ----------------------------------------------------------------------------------- */

/* Tell the group of this queue's load: at most once a ms, and only changes of more than 1/64. */
static void tell_group(struct fair_queue *queue)
{
	s64 delta = (s64)(queue->avg.load - queue->contrib);

	if (!queue->group || sim.now - queue->contrib_at < NSEC_MSEC)
		return;
	if ((u64)(delta < 0 ? -delta : delta) <= queue->contrib / 64)
		return;
	queue->group->load += (u64)delta;
	queue->contrib = queue->avg.load;
	queue->contrib_at = sim.now;
}

/* The group's weight on this cpu: its shares times this cpu's part of its load. */
static u64 group_share(const struct fair_queue *queue)
{
	u64 load = queue->weight >> NICE_0_SHIFT, total, share;

	if (load < queue->avg.load)
		load = queue->avg.load;
	total = queue->group->load - queue->contrib + load;
	share = queue->group->shares * load;
	if (total)
		share /= total;
	if (share < MIN_SHARES)
		return MIN_SHARES;
	return share < queue->group->shares ? share : queue->group->shares;
}

void update_group_share(struct fair_se *se)
{
	u64 share;

	/* An empty group keeps its weight: it may be in the queue still (DELAY_DEQUEUE). */
	if (!se->owned || !se->owned->weight)
		return;
	share = group_share(se->owned);
	if (share != se->weight)
		reweight_entity(se->queue, se, share);
}

/* --- updates ---------------------------------------------------------------------------------- */

void update_queue_load(struct fair_queue *queue)
{
	u64 weight = queue->weight >> NICE_0_SHIFT;
	bool running = queue->curr && queue->curr->on_rq;

	if (accumulate(&queue->avg, weight, queue->group ? 0 : queue->h_nr_runnable, running))
		averages(&queue->avg, 1);
	tell_group(queue);
}

/* Called before on_rq, weight, curr of entity or queue change. */
void update_load(struct fair_queue *queue, struct fair_se *se)
{
	struct fair_avg *avg = &se->avg;

	if (!se->task || se->task->attached == queue) {
		bool running = queue->curr == se;

		if (accumulate(avg, se->on_rq, se->on_rq && !se->sched_delayed, running))
			averages(avg, weight_down(se->weight));
	}
	update_queue_load(queue);
}

/* A new task counts as always runnable until it has shown otherwise. */
void load_init_task(struct fair_task *t)
{
	t->se.avg.load = weight_down(t->se.weight);
}

/* post_init_entity_util_avg(): a new task is thought to use half of what the cpu has left. */
static void guess_util(struct fair_queue *queue, struct fair_se *se)
{
	struct fair_avg *cpu = &queue->rq->queue.avg;
	u64 capacity = sim.machine.capacity[queue->rq->rq->cpu];
	u64 cap = sub_positive(capacity, queue->avg.util) / 2, util = cap;

	if (!cap)
		return;
	if (cpu->util) {
		util = queue->avg.util * weight_down(se->weight) / (queue->avg.load + 1);
		if (util > cap)
			util = cap;
	}
	se->avg.util = se->avg.runnable = util;
}

/* A group's entity goes along with what its queue gains or loses by a task that comes or goes. */
static void propagate(struct fair_queue *queue, s64 load_sum)
{
	struct fair_se *se = queue->se;
	struct fair_queue *cpu;
	u64 sum, old_load, old_util;

	if (!se)
		return;
	cpu = &queue->rq->queue;
	update_load(cpu, se);
	old_load = se->avg.load;
	old_util = se->avg.util;
	if (load_sum >= 0) {
		sum = se->avg.load_sum + (u64)load_sum;
		if (sum > divider(&se->avg))
			sum = divider(&se->avg);
	} else {
		sum = queue->weight ? queue->avg.load_sum / weight_down(queue->weight) : 0;
		if (sum > se->avg.load_sum)
			sum = se->avg.load_sum;
	}
	se->avg.load_sum = sum;
	se->avg.util_sum = queue->avg.util * divider(&se->avg);
	averages(&se->avg, weight_down(se->weight));
	cpu->avg.load_sum = sub_positive(cpu->avg.load_sum + se->avg.load * divider(&cpu->avg),
					 old_load * divider(&cpu->avg));
	cpu->avg.util_sum = sub_positive(cpu->avg.util_sum + se->avg.util * divider(&cpu->avg),
					 old_util * divider(&cpu->avg));
	averages(&cpu->avg, 1);
}

/* A task comes to a queue with the load that it has. */
void attach_load(struct fair_queue *queue, struct fair_task *t)
{
	struct fair_avg *avg = &t->se.avg, *to = &queue->avg, *cpu = &queue->rq->queue.avg;
	u64 d, weight = weight_down(t->se.weight);

	update_queue_load(queue);
	if (queue->group)
		update_queue_load(&queue->rq->queue);
	if (!t->was_attached)
		guess_util(queue, &t->se);
	t->was_attached = true;
	avg->last_update = to->last_update;
	avg->period_contrib = to->period_contrib;
	d = divider(to);
	avg->util_sum = avg->util * d;
	avg->runnable_sum = avg->runnable * d;
	avg->load_sum = avg->load * d / weight;
	to->load_sum += avg->load_sum * weight;
	to->util_sum += avg->util_sum;
	cpu->runnable_sum += avg->runnable * divider(cpu);
	averages(to, 1);
	averages(cpu, 1);
	mask_set(&fair_changed, queue->rq->rq->cpu);
	t->attached = queue;
	propagate(queue, (s64)avg->load_sum);
	tell_group(queue);
}

void detach_load(struct fair_task *t)
{
	struct fair_queue *queue = t->attached;
	struct fair_avg *avg = &t->se.avg, *from, *cpu;

	if (!queue)
		return;
	from = &queue->avg;
	cpu = &queue->rq->queue.avg;
	update_load(queue, &t->se);
	if (queue->group)
		update_queue_load(&queue->rq->queue);
	from->load_sum = sub_positive(from->load_sum, avg->load * divider(from));
	from->util_sum = sub_positive(from->util_sum, avg->util * divider(from));
	cpu->runnable_sum = sub_positive(cpu->runnable_sum, avg->runnable * divider(cpu));
	averages(from, 1);
	averages(cpu, 1);
	mask_set(&fair_changed, queue->rq->rq->cpu);
	t->attached = NULL;
	propagate(queue, -(s64)avg->load_sum);
	tell_group(queue);
}

void reweight_load(struct fair_queue *queue, struct fair_se *se, u64 weight)
{
	u64 old = se->avg.load;
	bool counted = queue && (!se->task || se->task->attached == queue);

	if (counted)
		update_load(queue, se);
	se->weight = weight;
	if (se->task && !se->task->was_attached) {
		load_init_task(se->task);
		return;
	}
	averages(&se->avg, weight_down(weight));
	if (!counted)
		return;
	queue->avg.load_sum = sub_positive(queue->avg.load_sum +
					   se->avg.load * divider(&queue->avg),
					   old * divider(&queue->avg));
	averages(&queue->avg, 1);
	mask_set(&fair_changed, queue->rq->rq->cpu);
}

/* sched_balance_update_blocked_averages(): sleepers' load fades, also where nothing happens. */
void update_blocked_load(struct fair_rq *fr)
{
	update_queue_load(&fr->queue);
	for (struct fair_group *group = fair_groups; group; group = group->next) {
		struct fair_queue *queue = group->queues[fr->rq->cpu];

		if (!queue || (!queue->avg.load && !queue->contrib))
			continue;
		update_queue_load(queue);
		update_load(&fr->queue, queue->se);
	}
}

/* --- what placement and balancing ask --------------------------------------------------------- */

u64 cpu_load(s32 cpu)
{
	struct fair_queue *queue = &fair_rq(cpu)->queue;

	update_queue_load(queue);
	return queue->avg.load;
}

u64 cpu_util(s32 cpu)
{
	u64 util = fair_rq(cpu)->queue.avg.util, capacity = sim.machine.capacity[cpu];

	return util < capacity ? util : capacity;
}

u64 cpu_runnable(s32 cpu)
{
	return fair_rq(cpu)->queue.avg.runnable;
}

/* A task's part of its cpu's load: in a group, its part of the group's. */
u64 task_h_load(struct fair_task *t)
{
	struct fair_queue *queue = t->attached;

	if (!queue || !queue->se)
		return t->se.avg.load;
	return t->se.avg.load * queue->se->avg.load / (queue->avg.load + 1);
}
