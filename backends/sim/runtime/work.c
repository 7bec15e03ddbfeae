// SPDX-License-Identifier: Apache-2.0
/*
 * Runs a plan: each task goes through its group's phases; core.c asks for the next one when work is
 * done and after each sleep.
 */
#include <stdlib.h>
#include <string.h>

#include "work.h"
#include "work_state.h"

/* A turn of the phases that takes no time at all still costs its task this much work. */
#define EMPTY_TURN 1000

enum timer { TIMER_WINDOW_START, TIMER_END };

struct work work;

void *work_alloc(size_t count, size_t size)
{
	void *memory = calloc(count ? count : 1, size);

	if (!memory) {
		fputs("schedc-sim: no memory\n", stderr);
		exit(2);
	}
	return memory;
}

int work_load(const char *text, size_t length, char *error, size_t size)
{
	return plan_parse(&work.plan, text, length, error, size);
}

/* --- tasks --------------------------------------------------------------------------------------- */

static void allowed_cpus(const struct plan_group *group, u32 cpu, struct cpumask *mask)
{
	memset(mask, 0, sizeof *mask);
	if (group->own_cpu && cpu != PLAN_NONE)
		mask_set(mask, (s32)(cpu % sim.machine.nr_cpus));
	else
		for (u32 i = 0; i < PLAN_MAX_CPUS / 64; i++)
			mask->bits[i] = group->cpus[i] & sim.all_cpus.bits[i];
	/* Cpus that this machine hasn't got: any will do, as for a cpu set that ran empty. */
	if (!mask_weight(mask))
		*mask = sim.all_cpus;
}

static struct doer *make(u32 group, const struct plan_place *place, u32 cpu, struct doer *forker)
{
	const struct plan_group *g = &work.plan.groups[group];
	struct doer *d = work_alloc(1, sizeof *d);
	struct task_params params = {
		.nice = g->nice,
		.cgroup = g->cgroup[0] ? work_cgroup(g->cgroup) : 0,
		.cgroup_weight = g->cgroup_weight,
		.kthread = g->kthread,
		.group = group,
		.driver = d,
		.parent = forker ? forker->task : NULL,
	};
	struct cpumask allowed;

	memcpy(params.comm, g->comm, sizeof params.comm);
	if (g->own_cpu || g->some_cpus) {
		allowed_cpus(g, cpu, &allowed);
		params.allowed = &allowed;
	}
	if (!g->process && !g->kthread)
		params.tgid = forker ? (u32)forker->task->k.tgid : work.leader;
	d->group = g;
	d->place = *place;
	d->forker = forker;
	d->born = sim.now;
	d->all = work.doers;
	work.doers = d;
	work.alive++;
	work.jobs += measure_is_job(g->role);
	d->task = new_task(&params);
	if (!work.leader && params.tgid == 0 && !g->process && !g->kthread)
		work.leader = (u32)d->task->k.pid;
	return d;
}

static void snapshot(struct task *p)
{
	if (p->state == TASK_ON_CPU)
		update_curr(task_rq(p));
}

static void window_begins(void)
{
	metrics_reset();
	for (struct doer *d = work.doers; d; d = d->all) {
		snapshot(d->task);
		d->cpu_before = d->task->k.se.sum_exec_runtime;
	}
}

/* --- the end ------------------------------------------------------------------------------------- */

/* Waits, wake-ups and marks that are open now count with their time so far. */
static void close_task(struct doer *d)
{
	const struct phase *mark = measure_open(d->group);
	const struct phase *phase = &d->group->phases[d->phase];
	struct task *p = d->task;

	snapshot(p);
	work.measures.group_cpu[d->task->group] += p->k.se.sum_exec_runtime - d->cpu_before;
	if (d->ended)
		return;
	if (p->state == TASK_QUEUED)
		measure_wait(&work.measures, d->group->role, sim.now - p->runnable_at);
	bool woken = phase->kind == PHASE_WAIT ? d->given : d->stage;

	if (phase->measured && woken && d->due < sim.now)
		measure_wakeup(&work.measures, sim.now - d->due);
	if (mark && d->stamped && d->stamp < sim.now)
		measure_censored(&work.measures, mark, sim.now - d->stamp);
}

