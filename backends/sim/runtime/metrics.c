/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a run measures of the whole machine, and the result: one JSON object on stdout, its keys
 * always in the same order, whole numbers only, shares in parts per million.
 */
#include <stdlib.h>
#include "core.h"
#include "histogram.h"

#define PPM 1000000ULL

/* A driver's group; for the share of cpu time since warm-up. */
struct group_totals {
	u64 tasks, cpu_ns, wait_max, wait_sum, runs;
};

static struct {
	struct histogram wait, latency;
	u64 longest_wait;
	u64 started;			/* when warm-up was over */
	u64 switches, preemptions, migrations, idle_wakeups, busy_ns;	/* up to then */
	u64 *exec;			/* of each task then, by pid - 1 */
	u32 nr_exec;
} metrics;

static void end_wait(struct task *p, u64 waited)
{
	p->waited_sum += waited;
	if (waited > p->waited_max)
		p->waited_max = waited;
	if (waited > metrics.longest_wait)
		metrics.longest_wait = waited;
	hist_add(&metrics.wait, waited);
}

/* Latency is until the task's own work goes on: what is to be paid first counts. */
void metrics_switch(struct task *p)
{
	u64 waited = sim.now - p->runnable_at;

	end_wait(p, waited);
	if (sim.driver->waited)
		sim.driver->waited(p, waited);
	if (!p->woken)
		return;
	p->woken = false;
	hist_add(&metrics.latency, sim.now + p->overhead_left - p->woken_at);
}

static u64 total_switches(void)
{
	u64 sum = 0;

	for (u32 cpu = 0; cpu < sim.machine.nr_cpus; cpu++)
		sum += cpu_rq((s32)cpu)->switches;
	return sum;
}

static u64 total_busy(void)
{
	u64 sum = 0;

	for (u32 cpu = 0; cpu < sim.machine.nr_cpus; cpu++) {
		const struct rq *rq = cpu_rq((s32)cpu);

		sum += rq->busy_ns;
		if (rq->curr || rq->higher_class)
			sum += sim.now - rq->busy_since;
	}
	return sum;
}

void metrics_reset(void)
{
	metrics.wait = metrics.latency = (struct histogram){ 0 };
	metrics.started = sim.now;
	metrics.switches = total_switches();
	metrics.preemptions = sim.nr_preemptions;
	metrics.migrations = sim.nr_migrations;
	metrics.idle_wakeups = sim.nr_idle_wakeups;
	metrics.busy_ns = total_busy();
	metrics.nr_exec = sim.nr_tasks;
	metrics.exec = realloc(metrics.exec, (sim.nr_tasks + 1) * sizeof(u64));
	if (!metrics.exec)
		fail("out of memory");
	for (u32 i = 0; i < sim.nr_tasks; i++) {
		struct task *p = sim.tasks[i];

		if (p->state == TASK_ON_CPU)
			update_curr(task_rq(p));
		metrics.exec[i] = p->k.se.sum_exec_runtime;
		p->waited_max = p->waited_sum = p->runs = 0;
	}
}

static u64 cpu_time(const struct task *p)
{
	u32 i = (u32)p->k.pid - 1;

	return p->k.se.sum_exec_runtime - (i < metrics.nr_exec ? metrics.exec[i] : 0);
}

/*
 * Jain's index of what tasks got that never slept: each one's cpu time a second of its life, over
 * its weight. 1 if all got the same; 1/n if one of n got everything. Nobody to compare: 1.
 */
static u64 fairness(void)
{
	unsigned __int128 sum = 0, squares = 0;
	u64 count = 0;

	for (u32 i = 0; i < sim.nr_tasks; i++) {
		const struct task *p = sim.tasks[i];
		u64 from = p->born_at > metrics.started ? p->born_at : metrics.started;
		u64 until = p->state == TASK_DEAD ? p->died_at : sim.now, share;

		if (p->sleeps || until <= from || p->state == TASK_NEW)
			continue;
		share = (u64)((unsigned __int128)cpu_time(p) * PPM * 1024 / (until - from)) /
			nice_to_weight(p->k.static_prio - 120);
		sum += share;
		squares += (unsigned __int128)share * share;
		count++;
	}
	return squares ? (u64)(sum * sum * PPM / (squares * count)) : PPM;
}

