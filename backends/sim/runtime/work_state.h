/* SPDX-License-Identifier: Apache-2.0 */
/* What work.c and work_wait.c share: the tasks of a plan, and what they wait for. */
#ifndef SIM_WORK_STATE_H
#define SIM_WORK_STATE_H

#include "sim.h"
#include "../../phases/measure.h"
#include "../../phases/plan.h"

/* What a task does about a phase. */
enum step {
	STEP_ON,	/* it is done: the next phase */
	STEP_WORK,	/* work_left is set; then the next phase */
	STEP_YIELD,
	STEP_SLEEP,	/* and then this phase again */
	STEP_AGAIN,	/* at once, if nobody preempts */
	STEP_EXIT,
};

struct doer {
	struct task *task;
	const struct plan_group *group;
	struct plan_place place;
	struct doer *forker;
	struct doer *next;	/* in a line of those who wait */
	struct doer *all;	/* every task of the run */
	uint64_t stream;
	uint64_t loop;		/* times that the phases were gone through */
	u32 phase;
	u32 stage;		/* 0 when a phase begins */
	uint64_t left;		/* of the phase's count */
	u64 schedule;		/* the last moment that its schedule wanted */
	u64 stamp;		/* of what it is to mark */
	u64 due;		/* when its sleep ends; when the post was made that it was given */
	u64 born, cpu_before;	/* cpu time before the window */
	u32 children;
	bool stamped, given, joining, ended, begun;
};

/* Those who wait, first come first. */
struct line {
	struct doer *first, **last;
};

struct post {
	u64 at, stamp;
};

struct channel {
	struct line takers, givers;
	struct post *posts;	/* a ring of `room`, a power of two or 0 */
	u32 head, count, room;
	u32 capacity;		/* 0: any number */
	bool keep;
	const struct phase *mark;	/* what its posts are for, or NULL */
};

struct lock {
	struct line line;
	bool held;
};

struct barrier {
	struct line line;
	u32 parties, come;
};

struct work {
	struct plan plan;
	struct measures measures;
	struct channel *channels;
	struct lock *locks;
	struct barrier *barriers;
	struct doer *doers;
	u32 leader;		/* the process that the threads belong to */
	uint64_t jobs, alive;
	u64 released;		/* when the first barrier opened */
	u64 window_start, window_end;
	bool opened, ended;
};

extern struct work work;

static inline bool in_window(void)
{
	return sim.now >= work.window_start && sim.now < work.window_end;
}

void *work_alloc(size_t count, size_t size);
void line_init(struct line *line);

/* work_wait.c */
enum step work_wait(struct doer *d, const struct phase *phase);
enum step work_wake(struct doer *d, const struct phase *phase);
enum step work_barrier(struct doer *d, const struct phase *phase);
enum step work_lock(struct doer *d, const struct phase *phase);
enum step work_unlock(struct doer *d, const struct phase *phase);
/* A task that ends has come to all of its barriers. */
void work_leave_barriers(struct doer *d);

#endif
