/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the runtime's core share among themselves, and nobody else needs. */
#ifndef CORE_H
#define CORE_H

#include "sim.h"

#define PF_EXITING 0x00000004
#define PF_KTHREAD 0x00200000
#define WF_RQ_SELECTED 0x80ULL	/* select_task_rq() asked the class */

/* input.c: the input is bad, or the run can't go on: one line on stderr, exit status 2. */
__attribute__((format(printf, 1, 2), noreturn))
void fail(const char *format, ...);
void *allocate(size_t size);		/* zeroed; never NULL */
char *read_whole(const char *path, size_t *length);	/* "-" is stdin; ends with a NUL */

/* machine.c */
void machine_default(void);
void machine_read(const char *path);
void machine_settle(void);		/* what follows from the rest */

/* clock.c: how the work of running tasks advances. */
void clock_advance(struct rq *rq);	/* work_left, overhead_left are up to date afterwards */
void clock_arm(struct rq *rq);		/* the event at which curr's work is done */
void clock_stop(struct rq *rq);		/* no such event */
void clock_busy(struct rq *rq, bool busy);	/* idle begins or ends: siblings' speeds */

/* core.c, loop.c */
void account(struct rq *rq);		/* curr's work and time on the cpu are up to date */
void core_run(void);
void tick_arm(struct rq *rq);
void enqueue_task(struct rq *rq, struct task *p, u64 flags);
void dequeue_task(struct rq *rq, struct task *p, u64 flags);
void update_idle_mask(struct rq *rq);
void schedule(struct rq *rq);
bool postpone_resched(struct rq *rq);	/* true: the tick's handler isn't done yet */
void work_done_event(u64 cpu);

/* wake.c */
s32 fallback_cpu(const struct task *p);

/* attributes.c: a change of what a class keys a task by, in the kernel's order. */
struct change {
	struct rq *rq;
	bool queued, running;
};

struct change change_begin(struct task *p);
void change_end(struct task *p, const struct change *change);

/* fallback.c */
bool scheduler_is_out(void);

/* task.c */
void tasks_free(void);

/* events.c, metrics.c */
void events_free(void);
void result_write(FILE *out);

#endif
