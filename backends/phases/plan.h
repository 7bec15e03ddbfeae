/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run's plan: what every task of a workload does, with all parameters filled in. Written by
 * schedc/workload/plan.py, read here, run by the simulator (work.c) and by the guest's wl-phases.
 *
 * The text is made of lines, each of words separated by one space; all numbers are decimal and
 * whole, times are in ns. A line that starts with # says nothing. The first line is
 *
 *   schedc-plan 1
 *
 * then come lines about the whole run, in any order, each at most once:
 *
 *   seed N            of all draws
 *   warmup NS         what happens before isn't measured
 *   duration NS       measured time; 0: until all jobs (groups with the role job or short) are
 *                     done, or all tasks if there are no jobs
 *   limit NS          with duration 0: the run is over then at the latest
 *   locks N           locks are numbered from 0
 *
 * channels and barriers, numbered from 0 by their order:
 *
 *   channel OWNERS BASE COUNT CAPACITY KEEP
 *                     COUNT channels, one for each task of the group numbered OWNERS ("-": one in
 *                     all). BASE: how many channels the lines before made. CAPACITY: posts that
 *                     wait in one before a `wake` sleeps, 0: any number. KEEP 0: a post that
 *                     nobody waits for is lost
 *   barrier TASKS     opens when TASKS tasks have come (a task that ends has come to all of its)
 *
 * groups, numbered from 0 by their order. `group NAME` begins one; these lines are about it:
 *
 *   comm TEXT         1 to 15 printable bytes, to the end of the line
 *   nice N            -20..19
 *   cgroup PATH WEIGHT
 *   cpus C C …        may run on these alone; `cpus own`: on the cpu that its task line names
 *   process           a process of its own, not a thread
 *   kthread           a kernel thread (simulator only)
 *   per G             its tasks belong to tasks of group G (whose channels they use)
 *   role R            victim hog background job short shared (see measure.h)
 *   delay NS          its tasks sleep so long before they begin
 *   loop N            times that the phases are gone through; `loop forever`
 *
 * and then its phases, in order:
 *
 *   run DIST                  work for so long at full speed
 *   sleep MEASURE DIST        MEASURE, here and below: wakeup or "-"
 *   period MEASURE DIST       sleep until the next moment of the task's schedule, which doesn't
 *                             shift when the task is late; it begins when the task does
 *   interval MEASURE DIST     the same, but a schedule that is missed begins anew from then on
 *   wait CHANNEL COUNT MEASURE LOCK
 *                             take COUNT posts, one after another; LOCK ("-": none) is given up
 *                             once the task is in the line of those who wait
 *   wake CHANNEL COUNT STAMP  COUNT posts, stamped `now`, with the `schedule`'s moment or with
 *                             the stamp that was `taken` last; COUNT 0: one for each that waits
 *   fork GROUP COUNT
 *   join                      sleep until all children are done
 *   exit
 *   barrier_wait BARRIER
 *   lock LOCK / unlock LOCK
 *   mark WHAT DEADLINE        WHAT: request or frame, its time from the stamp of the last post
 *                             or the schedule's moment, whichever came last; DEADLINE 0: none
 *   stamp                     what is marked next counts from here, as if a post had come now
 *   count WHAT                one more of: throughput switches forks
 *   yield
 *
 * and last the tasks that are there from the beginning, in the order in which they start:
 *
 *   task GROUP INSTANCE OWNER CPU
 *                     INSTANCE: its number in its group; OWNER: that of the task it belongs to,
 *                     CPU: for `cpus own`; "-": none
 *
 * DIST is one of
 *
 *   fixed NS | uniform MEAN PERCENT | exponential MEAN | lognormal MEDIAN PERCENT
 *   empirical N VALUE WEIGHT VALUE WEIGHT …
 *
 * CHANNEL names a channel line; a task uses the one of the nearest task of the owners' group
 * among itself, whom it belongs to, and whom that one belongs to (a forked task belongs to the one
 * that forked it); or the first, if there is none.
 */
#ifndef PHASES_PLAN_H
#define PHASES_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "draw.h"