static void finish(void)
{
	if (work.ended)
		return;
	work.ended = true;
	sim.finished = true;
	if (sim.now > work.window_start)
		work.measures.window = sim.now - work.window_start;
	for (struct doer *d = work.doers; d; d = d->all)
		close_task(d);
	for (u32 i = 0; i < work.plan.nr_channels; i++) {
		const struct channel *c = &work.channels[i];

		for (u32 j = 0; c->mark && j < c->count; j++)
			measure_censored(&work.measures, c->mark,
					 sim.now - c->posts[(c->head + j) & (c->room - 1)].stamp);
	}
}

static void end_task(struct doer *d)
{
	d->ended = true;
	work.alive--;
	if (in_window() && d->forker)
		measure_life(&work.measures, sim.now - d->born);
	if (measure_is_job(d->group->role))
		measure_job(&work.measures, d->group->role, sim.now - work.released);
	work_leave_barriers(d);
	if (d->forker && --d->forker->children == 0 && d->forker->joining) {
		d->forker->joining = false;
		wake_task(d->forker->task, d->task, false);
	}
	bool jobs_done = work.jobs && work.measures.done == work.jobs;

	if (!work.alive || (jobs_done && !work.plan.duration))
		finish();
}

/* --- phases -------------------------------------------------------------------------------------- */

static enum step do_sleep(struct doer *d, const struct phase *phase)
{
	if (d->stage == 0) {
		u64 time = draw(&phase->time, &d->stream);

		if (phase->kind != PHASE_SLEEP) {
			d->schedule += time;
			if (phase->kind == PHASE_INTERVAL && d->schedule < sim.now)
				d->schedule = sim.now;
			d->due = d->stamp = d->schedule;
			d->stamped = true;
		} else {
			d->due = sim.now + time;
		}
		d->stage = 1;
		if (d->due > sim.now) {
			sleep_until(d->task, d->due);
			return STEP_SLEEP;
		}
	} else if (sim.now < d->due) {
		return STEP_SLEEP;
	}
	if (phase->measured && in_window())
		measure_wakeup(&work.measures, sim.now - d->due);
	return STEP_ON;
}

/* Each is a system call: its cost passes, and its child may preempt, before the next. */
static enum step do_fork(struct doer *d, const struct phase *phase)
{
	d->left = d->stage ? d->left : phase->count;
	d->stage = 1;
	if (!d->left)
		return STEP_ON;
	struct plan_place place = plan_forked(&d->place, phase->target);
	struct doer *child = make(phase->target, &place, PLAN_NONE, d);

	child->stream = draw_bits(&d->stream);
	d->children++;
	d->left--;
	start_task(child->task);
	return STEP_AGAIN;
}

static enum step do_mark(struct doer *d, const struct phase *phase)
{
	if (d->stamped && in_window())
		measure_mark(&work.measures, phase, sim.now - d->stamp);
	d->stamped = false;
	return STEP_ON;
}

static enum step do_phase(struct doer *d, const struct phase *phase)
{
	switch (phase->kind) {
	case PHASE_RUN:
		d->task->work_left = draw(&phase->time, &d->stream);
		return d->task->work_left ? STEP_WORK : STEP_ON;
	case PHASE_SLEEP:
	case PHASE_PERIOD:
	case PHASE_INTERVAL:
		return do_sleep(d, phase);
	case PHASE_WAIT:
		return work_wait(d, phase);
	case PHASE_WAKE:
		return work_wake(d, phase);
	case PHASE_FORK:
		return do_fork(d, phase);
	case PHASE_JOIN:
		d->joining = d->children != 0;
		return d->joining ? STEP_SLEEP : STEP_ON;
	case PHASE_EXIT:
		return STEP_EXIT;
	case PHASE_BARRIER:
		return work_barrier(d, phase);
	case PHASE_LOCK:
		return work_lock(d, phase);
	case PHASE_UNLOCK:
		return work_unlock(d, phase);
	case PHASE_MARK:
		return do_mark(d, phase);
	case PHASE_COUNT:
		if (in_window())
			measure_count(&work.measures, phase->counter);
		return STEP_ON;
	case PHASE_STAMP:
		d->stamp = sim.now;
		d->stamped = true;
		return STEP_ON;
	case PHASE_YIELD:
		d->task->work_left = 1;
		return STEP_YIELD;
	}
	return STEP_EXIT;
}

static bool next_phase(struct doer *d)
{
	d->stage = 0;
	if (++d->phase < d->group->nr_phases)
		return true;
	d->phase = 0;
	d->loop++;
	return d->group->loops == PLAN_FOREVER || d->loop < d->group->loops;
}

