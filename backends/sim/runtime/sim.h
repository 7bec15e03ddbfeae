/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One simulated machine: its cpus, its tasks, its time, and the order in which the kernel does
 * things. One process simulates one machine once, so the state is global: a policy's kfuncs have
 * no argument that could carry it.
 *
 * Layers, each a file or two; arrows are calls:
 *
 *   work.c script.c adversary.c   drivers: what tasks do (run so long, sleep, wake, fork, exit)
 *            |  ^
 *   core.c wake.c attributes.c    wake-ups, ticks, schedule(), switches, migration, in the order of
 *   clock.c fallback.c            kernel/sched/core.c; how work advances; a scheduler thrown out
 *            |  ^
 *   ext.c fair.c fifo.c           scheduling classes: who is next, on which cpu
 *            |
 *   the policy's shared object    (only below ext.c)
 *
 * Time is in ns from 0; it advances from event to event (events.c). All arithmetic is on integers,
 * so the same seed gives the same bytes on every machine.
 */
#ifndef SIM_H
#define SIM_H

#include <stdio.h>
#include <stddef.h>
#include "kernel.h"
#include "mask.h"

#define NSEC_MSEC 1000000ULL
#define NSEC_SEC 1000000000ULL
#define TIME_MAX (~0ULL)
#define NO_CPU (-1)

/* --- the machine ------------------------------------------------------------------------------ */

/*
 * What things cost, ns. Real cpus spend them in the kernel, so nobody's work advances meanwhile;
 * like the kernel, they are charged to the task that runs next (it has the cpu by then).
 */
struct costs {
	u64 context_switch;	/* from one task to another on a cpu */
	u64 idle_exit;		/* an idle cpu hears of work until it looks for a task */
	u64 kick;		/* a reschedule request to a busy remote cpu until it acts on it */
	u64 wake;		/* on the waker's cpu, for each wake-up it makes */
	u64 fork;		/* on the parent's cpu, for each fork */
	u64 exit;		/* a forked task's own part: page faults after the fork, its end */
	u64 tick;		/* each tick */
	u64 migrate_core;	/* extra work of a task that runs on another core than last time */
	u64 migrate_llc;	/* … under another last-level cache */
	u64 migrate_node;	/* … on another NUMA node */
	u64 callback;		/* a call of a policy's callback (ext only) */
	u64 timer_slack;	/* a sleep ends up to this late, uniformly */
};

struct machine {
	u32 nr_cpus, nr_cores, nr_llcs, nr_nodes;
	u32 hz;
	u64 tick_ns;
	u32 core_of[NR_CPUS], llc_of[NR_CPUS], node_of[NR_CPUS];
	u32 capacity[NR_CPUS];	/* 1024: work advances 1 ns in 1 ns */
	u32 smt_speed;		/* per mille of the speed of a cpu whose siblings are busy too */
	bool skew_tick;		/* the cpus' ticks are spread over half a tick */
	bool any_phase;		/* the driver may draw tick_phase */
	u64 tick_phase;		/* the first tick is as much later */
	struct costs costs;
};

/* --- tasks ------------------------------------------------------------------------------------ */

enum task_state {
	TASK_NEW,		/* made, not yet woken for the first time */
	TASK_QUEUED,		/* runnable, waits: in a queue, or between two */
	TASK_ON_CPU,		/* has a cpu */
	TASK_ASLEEP,
	TASK_DEAD,
};

#define FOREVER TIME_MAX	/* work that has no end */
#define EXT_TASK_WORDS 22

struct task {
	struct task_struct k;	/* first: what policies see. k.pid is unique, from 1 */
	enum task_state state;
	s32 cpu;		/* where it runs, or ran last, or was put */
	const struct sched_class *class;
	u64 work_left;		/* ns of work at full speed until the driver is asked; FOREVER */
	u64 overhead_left;	/* ns of costs above, paid before work goes on */
	u64 exec_start;		/* until when sum_exec_runtime is up to date, while on a cpu */
	u64 runnable_at;	/* when the present wait began (wake-up, fork, lost cpu) */
	u64 woken_at;		/* when it was last woken */
	u64 waited_max;		/* its longest wait so far */
	u64 waited_sum, runs, preemptions, migrations;
	u64 born_at, died_at;
	u32 sleeps;		/* how often it went to sleep */
	u32 idle_calls;		/* calls of the driver since time last passed for it */
	u64 idle_calls_at;	/* when they were: a task that never works may be called for ever */
	bool woken;		/* since it ran last */
	bool yielding;		/* during schedule() */
	s32 ran_on;		/* the cpu that it ran on last; NO_CPU before */
	u32 group;		/* the driver's group, for metrics */
	void *driver;		/* the driver's own */
	struct task *waker;	/* during a wake-up: who wakes; NULL from a timer */
	/* the classes' own */
	struct ext_task *ext;
	struct fair_task *fair;
	struct list_node fifo;
	/* of the timer wheel of core.c: an armed sleep */
	u32 sleep_event;
	u64 ext_room[EXT_TASK_WORDS];	/* where `ext` points: a queue's walk visits both */
};

