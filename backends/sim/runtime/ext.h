/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sched_ext class, after kernel/sched/ext.c of 6.18, without the locks: one operation of the
 * simulated kernel is over before the next one begins, so its states that only say "another cpu is
 * at it" never show.
 *
 *   ext.c       the class: enqueue, dequeue, pick, put, tick, tasks coming and going
 *   dispatch.c  from the policy to dispatch queues and on to cpus
 *   dsq.c       dispatch queues
 *   idle.c      which cpus are idle, and choosing one
 *   kfuncs.c    scx_bpf_*(), with their checks;  bpf.c, maps.c: what any BPF program has
 *   policy.c    the shared object, its settings, its counters;  faults.c: what it does wrong
 */
#ifndef EXT_H
#define EXT_H

#include <setjmp.h>
#include "core.h"
#include "sched_ext.h"
#include "treap.h"

#define DISPATCH_ROUNDS 32
#define DISPATCH_BATCH 32
#define MAX_TIMEOUT_MS 30000

/* --- dispatch queues: dsq.c ------------------------------------------------------------------- */

/* A link of a queue's list: a task's, or that of an iterator that stands between tasks. */
struct dsq_node {
	struct list_node link;
	u32 seq;		/* task: its number in the queue; iterator: sees up to this */
	bool is_cursor;
};

struct dispatch_q {
	u64 id;
	struct list_node list;	/* dsq_node's, in the order of consumption */
	struct treap_node *root;	/* of those with a key */
	u32 nr, seq;
	s32 cpu;		/* local queues: whose */
	struct dispatch_q *next;
};

enum ops_state { OPSS_NONE, OPSS_QUEUEING, OPSS_QUEUED };

struct ext_task {
	struct dsq_node node;		/* first */
	struct treap_node tree;
	bool keyed;			/* in the tree too */
	bool enabled, resets_runnable;
	struct dispatch_q *dsq;
	struct task *p;
	enum ops_state ops_state;
	u64 qseq;
	u64 ddsp_dsq_id, ddsp_enq_flags;	/* the direct dispatch to come */
	struct list_node runnable;	/* in ext_rq's list; empty while it runs or sleeps */
	struct list_node deferred;	/* direct dispatch to another cpu's local queue */
	u64 runnable_at;		/* jiffies */
};

_Static_assert(sizeof(struct ext_task) <= EXT_TASK_WORDS * sizeof(u64), "it lies in its task");

/* `e->p`, without looking there. */
static inline struct task *ext_owner(struct ext_task *e)
{
	return (struct task *)((char *)e - offsetof(struct task, ext_room));
}

struct ext_rq {
	struct dispatch_q local;
	struct list_node runnable, deferred;
	u64 qseq;
	bool in_schedule;	/* from pick_task until the next task is set */
	bool in_balance, keep, in_wakeup, released;
	bool kick_self, preempt_self, work_armed;
	u32 perf;
};

struct dispatch_entry {
	struct task *p;
	u64 qseq, dsq_id, enq_flags;
};

/* The scheduler that is loaded. */
struct ext_sched {
	struct sched_ext_ops *ops;	/* in the shared object */
	struct sched_ext_ops off;	/* no callbacks: after it was thrown out */
	struct dispatch_q global[NR_CPUS];	/* by node */
	struct dispatch_entry *buffer;
	u32 buffered, batch, nr_dispatched;
	s32 dispatching;		/* the cpu that is in ops.dispatch(), or NO_CPU */
	struct task *direct;		/* the task that may be dispatched directly now */
	u64 timeout;			/* jiffies */
	bool loaded, bypass, scheduling, enq_last, idle_tracking, idle_per_node;
	struct scx_event_stats events;
};

extern struct ext_sched sch;

#define DIRECT_DONE ((struct task *)1)

void dsq_init(struct dispatch_q *dsq, u64 id, s32 cpu);
struct dispatch_q *dsq_find(u64 id);
s32 dsq_create(u64 id);
void dsq_destroy(u64 id);
void dsq_free_all(void);
struct ext_task *dsq_first(struct dispatch_q *dsq);
struct ext_task *dsq_after(struct dispatch_q *dsq, struct dsq_node *at, bool backwards);
void dsq_add_keyed(struct dispatch_q *dsq, struct ext_task *e);
void dsq_add(struct dispatch_q *dsq, struct ext_task *e, bool head);
void dsq_unlink(struct ext_task *e);

/* --- dispatch.c ------------------------------------------------------------------------------- */

struct dispatch_q *global_dsq(s32 cpu);
struct dispatch_q *find_dsq(struct task *p, u64 id, s32 cpu);
void dispatch_enqueue(struct dispatch_q *dsq, struct task *p, u64 enq_flags);
void dispatch_dequeue(struct task *p);
void direct_dispatch(struct task *p, u64 enq_flags);
void dispatch_to_local(struct dispatch_q *dsq, struct task *p, u64 enq_flags);
void run_deferred(struct rq *rq);
void flush_dispatch_buffer(void);
bool consume(struct rq *rq, struct dispatch_q *dsq);
bool balance(struct rq *rq, struct task *prev);
void move_between(struct task *p, struct dispatch_q *to, u64 enq_flags, const u64 *key);
bool may_migrate(struct task *p, s32 cpu, bool enforce);

/* --- ext.c ------------------------------------------------------------------------------------ */