#define PLAN_NONE UINT32_MAX
#define PLAN_FOREVER UINT64_MAX
#define PLAN_MAX_TIME UINT64_C(100000000000000)	/* 10^14 ns, a bit more than a day */
#define PLAN_MAX_COUNT UINT64_C(1000000000)
#define PLAN_MAX_TASKS 2000000u
#define PLAN_MAX_CPUS 512u
#define PLAN_DEPTH 4u		/* of tasks that belong to tasks that belong to … */

enum phase_kind {
	PHASE_RUN, PHASE_SLEEP, PHASE_PERIOD, PHASE_WAIT, PHASE_WAKE, PHASE_FORK, PHASE_JOIN,
	PHASE_EXIT, PHASE_BARRIER, PHASE_LOCK, PHASE_UNLOCK, PHASE_MARK, PHASE_COUNT, PHASE_YIELD,
	PHASE_STAMP, PHASE_INTERVAL,
};

enum histogram_kind {
	HIST_WAKEUP, HIST_REQUEST, HIST_FRAME, HIST_CHILD_LIFE, HIST_VICTIM_WAIT, HIST_KINDS,
};

enum counter_kind { COUNT_THROUGHPUT, COUNT_SWITCHES, COUNT_FORKS, COUNT_KINDS };

enum stamp_kind { STAMP_NOW, STAMP_SCHEDULE, STAMP_TAKEN };

enum role {
	ROLE_NONE, ROLE_VICTIM, ROLE_HOG, ROLE_BACKGROUND, ROLE_JOB, ROLE_SHORT, ROLE_SHARED,
	ROLE_KINDS,
};

struct phase {
	enum phase_kind kind;
	uint32_t target;	/* channel line, group, barrier or lock */
	uint32_t lock;		/* wait: to give up, or PLAN_NONE */
	bool measured;		/* sleep, period, wait: into HIST_WAKEUP */
	enum stamp_kind stamp;	/* wake */
	enum histogram_kind mark;
	enum counter_kind counter;
	uint64_t count;
	uint64_t deadline;
	struct dist time;
};

struct plan_channel {
	uint32_t owners, base, count, capacity;
	bool keep;
};

struct plan_group {
	char name[33], comm[16], cgroup[256];
	uint32_t cgroup_weight;
	int32_t nice;
	bool own_cpu, process, kthread, some_cpus;
	uint64_t cpus[PLAN_MAX_CPUS / 64];	/* a mask, if some_cpus */
	uint32_t per;
	enum role role;
	uint64_t delay;
	uint64_t loops;
	struct phase *phases;
	uint32_t nr_phases;
	uint32_t nr_tasks;	/* of those there from the beginning */
	uint32_t *by_instance;	/* their places in struct plan's tasks */
};

struct plan_task {
	uint32_t group, instance, owner, cpu;
};

struct plan {
	uint64_t seed, warmup, duration, limit;
	uint32_t nr_locks, nr_line_channels, nr_channels, nr_barriers, nr_groups, nr_tasks;
	struct plan_channel *channels;	/* by line */
	uint32_t *barriers;		/* how many tasks come to each */
	struct plan_group *groups;
	struct plan_task *tasks;
};

/*
 * Read a plan: 0, or -1 with one line about the first mistake in `error`. Everything that a phase
 * refers to exists in a plan that was read. Either way plan_free() may be called, and must be.
 */
int plan_parse(struct plan *plan, const char *text, size_t length, char *error, size_t size);
void plan_free(struct plan *plan);

/* A task, whom it belongs to, and so on: what its channels are found by. */
struct plan_place {
	uint32_t depth;
	struct {
		uint32_t group, instance;
	} of[PLAN_DEPTH];
};

struct plan_place plan_place(const struct plan *plan, const struct plan_task *task);
/* The place of a task of `group` that a task with the place `forker` forks. */
struct plan_place plan_forked(const struct plan_place *forker, uint32_t group);
/* The number of a task's channel of a channel line. */
uint32_t plan_channel(const struct plan *plan, uint32_t line, const struct plan_place *place);

/* Whether the plan has a phase of this kind, a role, … : what its report is about. */
bool plan_has_role(const struct plan *plan, enum role role);
bool plan_has_phase(const struct plan *plan, enum phase_kind kind);
/* Whether a group of tasks does nothing but work, for ever and unmeasured. */
bool plan_only_works(const struct plan_group *group);

#endif