/* --- cpus ------------------------------------------------------------------------------------- */

struct rq {
	s32 cpu;
	struct task *curr;	/* NULL: idle */
	u32 nr_running;		/* runnable tasks of this cpu, the running one with them; a task
				 * that waits in a policy's own queue counts where task_cpu says */
	bool need_resched;	/* schedule() is due */
	u64 irq_until;		/* until then schedule() isn't called: the kernel is busy */
	bool online;
	bool higher_class;	/* a higher scheduling class has the cpu (script.c); curr is NULL */
	u32 resched_event, work_event, tick_event;	/* armed events, 0: none */
	u32 speed;		/* per 1024, now: capacity and siblings */
	u32 speed_rest;		/* work done beyond work_left's last whole ns, in 1/1024 ns */
	u64 speed_since;	/* work_left of curr is up to date until here */
	u64 delta_exec;		/* what update_curr() has just added: for the class's update_curr */
	u64 idle_since;		/* valid while curr is NULL */
	u64 busy_ns, busy_since;
	u64 switches;
	u32 sibling;		/* the next cpu of the same core, in a ring; itself if alone */
	struct ext_rq *ext;
	struct fair_rq *fair;
	struct list_node fifo;
};

#include "class.h"

/* --- the whole -------------------------------------------------------------------------------- */

struct options {
	const char *scheduler;	/* "eevdf", "fifo", or the path of a policy's shared object */
	const char *plan, *script, *settings, *trace;	/* files; NULL: none */
	const char *adversary;	/* its arguments */
	u64 seed;
	u64 until;		/* the run ends here at the latest */
	bool counters;
	bool work_conserving;	/* a debug build checks that the scheduler is */
};

struct sim {
	u64 now;
	s32 this_cpu;		/* the cpu that acts in this event; NO_CPU: none (driver_timer) */
	bool tracing;
	bool manual;		/* script.c drives each step: no ticks; busy cpus look when told */
	u32 mask_words;		/* words of a cpumask that are in use */
	struct cpumask idle_cpus;	/* cpu_idle() of each */
	struct cpumask all_cpus;
	struct machine machine;
	struct rq rq[NR_CPUS];
	const struct sched_class *class;	/* now; first_class: before it was thrown out */
	const struct sched_class *first_class;
	const struct driver *driver;
	struct task **tasks;	/* by pid - 1; dead ones stay until the end of the run */
	u32 nr_tasks, nr_alive, nr_driver_timers;
	u64 charge;		/* of charge_here() in this event */
	u64 nr_preemptions, nr_migrations, nr_idle_wakeups;
	struct options options;
	u64 events;		/* scheduling events so far: what the benchmark counts */
	bool finished;		/* the driver has nothing more to do */
	struct verdict {	/* what the policy did wrong, in the kernel's words */
		u32 kind;	/* SCX_EXIT_ERROR … */
		s64 code;
		u64 at;
		char reason[128], message[1024];
		u32 victim;	/* pid of the task that a stall is about, or 0 */
	} verdict;
};

extern struct sim sim;

/* --- core.c: for classes ---------------------------------------------------------------------- */

static inline struct rq *cpu_rq(s32 cpu)
{
	return &sim.rq[cpu];
}

static inline struct rq *task_rq(const struct task *p)
{
	return &sim.rq[p->cpu];
}

static inline struct task *task_of(struct task_struct *k)
{
	return (struct task *)k;
}

/* The kernel's smp_processor_id(): where the present event happens; 0 if it happens nowhere. */
static inline s32 this_cpu(void)
{
	return sim.this_cpu < 0 ? 0 : sim.this_cpu;
}

/* The kernel's idle_cpu(): nothing runs there and nothing is queued there. */
static inline bool cpu_idle(s32 cpu)
{
	return mask_test(&sim.idle_cpus, cpu);
}

static inline bool migration_disabled(const struct task *p)
{
	return p->k.migration_disabled != 0;
}

static inline bool task_allowed(const struct task *p, s32 cpu)
{
	return mask_test(p->k.cpus_ptr, cpu);
}

/*
 * Ask a cpu to look for another task: at the end of this event if it is the cpu that acts now,
 * after a kick if it is busy, after idle_exit if it is idle.
 */
void resched_curr(struct rq *rq);
/* Bring sum_exec_runtime of the running task up to now; calls the class's update_curr. */
void update_curr(struct rq *rq);
/*
 * Move a runnable task that isn't on a cpu to another cpu; the class has taken it off its queue.
 * Moves its count in nr_running too.
 */
