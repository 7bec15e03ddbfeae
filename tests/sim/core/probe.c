/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulator's core with a scheduling class that writes down every call it gets, and tasks that
 * do what a text says. Built and read by test_core.py; the text, line by line:
 *
 *   machine WORD…           a line of the machine file
 *   preempt | manual        every wake-up asks for a reschedule | no ticks, no reschedules of busy
 *                           cpus
 *   lazy CPU                which never picks a task
 *   work-conserving         as the option
 *   select CPU              select_task_rq answers this, whatever the task may use
 *   task NAME CPU MASK NICE PARENT|- ACT…
 *   at NS ACT…              at an instant, on no cpu
 *   until NS
 *
 * ACT: run:NS run:- (no end) sleep sleep:NS wake:NAME sync:NAME start:NAME yield exit loop;
 * nice:NAME:N cpus:NAME:MASK pin:NAME unpin:NAME higher:CPU lower:CPU error resched:CPU reset
 * lose:NAME (from its queue) charge:NS and, for manual runs, tick:CPU now:CPU end:CPU
 *
 * Out: `NS cpu CALL task what`, then the result's JSON.
 */
#include <stdlib.h>
#include <string.h>
#include "core.h"

#define MAX_ACTS 32
#define MAX_TASKS 64

struct acts {
	char *list[MAX_ACTS];
	u32 count, next;
};

static struct probe_task {
	char name[16], parent[16];
	struct task_params params;
	struct cpumask mask;
	struct acts acts;
	struct task *task;
} tasks[MAX_TASKS];

static struct acts timers[MAX_TASKS];
static u64 timer_at[MAX_TASKS];
static u32 nr_tasks, nr_timers;
static bool preempt;
static s32 answer = NO_CPU, lazy = NO_CPU;
static char machine_path[] = "/tmp/schedc-probe-XXXXXX";

static void say(s32 cpu, const char *call, const struct task *p, const char *what)
{
	printf("%llu %d %s %s %s\n", sim.now, cpu, call, p ? p->k.comm : "-", what);
}

static void say_flags(s32 cpu, const char *call, const struct task *p, u64 flags)
{
	char text[32];

	snprintf(text, sizeof(text), "%#llx", flags);
	say(cpu, call, p, text);
}

/* --- the class: fifo's, with an ear at every call -------------------------------------------------- */

static s32 probe_select(struct task *p, s32 prev_cpu, u64 flags)
{
	say_flags(prev_cpu, "select", p, flags);
	return answer >= 0 ? answer : fifo_class.select_task_rq(p, prev_cpu, flags);
}

static void probe_enqueue(struct rq *rq, struct task *p, u64 flags)
{
	say_flags(rq->cpu, "enqueue", p, flags);
	fifo_class.enqueue_task(rq, p, flags);
}

static void probe_dequeue(struct rq *rq, struct task *p, u64 flags)
{
	say_flags(rq->cpu, "dequeue", p, flags);
	fifo_class.dequeue_task(rq, p, flags);
}

static void probe_wakeup_preempt(struct rq *rq, struct task *p, u64 flags)
{
	say_flags(rq->cpu, "wakeup_preempt", p, flags);
	if (preempt) {
		rq->curr->k.scx.slice = 0;
		resched_curr(rq);
	}
}

static struct task *probe_pick(struct rq *rq, struct task *prev)
{
	struct task *next = rq->cpu == lazy ? NULL : fifo_class.pick_task(rq, prev);

	say(rq->cpu, "pick", next, prev ? (prev->k.on_rq ? "prev" : "blocked") : "idle");
	return next;
}

static void probe_put_prev(struct rq *rq, struct task *p, struct task *next)
{
	say(rq->cpu, "put_prev", p, next ? next->k.comm : "-");
	fifo_class.put_prev_task(rq, p, next);
}

static void probe_set_next(struct rq *rq, struct task *p)
{
	say(rq->cpu, "set_next", p, rq->curr ? rq->curr->k.comm : "-");
	fifo_class.set_next_task(rq, p);
}

static void probe_tick(struct rq *rq, struct task *p)
{
	say(rq->cpu, "tick", p, "");
	fifo_class.task_tick(rq, p);
}

static void probe_update_curr(struct rq *rq)
{
	say_flags(rq->cpu, "update_curr", rq->curr, rq->delta_exec);
	fifo_class.update_curr(rq);
}

static void probe_yield(struct rq *rq)
{
	say(rq->cpu, "yield", rq->curr, "");
	fifo_class.yield_task(rq);
}

