/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waits against bounds. For each wait the contenders are counted as assumption E1 says: A are the
 * cpus that may take the task from its queue; of that queue's tasks, waiting or running from it,
 * those that may run on a cpu of A; the most at a time, a cpu of A. That number can rise only when
 * a task is inserted, so it is looked at then.
 */
#include "adversary.h"
#include "sched_ext.h"

#define DIRECT MAX_QUEUES

/* The policy's queues have their number, from 1, above 16 bits of the domain (runtime.h). */
static u32 queue_number(u64 dsq)
{
	u64 number = (dsq >> 16) - 1;

	return dsq && number < MAX_QUEUES ? (u32)number : DIRECT;
}

static u64 cpus_of_domain(u32 domain, u64 member)
{
	const struct machine *m = &sim.machine;
	u64 cpus = 0;

	for (u32 cpu = 0; cpu < m->nr_cpus; cpu++) {
		u64 of[] = { member, cpu, m->llc_of[cpu], m->node_of[cpu], member };

		if (of[domain] == member)
			cpus |= 1ULL << cpu;
	}
	return cpus;
}

static u64 area_of(const struct task *p, u64 dsq)
{
	const struct watched *q = &adversary.queues[queue_number(dsq)];
	u64 allowed = p->k.cpus_ptr->bits[0];
	u64 area = allowed & cpus_of_domain(q->domain, dsq & 0xffff) & q->cpus;

	return area ? area : allowed;
}

static bool runnable(const struct task *p)
{
	return p->state == TASK_QUEUED || p->state == TASK_ON_CPU;
}

static bool contends(const struct actor *actor, u64 dsq, const struct watched *q, u64 area)
{
	const struct watched *own = &adversary.queues[queue_number(actor->queue)];

	if (!actor->task || !(actor->task->k.cpus_ptr->bits[0] & area))
		return false;
	if (q->flags & QUEUE_ALL_ALIVE)
		return true;
	if (!actor->queue || !runnable(actor->task))
		return false;
	return actor->queue == dsq || (q->family && q->family == own->family);
}

static u32 count(u64 dsq, u64 area)
{
	const struct watched *q = &adversary.queues[queue_number(dsq)];
	u32 found = 0;

	for (u32 i = 0; i < adversary.nr_actors; i++)
		found += contends(&adversary.actors[i], dsq, q, area);
	return found;
}

/* Somebody came: those who wait in the same queues have as many contenders as now, or had more. */
static void recount(u64 dsq)
{
	const struct watched *came = &adversary.queues[queue_number(dsq)];
	u64 last_dsq = 0, last_area = 0;
	u32 found = 0;

	for (u32 i = 0; i < adversary.nr_actors; i++) {
		struct actor *actor = &adversary.actors[i];
		const struct watched *q = &adversary.queues[queue_number(actor->queue)];

		if (!actor->queue || actor->task->state != TASK_QUEUED)
			continue;
		if (actor->queue != dsq && (!q->family || q->family != came->family))
			continue;
		if (actor->queue != last_dsq || actor->area != last_area)
			found = count(actor->queue, actor->area);
		last_dsq = actor->queue;
		last_area = actor->area;
		if (found > actor->most)
			actor->most = found;
	}
}

void watch_queued(struct task *p, u64 dsq)
{
	struct actor *actor = actor_of(p);
	bool first = actor->since != p->runnable_at || !actor->queue;

	if (actor->task != p)
		return;
	if (dsq & SCX_DSQ_FLAG_BUILTIN) {
		/* On from a queue, or straight to a cpu. */
		if (actor->since != p->runnable_at)
			actor->queue = 0;
		actor->since = p->runnable_at;
		return;
	}
	if (first || actor->queue != dsq)
		actor->most = 0;
	actor->queue = dsq;
	actor->since = p->runnable_at;
	actor->area = area_of(p, dsq);
	recount(dsq);
}

void watch_waited(struct task *p, u64 waited)
{
	const struct actor *actor = actor_of(p);
	u64 dsq = actor->since == p->runnable_at ? actor->queue : 0;
	struct watched *q = &adversary.queues[queue_number(dsq)];
	u32 cpus = q->flags & QUEUE_PACKED ? 1 : (u32)__builtin_popcountll(actor->area);
	struct wait wait = { waited, sim.now, 1, p->k.pid };
	u64 bound, ppm;

	if (actor->task != p)
		return;
	if (dsq && actor->most)
		wait.contenders = (actor->most + cpus - 1) / cpus;
	q->waits++;
	bound = q->a + q->b * wait.contenders;
	if (waited > q->longest.ns)
		q->longest = wait;
	ppm = q->bounded && bound ? waited * 1000000 / bound : 0;
	if (ppm > q->ppm || !q->worst.pid) {
		q->ppm = ppm;
		q->worst = wait;
	}
}

static void write_wait(FILE *out, const char *name, const struct wait *wait)
{
	fprintf(out, "\"%s\":{\"ns\":%llu,\"contenders\":%u,\"at_ns\":%llu,\"pid\":%d}", name,
		wait->ns, wait->contenders, wait->at, wait->pid);
}

/* Waits that haven't ended count with what they were so far. */
void watch_report(FILE *out)
{
	u64 until = sim.verdict.kind ? sim.verdict.at : sim.now;
	const char *comma = "";

	for (u32 i = 0; i < adversary.nr_actors; i++) {
		struct task *p = adversary.actors[i].task;

		if (p && p->state == TASK_QUEUED && p->runnable_at < until)
			watch_waited(p, until - p->runnable_at);
	}
	fputs("\"adversary\":[", out);
	for (u32 i = 0; i <= DIRECT; i++) {
		const struct watched *q = &adversary.queues[i];

		if (!q->waits)
			continue;
		fprintf(out, "%s{\"queue\":%d,\"waits\":%llu,\"ppm\":%llu,", comma,
			i == DIRECT ? -1 : (int)i, q->waits, q->ppm);
		write_wait(out, "worst", &q->worst);
		fputc(',', out);
		write_wait(out, "longest", &q->longest);
		fputc('}', out);
		comma = ",";
	}
	fputs("]", out);
}
