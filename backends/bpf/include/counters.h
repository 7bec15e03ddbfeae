/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Counters of each class and queue, and the histogram of waits. Included where the classes, the
 * queues and struct task_ctx (its `queued_at` and `cls`) are known.
 */
#ifndef SCHEDC_COUNTERS_H
#define SCHEDC_COUNTERS_H

#define WAIT_BUCKETS 32

/* False lets the verifier cut all counting out of the program. */
const volatile bool counters = true;

struct class_counters {
	u64 enqueued;
	u64 direct;
	u64 run;
	u64 preempted;
	u64 ran_ns;
	u64 wait_ns;
	u64 wait_max_ns;
	u64 pad;
	u64 wait_hist[WAIT_BUCKETS];
};

struct queue_counters {
	u64 inserted;
	u64 taken;
	u64 stolen;
	u64 skipped;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, NR_CLASSES);
	__type(key, u32);
	__type(value, struct class_counters);
} class_stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, NR_QUEUES);
	__type(key, u32);
	__type(value, struct queue_counters);
} queue_stats SEC(".maps");

/* The task begins to wait: in a queue or, with NR_QUEUES for it, behind a claimed cpu. */
static __always_inline void count_insert(struct task_ctx *t, u32 cls, u32 queue)
{
	struct class_counters *s = bpf_map_lookup_elem(&class_stats, &cls);
	struct queue_counters *q;

	if (!t || !s)
		return;
	t->queued_at = scx_bpf_now();
	t->cls = cls;
	s->enqueued++;
	if (queue >= NR_QUEUES) {
		s->direct++;
		return;
	}
	q = bpf_map_lookup_elem(&queue_stats, &queue);
	if (q)
		q->inserted++;
}

/* The task's wait ends. Bucket i holds waits with floor(log2(ns)) == i + 6; the ends hold the rest. */
static __always_inline void count_run(struct task_ctx *t)
{
	struct class_counters *s;
	u32 cls, bucket;
	s64 waited;

	/* A task that the kernel ran by itself, as while schedulers change, has not waited for us. */
	if (!t || !t->queued_at)
		return;
	cls = t->cls;
	s = bpf_map_lookup_elem(&class_stats, &cls);
	if (!s)
		return;
	waited = sub_sat(scx_bpf_now(), t->queued_at);
	bucket = clamp(log2(waited) - 6, 0, WAIT_BUCKETS - 1);
	s->run++;
	s->wait_ns += waited;
	s->wait_max_ns = max(s->wait_max_ns, waited);
	s->wait_hist[bucket & (WAIT_BUCKETS - 1)]++;
}

/* A stint ends, though its task may go on. */
static __always_inline void count_ran(struct task_ctx *t, s64 ran)
{
	struct class_counters *s;
	u32 cls;

	if (!t)
		return;
	cls = t->cls;
	s = bpf_map_lookup_elem(&class_stats, &cls);
	if (s)
		s->ran_ns += ran;
}

/* A task stops; it waits again from now if it is still runnable. */
static __always_inline void count_stop(struct task_ctx *t, s64 ran, bool runnable)
{
	struct class_counters *s;
	u32 cls;

	if (!t)
		return;
	t->queued_at = runnable ? scx_bpf_now() : 0;
	cls = t->cls;
	s = bpf_map_lookup_elem(&class_stats, &cls);
	if (!s)
		return;
	s->ran_ns += ran;
	s->preempted += runnable;
}

static __always_inline void count_taken(u32 queue, bool stolen)
{
	struct queue_counters *q;

	if (!counters)
		return;
	q = bpf_map_lookup_elem(&queue_stats, &queue);
	if (!q)
		return;
	q->taken += !stolen;
	q->stolen += stolen;
}

#endif