static void probe_idle(struct rq *rq, bool idle, bool changed)
{
	say(rq->cpu, "update_idle", NULL, idle ? (changed ? "begins" : "still") : "ends");
}

static void probe_reweight(struct task *p)
{
	say(p->cpu, "reweight", p, "");
}

static void probe_prio(struct rq *rq, struct task *p, int old)
{
	say_flags(rq->cpu, "prio_changed", p, (u64)old);
}

static void probe_allowed(struct task *p)
{
	say(p->cpu, "set_cpus_allowed", p, "");
}

static void probe_balance(struct rq *rq)
{
	say(rq->cpu, "balance_tick", rq->curr, "");
}

static void probe_init_task(struct task *p)
{
	say(p->cpu, "init_task", p, "");
	fifo_class.init_task(p);
}

static void probe_exit_task(struct task *p)
{
	say(p->cpu, "exit_task", p, "");
}

static void probe_fini(void)
{
	say(-1, "fini", NULL, "");
}

static struct sched_class probe_class;

static void make_class(void)
{
	probe_class = fifo_class;
	probe_class.name = "probe";
	probe_class.fini = probe_fini;
	probe_class.init_task = probe_init_task;
	probe_class.exit_task = probe_exit_task;
	probe_class.select_task_rq = probe_select;
	probe_class.enqueue_task = probe_enqueue;
	probe_class.dequeue_task = probe_dequeue;
	probe_class.wakeup_preempt = probe_wakeup_preempt;
	probe_class.pick_task = probe_pick;
	probe_class.put_prev_task = probe_put_prev;
	probe_class.set_next_task = probe_set_next;
	probe_class.task_tick = probe_tick;
	probe_class.update_curr = probe_update_curr;
	probe_class.yield_task = probe_yield;
	probe_class.update_idle = probe_idle;
	probe_class.reweight_task = probe_reweight;
	probe_class.prio_changed = probe_prio;
	probe_class.set_cpus_allowed = probe_allowed;
	probe_class.balance_tick = probe_balance;
}

/* --- the driver ------------------------------------------------------------------------------------- */

static struct probe_task *find(const char *name)
{
	for (u32 i = 0; i < nr_tasks; i++)
		if (!strcmp(tasks[i].name, name))
			return &tasks[i];
	fail("no task '%s'", name);
}

static struct task *make(struct probe_task *t)
{
	t->params.parent = strcmp(t->parent, "-") ? find(t->parent)->task : NULL;
	t->params.allowed = &t->mask;
	t->params.driver = t;
	t->task = new_task(&t->params);
	return t->task;
}

static void act_on_task(struct task *by, const char *verb, struct probe_task *t, const char *value)
{
	struct cpumask mask = { { value ? strtoull(value, NULL, 16) : 0 } };

	if (!strcmp(verb, "wake"))
		wake_task(t->task, by, false);
	else if (!strcmp(verb, "sync"))
		wake_task(t->task, by, true);
	else if (!strcmp(verb, "start"))
		start_task(make(t));
	else if (!strcmp(verb, "nice"))
		set_user_nice(t->task, atoi(value));
	else if (!strcmp(verb, "cpus"))
		set_cpus_allowed(t->task, &mask);
	else if (!strcmp(verb, "pin"))
		migrate_disable(t->task);
	else if (!strcmp(verb, "lose"))
		fifo_class.dequeue_task(task_rq(t->task), t->task, 0);
	else if (!strcmp(verb, "unpin"))
		migrate_enable(t->task);
	else
		fail("no act '%s'", verb);
}

static void act_on_cpu(const char *verb, s32 cpu)
{
	if (!strcmp(verb, "higher"))
		higher_class(cpu_rq(cpu), true);
	else if (!strcmp(verb, "lower"))
		higher_class(cpu_rq(cpu), false);
	else if (!strcmp(verb, "resched"))
		resched_curr(cpu_rq(cpu));
	else if (!strcmp(verb, "tick"))
		tick_now(cpu_rq(cpu));
	else if (!strcmp(verb, "now"))
		resched_now(cpu_rq(cpu));
	else
		end_work(cpu_rq(cpu), NEXT_SLEEP);
}

