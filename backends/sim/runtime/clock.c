/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the work of running tasks advances: at the cpu's capacity, slower while siblings are busy.
 * Costs (overhead_left) are times as measured, so they pass at full speed, and before work does.
 *
 * The event at which work is done may come too early, as costs were added after it was armed; then
 * it is armed again. It never comes too late: whoever speeds a cpu up arms it anew.
 */
#include "core.h"

void clock_advance(struct rq *rq)
{
	struct task *p = rq->curr;
	u64 elapsed = sim.now - rq->speed_since, overhead;

	rq->speed_since = sim.now;
	if (!p || !elapsed)
		return;
	overhead = elapsed < p->overhead_left ? elapsed : p->overhead_left;
	p->overhead_left -= overhead;
	elapsed -= overhead;
	p->idle_calls = 0;
	if (p->work_left == FOREVER)
		return;
	if (rq->speed != 1024) {
		u64 done = elapsed * rq->speed + rq->speed_rest;

		elapsed = done >> 10;
		rq->speed_rest = done & 1023;
	}
	p->work_left -= elapsed < p->work_left ? elapsed : p->work_left;
}

static u64 time_to_do(const struct rq *rq, u64 work)
{
	if (rq->speed == 1024 || !work)
		return work;
	return ((work << 10) - rq->speed_rest + rq->speed - 1) / rq->speed;
}

void clock_arm(struct rq *rq)
{
	const struct task *p = rq->curr;
	u64 at;

	if (p->work_left == FOREVER) {
		clock_stop(rq);
		return;
	}
	at = sim.now + p->overhead_left + time_to_do(rq, p->work_left);
	if (rq->work_event)
		rq->work_event = event_move(rq->work_event, at);
	else
		rq->work_event = event_arm(at, work_done_event, (u64)rq->cpu);
}

void clock_stop(struct rq *rq)
{
	if (rq->work_event)
		event_cancel(rq->work_event);
	rq->work_event = 0;
}

static bool busy(const struct rq *rq)
{
	return rq->curr || rq->higher_class;
}

static void set_speed(struct rq *rq)
{
	const struct machine *m = &sim.machine;
	u32 speed = m->capacity[rq->cpu];

	for (u32 cpu = rq->sibling; cpu != (u32)rq->cpu; cpu = cpu_rq((s32)cpu)->sibling) {
		if (!busy(cpu_rq((s32)cpu)))
			continue;
		speed = speed * m->smt_speed / 1000;
		break;
	}
	speed = speed ? speed : 1;
	if (speed == rq->speed)
		return;
	clock_advance(rq);
	rq->speed = speed;
	rq->speed_rest = 0;
	if (rq->work_event)
		clock_arm(rq);
}

void clock_busy(struct rq *rq, bool begins)
{
	if (begins)
		rq->busy_since = sim.now;
	else
		rq->busy_ns += sim.now - rq->busy_since;
	if (rq->sibling == (u32)rq->cpu)
		return;
	set_speed(rq);
	for (u32 cpu = rq->sibling; cpu != (u32)rq->cpu; cpu = cpu_rq((s32)cpu)->sibling)
		set_speed(cpu_rq((s32)cpu));
}
