/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe.c with the fair class in place of fifo's: what it says of a call is the state of the task's
 * entity after it. Two more kinds of line:
 *
 *   slice NAME NS           its own slice (sched_setattr()'s sched_runtime)
 *   cgroup NAME ID WEIGHT
 */
#include "core.h"
#include "fair.h"

#define fifo_class fair_class
#define main probe_main
#include "probe.c"
#undef main

static struct {
	const char *name;
	u64 slice, cgroup;
	u32 weight;
} extras[MAX_TASKS];
static u32 nr_extras;

static void say_entity(s32 cpu, const char *call, const struct task *p)
{
	const struct fair_se *se = &p->fair->se;
	char text[400];

	snprintf(text, sizeof(text), "on_rq=%d delayed=%d curr=%d vruntime=%lld deadline=%lld "
		 "vprot=%lld vlag=%lld slice=%llu weight=%llu V=%lld group=%llu load=%llu "
		 "util=%llu",
		 se->on_rq, se->sched_delayed, se->queue && se->queue->curr == se,
		 (s64)se->vruntime, (s64)se->deadline, (s64)se->vprot, se->vlag, se->slice,
		 se->weight >> NICE_0_SHIFT, se->queue ? (s64)avg_vruntime(se->queue) : 0,
		 se->queue && se->queue->se ? se->queue->se->weight >> NICE_0_SHIFT : 0,
		 se->avg.load, se->avg.util);
	say(cpu, call, p, text);
}

static void eevdf_enqueue(struct rq *rq, struct task *p, u64 flags)
{
	fair_class.enqueue_task(rq, p, flags);
	say_entity(rq->cpu, flags & ENQUEUE_MIGRATING ? "attach" : "enqueue", p);
}

static void eevdf_dequeue(struct rq *rq, struct task *p, u64 flags)
{
	fair_class.dequeue_task(rq, p, flags);
	say_entity(rq->cpu, flags & DEQUEUE_MIGRATING ? "detach" : "dequeue", p);
}

static void eevdf_set_next(struct rq *rq, struct task *p)
{
	fair_class.set_next_task(rq, p);
	say_entity(rq->cpu, "run", p);
}

static void eevdf_put_prev(struct rq *rq, struct task *p, struct task *next)
{
	fair_class.put_prev_task(rq, p, next);
	say_entity(rq->cpu, "put", p);
}

static void eevdf_tick(struct rq *rq, struct task *p)
{
	fair_class.task_tick(rq, p);
	say_entity(rq->cpu, "tick", p);
}

static void eevdf_yield(struct rq *rq)
{
	fair_class.yield_task(rq);
	say_entity(rq->cpu, "yield", rq->curr);
}

static s32 eevdf_select(struct task *p, s32 prev, u64 flags)
{
	s32 cpu = fair_class.select_task_rq(p, prev, flags);

	say_entity(cpu, "select", p);
	return cpu;
}

static void eevdf_init_task(struct task *p)
{
	fair_class.init_task(p);
	for (u32 i = 0; i < nr_extras; i++)
		if (!strcmp(extras[i].name, p->k.comm) && extras[i].slice) {
			p->fair->se.slice = extras[i].slice;
			p->fair->se.custom_slice = true;
		}
}

static void read_extra(char *line)
{
	bool slice = !strncmp(line, "slice", 5);

	strsep(&line, " ");
	extras[nr_extras].name = strsep(&line, " ");
	if (slice) {
		extras[nr_extras].slice = strtoull(strsep(&line, " "), NULL, 10);
	} else {
		extras[nr_extras].cgroup = strtoull(strsep(&line, " "), NULL, 10);
		extras[nr_extras].weight = (u32)atoi(strsep(&line, " "));
	}
	nr_extras++;
}

static void put_in_groups(void)
{
	for (u32 i = 0; i < nr_extras; i++)
		if (extras[i].cgroup) {
			find(extras[i].name)->params.cgroup = extras[i].cgroup;
			find(extras[i].name)->params.cgroup_weight = extras[i].weight;
		}
}

int main(void)
{
	char *text = read_whole("-", NULL), *rest = text, *line;
	FILE *machine = fdopen(mkstemp(machine_path), "w");

	sim.options = (struct options){ .scheduler = "eevdf", .until = TIME_MAX, .seed = 1 };
	while ((line = strsep(&rest, "\n"))) {
		if (!strncmp(line, "slice", 5) || !strncmp(line, "cgroup", 6))
			read_extra(line);
		else if (*line)
			read_line(line, machine);
	}
	put_in_groups();
	fclose(machine);
	machine_default();
	machine_read(machine_path);
	remove(machine_path);
	machine_settle();
	make_class();
	probe_class = fair_class;
	probe_class.init_task = eevdf_init_task;
	probe_class.select_task_rq = eevdf_select;
	probe_class.enqueue_task = eevdf_enqueue;
	probe_class.dequeue_task = eevdf_dequeue;
	probe_class.put_prev_task = eevdf_put_prev;
	probe_class.set_next_task = eevdf_set_next;
	probe_class.task_tick = eevdf_tick;
	probe_class.yield_task = eevdf_yield;
	sim.first_class = sim.class = &probe_class;
	sim.driver = &probe_driver;
	probe_class.init();
	core_run();
	result_write(stdout);
	probe_class.fini();
	tasks_free();
	events_free();
	free(text);
	return 0;
}
