/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wl-phases: a plan (backends/phases/plan.h), run with real threads and processes. What they share
 * lies in one mapping that every process has at the same address, so that it makes no difference
 * whether a task is a thread or a process.
 */
#ifndef WL_BOARD_H
#define WL_BOARD_H

#include "../workloads/common.h"
#include "../../../phases/measure.h"
#include "../../../phases/plan.h"

/* A futex mutex: 0 free, 1 held, 2 held and waited for. */
struct mutex {
	_Atomic uint32_t word;
};

struct doer {
	const struct plan_group *group;
	struct plan_place place;
	struct doer *forker;
	struct doer *next;		/* in a line of those who wait, or of free ones */
	struct doer *all;
	uint64_t stream;
	uint32_t number;		/* of its group */
	uint32_t cpu;
	pid_t tid;
	bool process;
	_Atomic bool alive, ended;
	_Atomic uint32_t word;		/* 1: it was given what it waits for */
	bool measured;			/* the wait that it is in */
	_Atomic uint64_t waking_at;	/* of a measured wake-up that isn't answered yet, else 0 */
	_Atomic uint64_t stamp;		/* of what it is to mark, else 0 */
	uint64_t given_at, schedule, born;
	uint64_t cpu_before;		/* cpu time before the window */
	uint64_t cpu_told;		/* and before the interval (interval.c) */
	uint64_t last_wall, last_cpu;	/* when it last looked for gaps */
	_Atomic uint64_t seen;		/* when it was last known to run, or is to wake; 0: asleep */
	_Atomic uint32_t threads;	/* threads that it forked and that aren't done */
	uint32_t processes;		/* processes that it forked and has not reaped */
};

struct line {
	struct doer *first, *last;
};

struct post {
	uint64_t at, stamp;
};

struct channel {
	struct mutex mutex;
	struct line takers, givers;
	struct post *posts;		/* a ring */
	uint32_t head, count, room, capacity;
	bool keep;
	const struct phase *mark;	/* what its posts are for, or NULL */
};

struct barrier {
	struct mutex mutex;
	uint32_t parties, come;
	_Atomic uint32_t round;
};

struct board {
	struct measures measures;
	_Atomic uint32_t ready, go, finished;
	_Atomic bool stop;
	uint64_t began, window_start, window_end;
	_Atomic uint64_t released;	/* when the first barrier opened */
	_Atomic uint64_t jobs, alive, dropped;
	struct mutex mutex;		/* guards doers, free */
	struct doer *doers, *free;
	struct channel *channels;
	struct mutex *locks;
	struct barrier *barriers;
};

extern struct plan plan;
extern struct board *board;
extern uint64_t spin_rate;

static inline bool in_window(uint64_t now)
{
	return now >= board->window_start && now < board->window_end;
}

void mutex_lock(struct mutex *mutex);
void mutex_unlock(struct mutex *mutex);
/* Sleep until d->word is 1; then it is 0 again. */
void doer_wait(struct doer *d);
void doer_wake(struct doer *d);
/* Memory of the shared mapping, zeroed; never given back. */
void *board_alloc(size_t count, size_t size);

/* wait.c */
void do_wait(struct doer *d, const struct phase *phase);
void do_wake(struct doer *d, const struct phase *phase);
void do_barrier(struct doer *d, const struct phase *phase);
void leave_barriers(struct doer *d);

/* task.c */
struct doer *new_doer(uint32_t group, const struct plan_place *place, uint32_t cpu,
		      struct doer *forker);
void start_doer(struct doer *d);
uint64_t doer_cpu(const struct doer *d);	/* cpu time so far; by any task */
/* A wait for the cpu may have ended: it should have gone on at `due`. */
void gap_after(struct doer *d, uint64_t due);

/* cgroup.c */
void make_cgroup(const char *path, uint32_t weight);
void join_cgroup(const char *path);

#endif
