/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a run of a plan measures, by the same rules in the simulator and in the guest.
 *
 * Only what happens within the window counts: from the end of the warm-up, for the duration. A plan
 * without a duration is measured from its start until it is done.
 *
 * Histograms, ns
 *   wakeup       of a measured wait: from the post (of a measured sleep: from its end) until the
 *                task runs
 *   request      of `mark request`: from the stamp of the post that the task took until the mark
 *   frame        of `mark frame`: the same, commonly from the schedule's moment
 *   child_life   from a fork until the child is done
 *   victim_wait  waits of WAIT_MIN or more of tasks with the role victim
 * A wake-up, request or frame that is still open when the window ends counts with its time so far:
 * what never runs must not vanish from the percentiles.
 *
 * Values
 *   throughput switches forks   counted a second; each mark counts as throughput too
 *   missed       share of the marks with a deadline that were late, open ones that are late with them
 *   makespan mean_completion    of tasks with the role job or short: when they were done
 *   last_short   … of those with the role short alone
 *                both from the opening of the first barrier, or the start if there is none
 *   victim_longest hog_longest  the longest wait of a task with that role, open ones too
 *   victim_share background     cpu time of the tasks with that role, in cpus
 *   misallocated share of the cpu time of all tasks with the role shared that went to groups beyond
 *                what the weights of their control groups say
 */
#ifndef PHASES_MEASURE_H
#define PHASES_MEASURE_H

#include <stdio.h>

#include "histogram.h"
#include "plan.h"

#define WAIT_MIN UINT64_C(50000)	/* shorter waits of victims aren't counted: interrupts, noise */

/* All zero at the start. The functions may be called by several threads and processes at once. */
struct measures {
	struct histogram histograms[HIST_KINDS];
	uint64_t counted[COUNT_KINDS];
	uint64_t deadlines, missed, censored;
	uint64_t done, done_sum, done_last, short_last;		/* jobs */
	uint64_t longest[ROLE_KINDS];
	uint64_t window;		/* ns: set at the end */
	uint64_t *group_cpu;		/* ns within the window, by group: set at the end */
};

void measure_wakeup(struct measures *m, uint64_t latency);
void measure_mark(struct measures *m, const struct phase *phase, uint64_t latency);
void measure_count(struct measures *m, enum counter_kind counter);
void measure_life(struct measures *m, uint64_t life);
/* A wait for a cpu of a task with this role. */
void measure_wait(struct measures *m, enum role role, uint64_t waited);
void measure_job(struct measures *m, enum role role, uint64_t took);

/* What a task still has to mark at the end of the run: its first mark, or NULL. */
const struct phase *measure_open(const struct plan_group *group);
/* The time so far of a mark that is open at the end. */
void measure_censored(struct measures *m, const struct phase *mark, uint64_t so_far);
/* The marks that the posts of a channel line are for: NULL if those who take them mark
 * nothing, or something else. */
const struct phase *measure_of_channel(const struct plan *plan, uint32_t line);

/* Jobs that the plan has from the beginning. */
uint64_t measure_jobs(const struct plan *plan);
bool measure_is_job(enum role role);

/* One JSON object; `jobs`: how many there were in all. */
void measures_json(FILE *out, const struct plan *plan, const struct measures *m, uint64_t jobs);

#endif