static void act(struct task *by, const char *text)
{
	char copy[64], *rest = copy, *verb, *name, *value;

	snprintf(copy, sizeof(copy), "%s", text);
	verb = strsep(&rest, ":");
	name = strsep(&rest, ":");
	value = strsep(&rest, ":");
	if (!strcmp(verb, "error"))
		scheduler_error(1025, by, "a message of %s", "the scheduler");
	else if (!strcmp(verb, "reset"))
		metrics_reset();
	else if (!strcmp(verb, "charge"))
		charge_here(strtoull(name, NULL, 10));
	else if (name && name[0] >= '0' && name[0] <= '9')
		act_on_cpu(verb, atoi(name));
	else
		act_on_task(by, verb, find(name), value);
}

static enum next probe_work_done(struct task *p)
{
	struct probe_task *t = p->driver;

	for (;;) {
		const char *text;

		if (t->acts.next == t->acts.count)
			return NEXT_EXIT;
		text = t->acts.list[t->acts.next++];
		if (!strncmp(text, "run:", 4)) {
			p->work_left = text[4] == '-' ? FOREVER : strtoull(text + 4, NULL, 10);
			return NEXT_WORK;
		}
		if (!strncmp(text, "sleep:", 6))
			sleep_until(p, sim.now + strtoull(text + 6, NULL, 10));
		if (!strncmp(text, "sleep", 5))
			return NEXT_SLEEP;
		if (!strcmp(text, "yield"))
			return NEXT_YIELD;
		if (!strcmp(text, "exit"))
			return NEXT_EXIT;
		if (!strcmp(text, "loop"))
			t->acts.next = 0;
		else
			act(p, text);
	}
}

static void probe_timer(u64 cookie)
{
	for (u32 i = 0; i < timers[cookie].count; i++)
		act(NULL, timers[cookie].list[i]);
}

static void probe_start(void)
{
	for (u32 i = 0; i < nr_timers; i++)
		driver_timer(timer_at[i], i);
	for (u32 i = 0; i < nr_tasks; i++)
		if (!strcmp(tasks[i].parent, "-"))
			start_task(make(&tasks[i]));
}

static const struct driver probe_driver = {
	.name = "probe",
	.start = probe_start,
	.work_done = probe_work_done,
	.timer = probe_timer,
};

/* --- the text --------------------------------------------------------------------------------------- */

static void read_acts(struct acts *acts, char **rest)
{
	char *word;

	while ((word = strsep(rest, " ")))
		acts->list[acts->count++] = word;
}

static void read_task(char **rest)
{
	struct probe_task *t = &tasks[nr_tasks++];

	snprintf(t->name, sizeof(t->name), "%s", strsep(rest, " "));
	memcpy(t->params.comm, t->name, sizeof(t->name));
	t->params.cpu = atoi(strsep(rest, " "));
	t->mask.bits[0] = strtoull(strsep(rest, " "), NULL, 16);
	t->params.nice = atoi(strsep(rest, " "));
	snprintf(t->parent, sizeof(t->parent), "%s", strsep(rest, " "));
	read_acts(&t->acts, rest);
}

static void read_line(char *line, FILE *machine)
{
	char *rest = line, *verb = strsep(&rest, " ");

	if (!strcmp(verb, "machine")) {
		fprintf(machine, "%s\n", rest);
	} else if (!strcmp(verb, "task")) {
		read_task(&rest);
	} else if (!strcmp(verb, "at")) {
		timer_at[nr_timers] = strtoull(strsep(&rest, " "), NULL, 10);
		read_acts(&timers[nr_timers++], &rest);
	} else if (!strcmp(verb, "until")) {
		sim.options.until = strtoull(rest, NULL, 10);
	} else if (!strcmp(verb, "select")) {
		answer = atoi(rest);
	} else if (!strcmp(verb, "lazy")) {
		lazy = atoi(rest);
	} else {
		sim.options.work_conserving |= !strcmp(verb, "work-conserving");
		preempt = preempt || !strcmp(verb, "preempt");
		sim.manual = sim.manual || !strcmp(verb, "manual");
	}
}

int main(void)
{
	char *text = read_whole("-", NULL), *rest = text, *line;
	FILE *machine = fdopen(mkstemp(machine_path), "w");

	sim.options = (struct options){ .scheduler = "probe", .until = TIME_MAX, .seed = 1 };
	while ((line = strsep(&rest, "\n")))
		if (*line)
			read_line(line, machine);
	fclose(machine);
	machine_default();
	machine_read(machine_path);
	remove(machine_path);
	machine_settle();
	make_class();
	sim.first_class = sim.class = &probe_class;
	sim.driver = &probe_driver;
	probe_class.init();
	core_run();
	result_write(stdout);
	tasks_free();
	events_free();
	free(text);
	return 0;
}