void set_task_cpu(struct task *p, s32 cpu);
/* The kernel's: dequeue (DEQUEUE_MIGRATING), set_task_cpu, enqueue (ENQUEUE_MIGRATING), preempt. */
void move_queued_task(struct task *p, s32 cpu);
/* The kernel's: the class's wakeup_preempt, or a reschedule of an idle cpu. */
void wakeup_preempt(struct rq *rq, struct task *p, u64 wake_flags);
/* Costs that arise on the cpu that acts now: its task pays (after schedule(): the next one). */
void charge_here(u64 ns);
u32 nice_to_weight(s32 nice);		/* the kernel's table: 1024 at nice 0 */

/* The scheduler is thrown out: keep the words; the fair class has all tasks from now on. */
__attribute__((format(printf, 3, 4)))
void scheduler_error(u32 kind, struct task *victim, const char *format, ...);

/* --- core.c: for drivers ---------------------------------------------------------------------- */

/* What a task does when its work is done, and after each sleep. */
enum next {
	NEXT_WORK,		/* task->work_left was set */
	NEXT_SLEEP,		/* until wake_task() or the timer armed with sleep_until() */
	NEXT_YIELD,		/* task->work_left was set too */
	NEXT_EXIT,
};

struct driver {
	const char *name;
	void (*start)(void);
	enum next (*work_done)(struct task *p);	/* called on the task's cpu */
	void (*timer)(u64 cookie);		/* of driver_timer() */
	void (*waited)(struct task *p, u64 waited);	/* a wait has ended by running; or NULL */
	void (*queued)(struct task *p, u64 dsq);	/* ext: inserted into a DSQ; or NULL */
	const char *(*group_name)(u32 group);	/* NULL: no such group; or NULL */
	u64 (*cgroup_parent)(u64 id);		/* 0: it is the root; or NULL: all are below it */
	u32 (*cgroup_weight)(u64 id);		/* with cgroup_parent */
	void (*report)(FILE *out);	/* its members of the result: "x":…,"y":… */
};

extern const struct driver work_driver, script_driver, adversary_driver;

struct task_params {
	char comm[16];
	s32 nice;
	u64 cgroup;		/* 0: the root */
	u32 cgroup_weight;	/* 100 by default */
	u32 tgid;		/* 0: its own */
	u32 uid;
	bool kthread;
	const struct cpumask *allowed;	/* NULL: all cpus */
	u32 group;
	void *driver;
	struct task *parent;	/* NULL: made by nobody, on `cpu` */
	s32 cpu;
};

struct task *new_task(const struct task_params *params);	/* not yet runnable */
void start_task(struct task *p);				/* its first wake-up */
void wake_task(struct task *p, struct task *waker, bool sync);	/* no effect if not asleep */
void sleep_until(struct task *p, u64 at);		/* arm; the task must then NEXT_SLEEP */
void driver_timer(u64 at, u64 cookie);
void set_user_nice(struct task *p, s32 nice);
void set_cpus_allowed(struct task *p, const struct cpumask *mask);
void set_comm(struct task *p, const char *comm);
void set_cgroup(struct task *p, u64 id, u32 weight);
struct cgroup *find_cgroup(u64 id, u32 weight);		/* made if it is new; 0, 1: the root */
void charge_overhead(struct task *p, u64 ns);
void migrate_disable(struct task *p);			/* of a running or queued task */
void migrate_enable(struct task *p);
/* A higher class takes a cpu: its task goes to the head of its queue; then gives it back. */
void higher_class(struct rq *rq, bool begins);

/* For script.c, which takes every step itself (sim.manual). */
void resched_now(struct rq *rq);			/* schedule(), at once */
void end_work(struct rq *rq, enum next how);		/* as if work_done() had returned it */
void tick_now(struct rq *rq);				/* one tick */

/* --- events.c: a heap, ordered by time and then by the order of arming ------------------------ */

typedef void (*event_fn)(u64 argument);
u32 event_arm(u64 at, event_fn fn, u64 argument);	/* a handle, never 0 */
void event_cancel(u32 handle);				/* 0 is no event; fine */
u32 event_move(u32 handle, u64 at);			/* as cancelled and armed anew */
u64 events_next(void);					/* when the next one is; TIME_MAX */
bool event_pop(u64 *at, event_fn *fn, u64 *argument);	/* main loop */

/* --- draw.c is in backends/phases: the guest draws the same numbers --------------------------- */

/* --- metrics.c -------------------------------------------------------------------------------- */

void metrics_switch(struct task *p);	/* p has just got its cpu: its wait is over */
void metrics_reset(void);		/* what was so far was warming up; longest_wait stays */

#include "trace.h"

/* --- check.c: what must hold after every event, in a debug build ------------------------------ */

#ifdef SIM_DEBUG
void check_invariants(void);
/* For a class's own: ends the process if it doesn't hold. */
__attribute__((format(printf, 2, 3)))
void check(bool holds, const char *format, ...);
#else
static inline void check_invariants(void) {}
#endif

#endif
