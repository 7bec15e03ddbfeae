/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fair class: EEVDF as kernel/sched/fair.c of 6.18 has it, with SMP balancing and one level of
 * control groups. Files, and what each follows in the kernel:
 *
 *   fair_tree.c    the queue of a cpu: an augmented tree by deadline, V, eligibility, pick_eevdf()
 *   fair_entity.c  place_entity(), update_curr(), delayed dequeue, reweighting: one queue's level
 *   fair_load.c    PELT, loads of cpus and groups, a group's share on a cpu
 *   fair.c         the class: tasks through the levels, wake-up preemption, ticks, yield
 *   fair_class.c   its table, its records
 *   fair_check.c   invariants, in a debug build
 *   select.c       select_task_rq_fair(): wake_affine(), idle siblings, fork balancing
 *   domains.c      scheduling domains, which cpus are idle
 *   fair_sums.c    what the cpus of a domain have together
 *   balance_stats.c, balance.c   load balancing: newly idle, periodic, no-hz, active
 *
 * Left out, as no workload of the simulator can see it: SCHED_IDLE, SCHED_BATCH, bandwidth limits,
 * core scheduling, uclamp, energy-aware placement, NUMA balancing's page faults, asymmetric
 * packing.
 */
#ifndef SIM_FAIR_H
#define SIM_FAIR_H

#include "sim.h"
#include "treap.h"

typedef __int128 s128;

#define NICE_0_SHIFT 10		/* scale_load() of a 64-bit kernel */
#define NICE_0_WEIGHT 1024ULL
#define NICE_0_LOAD (NICE_0_WEIGHT << NICE_0_SHIFT)
#define CAPACITY_SCALE 1024ULL
#define MIN_SHARES 2ULL
#define MIGRATION_COST 500000ULL	/* sysctl_sched_migration_cost */
#define MAX_LEVELS 4			/* SMT, LLC, node, machine */

/* PELT's sums and averages; load is weighted in a queue and unweighted in an entity (pelt.c). */
struct fair_avg {
	u64 last_update;
	u64 load_sum, runnable_sum, util_sum;
	u64 load, runnable, util;
	u32 period_contrib;
};

/* A task, or a group on one cpu. */
struct fair_se {
	struct treap_node tree;		/* first; off the tree when running */
	u64 min_vruntime, min_slice;	/* of the subtree */
	bool on_rq, sched_delayed, rel_deadline, custom_slice;
	u64 vruntime, deadline, slice;
	u64 vprot;		/* runs undisturbed until its vruntime is here (RUN_TO_PARITY) */
	s64 vlag;		/* V - vruntime when it left the queue */
	u64 weight;		/* scaled by NICE_0_SHIFT */
	u64 exec_start;		/* when it last had the cpu: what cache hotness goes by */
	struct fair_avg avg;
	struct fair_queue *queue;	/* that it is on, or was last */
	struct fair_queue *owned;	/* a group's: the queue of its tasks. NULL: a task */
	struct fair_se *parent;		/* a task's: its group on this cpu, or NULL */
	struct fair_task *task;
};

/* cfs_rq: the entities of one cpu at one level, in order of deadline. */
struct fair_queue {
	struct treap_node *root;
	struct fair_se *first, *curr, *next;
	u32 nr_queued;		/* entities, with curr and the delayed */
	u32 h_nr_queued;	/* tasks below, with the delayed */
	u32 h_nr_runnable;	/* … without */
	u64 weight;
	u64 zero_vruntime;	/* keys of sum_w_vruntime are relative to this */
	s128 sum_w_vruntime;	/* of the tree: curr is not in it */
	u64 sum_weight;
	struct fair_avg avg;
	struct fair_rq *rq;
	struct fair_group *group;	/* NULL: the cpu's own queue */
	struct fair_se *se;		/* the group's entity */
	u64 contrib, contrib_at;	/* what it has told the group of its load, and when */
};

struct fair_group {
	u64 cgroup;
	u64 shares;
	u64 load;			/* sum of the queues' contributions */
	struct fair_queue *queues[NR_CPUS];	/* made when first needed */
	struct fair_group *next;
};

struct wakee_stats {		/* whom a task wakes: one, or many? */
	u32 flips;
	u64 decayed_at;
	const struct task *last;
};

struct fair_task {
	struct fair_se se;		/* first */
	struct task *p;
	struct fair_group *group;
	struct list_node node;		/* of its cpu's list, the least recently run at its end */
	struct fair_queue *attached;	/* whose averages have this task's in them */
	struct wakee_stats wakee;
	s32 recent_used_cpu;
	bool listed, was_attached;
};

