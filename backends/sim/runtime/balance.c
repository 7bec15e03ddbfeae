/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load balancing: a cpu that is about to idle looks for work (newly idle); each cpu balances its
 * domains at intervals that grow with their span and while they are balanced; busy cpus do it for
 * the idle ones, which have no ticks (no-hz); a task that is alone on its cpu is pushed off it
 * when nothing else helps (active balance).
 *
 * A pass costs no simulated time; newidle_cost() says what it would have cost, as the kernel
 * weighs that against how long the cpu is usually idle.
 */
#include <string.h>
#include "core.h"
#include "fair.h"

#define NR_MIGRATE 32U			/* sysctl_sched_nr_migrate */
#define MAX_PINNED_INTERVAL 512U	/* ms */
#define BUSY_FACTOR 16U
#define NEWIDLE_COST_PER_CPU 200U	/* ns */

bool overloaded;
static u64 nohz_next_balance;

/* --- which task may come ---------------------------------------------------------------------- */

/* It ran a moment ago: what it needs is in that cpu's cache. SMT siblings share theirs. */
static bool cache_hot(const struct balance_env *env, const struct fair_task *t)
{
	if (fair_levels[env->level].share_cpu)
		return false;
	return sim.now - t->se.exec_start < MIGRATION_COST;
}

static struct fair_domain *domain_of(const struct balance_env *env)
{
	return &fair_rq(env->dst_cpu)->domains[env->level];
}

static bool can_migrate(struct balance_env *env, const struct fair_task *t)
{
	const struct task *p = t->p;

	if (!task_allowed(p, env->dst_cpu)) {
		env->some_pinned = true;
		return false;
	}
	env->all_pinned = false;
	if (p->state != TASK_QUEUED || p == env->src->rq->curr)
		return false;
	return !cache_hot(env, t) || domain_of(env)->nr_balance_failed >
	       fair_levels[env->level].cache_nice_tries;
}

/* Failing again and again makes amounts count less (shr_bound()). */
static s64 discounted(u64 amount, u32 failures)
{
	return (s64)(amount >> (failures < 63 ? failures : 63));
}

/* Is the task within what is left to be moved? Takes it off that. */
static bool fits(struct balance_env *env, struct fair_task *t)
{
	u32 failed = domain_of(env)->nr_balance_failed;
	u64 amount = 1;

	switch (env->migration) {
	case MIGRATE_LOAD:
		amount = task_h_load(t);
		if (amount < 1)
			amount = 1;
		if ((amount < 16 && !failed) || discounted(amount, failed) > env->imbalance)
			return false;
		break;
	case MIGRATE_UTIL:
		amount = t->se.avg.util;
		if (discounted(amount, failed) > env->imbalance)
			return false;
		break;
	case MIGRATE_TASK:
		break;
	}
	env->imbalance -= (s64)amount;
	return true;
}

/* --- moving ----------------------------------------------------------------------------------- */

/* As move_queued_task(); a cpu that is just looking for work need not be told that some came. */
static void move_task(struct task *p, s32 cpu, bool tell)
{
	struct rq *to = cpu_rq(cpu);

	dequeue_task(task_rq(p), p, DEQUEUE_MIGRATING);
	p->k.on_rq = 2;
	set_task_cpu(p, cpu);
	enqueue_task(to, p, ENQUEUE_MIGRATING);
	if (tell)
		wakeup_preempt(to, p, 0);
}

/* Least recently run first; those that may not come go to the front, behind those that ran. */
static u32 move_tasks(struct balance_env *env)
{
	struct fair_rq *src = env->src;
	struct list_node *node = src->tasks.prev, *before;
	u32 moved = 0, limit = src->queue.h_nr_queued < NR_MIGRATE ? src->queue.h_nr_queued :
		    NR_MIGRATE;

	for (; limit && node != &src->tasks && env->imbalance > 0; limit--, node = before) {
		struct fair_task *t = (struct fair_task *)((char *)node -
							   offsetof(struct fair_task, node));

		before = node->prev;
		if (env->idle != CPU_BUSY && src->rq->nr_running <= 1)
			break;
		if (!can_migrate(env, t) || !fits(env, t)) {
			fair_list_to_front(src, t);
			continue;
		}
		move_task(t->p, env->dst_cpu, env->idle != CPU_NEWLY_IDLE);
		moved++;
		if (env->idle == CPU_NEWLY_IDLE)
			break;
	}
	return moved;
}

/* --- active balance --------------------------------------------------------------------------- */

/*
 * active_load_balance_cpu_stop(): the stopper takes the cpu from its task, which makes it a queued
 * one, and moves one task that may go.
 */
