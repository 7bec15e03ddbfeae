/* SPDX-License-Identifier: Apache-2.0 */
/* Scheduling classes: the kernel's interface, less what needs locks. Part of sim.h. */
#ifndef CLASS_H
#define CLASS_H

/* Flags, in 6.18's values: policies see them (SCX_ENQ_WAKEUP, SCX_ENQ_CPU_SELECTED, …). */
#define ENQUEUE_WAKEUP 0x01ULL
#define ENQUEUE_RESTORE 0x02ULL		/* put back after a change of nice, affinity or class */
#define ENQUEUE_HEAD 0x10ULL
#define ENQUEUE_MIGRATED 0x40ULL	/* the wake-up moves it to another cpu */
#define ENQUEUE_INITIAL 0x80ULL		/* a new task */
#define ENQUEUE_MIGRATING 0x100ULL	/* moved while it was queued */
#define ENQUEUE_SELECTED 0x400ULL	/* select_task_rq was called for this wake-up */
#define DEQUEUE_SLEEP 0x01ULL
#define DEQUEUE_SAVE 0x02ULL		/* for a change of nice, affinity or class */
#define DEQUEUE_MIGRATING 0x100ULL	/* to be moved; see move_queued_task() */
#define DEQUEUE_DEAD 0x10000ULL		/* exits; ours: the kernel hasn't got it */
#define WF_FORK 0x04ULL
#define WF_TTWU 0x08ULL
#define WF_SYNC 0x10ULL

/*
 * What core.c has done before it calls a class: update_curr(rq) before dequeue_task, pick_task,
 * put_prev_task, task_tick; nr_running is core.c's. Order of schedule(): a prev that blocks is
 * dequeued (it is still rq->curr, and its k.on_rq is 0 afterwards); pick_task; if another task was
 * picked: put_prev_task(prev, next) (also if prev blocked), update_idle when the cpu becomes or was
 * idle, set_next_task(next); then rq->curr changes. If prev was picked again: none of these.
 */
struct sched_class {
	const char *name;
	void (*init)(void);
	void (*fini)(void);
	void (*init_task)(struct task *p);	/* made; before its first wake-up */
	void (*exit_task)(struct task *p);	/* dead; frees what init_task made */
	s32 (*select_task_rq)(struct task *p, s32 prev_cpu, u64 wake_flags);
	void (*enqueue_task)(struct rq *rq, struct task *p, u64 flags);
	void (*dequeue_task)(struct rq *rq, struct task *p, u64 flags);
	void (*wakeup_preempt)(struct rq *rq, struct task *p, u64 wake_flags);
	/*
	 * The next task for the cpu, NULL: none. prev had the cpu until now (NULL: it was idle or a
	 * higher class had it); prev->k.on_rq says whether it is still runnable. It may pull tasks
	 * from other cpus.
	 */
	struct task *(*pick_task)(struct rq *rq, struct task *prev);
	/*
	 * next is NULL if the cpu goes idle, if a higher class takes it (rq->higher_class is set by
	 * then) and around a change of nice, affinity or class (p was dequeued before).
	 */
	void (*put_prev_task)(struct rq *rq, struct task *p, struct task *next);
	void (*set_next_task)(struct rq *rq, struct task *p);
	void (*task_tick)(struct rq *rq, struct task *p);
	void (*update_curr)(struct rq *rq);	/* after core.c has added to sum_exec_runtime */
	void (*yield_task)(struct rq *rq);
	/* changed: idle begins or ends; else an idle cpu has looked for work and found none. */
	void (*update_idle)(struct rq *rq, bool idle, bool changed);
	/*
	 * static_prio, or k.cpus_mask, has changed. Called between dequeue_task(DEQUEUE_SAVE),
	 * put_prev_task and enqueue_task(ENQUEUE_RESTORE), set_next_task (each if it applies).
	 */
	void (*reweight_task)(struct task *p);
	void (*set_cpus_allowed)(struct task *p);
	void (*prio_changed)(struct rq *rq, struct task *p, int old_prio);	/* after all that */
	void (*balance_tick)(struct rq *rq);	/* each tick of a busy cpu; idle ones have none */
	void (*report)(FILE *out);		/* the value of "counters"; NULL: null */
#ifdef SIM_DEBUG
	/* Where a QUEUED task is: on this cpu's own queue, or IN_SHARED_QUEUE, or LOST. */
	s32 (*queue_of)(const struct task *p);
	void (*check)(void);			/* the class's own invariants */
#endif
};

#define IN_SHARED_QUEUE (-1)
#define LOST (-2)

extern const struct sched_class ext_class, fair_class, fifo_class;

#endif