struct fair_domain {		/* sched_domain: one cpu's state at one level */
	u64 balance_interval_ms;
	u64 last_balance;
	u32 nr_balance_failed;
	u64 max_newidle_cost, cost_decay_at;
};

struct fair_rq {
	struct fair_queue queue;
	struct rq *rq;
	struct list_node tasks;
	struct fair_domain domains[MAX_LEVELS];
	u64 next_balance;
	u64 avg_idle, idle_stamp;
	struct wakee_stats idle_wakee;	/* of the idle task: wake-ups by timers on an idle cpu */
	s32 push_cpu;		/* active balance: where the running task is to go, else NO_CPU */
	u32 push_level;
	bool lazy_resched;	/* TIF_NEED_RESCHED_LAZY: acted on at the next tick */
};

/* --- fair_tree.c ------------------------------------------------------------------------------ */

static inline s64 vruntime_diff(u64 a, u64 b)
{
	return (s64)(a - b);
}

static inline struct fair_se *se_at(const struct treap_node *node)
{
	return (struct fair_se *)node;
}

void queue_init(struct fair_queue *queue, struct fair_rq *rq);
void tree_insert(struct fair_queue *queue, struct fair_se *se);
void tree_remove(struct fair_queue *queue, struct fair_se *se);
void tree_refresh(struct fair_se *se);		/* its slice has changed in place */
u64 avg_vruntime(struct fair_queue *queue);	/* V; moves the zero point there */
bool entity_eligible(struct fair_queue *queue, const struct fair_se *se);
u64 queue_min_slice(const struct fair_queue *queue);
struct fair_se *pick_eevdf(struct fair_queue *queue, bool protect);

/* --- fair_entity.c ---------------------------------------------------------------------------- */

#define ENTITY_DELAYED 0x10000ULL	/* dequeue: finish what was delayed */

extern u64 base_slice;
u64 calc_delta_fair(u64 delta, const struct fair_se *se);
void place_entity(struct fair_queue *queue, struct fair_se *se, u64 flags);
void enqueue_entity(struct fair_queue *queue, struct fair_se *se, u64 flags);
bool dequeue_entity(struct fair_queue *queue, struct fair_se *se, u64 flags);
void requeue_delayed(struct fair_se *se);
void clear_delayed(struct fair_se *se);
void reweight_entity(struct fair_queue *queue, struct fair_se *se, u64 weight);
void set_next_entity(struct fair_queue *queue, struct fair_se *se, bool first);
void put_prev_entity(struct fair_queue *queue, struct fair_se *se);
bool charge_curr(struct fair_queue *queue, u64 delta);	/* true: its cpu should look again */
bool protect_slice(const struct fair_se *se);
void cancel_protect_slice(struct fair_se *se);
void update_protect_slice(struct fair_queue *queue, struct fair_se *se);

/* --- fair_load.c ------------------------------------------------------------------------------ */

extern struct fair_group *fair_groups;

void load_init_task(struct fair_task *t);
void update_load(struct fair_queue *queue, struct fair_se *se);
void update_queue_load(struct fair_queue *queue);
void attach_load(struct fair_queue *queue, struct fair_task *t);
void detach_load(struct fair_task *t);
void reweight_load(struct fair_queue *queue, struct fair_se *se, u64 weight);
void update_group_share(struct fair_se *se);
void update_blocked_load(struct fair_rq *fr);
u64 cpu_load(s32 cpu);
u64 cpu_util(s32 cpu);
u64 cpu_runnable(s32 cpu);
u64 task_h_load(struct fair_task *t);

/* --- fair.c ----------------------------------------------------------------------------------- */

void fair_enqueue(struct rq *rq, struct task *p, u64 flags);
void fair_dequeue(struct rq *rq, struct task *p, u64 flags);
struct task *fair_pick(struct rq *rq, struct task *prev);
void fair_put_prev(struct rq *rq, struct task *p, struct task *next);
void fair_set_next(struct rq *rq, struct task *p);
void fair_wakeup_preempt(struct rq *rq, struct task *p, u64 wake_flags);
void fair_tick(struct rq *rq, struct task *p);
void fair_update_curr(struct rq *rq);
void fair_yield(struct rq *rq);
void fair_reweight(struct task *p);
void fair_set_cpus_allowed(struct task *p);
void fair_prio_changed(struct rq *rq, struct task *p, int old);
void fair_list_remove(struct fair_task *t);
u64 fair_task_weight(const struct task *p);
bool dequeue_entities(struct fair_se *se, u64 flags);
void fair_list_to_front(struct fair_rq *fr, struct fair_task *t);
void resched_lazy(struct rq *rq);
#ifdef SIM_DEBUG
void fair_check(void);
#endif

