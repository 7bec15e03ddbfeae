/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver that does what a script says (script.h), and watches who runs.
 *
 * Here the script plays the timer: nothing ends a stint but a step. Costs are nothing, so all that
 * follows from a step happens at its instant; a step is looked at, and the next one done, once no
 * event of that instant is left. A timer of the policy that is due then comes before the step.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "script.h"
#include "script_show.h"

struct script_run script_run = { .wrong_cpu = NOBODY, .expected = NOBODY, .seen = NOBODY };

static void script_event(u64 argument);

__attribute__((format(printf, 1, 2)))
static void differs(const char *format, ...)
{
	va_list args;

	if (script_run.differs[0])
		return;
	va_start(args, format);
	vsnprintf(script_run.differs, sizeof(script_run.differs), format, args);
	va_end(args);
	script_run.over = true;
}

static struct task *task_at(s32 number)
{
	struct task *p = script_run.tasks[number];

	if (!p)
		differs("task %d was never forked", number);
	return p;
}

s32 script_number(const struct task *p)
{
	return p ? (s32)(size_t)p->driver : NOBODY;
}

/* --- steps ------------------------------------------------------------------------------------ */

static void act_fork(const struct script_step *s)
{
	const struct script_profile *profile = &script.profiles[s->profile];
	struct task_params params = {
		.nice = profile->nice,
		.cgroup = profile->cgroup,
		.cgroup_weight = profile->cgroup_weight,
		.tgid = profile->tgid,
		.uid = profile->uid,
		.kthread = profile->kthread,
		.allowed = &profile->cpus,
		.driver = (void *)(size_t)s->task,
		.cpu = s->cpu,
	};
	struct task *p;

	memcpy(params.comm, profile->comm, sizeof(params.comm));
	p = new_task(&params);
	p->work_left = FOREVER;
	script_run.tasks[s->task] = p;
	start_task(p);
}

static void act_wake(const struct script_step *s)
{
	struct task *p = task_at(s->task);

	if (!p)
		return;
	if (p->state != TASK_ASLEEP)
		differs("task %d does not sleep", s->task);
	else
		wake_task(p, s->waker == NOBODY ? NULL : script_run.tasks[s->waker], s->sync);
}

static void act_stop(const struct script_step *s)
{
	struct rq *rq = cpu_rq(s->cpu);

	if (s->task == NOBODY ? rq->curr != NULL : rq->curr != script_run.tasks[s->task]) {
		differs("task %d is not on cpu %d", s->task, s->cpu);
		return;
	}
	switch (s->how) {
	case HOW_SLICE:
		update_curr(rq);
		if (rq->curr->k.scx.slice)
			differs("%llu ns of the slice are left", rq->curr->k.scx.slice);
		else
			resched_now(rq);
		break;
	case HOW_SLEEP:
		end_work(rq, NEXT_SLEEP);
		break;
	case HOW_YIELD:
		end_work(rq, NEXT_YIELD);
		break;
	case HOW_EXIT:
		end_work(rq, NEXT_EXIT);
		break;
	case HOW_RT:
		higher_class(rq, true);
		break;
	}
}

/* The cpu on which a step happens: the kernel runs there then. */
static s32 acting_cpu(const struct script_step *s)
{
	const struct task *p;

	switch (s->act) {
	case ACT_FORK:
	case ACT_STOP:
	case ACT_BACK:
	case ACT_TICK:
		return s->cpu;
	case ACT_WAKE:
	case ACT_AFFINITY:
	case ACT_NICE:
		p = script_run.tasks[s->waker == NOBODY ? s->task : s->waker];
		return p ? p->cpu : NO_CPU;
	default:
		return NO_CPU;
	}
}

static void act(const struct script_step *s)
{
	struct task *p;

	sim.this_cpu = acting_cpu(s);
	switch (s->act) {
	case ACT_FORK:
		act_fork(s);
		break;
	case ACT_WAKE:
		act_wake(s);
		break;
	case ACT_STOP:
		act_stop(s);
		break;
	case ACT_BACK:
		higher_class(cpu_rq(s->cpu), false);
		break;
	case ACT_TICK:
		if (cpu_rq(s->cpu)->curr)
			tick_now(cpu_rq(s->cpu));
		else
			differs("nobody is on cpu %d", s->cpu);
		break;
	case ACT_AFFINITY:
		p = task_at(s->task);
		if (p)
			set_cpus_allowed(p, &s->cpus);
		break;
	case ACT_NICE:
		p = task_at(s->task);
		if (p)
			set_user_nice(p, s->nice);
		break;
	case ACT_COMM:
		p = task_at(s->task);
		if (p)
			set_comm(p, s->comm);
		break;
	case ACT_PASS:
		break;
	}
}

