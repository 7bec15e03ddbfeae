/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An environment that tries to make somebody wait, within what a proof assumes (docs/prover.md).
 *
 * So many actors are alive throughout: one that exits leaves a successor in its place. Nobody's
 * affinity or control group ever changes, and a nice value only while its task has a cpu or sleeps
 * (E6); there is no higher class (E5), nothing costs anything (E12), cpus stay (E9). What E1 says
 * of contenders is not arranged but counted, for each wait, and the wait is held against W of that
 * number.
 *
 * The file of --adversary: lines of words and whole numbers.
 *
 *   limit EVENTS                 the run ends after so many
 *   bound QUEUE A B              W(N) = A + B N ns in this queue (its number in the policy);
 *                                QUEUE -1: of tasks that were put on an idle cpu
 *   queue QUEUE DOMAIN FAMILY CPUS FLAGS
 *                                DOMAIN 0 machine, 1 cpu, 2 llc, 3 node, 4 cgroup; queues of one
 *                                family (> 0) are compared with each other; CPUS: where it is served
 *                                (hexadecimal); FLAGS 1: all who live contend (E16), 2: cpus may be
 *                                put to sleep (`pack`)
 *   profile NICE KTHREAD UID TGID CGROUP CGROUP_WEIGHT CPUS COMM
 *   burst NS… / sleep NS…        what is drawn from
 *   mood FULL SLEEP EXIT YIELD NICE
 *                                of 1000: a stint is as long as it can be; then weights of its ends;
 *                                of 1000: the nice value changes with the next
 *   actor PROFILE CPU HOW BURST SLEEP    HOW as in enum how; a burst of 0: as long as it can be
 *   ambush NS                    ambushers come so long before a victim wakes; 0: right after
 *   look TIMES WAYS NS           lookahead: so often, so many futures, so far
 */
#ifndef ADVERSARY_H
#define ADVERSARY_H

#include "core.h"
#include "draw.h"

enum how {
	HOW_SLEEPS,		/* works for the burst, sleeps for the time */
	HOW_EXITS,		/* … leaves a successor */
	HOW_YIELDS,
	HOW_RANDOM,		/* all is drawn */
	HOW_AMBUSH,		/* sleeps until a victim is about to wait */
	HOW_VICTIM,		/* as HOW_SLEEPS, and the others are after it */
	HOW_RENAMES,		/* as HOW_YIELDS, under another profile's name each time */
	NR_HOW,
};

struct profile {
	struct task_params params;
	struct cpumask allowed;
};

struct actor {
	struct task *task;	/* the one that is alive */
	u32 profile;
	enum how how;
	u64 burst, sleep;
	s32 cpu;
	bool fresh;		/* its next stint begins a burst */
	/* of its present or last wait */
	u64 queue;		/* the DSQ; 0: none, put on an idle cpu */
	u64 since;
	u64 area;		/* cpus that may take it */
	u32 most;		/* contenders at a time, so far */
};

/* A wait, and the contenders a cpu that it had. */
struct wait {
	u64 ns, at;
	u32 contenders;
	int pid;
};

#define QUEUE_ALL_ALIVE 1u
#define QUEUE_PACKED 2u

struct watched {
	u32 domain, family, flags;
	u64 cpus;
	u64 a, b;
	bool bounded;
	u64 waits, ppm;			/* worst: waited / W, in millionths */
	struct wait worst, longest;
};

#define MAX_QUEUES 64
#define MAX_CHOICES 64

struct adversary {
	u64 limit;
	struct watched queues[MAX_QUEUES + 1];	/* the last: tasks put on idle cpus */
	struct profile *profiles;
	struct actor *actors;
	u32 nr_profiles, nr_actors;
	u64 bursts[MAX_CHOICES], sleeps[MAX_CHOICES];
	u32 nr_bursts, nr_sleeps;
	u64 full, ends[3], nices;
	u64 ambush;
	u64 looks, ways, horizon;
	uint64_t stream;
};

extern struct adversary adversary;

void adversary_read(const char *path);		/* or exits 2 */

/* adversary_watch.c */
void watch_queued(struct task *p, u64 dsq);
void watch_waited(struct task *p, u64 waited);
void watch_report(FILE *out);

static inline struct actor *actor_of(const struct task *p)
{
	return p->driver;
}

#endif