/* --- the result ------------------------------------------------------------------------------- */

static void write_string(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			fprintf(out, "\\u%04x", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

static void write_verdict(FILE *out)
{
	const struct verdict *v = &sim.verdict;

	fprintf(out, "\"verdict\":{\"kind\":%u,\"code\":%lld,\"at_ns\":%llu,\"reason\":", v->kind,
		v->code, v->at);
	write_string(out, v->reason);
	fputs(",\"message\":", out);
	write_string(out, v->message);
	fprintf(out, ",\"victim\":%u}", v->victim);
}

static void write_values(FILE *out)
{
	u64 span = (sim.now - metrics.started) * sim.machine.nr_cpus;
	u64 busy = total_busy() - metrics.busy_ns;

	fprintf(out, "\"values\":{\"longest_wait\":%llu,\"utilisation\":%llu,",
		metrics.longest_wait, span ? (u64)((unsigned __int128)busy * PPM / span) : 0);
	fprintf(out, "\"context_switches\":%llu,\"preemptions\":%llu,\"migrations\":%llu,",
		total_switches() - metrics.switches, sim.nr_preemptions - metrics.preemptions,
		sim.nr_migrations - metrics.migrations);
	fprintf(out, "\"idle_wakeups\":%llu,\"fairness\":%llu}",
		sim.nr_idle_wakeups - metrics.idle_wakeups, fairness());
}

static void write_groups(FILE *out)
{
	u32 count = 0;
	struct group_totals *totals;
	const char *comma = "";

	for (u32 i = 0; i < sim.nr_tasks; i++)
		count = sim.tasks[i]->group >= count ? sim.tasks[i]->group + 1 : count;
	totals = allocate((count + 1) * sizeof(*totals));
	for (u32 i = 0; i < sim.nr_tasks; i++) {
		const struct task *p = sim.tasks[i];
		struct group_totals *group = &totals[p->group];

		group->tasks++;
		group->cpu_ns += cpu_time(p);
		group->wait_sum += p->waited_sum;
		group->runs += p->runs;
		if (p->waited_max > group->wait_max)
			group->wait_max = p->waited_max;
	}
	fputs("\"groups\":[", out);
	for (u32 i = 0; i < count; i++) {
		const char *name = sim.driver->group_name ? sim.driver->group_name(i) : NULL;

		if (!totals[i].tasks && !name)
			continue;
		fprintf(out, "%s{\"name\":", comma);
		write_string(out, name ? name : "");
		fprintf(out, ",\"tasks\":%llu,\"cpu_ns\":%llu,\"wait_max_ns\":%llu,",
			totals[i].tasks, totals[i].cpu_ns, totals[i].wait_max);
		fprintf(out, "\"wait_sum_ns\":%llu,\"runs\":%llu}", totals[i].wait_sum,
			totals[i].runs);
		comma = ",";
	}
	fputs("]", out);
	free(totals);
}

/* A wait that hasn't ended counts with what it was so far: a starved task can't vanish. */
static void end_open_waits(void)
{
	for (u32 i = 0; i < sim.nr_tasks; i++)
		if (sim.tasks[i]->state == TASK_QUEUED)
			end_wait(sim.tasks[i], sim.now - sim.tasks[i]->runnable_at);
}

void result_write(FILE *out)
{
	end_open_waits();
	fputs("{\"version\":1,\"scheduler\":", out);
	write_string(out, sim.options.scheduler);
	fprintf(out, ",\"seed\":%llu,\"ended_ns\":%llu,\"events\":%llu,", sim.options.seed, sim.now,
		sim.events);
	write_verdict(out);
	fputs(",\"histograms\":{", out);
	hist_json(out, "wait", &metrics.wait);
	fputc(',', out);
	hist_json(out, "latency", &metrics.latency);
	fputs("},", out);
	write_values(out);
	fputc(',', out);
	write_groups(out);
	if (sim.driver->report) {
		fputc(',', out);
		sim.driver->report(out);
	}
	fputs(",\"counters\":", out);
	if (sim.first_class->report && sim.options.counters)
		sim.first_class->report(out);
	else
		fputs("null", out);
	fputs("}\n", out);
	free(metrics.exec);
}