/* --- after a step ----------------------------------------------------------------------------- */

/* Who runs where, against what the script says. */
static void compare(const struct script_step *s)
{
	for (u32 cpu = 0; s->runs && cpu < sim.machine.nr_cpus; cpu++) {
		s32 seen = script_number(cpu_rq((s32)cpu)->curr);

		if (seen == s->runs[cpu])
			continue;
		script_run.wrong_cpu = (s32)cpu;
		script_run.seen = seen;
		script_run.expected = s->runs[cpu];
		differs("cpu %u runs another task", cpu);
	}
}

/* How long the victim has waited; 0 if it does not wait. */
static u64 victim_waited(void)
{
	const struct task *p = script.victim == NOBODY ? NULL : script_run.tasks[script.victim];

	return p && p->state == TASK_QUEUED ? sim.now - p->runnable_at : 0;
}

static void measure(void)
{
	const struct task *p;

	script_run.waited = victim_waited();
	if (script.victim == NOBODY || script_run.done <= script.since)
		return;
	p = script_run.tasks[script.victim];
	if (p && p->state == TASK_ON_CPU)
		differs("the victim runs");
}

/* Whether the state after the present step is to be told. */
static bool shown(const struct script_block *block)
{
	if (script_run.over || !block->show)
		return script_run.over;
	return !script_run.turn || (block->show == 2 && script_run.turn + 1 == block->times);
}

/* Go to the next step; the script may be over then. */
static void step_on(void)
{
	const struct script_block *block = &script.blocks[script_run.block];
	bool enough = script_run.waited > script.promise;

	if (!block->times && enough) {
		script_run.turns = script_run.turn + 1;
		script_run.over = true;
		return;
	}
	if (++script_run.step < block->count)
		return;
	script_run.step = 0;
	if (++script_run.turn < block->times || !block->times)
		return;
	script_run.turn = 0;
	if (++script_run.block == script.nr_blocks)
		script_run.over = true;
}

static void look_back(const struct script_step *s)
{
	script_run.done++;
	compare(s);
	measure();
	if (sim.verdict.kind)
		script_run.over = true;
	if (shown(&script.blocks[script_run.block]))
		script_show(s);
	if (!script_run.over)
		step_on();
}

static void script_event(u64 argument)
{
	const struct script_step *s;

	(void)argument;
	/* All else that is due now comes first: what follows from a step, and timers. */
	if (events_next() <= sim.now) {
		event_arm(sim.now, script_event, 0);
		return;
	}
	if (script_run.acted) {
		script_run.acted = false;
		look_back(&script.steps[script.blocks[script_run.block].first + script_run.step]);
	}
	if (script_run.over) {
		sim.finished = true;
		return;
	}
	s = &script.steps[script.blocks[script_run.block].first + script_run.step];
	if (!script_run.waiting) {
		script_run.waiting = true;
		script_run.at += s->after;
		event_arm(script_run.at, script_event, 0);
		return;
	}
	script_run.waiting = false;
	script_run.acted = true;
	act(s);
	event_arm(sim.now, script_event, 0);
}

/* --- the driver ------------------------------------------------------------------------------- */

static void script_start(void)
{
	script_run.tasks = calloc(script.nr_tasks + 1, sizeof(*script_run.tasks));
	if (!script_run.tasks)
		abort();
	script_run.at = script.start;
	script_run.over = !script.nr_blocks;
	event_arm(script.start, script_event, 0);
}

/* Work has no end here: nobody asks. */
static enum next script_work_done(struct task *p)
{
	p->work_left = FOREVER;
	return NEXT_WORK;
}

const struct driver script_driver = {
	.name = "script",
	.start = script_start,
	.work_done = script_work_done,
	.report = script_report,
};
