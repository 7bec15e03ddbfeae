/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A script: what the environment of one machine does, step by step, and who must be on each cpu
 * after each step. script_read.c reads it, script.c does it.
 *
 * The text, line by line, words separated by one space. Tasks and profiles go by number, from 0; a
 * task's number may be given anew to one that is forked later. Times are in ns; CPUS is a mask in
 * hexadecimal, the lowest cpu in the lowest bit; NAME is a task's name, two hexadecimal digits a
 * byte, `-` if it is empty.
 *
 *   script 1                              the format's version; first
 *   start NS                              when the script begins; 0 without
 *   victim TASK SINCE PROMISE             whose wait is measured; after SINCE steps it may not run;
 *                                         PROMISE: how long it may wait
 *   profile NICE KTHREAD UID TGID CGROUP CGROUP_WEIGHT CPUS NAME
 *                                         facts of tasks; CGROUP 0: root
 *   block TIMES SHOW                      the steps that follow are done so often; 0: until the
 *                                         victim has waited longer than the promise. SHOW 1: the
 *                                         state after each step of the first turn is reported, 2:
 *                                         and of the last one
 *
 * and the steps: AFTER is the time since the step before, RUNS who runs on each cpu afterwards:
 * numbers with commas between them, `-` for nobody; or `?`: anybody.
 *
 *   fork AFTER TASK PROFILE CPU RUNS      by a parent on CPU
 *   wake AFTER TASK WAKER SYNC RUNS       WAKER: a task, or `-`
 *   stop AFTER TASK CPU HOW RUNS          TASK, on CPU: its slice is over (HOW `slice`), or it does
 *                                         `sleep`, `yield` or `exit`; `rt`: a higher class takes
 *                                         the cpu (an idle one too: TASK is `-` then)
 *   back AFTER CPU RUNS                   the higher class gives the cpu back
 *   tick AFTER CPU RUNS                   the timer interrupts the task there
 *   affinity AFTER TASK CPUS RUNS
 *   nice AFTER TASK NICE RUNS
 *   comm AFTER TASK NAME RUNS
 *   pass AFTER RUNS                       nothing but time
 */
#ifndef SCRIPT_H
#define SCRIPT_H

#include "sim.h"

#define NOBODY (-1)

enum script_act {
	ACT_FORK,
	ACT_WAKE,
	ACT_STOP,
	ACT_BACK,
	ACT_TICK,
	ACT_AFFINITY,
	ACT_NICE,
	ACT_COMM,
	ACT_PASS,
};

enum script_how {
	HOW_SLICE,
	HOW_SLEEP,
	HOW_YIELD,
	HOW_EXIT,
	HOW_RT,
};

struct script_profile {
	s32 nice;
	bool kthread;
	u32 uid, tgid;
	u64 cgroup;
	u32 cgroup_weight;
	struct cpumask cpus;
	char comm[16];
};

struct script_step {
	u64 after;
	enum script_act act;
	enum script_how how;
	s32 task, waker, cpu, nice;
	u32 profile;
	bool sync;
	struct cpumask cpus;
	char comm[16];
	s32 *runs;		/* by cpu; NULL: anybody */
};

struct script_block {
	u64 times;		/* 0: until the promise is past */
	u32 show;
	u32 first, count;	/* of the steps */
};

struct script {
	u64 start;
	s32 victim;		/* NOBODY: no wait is measured */
	u64 since, promise;
	u32 nr_profiles, nr_blocks, nr_steps, nr_tasks;
	struct script_profile *profiles;
	struct script_block *blocks;
	struct script_step *steps;
};

extern struct script script;

/* Read the script, once the machine is known; what is wrong with it ends the process (status 2). */
void script_load(const char *path);

#endif
