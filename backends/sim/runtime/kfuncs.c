/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a scheduler may ask of sched_ext, with the kernel's checks in the kernel's words. Which
 * callbacks may call what goes by kinds of callbacks, as in the kernel; that creating a queue may
 * sleep is its verifier's rule, and checked here when it is broken.
 */
#include <stdlib.h>
#include <string.h>
#include "ext.h"

static u32 call_mask(void)
{
	return current_call ? current_call->mask : 0;
}

static bool allowed(u32 mask)
{
	if (!(call_mask() & mask)) {
		scx_error("kfunc with mask 0x%x called from an operation only allowing 0x%x", mask,
			  call_mask());
		return false;
	}
	if (mask == KF_CPU_RELEASE && call_mask() & ~(2u * KF_CPU_RELEASE - 1)) {
		scx_error("cpu_release kfunc called from a nested operation");
		return false;
	}
	if (mask == KF_DISPATCH && call_mask() & ~(2u * KF_DISPATCH - 1)) {
		scx_error("dispatch kfunc called from a nested operation");
		return false;
	}
	return true;
}

static bool cpu_valid(s32 cpu)
{
	if (cpu >= 0 && cpu < (s32)sim.machine.nr_cpus)
		return true;
	scx_error("invalid CPU %d", cpu);
	return false;
}

/* --- inserting -------------------------------------------------------------------------------- */

static bool may_insert(const struct task_struct *p, u64 enq_flags)
{
	if (!allowed(KF_ENQUEUE | KF_DISPATCH))
		return false;
	if (!p) {
		scx_error("called with NULL task");
		return false;
	}
	if (enq_flags & __SCX_ENQ_INTERNAL_MASK) {
		scx_error("invalid enq_flags 0x%llx", enq_flags);
		return false;
	}
	return true;
}

static void mark_direct(struct task *p, u64 dsq_id, u64 enq_flags)
{
	struct task *direct = sch.direct;

	sch.direct = DIRECT_DONE;
	if (direct == p) {
		p->ext->ddsp_dsq_id = dsq_id;
		p->ext->ddsp_enq_flags = enq_flags;
	} else if (direct == DIRECT_DONE) {
		scx_error("%s[%d] already direct-dispatched", p->k.comm, p->k.pid);
	} else {
		scx_error("scheduling for %s[%d] but trying to direct-dispatch %s[%d]",
			  direct->k.comm, direct->k.pid, p->k.comm, p->k.pid);
	}
}

static void insert(struct task_struct *k, u64 dsq_id, u64 slice, u64 enq_flags)
{
	struct task *p = task_of(k);

	if (slice)
		k->scx.slice = slice;
	else if (!k->scx.slice)
		k->scx.slice = 1;
	if (sch.direct) {
		mark_direct(p, dsq_id, enq_flags);
		return;
	}
	if (sch.buffered >= sch.batch) {
		scx_error("dispatch buffer overflow");
		return;
	}
	/* A task that isn't sched_ext's, or isn't yet, is dropped when the buffer is flushed. */
	sch.buffer[sch.buffered++] = (struct dispatch_entry){
		.p = p, .qseq = p->ext ? p->ext->qseq : 0, .dsq_id = dsq_id, .enq_flags = enq_flags,
	};
}

void scx_bpf_dsq_insert(struct task_struct *p, u64 dsq_id, u64 slice, u64 enq_flags)
{
	if (may_insert(p, enq_flags))
		insert(p, dsq_id, slice, enq_flags);
}

void scx_bpf_dsq_insert_vtime(struct task_struct *p, u64 dsq_id, u64 slice, u64 vtime,
			      u64 enq_flags)
{
	if (!may_insert(p, enq_flags))
		return;
	p->scx.dsq_vtime = vtime;
	insert(p, dsq_id, slice, enq_flags | SCX_ENQ_DSQ_PRIQ);
}

/* --- dispatching ------------------------------------------------------------------------------ */

u32 scx_bpf_dispatch_nr_slots(void)
{
	return allowed(KF_DISPATCH) ? sch.batch - sch.buffered : 0;
}

void scx_bpf_dispatch_cancel(void)
{
	if (!allowed(KF_DISPATCH))
		return;
	if (sch.buffered)
		sch.buffered--;
	else
		scx_error("dispatch buffer underflow");
}