static void stopper(u64 cpu)
{
	struct rq *rq = cpu_rq((s32)cpu);
	struct fair_rq *fr = rq->fair;
	s32 to = fr->push_cpu;
	struct task *p = rq->curr;

	fr->push_cpu = NO_CPU;
	if (!p || rq->higher_class || !task_allowed(p, to))
		return;
	sim.this_cpu = rq->cpu;
	higher_class(rq, true);
	move_task(p, to, true);
	fair_rq(to)->domains[fr->push_level].nr_balance_failed = 0;
	higher_class(rq, false);
}

static void active_balance(struct balance_env *env)
{
	struct fair_domain *domain = domain_of(env);
	struct fair_rq *src = env->src;
	u32 tries = fair_levels[env->level].cache_nice_tries + 2;

	if (env->idle != CPU_NEWLY_IDLE)
		domain->nr_balance_failed++;
	if (env->migration != MIGRATE_TASK || domain->nr_balance_failed <= tries)
		return;
	if (src->push_cpu != NO_CPU || !src->rq->curr || !task_allowed(src->rq->curr, env->dst_cpu))
		return;
	src->push_cpu = env->dst_cpu;
	src->push_level = env->level;
	event_arm(sim.now + sim.machine.costs.kick, stopper, (u64)src->rq->cpu);
}

/* --- one domain ------------------------------------------------------------------------------- */

/* Of a group's cpus the first idle one balances (first of idle cores); else its first. */
static bool should_we_balance(const struct balance_env *env)
{
	u32 child = env->level ? fair_levels[env->level - 1].span_of[env->dst_cpu] :
		    (u32)env->dst_cpu;
	const struct cpumask *mask = &fair_spans[env->level][child].mask;
	s32 cpu = mask_next(mask, &sim.idle_cpus, NULL, 0);

	if (env->idle == CPU_NEWLY_IDLE)
		return !cpu_rq(env->dst_cpu)->nr_running;
	if (cpu < 0)
		return mask_next(mask, &sim.all_cpus, NULL, 0) == env->dst_cpu;
	for (s32 idle = cpu; idle >= 0 && smt_active && !fair_levels[env->level].share_cpu;) {
		if (core_idle(idle))
			return idle == env->dst_cpu;
		if (idle + 1 >= (s32)sim.machine.nr_cpus)
			break;
		idle = mask_next(mask, &sim.idle_cpus, NULL, idle + 1);
	}
	return cpu == env->dst_cpu;
}

static void lengthen_interval(struct balance_env *env, const struct fair_span *span)
{
	struct fair_domain *domain = domain_of(env);

	domain->nr_balance_failed = env->all_pinned ? 0 : domain->nr_balance_failed;
	if (env->idle == CPU_NEWLY_IDLE)
		return;
	if ((env->all_pinned && domain->balance_interval_ms < MAX_PINNED_INTERVAL) ||
	    domain->balance_interval_ms < 2 * span->weight)
		domain->balance_interval_ms *= 2;
}

/* sched_balance_rq(): pull what there is too much of elsewhere in the domain to this cpu. */
static u32 balance_domain(s32 cpu, u32 level, enum idle_type idle)
{
	struct balance_env env = { .dst_cpu = cpu, .level = level, .idle = idle };
	struct fair_span *span = span_at(level, cpu);
	u32 moved = 0;

	if (span->nr_children < 2 || !should_we_balance(&env))
		return 0;
	env.busiest_group = find_busiest_group(&env);
	while (env.busiest_group && (env.src = find_busiest_queue(&env)) &&
	       env.src->rq->cpu != cpu) {
		env.all_pinned = true;
		if (env.src->rq->nr_running > 1)
			moved = move_tasks(&env);
		else
			env.all_pinned = false;
		if (moved || !env.all_pinned)
			break;
		mask_set(&env.excluded, env.src->rq->cpu);
		env.src = NULL;
	}
	if (level + 1 < nr_levels)
		span->imbalanced = env.some_pinned && env.imbalance > 0 && env.busiest_group;
	if (moved) {
		domain_of(&env)->nr_balance_failed = 0;
		domain_of(&env)->balance_interval_ms = span->weight;
	} else if (env.src && env.busiest_group && !env.all_pinned) {
		active_balance(&env);
	} else {
		if (!env.busiest_group)
			domain_of(&env)->nr_balance_failed = 0;
		lengthen_interval(&env, span);
	}
	return moved;
}

/* --- newly idle ------------------------------------------------------------------------------- */

static u64 newidle_cost(u32 level, s32 cpu)
{
	return NEWIDLE_COST_PER_CPU * span_at(level, cpu)->weight;
}

/* max_newidle_lb_cost: the dearest search so far, forgotten by 1% a second. */
static void update_newidle_cost(struct fair_domain *domain, u64 cost)
{
	if (cost > domain->max_newidle_cost) {
		domain->max_newidle_cost = cost < MIGRATION_COST ? cost : MIGRATION_COST;
		domain->cost_decay_at = sim.now;
	} else if (sim.now - domain->cost_decay_at > NSEC_SEC) {
		domain->max_newidle_cost = domain->max_newidle_cost * 253 / 256;
		domain->cost_decay_at = sim.now;
	}
}

