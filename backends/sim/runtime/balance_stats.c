/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is busiest, and how much is to be moved: update_sd_lb_stats(), find_busiest_group(),
 * calculate_imbalance(), find_busiest_queue().
 */
#include <string.h>
#include "fair.h"

struct domain_stats {
	struct group_stats local, busiest;
	u64 load, capacity, avg_load;
	bool prefer_sibling, overloaded;
};

static u64 sub_positive(u64 a, u64 b)
{
	return a > b ? a - b : 0;
}

static bool group_is_overloaded(const struct group_stats *gs, u32 pct)
{
	if (gs->nr_running <= gs->span->weight)
		return false;
	return gs->span->capacity * 100 < gs->util * pct ||
	       gs->span->capacity * pct < gs->runnable * 100;
}

static bool group_has_capacity(const struct group_stats *gs, u32 pct)
{
	if (gs->nr_running < gs->span->weight)
		return true;
	if (gs->span->capacity * pct < gs->runnable * 100)
		return false;
	return gs->span->capacity * 100 > gs->util * pct;
}

static enum group_type classify(const struct group_stats *gs, u32 pct)
{
	if (group_is_overloaded(gs, pct))
		return GROUP_OVERLOADED;
	if (gs->span->imbalanced)
		return GROUP_IMBALANCED;
	return group_has_capacity(gs, pct) ? GROUP_HAS_SPARE : GROUP_FULLY_BUSY;
}

void group_stats(struct group_stats *gs, struct fair_span *span, u32 imbalance_pct)
{
	const struct span_sums *sums = span_sums(span);

	*gs = (struct group_stats){
		.span = span,
		.load = sums->load,
		.util = sums->util,
		.runnable = sums->runnable,
		.nr_running = sums->nr_running,
		.h_nr_running = sums->h_nr_running,
	};
	for (u32 word = span->first_word; word < span->end_word; word++)
		gs->idle_cpus += (u32)__builtin_popcountll(span->mask.bits[word] &
							   sim.idle_cpus.bits[word]);
	gs->type = classify(gs, imbalance_pct);
	if (gs->type == GROUP_OVERLOADED)
		gs->avg_load = gs->load * CAPACITY_SCALE / span->capacity;
}

/* update_sd_pick_busiest() */
static bool busier(const struct balance_env *env, const struct group_stats *gs,
		   const struct group_stats *busiest)
{
	if (!gs->h_nr_running)
		return false;
	if (!busiest->span || gs->type != busiest->type)
		return !busiest->span || gs->type > busiest->type;
	switch (gs->type) {
	case GROUP_OVERLOADED:
		return gs->avg_load > busiest->avg_load;
	case GROUP_IMBALANCED:
		return false;
	case GROUP_FULLY_BUSY:
		/* avg_load isn't known here; threads of a core keep the first, others the last */
		return env->level == 0 || !fair_levels[env->level - 1].share_cpu;
	case GROUP_HAS_SPARE:
		if (gs->idle_cpus != busiest->idle_cpus)
			return gs->idle_cpus < busiest->idle_cpus;
		return gs->nr_running > busiest->nr_running;
	}
	return false;
}

static void domain_stats(const struct balance_env *env, struct domain_stats *ds)
{
	const struct fair_span *span = span_at(env->level, env->dst_cpu);
	const u32 *children = fair_children[env->level] + span->first_child;
	u32 pct = fair_levels[env->level].imbalance_pct, start = 0;

	memset(ds, 0, sizeof(*ds));
	ds->prefer_sibling = env->level > 0 && !fair_levels[env->level - 1].numa;
	/* the kernel's ring of groups begins at the cpu's own */
	while (!mask_test(&fair_spans[env->level][children[start]].mask, env->dst_cpu))
		start++;
	for (u32 i = 0; i < span->nr_children; i++) {
		u32 child = children[(start + i) % span->nr_children];
		struct group_stats gs;

		group_stats(&gs, &fair_spans[env->level][child], pct);
		if (i == 0)
			ds->local = gs;
		else if (busier(env, &gs, &ds->busiest))
			ds->busiest = gs;
		ds->load += gs.load;
		ds->capacity += gs.span->capacity;
		ds->overloaded |= gs.nr_running > gs.span->weight;
	}
	ds->avg_load = ds->load * CAPACITY_SCALE / ds->capacity;
}

/* How many tasks more than its share of the two groups' cores the busiest one has. */
static u64 sibling_imbalance(const struct balance_env *env, const struct domain_stats *ds)
{
	u64 busiest = ds->busiest.span->cores, local = ds->local.span->cores, imbalance;

	if (env->idle == CPU_BUSY || !ds->busiest.nr_running)
		return 0;
	if (busiest == local)
		return sub_positive(ds->busiest.nr_running, ds->local.nr_running);
	imbalance = sub_positive(local * ds->busiest.nr_running, busiest * ds->local.nr_running);
	imbalance = (2 * imbalance + local + busiest) / (local + busiest);
	if (imbalance <= 1 && !ds->local.nr_running && ds->busiest.nr_running > 1)
		imbalance = 2;
	return imbalance;
}

