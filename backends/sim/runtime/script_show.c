/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a script's run tells, as JSON:
 *
 *   "script":{"steps":n,"turns":n,"waited_ns":n,"differs":null or {…},"states":[state,…]}
 *   state: {"step":n,"turn":n,"at":ns,"runs":[[task,slice] or null, by cpu],
 *           "queues":[[queue,cpu,[[task,key,slice],…]],…]}
 *
 * `step` counts the lines of steps from 0. A queue is told by its id, those in it in their order,
 * empty ones are left out; `cpu` is that of a local queue, else -1. A slice is what is left of it.
 */
#include <stdlib.h>
#include "script_show.h"
#include "ext.h"

/* The states so far, as text. */
static FILE *states;
static char *text;
static size_t length;

/* A queue with all who wait in it, from its first task on. */
static void show_queue(struct dispatch_q *dsq)
{
	struct ext_task *e = dsq_first(dsq);

	fprintf(states, "[%llu,%d,[", dsq->id, dsq->cpu);
	for (const char *comma = ""; e; e = dsq_after(dsq, &e->node, false), comma = ",")
		fprintf(states, "%s[%d,%lld,%llu]", comma, script_number(e->p),
			(s64)e->p->k.scx.dsq_vtime, e->p->k.scx.slice);
	fputs("]]", states);
}

/* Each queue that isn't empty has one first task. */
static void show_queues(void)
{
	const char *comma = "";

	for (u32 i = 0; i < sim.nr_tasks; i++) {
		struct ext_task *e = sim.tasks[i]->ext;

		if (sim.tasks[i]->state == TASK_DEAD || !e || !e->dsq || dsq_first(e->dsq) != e)
			continue;
		fputs(comma, states);
		show_queue(e->dsq);
		comma = ",";
	}
}

static void show_cpus(void)
{
	for (u32 cpu = 0; cpu < sim.machine.nr_cpus; cpu++) {
		struct rq *rq = cpu_rq((s32)cpu);

		if (cpu)
			fputc(',', states);
		if (!rq->curr) {
			fputs("null", states);
			continue;
		}
		update_curr(rq);
		fprintf(states, "[%d,%llu]", script_number(rq->curr), rq->curr->k.scx.slice);
	}
}

void script_show(const struct script_step *s)
{
	if (!states)
		states = open_memstream(&text, &length);
	else
		fputc(',', states);
	if (!states)
		abort();
	fprintf(states, "\n{\"step\":%lld,\"turn\":%llu,\"at\":%llu,\"runs\":[",
		(s64)(s - script.steps), script_run.turn, sim.now);
	show_cpus();
	fputs("],\"queues\":[", states);
	if (sim.class == &ext_class)
		show_queues();
	fputs("]}", states);
}

static void report_difference(FILE *out)
{
	if (!script_run.differs[0]) {
		fputs("null", out);
		return;
	}
	fprintf(out, "{\"why\":\"%s\",\"cpu\":%d,\"expected\":%d,\"seen\":%d}", script_run.differs,
		script_run.wrong_cpu, script_run.expected, script_run.seen);
}

void script_report(FILE *out)
{
	fprintf(out, "\"script\":{\"steps\":%llu,\"turns\":%llu,\"waited_ns\":%llu,\"differs\":",
		script_run.done, script_run.turns, script_run.waited);
	report_difference(out);
	fputs(",\"states\":[", out);
	if (states) {
		fclose(states);
		fputs(text, out);
		free(text);
	}
	fputs("]}", out);
}