void do_enqueue(struct rq *rq, struct task *p, u64 enq_flags);
void set_runnable(struct task *p);
void clear_runnable(struct task *p, bool reset);
void refill_slice(struct task *p);
u64 sim_jiffies(void);
/* What waits until the cpu is through with an operation: kicks of itself, deferred dispatches. */
void after_schedule(struct rq *rq);

extern struct ext_rq ext_rqs[NR_CPUS];
void ext_watchdog(u64 unused);
u32 ext_weight(const struct task *p);	/* of a nice level, as sched_ext has it: 100 at 0 */

/* --- load.c: the scheduler and its tasks, coming and going ------------------------------------ */

void ext_init(void);
void ext_fini(void);
void ext_init_task(struct task *p);
void ext_exit_task(struct task *p);

#ifdef SIM_DEBUG
s32 ext_queue_of(const struct task *p);
void ext_check(void);
#endif

#define scx_error(...) ext_error(SCX_EXIT_ERROR, 0, NULL, __VA_ARGS__)
__attribute__((format(printf, 4, 5)))
void ext_error(u32 kind, s64 code, struct task *victim, const char *format, ...);

/* --- idle.c ----------------------------------------------------------------------------------- */

void idle_init(void);
void idle_update(s32 cpu, bool idle);
s32 idle_select(struct task *p, s32 prev_cpu, u64 wake_flags, const struct cpumask *allowed,
		u64 flags);
bool idle_claim(s32 cpu);
s32 idle_pick(const struct cpumask *allowed, s32 node, u64 flags);
s32 any_and_distribute(const struct cpumask *a, const struct cpumask *b);
const struct cpumask *idle_mask(s32 node, bool smt);

/* --- calls into the policy: ext.c, faults.c --------------------------------------------------- */

/* Which kinds of callbacks may call a kernel function: the kernel's numbers. */
enum kf_mask {
	KF_UNLOCKED = 0,
	KF_CPU_RELEASE = 1,
	KF_DISPATCH = 2,
	KF_ENQUEUE = 4,
	KF_SELECT_CPU = 8,
	KF_REST = 16,
};

struct call {
	const char *name;
	struct call *outer;
	u32 mask;			/* of this callback and those that it is nested in */
	u32 cursors;			/* open iterators when it began */
	const struct task_struct *tasks[2];
	jmp_buf jump;
};

extern struct call *current_call;
extern const char *current_callback;	/* its name, for a signal handler; NULL: none */
extern u32 open_cursors;

void call_begin(struct call *call, const char *name, u32 mask, const struct task_struct *a,
		const struct task_struct *b);
void call_end(struct call *call);
void call_faulted(struct call *call);
void close_cursors(u32 down_to);
void faults_install(void);

/*
 * Call a callback that is there. A fault in it ends the scheduler, not the process: faults.c comes
 * back to the setjmp here. No local variable changes between the two, so none is lost; gcc can't
 * tell and would warn.
 */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wclobbered"
#endif
#define CALL_OP_WITH(mask_, a, b, op, ...)                                                       \
	do {                                                                                     \
		struct call call_;                                                               \
		call_begin(&call_, #op, mask_, a, b);                                            \
		if (!_setjmp(call_.jump))                                                        \
			sch.ops->op(__VA_ARGS__);                                                \
		else                                                                             \
			call_faulted(&call_);                                                    \
		call_end(&call_);                                                                \
	} while (0)
#define CALL_OP_RET(mask_, a, b, result, op, ...)                                                \
	do {                                                                                     \
		struct call call_;                                                               \
		call_begin(&call_, #op, mask_, a, b);                                            \
		if (!_setjmp(call_.jump))                                                        \
			result = sch.ops->op(__VA_ARGS__);                                       \
		else                                                                             \
			call_faulted(&call_);                                                    \
		call_end(&call_);                                                                \
	} while (0)
#define CALL_OP(mask_, op, ...) CALL_OP_WITH(mask_, NULL, NULL, op, ##__VA_ARGS__)
#define CALL_OP_TASK(op, p_, ...) CALL_OP_WITH(KF_REST, &(p_)->k, NULL, op, &(p_)->k, ##__VA_ARGS__)

struct sim_map;

/* --- bpf.c, maps.c, policy.c ------------------------------------------------------------------ */

extern struct task idle_thread;
#define idle_task idle_thread.k

void bpf_reset(u64 seed);
void maps_forget_task(struct task *p);
struct sim_map *map_of(void *variable);	/* NULL: not used yet */
void ring_open(struct sim_map *map);
const void *map_key_at(struct sim_map *map, const void *address);
/* Formats with words as arguments, as bpf_trace_printk() and its kin do; gives the length. */
u32 bpf_format(char *out, u32 size, const char *format, const unsigned long long *words, u32 bytes);

void policy_load(const char *path, const char *settings);
void policy_counters_json(FILE *out);

/* --- lists ------------------------------------------------------------------------------------ */

#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

static inline void list_init(struct list_node *head)
{
	head->next = head->prev = head;
}

static inline bool list_empty(const struct list_node *head)
{
	return head->next == head;
}

static inline void list_add_after(struct list_node *at, struct list_node *node)
{
	node->next = at->next;
	node->prev = at;
	at->next->prev = node;
	at->next = node;
}

static inline void list_add_tail(struct list_node *head, struct list_node *node)
{
	list_add_after(head->prev, node);
}

static inline void list_del(struct list_node *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

#endif