static enum next work_done(struct task *p)
{
	struct doer *d = p->driver;
	u32 turns = 0;

	if (plan_only_works(d->group)) {
		p->work_left = FOREVER;
		return NEXT_WORK;
	}
	if (!d->begun) {
		d->begun = true;
		d->schedule = sim.now + d->group->delay;
		if (d->group->delay) {
			sleep_until(p, d->schedule);
			return NEXT_SLEEP;
		}
	}
	if (d->loop >= d->group->loops) {
		end_task(d);
		return NEXT_EXIT;
	}
	for (;;) {
		enum step step = do_phase(d, &d->group->phases[d->phase]);

		if (step == STEP_SLEEP || step == STEP_AGAIN)
			return step == STEP_SLEEP ? NEXT_SLEEP : NEXT_WORK;
		bool more = step != STEP_EXIT && next_phase(d);

		if (!more && step != STEP_WORK && step != STEP_YIELD) {
			end_task(d);
			return NEXT_EXIT;
		}
		if (step == STEP_YIELD || step == STEP_WORK)
			return step == STEP_YIELD ? NEXT_YIELD : NEXT_WORK;
		if (d->phase == 0 && ++turns == 2) {
			p->work_left = EMPTY_TURN;
			return NEXT_WORK;
		}
	}
}

/* --- the driver ---------------------------------------------------------------------------------- */

static void make_channels(void)
{
	const struct plan *plan = &work.plan;

	work.channels = work_alloc(plan->nr_channels, sizeof *work.channels);
	for (u32 i = 0; i < plan->nr_line_channels; i++) {
		const struct plan_channel *line = &plan->channels[i];

		for (u32 j = 0; j < line->count; j++) {
			struct channel *c = &work.channels[line->base + j];

			line_init(&c->takers);
			line_init(&c->givers);
			c->capacity = line->capacity;
			c->keep = line->keep;
			c->mark = measure_of_channel(plan, i);
		}
	}
}

static void start(void)
{
	const struct plan *plan = &work.plan;
	uint64_t stream = draw_stream(plan->seed, PLAN_NONE, PLAN_NONE);

	/* A program begins at any moment between two ticks, and not at one. */
	if (sim.machine.any_phase)
		sim.machine.tick_phase = draw_bits(&stream) % sim.machine.tick_ns;

	work.measures.group_cpu = work_alloc(plan->nr_groups, sizeof *work.measures.group_cpu);
	work.locks = work_alloc(plan->nr_locks, sizeof *work.locks);
	work.barriers = work_alloc(plan->nr_barriers, sizeof *work.barriers);
	make_channels();
	for (u32 i = 0; i < plan->nr_locks; i++)
		line_init(&work.locks[i].line);
	for (u32 i = 0; i < plan->nr_barriers; i++) {
		line_init(&work.barriers[i].line);
		work.barriers[i].parties = plan->barriers[i];
	}
	work.window_start = plan->warmup;
	work.window_end = plan->duration ? plan->warmup + plan->duration : TIME_MAX;
	if (plan->warmup)
		driver_timer(plan->warmup, TIMER_WINDOW_START);
	driver_timer(plan->duration ? work.window_end : plan->limit, TIMER_END);
	for (u32 i = 0; i < plan->nr_tasks; i++) {
		const struct plan_task *t = &plan->tasks[i];
		struct plan_place place = plan_place(plan, t);
		struct doer *d = make(t->group, &place, t->cpu, NULL);

		d->stream = draw_stream(plan->seed, t->group, t->instance);
		start_task(d->task);
	}
}

static void timer(u64 cookie)
{
	if (cookie == TIMER_WINDOW_START)
		window_begins();
	else
		finish();
}

static void waited(struct task *p, u64 time)
{
	const struct doer *d = p->driver;

	if (in_window())
		measure_wait(&work.measures, d->group->role, time);
}

static const char *group_name(u32 group)
{
	return group < work.plan.nr_groups ? work.plan.groups[group].name : NULL;
}

static void report(FILE *out)
{
	finish();
	fputs("\"workload\":", out);
	measures_json(out, &work.plan, &work.measures, work.jobs);
}

const struct driver work_driver = {
	.name = "work",
	.start = start,
	.work_done = work_done,
	.timer = timer,
	.waited = waited,
	.group_name = group_name,
	.cgroup_parent = work_cgroup_parent,
	.cgroup_weight = work_cgroup_weight,
	.report = report,
};