static inline struct fair_rq *fair_rq(s32 cpu)
{
	return sim.rq[cpu].fair;
}

/* --- fair_class.c ----------------------------------------------------------------------------- */

struct fair_queue *fair_queue_of(const struct fair_task *t, s32 cpu);

/* --- domains.c -------------------------------------------------------------------------------- */

struct fair_level {
	const char *name;
	u32 imbalance_pct, cache_nice_tries;
	bool share_cpu, share_llc, numa;	/* SD_SHARE_CPUCAPACITY, SD_SHARE_LLC, SD_NUMA */
	u32 span_of[NR_CPUS];
	u32 nr_spans;
};

struct span_sums {
	u64 load, util, runnable;
	u32 nr_running, h_nr_running;
};

struct fair_span {		/* one domain's cpus; the groups of the level above */
	struct cpumask mask;
	u32 first_word, end_word;	/* of mask, that have bits */
	u32 weight, cores;
	u64 capacity;
	bool imbalanced;	/* pinned tasks kept a group below from being balanced */
	u32 first_child, nr_children;	/* in children[] */
	struct span_sums sums;		/* see fair_sums.c */
	u64 fresh_at;
	s32 least;			/* the first of its least loaded cpus; NO_CPU: not known */
};

extern u32 nr_levels;
extern struct fair_level fair_levels[MAX_LEVELS];
extern struct fair_span *fair_spans[MAX_LEVELS + 1];	/* [0]: single cpus; [l + 1]: of level l */
extern u32 *fair_children[MAX_LEVELS];
extern bool *llc_has_idle_core;	/* by LLC: a hint, as the kernel's test_idle_cores() */

void domains_init(void);
void domains_fini(void);
extern struct cpumask *llc_masks;	/* by LLC */
extern u32 *llc_sizes;
extern bool smt_active;
bool cpus_share_cache(s32 a, s32 b);
bool core_idle(s32 cpu);

/* The first cpu from `from` on that is in all three (c may be NULL); NO_CPU if none. */
s32 mask_next(const struct cpumask *a, const struct cpumask *b, const struct cpumask *c, s32 from);
/* … and round to the ones before `from`. */
s32 mask_next_wrap(const struct cpumask *a, const struct cpumask *b, const struct cpumask *c,
		   s32 from);

static inline struct fair_span *span_at(u32 level, s32 cpu)
{
	return &fair_spans[level + 1][fair_levels[level].span_of[cpu]];
}

/* --- fair_sums.c ------------------------------------------------------------------------------ */

extern struct cpumask fair_changed;	/* load or tasks have come or gone since the cpu was looked at */
const struct span_sums *span_sums(struct fair_span *span);
s32 least_loaded(struct fair_span *span, u32 height);	/* span_sums() has been asked just before */

/* Entities' tasks on a queue become more or fewer. */
static inline void count_tasks(struct fair_queue *queue, s32 queued, s32 runnable)
{
	queue->h_nr_queued += (u32)queued;
	queue->h_nr_runnable += (u32)runnable;
	mask_set(&fair_changed, queue->rq->rq->cpu);
}

/* --- select.c --------------------------------------------------------------------------------- */

s32 fair_select_task_rq(struct task *p, s32 prev_cpu, u64 wake_flags);

/* --- balance_stats.c -------------------------------------------------------------------------- */

enum group_type { GROUP_HAS_SPARE, GROUP_FULLY_BUSY, GROUP_IMBALANCED, GROUP_OVERLOADED };
enum migration_type { MIGRATE_LOAD, MIGRATE_UTIL, MIGRATE_TASK };
enum idle_type { CPU_BUSY, CPU_IDLE, CPU_NEWLY_IDLE };

struct group_stats {
	const struct fair_span *span;
	u64 load, util, runnable, avg_load;
	u32 nr_running, h_nr_running, idle_cpus;
	enum group_type type;
};

struct balance_env {
	s32 dst_cpu;
	u32 level;
	enum idle_type idle;
	enum migration_type migration;
	s64 imbalance;
	const struct fair_span *busiest_group;
	struct fair_rq *src;
	bool all_pinned, some_pinned;
	struct cpumask excluded;	/* whose tasks are all pinned */
};

void group_stats(struct group_stats *gs, struct fair_span *span, u32 imbalance_pct);
const struct fair_span *find_busiest_group(struct balance_env *env);
struct fair_rq *find_busiest_queue(const struct balance_env *env);

/* --- balance.c -------------------------------------------------------------------------------- */

extern bool overloaded;		/* some cpu has had two runnable tasks since the last whole pass */

void balance_init(void);
bool newidle_balance(struct fair_rq *fr);	/* true: a task came */
void fair_balance_tick(struct rq *rq);

#endif