/* adjust_numa_imbalance(): a few tasks may stay on one node, near to each other's memory. */
static u64 allow_numa_imbalance(const struct domain_stats *ds, u64 imbalance)
{
	/* imb_numa_nr: one for each last-level cache in the domain */
	if (ds->local.nr_running + 1 > sim.machine.nr_llcs)
		return imbalance;
	return imbalance <= 2 ? 0 : imbalance;
}

/* The local group has room: how much of the busiest one goes there. */
static void imbalance_to_spare(struct balance_env *env, const struct domain_stats *ds)
{
	const struct fair_level *level = &fair_levels[env->level];
	u64 tasks;

	if (ds->busiest.type > GROUP_FULLY_BUSY && !level->share_llc) {
		env->migration = MIGRATE_UTIL;
		env->imbalance = (s64)sub_positive(ds->local.span->capacity, ds->local.util);
		if (env->idle != CPU_BUSY && !env->imbalance) {
			env->migration = MIGRATE_TASK;
			env->imbalance = 1;
		}
		return;
	}
	env->migration = MIGRATE_TASK;
	if (ds->busiest.span->weight == 1 || ds->prefer_sibling)
		tasks = sibling_imbalance(env, ds);
	else
		tasks = sub_positive(ds->local.idle_cpus, ds->busiest.idle_cpus);
	if (level->numa)
		tasks = allow_numa_imbalance(ds, tasks);
	env->imbalance = (s64)(tasks >> 1);
}

static void calculate_imbalance(struct balance_env *env, struct domain_stats *ds)
{
	struct group_stats *local = &ds->local, *busiest = &ds->busiest;
	u64 above, below;

	env->imbalance = 0;
	if (busiest->type == GROUP_IMBALANCED) {
		/* pinned tasks have kept it from being balanced by load: by number */
		env->migration = MIGRATE_TASK;
		env->imbalance = 1;
		return;
	}
	if (local->type == GROUP_HAS_SPARE) {
		imbalance_to_spare(env, ds);
		return;
	}
	if (local->type < GROUP_OVERLOADED) {
		local->avg_load = local->load * CAPACITY_SCALE / local->span->capacity;
		if (local->avg_load >= busiest->avg_load || local->avg_load >= ds->avg_load)
			return;
	}
	env->migration = MIGRATE_LOAD;
	above = sub_positive(busiest->avg_load, ds->avg_load) * busiest->span->capacity;
	below = sub_positive(ds->avg_load, local->avg_load) * local->span->capacity;
	env->imbalance = (s64)((above < below ? above : below) / CAPACITY_SCALE);
}

/* The domain is balanced well enough as it is. */
static bool balanced(const struct balance_env *env, const struct domain_stats *ds)
{
	const struct group_stats *local = &ds->local, *busiest = &ds->busiest;

	if (busiest->type == GROUP_IMBALANCED)
		return false;
	if (local->type > busiest->type)
		return true;
	if (local->type == GROUP_OVERLOADED)
		return local->avg_load >= busiest->avg_load || local->avg_load >= ds->avg_load ||
		       100 * busiest->avg_load <=
		       fair_levels[env->level].imbalance_pct * local->avg_load;
	if (ds->prefer_sibling && local->type == GROUP_HAS_SPARE && sibling_imbalance(env, ds) > 1)
		return false;
	if (busiest->type == GROUP_OVERLOADED)
		return false;
	return env->idle == CPU_BUSY ||
	       (busiest->span->weight > 1 && local->idle_cpus <= busiest->idle_cpus + 1) ||
	       busiest->h_nr_running == 1;
}

const struct fair_span *find_busiest_group(struct balance_env *env)
{
	struct domain_stats ds;

	domain_stats(env, &ds);
	if (env->level + 1 == nr_levels)
		overloaded = ds.overloaded;
	if (!ds.busiest.span || balanced(env, &ds))
		return NULL;
	calculate_imbalance(env, &ds);
	return env->imbalance > 0 ? ds.busiest.span : NULL;
}

struct fair_rq *find_busiest_queue(const struct balance_env *env)
{
	const struct cpumask *mask = &env->busiest_group->mask;
	struct fair_rq *busiest = NULL;
	u64 most = 0, capacity = 1;

	for (u32 word = env->busiest_group->first_word; word < env->busiest_group->end_word; word++)
		for (u64 bits = mask->bits[word]; bits; bits &= bits - 1) {
			s32 cpu = (s32)(word * 64) + __builtin_ctzll(bits);
			struct fair_rq *fr = fair_rq(cpu);
			u32 nr = fr->queue.h_nr_runnable;
			u64 amount = nr, cap = 1;

			if (!nr || mask_test(&env->excluded, cpu))
				continue;
			if (env->migration == MIGRATE_LOAD) {
				amount = cpu_load(cpu);
				cap = sim.machine.capacity[cpu];
				if (nr == 1 && amount > (u64)env->imbalance)
					continue;
			} else if (env->migration == MIGRATE_UTIL) {
				amount = nr == 1 ? 0 : cpu_util(cpu);
			}
			if (amount * capacity > most * cap) {
				most = amount;
				capacity = cap;
				busiest = fr;
			}
		}
	return busiest;
}