bool newidle_balance(struct fair_rq *fr)
{
	s32 cpu = fr->rq->cpu;
	u64 spent = 0;

	if (sim.manual)
		return false;
	fr->idle_stamp = sim.now ? sim.now : 1;
	if (!nr_levels || !overloaded || fr->avg_idle < fr->domains[0].max_newidle_cost)
		return false;
	update_blocked_load(fr);
	for (u32 level = 0; level < nr_levels; level++) {
		struct fair_domain *domain = &fr->domains[level];
		u64 cost = newidle_cost(level, cpu);

		if (fr->avg_idle < spent + domain->max_newidle_cost)
			break;
		if (balance_domain(cpu, level, CPU_NEWLY_IDLE)) {
			fr->idle_stamp = 0;
			return true;
		}
		spent += cost;
		update_newidle_cost(domain, cost);
	}
	return fr->queue.h_nr_queued > 0;
}

/* --- periodic --------------------------------------------------------------------------------- */

static u64 interval_of(const struct fair_domain *domain, bool busy)
{
	u64 ms = domain->balance_interval_ms * (busy ? BUSY_FACTOR : 1);
	u64 ticks = (ms * sim.machine.hz + 999) / 1000;
	u64 most = (u64)sim.machine.hz * sim.machine.nr_cpus / 10;

	/* off the beat of the other cpus' intervals, which are multiples of each other */
	if (busy)
		ticks--;
	if (ticks > most)
		ticks = most;
	return (ticks ? ticks : 1) * sim.machine.tick_ns;
}

/* sched_balance_domains() */
static void balance_domains(struct fair_rq *fr, enum idle_type idle)
{
	u64 next = sim.now + 60 * NSEC_SEC;

	update_blocked_load(fr);
	for (u32 level = 0; level < nr_levels; level++) {
		struct fair_domain *domain = &fr->domains[level];
		u64 interval = interval_of(domain, idle == CPU_BUSY);

		if (sim.now >= domain->last_balance + interval) {
			if (balance_domain(fr->rq->cpu, level, idle))
				idle = cpu_idle(fr->rq->cpu) ? CPU_IDLE : CPU_BUSY;
			domain->last_balance = sim.now;
			interval = interval_of(domain, idle == CPU_BUSY);
		}
		if (next > domain->last_balance + interval)
			next = domain->last_balance + interval;
	}
	fr->next_balance = next;
}

/* nohz_balancer_kick(): is there anything that an idle cpu could take over? */
static bool worth_a_kick(const struct fair_rq *fr)
{
	u32 llc = sim.machine.llc_of[fr->rq->cpu], busy = llc_sizes[llc];

	if (fr->rq->nr_running >= 2)
		return true;
	if (sim.machine.nr_llcs == 1 && !smt_active)
		return false;
	for (u32 word = 0; word < sim.mask_words; word++)
		busy -= (u32)__builtin_popcountll(llc_masks[llc].bits[word] &
						  sim.idle_cpus.bits[word]);
	return busy > 1;
}

/* Idle cpus have no ticks: one of them is kicked, and balances for all. */
static void nohz_balance(struct fair_rq *fr)
{
	u64 next = sim.now + 60 * NSEC_SEC;
	s32 cpu;

	if (sim.now < nohz_next_balance)
		return;
	cpu = mask_next(&sim.idle_cpus, &sim.all_cpus, NULL, 0);
	if (cpu < 0 || !worth_a_kick(fr))
		return;
	while (cpu >= 0) {
		struct fair_rq *idle = fair_rq(cpu);

		if (sim.now >= idle->next_balance)
			balance_domains(idle, CPU_IDLE);
		if (next > idle->next_balance)
			next = idle->next_balance;
		if (cpu + 1 >= (s32)sim.machine.nr_cpus)
			break;
		cpu = mask_next(&sim.idle_cpus, &sim.all_cpus, NULL, cpu + 1);
	}
	nohz_next_balance = next;
}

void fair_balance_tick(struct rq *rq)
{
	if (sim.now >= rq->fair->next_balance)
		balance_domains(rq->fair, CPU_BUSY);
	nohz_balance(rq->fair);
}

void balance_init(void)
{
	for (u32 cpu = 0; cpu < sim.machine.nr_cpus; cpu++)
		for (u32 level = 0; level < nr_levels; level++) {
			struct fair_domain *domain = &fair_rq((s32)cpu)->domains[level];

			domain->balance_interval_ms = span_at(level, (s32)cpu)->weight;
			domain->last_balance = sim.now;
		}
}
