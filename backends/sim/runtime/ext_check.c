/* SPDX-License-Identifier: Apache-2.0 */
/* What a debug build looks at after each event: each task is on one queue, and callbacks are over. */
#include "ext.h"

#ifdef SIM_DEBUG
s32 ext_queue_of(const struct task *p)
{
	const struct ext_task *e = p->ext;

	if (!e || !(p->k.scx.flags & SCX_TASK_QUEUED))
		return LOST;
	if (!list_empty(&e->deferred) || e->ops_state == OPSS_QUEUED)
		return IN_SHARED_QUEUE;
	if (!e->dsq)
		return LOST;
	return e->dsq->id == SCX_DSQ_LOCAL ? e->dsq->cpu : IN_SHARED_QUEUE;
}

static void check_queue(struct dispatch_q *dsq)
{
	u32 nr = 0;

	for (struct ext_task *e = dsq_first(dsq); e; e = dsq_after(dsq, &e->node, false)) {
		if (e->dsq != dsq || (dsq->cpu >= 0 && e->p->cpu != dsq->cpu))
			fail("%s[%d] is on another queue than it knows", e->p->k.comm, e->p->k.pid);
		nr++;
	}
	if (nr != dsq->nr)
		fail("queue 0x%llx has %u tasks and counts %u", dsq->id, nr, dsq->nr);
}

void ext_check(void)
{
	for (u32 cpu = 0; cpu < sim.machine.nr_cpus; cpu++)
		check_queue(&ext_rqs[cpu].local);
	for (u32 node = 0; node < sim.machine.nr_nodes; node++)
		check_queue(&sch.global[node]);
	if (current_call || open_cursors || sch.direct || sch.buffered)
		fail("a callback has left something open");
}
#endif