bool scx_bpf_dsq_move_to_local(u64 dsq_id)
{
	struct dispatch_q *dsq;

	if (!allowed(KF_DISPATCH))
		return false;
	if (sch.buffered)
		flush_dispatch_buffer();
	dsq = dsq_find(dsq_id);
	if (!dsq) {
		scx_error("invalid DSQ ID 0x%016llx", dsq_id);
		return false;
	}
	if (!dsq->nr || sch.bypass || !consume(cpu_rq(sch.dispatching), dsq))
		return false;
	sch.nr_dispatched++;
	return true;
}

u32 scx_bpf_reenqueue_local(void)
{
	struct list_node taken;
	struct rq *rq = cpu_rq(this_cpu());
	struct ext_task *e;
	u32 nr = 0;

	if (!allowed(KF_CPU_RELEASE))
		return 0;
	list_init(&taken);
	while ((e = dsq_first(&rq->ext->local))) {
		dsq_unlink(e);
		list_add_tail(&taken, &e->node.link);
	}
	while (!list_empty(&taken)) {
		e = container_of(taken.next, struct ext_task, node.link);
		list_del(&e->node.link);
		do_enqueue(rq, e->p, SCX_ENQ_REENQ);
		nr++;
	}
	return nr;
}

/* --- queues ----------------------------------------------------------------------------------- */

s32 scx_bpf_create_dsq(u64 dsq_id, s32 node)
{
	if (call_mask()) {
		scx_error("scx_bpf_create_dsq() may sleep, which ops.%s() may not",
			  current_callback);
		return -EINVAL;
	}
	if (node >= (s32)sim.machine.nr_nodes || (node < 0 && node != NUMA_NO_NODE))
		return -EINVAL;
	if (dsq_id & SCX_DSQ_FLAG_BUILTIN)
		return -EINVAL;
	return dsq_create(dsq_id);
}

void scx_bpf_destroy_dsq(u64 dsq_id)
{
	dsq_destroy(dsq_id);
}

s32 scx_bpf_dsq_nr_queued(u64 dsq_id)
{
	struct dispatch_q *dsq;

	if (dsq_id == SCX_DSQ_LOCAL)
		return (s32)cpu_rq(this_cpu())->ext->local.nr;
	if ((dsq_id & SCX_DSQ_LOCAL_ON) == SCX_DSQ_LOCAL_ON) {
		s32 cpu = dsq_id & SCX_DSQ_LOCAL_CPU_MASK;

		return cpu_valid(cpu) ? (s32)cpu_rq(cpu)->ext->local.nr : -ENOENT;
	}
	dsq = dsq_find(dsq_id);
	return dsq ? (s32)dsq->nr : -ENOENT;
}

struct task_struct *scx_bpf_dsq_peek(u64 dsq_id)
{
	struct dispatch_q *dsq;
	struct ext_task *e;

	if (dsq_id & SCX_DSQ_FLAG_BUILTIN) {
		scx_error("peek disallowed on builtin DSQ 0x%llx", dsq_id);
		return NULL;
	}
	dsq = dsq_find(dsq_id);
	if (!dsq) {
		scx_error("peek on non-existent DSQ 0x%llx", dsq_id);
		return NULL;
	}
	e = dsq_first(dsq);
	return e ? &e->p->k : NULL;
}

/* --- walking a queue -------------------------------------------------------------------------- */

/*
 * A policy's iterator names one of these by number, so that one that it forgets to close, or
 * scribbles over, does no harm. It stands on the list behind the task that it gave last.
 */
#define MAX_CURSORS 64

static struct cursor {
	struct dsq_node node;
	struct dispatch_q *dsq;
	u64 slice, vtime;
	bool backwards, has_slice, has_vtime;
} cursors[MAX_CURSORS];

static struct cursor *cursor_of(struct bpf_iter_scx_dsq *it)
{
	u64 number = it->opaque[0];

	if (!number || number > open_cursors || !cursors[number - 1].dsq)
		return NULL;
	return &cursors[number - 1];
}

void close_cursors(u32 down_to)
{
	while (open_cursors > down_to) {
		struct cursor *cursor = &cursors[--open_cursors];

		if (cursor->dsq)
			list_del(&cursor->node.link);
		cursor->dsq = NULL;
	}
}

int bpf_iter_scx_dsq_new(struct bpf_iter_scx_dsq *it, u64 dsq_id, u64 flags)
{
	struct dispatch_q *dsq = dsq_find(dsq_id);
	struct cursor *cursor;

	it->opaque[0] = 0;
	if (flags & ~(u64)SCX_DSQ_ITER_REV)
		return -EINVAL;
	if (!dsq)
		return -ENOENT;
	if (open_cursors >= MAX_CURSORS) {
		scx_error("ops.%s() has left more than %d iterators open", current_callback,
			  MAX_CURSORS);
		return -ENOMEM;
	}
	cursor = &cursors[open_cursors++];
	*cursor = (struct cursor){ .dsq = dsq, .backwards = flags & SCX_DSQ_ITER_REV };
	cursor->node.is_cursor = true;
	cursor->node.seq = dsq->seq;
	list_init(&cursor->node.link);
	it->opaque[0] = open_cursors;
	return 0;
}

struct task_struct *bpf_iter_scx_dsq_next(struct bpf_iter_scx_dsq *it)
{
	struct cursor *cursor = cursor_of(it);
	struct dsq_node *at;
	struct ext_task *e;

	if (!cursor || !cursor->dsq->nr)
		return NULL;
	at = list_empty(&cursor->node.link) ? NULL : &cursor->node;
	do {
		e = dsq_after(cursor->dsq, at, cursor->backwards);
		at = e ? &e->node : NULL;
	} while (e && (s32)(cursor->node.seq - e->node.seq) < 0);
	list_del(&cursor->node.link);
	if (!e)
		return NULL;
	list_add_after(cursor->backwards ? e->node.link.prev : &e->node.link, &cursor->node.link);
	return &e->p->k;
}

void bpf_iter_scx_dsq_destroy(struct bpf_iter_scx_dsq *it)
{
	struct cursor *cursor = cursor_of(it);

	if (!cursor)
		return;
	list_del(&cursor->node.link);
	cursor->dsq = NULL;
	it->opaque[0] = 0;
	while (open_cursors && !cursors[open_cursors - 1].dsq)
		open_cursors--;
}

void scx_bpf_dsq_move_set_slice(struct bpf_iter_scx_dsq *it, u64 slice)
{
	struct cursor *cursor = cursor_of(it);

	if (cursor) {
		cursor->slice = slice;
		cursor->has_slice = true;
	}
}

void scx_bpf_dsq_move_set_vtime(struct bpf_iter_scx_dsq *it, u64 vtime)
{
	struct cursor *cursor = cursor_of(it);

	if (cursor) {
		cursor->vtime = vtime;
		cursor->has_vtime = true;
	}
}

static bool move(struct bpf_iter_scx_dsq *it, struct task_struct *k, u64 dsq_id, u64 enq_flags)
{
	struct cursor *cursor = cursor_of(it);
	struct ext_task *e = k ? task_of(k)->ext : NULL;
	bool has_slice, has_vtime;
	struct dispatch_q *to;

	if (call_mask() && !allowed(KF_DISPATCH))
		return false;
	if (!cursor || sch.bypass)
		return false;
	has_slice = cursor->has_slice;
	has_vtime = cursor->has_vtime;
	cursor->has_slice = cursor->has_vtime = false;
	if (!e || e->dsq != cursor->dsq || (s32)(cursor->node.seq - e->node.seq) < 0)
		return false;
	to = find_dsq(e->p, dsq_id, this_cpu());
	/* Off its queue first: a new key would put it out of order there. */
	if (has_slice)
		k->scx.slice = cursor->slice;
	move_between(e->p, to, enq_flags, has_vtime ? &cursor->vtime : NULL);
	return true;
}

bool scx_bpf_dsq_move(struct bpf_iter_scx_dsq *it, struct task_struct *p, u64 dsq_id, u64 enq_flags)
{
	return move(it, p, dsq_id, enq_flags);
}

bool scx_bpf_dsq_move_vtime(struct bpf_iter_scx_dsq *it, struct task_struct *p, u64 dsq_id,
			    u64 enq_flags)
{
	return move(it, p, dsq_id, enq_flags | SCX_ENQ_DSQ_PRIQ);
}
